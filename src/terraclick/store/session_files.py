"""Session files as files: made beside an earlier one and put in its place when they are whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terraclick.errors import BadOutput
from terraclick.files import check_output, replace_whole
from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.sqlite_file import check_database, connect, remove_session

__all__ = ["check_session_output", "fold", "new_session", "replace_session"]


def check_session_output(path: Path, append: bool, overwrite: bool) -> None:
    """Raises BadOutput if no session can be written there: it is there unasked, or another program holds it."""
    if append:
        if not path.exists():
            check_output(path, overwrite=False)
        elif not path.is_file():
            raise BadOutput(f"{path} is no file: give the name of a session.")
        elif not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
            raise BadOutput(f"{path} cannot be written: you have no right to write there.")
        return
    check_output(path, overwrite)
    if overwrite:
        fold(path)


def fold(path: Path) -> None:
    """Fold the log beside a session into its file before the file is replaced. Raises BadOutput where it is in use."""
    if not path.is_file() or not path.with_name(path.name + "-wal").exists():
        return
    db = connect(path)
    try:
        db.execute("PRAGMA busy_timeout = 500")
        (mode,) = db.execute("PRAGMA journal_mode = DELETE").fetchone()
        if mode != "delete":
            raise BadOutput(f"{path} is open in another program: close it there, or choose another name.")
    except sqlite3.OperationalError:
        raise BadOutput(f"{path} is open in another program: close it there, or choose another name.") from None
    except sqlite3.DatabaseError:
        pass  # no database: nothing in the log can be meant for it
    finally:
        db.close()


@contextmanager
def replace_session(path: Path, overwrite: bool) -> Iterator[Path]:
    """A place for a new session that is put in place of `path` when it is whole, or not at all. Raises BadOutput."""
    fold(path)
    with replace_whole(path, overwrite, errors=(sqlite3.Error,), check=check_database) as part:
        yield part
        fold(part)


@contextmanager
def new_session(path: Path, append: bool, overwrite: bool) -> Iterator[Path]:
    """Where a run keeps its objects: `path` itself, or beside an earlier session that is replaced at the end.

    If the run fails, the earlier session stands, and what was kept until then lies in STEM.unfinished.gpkg.
    """
    check_session_output(path, append, overwrite)
    if append or not path.exists():
        yield path
        return
    path = Path(os.path.realpath(path))
    number, place = 1, path.with_name(f"{path.stem}.unfinished{path.suffix}")
    while place.exists():
        number += 1
        place = path.with_name(f"{path.stem}.unfinished-{number}{path.suffix}")
    yield place
    if not place.exists():
        return
    with GeoPackageStore.open(place):
        pass  # folds its log in
    with replace_session(path, overwrite) as part:
        shutil.copyfile(place, part)
    remove_session(place)
