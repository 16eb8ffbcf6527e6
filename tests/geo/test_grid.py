"""Grid: exact pixel ↔ map both ways, true metres, and the half pixel."""

import math

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS

from terraclick.errors import BadClick, BadGrid
from terraclick.geo.grid import Grid
from terraclick.geo.measure import area_m2, perimeter_m
from terraclick.values import Window

UTM = CRS(32633)
ROTATED = Affine(0.26, 0.15, 500000.0, 0.15, -0.26, 5e6)
GRIDS = {
    "north-up": Grid(Affine(0.3, 0, 500000, 0, -0.3, 5e6), UTM, (400, 300)),
    "south-up": Grid(Affine(0.3, 0, 500000, 0, 0.3, 5e6), UTM, (400, 300)),
    "rotated": Grid(ROTATED, UTM, (400, 300)),
    "degrees": Grid(Affine(2.7e-6, 0, -115.3, 0, -2.7e-6, 36.2), CRS(4326), (400, 300)),
    "anisotropic": Grid(Affine(0.3, 0, 0, 0, -1.2, 0), UTM, (400, 300)),
    "pixels": Grid(Affine.identity(), None, (400, 300)),
}
pixels = st.floats(-1e5, 1e5, allow_nan=False)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@given(row=pixels, col=pixels)
def test_pixel_to_map_and_back(grid, row, col):
    click = grid.to_click(*grid.to_map(row, col), positive=False)
    # Degrees are stored to 1e-14, which is 5e-9 of a 2.7e-6 degree pixel.
    assert math.isclose(click.row, row, abs_tol=1e-7) and math.isclose(click.col, col, abs_tol=1e-7)
    assert not click.positive


@given(
    terms=st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4),
    origin=st.tuples(st.floats(-1e7, 1e7), st.floats(-1e7, 1e7)),
    row=st.floats(0, 1e5),
    col=st.floats(0, 1e5),
)
def test_any_transform_is_refused_or_inverted(terms, origin, row, col):
    a, b, d, e = terms
    try:
        grid = Grid(Affine(a, b, origin[0], d, e, origin[1]), None, (10, 10))
    except BadGrid:
        return
    x, y = grid.to_map(row, col)
    back = grid.to_map(grid.to_click(x, y).row, grid.to_click(x, y).col)
    size = 1 + abs(x) + abs(y) + math.hypot(a, b, d, e) * 1e5
    assert math.dist(back, (x, y)) <= 1e-6 * size


def test_corner_and_centre_conventions():
    grid = GRIDS["north-up"]
    assert grid.to_map(-0.5, -0.5) == (500000, 5e6)
    assert grid.to_map(0, 0) == (500000.15, 5e6 - 0.15)
    assert GRIDS["pixels"].to_map(2, 1) == (1.5, 2.5)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_window_of_a_grid_agrees_with_the_grid(grid):
    part = grid.window(Window(10, 20, 30, 40))
    assert part.shape == (30, 40)
    assert part.to_map(1, 2) == pytest.approx(grid.to_map(11, 22), rel=1e-14, abs=1e-9)
    assert part.resized((60, 80)).bounds == pytest.approx(part.bounds, rel=1e-14, abs=1e-9)


def test_bounds_and_back():
    for name in ("north-up", "degrees", "pixels"):
        grid = GRIDS[name]
        again = Grid.from_bounds(grid.bounds, grid.shape, grid.crs)
        assert tuple(again.transform) == pytest.approx(tuple(grid.transform), rel=1e-9)
    assert GRIDS["pixels"].bounds == (0, 0, 300, 400)


@pytest.mark.parametrize("x, y", [(math.nan, 0), (0, math.inf), (-math.inf, math.nan)])
def test_click_that_is_no_point(x, y):
    with pytest.raises(BadClick, match="finite"):
        GRIDS["rotated"].to_click(x, y)


@pytest.mark.parametrize(
    "terms",
    [
        (0, 0, 0, 0, 0, 0),
        (1, 2, 0, 2, 4, 0),
        (math.nan, 0, 0, 0, 1, 0),
        (1, 0, math.inf, 0, 1, 0),
        (1e-300, 0, 0, 0, 1e-300, 0),
    ],
)
def test_transform_that_cannot_be_used(terms):
    with pytest.raises(BadGrid, match="transform"):
        Grid(Affine(*terms), None, (5, 5))


def test_bounds_and_shapes_that_hold_nothing():
    with pytest.raises(BadGrid, match="enclose"):
        Grid.from_bounds((1, 0, 0, 1), (5, 5), None)
    for make in (lambda: Grid.from_bounds((0, 0, 1, 1), (0, 5), None), lambda: Grid(Affine.identity(), None, (5, 0))):
        with pytest.raises(BadGrid, match="no pixel"):
            make()


def test_holds():
    grid = GRIDS["north-up"]
    assert grid.holds(grid.to_click(500000.01, 5e6 - 0.01))
    assert not grid.holds(grid.to_click(499999.99, 5e6 - 0.01))


@pytest.mark.parametrize(
    "code, x, y, size, metres",
    [
        (32633, 500000, 5e6, 1.0, 1 / 0.9996),
        (2263, 1e6, 2e5, 1.0, 0.3048),  # US survey feet
        (3857, 0, 8399737.9, 1.0, 0.5),  # Web Mercator at 60° north: half a true metre
        (4326, 10, 60, 1e-5, 1e-5 * math.sqrt(111412 * 55800)),
        (4807, 2, 50, 1e-5, 0.8425),  # grads
        (3031, 0, 0, 1.0, 1.0280),  # the pole itself
    ],
)
def test_metres_per_pixel_are_true(code, x, y, size, metres):
    grid = Grid(Affine(size, 0, x, 0, -size, y), CRS(code), (1, 1))
    assert grid.metres_per_pixel == pytest.approx(metres, rel=3e-3)


def test_metres_unknown():
    assert GRIDS["pixels"].metres_per_pixel is None
    assert Grid(Affine(1, 0, 0, 0, -1, 200), CRS(4326), (3, 3)).metres_per_pixel is None
    local = CRS.from_wkt('LOCAL_CS["site",UNIT["foot",0.3048],AXIS["x",EAST],AXIS["y",NORTH]]')
    assert Grid(Affine(2, 0, 0, 0, -2, 0), local, (3, 3)).metres_per_pixel == pytest.approx(0.6096)


def test_ground_area_of_small_and_large_shapes():
    roof = shapely.box(500000, 5e6, 500010, 5e6 + 8).difference(shapely.box(500002, 5e6 + 2, 500004, 5e6 + 4))
    assert area_m2(roof, UTM) == pytest.approx(76 / 0.9996**2, rel=1e-6)
    assert perimeter_m(roof, UTM) == pytest.approx(44 / 0.9996, rel=1e-6)
    country = shapely.box(10, 50, 12, 51)
    area, length = CRS(4326).get_geod().geometry_area_perimeter(country)
    assert (area_m2(country, CRS(4326)), perimeter_m(country, CRS(4326))) == pytest.approx((area, length), rel=1e-4)
    assert area_m2(roof, None) is None and area_m2(shapely.Polygon(), UTM) == 0
    assert area_m2(shapely.box(10, 95, 12, 97), CRS(4326)) is None


POLE = shapely.box(-1e6, -1e6, 1e6, 1e6)


@pytest.mark.parametrize(
    ("geometry", "code"),
    [
        (POLE, 6931),
        (POLE.difference(shapely.box(-1e5, -1e5, 1e5, 1e5)), 6931),
        (POLE.difference(shapely.box(3e5, 3e5, 9e5, 9e5)), 6932),
        (shapely.box(-2e5, 1e5, 4e5, 9e5), 3571),
        (shapely.box(-1.2e7, -6e6, 1.5e7, 5e6).difference(shapely.box(0, 0, 1e6, 1e6)), 6933),
    ],
)
def test_sizes_around_poles_and_across_the_world_are_those_of_equal_area_maps(geometry, code):
    assert area_m2(geometry, CRS(code)) == pytest.approx(geometry.area, rel=2e-4)


def test_bands_and_caps_around_the_world_have_their_size():
    sphere = 4 * np.pi * 6371007.18**2
    world, cap, north = shapely.box(-180, -90, 180, 90), shapely.box(-180, 60, 180, 90), shapely.box(-180, 0, 180, 90)
    assert area_m2(north, CRS(4326)) == pytest.approx(sphere / 2, rel=1e-3)
    assert area_m2(world, CRS(4326)) == pytest.approx(sphere, rel=1e-3)
    assert area_m2(cap, CRS(4326)) == pytest.approx(area_m2(shapely.box(-180, 60, 0, 90), CRS(4326)) * 2, rel=1e-3)
    narrow, wide = shapely.box(0, -10, 1, 10), shapely.box(0, -10, 359, 10)
    assert area_m2(wide, CRS(4326)) == pytest.approx(area_m2(narrow, CRS(4326)) * 359, rel=1e-3)


def test_small_area_agrees_with_the_geodesic_one():
    village = shapely.box(10, 50, 10.02, 50.02)
    area, length = CRS(4326).get_geod().geometry_area_perimeter(village)
    assert area_m2(village, CRS(4326)) == pytest.approx(area, rel=1e-5)
    assert perimeter_m(village, CRS(4326)) == pytest.approx(length, rel=1e-5)
