"""Lines and points are objects like areas: kept by both stores, measured, read by other programs."""

import sqlite3
from itertools import count

import pytest
from pyproj import CRS
from shapely.geometry import GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon, Point, box

from terraclick.errors import BadData
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import open_store
from terraclick.store.values import StoredImage

UTM = CRS.from_epsg(32633)
ROAD = LineString([(500000, 4649700), (500030, 4649700), (500030, 4649740)])
TREE = Point(500010, 4649710)
SHED = box(500000, 4649700, 500030, 4649720)
NUMBERS = count()


@pytest.fixture(params=["gpkg", pytest.param("postgis", marks=pytest.mark.slow)])
def begin(request, tmp_path):
    if request.param == "gpkg":
        return lambda: open_store(tmp_path / "s.gpkg", UTM)
    from terraclick.store.postgis import open_postgis

    address = f"{request.getfixturevalue('postgis')}#k{next(NUMBERS)}"
    return lambda: open_postgis(address, UTM)


def test_lines_and_points_come_back_measured(begin):
    with begin() as store:
        store.add_image(StoredImage("a.tif", crs=UTM, bounds=(499000, 4649000, 501000, 4650000)))
        for shape, name in ((SHED, "shed"), (ROAD, "road"), (TREE, "tree")):
            store.add(MapObject(geometry=shape, image="a.tif", class_name=name))
    with begin() as store:
        shed, road, tree = store.objects()
        assert shed.geometry.equals(SHED) and isinstance(shed.geometry, MultiPolygon)
        assert road.geometry.equals(ROAD) and isinstance(road.geometry, MultiLineString)
        assert tree.geometry.equals(TREE) and isinstance(tree.geometry, MultiPoint)
        assert shed.area_m2 == pytest.approx(600, rel=1e-3)
        assert road.area_m2 is None and road.perimeter_m == pytest.approx(70, rel=1e-3)
        assert tree.area_m2 is None and tree.perimeter_m is None
        assert store.set_aside() == ()
        longer = store.update(
            MapObject(**{**vars(road), "geometry": LineString([(500000, 4649700), (500000, 4649800)])})
        )
        assert longer.perimeter_m == pytest.approx(100, rel=1e-3)
        assert [item.class_name for item in store.objects(bbox=(500009, 4649709, 500011, 4649711))] == ["shed", "tree"]
        assert store.image_of(ROAD) == store.image_of(TREE) == "a.tif"
        store.look()
        assert store.get(tree.uuid).rev == 1, "a look changes nothing"


@pytest.mark.parametrize(
    "shape",
    [LineString(), Point(), LineString([(0, 0), (0, 0)]), GeometryCollection([Point(0, 0)]), Point(0, float("inf"))],
)
def test_what_is_no_shape_is_refused(begin, shape):
    with begin() as store, pytest.raises(BadData):
        store.add(MapObject(geometry=shape))


def test_a_session_of_areas_stays_a_layer_of_areas(tmp_path):
    path = tmp_path / "s.gpkg"
    kinds = "SELECT geometry_type_name FROM gpkg_geometry_columns WHERE table_name = 'objects'"
    columns = "SELECT type FROM pragma_table_info('objects') WHERE name = 'geom'"
    with open_store(path, UTM) as store:
        store.add(MapObject(geometry=SHED))
    db = sqlite3.connect(path)
    assert db.execute(kinds).fetchone() == db.execute(columns).fetchone() == ("MULTIPOLYGON",)
    db.close()
    with open_store(path, UTM) as store:
        store.add(MapObject(geometry=ROAD))
    db = sqlite3.connect(path)
    assert db.execute(kinds).fetchone() == db.execute(columns).fetchone() == ("GEOMETRY",)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_two_servers_see_the_first_line(tmp_path):
    with open_store(tmp_path / "s.gpkg", UTM) as one, open_store(tmp_path / "s.gpkg", UTM) as two:
        one.add(MapObject(geometry=SHED))
        two.add(MapObject(geometry=ROAD))
        one.add(MapObject(geometry=TREE))
        assert [item.geometry.geom_type for item in two.objects()] == ["MultiPolygon", "MultiLineString", "MultiPoint"]


def test_gdal_reads_every_kind(tmp_path):
    pyogrio = pytest.importorskip("pyogrio")
    with open_store(tmp_path / "s.gpkg", UTM) as store:
        for shape in (SHED, ROAD, TREE):
            store.add(MapObject(geometry=shape))
    found = pyogrio.raw.read(tmp_path / "s.gpkg", layer="objects")[2]
    assert len(found) == 3
