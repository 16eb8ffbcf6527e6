"""Lines and points in files: formats that can hold them carry them there and back, others say what they left out."""

import json

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS
from shapely.geometry import LineString, MultiLineString, MultiPoint, Point, box

from terraclick.errors import BadConfig, BadData
from terraclick.exchange.export import export
from terraclick.exchange.export_session import export_session
from terraclick.exchange.import_session import import_session
from terraclick.exchange.imports import import_polygons, import_some, read_labels
from terraclick.exchange.registry import FORMATS
from terraclick.geo.grid import Grid
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import open_store

UTM = CRS.from_epsg(32633)
GRID = Grid(Affine(0.5, 0, 500000, 0, -0.5, 4649800), UTM, (400, 400))
SHAPES = {
    "shed": box(500010, 4649710, 500030, 4649730),
    "road": LineString([(500005, 4649705), (500100, 4649705), (500100, 4649790)]),
    "paths": MultiLineString([[(500040, 4649740), (500060, 4649740)], [(500040, 4649750), (500060, 4649750)]]),
    "tree": Point(500050, 4649760),
    "grove": MultiPoint([(500070, 4649770), (500080, 4649780)]),
}
ITEMS = [
    MapObject(geometry=shape, uuid=f"u-{name}", class_name=name, attributes={"n": at})
    for at, (name, shape) in enumerate(SHAPES.items())
]
ALL = [name for name, known in FORMATS.items() if set(known.carries) == {"polygon", "line", "point"}]
AREAS = [name for name in FORMATS if name not in ALL]


def needed(name):
    if FORMATS[name].needs or name == "gpkg":
        pytest.importorskip("pyogrio")
        pytest.importorskip("pyarrow")


@pytest.mark.parametrize("name", ALL)
def test_every_kind_goes_there_and_back(tmp_path, name):
    needed(name)
    path = export(ITEMS, tmp_path / f"a{FORMATS[name].ending}", name, source=UTM, grid=GRID)
    read = read_labels(path)
    found = {item.class_name: item for item in read.items}
    assert set(found) == set(SHAPES)
    for at, (kind, shape) in enumerate(SHAPES.items()):
        geometry = found[kind].geometry
        if read.pixels:
            a = np.array(geometry.bounds).reshape(2, 2)
            geometry_bounds = [500000 + a[0, 0] / 2, 4649800 - a[1, 1] / 2, 500000 + a[1, 0] / 2, 4649800 - a[0, 1] / 2]
        else:
            from terraclick.geo.reproject import reproject

            geometry_bounds = reproject(geometry, read.crs, UTM).bounds
        assert np.allclose(geometry_bounds, shape.bounds, atol=2e-3), kind
        assert geometry.geom_type.removeprefix("Multi") == shape.geom_type.removeprefix("Multi")
        assert found[kind].uuid == f"u-{kind}" and found[kind].attributes == {"n": at}


@pytest.mark.parametrize("name", AREAS)
def test_a_format_of_areas_holds_the_areas(tmp_path, name):
    needed(name)
    path = export(ITEMS, tmp_path / f"a{FORMATS[name].ending}", name, source=UTM, grid=GRID)
    assert path.exists()
    if FORMATS[name].readable:
        assert [item.class_name for item in read_labels(path, {"image": GRID.shape}).items] == ["shed"]
    with pytest.raises(BadConfig, match="areas alone"):
        export(ITEMS[1:], tmp_path / f"b{FORMATS[name].ending}", name, source=UTM, grid=GRID)


def test_a_session_says_what_was_left_out(tmp_path):
    said = []
    with open_store(tmp_path / "s.gpkg", UTM) as store:
        store.add_many([(item, (), None) for item in ITEMS])
        found = export_session(store, None, tmp_path / "out", formats=["geojson", "shapefile", "csv"], warn=said.append)
    assert found.objects == 5
    assert [note for note in said if "4 objects are left out" in note and "shapefile" in note]
    assert not [note for note in said if "geojson" in note]
    back = import_session([tmp_path / "out" / "geojson"], tmp_path / "again.gpkg", crs=UTM)
    assert back.objects == 5


def test_lines_and_points_of_strangers_come_in(tmp_path):
    shapes = [
        {"type": "LineString", "coordinates": [[14, 42], [14.001, 42]]},
        {"type": "Point", "coordinates": [14, 42, 300]},
        {"type": "MultiPoint", "coordinates": [[14, 42], [14.1, 42]]},
        {"type": "LineString", "coordinates": [[14, 42], [14, 42]]},
        {"type": "LineString", "coordinates": [[14, 42]]},
        {"type": "Point", "coordinates": []},
        {"type": "Point", "coordinates": [14, 142]},
        {"type": "GeometryCollection", "geometries": []},
        None,
    ]
    features = [{"type": "Feature", "properties": {}, "geometry": shape} for shape in shapes]
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = import_some(path, UTM)
    assert [item.geometry.geom_type for item in found.items] == ["LineString", "Point", "MultiPoint"]
    assert sum(number for _, number in found.left_out) == 6
    with pytest.raises(BadData, match="no polygon"):
        import_polygons(path)


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]], [[2, 1], [3, 1], [3, 2], [2, 1]]]},
        {"type": "Polygon", "coordinates": [[[0, 0, 5], [1, 0, 5], [1, 1, 5], [0, 0, 5]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, True], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, "0"], [1, 1], [0, 0]]]},
        None,
    ],
    ids=["hole", "height", "boolean", "three corners", "text", "none"],
)
def test_polygons_read_at_once_are_those_read_one_by_one(tmp_path, odd):
    plain = [{"type": "Polygon", "coordinates": [[[at, 0], [at + 1, 0], [at + 1, 1], [at, 0]]]} for at in range(3)]

    def found(name, shapes):
        features = [{"type": "Feature", "properties": {"class": "a"}, "geometry": shape} for shape in shapes]
        path = tmp_path / name
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        return [item.geometry for item in read_labels(path, lenient=True).items]

    together = found("plain.geojson", plain)
    one_by_one = found("odd.geojson", [*plain, odd])[:3]
    assert [a.equals_exact(b, 0) for a, b in zip(together, one_by_one, strict=True)] == [True] * 3
