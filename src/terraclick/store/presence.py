"""Whether the file that a connection writes to is still the one under its name.

A database keeps writing to a file that was deleted, moved or replaced, and nobody would find what it writes. So a store
asks before and after every change.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from terraclick.errors import BadOutput

__all__ = ["FileGone", "Presence", "copy_database", "is_whole", "presence_of", "rescue", "written_at"]

LEAST_BYTES = 512
"""Smallest page of a database."""

Identity = tuple[int, int]


class FileGone(BadOutput):
    """The session's file was moved, deleted or replaced while it was open."""

    http_status = 503


@dataclass(frozen=True)
class Presence:
    """Which file lay under a path, (device, number), and which write-ahead log beside it (None: none yet)."""

    path: Path
    main: Identity | None
    log: Identity | None = None

    def fault(self) -> str | None:
        """What happened to the file since; None if it is where it was."""
        now = _identity(self.path)
        if now == self.main:
            return None
        return "was moved or deleted" if now is None else "was replaced by another file"

    def log_gone(self) -> bool:
        """Whether the write-ahead log was taken away."""
        return self.log is not None and _identity(log_of(self.path)) != self.log


def presence_of(path: Path) -> Presence:
    """What lies there now."""
    return Presence(path, _identity(path), _identity(log_of(path)))


def written_at(path: Path) -> tuple[int, int] | None:
    """Size and time of writing of a file; None if it is gone."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def is_whole(path: Path) -> bool:
    """Whether a database reads through, seen by a connection that knows nothing yet; True where it is locked."""
    try:
        if path.stat().st_size < LEAST_BYTES:  # SQLite would take it for a new one, and its log for a stale one
            return False
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as db:
            return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.OperationalError as error:
        return "malformed" not in str(error)
    except (sqlite3.DatabaseError, OSError):
        return False


def log_of(path: Path) -> Path:
    """The write-ahead log of an sqlite file."""
    return path.with_name(path.name + "-wal")


def _identity(path: Path) -> Identity | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def copy_database(db: sqlite3.Connection, destination: Path) -> None:
    """A consistent copy as a single plain file, while others write. Raises sqlite3.Error."""
    with closing(sqlite3.connect(destination)) as copy:
        db.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def rescue(db: sqlite3.Connection, path: Path, fold: bool = True) -> Path | None:
    """Everything that was kept, written beside the lost file under a new name; None if that is not possible.

    With `fold`, a file that was only moved is completed first: what still was in the log beside its old name is folded
    into it.
    """
    with suppress(sqlite3.Error):
        db.execute("PRAGMA busy_timeout = 200")
        if fold:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for number in range(1, 100):
        destination = path.with_name(f"{path.stem}.rescued{'' if number == 1 else f'-{number}'}{path.suffix}")
        if destination.exists():
            continue
        try:
            copy_database(db, destination)
            if not is_whole(destination):
                raise OSError(None, "what was kept cannot be read any more")
            return destination
        except (sqlite3.Error, OSError):
            with suppress(OSError):
                destination.unlink()
            return None
    return None
