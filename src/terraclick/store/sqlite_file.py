"""SQLite files: connections, their errors in the words of the family, and whether one is whole."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terraclick.errors import BadData, BadOutput
from terraclick.store.shapes import (
    register_functions,
)

__all__ = ["check_database", "connect", "enter_wal", "has_table", "remove_session", "sqlite_errors"]


def connect(path: Path) -> sqlite3.Connection:
    """A connection for any thread that syncs at every commit and knows the spatial index's functions."""
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    db.text_factory = _text
    db.execute("PRAGMA synchronous = FULL")
    register_functions(db)
    return db


def _text(data: bytes) -> str | bytes:
    """A text column's value; the bytes themselves where another program wrote something that is no UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def enter_wal(db: sqlite3.Connection, patience_s: float = 30.0) -> None:
    """Switch to write-ahead logging; sqlite does not wait for other processes here, so we do."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def has_table(db: sqlite3.Connection, name: str) -> bool:
    """Whether there is a table of that name."""
    return db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone() is not None


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Translate what sqlite says into the family's words."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "no such" in str(error) or "malformed" in str(error):
            raise BadData(f"{path} is not a whole session file ({error}): restore it from a backup.") from None
        hint = (
            "another program holds it" if "locked" in str(error) else "check the folder, its rights and the free space"
        )
        raise BadOutput(f"{path} cannot be written ({error}): {hint}.") from None
    except sqlite3.DatabaseError as error:
        raise BadData(f"{path} is damaged ({error}): restore it from a backup.") from None


def remove_session(path: Path) -> None:
    """Delete a session file and the log beside it. Raises BadOutput if that is not allowed."""
    try:
        for name in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            name.unlink(missing_ok=True)
    except OSError as error:
        raise BadOutput(f"{path} cannot be replaced: {error.strerror or error}.") from error


def check_database(path: Path) -> None:
    """Read a written database through. Raises sqlite3.Error if it is not whole."""
    db = sqlite3.connect(path)
    try:
        said = db.execute("PRAGMA quick_check").fetchone()[0]
    finally:
        db.close()
    if said != "ok":
        raise sqlite3.DatabaseError(f"the written file is not whole ({said})")
