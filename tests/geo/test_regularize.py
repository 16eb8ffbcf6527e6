"""Simplifying and squaring outlines, in metres on the ground."""

import math

import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS
from shapely import Polygon, affinity, box

from terraclick.errors import BadConfig
from terraclick.geo.grid import Grid
from terraclick.geo.polygonize import polygonize, rasterize
from terraclick.geo.regularize import simplify, simplify_coverage, square_corners

UTM = CRS(32633)
L_SHAPE = Polygon([(0, 0), (20, 0), (20, 8), (9, 8), (9, 15), (0, 15)])


def iou(a, b):
    return a.intersection(b).area / a.union(b).area


def traced(polygon, gsd=0.3, crs=UTM):
    """The polygon as a mask's staircase outline."""
    left, bottom, right, top = polygon.buffer(5 * gsd).bounds
    shape = math.ceil((top - bottom) / gsd), math.ceil((right - left) / gsd)
    grid = Grid(Affine(gsd, 0, left, 0, -gsd, top), crs, shape)
    return max(polygonize(rasterize([polygon], grid), grid), key=lambda p: p.area)


def right_angles(polygon):
    """Largest deviation of any corner from a right angle, in degrees."""
    worst = 0.0
    for ring in shapely.get_rings(polygon):
        edges = np.diff(shapely.get_coordinates(ring), axis=0)
        angles = np.degrees(np.arctan2(edges[:, 1], edges[:, 0]))
        turns = (np.diff(angles, append=angles[0]) + 45) % 90 - 45
        worst = max(worst, float(np.abs(turns).max()))
    return worst


@pytest.mark.parametrize("angle", [0, 7, 30, 45, 61])
@pytest.mark.parametrize("shape", [box(0, 0, 20, 12), L_SHAPE, L_SHAPE.difference(box(3, 3, 7, 6))])
def test_a_turned_roof_gets_its_corners_back(shape, angle):
    roof = affinity.translate(affinity.rotate(shape, angle, origin=(0, 0)), 500000, 5e6)
    squared = square_corners(traced(roof), 0.6, UTM)
    assert right_angles(squared) < 1e-3
    assert len(shapely.get_coordinates(squared)) == len(shapely.get_coordinates(roof))
    assert iou(squared, roof) > 0.94
    assert squared.area == pytest.approx(traced(roof).area, rel=1e-3)


def test_noisy_outline():
    rng = np.random.default_rng(1)
    roof = affinity.translate(affinity.rotate(L_SHAPE, 20, origin=(0, 0)), 500000, 5e6)
    dense = shapely.get_coordinates(shapely.segmentize(roof, 1.0))[:-1]
    noisy = Polygon(dense + rng.normal(0, 0.2, dense.shape)).buffer(0)
    squared = square_corners(noisy, 0.8, UTM)
    assert right_angles(squared) < 1e-3 and iou(squared, roof) > 0.93


def test_degrees_and_true_angles():
    scale = (1 / 55800, 1 / 111412)  # degrees per metre at 60° north
    roof = affinity.rotate(L_SHAPE, 25, origin=(0, 0))
    degrees = affinity.translate(affinity.scale(roof, *scale, origin=(0, 0)), 10, 60)
    squared = square_corners(degrees, 0.5, CRS(4326))
    back = affinity.scale(affinity.translate(squared, -10, -60), 55800, 111412, origin=(0, 0))
    assert right_angles(back) < 0.3 and iou(back, roof) > 0.98


@pytest.mark.parametrize(
    "shape",
    [
        shapely.Point(500000, 5e6).buffer(10),
        Polygon([(0, 0), (20, 0), (10, 17)]),
        Polygon([(0, 0), (30, 1), (40, 20), (35, 21), (26, 6), (0, 5)]),
    ],
)
def test_what_is_no_building_is_not_bent(shape):
    squared = square_corners(shape, 0.5, UTM)
    assert squared.is_valid and iou(squared, shape) >= 0.85


def test_too_unlike_gives_the_simplified_one():
    bean = shapely.LineString([(0, 0), (4, 4), (8, 4), (12, 0)]).buffer(1)
    assert square_corners(bean, 1.5, UTM, min_iou=0.999).equals(simplify(bean, 1.5, UTM))


def test_simplify_in_metres_and_degrees():
    staircase = traced(affinity.rotate(box(0, 0, 30, 20), 10))
    simple = simplify(staircase, 0.45, UTM)
    assert len(simple.exterior.coords) < 0.3 * len(staircase.exterior.coords)
    assert simple.hausdorff_distance(staircase) <= 0.46
    ring = shapely.Point(0, 0).buffer(1e-4)
    assert len(simplify(ring, 0.5, CRS(4326)).exterior.coords) == len(
        simplify(ring, 0.5 / 111320, None).exterior.coords
    )


def test_simplify_never_loses_the_shape():
    tiny = box(0, 0, 0.3, 0.3)
    assert not simplify(tiny, 50, UTM).is_empty and simplify(tiny, 50, UTM).is_valid
    ring = box(0, 0, 10, 10).difference(shapely.Point(5, 5).buffer(2))
    assert len(simplify(ring, 1.0, UTM).interiors) == 1
    assert simplify(Polygon(), 1.0, UTM).is_empty and square_corners(Polygon(), 1.0, UTM).is_empty
    assert simplify(tiny, 0, UTM) is tiny


def test_shared_borders_stay_shared():
    labels = np.kron(np.random.default_rng(3).integers(0, 2, (6, 6)), np.ones((10, 10), dtype=int))
    labels[np.add.outer(np.arange(60), np.arange(60)) % 37 < 5] ^= 1
    grid = Grid(Affine(0.3, 0, 500000, 0, -0.3, 5e6), UTM, labels.shape)
    parts = [p for k in (0, 1) for p in polygonize(labels == k, grid)]
    simple = simplify_coverage(parts, 0.6, UTM)
    assert len(simple) == len(parts) and all(p.is_valid and p.area > 0 for p in simple)
    assert sum(p.area for p in simple) == pytest.approx(18 * 18, rel=1e-2)
    assert sum(p.area for p in simple) == pytest.approx(shapely.union_all(simple).area, rel=1e-6)
    assert sum(shapely.get_num_coordinates(simple)) < sum(shapely.get_num_coordinates(parts))


@pytest.mark.parametrize("tolerance", [-1, math.nan, math.inf])
def test_bad_tolerance(tolerance):
    for act in (simplify, square_corners):
        with pytest.raises(BadConfig, match="tolerance"):
            act(box(0, 0, 1, 1), tolerance, UTM)
    with pytest.raises(BadConfig, match="tolerance"):
        simplify_coverage([box(0, 0, 1, 1)], tolerance, UTM)


def placed(shape, angle):
    return affinity.translate(affinity.rotate(shape, angle, origin=(0, 0)), 500000, 5e6)


def ring_angles(polygon):
    """The angle at every corner of the outer ring, in degrees."""
    edges = np.diff(shapely.get_coordinates(polygon.exterior), axis=0)
    headings = np.degrees(np.arctan2(edges[:, 1], edges[:, 0]))
    return np.sort(np.abs((np.diff(headings, append=headings[0]) + 180) % 360 - 180).round(3))


@pytest.mark.parametrize("angle", [0, 7, 20, 33])
def test_diagonal_walls_become_exact_diagonals(angle):
    bay = Polygon([(0, 0), (24, 0), (24, 10), (17, 17), (0, 17)])
    squared = square_corners(traced(placed(bay, angle)), 0.6, UTM)
    assert ring_angles(squared) == pytest.approx([45, 45, 90, 90, 90], abs=0.01)
    assert iou(squared, placed(bay, angle)) > 0.95


@pytest.mark.parametrize("angle", [0, 12, 40])
def test_a_wing_at_its_own_angle_keeps_it_with_right_angles(angle):
    wing = affinity.translate(affinity.rotate(box(0, 0, 24, 9), 27, origin=(0, 0)), 26, 4)
    house = placed(box(0, 0, 30, 14).union(wing), angle)
    squared = square_corners(traced(house), 0.6, UTM)
    assert iou(squared, house) > 0.96
    edges = np.diff(shapely.get_coordinates(squared.exterior), axis=0)
    long = edges[np.hypot(*edges.T) > 5]
    off = np.abs((np.degrees(np.arctan2(long[:, 1], long[:, 0])) - angle + 45) % 90 - 45)
    assert all(min(value, abs(value - 27)) < 2 for value in off) and (np.abs(off - 27) < 2).sum() >= 2


@pytest.mark.parametrize("radius", [4, 9, 30])
def test_what_is_round_becomes_a_circle_with_its_holes(radius):
    disk = shapely.Point(500000, 5e6).buffer(radius)
    tank = disk.difference(shapely.box(499999, 5e6 - 1, 500001, 5e6 + 1))
    squared = square_corners(traced(tank), 0.6, UTM)
    reach = np.hypot(*(shapely.get_coordinates(squared.exterior) - (500000, 5e6)).T)
    assert np.ptp(reach) < 0.45 and iou(squared, tank) > 0.93
    assert len(squared.interiors) == 1 and len(squared.exterior.coords) <= 65
    assert len(square_corners(traced(placed(box(0, 0, 20, 18), 10)), 0.6, UTM).exterior.coords) == 5
