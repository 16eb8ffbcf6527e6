"""Types of what the command line takes: numbers, names, and paths to read or to write."""

from __future__ import annotations

import os
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from terraclick.console import is_plain, printable

__all__ = ["BANDS", "BOUNDS", "BOX", "EXISTING", "LEVELS", "NAME", "NEW", "XY", "Name", "Numbers", "PathType"]


class Numbers(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """Comma-separated numbers, so many of them (None = any); negative ones too."""

    name = "numbers"

    def __init__(self, count: int | None, what: str, kind: type = float) -> None:
        self.count, self.what, self.kind = count, what, kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        """The numbers, or click's sentence about what was expected."""
        if isinstance(value, tuple):
            return value
        try:
            found = tuple(self.kind(part) for part in str(value).split(","))
        except ValueError:
            found = ()
        if not found or (self.count is not None and len(found) != self.count):
            self.fail(f"{value!r} was given; expected {self.what}.", param, ctx)
        return found


class Name(click.ParamType):  # type: ignore[type-arg]
    """A name that goes into files: one line, no character that acts on a terminal, and UTF-8 whatever the locale."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as UTF-8, or click's sentence about what it holds."""
        text = str(value)
        with suppress(UnicodeError):  # a locale of another encoding leaves bytes that are UTF-8 as halves of pairs
            text = text.encode("utf-8", "surrogateescape").decode("utf-8")
        if not is_plain(text):
            self.fail(f"{printable(text)!r} holds control characters: give a name of letters on one line.", param, ctx)
        return text


class PathType(click.Path):
    """A path to read, or with `new` to write; names that would break a line of a log are refused."""

    def __init__(self, new: bool = False) -> None:
        super().__init__(exists=False, path_type=Path)
        self.new = new

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or click's sentence about its letters."""
        if self.new and os.sep != "\\" and "\\" in str(value):  # some drivers take it for a folder here too
            self.fail(f"{printable(str(value))} holds a backslash: separate folders by /.", param, ctx)
        if any(unicodedata.category(letter) == "Cc" for letter in str(value)):
            self.fail(f"{printable(str(value))} holds control characters: rename the file or folder.", param, ctx)
        return super().convert(value, param, ctx)


NAME = Name()
XY = Numbers(2, "two numbers X,Y without a space")
BOUNDS = Numbers(4, "four numbers LEFT,BOTTOM,RIGHT,TOP without spaces")
BOX = Numbers(4, "four numbers X1,Y1,X2,Y2 without spaces")
BANDS = Numbers(None, "band numbers from 1 such as 4,3,2", int)
LEVELS = Numbers(None, "percentages such as 80,85,90", int)
EXISTING = PathType()
NEW = PathType(new=True)
