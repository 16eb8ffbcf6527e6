"""What others demand of our files: GDAL's rules for a GeoPackage, labelme's for its shapes, COCO's own reader."""

import contextlib
import io
import json
import re
import sqlite3
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS
from shapely.geometry import LineString, Point, Polygon, box

from terraclick.exchange.export import export
from terraclick.geo.grid import Grid
from terraclick.geo.polygonize import rasterize
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import GeoPackageStore, open_store
from terraclick.store.sqlite_file import connect
from terraclick.store.values import MapClass, StoredClick, StoredImage, StoredView

UTM = CRS.from_epsg(32633)
GRID = Grid(Affine(0.5, 0, 500000, 0, -0.5, 4650000), UTM, (80, 100))
HOLED = Polygon(box(500005, 4649970, 500025, 4649990).exterior, [box(500010, 4649975, 500015, 4649980).exterior])
PARTS = shapely.MultiPolygon([box(500030, 4649970, 500035, 4649975), box(500040, 4649970, 500045, 4649980)])
ITEMS = [
    MapObject(geometry=HOLED, class_name="roof", uuid="a", image="town.tif", label="x", attributes={"floors": 2}),
    MapObject(geometry=PARTS, class_name="pond", uuid="b", image="town.tif"),
    MapObject(geometry=box(499990, 4649995, 500003, 4650000), class_name="roof", uuid="c", image="town.tif"),
]

TYPES = "BOOLEAN TINYINT SMALLINT MEDIUMINT INT INTEGER FLOAT DOUBLE REAL DATE DATETIME TEXT BLOB".split()
COLUMNS = {
    "gpkg_spatial_ref_sys": [
        ("srs_name", "TEXT", 1, None, 0), ("srs_id", "INTEGER", 1, None, 1), ("organization", "TEXT", 1, None, 0),
        ("organization_coordsys_id", "INTEGER", 1, None, 0), ("definition", "TEXT", 1, None, 0),
        ("description", "TEXT", 0, None, 0), ("definition_12_063", "TEXT", 1, None, 0),
    ],
    "gpkg_contents": [
        ("table_name", "TEXT", 1, None, 1), ("data_type", "TEXT", 1, None, 0), ("identifier", "TEXT", 0, None, 0),
        ("description", "TEXT", 0, "''", 0), ("last_change", "DATETIME", 1, "strftime('%Y-%m-%dT%H:%M:%fZ','now')", 0),
        ("min_x", "DOUBLE", 0, None, 0), ("min_y", "DOUBLE", 0, None, 0), ("max_x", "DOUBLE", 0, None, 0),
        ("max_y", "DOUBLE", 0, None, 0), ("srs_id", "INTEGER", 0, None, 0),
    ],
    "gpkg_geometry_columns": [
        ("table_name", "TEXT", 1, None, 1), ("column_name", "TEXT", 1, None, 2),
        ("geometry_type_name", "TEXT", 1, None, 0), ("srs_id", "INTEGER", 1, None, 0), ("z", "TINYINT", 1, None, 0),
        ("m", "TINYINT", 1, None, 0),
    ],
    "gpkg_extensions": [
        ("table_name", "TEXT", 0, None, 0), ("column_name", "TEXT", 0, None, 0), ("extension_name", "TEXT", 1, None, 0),
        ("definition", "TEXT", 1, None, 0), ("scope", "TEXT", 1, None, 0),
    ],
}  # fmt: skip


def geopackage_faults(path):
    """What the GeoPackage standard and GDAL's validator find wrong with a file."""
    db = connect(path)
    faults = []

    def ask(query, *values):
        return db.execute(query, values).fetchall()

    def columns(table):
        return [row[1:] for row in ask(f'PRAGMA table_info("{table}")')]

    if ask("PRAGMA application_id")[0][0] != 0x47504B47 or ask("PRAGMA user_version")[0][0] < 10200:
        faults.append("application_id or user_version")
    for table, wanted in COLUMNS.items():
        if columns(table) != wanted:
            faults.append(f"{table}: {columns(table)}")
    systems = {
        row[0]: row[1:] for row in ask("SELECT srs_id, organization, definition_12_063 FROM gpkg_spatial_ref_sys")
    }
    if systems.get(-1) != ("NONE", "undefined") or systems.get(0) != ("NONE", "undefined") or 4326 not in systems:
        faults.append("the three systems that must be there")
    contents = ask("SELECT table_name, data_type, last_change, srs_id FROM gpkg_contents")
    for table, kind, changed, srs in contents:
        if kind not in ("features", "attributes") or not columns(table):
            faults.append(f"{table} is {kind}")
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", changed) or (
            srs is not None and srs not in systems
        ):
            faults.append(f"{table}: last_change {changed}, srs {srs}")
        keys = [name for name, type_, *_, key in columns(table) if key and type_ == "INTEGER"]
        if len(keys) != 1:
            faults.append(f"{table} has no INTEGER PRIMARY KEY")
        query = "SELECT column_name, geometry_type_name, srs_id FROM gpkg_geometry_columns WHERE table_name = ?"
        geometry = {row[0]: row[1:] for row in ask(query, table)}
        if (kind == "features") != (len(geometry) == 1):
            faults.append(f"{table} in gpkg_geometry_columns: {geometry}")
        for name, type_, *_ in columns(table):
            if name in geometry:
                if geometry[name] != (type_, srs):
                    faults.append(f"{table}.{name}: {geometry[name]}")
                for (blob,) in ask(f'SELECT "{name}" FROM "{table}" WHERE "{name}" IS NOT NULL'):
                    start = {0: 8, 1: 40}[(blob[3] >> 1) & 7]
                    found = shapely.from_wkb(blob[start:]).geom_type.upper()
                    other = found != type_ and type_ != "GEOMETRY"
                    if blob[:3] != b"GP\0" or int.from_bytes(blob[4:8], "little", signed=True) != srs or other:
                        faults.append(f"{table}.{name} holds a {found}")
            elif re.sub(r"\(\d+\)$", "", type_) not in TYPES:
                faults.append(f"{table}.{name} has the type {type_}")
    listed = {table for table, *_ in contents}
    for (table,) in ask("SELECT name FROM sqlite_master WHERE type = 'table'"):
        if table not in listed and not table.startswith(("gpkg_", "rtree_", "sqlite_")):
            faults.append(f"{table} is not in gpkg_contents")
    for table, column, name, scope in ask("SELECT table_name, column_name, extension_name, scope FROM gpkg_extensions"):
        if name == "gpkg_rtree_index":
            index = f"rtree_{table}_{column}"
            triggers = {row[0] for row in ask("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
            ends = ("insert", "update1", "update2", "update3", "update4", "delete")
            if scope != "write-only" or not {f"{index}_{end}" for end in ends} <= triggers:
                faults.append(f"{index}: triggers or scope")
            if ask(f"SELECT count(*) FROM {index}") != ask(f'SELECT count("{column}") FROM "{table}"'):
                faults.append(f"{index} does not hold every object")
    if ask("PRAGMA integrity_check") != [("ok",)] or ask("PRAGMA foreign_key_check"):
        faults.append("integrity")
    db.close()
    return faults


@pytest.mark.parametrize("crs", [UTM, None, CRS.from_epsg(4326), CRS.from_proj4("+proj=utm +zone=33 +ellps=bessel")])
def test_a_session_is_a_geopackage_as_gdal_wants_it(tmp_path, crs):
    path = tmp_path / "s.gpkg"
    with GeoPackageStore.create(path, crs) as store:
        store.add_image(StoredImage("town.tif", "", crs))
        store.set_class(MapClass('a "roof" & more', "#123456"))
        item = MapObject(geometry=box(10, 40, 11, 41), image="town.tif", class_name='a "roof" & more')
        store.add(item, [StoredClick(1, 2, 10.5, 40.5)], StoredView("town.tif"))
    assert geopackage_faults(path) == []


@pytest.mark.parametrize("shape", [LineString([(10, 40), (11, 41)]), Point(10, 40)])
def test_a_session_of_any_kind_is_one_too(tmp_path, shape):
    path = tmp_path / "s.gpkg"
    with GeoPackageStore.create(path, UTM) as store:
        store.add(MapObject(geometry=box(10, 40, 11, 41)))
        store.add(MapObject(geometry=shape))
    assert geopackage_faults(path) == []
    pyogrio = pytest.importorskip("pyogrio")
    meta, _, shapes, _ = pyogrio.raw.read(path, layer="objects")
    assert meta["geometry_type"] == "Unknown" and len(shapes) == 2


def test_the_rules_find_what_was_wrong_before(tmp_path):
    """A file of the first release: a default that the standard does not have, clicks without points, no style."""
    path = tmp_path / "s.gpkg"
    with GeoPackageStore.create(path, UTM) as store:
        store.add(
            ITEMS[1] if not ITEMS[1].image else MapObject(geometry=PARTS, uuid="b"),
            [StoredClick(1, 2, 500001, 4649990)],
        )
    db = sqlite3.connect(path)
    for statement in (
        "CREATE TABLE n (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL, "
        "organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT, "
        "definition_12_063 TEXT NOT NULL DEFAULT 'undefined')",
        "INSERT INTO n SELECT * FROM gpkg_spatial_ref_sys", "DROP TABLE gpkg_spatial_ref_sys",
        "PRAGMA legacy_alter_table = ON", "ALTER TABLE n RENAME TO gpkg_spatial_ref_sys",
        "ALTER TABLE clicks DROP COLUMN geom", "DELETE FROM gpkg_geometry_columns WHERE table_name = 'clicks'",
        "UPDATE gpkg_contents SET data_type = 'attributes', srs_id = NULL WHERE table_name = 'clicks'",
        "DROP TABLE layer_styles", "DELETE FROM gpkg_contents WHERE table_name = 'layer_styles'",
    ):  # fmt: skip
        db.execute(statement)
    db.commit()
    db.close()
    assert len(geopackage_faults(path)) == 1
    with open_store(path) as store:
        assert len(store.objects()) == 1
    assert geopackage_faults(path) == []
    db = sqlite3.connect(path)
    (blob,) = db.execute("SELECT geom FROM clicks").fetchone()
    assert shapely.from_wkb(blob[8:]).equals(shapely.Point(500001, 4649990))
    db.close()


def test_qgis_finds_a_style_with_the_classes(tmp_path):
    path = tmp_path / "s.gpkg"

    def style():
        db = sqlite3.connect(path)
        rows = db.execute("SELECT styleQML, useAsDefault, f_geometry_column FROM layer_styles").fetchall()
        db.close()
        assert len(rows) == 1 and rows[0][1:] == (1, "geom")
        return rows[0][0]

    with GeoPackageStore.create(path, UTM) as store:
        store.set_class(MapClass('<a> & "b"', "#112233"))
        store.add(MapObject(geometry=PARTS, class_name="new"))
    tree = ET.fromstring(style())
    assert [kind.get("value") for kind in tree.iter("category")] == ['<a> & "b"', "new", ""]
    assert len(list(tree.iter("symbol"))) == 3
    assert next(tree.iter("prop")).get("v").startswith("17,34,51,")
    with GeoPackageStore.open(path) as store:
        store.rename_class("new", "newer")
    assert 'value="newer"' in style()
    db = sqlite3.connect(path)
    db.execute("UPDATE layer_styles SET styleQML = '<qgis>mine</qgis>'")
    db.commit()
    db.close()
    with GeoPackageStore.open(path) as store:
        store.set_class(MapClass("more"))
    assert style() == "<qgis>mine</qgis>"


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
def test_coco_is_read_by_its_own_reader(tmp_path):
    coco_reader = pytest.importorskip("pycocotools.coco")
    path = export(ITEMS, tmp_path / "a.coco.json", source=UTM, grid=GRID)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = coco_reader.COCO(str(path))
    annotations = coco.loadAnns(coco.getAnnIds())
    assert [coco.loadCats([one["category_id"]])[0]["name"] for one in annotations] == ["roof", "pond", "roof"]
    for one, item in zip(annotations, ITEMS, strict=True):
        wanted = rasterize([item.geometry], GRID)
        found = coco.annToMask(one).astype(bool)
        assert (found != wanted).sum() <= 0.02 * wanted.sum()
        left, top, width, height = one["bbox"]
        assert left >= 0 and top >= 0 and left + width <= 100 and top + height <= 80
    assert (coco.annToMask(annotations[0]).astype(bool) == rasterize([HOLED], GRID)).all()


def test_labelme_can_open_what_we_write(tmp_path):
    """The rules of labelme's own reader: types of every field, points of two numbers, flags of booleans."""
    top = json.loads(export(ITEMS, tmp_path / "a.json", source=UTM, grid=GRID).read_text(encoding="utf-8"))
    assert {"version", "imageData", "imagePath", "shapes", "flags", "imageHeight", "imageWidth"} <= set(top)
    assert top["imagePath"] == "town.tif" and top["imageData"] is None and top["flags"] == {}
    for shape in top["shapes"]:
        assert isinstance(shape["label"], str) and isinstance(shape["description"], str) and shape["flags"] == {}
        assert shape["shape_type"] == "polygon" and isinstance(shape["group_id"], int) and len(shape["points"]) > 2
        for point in shape["points"]:
            assert len(point) == 2 and all(isinstance(value, float) for value in point)
    assert {shape["uuid"] for shape in top["shapes"]} == {"a", "b", "c"}


@pytest.mark.parametrize("name", ["a.geojson", "a.shp", "a.gpkg", "a.csv", "a.parquet"])
def test_gdal_reads_one_kind_of_geometry_and_whole_texts(tmp_path, name):
    pyogrio = pytest.importorskip("pyogrio")
    long = MapObject(geometry=PARTS, class_name="x", label="Ä" * 300, attributes={"note": "y" * 700}, uuid="long")
    path = export([*ITEMS, long], tmp_path / name, source=UTM, grid=GRID)
    if name == "a.csv":
        header = path.read_text(encoding="utf-8").splitlines()[0].split(",")
        assert header[-2:] == ["crs", "wkt"]
        return
    if name == "a.parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        geo = json.loads(parquet.read_schema(path).metadata[b"geo"])
        assert geo["columns"]["geometry"]["geometry_types"] == ["MultiPolygon"]
        return
    meta, _, blobs, columns = pyogrio.raw.read(path, layer=0)
    fields = dict(zip(meta["fields"], columns, strict=True))
    kinds = {shape.geom_type for shape in shapely.from_wkb(blobs)}
    assert kinds <= {"MultiPolygon"} or name == "a.shp"
    if name == "a.shp":
        told = "".join(fields[key][3] or "" for key in ("attributes", "attribut_2", "attribut_3"))
        assert "".join(fields[key][3] or "" for key in ("label", "label_2", "label_3")) == "Ä" * 300
    else:
        told = fields["attributes"][3]
    assert json.loads(told) == {"note": "y" * 700}


def test_single_polygons_stay_polygons(tmp_path):
    top = json.loads(export([ITEMS[0], ITEMS[2]], tmp_path / "a.geojson", source=UTM).read_text())
    assert {feature["geometry"]["type"] for feature in top["features"]} == {"Polygon"}
    assert all(isinstance(feature["properties"]["attributes"], str) for feature in top["features"])
    assert np.isfinite(json.loads(json.dumps(top["features"][0]["properties"]["rev"])))
