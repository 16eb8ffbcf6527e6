"""The session on disk: a GeoPackage that QGIS can open at any moment, written by stdlib sqlite3 alone.

`GeoPackageStore` is the one implementation of `Store`. Every change is committed (WAL, synchronous=FULL) before the
call returns; the file is checkpointed into a single plain file at close. Geometry is kept in the file's CRS, chosen
when it is created; images in another CRS are reprojected on the way in.

What is in the file: `objects` (a feature layer with a spatial index), and the attribute tables `clicks`, `views`,
`classes`, `references`, `images`, `drafts` (click sessions not yet accepted), `meta`. Rows that QGIS or OGR added or
changed are adopted: a trigger raises `rev` on every change from outside, so that a stale save is a Conflict and never a
silent loss.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol
from uuid import uuid4

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.core.click import Reference
from terraclick.errors import BadConfig, BadData, BadOutput, Conflict, NotGeoreferenced, UnknownName
from terraclick.geo.measure import area_m2, perimeter_m

__all__ = [
    "GeoPackageStore",
    "MapClass",
    "MapObject",
    "Store",
    "StoredClick",
    "StoredDraft",
    "StoredImage",
    "StoredReference",
    "StoredView",
    "check_geometry",
    "files_hash",
    "image_hash",
    "new_uuid",
    "open_store",
    "png",
    "reproject",
    "utc_now",
]

VERSION = 1
"""Layout of the session tables; a file with a higher number is refused."""

Bounds = tuple[float, float, float, float]
Stretch = str | tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class MapObject:
    """One accepted outline and what is known about it; geometry is a Polygon or MultiPolygon.

    The store fills empty `uuid`, `created`, `updated` and always `area_m2`, `perimeter_m` (geodesic; None where the
    file has no CRS) and `rev`, which counts the changes. `image` is the path of a StoredImage or "". `attributes` are
    the values of the class's own columns, kept as JSON.
    """

    uuid: str = ""
    image: str = ""
    class_name: str = ""
    label: str = ""
    target: str = "object"
    score: float | None = None
    geometry: BaseGeometry
    area_m2: float | None = None
    perimeter_m: float | None = None
    n_clicks: int = 0
    model: str = ""
    model_hash: str = ""
    status: str = "accepted"
    author: str = ""
    rev: int = 0
    created: str = ""
    updated: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredClick:
    """One click of an object: row, col in pixels of its StoredView, x, y on the map in the image's CRS."""

    row: float
    col: float
    x: float
    y: float
    positive: bool = True
    time: str = ""


@dataclass(frozen=True)
class StoredView:
    """What the model saw: the arguments of `read_view` and the shape it gave, so that a replay is exact.

    bounds (left, bottom, right, top) in the image's CRS; gsd in metres or None; divisions e.g. (2, 3, 4) or ().
    """

    image: str
    bounds: Bounds | None = None
    gsd: float | None = None
    bands: tuple[int, ...] | None = None
    stretch: Stretch = "auto"
    divisions: tuple[int, ...] = ()
    shape: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class MapClass:
    """A kind of thing: name, colour (#rrggbb), key (1–9 or ""), kind (discrete or coverage), schema of attributes."""

    name: str
    colour: str = "#e31a1c"
    key: str = ""
    kind: str = "discrete"
    schema: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("coverage", "discrete"):
            raise BadConfig(f"class {self.name!r} has kind {self.kind!r}; expected coverage or discrete.")


@dataclass(frozen=True)
class StoredReference:
    """A saved example of a class: the crop, its mask and its sign are those of `reference`."""

    class_name: str
    reference: Reference
    uuid: str = ""
    created: str = ""


@dataclass(frozen=True)
class StoredImage:
    """An image of the session: path (its key), cheap hash, CRS (None for pixel coordinates), bounds in that CRS."""

    path: str
    hash: str = ""
    crs: CRS | None = None
    bounds: Bounds | None = None


@dataclass(frozen=True)
class StoredDraft:
    """A click session that was not accepted yet: whose, on which image, and what was done so far (JSON values)."""

    uuid: str
    author: str
    image: str
    content: dict[str, Any]
    updated: str = ""


class Store(Protocol):
    """Where a session lives. Every change is durable when the call returns."""

    @property
    def crs(self) -> CRS | None:
        """The CRS of every geometry that comes out; None means image pixels."""
        ...

    def add(
        self,
        item: MapObject,
        clicks: Sequence[StoredClick] = (),
        view: StoredView | None = None,
        crs: CRS | None = None,
    ) -> MapObject:
        """Keep an object with its clicks and view; its geometry is in `crs`, by default that of its image."""
        ...

    def update(
        self,
        item: MapObject,
        clicks: Sequence[StoredClick] | None = None,
        view: StoredView | None = None,
        crs: CRS | None = None,
    ) -> MapObject:
        """Save a changed object if its rev is still the stored one, else Conflict; `crs` is by default the store's."""
        ...

    def delete(self, uuid: str) -> None:
        """Remove an object, its clicks and its view."""
        ...

    def get(self, uuid: str) -> MapObject:
        """One object by its uuid."""
        ...

    def objects(
        self,
        image: str | None = None,
        class_name: str | None = None,
        status: str | None = None,
        bbox: Bounds | None = None,
    ) -> list[MapObject]:
        """Objects in the order they were kept; bbox is in the store's CRS."""
        ...

    def tally(self) -> list[tuple[str, str, str, int]]:
        """(image, class, status, how many objects) for all there are."""
        ...

    def clicks_of(self, uuid: str) -> tuple[StoredClick, ...]:
        """The clicks of an object in the order given."""
        ...

    def view_of(self, uuid: str) -> StoredView | None:
        """What the model saw for an object."""
        ...

    def set_class(self, item: MapClass) -> None:
        """Add a class or change the one of that name."""
        ...

    def classes(self) -> tuple[MapClass, ...]:
        """All classes in the order added."""
        ...

    def add_reference(self, item: StoredReference) -> StoredReference:
        """Keep an example of a class."""
        ...

    def references(self, class_name: str | None = None) -> tuple[StoredReference, ...]:
        """Saved examples, of one class or of all."""
        ...

    def add_image(self, item: StoredImage) -> None:
        """Register an image, or renew the one of that path."""
        ...

    def images(self) -> tuple[StoredImage, ...]:
        """All images in the order added."""
        ...

    def rename_class(self, name: str, new: str) -> None:
        """Give a class another name; its objects and examples follow."""
        ...

    def delete_class(self, name: str) -> None:
        """Remove a class; objects keep its name."""
        ...

    def delete_reference(self, uuid: str) -> None:
        """Remove an example."""
        ...

    def save_draft(self, item: StoredDraft) -> None:
        """Keep a click session that is not accepted yet, or renew the one of that uuid."""
        ...

    def delete_draft(self, uuid: str) -> None:
        """Forget one, if it is there."""
        ...

    def drafts(self) -> tuple[StoredDraft, ...]:
        """All of them, in the order begun."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Several changes as one: all are kept when it ends, or none."""
        ...

    def close(self) -> None:
        """Checkpoint and close; a second call does nothing."""
        ...


def image_hash(path: str | Path) -> str:
    """SHA-256 of the size and the first and last MiB of a file: cheap on any size. Raises BadData if unreadable."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            digest = hashlib.sha256(str(size).encode())
            for start in (0, max(0, size - (1 << 20))):
                file.seek(start)
                digest.update(file.read(1 << 20))
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error.strerror}): check the path.") from None
    return digest.hexdigest()


def files_hash(paths: Sequence[str | Path]) -> str:
    """Says which files these are: the start of a hash over their `image_hash`es; "" without any. Raises BadData."""
    return hashlib.sha256("".join(image_hash(path) for path in paths).encode()).hexdigest()[:16] if paths else ""


def reproject(geometry: BaseGeometry, source: CRS | None, target: CRS | None) -> BaseGeometry:
    """The geometry in another CRS (always x east, y north); unchanged if they are equal or both None.

    Raises NotGeoreferenced if only one side has a CRS, BadData if a vertex has no place in the target.
    """
    if source is None or target is None:
        if source is target:
            return geometry
        side = "into pixel coordinates" if target is None else "from pixel coordinates"
        raise NotGeoreferenced(f"a geometry cannot be carried {side}: one of the two sides has no coordinate system.")
    if source.equals(target, ignore_axis_order=True):
        return geometry
    try:
        transformer = Transformer.from_crs(source, target, always_xy=True)
    except ProjError:
        raise BadData(f"nothing leads from {source.name} to {target.name}: choose another CRS.") from None
    moved: BaseGeometry = shapely.transform(geometry, transformer.transform, interleaved=False)
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise BadData(f"a geometry lies outside the area where {target.name} is defined: choose another CRS.")
    return moved


# --- GeoPackage binary geometry -------------------------------------------------------------------------------------

_ENVELOPE_DOUBLES = {0: 0, 1: 4, 2: 6, 3: 6, 4: 8}


def _encode_geometry(geometry: BaseGeometry, srs_id: int) -> bytes:
    """Any polygon as a GeoPackage MultiPolygon: header with XY envelope, little endian, then WKB."""
    min_x, min_y, max_x, max_y = geometry.bounds
    header = b"GP" + struct.pack("<BBi4d", 0, 0b011, srs_id, min_x, max_x, min_y, max_y)
    return header + bytes(shapely.to_wkb(_as_multi(geometry), byte_order=1, output_dimension=2))


def _header_length(blob: bytes) -> int:
    if len(blob) < 8 or blob[:2] != b"GP":
        raise BadData("a geometry in the session file is not GeoPackage binary: the file is damaged.")
    doubles = _ENVELOPE_DOUBLES.get((blob[3] >> 1) & 7)
    if doubles is None:
        raise BadData("a geometry in the session file has an unknown envelope: the file is damaged.")
    return 8 + 8 * doubles


def _decode_geometry(blob: bytes) -> MultiPolygon:
    try:
        geometry = shapely.from_wkb(blob[_header_length(blob) :])
    except shapely.errors.GEOSException:
        raise BadData("a geometry in the session file cannot be decoded: the file is damaged.") from None
    return _as_multi(shapely.force_2d(geometry))


def _as_multi(geometry: BaseGeometry) -> MultiPolygon:
    """A (Multi)Polygon as MultiPolygon. Raises BadData for other kinds, empty ones and ones with NaN."""
    if isinstance(geometry, Polygon):
        geometry = MultiPolygon([] if geometry.is_empty else [geometry])
    if not isinstance(geometry, MultiPolygon):
        raise BadData(
            f"a {geometry.geom_type} was given where a session keeps polygons: pass a Polygon or MultiPolygon."
        )
    return geometry


def _extent(blob: bytes | None) -> tuple[float, float, float, float] | None:
    """(min x, max x, min y, max y) of a GeoPackage geometry, from its envelope if it has one; None if empty."""
    if blob is None or (blob[3] >> 4) & 1:
        return None
    start = _header_length(blob)
    if start > 8:
        order = "<" if blob[3] & 1 else ">"
        values: tuple[float, float, float, float] = struct.unpack_from(order + "4d", blob, 8)
        return None if math.isnan(values[0]) else values
    geometry = shapely.from_wkb(blob[start:])
    if geometry.is_empty:
        return None
    min_x, min_y, max_x, max_y = geometry.bounds
    return min_x, max_x, min_y, max_y


def _register_functions(db: sqlite3.Connection) -> None:
    """The ST_* functions that GeoPackage spatial index triggers call."""

    def part(index: int) -> Callable[[bytes | None], float | None]:
        def read(blob: bytes | None) -> float | None:
            extent = _extent(blob)
            return None if extent is None else extent[index]

        return read

    for index, name in enumerate(("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY")):
        db.create_function(name, 1, part(index), deterministic=True)
    db.create_function("ST_IsEmpty", 1, lambda blob: None if blob is None else int(_extent(blob) is None))


# --- tables ---------------------------------------------------------------------------------------------------------

_CORE_TABLES = """
CREATE TABLE gpkg_spatial_ref_sys (
  srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT,
  definition_12_063 TEXT NOT NULL DEFAULT 'undefined');
CREATE TABLE gpkg_contents (
  table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '',
  last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL,
  z TINYINT NOT NULL, m TINYINT NOT NULL,
  CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
  CONSTRAINT uk_gc_table_name UNIQUE (table_name),
  CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
CREATE TABLE gpkg_extensions (
  table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL, scope TEXT NOT NULL,
  CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
INSERT INTO gpkg_extensions VALUES
  ('gpkg_spatial_ref_sys', 'definition_12_063', 'gpkg_crs_wkt',
   'http://www.geopackage.org/spec/#extension_crs_wkt', 'read-write'),
  ('objects', 'geom', 'gpkg_rtree_index', 'http://www.geopackage.org/spec/#extension_rtree', 'write-only');
"""

_SESSION_TABLES = """
CREATE TABLE objects (
  fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom MULTIPOLYGON,
  uuid TEXT UNIQUE, image TEXT, class TEXT, label TEXT, target TEXT, score DOUBLE, area_m2 DOUBLE, perimeter_m DOUBLE,
  n_clicks INTEGER, model TEXT, model_hash TEXT, status TEXT, author TEXT, rev INTEGER,
  created DATETIME, updated DATETIME, attributes TEXT);
CREATE INDEX objects_by_image ON objects(image);
CREATE TABLE clicks (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, object TEXT NOT NULL, "order" INTEGER NOT NULL, "row" DOUBLE NOT NULL,
  col DOUBLE NOT NULL, x DOUBLE NOT NULL, y DOUBLE NOT NULL, positive BOOLEAN NOT NULL, time DATETIME);
CREATE UNIQUE INDEX clicks_by_object ON clicks(object, "order");
CREATE TABLE views (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, object TEXT NOT NULL UNIQUE, image TEXT NOT NULL, "left" DOUBLE,
  bottom DOUBLE, "right" DOUBLE, top DOUBLE, gsd DOUBLE, bands TEXT, stretch TEXT, divisions TEXT,
  "rows" INTEGER, cols INTEGER);
CREATE TABLE classes (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name TEXT NOT NULL UNIQUE, colour TEXT, "key" TEXT,
  kind TEXT, schema TEXT);
CREATE TABLE "references" (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, uuid TEXT NOT NULL UNIQUE, class TEXT NOT NULL,
  positive BOOLEAN NOT NULL, crop BLOB NOT NULL, mask BLOB NOT NULL, created DATETIME);
CREATE TABLE images (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, path TEXT NOT NULL UNIQUE, hash TEXT, crs TEXT,
  "left" DOUBLE, bottom DOUBLE, "right" DOUBLE, top DOUBLE);
CREATE TABLE meta (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "key" TEXT NOT NULL UNIQUE, value TEXT);
"""

_DRAFTS_TABLE = """
CREATE TABLE drafts (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, uuid TEXT NOT NULL UNIQUE, author TEXT NOT NULL, image TEXT NOT NULL,
  content TEXT NOT NULL, updated DATETIME)
"""

# The spatial index of the GeoPackage 1.3 standard (extension F.3), then what notices changes made by other programs.
_TRIGGERS = """
CREATE VIRTUAL TABLE rtree_objects_geom USING rtree(id, minx, maxx, miny, maxy);
CREATE TRIGGER rtree_objects_geom_insert AFTER INSERT ON objects
  WHEN (NEW.geom NOT NULL AND NOT ST_IsEmpty(NEW.geom)) BEGIN
  INSERT OR REPLACE INTO rtree_objects_geom VALUES (
    NEW.fid, ST_MinX(NEW.geom), ST_MaxX(NEW.geom), ST_MinY(NEW.geom), ST_MaxY(NEW.geom)); END;
CREATE TRIGGER rtree_objects_geom_update1 AFTER UPDATE OF geom ON objects
  WHEN OLD.fid = NEW.fid AND (NEW.geom NOTNULL AND NOT ST_IsEmpty(NEW.geom)) BEGIN
  INSERT OR REPLACE INTO rtree_objects_geom VALUES (
    NEW.fid, ST_MinX(NEW.geom), ST_MaxX(NEW.geom), ST_MinY(NEW.geom), ST_MaxY(NEW.geom)); END;
CREATE TRIGGER rtree_objects_geom_update2 AFTER UPDATE OF geom ON objects
  WHEN OLD.fid = NEW.fid AND (NEW.geom ISNULL OR ST_IsEmpty(NEW.geom)) BEGIN
  DELETE FROM rtree_objects_geom WHERE id = OLD.fid; END;
CREATE TRIGGER rtree_objects_geom_update3 AFTER UPDATE ON objects
  WHEN OLD.fid != NEW.fid AND (NEW.geom NOTNULL AND NOT ST_IsEmpty(NEW.geom)) BEGIN
  DELETE FROM rtree_objects_geom WHERE id = OLD.fid;
  INSERT OR REPLACE INTO rtree_objects_geom VALUES (
    NEW.fid, ST_MinX(NEW.geom), ST_MaxX(NEW.geom), ST_MinY(NEW.geom), ST_MaxY(NEW.geom)); END;
CREATE TRIGGER rtree_objects_geom_update4 AFTER UPDATE ON objects
  WHEN OLD.fid != NEW.fid AND (NEW.geom ISNULL OR ST_IsEmpty(NEW.geom)) BEGIN
  DELETE FROM rtree_objects_geom WHERE id IN (OLD.fid, NEW.fid); END;
CREATE TRIGGER rtree_objects_geom_delete AFTER DELETE ON objects WHEN OLD.geom NOT NULL BEGIN
  DELETE FROM rtree_objects_geom WHERE id = OLD.fid; END;
CREATE TRIGGER objects_touched AFTER UPDATE ON objects WHEN NEW.rev IS OLD.rev BEGIN
  UPDATE objects SET rev = coalesce(OLD.rev, 0) + 1 WHERE fid = NEW.fid; END;
CREATE TRIGGER objects_reshaped AFTER UPDATE OF geom ON objects WHEN NEW.rev IS OLD.rev BEGIN
  UPDATE objects SET area_m2 = NULL, perimeter_m = NULL, rev = coalesce(OLD.rev, 0) + 1 WHERE fid = NEW.fid; END;
"""

_ATTRIBUTE_TABLES = ("clicks", "views", "classes", "references", "images", "meta")
_CONTENTS = "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) VALUES (?, ?, ?, ?, ?)"

_COLUMNS = (
    "uuid, image, class, label, target, score, area_m2, perimeter_m, n_clicks, model, model_hash, status, author, rev, "
    "created, updated, attributes"
)


def _srs_row(crs: CRS) -> tuple[str, int, str, int, str, str, str]:
    """The gpkg_spatial_ref_sys row of a CRS; custom ones get number 100000."""
    code = crs.to_epsg(min_confidence=100)
    try:
        wkt1 = crs.to_wkt("WKT1_GDAL")
    except CRSError:
        wkt1 = "undefined"
    if code is None:
        return crs.name, 100000, "NONE", 100000, wkt1, "", crs.to_wkt()
    return crs.name, code, "EPSG", code, wkt1, "", crs.to_wkt()


def _create_tables(db: sqlite3.Connection, crs: CRS | None) -> None:
    """Lay an empty session out in an empty database, inside the caller's transaction."""
    for statement in _statements(_CORE_TABLES):
        db.execute(statement)
    wgs84 = CRS.from_epsg(4326)
    rows: list[tuple[Any, ...]] = [
        (
            "Undefined cartesian SRS",
            -1,
            "NONE",
            -1,
            "undefined",
            "undefined cartesian coordinate reference system",
            "undefined",
        ),
        (
            "Undefined geographic SRS",
            0,
            "NONE",
            0,
            "undefined",
            "undefined geographic coordinate reference system",
            "undefined",
        ),
        _srs_row(wgs84),
    ]
    srs_id = -1
    if crs is not None:
        row = _srs_row(crs)
        srs_id = row[1]
        if srs_id != 4326:
            rows.append(row)
    db.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    for statement in _statements(_SESSION_TABLES):
        db.execute(statement)
    db.execute(_CONTENTS, ("objects", "features", "objects", "Outlines made with TerraClick", srs_id))
    for table in _ATTRIBUTE_TABLES:
        db.execute(_CONTENTS, (table, "attributes", table, "", None))
    _add_what_is_new(db)
    db.execute("INSERT INTO gpkg_geometry_columns VALUES ('objects', 'geom', 'MULTIPOLYGON', ?, 0, 0)", (srs_id,))
    for statement in _statements(_TRIGGERS):
        db.execute(statement)
    db.execute('INSERT INTO meta ("key", value) VALUES (?, ?)', ("terraclick_session", str(VERSION)))


def _add_what_is_new(db: sqlite3.Connection) -> None:
    """Give a file of an earlier release the table and the column it lacks, inside the caller's transaction."""
    if not _has_table(db, "drafts"):
        db.execute(_DRAFTS_TABLE)
        db.execute(_CONTENTS, ("drafts", "attributes", "drafts", "", None))
    if "attributes" not in {row[1] for row in db.execute("PRAGMA table_info(objects)")}:
        db.execute("ALTER TABLE objects ADD COLUMN attributes TEXT")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one (executescript would commit the transaction they belong to)."""
    statement = ""
    for line in script.strip().splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(timezone.utc)


def new_uuid() -> str:
    """A random name for an object."""
    return str(uuid4())


def png(array: NDArray[np.uint8]) -> bytes:
    """A picture (h, w[, 3] BGR) as PNG."""
    return bytes(cv2.imencode(".png", array)[1])


class GeoPackageStore:
    """A session in a GeoPackage; see `Store`. Safe to share between threads; several processes may write at once.

    `create` and `open` make one; `clock` and `new_uuid` can be replaced to make every byte repeatable.
    """

    def __init__(
        self,
        path: Path,
        db: sqlite3.Connection,
        clock: Callable[[], datetime] = utc_now,
        new_uuid: Callable[[], str] = new_uuid,
    ) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = db
        self._clock = clock
        self._new_uuid = new_uuid
        self._lock = threading.RLock()
        self._image_crs: dict[str, CRS | None] = {}
        self._crs, self._srs_id = self._read_crs()

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
        if not path.parent.is_dir():
            raise BadOutput(f"{path} cannot be written: the folder {path.parent} does not exist.")
        with _sqlite_errors(path):
            db = _connect(path)
            try:
                db.execute("PRAGMA application_id = 0x47504B47")
                db.execute("PRAGMA user_version = 10300")
                _enter_wal(db)
                db.execute("BEGIN IMMEDIATE")
                if not _has_table(db, "meta"):
                    _create_tables(db, crs)
                db.execute("COMMIT")
            except sqlite3.Error:
                db.close()
                raise
            return cls(path, db, clock, new_uuid)

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
        with _sqlite_errors(path):
            db = _connect(path)
            try:
                _check_version(db, path)
                _enter_wal(db)
                store = cls(path, db, clock, new_uuid)
                with store._transaction():
                    _add_what_is_new(db)
                store._adopt()
            except BaseException:
                db.close()
                raise
            return store

    def __enter__(self) -> GeoPackageStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def crs(self) -> CRS | None:
        """The CRS of every geometry that comes out; None means image pixels (x = column, y = row, down)."""
        return self._crs

    # -- objects

    def add(
        self,
        item: MapObject,
        clicks: Sequence[StoredClick] = (),
        view: StoredView | None = None,
        crs: CRS | None = None,
    ) -> MapObject:
        """Keep an object with its clicks and view, and give it back as stored (uuid, rev 1, area, times, file's CRS).

        `crs` is that of its geometry, by default its image's. Raises Conflict if the uuid is taken, UnknownName for an
        image that was not added, BadData for anything but a non-empty polygon.
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
            kept = [self._insert(db, item, clicks, view, crs, now) for item, clicks, view in items]
            for item in kept:
                self._grow_extent(db, item.geometry)
        return kept

    def update(
        self,
        item: MapObject,
        clicks: Sequence[StoredClick] | None = None,
        view: StoredView | None = None,
        crs: CRS | None = None,
    ) -> MapObject:
        """Save a changed object if its rev is still the stored one; its geometry is in `crs`, by default the file's.

        `clicks` and `view` replace the stored ones unless None. Raises Conflict (with `mine` and `theirs`, None if it
        was deleted) if somebody else saved it meanwhile.
        """
        geometry = check_geometry(reproject(item.geometry, crs or self._crs, self._crs))
        with self._transaction() as db:
            theirs = self._find(db, item.uuid)
            if theirs is None or theirs.rev != item.rev:
                fate = "was deleted" if theirs is None else f"is at revision {theirs.rev}, yours is {item.rev}"
                raise Conflict(f"object {item.uuid} {fate}: reload it and apply your change again.", item, theirs)
            now = self._time()
            stored = self._measured(
                replace(item, geometry=geometry, rev=item.rev + 1, updated=now, created=theirs.created)
            )
            marks = ", ".join(f"{name.strip()} = ?" for name in _COLUMNS.split(","))
            db.execute(
                f"UPDATE objects SET geom = ?, {marks} WHERE uuid = ?",
                (_encode_geometry(geometry, self._srs_id), *_values(stored), item.uuid),
            )
            if clicks is not None:
                db.execute("DELETE FROM clicks WHERE object = ?", (item.uuid,))
                self._insert_clicks(db, item.uuid, clicks, now)
            if view is not None:
                db.execute("DELETE FROM views WHERE object = ?", (item.uuid,))
                self._insert_view(db, item.uuid, view)
            self._grow_extent(db, geometry)
        return stored

    def delete(self, uuid: str) -> None:
        """Remove an object, its clicks and its view. Raises UnknownName if there is none."""
        with self._transaction() as db:
            if db.execute("DELETE FROM objects WHERE uuid = ?", (uuid,)).rowcount == 0:
                raise UnknownName(f"no object {uuid!r} in {self.path}: it may have been deleted.")
            db.execute("DELETE FROM clicks WHERE object = ?", (uuid,))
            db.execute("DELETE FROM views WHERE object = ?", (uuid,))
            db.execute("UPDATE gpkg_contents SET last_change = ? WHERE table_name = 'objects'", (self._time(),))

    def get(self, uuid: str) -> MapObject:
        """One object by its uuid. Raises UnknownName if there is none."""
        with self._reading() as db:
            item = self._find(db, uuid)
        if item is None:
            raise UnknownName(f"no object {uuid!r} in {self.path}: it may have been deleted.")
        return item

    def objects(
        self,
        image: str | None = None,
        class_name: str | None = None,
        status: str | None = None,
        bbox: Bounds | None = None,
    ) -> list[MapObject]:
        """Objects in the order they were kept; bbox (left, bottom, right, top) in the file's CRS meets their boxes."""
        wanted = [("image", image), ("class", class_name), ("status", status)]
        conditions = [
            "uuid IS NOT NULL AND geom IS NOT NULL",
            *(f"{name} = ?" for name, value in wanted if value is not None),
        ]
        values: list[Any] = [value for _, value in wanted if value is not None]
        if bbox is not None:
            left, bottom, right, top = bbox
            conditions.append(
                "fid IN (SELECT id FROM rtree_objects_geom WHERE maxx >= ? AND minx <= ? AND maxy >= ? AND miny <= ?)"
            )
            values += [left, right, min(bottom, top), max(bottom, top)]
        query = f"SELECT {_COLUMNS}, geom FROM objects WHERE {' AND '.join(conditions)} ORDER BY fid"
        with self._reading() as db:
            return [self._object(row) for row in db.execute(query, values)]

    def tally(self) -> list[tuple[str, str, str, int]]:
        """(image, class, status, how many objects) for all there are, without reading them."""
        names = "coalesce(image, ''), coalesce(class, ''), coalesce(status, '')"
        query = f"SELECT {names}, count(*) FROM objects WHERE uuid IS NOT NULL AND geom IS NOT NULL GROUP BY 1, 2, 3"
        with self._reading() as db:
            return [(image, name, status, number) for image, name, status, number in db.execute(query).fetchall()]

    def clicks_of(self, uuid: str) -> tuple[StoredClick, ...]:
        """The clicks of an object in the order given; empty for one that has none."""
        query = 'SELECT "row", col, x, y, positive, time FROM clicks WHERE object = ? ORDER BY "order"'
        with self._reading() as db:
            rows = db.execute(query, (uuid,)).fetchall()
        return tuple(StoredClick(row, col, x, y, bool(positive), time) for row, col, x, y, positive, time in rows)

    def view_of(self, uuid: str) -> StoredView | None:
        """What the model saw for an object; None if it was not made from a view."""
        query = (
            'SELECT image, "left", bottom, "right", top, gsd, bands, stretch, divisions, "rows", cols FROM views '
            "WHERE object = ?"
        )
        with self._reading() as db:
            row = db.execute(query, (uuid,)).fetchone()
        if row is None:
            return None
        image, left, bottom, right, top, gsd, bands, stretch, divisions, rows, cols = row
        ranges = json.loads(stretch)
        return StoredView(
            image,
            None if left is None else (left, bottom, right, top),
            gsd,
            None if bands is None else tuple(json.loads(bands)),
            ranges if isinstance(ranges, str) else tuple((float(low), float(high)) for low, high in ranges),
            tuple(json.loads(divisions)),
            (rows, cols),
        )

    # -- classes, references, images

    def set_class(self, item: MapClass) -> None:
        """Add a class or change the one of that name."""
        values = (item.colour, item.key, item.kind, json.dumps(item.schema), item.name)
        with self._transaction() as db:
            found = db.execute('UPDATE classes SET colour = ?, "key" = ?, kind = ?, schema = ? WHERE name = ?', values)
            if found.rowcount == 0:
                db.execute('INSERT INTO classes (colour, "key", kind, schema, name) VALUES (?, ?, ?, ?, ?)', values)

    def classes(self) -> tuple[MapClass, ...]:
        """All classes in the order added."""
        with self._reading() as db:
            rows = db.execute('SELECT name, colour, "key", kind, schema FROM classes ORDER BY id').fetchall()
        return tuple(MapClass(name, colour, key, kind, json.loads(schema)) for name, colour, key, kind, schema in rows)

    def add_reference(self, item: StoredReference) -> StoredReference:
        """Keep an example of a class and give it back with its uuid and time; crop and mask are stored losslessly."""
        stored = replace(item, uuid=item.uuid or self._new_uuid(), created=item.created or self._time())
        crop = png(np.ascontiguousarray(item.reference.image[..., ::-1]))
        mask = png(item.reference.mask.astype(np.uint8) * np.uint8(255))
        row = (stored.uuid, item.class_name, item.reference.positive, crop, mask, stored.created)
        with self._transaction() as db:
            db.execute(
                'INSERT INTO "references" (uuid, class, positive, crop, mask, created) VALUES (?, ?, ?, ?, ?, ?)', row
            )
        return stored

    def references(self, class_name: str | None = None) -> tuple[StoredReference, ...]:
        """Saved examples in the order added, of one class or of all."""
        query = (
            'SELECT uuid, class, positive, crop, mask, created FROM "references" '
            "WHERE ? IS NULL OR class = ? ORDER BY id"
        )
        with self._reading() as db:
            rows = db.execute(query, (class_name, class_name)).fetchall()
        return tuple(self._reference(*row) for row in rows)

    def rename_class(self, name: str, new: str) -> None:
        """Give a class another name; its objects and examples follow, each object at a new revision.

        Raises UnknownName if there is no class of that name, Conflict if `new` is taken.
        """
        with self._transaction() as db:
            if db.execute("SELECT 1 FROM classes WHERE name = ?", (new,)).fetchone() is not None:
                raise Conflict(f"there is a class {new!r} already: choose another name, or move the objects to it.")
            if db.execute("UPDATE classes SET name = ? WHERE name = ?", (new, name)).rowcount == 0:
                raise UnknownName(f"no class {name!r} in {self.path}.")
            db.execute('UPDATE "references" SET class = ? WHERE class = ?', (new, name))
            db.execute("UPDATE objects SET class = ?, updated = ? WHERE class = ?", (new, self._time(), name))

    def delete_class(self, name: str) -> None:
        """Remove a class; objects keep its name. Raises UnknownName if there is none."""
        with self._transaction() as db:
            if db.execute("DELETE FROM classes WHERE name = ?", (name,)).rowcount == 0:
                raise UnknownName(f"no class {name!r} in {self.path}.")

    def delete_reference(self, uuid: str) -> None:
        """Remove an example. Raises UnknownName if there is none."""
        with self._transaction() as db:
            if db.execute('DELETE FROM "references" WHERE uuid = ?', (uuid,)).rowcount == 0:
                raise UnknownName(f"no example {uuid!r} in {self.path}: it may have been deleted.")

    # -- click sessions that are not accepted yet

    def save_draft(self, item: StoredDraft) -> None:
        """Keep a click session that is not accepted yet, or renew the one of that uuid."""
        row = (item.uuid, item.author, item.image, json.dumps(item.content), item.updated or self._time())
        with self._transaction() as db:
            db.execute(
                "INSERT INTO drafts (uuid, author, image, content, updated) VALUES (?, ?, ?, ?, ?) ON CONFLICT (uuid) "
                "DO UPDATE SET author = excluded.author, image = excluded.image, content = excluded.content, "
                "updated = excluded.updated",
                row,
            )

    def delete_draft(self, uuid: str) -> None:
        """Forget a click session, if it is there."""
        with self._transaction() as db:
            db.execute("DELETE FROM drafts WHERE uuid = ?", (uuid,))

    def drafts(self) -> tuple[StoredDraft, ...]:
        """All click sessions that are not accepted yet, in the order begun; damaged ones are left out."""
        with self._reading() as db:
            rows = db.execute("SELECT uuid, author, image, content, updated FROM drafts ORDER BY id").fetchall()
        return tuple(
            StoredDraft(uuid, author, image, _attributes(content), updated)
            for uuid, author, image, content, updated in rows
        )

    # -- images

    def add_image(self, item: StoredImage) -> None:
        """Register an image, or renew the one of that path.

        Raises NotGeoreferenced if the image has a CRS and the session keeps pixels, or the other way round.
        """
        if (item.crs is None) != (self._crs is None):
            if item.crs is None:
                way = f"has no coordinate system but {self.path} keeps {self._crs.name if self._crs else ''}"
            else:
                way = f"has a coordinate system but {self.path} keeps plain pixel coordinates"
            raise NotGeoreferenced(f"{item.path} {way}: georeference the image, or start another session file for it.")
        left, bottom, right, top = item.bounds or (None, None, None, None)
        values = (item.hash, None if item.crs is None else item.crs.to_wkt(), left, bottom, right, top, item.path)
        with self._transaction() as db:
            renewed = db.execute(
                'UPDATE images SET hash = ?, crs = ?, "left" = ?, bottom = ?, "right" = ?, top = ? WHERE path = ?',
                values,
            )
            if renewed.rowcount == 0:
                db.execute(
                    'INSERT INTO images (hash, crs, "left", bottom, "right", top, path) VALUES (?, ?, ?, ?, ?, ?, ?)',
                    values,
                )
        with self._lock:
            self._image_crs.pop(item.path, None)

    def images(self) -> tuple[StoredImage, ...]:
        """All images in the order added."""
        with self._reading() as db:
            rows = db.execute('SELECT path, hash, crs, "left", bottom, "right", top FROM images ORDER BY id').fetchall()
        return tuple(
            StoredImage(
                path,
                digest,
                None if wkt is None else CRS.from_wkt(wkt),
                None if left is None else (left, bottom, right, top),
            )
            for path, digest, wkt, left, bottom, right, top in rows
        )

    # -- the file

    def backup(self, path: str | Path) -> None:
        """A consistent copy while others write. Raises BadOutput if `path` exists or cannot be written."""
        path = Path(path)
        if path.exists():
            raise BadOutput(f"{path} already exists: choose another name for the backup.")
        if not path.parent.is_dir():
            raise BadOutput(f"{path} cannot be written: the folder {path.parent} does not exist.")
        with self._reading() as db, _sqlite_errors(path):
            copy = sqlite3.connect(path)
            try:
                db.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
            finally:
                copy.close()

    def close(self) -> None:
        """Fold everything into the one file and close; a process that still has it open will do that instead."""
        with self._lock:
            db, self._db = self._db, None
            if db is None:
                return
            try:
                db.execute("PRAGMA busy_timeout = 100")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                db.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.OperationalError:
                pass  # somebody else holds the file; the log beside it is complete and theirs to fold in
            finally:
                db.close()

    # -- within

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _sqlite_errors(self.path):
            if self._db is None:
                raise BadConfig(f"{self.path} was closed: open the session again.")
            yield self._db

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and on disk when it ends."""
        with self._reading() as db:
            if db.in_transaction:  # ours: the lock is held
                yield db
                return
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several changes as one: all are on disk when it ends, or none."""
        with self._transaction():
            yield

    def _time(self) -> str:
        return self._clock().astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

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
        return CRS.from_wkt(wkt2 if wkt2 and wkt2 != "undefined" else wkt1), srs_id

    def _adopt(self) -> None:
        """Give rows drawn in another program what ours have: uuid, revision, status."""
        with self._reading() as db:
            if db.execute("SELECT 1 FROM objects WHERE uuid IS NULL OR rev IS NULL LIMIT 1").fetchone() is None:
                return
        with self._transaction() as db:
            now = self._time()
            for (fid,) in db.execute("SELECT fid FROM objects WHERE uuid IS NULL OR rev IS NULL").fetchall():
                db.execute(
                    "UPDATE objects SET uuid = coalesce(uuid, ?), rev = coalesce(rev, 1), "
                    "status = coalesce(status, 'accepted'), created = coalesce(created, ?), "
                    "updated = coalesce(updated, ?) WHERE fid = ?",
                    (self._new_uuid(), now, now, fid),
                )

    def _crs_of_image(self, db: sqlite3.Connection, image: str) -> CRS | None:
        if image not in self._image_crs:
            row = db.execute("SELECT crs FROM images WHERE path = ?", (image,)).fetchone()
            if row is None:
                raise UnknownName(f"no image {image!r} in {self.path}: add the image before its objects.")
            self._image_crs[image] = None if row[0] is None else CRS.from_wkt(row[0])
        return self._image_crs[image]

    def _insert(
        self,
        db: sqlite3.Connection,
        item: MapObject,
        clicks: Sequence[StoredClick],
        view: StoredView | None,
        crs: CRS | None,
        now: str,
    ) -> MapObject:
        image_crs = self._crs_of_image(db, item.image) if item.image else self._crs
        stored = self._measured(
            replace(
                item,
                uuid=item.uuid or self._new_uuid(),
                geometry=check_geometry(reproject(item.geometry, crs or image_crs, self._crs)),
                n_clicks=item.n_clicks or len(clicks),
                rev=item.rev + 1,
                created=item.created or now,
                updated=item.updated or now,
            )
        )
        marks = ", ".join("?" * (len(_COLUMNS.split(",")) + 1))
        try:
            db.execute(
                f"INSERT INTO objects (geom, {_COLUMNS}) VALUES ({marks})",
                (_encode_geometry(stored.geometry, self._srs_id), *_values(stored)),
            )
        except sqlite3.IntegrityError:
            theirs = self._find(db, stored.uuid)
            raise Conflict(f"object {stored.uuid} is already stored: update it instead.", item, theirs) from None
        self._insert_clicks(db, stored.uuid, clicks, now)
        if view is not None:
            self._insert_view(db, stored.uuid, view)
        return stored

    def _insert_clicks(self, db: sqlite3.Connection, uuid: str, clicks: Sequence[StoredClick], now: str) -> None:
        db.executemany(
            'INSERT INTO clicks (object, "order", "row", col, x, y, positive, time) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
            [(uuid, i, c.row, c.col, c.x, c.y, c.positive, c.time or now) for i, c in enumerate(clicks)],
        )

    def _insert_view(self, db: sqlite3.Connection, uuid: str, view: StoredView) -> None:
        left, bottom, right, top = view.bounds or (None, None, None, None)
        bands = None if view.bands is None else json.dumps(view.bands)
        stretch, divisions = json.dumps(view.stretch), json.dumps(view.divisions)
        db.execute(
            'INSERT INTO views (object, image, "left", bottom, "right", top, gsd, bands, stretch, divisions, "rows", '
            "cols) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (uuid, view.image, left, bottom, right, top, view.gsd, bands, stretch, divisions, *view.shape),
        )

    def _grow_extent(self, db: sqlite3.Connection, geometry: BaseGeometry) -> None:
        """Keep the layer's extent and time of last change, which other programs read first."""
        db.execute(
            "UPDATE gpkg_contents SET min_x = min(coalesce(min_x, ?1), ?1), min_y = min(coalesce(min_y, ?2), ?2), "
            "max_x = max(coalesce(max_x, ?3), ?3), max_y = max(coalesce(max_y, ?4), ?4), last_change = ?5 "
            "WHERE table_name = 'objects'",
            (*geometry.bounds, self._time()),
        )

    def _measured(self, item: MapObject) -> MapObject:
        if self._crs is None:
            return replace(item, area_m2=None, perimeter_m=None)
        return replace(
            item, area_m2=area_m2(item.geometry, self._crs), perimeter_m=perimeter_m(item.geometry, self._crs)
        )

    def _find(self, db: sqlite3.Connection, uuid: str) -> MapObject | None:
        row = db.execute(f"SELECT {_COLUMNS}, geom FROM objects WHERE uuid = ?", (uuid,)).fetchone()
        return None if row is None else self._object(row)

    def _object(self, row: tuple[Any, ...]) -> MapObject:
        """An object from its row; what another program left empty is filled with the plain default."""
        text = ["" if value is None else value for value in row[:5]]
        model, model_hash, status, author = ("" if value is None else value for value in row[9:13])
        item = MapObject(
            uuid=text[0],
            image=text[1],
            class_name=text[2],
            label=text[3],
            target=text[4] or "object",
            score=row[5],
            area_m2=row[6],
            perimeter_m=row[7],
            n_clicks=row[8] or 0,
            model=model,
            model_hash=model_hash,
            status=status,
            author=author,
            rev=row[13] or 0,
            created=row[14] or "",
            updated=row[15] or "",
            attributes=_attributes(row[16]),
            geometry=_decode_geometry(row[17]),
        )
        return self._measured(item) if item.area_m2 is None else item

    def _reference(
        self, uuid: str, class_name: str, positive: int, crop: bytes, mask: bytes, created: str
    ) -> StoredReference:
        image = cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_COLOR)
        levels = cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_GRAYSCALE)
        if image is None or levels is None:
            raise BadData(f"reference {uuid} in {self.path} cannot be decoded: the session file is damaged.")
        picture = np.ascontiguousarray(np.asarray(image, dtype=np.uint8)[..., ::-1])
        return StoredReference(class_name, Reference(picture, np.asarray(levels) > 127, bool(positive)), uuid, created)


def open_store(
    path: str | Path,
    crs: CRS | None = None,
    clock: Callable[[], datetime] = utc_now,
    new_uuid: Callable[[], str] = new_uuid,
) -> GeoPackageStore:
    """Open the session at `path`, or create it with geometry in `crs`. Raises what `open` and `create` raise."""
    if Path(path).exists():
        return GeoPackageStore.open(path, clock, new_uuid)
    return GeoPackageStore.create(path, crs, clock, new_uuid)


def _values(item: MapObject) -> tuple[Any, ...]:
    """An object's fields in the order of _COLUMNS."""
    names = (name.strip() for name in _COLUMNS.split(","))
    values = (getattr(item, "class_name" if name == "class" else name) for name in names)
    return tuple(json.dumps(value) if isinstance(value, dict) else value for value in values)


def _attributes(text: str | None) -> dict[str, Any]:
    """What stands in the attributes column; nothing where another program left no JSON object there."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def check_geometry(geometry: BaseGeometry) -> MultiPolygon:
    """A polygon as a store keeps it. Raises BadData for what is empty, not finite, or no polygon."""
    multi = _as_multi(geometry)
    if multi.is_empty or not np.isfinite(shapely.get_coordinates(multi)).all():
        raise BadData("an empty polygon, or one with a coordinate that is not a number, was given: nothing to store.")
    return multi


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous = FULL")
    _register_functions(db)
    return db


def _enter_wal(db: sqlite3.Connection, patience_s: float = 30.0) -> None:
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


def _has_table(db: sqlite3.Connection, name: str) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone() is not None


def _check_version(db: sqlite3.Connection, path: Path) -> None:
    row = None
    if _has_table(db, "meta") and _has_table(db, "objects") and _has_table(db, "gpkg_geometry_columns"):
        row = db.execute("SELECT value FROM meta WHERE \"key\" = 'terraclick_session'").fetchone()
    if row is None:
        raise BadData(f"{path} is not a session made by TerraClick: import its polygons into a session instead.")
    if not str(row[0]).isdigit() or int(row[0]) > VERSION:
        raise BadData(
            f"{path} was made by a newer TerraClick (session version {row[0]}, known {VERSION}): upgrade to open it."
        )


@contextmanager
def _sqlite_errors(path: Path) -> Iterator[None]:
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
