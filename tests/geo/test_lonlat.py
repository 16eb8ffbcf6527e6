"""Longitude and latitude over the antimeridian and at the poles, and what strangers give as such."""

import json

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer

from terraclick.errors import BadData
from terraclick.exchange.export import export
from terraclick.exchange.imports import import_polygons
from terraclick.geo.lonlat import box_of, boxes_of, check_lonlat, lonlat_bounds
from terraclick.geo.measure import area_m2
from terraclick.geo.reproject import reproject, to_lonlat
from terraclick.geo.rings import ring_of
from terraclick.store.fields import MapObject

WGS84 = CRS(4326)


def around(code, lon, lat, half=50.0):
    """A square around a place, in the coordinates of a system."""
    x, y = Transformer.from_crs(4326, code, always_xy=True).transform(lon, lat)
    return shapely.box(x - half, y - half, x + half, y + half)


def globe_area(geometry):
    """Square metres of a geometry in degrees, part by part."""
    return sum(area_m2(part, WGS84) for part in shapely.get_parts(geometry))


CROSSING = [(32660, 17.0), (32701, -17.0), (3832, -17.0), (3031, -75.0), (3413, 80.0), (2193, -40.0)]


@pytest.mark.parametrize("code, lat", CROSSING)
def test_over_the_antimeridian_it_is_cut_in_two(code, lat):
    square = around(code, 180.0, lat)
    hole = shapely.affinity.scale(square, 0.3, 0.3)
    for geometry in (square, square.difference(hole)):
        cut = to_lonlat(geometry, CRS(code))
        assert cut.geom_type == "MultiPolygon" and cut.is_valid
        west, _, east, _ = box_of([cut])
        assert west > 179.99 and east < -179.99
        assert all(abs(lon) <= 180 for lon in shapely.get_coordinates(cut)[:, 0])
        assert globe_area(cut) == pytest.approx(area_m2(geometry, CRS(code)), rel=1e-4)
        back = reproject(cut, WGS84, CRS(code))
        assert back.is_valid and back.symmetric_difference(geometry).area < 1e-5 * geometry.area


@pytest.mark.parametrize("code, lat", CROSSING)
@pytest.mark.parametrize("lon", [179.9, -179.9])
def test_beside_the_antimeridian_nothing_changes(code, lat, lon):
    square = around(code, lon, lat)
    plain = to_lonlat(square, CRS(code))
    assert plain.geom_type == "Polygon" and len(plain.exterior.coords) == 5
    assert np.ptp(shapely.get_coordinates(plain)[:, 0]) < 0.1


@pytest.mark.parametrize("code, pole", [(3031, -90), (3413, 90), (32661, 90), (32761, -90)])
def test_over_a_pole_it_is_closed(code, pole):
    x, y = Transformer.from_crs(4326, code, always_xy=True).transform(0.0, pole)
    disk = shapely.Point(x, y).buffer(10_000)
    cap = to_lonlat(disk, CRS(code))
    assert cap.is_valid and box_of([cap])[0::2] == (-180, 180) and pole in (box_of([cap])[1], box_of([cap])[3])
    assert cap.area == pytest.approx(360 * 0.0895, rel=0.05)
    ring = to_lonlat(disk.difference(shapely.Point(x, y).buffer(5_000)), CRS(code))
    assert ring.is_valid and ring.area == pytest.approx(cap.area / 2, rel=0.02)
    back = reproject(cap, WGS84, CRS(code))
    assert back.is_valid and back.symmetric_difference(disk).area < 1e-3 * disk.area


@pytest.mark.parametrize("box", [(-100, -100, 0, 0), (-100, -100, 0, 100), (0, 0, 1, 1)])
def test_a_corner_or_a_side_at_a_pole(box):
    square = shapely.box(*box)
    found = to_lonlat(square, CRS(3413))
    turned = {(-100, -100, 0, 0): 90, (-100, -100, 0, 100): 180, (0, 0, 1, 1): 90}[box]
    assert found.is_valid and sum(np.ptp(shapely.get_coordinates(p)[:, 0]) for p in shapely.get_parts(found)) == (
        pytest.approx(turned, abs=1)
    )


def test_longitudes_beyond_180_come_back():
    assert to_lonlat(shapely.box(190, 0, 191, 1), WGS84).bounds == (-170, 0, -169, 1)
    assert box_of([to_lonlat(shapely.box(179, 0, 182, 1), WGS84)]) == (179, 0, -178, 1)
    assert to_lonlat(shapely.box(10, 0, 11, 1), WGS84).bounds == (10, 0, 11, 1)


@settings(max_examples=60, deadline=None)
@given(
    lon=st.floats(-180, 180), lat=st.floats(-89.9, 89.9), half=st.floats(1, 2e5), turn=st.floats(0, 90),
)  # fmt: skip
def test_any_square_on_the_globe_is_valid_and_as_large_as_before(lon, lat, half, turn):
    plane = CRS.from_proj4(f"+proj=laea +lat_0={lat} +lon_0={lon} +ellps=WGS84")
    square = shapely.affinity.rotate(shapely.segmentize(shapely.box(-half, -half, half, half), half / 8), turn)
    found = to_lonlat(square, plane)
    at = shapely.get_coordinates(found)
    assert found.is_valid and np.abs(at[:, 0]).max() <= 180 + 1e-9 and np.abs(at[:, 1]).max() <= 90 + 1e-9
    equal_area = Transformer.from_crs(4326, 6933, always_xy=True)
    flat = shapely.transform(shapely.segmentize(found, 0.5), equal_area.transform, interleaved=False)
    assert flat.area == pytest.approx(square.area, rel=0.02 if abs(lat) < 85 else 0.2)


def test_boxes_go_over_the_antimeridian():
    west, south, east, north = lonlat_bounds(around(32660, 180.0, 17.0).bounds, CRS(32660))
    assert west > 179.99 and east < -179.99 and south < 17 < north
    assert boxes_of((170, 0, -170, 1)) == [(170, 0, 180, 1), (-180, 0, -170, 1)]
    assert boxes_of((1, 2, 3, 4)) == [(1, 2, 3, 4)]
    assert lonlat_bounds((-180, -90, 180, 90), WGS84) == (-180, -90, 180, 90)
    assert lonlat_bounds((0, 0, 1, 1), CRS.from_wkt('LOCAL_CS["mine",UNIT["metre",1]]')) is None


@pytest.mark.parametrize("code, lat", CROSSING[:3])
def test_geojson_is_cut_and_read_again(tmp_path, code, lat):
    item = MapObject(geometry=around(code, 180.0, lat))
    path = export([item], tmp_path / "a.geojson", source=CRS(code))
    (feature,) = json.loads(path.read_text())["features"]
    shape = shapely.geometry.shape(feature["geometry"])
    assert shape.is_valid and len(shapely.get_parts(shape)) == 2 and globe_area(shape) < 20_000
    (again,) = import_polygons(path, CRS(code))
    assert again.geometry.symmetric_difference(item.geometry).area < 1e-4 * item.geometry.area


SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]


@pytest.mark.parametrize(
    "ring, word",
    [
        ([[500, 0], [501, 0], [501, 1], [500, 0]], "longitudes lie in"),
        ([[0, 91], [1, 91], [1, 92], [0, 91]], "latitudes in"),
        ([[179, -17], [-179, -17], [-179, -16], [179, -16], [179, -17]], "antimeridian"),
        ([[179, -17], [-179, -16], [179, -16], [-179, -17], [179, -17]], "antimeridian"),
        ([[True, 0], [1, 0], [1, 1], [True, 0]], "cannot be read|can be read"),
        ([["0", "0"], ["1", "0"], ["1", "1"], ["0", "0"]], "can be read"),
        ([[None, 0], [1, 0], [1, 1], [None, 0]], "can be read"),
        ([[0], [1], [2], [0]], "can be read"),
    ],
)
def test_what_is_no_place_on_the_globe_is_refused(tmp_path, ring, word):
    path = tmp_path / "a.geojson"
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    with pytest.raises(BadData, match=word):
        import_polygons(path, CRS(32633))


def test_places_that_are_fine_are_taken():
    check_lonlat([[180, 0], [180, 1], [179, 1], [180, 0]])
    check_lonlat([[-180, -90], [180, -90], [180, -80], [0, -80], [-180, -80], [-180, -90]])
    assert ring_of(SQUARE).shape == (5, 2) and ring_of([[1, 2, 3.5]]).tolist() == [[1, 2]]
    for bad in ([[1e400, 0]], [[10**400, 0]], [[1, float("nan")]], [(1, 2)], "ab", [[1e13, 0]]):
        with pytest.raises(ValueError):
            ring_of(bad)
