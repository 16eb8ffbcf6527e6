"""A session in any database: what its tables do, and how it takes in what other programs did to them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData, BadOutput
from terraclick.geo.measure import measured
from terraclick.store.fields import MapObject, place_of
from terraclick.store.outside import Happened, image_at, in_chunks, judged, usable
from terraclick.store.rows import (
    BadRow,
    SetAside,
    name_of,
)
from terraclick.store.sql_objects import SqlObjects
from terraclick.store.sql_work import SqlWork

__all__ = ["Store"]


_ADOPTED = ("uuid", "rev", "image", "area_m2", "perimeter_m")


class Store(SqlObjects, SqlWork):
    """A session in a database; a subclass is the connection and the few places where SQL differs."""

    def look(self) -> Happened | None:
        """Take in what other programs did: rows drawn elsewhere get what ours have, those that cannot be used are set
        aside. Gives the objects they changed since the last call, None if no other program did anything.
        """
        self._outside.again |= self._outside.pending
        with self._reading() as db:
            self._look(db)
            return self._outside.take()

    def set_aside(self) -> tuple[SetAside, ...]:
        """Rows that cannot be used as they are: left out, or taken with a default for what is wrong."""
        with self._reading():
            return (*self._outside.bad.values(), *self._outside.other.values())

    def settle(self) -> None:
        """Bring what was written lately to its final place, where that is not done already."""
        return

    def note(self, item: MapObject, reason: str) -> None:
        """Set an object aside that turned out to be of no use."""
        with self._lock:
            fid = next((fid for fid, row in self._outside.rows.items() if row[0] == item.uuid), None)
            if fid is not None:
                self._outside.bad[fid] = SetAside("objects", item.uuid, reason)

    def _look(self, db: Any) -> None:
        """Read the rows that are new or changed since the last look, if any other program committed."""
        state = self._outside
        stamp = self._stamp(db)
        if (stamp == state.stamp and not state.again) or self._looking:
            return
        self._looking = True
        try:
            self._take_in(db, state.stamp is not None and stamp != state.stamp)
            state.stamp, state.again = stamp, False
        finally:
            self._looking = False

    def _take_in(self, db: Any, elsewhere: bool) -> None:
        state = self._outside
        rows = self._run(db, "SELECT fid, uuid, rev FROM objects").fetchall()
        fresh = state.compare({fid: (uuid, rev) for fid, uuid, rev in rows}, elsewhere)
        for fids in in_chunks(fresh):
            query = f"SELECT {self._selected} FROM objects WHERE fid IN ({fids})"
            found = self._run(db, query).fetchall()
            for fid, one in judged(((row[-2], row) for row in found), self._stored_geometry, self._crs).items():
                if one.geometry is None:
                    state.bad[fid] = SetAside("objects", self._name_of(fid), one.reason)
                elif one.crooked:
                    state.crooked.add(fid)
        for table in (self.classes, self.references, self.drafts, self.images):  # each sets aside what it must
            table()
        if elsewhere:
            state.heard = time.monotonic()
        if time.monotonic() - state.heard < self.quiet_s:
            state.pending = True
            return
        try:
            self._adopt(db)
            state.pending = False
        except BadOutput:  # somebody holds the file, or it is read-only: they are adopted at a later look
            state.pending = True

    def _stored_geometry(self, row: Sequence[Any]) -> BaseGeometry:
        """The geometry of a row of `objects` as it is stored. Raises BadRow if any of the row cannot be used."""
        uuid = row[place_of("uuid")]
        if uuid is not None:
            name_of(uuid, "uuid")
        if row[-1] is None:
            raise BadRow("it has no geometry")
        try:
            return self._plain(row).geometry
        except BadData as error:
            raise BadRow(str(error).rstrip(".").replace(": the file is damaged", "")) from None

    def _adopt(self, db: Any) -> None:
        """Give rows drawn in another program what ours have: uuid, revision, status, image, area."""
        wanting = "uuid IS NULL OR uuid = '' OR rev IS NULL OR image IS NULL"
        if self._crs is not None:
            wanting += " OR area_m2 IS NULL"
        query = f"SELECT {self._selected} FROM objects WHERE geom IS NOT NULL AND ({wanting})"
        rows = [row for row in self._run(db, query).fetchall() if row[-2] not in self._outside.bad]
        if not rows:
            return
        footprints = self.footprints()
        changes = []
        for row in rows:
            fid, item = row[-2], self._object(row)
            geometry = usable(item.geometry) if fid in self._outside.crooked else item.geometry
            uuid, rev, known_image, *sizes = (row[place_of(name)] for name in _ADOPTED)
            image = image_at(geometry, footprints, self._present) if known_image is None else known_image
            area, perimeter = measured(geometry, self._crs) if self._crs is not None else (None, None)
            if uuid and rev is not None and image == known_image and sizes == [area, perimeter]:
                continue  # nothing to be known
            changes.append((uuid or self._new_uuid(), image, area, perimeter, fid))
        if changes:
            self._write_adopted(changes)

    def _write_adopted(self, changes: Sequence[tuple[Any, ...]]) -> None:
        with self._transaction() as db:
            now = self._time()
            for uuid, image, area, perimeter, fid in changes:
                self._run(
                    db,
                    "UPDATE objects SET uuid = ?, image = ?, area_m2 = ?, perimeter_m = ?, rev = coalesce(rev, 0) + 1, "
                    "status = coalesce(status, 'accepted'), created = coalesce(created, ?), "
                    "updated = coalesce(updated, ?) WHERE fid = ?",
                    (uuid, image, area, perimeter, now, now, fid),
                )
            for (name,) in self._run(db, "SELECT DISTINCT class FROM objects").fetchall():
                if name is None or isinstance(name, str):
                    self._registered(db, name or "")
            rows = self._run(db, "SELECT fid, uuid, rev FROM objects").fetchall()
        self._outside.changed |= {change[0] for change in changes}
        self._outside.told &= not self._outside.pending  # what was put off is news now
        self._outside.rows = {fid: (uuid, rev) for fid, uuid, rev in rows}
