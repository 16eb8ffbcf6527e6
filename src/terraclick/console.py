"""What is said to a terminal or a log: UTF-8 whatever the locale, and no character that commands the terminal."""

from __future__ import annotations

import io
import sys
import unicodedata

__all__ = ["is_plain", "printable", "printable_json", "speak_utf8"]

_ACTING = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of characters that act instead of being seen: control, direction, surrogate, line separator."""

_JOINERS = "\u200c\u200d"
"""Of category Cf, but part of the spelling of many languages."""


def printable(text: str) -> str:
    """One line of text fit to be shown: every character that acts on a terminal as its escape (`\\x1b`, `\\u202e`)."""
    if text.isprintable():
        return text
    escaped = (letter.encode("unicode_escape").decode("ascii") if _acts(letter) else letter for letter in text)
    return "".join(escaped)


def printable_json(text: str) -> str:
    """The same for a JSON text, whose strings keep their value: escapes as JSON writes them (`\u001b`); lines stay."""
    if text.isprintable():
        return text
    return "".join(_json_escape(letter) if letter != "\n" and _acts(letter) else letter for letter in text)


def _acts(letter: str) -> bool:
    return unicodedata.category(letter) in _ACTING and letter not in _JOINERS


def _json_escape(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i] << 8 | units[i + 1]:04x}" for i in range(0, len(units), 2))


def is_plain(text: str) -> bool:
    """Whether a text can be a name: no character acts on a terminal, none is half of a pair."""
    return not any(_acts(letter) for letter in text)


def speak_utf8() -> None:
    """Make stdout and stderr write UTF-8, also where the locale or PYTHONIOENCODING names another encoding.

    What is no character (half of a surrogate pair, from a file name that is not UTF-8) is written as its escape.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
