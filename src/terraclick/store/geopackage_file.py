"""The file of a session in a GeoPackage: opened, kept whole while it is used, folded together, closed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from pyproj import CRS

from terraclick.errors import BadConfig, BadData
from terraclick.files import replace_whole
from terraclick.geo.crs_text import crs_of_wkt
from terraclick.store.presence import FileGone, copy_database, is_whole, presence_of, rescue, written_at
from terraclick.store.sql import Store
from terraclick.store.sqlite_file import check_database, connect, enter_wal, sqlite_errors
from terraclick.store.values import (
    new_uuid,
    utc_now,
)

__all__ = ["GeoPackageFile"]


class GeoPackageFile(Store):
    """A session in an sqlite file: the connection, and the file under it."""

    def __init__(
        self,
        path: Path,
        db: sqlite3.Connection,
        clock: Callable[[], datetime] = utc_now,
        new_uuid: Callable[[], str] = new_uuid,
    ) -> None:
        super().__init__(None, clock, new_uuid)
        self.path = path
        self._db: sqlite3.Connection | None = db
        self._presence = presence_of(path)
        self._written = written_at(path)
        self._lost: FileGone | None = None
        self._torn = False
        self._unsettled = False
        self._crs, self._srs_id = self._read_crs()

    def backup(self, path: str | Path) -> None:
        """A consistent copy while others write. Raises BadOutput if `path` exists or cannot be written."""
        with (
            self._reading() as db,
            replace_whole(path, overwrite=False, errors=(sqlite3.Error,), check=check_database) as part,
        ):
            copy_database(db, part)

    def close(self) -> None:
        """Fold everything into the one file and close; a process that still has it open will do that instead."""
        with self._lock:
            db, self._db = self._db, None
            if db is None:
                return
            try:
                if not self._is_overwritten():  # else what was kept would be mixed with another file
                    db.execute("PRAGMA busy_timeout = 100")
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                    if self._presence.fault() is None:
                        db.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.DatabaseError:
                pass  # somebody else holds the file; the log beside it is complete and theirs to fold in
            finally:
                db.close()

    def settle(self) -> None:
        """Fold what was written lately into the one file, so that a copy or a move of it alone is whole."""
        with self._reading() as db:
            if self._unsettled and not db.in_transaction and self._lost is None:
                self._check_presence(db)
                (busy, *_) = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                self._unsettled = bool(busy)
                self._written = written_at(self.path)

    # -- within

    @property
    def _place(self) -> str:
        return str(self.path)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, sqlite_errors(self.path):
            if self._db is None:
                raise BadConfig(f"{self.path} was closed: open the session again.")
            if not self._db.in_transaction:
                self._look(self._db)
            yield self._db

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and on disk, in the file of that name, when it ends. Raises FileGone if there is none."""
        with self._reading() as db:
            if db.in_transaction:  # ours: the lock is held
                yield db
                return
            self._check_presence(db)
            db = self._db or db
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            self._unsettled = True
            self._check_presence(db)

    def _check_presence(self, db: sqlite3.Connection) -> None:
        """Raises FileGone, again and again, if the file is not what it was; what was kept is rescued the first time."""
        if self._lost is not None:
            raise self._lost
        fault = self._presence.fault()
        overwritten = fault is None and self._is_overwritten()
        if overwritten:
            fault = "was overwritten by another program"
        if fault is None:
            if self._presence.log is None:
                self._presence = presence_of(self.path)
            elif self._presence.log_gone():
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what was in the log that was taken away
                self._reconnect()
            return
        kept = rescue(db, self.path, fold=not overwritten)
        way = (
            "export what you need"
            if kept is None
            else f"stop, and go on with {kept.name}, which holds all that was kept"
        )
        self._lost = FileGone(f"{self.path.name} {fault} while it was in use, so nothing more is kept in it: {way}.")
        raise self._lost

    def _is_overwritten(self) -> bool:
        """Whether something that is no database came into the file since the last look, not by way of SQLite."""
        now = written_at(self.path)
        if now is None or now == self._written:
            return self._torn
        self._written = now
        self._torn = not is_whole(self.path)
        return self._torn

    def _reconnect(self) -> None:
        """A new connection, with a new log, to the same file."""
        if self._db is not None:
            self._db.close()
        self._db = connect(self.path)
        enter_wal(self._db)
        self._presence = presence_of(self.path)
        self._outside.stamp = None

    def _read_crs(self) -> tuple[CRS | None, int]:
        with self._reading() as db:
            row = db.execute(
                "SELECT s.srs_id, s.definition_12_063, s.definition FROM gpkg_geometry_columns g "
                "JOIN gpkg_spatial_ref_sys s ON s.srs_id = g.srs_id WHERE g.table_name = 'objects'"
            ).fetchone()
        if row is None:
            raise BadData(f"{self.path} has no objects layer: the session file is damaged.")
        srs_id, wkt2, wkt1 = row
        if srs_id <= 0:
            return None, srs_id
        return crs_of_wkt(wkt2 if wkt2 and wkt2 != "undefined" else wkt1), srs_id

    def _stamp(self, db: sqlite3.Connection) -> Any:
        return db.execute("PRAGMA data_version").fetchone()[0]

    def _write_adopted(self, changes: Sequence[tuple[Any, ...]]) -> None:
        if self._db is not None:
            self._db.execute("PRAGMA busy_timeout = 200")  # another program may be at work: later, then
        try:
            super()._write_adopted(changes)
        finally:
            if self._db is not None:
                self._db.execute("PRAGMA busy_timeout = 30000")
