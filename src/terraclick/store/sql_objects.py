"""Objects of a session in a database, with their clicks and views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData, Conflict, UnknownName
from terraclick.geo.measure import measured_many
from terraclick.geo.reproject import reproject, reproject_many
from terraclick.store.fields import FIELDS, MapObject, changed_columns, like, object_of, rows_of, values_of
from terraclick.store.outside import usable
from terraclick.store.rows import (
    BadRow,
    SetAside,
    number_of,
)
from terraclick.store.shapes import (
    check_geometries,
    check_geometry,
)
from terraclick.store.sql_base import parts_of
from terraclick.store.sql_classes import SqlClasses
from terraclick.store.sql_images import SqlImages
from terraclick.store.values import StoredClick, StoredView
from terraclick.values import Bounds

__all__ = ["SqlObjects"]

_WHOLE = "uuid IS NOT NULL AND geom IS NOT NULL"


class SqlObjects(SqlClasses, SqlImages):
    """The objects of a session."""

    # -- written

    def add(
        self,
        item: MapObject,
        clicks: Sequence[StoredClick] = (),
        view: StoredView | None = None,
        crs: CRS | None = None,
    ) -> MapObject:
        """Keep an object with its clicks and view, and give it back as stored (uuid, rev 1, area, times, store's CRS).

        `crs` is that of its geometry, by default its image's. Raises Conflict if the uuid is taken, UnknownName for an
        image that was not added, BadData for anything but a non-empty polygon, line or point.
        """
        (stored,) = self.add_many([(item, clicks, view)], crs)
        return stored

    def add_many(
        self,
        items: Iterable[tuple[MapObject, Sequence[StoredClick], StoredView | None]],
        crs: CRS | None = None,
    ) -> list[MapObject]:
        """`add` for many objects in one transaction: all are kept, or none."""
        with self._transaction() as db:
            now = self._time()
            fresh = self._prepared(db, list(items), crs, now)
            stored = [item for item, _, _, _ in fresh]
            taken = self.get_many([item.uuid for _, _, _, item in fresh if item.uuid])
            twice = {uuid for uuid, number in Counter(item.uuid for item in stored).items() if number > 1}
            for item, _, _, given in fresh:
                if item.uuid in taken or item.uuid in twice:
                    theirs = taken.get(item.uuid)
                    raise Conflict(f"object {item.uuid} is already stored: update it instead.", given, theirs)
            self._admit(db, [item.geometry for item in stored])
            self._insert_objects(db, stored)
            self._outside.own |= {item.uuid for item in stored}
            self._registered_all(db, [item.class_name for item in stored])
            for item, clicks, view, _ in fresh:
                if clicks:
                    self._insert_clicks(db, item.uuid, clicks, now)
                    self._clicks_placed(db, item.uuid, self._crs_of_clicks(db, item.image))
                if view is not None:
                    self._insert_view(db, item.uuid, view)
            self._noted(db, [item.geometry for item in stored])
        return stored

    def update(
        self,
        item: MapObject,
        clicks: Sequence[StoredClick] | None = None,
        view: StoredView | None = None,
        crs: CRS | None = None,
    ) -> MapObject:
        """Save a changed object if its rev is still the stored one; its geometry is in `crs`, by default the store's.

        `clicks` and `view` replace the stored ones unless None. Raises Conflict (with `mine` and `theirs`, None if it
        was deleted) if somebody else saved it meanwhile.
        """
        moved = replace(item, geometry=reproject(item.geometry, crs or self._crs, self._crs))
        try:
            (stored,) = self.update_many([(moved, clicks, view)])
        except Conflict as conflict:
            raise Conflict(str(conflict), item, conflict.theirs) from None
        return stored

    def update_many(
        self,
        items: Sequence[tuple[MapObject, Sequence[StoredClick] | None, StoredView | None]],
        known: Mapping[str, MapObject] | None = None,
    ) -> list[MapObject]:
        """`update` for many objects, each once, in one transaction; their geometry is in the store's CRS.

        `known` are the objects as they were read in this transaction, where they were.
        """
        with self._transaction() as db:
            if known is None:
                known = self._find_many(db, [item.uuid for item, _, _ in items], self._row_lock)
            now = self._time()
            stored: list[MapObject] = []
            for item, _, _ in items:
                theirs = known.get(item.uuid)
                if theirs is None or theirs.rev != item.rev:
                    fate = "was deleted" if theirs is None else f"is at revision {theirs.rev}, yours is {item.rev}"
                    raise Conflict(f"object {item.uuid} {fate}: reload it and apply your change again.", item, theirs)
                fresh = {"rev": item.rev + 1, "updated": now, "created": theirs.created}
                if item.geometry is theirs.geometry or item.geometry.equals_exact(theirs.geometry, 0.0):
                    fresh |= {
                        "geometry": theirs.geometry, "area_m2": theirs.area_m2, "perimeter_m": theirs.perimeter_m,
                    }  # fmt: skip
                stored.append(like(item, **fresh))
            drawn = {item.uuid for item in stored if item.geometry is not known[item.uuid].geometry}
            reshaped = self._measured_many(
                [like(item, geometry=check_geometry(item.geometry)) for item in stored if item.uuid in drawn]
            )
            anew = {item.uuid: item for item in reshaped}
            stored = [anew.get(item.uuid, item) for item in stored]
            kept = [item for item in stored if item.uuid not in drawn]
            names = changed_columns((known[item.uuid], item) for item in kept)
            setting = ", ".join(f"{name} = ?" for name in names)
            rows = [(*row, item.uuid) for row, item in zip(rows_of(kept, names), kept, strict=True)]
            self._run_many(db, f"UPDATE objects SET {setting} WHERE uuid = ?", rows)
            self._admit(db, [item.geometry for item in reshaped])
            packed = self._pack_many([item.geometry for item in reshaped])
            every = ", ".join(f"{name} = ?" for name in FIELDS)
            whole = [(blob, *values_of(item), item.uuid) for blob, item in zip(packed, reshaped, strict=True)]
            self._run_many(db, f"UPDATE objects SET geom = {self._geometry_in}, {every} WHERE uuid = ?", whole)
            self._registered_all(db, [item.class_name for item in stored])
            for item, clicks, view in items:
                if clicks is not None:
                    self._run(db, "DELETE FROM clicks WHERE object = ?", (item.uuid,))
                    self._insert_clicks(db, item.uuid, clicks, now)
                    self._clicks_placed(db, item.uuid, self._crs_of_clicks(db, item.image))
                if view is not None:
                    self._run(db, "DELETE FROM views WHERE object = ?", (item.uuid,))
                    self._insert_view(db, item.uuid, view)
            self._noted(db, [item.geometry for item in reshaped])
        return stored

    def delete(self, uuid: str) -> None:
        """Remove an object, its clicks and its view. Raises UnknownName if there is none."""
        self.delete_many([uuid])

    def delete_many(self, uuids: Sequence[str], known: Mapping[str, MapObject] | None = None) -> None:
        """`delete` for many objects in one transaction. Raises UnknownName if one of them is not there."""
        if not uuids:
            return
        with self._transaction() as db:
            there = self._find_many(db, uuids) if known is None else known
            for uuid in uuids:
                if uuid not in there:
                    raise UnknownName(f"no object {uuid!r} in {self._place}: it may have been deleted.")
            for part in parts_of(uuids):
                marks = ", ".join("?" * len(part))
                self._run(db, f"DELETE FROM objects WHERE uuid IN ({marks})", part)
                self._run(db, f"DELETE FROM clicks WHERE object IN ({marks})", part)
                self._run(db, f"DELETE FROM views WHERE object IN ({marks})", part)
            self._outside.own -= set(uuids)
            self._noted(db, [])

    # -- read

    def get(self, uuid: str) -> MapObject:
        """One object by its uuid. Raises UnknownName if there is none."""
        with self._reading() as db:
            item = self._find(db, uuid)
        if item is None:
            raise UnknownName(f"no object {uuid!r} in {self._place}: it may have been deleted.")
        return item

    def get_many(self, uuids: Sequence[str]) -> dict[str, MapObject]:
        """Those objects that there are, by uuid."""
        with self._reading() as db:
            return self._find_many(db, uuids)

    def objects(
        self,
        image: str | None = None,
        class_name: str | None = None,
        status: str | None = None,
        bbox: Bounds | None = None,
    ) -> list[MapObject]:
        """Objects in the order they were kept; bbox (left, bottom, right, top) in the store's CRS meets their boxes."""
        wanted = [("image", image), ("class", class_name), ("status", status)]
        conditions = [_WHOLE, *(f"{name} = ?" for name, value in wanted if value is not None)]
        values: list[Any] = [value for _, value in wanted if value is not None]
        if bbox is not None:
            condition, numbers = self._meets(bbox)
            conditions.append(condition)
            values += numbers
        query = f"SELECT {self._selected} FROM objects WHERE {' AND '.join(conditions)} ORDER BY fid"
        with self._reading() as db:
            return self._read_many(self._run(db, query, values).fetchall())

    def tally(self) -> list[tuple[str, str, str, int]]:
        """(image, class, status, how many objects) for all there are, without reading them."""
        names = "coalesce(image, ''), coalesce(class, ''), coalesce(status, '')"
        with self._reading() as db:
            left = ", ".join(str(fid) for fid in self._outside.bad)
            query = f"SELECT {names}, count(*) FROM objects WHERE {_WHOLE}{f' AND fid NOT IN ({left})' if left else ''}"
            rows = self._run(db, f"{query} GROUP BY 1, 2, 3").fetchall()
        return [(str(image), str(name), str(status), number) for image, name, status, number in rows]

    def clicks_of(self, uuid: str) -> tuple[StoredClick, ...]:
        """The clicks of an object in the order given; empty for one that has none."""
        return self.clicks_of_many([uuid]).get(uuid, ())

    def clicks_of_many(self, uuids: Sequence[str]) -> dict[str, tuple[StoredClick, ...]]:
        """The clicks of many objects in the order given; those without any are left out."""
        found: dict[str, list[StoredClick]] = {}
        with self._reading() as db:
            for part in parts_of(uuids):
                query = (
                    'SELECT object, "row", col, x, y, positive, time FROM clicks WHERE object IN '
                    f'({", ".join("?" * len(part))}) ORDER BY object, "order"'
                )
                for uuid, *given, positive, time in self._run(db, query, part).fetchall():
                    row, col, x, y = (number_of(value) for value in given)
                    if row is not None and col is not None and x is not None and y is not None:
                        when = time if isinstance(time, str) else ""
                        found.setdefault(uuid, []).append(StoredClick(row, col, x, y, bool(positive), when))
        return {uuid: tuple(clicks) for uuid, clicks in found.items()}

    def views_of_many(self, uuids: Sequence[str]) -> dict[str, StoredView]:
        """What the model saw for many objects; those without a view are left out."""
        with self._reading() as db:
            having: list[str] = []
            for part in parts_of(uuids):
                query = f"SELECT object FROM views WHERE object IN ({', '.join('?' * len(part))})"
                having += [uuid for (uuid,) in self._run(db, query, part).fetchall()]
            views = {uuid: self.view_of(uuid) for uuid in having}
        return {uuid: view for uuid, view in views.items() if view is not None}

    # -- within

    def _prepared(
        self,
        db: Any,
        items: Sequence[tuple[MapObject, Sequence[StoredClick], StoredView | None]],
        crs: CRS | None,
        now: str,
    ) -> list[tuple[MapObject, Sequence[StoredClick], StoredView | None, MapObject]]:
        """New objects as they are stored, their clicks and views, and the objects as they were given."""
        if crs is None:
            sources = [self._crs_of_image(db, item.image) if item.image else self._crs for item, _, _ in items]
            moved = [reproject(i.geometry, source, self._crs) for (i, *_), source in zip(items, sources, strict=True)]
        else:
            moved = reproject_many([item.geometry for item, _, _ in items], crs, self._crs)
        checked = check_geometries(moved)
        found = []
        for (item, clicks, view), geometry, (area, perimeter) in zip(
            items, checked, measured_many(checked, self._crs), strict=True
        ):
            fresh = like(
                item,
                uuid=item.uuid or self._new_uuid(),
                geometry=geometry,
                area_m2=area,
                perimeter_m=perimeter,
                n_clicks=item.n_clicks or len(clicks),
                rev=item.rev + 1,
                created=item.created or now,
                updated=item.updated or now,
            )
            found.append((fresh, clicks, view, item))
        return found

    def _insert_objects(self, db: Any, items: Sequence[MapObject]) -> None:
        """Write new objects."""
        marks = ", ".join([self._geometry_in, *"?" * len(FIELDS)])
        packed = self._pack_many([item.geometry for item in items])
        rows = [(blob, *values_of(item)) for blob, item in zip(packed, items, strict=True)]
        self._run_many(db, f"INSERT INTO objects (geom, {', '.join(FIELDS)}) VALUES ({marks})", rows)

    def _insert_clicks(self, db: Any, uuid: str, clicks: Sequence[StoredClick], now: str) -> None:
        query = 'INSERT INTO clicks (object, "order", "row", col, x, y, positive, time) VALUES (?, ?, ?, ?, ?, ?, ?, ?)'
        for i, c in enumerate(clicks):
            self._run(db, query, (uuid, i, c.row, c.col, c.x, c.y, c.positive, c.time or now))

    def _measured(self, item: MapObject) -> MapObject:
        return self._measured_many([item])[0]

    def _measured_many(self, items: Sequence[MapObject]) -> list[MapObject]:
        """Objects with their areas and lengths on the ground."""
        sizes = measured_many([item.geometry for item in items], self._crs)
        return [
            like(item, area_m2=area, perimeter_m=perimeter)
            for item, (area, perimeter) in zip(items, sizes, strict=True)
        ]

    def _find(self, db: Any, uuid: str, lock: str = "") -> MapObject | None:
        query = f"SELECT {self._selected} FROM objects WHERE uuid = ? AND {_WHOLE}{lock}"
        row = self._run(db, query, (uuid,)).fetchone()
        return None if row is None else self._read(row)

    def _find_many(self, db: Any, uuids: Sequence[str], lock: str = "") -> dict[str, MapObject]:
        found: dict[str, MapObject] = {}
        for part in parts_of(uuids):
            query = f"SELECT {self._selected} FROM objects WHERE uuid IN ({', '.join('?' * len(part))}) AND {_WHOLE}"
            rows = self._run(db, query + lock, part).fetchall()
            found |= {item.uuid: item for item in self._read_many(rows)}
        return found

    @property
    def _selected(self) -> str:
        """The columns of an object's row: its fields, fid, geometry."""
        return f"{', '.join(FIELDS)}, fid, {self._geometry_out}"

    def _read(self, row: Sequence[Any]) -> MapObject | None:
        """An object from its row; None, and set aside, if another program left something in it that cannot be used."""
        fid = row[-2]
        if fid in self._outside.bad:
            return None
        try:
            item = self._object(row)
            return replace(item, geometry=usable(item.geometry)) if fid in self._outside.crooked else item
        except (BadRow, BadData) as error:
            self._outside.bad[fid] = SetAside("objects", self._name_of(fid), str(error).rstrip("."))
            return None

    def _read_many(self, rows: Sequence[Sequence[Any]]) -> list[MapObject]:
        """Objects from their rows, geometries decoded together; those that cannot be used are set aside."""
        odd = self._outside.bad.keys() | self._outside.crooked
        shapes = self._unpack_many([row[-1] for row in rows])
        found: list[MapObject] = []
        for row, shape in zip(rows, shapes or [None] * len(rows), strict=True):
            item: MapObject | None = None
            if shape is not None and row[-2] not in odd:
                try:
                    item = self._plain(row, shape)
                except BadRow:
                    item = None
            if item is None or item.area_m2 is None:
                item = self._read(row)
            if item is not None:
                found.append(item)
        return found

    def _unpack_many(self, values: Sequence[bytes]) -> list[BaseGeometry] | None:
        """`_unpack` for many; None where one of them needs a closer look."""
        return None

    def _object(self, row: Sequence[Any]) -> MapObject:
        """An object from its row; what another program left empty is filled with the plain default. Raises BadRow."""
        item = self._plain(row)
        return self._measured(item) if item.area_m2 is None else item

    def _plain(self, row: Sequence[Any], geometry: BaseGeometry | None = None) -> MapObject:
        """The same, with no area where none is stored; `geometry` is that of the row where it is known."""
        return object_of(row[:-2], self._unpack(row[-1]) if geometry is None else geometry)

    def _name_of(self, fid: int) -> str:
        uuid = self._outside.rows.get(fid, (None, None))[0]
        return uuid[:80] if isinstance(uuid, str) and uuid.isprintable() else f"row {fid}"
