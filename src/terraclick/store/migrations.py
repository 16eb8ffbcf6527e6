"""Sessions of earlier releases, brought up to date when they are opened, in both databases.

Each step looks for what is missing, adds it, and leaves alone what is there. Columns of `objects` follow from their
table (`fields.py`); anything else gets a step here.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from terraclick.store.fields import COLUMNS, declared
from terraclick.store.geopackage_tables import (
    CONTENTS,
    DRAFTS_TABLE,
    STYLES_TABLE,
    SYSTEMS_TABLE,
    renew_triggers,
)
from terraclick.store.postgis_tables import NOTICING, NOTICING_VERSION
from terraclick.store.sqlite_file import has_table
from terraclick.store.values import LARGEST_NUMBER

__all__ = ["GEOPACKAGE", "POSTGIS", "migrate_geopackage", "migrate_postgis", "renumber_classes"]


def migrate_geopackage(db: sqlite3.Connection) -> bool:
    """Give a file of an earlier release what it lacks, inside the caller's transaction.

    Returns whether its clicks lack their places on the map. Clicks and views without an object are removed.
    """
    without_places = "geom" not in _columns(db, "clicks")
    for step in GEOPACKAGE:
        step(db)
    return without_places


def migrate_postgis(db: Any, schema: str) -> None:
    """The same for a schema, inside the caller's transaction."""
    for step in POSTGIS:
        step(db, schema)


# --- GeoPackage -------------------------------------------------------------------------------------------------------


def _drafts(db: sqlite3.Connection) -> None:
    if not has_table(db, "drafts"):
        db.execute(DRAFTS_TABLE)
        db.execute(CONTENTS, ("drafts", "attributes", "drafts", "", None))


def _columns_of_objects(db: sqlite3.Connection) -> None:
    there = _columns(db, "objects")
    for column in COLUMNS:
        if column.name not in there:
            db.execute(f"ALTER TABLE objects ADD COLUMN {declared(column, 'geopackage')}")


def _reading_of_images(db: sqlite3.Connection) -> None:
    if "reading" not in _columns(db, "images"):
        db.execute("ALTER TABLE images ADD COLUMN reading TEXT")


def _box_of_views(db: sqlite3.Connection) -> None:
    if "box" not in _columns(db, "views"):
        db.execute("ALTER TABLE views ADD COLUMN box TEXT")


def _styles(db: sqlite3.Connection) -> None:
    if not has_table(db, "layer_styles"):
        db.execute(STYLES_TABLE)
        db.execute(CONTENTS, ("layer_styles", "attributes", "layer_styles", "How QGIS draws the layers", None))


def _orphans(db: sqlite3.Connection) -> None:
    for table in ("clicks", "views"):
        db.execute(f"DELETE FROM {table} WHERE object NOT IN (SELECT uuid FROM objects WHERE uuid IS NOT NULL)")


def _places_of_clicks(db: sqlite3.Connection) -> None:
    """Clicks become a layer; the caller gives them their places."""
    if "geom" in _columns(db, "clicks"):
        return
    db.execute("ALTER TABLE clicks ADD COLUMN geom POINT")
    db.execute(
        "INSERT INTO gpkg_geometry_columns SELECT 'clicks', 'geom', 'POINT', srs_id, 0, 0 FROM gpkg_geometry_columns "
        "WHERE table_name = 'objects'"
    )
    db.execute(
        "UPDATE gpkg_contents SET data_type = 'features', srs_id = (SELECT srs_id FROM gpkg_geometry_columns "
        "WHERE table_name = 'objects') WHERE table_name = 'clicks'"
    )


def renumber_classes(db: sqlite3.Connection) -> None:
    """Give classes free numbers in place of those that no mask could hold, and let the next one follow on."""
    query = "SELECT id FROM classes WHERE id NOT BETWEEN 1 AND ? ORDER BY id"
    odd = [number for (number,) in db.execute(query, (LARGEST_NUMBER,)).fetchall()]
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'classes'").fetchone()
    given = 0 if row is None or row[0] > LARGEST_NUMBER else row[0]
    if not odd and (row is None or row[0] <= LARGEST_NUMBER):
        return
    (last,) = db.execute("SELECT max(id) FROM classes WHERE id <= ?", (LARGEST_NUMBER,)).fetchone()
    last = max(last or 0, given)
    for number, known in enumerate(odd, start=last + 1):
        db.execute("UPDATE classes SET id = ? WHERE id = ?", (number, known))
    db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'classes'", (last + len(odd),))


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}


def _drop_default(db: sqlite3.Connection) -> None:
    """Make the table of coordinate systems as the standard has it, where an earlier release gave it a default."""
    defaults = {row[1]: row[4] for row in db.execute("PRAGMA table_info(gpkg_spatial_ref_sys)")}
    if defaults.get("definition_12_063") is None or len(defaults) != 7:
        return
    db.execute("SAVEPOINT systems")
    try:
        db.execute(SYSTEMS_TABLE.replace("gpkg_spatial_ref_sys", "gpkg_systems_new"))
        db.execute("INSERT INTO gpkg_systems_new SELECT * FROM gpkg_spatial_ref_sys")
        db.execute("DROP TABLE gpkg_spatial_ref_sys")
        db.execute("ALTER TABLE gpkg_systems_new RENAME TO gpkg_spatial_ref_sys")
    except sqlite3.Error:  # something of another program hangs on it: the file works as it is
        db.execute("ROLLBACK TO systems")
    finally:
        db.execute("RELEASE systems")


GEOPACKAGE = (
    _drafts,
    _columns_of_objects,
    _reading_of_images,
    _box_of_views,
    _styles,
    renew_triggers,
    _orphans,
    _drop_default,
    _places_of_clicks,
    renumber_classes,
)
"""The steps for a GeoPackage, in order."""

# --- PostGIS ----------------------------------------------------------------------------------------------------------


def _columns_of_objects_in_postgis(db: Any, schema: str) -> None:
    for column in COLUMNS:
        if not _has_column(db, schema, "objects", column.name):
            db.execute(f"ALTER TABLE objects ADD COLUMN {declared(column, 'postgis')}")


def _reading_of_images_in_postgis(db: Any, schema: str) -> None:
    if not _has_column(db, schema, "images", "reading"):
        db.execute("ALTER TABLE images ADD COLUMN reading text")


def _noticing_in_postgis(db: Any, schema: str) -> None:
    row = db.execute("SELECT value FROM meta WHERE \"key\" = 'noticing'").fetchone()
    if row is None or row[0] != NOTICING_VERSION:
        db.execute(NOTICING)
        statement = 'INSERT INTO meta ("key", value) VALUES (%s, %s) ON CONFLICT ("key") DO UPDATE SET value = %s'
        db.execute(statement, ("noticing", NOTICING_VERSION, NOTICING_VERSION))


def _numbers_of_classes_in_postgis(db: Any, schema: str) -> None:
    db.execute("UPDATE classes SET id = DEFAULT WHERE id NOT BETWEEN 1 AND %s", (LARGEST_NUMBER,))


def _has_column(db: Any, schema: str, table: str, column: str) -> bool:
    query = "SELECT 1 FROM information_schema.columns WHERE table_schema = %s AND table_name = %s AND column_name = %s"
    return db.execute(query, (schema, table, column)).fetchone() is not None


POSTGIS = (
    _columns_of_objects_in_postgis,
    _reading_of_images_in_postgis,
    _noticing_in_postgis,
    _numbers_of_classes_in_postgis,
)
"""The steps for a PostGIS schema, in order."""
