"""Tokens: who has which, kept for a session on this machine, kept in a file of one's own, or set by the environment."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from terraclick.errors import BadConfig, BadOutput

__all__ = ["VARIABLE", "kept_file", "kept_tokens", "tokens_for"]

VARIABLE = "TERRACLICK_TOKEN"
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{12,200}")
HEAD = "# Who may use terraclick serve: a name and a token a line. Whoever reads this file can use the server.\n"


def kept_file(place: str, environ: Mapping[str, str]) -> Path | None:
    """Where the tokens of a session (its path or address) are kept on this machine; None where no folder is known.

    A page that is open finds the server again after a restart, for its token is the same.
    """
    windows, home, state = (environ.get(name, "") for name in ("LOCALAPPDATA", "HOME", "XDG_STATE_HOME"))
    if state:
        folder = Path(state)
    elif os.name == "nt" and windows:
        folder = Path(windows)
    elif home:
        folder = Path(home) / ".local" / "state"
    else:
        return None
    return folder / "terraclick" / "tokens" / f"{hashlib.sha256(place.encode()).hexdigest()[:24]}.txt"


def kept_tokens(users: Sequence[str], file: Path | None, default_user: Callable[[], str]) -> dict[str, str]:
    """Token → user, those of the last start of this session where they can be read; new ones are kept."""
    names = list(users) or [default_user()]
    known: dict[str, str] = {}
    try:
        if file is not None and file.is_file() and not (os.name == "posix" and file.stat().st_mode & 0o077):
            known = _read(file, lambda line: None)
    except (BadConfig, OSError):
        known = {}  # damaged: made anew
    fresh = {name: secrets.token_urlsafe(24) for name in names if name not in known}
    if fresh and file is not None:
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(file, known | fresh)
        except (BadOutput, OSError):
            pass  # a folder that cannot be written: tokens of this start alone
    known |= fresh
    return {known[name]: name for name in names}


def tokens_for(
    users: Sequence[str],
    file: Path | None,
    environ: Mapping[str, str],
    default_user: Callable[[], str],
    warn: Callable[[str], None] = lambda line: None,
) -> dict[str, str] | None:
    """Token → user. With a file its tokens are used and those missing are added; TERRACLICK_TOKEN is one user's.

    None without either (see `kept_tokens`). Raises BadConfig, BadOutput.
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
    return None


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
