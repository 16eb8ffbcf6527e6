"""The session on disk: what is kept, and the store that keeps it in a GeoPackage that QGIS can open at any moment."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import shapely
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData, BadOutput, NotGeoreferenced
from terraclick.files import replace_whole
from terraclick.geo.crs_text import crs_of_wkt
from terraclick.geo.reproject import reproject
from terraclick.store.fields import FIELDS, MapObject, values_of
from terraclick.store.geopackage_file import GeoPackageFile
from terraclick.store.geopackage_tables import VERSION, create_tables, declare_any_kind
from terraclick.store.migrations import migrate_geopackage, renumber_classes
from terraclick.store.rows import (
    BadRow,
    box_of,
    number_of,
    text_of,
)
from terraclick.store.shapes import (
    decode_geometries,
    decode_geometry,
    encode_geometries,
    encode_geometry,
    encode_point,
)
from terraclick.store.sql_base import shown
from terraclick.store.sqlite_file import check_database, connect, enter_wal, has_table, remove_session, sqlite_errors
from terraclick.store.styles import MARK, layer_style
from terraclick.store.values import LARGEST_NUMBER, MapClass, StoredImage, StoredView, new_uuid, utc_now
from terraclick.values import Bounds

__all__ = ["GeoPackageStore", "open_store"]


BULK = 100
"""Beyond so many objects of one statement the spatial index is filled at once."""


class GeoPackageStore(GeoPackageFile):
    """A session in a GeoPackage; see `Store`. Safe to share between threads; several processes may write at once.

    `create` and `open` make one; `clock` and `new_uuid` can be replaced to make every byte repeatable.
    """

    @classmethod
    def create(
        cls,
        path: str | Path,
        crs: CRS | None,
        clock: Callable[[], datetime] = utc_now,
        new_uuid: Callable[[], str] = new_uuid,
    ) -> GeoPackageStore:
        """A new session file with geometry in `crs` (None: image pixels).

        Raises BadOutput if it exists or cannot be written.
        """
        path = Path(path)
        if path.exists():
            raise BadOutput(f"{path} already exists: open it, or choose another name.")
        with replace_whole(path, overwrite=False, errors=(sqlite3.Error,), check=check_database) as part:
            db = connect(part)
            try:
                db.execute("PRAGMA application_id = 0x47504B47")
                db.execute("PRAGMA user_version = 10300")
                db.execute("BEGIN IMMEDIATE")
                create_tables(db, crs, VERSION)
                db.execute("COMMIT")
            finally:
                db.close()
        try:
            return cls._connected(path, clock, new_uuid)
        except BadOutput:
            remove_session(path)  # nothing was kept in it yet
            raise

    @classmethod
    def _connected(
        cls, path: Path, clock: Callable[[], datetime] = utc_now, new_uuid: Callable[[], str] = new_uuid
    ) -> GeoPackageStore:
        with sqlite_errors(path):
            db = connect(path)
            try:
                _check_version(db, path)
                enter_wal(db)
                store = cls(path, db, clock, new_uuid)
                with store._transaction():
                    if migrate_geopackage(db):
                        store._place_all_clicks(db)
                    store._classes_changed(db)
                store._looking = False
                store.look()
            except BaseException:
                db.close()
                raise
            return store

    @classmethod
    def open(
        cls, path: str | Path, clock: Callable[[], datetime] = utc_now, new_uuid: Callable[[], str] = new_uuid
    ) -> GeoPackageStore:
        """An existing session file. Raises BadData if it is missing, damaged, no session, or of a newer version."""
        path = Path(path)
        if not path.is_file():
            raise BadData(f"{path} does not exist: check the path of the session file.")
        with open(path, "rb") as file:
            if file.read(16) != b"SQLite format 3\0":
                raise BadData(f"{path} is not a GeoPackage: expected a session file made by TerraClick.")
        return cls._connected(path, clock, new_uuid)

    def view_of(self, uuid: str) -> StoredView | None:
        """What the model saw for an object; None if it was not made from a view."""
        query = (
            'SELECT image, "left", bottom, "right", top, gsd, bands, stretch, divisions, "rows", cols, box FROM views '
            "WHERE object = ?"
        )
        with self._reading() as db:
            row = db.execute(query, (uuid,)).fetchone()
        if row is None:
            return None
        image, left, bottom, right, top, gsd, bands, stretch, divisions, rows, cols, box = row
        try:
            ranges = json.loads(stretch)
            return StoredView(
                text_of(image, "image"),
                None if left is None else (float(left), float(bottom), float(right), float(top)),
                None if gsd is None else float(gsd),
                None if bands is None else tuple(int(band) for band in json.loads(bands)),
                ranges if isinstance(ranges, str) else tuple((float(low), float(high)) for low, high in ranges),
                tuple(json.loads(divisions)),
                (int(rows), int(cols)),
                None if box is None else box_of(json.loads(box)),
            )
        except (ValueError, TypeError, RecursionError, BadRow):
            self._outside.note("views", shown(uuid), "a value in it cannot be used: the view is left out")
            return None

    def images(self) -> tuple[StoredImage, ...]:
        """All images in the order added."""
        with self._reading() as db:
            rows = db.execute(
                'SELECT path, hash, crs, reading, "left", bottom, "right", top FROM images ORDER BY id'
            ).fetchall()
        found = []
        self._outside.forget("images")
        for path, digest, wkt, reading, *bounds in rows:
            try:
                numbers = [number_of(value) for value in bounds]
                box = None if None in numbers else (numbers[0], numbers[1], numbers[2], numbers[3])
                crs = None if wkt is None else crs_of_wkt(wkt)
                names = text_of(path, "path"), text_of(digest, "hash")
                found.append(StoredImage(*names, crs, box, self._reading_of(path, reading)))  # type: ignore[arg-type]
            except (BadRow, BadData) as error:
                self._outside.note("images", shown(path), f"{str(error).rstrip('.')}: the image is left out")
        return tuple(found)

    def add_columns(self, items: Mapping[str, MapObject], columns: Mapping[str, Sequence[Any]]) -> None:
        """Give the layer of a new file columns of its own beside `attributes`, one value for each of the objects."""
        kinds = {bool: "BOOLEAN", int: "INTEGER", float: "DOUBLE", str: "TEXT"}
        with self._transaction() as db:
            for name, values in columns.items():
                kind = next((kinds[type(value)] for value in values if value is not None), "TEXT")
                quoted = '"' + name.replace('"', '""') + '"'
                db.execute(f"ALTER TABLE objects ADD COLUMN {quoted} {kind}")
                rows = [(value, uuid) for uuid, value in zip(items, values, strict=True)]
                # the revision goes up and down again, so that nobody takes it for a change from outside
                db.executemany(f"UPDATE objects SET {quoted} = ?, rev = rev + 1 WHERE uuid = ?", rows)
                db.execute("UPDATE objects SET rev = rev - 1")

    # -- within

    def _insert_class(self, db: Any, item: MapClass) -> None:
        """As in every store, but a class that brings a number which is free keeps it."""
        renumber_classes(db)  # another program may have left a number after which there is none
        super()._insert_class(db, item)
        if (
            0 < item.number <= LARGEST_NUMBER
            and db.execute("SELECT 1 FROM classes WHERE id = ?", (item.number,)).fetchone() is None
        ):
            db.execute("UPDATE classes SET id = ? WHERE name = ?", (item.number, item.name))
            db.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'classes'", (item.number,))

    def _classes_changed(self, db: Any) -> None:
        """Keep the style that QGIS draws the objects with, unless somebody saved one of their own."""
        rows = db.execute("SELECT name, colour, id FROM classes ORDER BY id").fetchall()
        text = layer_style([(str(name), colour, number) for name, colour, number in rows])
        found = db.execute("SELECT id, styleQML FROM layer_styles WHERE f_table_name = 'objects'").fetchall()
        if not found:
            db.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
                "styleName, styleQML, styleSLD, useAsDefault, description, owner, ui, update_time) VALUES "
                "('', '', 'objects', 'geom', 'TerraClick', ?, '', 1, 'The classes in their colours', '', NULL, ?)",
                (text, self._time()),
            )
        for number, known in found:
            if isinstance(known, str) and MARK in known and known != text:
                db.execute(
                    "UPDATE layer_styles SET styleQML = ?, update_time = ? WHERE id = ?", (text, self._time(), number)
                )

    def _insert_objects(self, db: Any, items: Sequence[MapObject]) -> None:
        """As in every store; many at once enter the spatial index at once, not one by one by its trigger."""
        query = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'rtree_objects_geom_insert'"
        trigger = db.execute(query).fetchone() if len(items) > BULK else None
        if trigger is None:
            super()._insert_objects(db, items)
            return
        (last,) = db.execute(
            "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'objects'), 0), "
            "coalesce((SELECT max(fid) FROM objects), 0))"
        ).fetchone()
        fids = range(last + 1, last + 1 + len(items))
        geometries = [item.geometry for item in items]
        packed = self._pack_many(geometries)
        rows = [(fid, blob, *values_of(item)) for fid, blob, item in zip(fids, packed, items, strict=True)]
        boxes = zip(fids, *shapely.bounds(geometries)[:, [0, 2, 1, 3]].T.tolist(), strict=True)
        db.execute("DROP TRIGGER rtree_objects_geom_insert")
        marks = ", ".join("?" * (2 + len(FIELDS)))
        db.executemany(f"INSERT INTO objects (fid, geom, {', '.join(FIELDS)}) VALUES ({marks})", rows)
        db.executemany("INSERT OR REPLACE INTO rtree_objects_geom VALUES (?, ?, ?, ?, ?)", boxes)
        db.execute(trigger[0])

    def _clicks_placed(self, db: Any, uuid: str, crs: CRS | None) -> None:
        """Give clicks their point in the file's CRS, so that other programs can draw them."""
        rows = db.execute("SELECT id, x, y FROM clicks WHERE object = ?", (uuid,)).fetchall()
        if not rows:
            return
        try:
            moved = reproject(shapely.MultiPoint([(x, y) for _, x, y in rows]), crs, self._crs)
        except (BadData, NotGeoreferenced, ValueError):
            return
        places = shapely.get_coordinates(moved).tolist()
        for (number, _, _), (x, y) in zip(rows, places, strict=True):
            db.execute("UPDATE clicks SET geom = ? WHERE id = ?", (encode_point(x, y, self._srs_id), number))

    def _place_all_clicks(self, db: Any) -> None:
        query = "SELECT DISTINCT c.object, coalesce(o.image, '') FROM clicks c JOIN objects o ON o.uuid = c.object"
        for uuid, image in db.execute(query).fetchall():
            self._clicks_placed(db, uuid, self._crs_of_clicks(db, image))

    def _pack(self, geometry: BaseGeometry) -> bytes:
        return encode_geometry(geometry, self._srs_id)

    def _pack_many(self, geometries: Sequence[BaseGeometry]) -> list[bytes]:
        return encode_geometries(geometries, self._srs_id)

    def _any_kind(self, db: Any) -> bool:
        query = "SELECT geometry_type_name FROM gpkg_geometry_columns WHERE table_name = 'objects'"
        return str(db.execute(query).fetchone()[0]).upper() == "GEOMETRY"

    def _take_any_kind(self, db: Any) -> None:
        db.execute("UPDATE gpkg_geometry_columns SET geometry_type_name = 'GEOMETRY' WHERE table_name = 'objects'")
        declare_any_kind(db)

    def _unpack(self, value: bytes) -> BaseGeometry:
        return decode_geometry(value)

    def _unpack_many(self, values: Sequence[bytes]) -> list[BaseGeometry] | None:
        return decode_geometries(values)

    def _meets(self, bbox: Bounds) -> tuple[str, tuple[float, ...]]:
        left, bottom, right, top = bbox
        box = "SELECT id FROM rtree_objects_geom WHERE maxx >= ? AND minx <= ? AND maxy >= ? AND miny <= ?"
        return f"fid IN ({box})", (left, right, min(bottom, top), max(bottom, top))

    def _insert_view(self, db: Any, uuid: str, view: StoredView) -> None:
        left, bottom, right, top = view.bounds or (None, None, None, None)
        bands = None if view.bands is None else json.dumps(view.bands)
        stretch, divisions = json.dumps(view.stretch), json.dumps(view.divisions)
        box = None if view.box is None else json.dumps(view.box)
        db.execute(
            'INSERT INTO views (object, image, "left", bottom, "right", top, gsd, bands, stretch, divisions, "rows", '
            "cols, box) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (uuid, view.image, left, bottom, right, top, view.gsd, bands, stretch, divisions, *view.shape, box),
        )

    def _put_image(self, db: Any, item: StoredImage) -> None:
        left, bottom, right, top = item.bounds or (None, None, None, None)
        wkt = None if item.crs is None else item.crs.to_wkt()
        db.execute(
            'INSERT INTO images (path, hash, crs, reading, "left", bottom, "right", top) '
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET hash = excluded.hash, "
            'crs = excluded.crs, reading = excluded.reading, "left" = excluded."left", bottom = excluded.bottom, '
            '"right" = excluded."right", top = excluded.top',
            (item.path, item.hash, wkt, item.reading.to_text() or None, left, bottom, right, top),
        )

    def _noted(self, db: Any, geometries: Sequence[BaseGeometry]) -> None:
        """Keep the layer's extent and time of last change, which other programs read first."""
        if geometries:
            db.execute(
                "UPDATE gpkg_contents SET min_x = min(coalesce(min_x, ?1), ?1), min_y = min(coalesce(min_y, ?2), ?2), "
                "max_x = max(coalesce(max_x, ?3), ?3), max_y = max(coalesce(max_y, ?4), ?4) "
                "WHERE table_name = 'objects'",
                shapely.total_bounds(geometries).tolist(),
            )
        db.execute("UPDATE gpkg_contents SET last_change = ? WHERE table_name = 'objects'", (self._time(),))


def open_store(
    path: str | Path,
    crs: CRS | None = None,
    clock: Callable[[], datetime] = utc_now,
    new_uuid: Callable[[], str] = new_uuid,
) -> GeoPackageStore:
    """Open the session at `path`, or create it with geometry in `crs`. Raises what `open` and `create` raise."""
    if not Path(path).exists():
        try:
            return GeoPackageStore.create(path, crs, clock, new_uuid)
        except BadOutput:
            if not Path(path).exists():  # else another process made it meanwhile
                raise
    return GeoPackageStore.open(path, clock, new_uuid)


def _check_version(db: sqlite3.Connection, path: Path) -> None:
    row = None
    if has_table(db, "meta") and has_table(db, "objects") and has_table(db, "gpkg_geometry_columns"):
        row = db.execute("SELECT value FROM meta WHERE \"key\" = 'terraclick_session'").fetchone()
    if row is None:
        raise BadData(f"{path} is not a session made by TerraClick: import its polygons into a session instead.")
    if not str(row[0]).isdigit() or int(row[0]) > VERSION:
        raise BadData(
            f"{path} was made by a newer TerraClick (session version {row[0]}, known {VERSION}): upgrade to open it."
        )
