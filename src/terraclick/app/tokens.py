"""Tokens: who has which, new at every start, kept in a file, or set by the environment."""

from __future__ import annotations

import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from terraclick.errors import BadConfig, BadOutput

__all__ = ["VARIABLE", "tokens_for"]

VARIABLE = "TERRACLICK_TOKEN"
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{12,200}")
HEAD = "# Who may use terraclick serve: a name and a token a line. Whoever reads this file can use the server.\n"


def tokens_for(
    users: Sequence[str],
    file: Path | None,
    environ: Mapping[str, str],
    default_user: Callable[[], str],
    warn: Callable[[str], None] = lambda line: None,
) -> dict[str, str]:
    """Token → user. With a file its tokens are used and those missing are added; TERRACLICK_TOKEN is one user's.

    Without either every start makes new ones. Raises BadConfig, BadOutput.
    """
    given = environ.get(VARIABLE, "")
    if file is not None:
        if given:
            raise BadConfig(f"{VARIABLE} and --tokens contradict each other: use one of them.")
        return _from_file(file, users, default_user, warn)
    names = list(users) or [default_user()]
    if given:
        if len(names) > 1:
            raise BadConfig(
                f"{VARIABLE} is the token of one user: for several, keep their tokens in a file (--tokens)."
            )
        return {_checked(given, VARIABLE): names[0]}
    return {secrets.token_urlsafe(24): name for name in names}


def _checked(token: str, where: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise BadConfig(f"the token in {where} is none: 12 to 200 letters, digits and . _ ~ - are expected.")
    return token


def _from_file(
    file: Path, users: Sequence[str], default_user: Callable[[], str], warn: Callable[[str], None]
) -> dict[str, str]:
    known = _read(file, warn) if file.exists() else {}
    names = list(users) or list(known) or [default_user()]
    fresh = {name: secrets.token_urlsafe(24) for name in names if name not in known}
    if fresh:
        _write(file, known | fresh)
    known |= fresh
    return {known[name]: name for name in names}


def _read(file: Path, warn: Callable[[str], None]) -> dict[str, str]:
    """Name → token."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        mode = file.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(
            f"{file} cannot be read ({type(error).__name__}): a name and a token a line are expected."
        ) from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        warn(f"{file} can be read by others: chmod 600 {file.name}.")
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, token = line.strip().rpartition(" ")
        if not name.strip() or name.strip() in found:
            raise BadConfig(f"{file}, line {number}: a name and a token are expected, every name once.")
        found[name.strip()] = _checked(token, f"{file}, line {number}")
    if len(set(found.values())) != len(found):
        raise BadConfig(f"{file} gives two people the same token: every one needs their own.")
    return found


def _write(file: Path, tokens: Mapping[str, str]) -> None:
    """The file whole, readable by its owner alone."""
    try:
        handle, part = tempfile.mkstemp(prefix=".terraclick-", dir=file.parent)  # mode 0600
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(HEAD + "".join(f"{name} {token}\n" for name, token in tokens.items()))
        os.replace(part, file)
    except OSError as error:
        raise BadOutput(f"{file} cannot be written ({error.strerror}): check the folder and its rights.") from None
