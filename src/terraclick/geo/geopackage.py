"""The file format of a session: what makes a GeoPackage out of an sqlite file, and the tables we keep in one.

Geometry as GeoPackage binary, the spatial index of the 1.3 standard (extension F.3) with the functions that its
triggers call, and the connection with its errors in the family's words. Nothing here knows what an object is.
"""

from __future__ import annotations

import math
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData, BadOutput

__all__ = [
    "add_what_is_new",
    "as_multi",
    "connect",
    "create_tables",
    "decode_geometries",
    "decode_geometry",
    "encode_geometry",
    "encode_point",
    "enter_wal",
    "has_table",
    "sqlite_errors",
]

# --- GeoPackage binary geometry -------------------------------------------------------------------------------------

_ENVELOPE_DOUBLES = {0: 0, 1: 4, 2: 6, 3: 6, 4: 8}


def encode_geometry(geometry: BaseGeometry, srs_id: int) -> bytes:
    """Any polygon as a GeoPackage MultiPolygon: header with XY envelope, little endian, then WKB."""
    min_x, min_y, max_x, max_y = geometry.bounds
    header = b"GP" + struct.pack("<BBi4d", 0, 0b011, srs_id, min_x, max_x, min_y, max_y)
    return header + bytes(shapely.to_wkb(as_multi(geometry), byte_order=1, output_dimension=2))


def encode_point(x: float, y: float, srs_id: int) -> bytes:
    """A place as a GeoPackage Point."""
    return b"GP" + struct.pack("<BBi", 0, 0b001, srs_id) + struct.pack("<BI2d", 1, 1, x, y)


def _header_length(blob: bytes) -> int:
    if not isinstance(blob, bytes) or len(blob) < 8 or blob[:2] != b"GP":
        raise BadData("a geometry in the session file is not GeoPackage binary: the file is damaged.")
    doubles = _ENVELOPE_DOUBLES.get((blob[3] >> 1) & 7)
    if doubles is None:
        raise BadData("a geometry in the session file has an unknown envelope: the file is damaged.")
    return 8 + 8 * doubles


def decode_geometry(blob: bytes) -> MultiPolygon:
    """The polygons in a GeoPackage geometry, height and measure left out. Raises BadData if it is damaged."""
    try:
        geometry = shapely.from_wkb(blob[_header_length(blob) :])
    except shapely.errors.GEOSException:
        raise BadData("a geometry in the session file cannot be decoded: the file is damaged.") from None
    return as_multi(shapely.force_2d(geometry))


def decode_geometries(blobs: Sequence[bytes]) -> list[BaseGeometry] | None:
    """`decode_geometry` for many at once; None where one of them is not a flat MultiPolygon as we write them."""
    try:
        shapes = shapely.from_wkb([blob[_header_length(blob) :] for blob in blobs])
    except (BadData, shapely.errors.GEOSException, TypeError, struct.error, IndexError):
        return None
    if len(blobs) and (
        not (shapely.get_type_id(shapes) == 6).all() or shapely.has_z(shapes).any() or shapely.has_m(shapes).any()
    ):
        return None
    found: list[BaseGeometry] = shapes.tolist() if len(blobs) else []
    return found


def as_multi(geometry: BaseGeometry) -> MultiPolygon:
    """A (Multi)Polygon as MultiPolygon. Raises BadData for other kinds."""
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
            extent = _extent_or_none(blob)
            return None if extent is None else extent[index]

        return read

    for index, name in enumerate(("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY")):
        db.create_function(name, 1, part(index), deterministic=True)
    db.create_function("ST_IsEmpty", 1, lambda blob: None if blob is None else int(_extent_or_none(blob) is None))


def _extent_or_none(blob: Any) -> tuple[float, float, float, float] | None:
    """The same for a trigger, which must not fail: what another program left there that is no geometry has none."""
    try:
        return _extent(blob) if isinstance(blob, bytes) else None
    except (BadData, shapely.errors.GEOSException, struct.error, IndexError):
        return None


# --- tables ---------------------------------------------------------------------------------------------------------

_SYSTEMS_TABLE = """
CREATE TABLE gpkg_spatial_ref_sys (
  srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT,
  definition_12_063 TEXT NOT NULL);
"""

_CORE_TABLES = f"""{_SYSTEMS_TABLE}
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
  col DOUBLE NOT NULL, x DOUBLE NOT NULL, y DOUBLE NOT NULL, positive BOOLEAN NOT NULL, time DATETIME, geom POINT);
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
  "left" DOUBLE, bottom DOUBLE, "right" DOUBLE, top DOUBLE, reading TEXT);
CREATE TABLE meta (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "key" TEXT NOT NULL UNIQUE, value TEXT);
"""

_STYLES_TABLE = """
CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
  f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), update_time DATETIME)
"""

_DRAFTS_TABLE = """
CREATE TABLE drafts (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, uuid TEXT NOT NULL UNIQUE, author TEXT NOT NULL, image TEXT NOT NULL,
  content TEXT NOT NULL, updated DATETIME)
"""

# The spatial index of the GeoPackage 1.3 standard (extension F.3).
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
"""

# What notices changes made by other programs: a new revision, no area where it may be another one, no orphans.
_NOTICING = """
CREATE TRIGGER objects_touched AFTER UPDATE ON objects WHEN NEW.rev IS OLD.rev BEGIN
  UPDATE objects SET rev = coalesce(OLD.rev, 0) + 1,
    area_m2 = CASE WHEN NEW.geom IS OLD.geom AND NEW.area_m2 IS OLD.area_m2 THEN NEW.area_m2 END,
    perimeter_m = CASE WHEN NEW.geom IS OLD.geom AND NEW.perimeter_m IS OLD.perimeter_m THEN NEW.perimeter_m END
  WHERE fid = NEW.fid; END;
CREATE TRIGGER objects_drawn AFTER INSERT ON objects WHEN NEW.uuid IS NULL AND NEW.area_m2 NOT NULL BEGIN
  UPDATE objects SET area_m2 = NULL, perimeter_m = NULL, rev = coalesce(NEW.rev, 0) + 1 WHERE fid = NEW.fid; END;
CREATE TRIGGER objects_gone AFTER DELETE ON objects BEGIN
  DELETE FROM clicks WHERE object = OLD.uuid; DELETE FROM views WHERE object = OLD.uuid; END;
"""

_ATTRIBUTE_TABLES = ("views", "classes", "references", "images", "meta")
_CONTENTS = "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) VALUES (?, ?, ?, ?, ?)"


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


def create_tables(db: sqlite3.Connection, crs: CRS | None, version: int) -> None:
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
    db.execute(_CONTENTS, ("clicks", "features", "clicks", "Clicks that the outlines were made from", srs_id))
    for table in _ATTRIBUTE_TABLES:
        db.execute(_CONTENTS, (table, "attributes", table, "", None))
    db.execute("INSERT INTO gpkg_geometry_columns VALUES ('objects', 'geom', 'MULTIPOLYGON', ?, 0, 0)", (srs_id,))
    db.execute("INSERT INTO gpkg_geometry_columns VALUES ('clicks', 'geom', 'POINT', ?, 0, 0)", (srs_id,))
    add_what_is_new(db)
    for statement in _statements(_TRIGGERS):
        db.execute(statement)
    _renew_triggers(db)
    db.execute('INSERT INTO meta ("key", value) VALUES (?, ?)', ("terraclick_session", str(version)))


def add_what_is_new(db: sqlite3.Connection) -> bool:
    """Give a file of an earlier release what it lacks, inside the caller's transaction.

    Returns whether its clicks lack their places on the map. Clicks and views without an object are removed.
    """
    if not has_table(db, "drafts"):
        db.execute(_DRAFTS_TABLE)
        db.execute(_CONTENTS, ("drafts", "attributes", "drafts", "", None))
    if "attributes" not in _columns(db, "objects"):
        db.execute("ALTER TABLE objects ADD COLUMN attributes TEXT")
    if "reading" not in _columns(db, "images"):
        db.execute("ALTER TABLE images ADD COLUMN reading TEXT")
    if not has_table(db, "layer_styles"):
        db.execute(_STYLES_TABLE)
        db.execute(_CONTENTS, ("layer_styles", "attributes", "layer_styles", "How QGIS draws the layers", None))
    _renew_triggers(db)
    for table in ("clicks", "views"):
        db.execute(f"DELETE FROM {table} WHERE object NOT IN (SELECT uuid FROM objects WHERE uuid IS NOT NULL)")
    _drop_default(db)
    if "geom" in _columns(db, "clicks"):
        return False
    db.execute("ALTER TABLE clicks ADD COLUMN geom POINT")
    db.execute(
        "INSERT INTO gpkg_geometry_columns SELECT 'clicks', 'geom', 'POINT', srs_id, 0, 0 FROM gpkg_geometry_columns "
        "WHERE table_name = 'objects'"
    )
    db.execute(
        "UPDATE gpkg_contents SET data_type = 'features', srs_id = (SELECT srs_id FROM gpkg_geometry_columns "
        "WHERE table_name = 'objects') WHERE table_name = 'clicks'"
    )
    return True


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}


def _drop_default(db: sqlite3.Connection) -> None:
    """Make the table of coordinate systems as the standard has it, where an earlier release gave it a default."""
    defaults = {row[1]: row[4] for row in db.execute("PRAGMA table_info(gpkg_spatial_ref_sys)")}
    if defaults.get("definition_12_063") is None or len(defaults) != 7:
        return
    db.execute("SAVEPOINT systems")
    try:
        db.execute(_SYSTEMS_TABLE.replace("gpkg_spatial_ref_sys", "gpkg_systems_new"))
        db.execute("INSERT INTO gpkg_systems_new SELECT * FROM gpkg_spatial_ref_sys")
        db.execute("DROP TABLE gpkg_spatial_ref_sys")
        db.execute("ALTER TABLE gpkg_systems_new RENAME TO gpkg_spatial_ref_sys")
    except sqlite3.Error:  # something of another program hangs on it: the file works as it is
        db.execute("ROLLBACK TO systems")
    finally:
        db.execute("RELEASE systems")


def _renew_triggers(db: sqlite3.Connection) -> None:
    """Put the triggers that notice changes in place of those of an earlier release."""
    wanted = {statement.split()[2]: statement.strip().rstrip(";") for statement in _statements(_NOTICING)}
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'objects\\_%' ESCAPE '\\'"
    there = dict(db.execute(query).fetchall())
    for name in there:
        if name in (*wanted, "objects_reshaped") and there[name].strip().rstrip(";") != wanted.get(name):
            db.execute(f'DROP TRIGGER "{name}"')
    for name, statement in wanted.items():
        if there.get(name, "").strip().rstrip(";") != statement:
            db.execute(statement)


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one (executescript would commit the transaction they belong to)."""
    statement = ""
    for line in script.strip().splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def connect(path: Path) -> sqlite3.Connection:
    """A connection for any thread that syncs at every commit and knows the spatial index's functions."""
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    db.text_factory = _text
    db.execute("PRAGMA synchronous = FULL")
    _register_functions(db)
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
