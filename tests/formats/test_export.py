"""What is written reads back the same: count, CRS, area, holes; and nothing half-written stays."""

import csv
import json

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import CRS
from shapely.geometry import MultiPolygon, Polygon, box

from terraclick.errors import BadConfig, BadData, BadOutput, NotGeoreferenced, UnknownName
from terraclick.exchange.export import export
from terraclick.exchange.imports import import_polygons
from terraclick.exchange.registry import FORMATS
from terraclick.formats.common.rle import encode_rle
from terraclick.geo.grid import Grid
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import GeoPackageStore
from terraclick.values import Window

UTM = CRS.from_epsg(32633)
GRID = Grid(Affine(0.5, 0, 500000, 0, -0.5, 4650000), UTM, (80, 100))
HOLED = Polygon(box(500005, 4649970, 500025, 4649990).exterior, [box(500010, 4649975, 500015, 4649980).exterior])
PARTS = MultiPolygon([box(500030, 4649970, 500035, 4649975), box(500040, 4649970, 500045, 4649980)])
ITEMS = [
    MapObject(geometry=HOLED, class_name="roof", label='=HYPERLINK("x") ü', uuid="a", image="town.tif"),
    MapObject(geometry=PARTS, class_name="pond", uuid="b"),
    MapObject(geometry=box(500000, 4649995, 500003, 4650000), class_name="roof", uuid="c"),
]


def write(tmp_path, name, **options):
    path = export(ITEMS, tmp_path / name, source=UTM, grid=GRID, **options)
    assert not list(tmp_path.glob(".terraclick-*"))
    return path


@pytest.mark.parametrize("name", ["a.geojson", "a.gpkg", "a.shp"])
def test_map_formats_read_back(tmp_path, name):
    if not name.endswith("geojson"):
        pytest.importorskip("pyogrio")
    back = import_polygons(write(tmp_path, name), UTM)
    assert [item.class_name for item in back] == ["roof", "pond", "roof"]
    for item, original in zip(back, ITEMS, strict=True):
        assert item.geometry.symmetric_difference(original.geometry).area < 0.01
    assert back[0].label == ITEMS[0].label and len(shapely.get_parts(back[0].geometry)[0].interiors) == 1


def test_geojson_is_rfc_7946(tmp_path):
    top = json.loads(write(tmp_path, "a.geojson").read_text())
    assert {feature["geometry"]["type"] for feature in top["features"]} == {"MultiPolygon"}  # one kind, for readers
    ring = top["features"][0]["geometry"]["coordinates"][0][0]
    assert "crs" not in top and 14.9 < ring[0][0] < 15.1 and 41.9 < ring[0][1] < 42.1
    assert shapely.LinearRing(ring).is_ccw
    assert not shapely.LinearRing(top["features"][0]["geometry"]["coordinates"][0][1]).is_ccw
    other = json.loads(write(tmp_path, "b.geojson", crs=UTM).read_text())
    assert other["crs"]["properties"]["name"].endswith("EPSG::32633")


def test_another_crs(tmp_path):
    with GeoPackageStore.open(write(tmp_path, "a.gpkg", crs=CRS.from_epsg(3857))) as store:
        assert store.crs == CRS.from_epsg(3857) and len(store.objects()) == 3 and store.get("a").label == ITEMS[0].label
    assert import_polygons(tmp_path / "a.gpkg", UTM)[2].geometry.area == pytest.approx(15, rel=1e-6)


def test_geoparquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(write(tmp_path, "a.parquet"))
    geo = json.loads(table.schema.metadata[b"geo"])
    assert CRS.from_json_dict(geo["columns"]["geometry"]["crs"]) == UTM
    assert shapely.from_wkb(table["geometry"][0].as_py()).equals(HOLED) and table["class"].to_pylist()[1] == "pond"


def decode(rle):
    """An independent decoder of COCO's compressed run lengths."""
    counts, place, text = [], 0, rle["counts"]
    while place < len(text):
        value, shift, more = 0, 0, True
        while more:
            code = ord(text[place]) - 48
            value |= (code & 31) << shift
            more, place, shift = bool(code & 32), place + 1, shift + 5
            if not more and code & 16:
                value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    assert sum(counts) <= rle["size"][0] * rle["size"][1]
    flat = np.repeat(np.arange(len(counts)) % 2, counts)
    flat = np.pad(flat, (0, rle["size"][0] * rle["size"][1] - len(flat)))
    return flat.reshape(rle["size"][1], rle["size"][0]).T.astype(bool)


@pytest.mark.parametrize("seed", range(8))
def test_run_lengths(seed):
    rng = np.random.default_rng(seed)
    rows, cols = rng.integers(1, 40, 2)
    row, col = rng.integers(0, rows), rng.integers(0, cols)
    window = Window(int(row), int(col), int(rng.integers(1, rows - row + 1)), int(rng.integers(1, cols - col + 1)))
    mask = rng.random((window.rows, window.cols)) < rng.choice([0.0, 0.5, 1.0])
    whole = np.zeros((rows, cols), bool)
    whole[window.slices] = mask
    assert (decode(encode_rle(mask, window, (int(rows), int(cols)))) == whole).all()


def test_coco(tmp_path):
    top = json.loads(write(tmp_path, "a.coco.json").read_text())
    holed, parts, simple = top["annotations"]
    assert top["images"][0]["width"] == 100 and [c["name"] for c in top["categories"]] == ["pond", "roof"]
    assert simple["segmentation"] == [[6.0, 10.0, 6.0, 0.0, 0.0, 0.0, 0.0, 10.0]] and simple["area"] == 60
    assert decode(holed["segmentation"]).sum() == holed["area"]
    assert [len(ring) for ring in parts["segmentation"]] == [8, 8]  # parts are a list of polygons, holes need runs
    assert not decode(holed["segmentation"])[45, 25] and decode(holed["segmentation"])[25, 15]


def test_labelme_and_yolo(tmp_path):
    top = json.loads(write(tmp_path, "a.json").read_text())
    assert [s["group_id"] for s in top["shapes"]] == [0, 1, 1, 2] and top["imageWidth"] == 100
    lines = write(tmp_path, "a.txt").read_text().splitlines()
    assert len(lines) == 3 and lines[2].split()[:3] == ["1", "0.060000", "0.125000"]
    assert (tmp_path / "a.classes.txt").read_text().split() == ["pond", "roof"]


def test_masks(tmp_path):
    for name, values in (("mask", {1: 300, 2: 1560}), ("instances", {1: 1500, 2: 300, 3: 60})):
        with rasterio.open(write(tmp_path, f"{name}.tif", format=name)) as file:
            drawn = file.read(1)
            assert file.nodata == 0 and file.transform == GRID.transform and file.crs.to_epsg() == 32633
        assert {int(v): int(n) for v, n in zip(*np.unique(drawn[drawn > 0], return_counts=True), strict=True)} == values


def test_formulas_are_harmless_in_csv(tmp_path):
    rows = list(csv.DictReader(write(tmp_path, "a.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0]["label"].startswith("'=") and shapely.from_wkt(rows[1]["wkt"]).equals(PARTS)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_to_write_is_still_a_file(tmp_path, name):
    if name in ("shapefile", "geoparquet"):
        pytest.importorskip("pyogrio")
    assert export([], tmp_path / f"a{FORMATS[name].ending}", name, source=UTM, grid=GRID).exists()


def test_refusals(tmp_path):
    path = write(tmp_path, "a.geojson")
    with pytest.raises(BadOutput, match="already exists"):
        write(tmp_path, "a.geojson")
    assert write(tmp_path, "a.geojson", overwrite=True) == path
    for name in ("no/where.geojson", "."):
        with pytest.raises(BadOutput):
            export(ITEMS, tmp_path / name, "geojson", source=UTM)
    for name, kind in (("a.xyz", None), ("b.geojson", "dwg")):
        with pytest.raises(UnknownName, match=r"Known: .*geojson"):
            export(ITEMS, tmp_path / name, kind, source=UTM)
    with pytest.raises(BadConfig, match="pixels"):
        export(ITEMS, tmp_path / "b.coco.json", source=UTM)
    with pytest.raises(NotGeoreferenced):
        export(ITEMS, tmp_path / "b.geojson", crs=UTM)


@pytest.mark.parametrize(
    "text",
    ["", "[" * 100000, "{}", '{"type":"Polygon","coordinates":[[[0,0],[1]]]}',
     '{"type":"Polygon","coordinates":[[[0,0]]]}',
     '{"type":"Polygon","coordinates":[[[0,0],[NaN,1],[1,1],[0,0]]]}', "[1,2]", '{"type":"Point","coordinates":[0,0]}'],
)  # fmt: skip
def test_bad_geojson(tmp_path, text):
    (tmp_path / "bad.geojson").write_text(text)
    with pytest.raises(BadData):
        import_polygons(tmp_path / "bad.geojson", UTM)
