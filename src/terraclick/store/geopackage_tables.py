"""The tables of a session in a GeoPackage: what the standard asks for, and what we keep."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from pyproj import CRS
from pyproj.exceptions import CRSError

from terraclick.store.fields import COLUMNS, declared

__all__ = [
    "CONTENTS",
    "DRAFTS_TABLE",
    "STYLES_TABLE",
    "SYSTEMS_TABLE",
    "VERSION",
    "create_tables",
    "declare_any_kind",
    "renew_triggers",
]

VERSION = 1
"""Layout of the session tables; a file with a higher number is refused."""


SYSTEMS_TABLE = """
CREATE TABLE gpkg_spatial_ref_sys (
  srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT,
  definition_12_063 TEXT NOT NULL);
"""


CORE_TABLES = f"""{SYSTEMS_TABLE}
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


SESSION_TABLES = f"""
CREATE TABLE objects (
  fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom MULTIPOLYGON,
  {", ".join(declared(column, "geopackage") for column in COLUMNS)});
CREATE INDEX objects_by_image ON objects(image);
CREATE TABLE clicks (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, object TEXT NOT NULL, "order" INTEGER NOT NULL, "row" DOUBLE NOT NULL,
  col DOUBLE NOT NULL, x DOUBLE NOT NULL, y DOUBLE NOT NULL, positive BOOLEAN NOT NULL, time DATETIME, geom POINT);
CREATE UNIQUE INDEX clicks_by_object ON clicks(object, "order");
CREATE TABLE views (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, object TEXT NOT NULL UNIQUE, image TEXT NOT NULL, "left" DOUBLE,
  bottom DOUBLE, "right" DOUBLE, top DOUBLE, gsd DOUBLE, bands TEXT, stretch TEXT, divisions TEXT,
  "rows" INTEGER, cols INTEGER, box TEXT);
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


STYLES_TABLE = """
CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
  f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), update_time DATETIME)
"""


DRAFTS_TABLE = """
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
CONTENTS = "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) VALUES (?, ?, ?, ?, ?)"


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
    for statement in statements(CORE_TABLES):
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
    for statement in statements(SESSION_TABLES):
        db.execute(statement)
    db.execute(CONTENTS, ("objects", "features", "objects", "Outlines made with TerraClick", srs_id))
    db.execute(CONTENTS, ("clicks", "features", "clicks", "Clicks that the outlines were made from", srs_id))
    for table in _ATTRIBUTE_TABLES:
        db.execute(CONTENTS, (table, "attributes", table, "", None))
    db.execute("INSERT INTO gpkg_geometry_columns VALUES ('objects', 'geom', 'MULTIPOLYGON', ?, 0, 0)", (srs_id,))
    db.execute("INSERT INTO gpkg_geometry_columns VALUES ('clicks', 'geom', 'POINT', ?, 0, 0)", (srs_id,))
    db.execute(DRAFTS_TABLE)
    db.execute(CONTENTS, ("drafts", "attributes", "drafts", "", None))
    db.execute(STYLES_TABLE)
    db.execute(CONTENTS, ("layer_styles", "attributes", "layer_styles", "How QGIS draws the layers", None))
    for statement in statements(_TRIGGERS):
        db.execute(statement)
    renew_triggers(db)
    db.execute('INSERT INTO meta ("key", value) VALUES (?, ?)', ("terraclick_session", str(version)))


def statements(script: str) -> Iterator[str]:
    """The statements of a script one by one (executescript would commit the transaction they belong to)."""
    statement = ""
    for line in script.strip().splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def renew_triggers(db: sqlite3.Connection) -> None:
    """Put the triggers that notice changes in place of those of an earlier release."""
    wanted = {statement.split()[2]: statement.strip().rstrip(";") for statement in statements(_NOTICING)}
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'objects\\_%' ESCAPE '\\'"
    there = dict(db.execute(query).fetchall())
    for name in there:
        if name in (*wanted, "objects_reshaped") and there[name].strip().rstrip(";") != wanted.get(name):
            db.execute(f'DROP TRIGGER "{name}"')
    for name, statement in wanted.items():
        if there.get(name, "").strip().rstrip(";") != statement:
            db.execute(statement)


def declare_any_kind(db: sqlite3.Connection) -> None:
    """Name the column of objects' geometry GEOMETRY, as the standard asks of a layer of any kind.

    SQLite has no statement for that: the text of the table is changed, which keeps every row as it is.
    """
    (version,) = db.execute("PRAGMA schema_version").fetchone()
    db.execute("PRAGMA writable_schema = ON")
    try:
        db.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'geom MULTIPOLYGON', 'geom GEOMETRY') "
            "WHERE type = 'table' AND name = 'objects'"
        )
        db.execute(f"PRAGMA schema_version = {version + 1}")
    finally:
        db.execute("PRAGMA writable_schema = OFF")
