"""Sub-pixel outlines with few corners: exact corners, the same rings as the mask, a budget, an overlap that is kept."""

import math

import cv2
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from pyproj import CRS
from shapely import affinity, box

from terraclick.core.masks import iou as mask_iou
from terraclick.errors import BadGrid
from terraclick.geo.contours import contours
from terraclick.geo.drawing import drawn
from terraclick.geo.grid import Grid
from terraclick.geo.polygonize import polygonize, rasterize
from terraclick.values import Prediction

UTM = CRS(32633)
L_SHAPE = box(0, 0, 20, 8).union(box(0, 8, 9, 15))


def grid_of(shape, gsd=0.3):
    return Grid(Affine(gsd, 0, 500000, 0, -gsd, 5e6), UTM, shape)


def corners(polygon):
    return len(shapely.get_coordinates(polygon)) - len(shapely.get_rings(polygon))


def seen(polygon, gsd=0.3, blur=1.0, crs=UTM):
    """What a good model answers for a polygon: the share of each pixel it covers, softened; and the grid it lies on."""
    left, bottom, right, top = polygon.buffer(8 * gsd).bounds
    shape = math.ceil((top - bottom) / gsd), math.ceil((right - left) / gsd)
    fine = Grid(Affine(gsd / 8, 0, left, 0, -gsd / 8, top), crs, (8 * shape[0], 8 * shape[1]))
    covered = rasterize([polygon], fine).astype(np.float32)
    probs = cv2.resize(cv2.GaussianBlur(covered, (0, 0), 8 * blur), shape[::-1], interpolation=cv2.INTER_AREA)
    return np.clip(probs, 0, 1), Grid(Affine(gsd, 0, left, 0, -gsd, top), crs, shape)


def overlap(a, b):
    return a.intersection(b).area / a.union(b).area


@settings(max_examples=150, deadline=None)
@given(mask=arrays(np.bool_, (8, 9)), noise=arrays(np.uint8, (8, 9)))
def test_full_contours_hold_exactly_the_pixels_of_the_mask(mask, noise):
    share = noise.astype(np.float32) / 255 * 0.5
    probs = np.where(mask, 0.5 + share, 0.5 - share).astype(np.float32)
    grid = grid_of(mask.shape)
    found = contours(mask, grid, probs, 0.5, budget=False)
    assert all(polygon.is_valid for polygon in found)
    assert (rasterize(found, grid) == mask).all()
    exact = polygonize(mask, grid)
    assert len(found) == len(exact)
    assert sum(len(p.interiors) for p in found) == sum(len(p.interiors) for p in exact)


@pytest.mark.parametrize("threshold", [0.3, 0.49, 0.5, 0.8])
@pytest.mark.parametrize("shape", [(10, 20), (40, 60), (7, 6)])
def test_a_certain_rectangle_keeps_its_corners_to_the_millimetre(threshold, shape):
    mask = np.zeros((80, 100), dtype=bool)
    mask[12 : 12 + shape[0], 7 : 7 + shape[1]] = True
    grid = grid_of(mask.shape)
    (found,) = contours(mask, grid, mask.astype(np.float32), threshold)
    (exact,) = polygonize(mask, grid)
    assert corners(found) == 4 and found.hausdorff_distance(exact) < 1e-3


def test_certain_corners_holes_and_steps_come_back_exactly():
    mask = np.zeros((60, 80), dtype=bool)
    mask[10:50, 10:70] = True
    mask[10:25, 10:30] = False
    mask[30:40, 40:55] = False
    grid = grid_of(mask.shape)
    (found,), (exact,) = contours(mask, grid), polygonize(mask, grid)
    assert found.symmetric_difference(exact).area < 1e-6 and corners(found) == 10


@pytest.mark.parametrize("angle", [0, 7, 30, 45, 61])
@pytest.mark.parametrize("shape", [box(0, 0, 20, 12), L_SHAPE, L_SHAPE.difference(box(3, 2, 7, 6))])
def test_a_turned_roof_is_outlined_finer_than_its_pixels(shape, angle):
    roof = affinity.translate(affinity.rotate(shape, angle, origin=(0, 0)), 500000, 5e6)
    probs, grid = seen(roof)
    mask = probs > 0.5
    (found,) = contours(mask, grid, probs, 0.5)
    (staircase,) = polygonize(mask, grid)
    assert corners(found) <= 2 * corners(roof)
    assert overlap(found, roof) > max(0.975, overlap(staircase, roof))
    assert mask_iou(rasterize([found], grid), mask) >= 0.97


@pytest.mark.parametrize("gsd", [0.05, 0.1, 0.3, 0.5])
def test_a_ragged_building_has_4_to_20_corners(gsd):
    rng = np.random.default_rng(4)
    roof = affinity.translate(affinity.rotate(L_SHAPE, 24, origin=(0, 0)), 500000, 5e6)
    probs, grid = seen(roof, gsd)
    waves = cv2.GaussianBlur(rng.normal(0, 1, probs.shape).astype(np.float32), (0, 0), max(1.0, 0.4 / gsd))
    probs = np.clip(probs + 0.1 * waves / waves.std() * (probs > 0.02) * (probs < 0.98), 0, 1).astype(np.float32)
    mask = np.zeros(probs.shape, dtype=bool)
    largest = max(polygonize(probs > 0.5, grid), key=lambda p: p.area)
    mask = rasterize([shapely.Polygon(largest.exterior)], grid)
    (found,) = contours(mask, grid, probs, 0.5)
    assert 4 <= corners(found) <= 20 < corners(polygonize(mask, grid)[0])
    assert mask_iou(rasterize([found], grid), mask) >= 0.97


@settings(max_examples=60, deadline=None)
@given(seed=arrays(np.uint8, (12, 12)))
def test_budgeted_outlines_are_valid_and_overlap_any_mask(seed):
    probs = np.clip(cv2.resize(seed.astype(np.float32) / 255, (70, 70), interpolation=cv2.INTER_CUBIC), 0, 1)
    mask = probs > 0.5
    grid = grid_of(mask.shape)
    found = contours(mask, grid, probs, 0.5)
    exact = polygonize(mask, grid)
    assert all(polygon.is_valid and polygon.area > 0 for polygon in found) and len(found) == len(exact)
    assert sum(map(corners, found)) <= max(sum(map(corners, exact)), 12 * len(exact))
    if mask.any():
        assert mask_iou(rasterize(found, grid), mask) >= 0.97


def test_where_mask_and_probabilities_disagree_the_mask_counts():
    mask = np.zeros((30, 30), dtype=bool)
    mask[5:25, 5:25] = True
    probs = mask.astype(np.float32)
    probs[10:12, 10:12] = 0.1  # a hole that was filled
    probs[2, 2] = 0.9  # a speck that was dropped
    (found,) = contours(mask, grid_of(mask.shape), probs, 0.49)
    assert found.bounds == pytest.approx((500001.5, 5e6 - 7.5, 500007.5, 5e6 - 1.5)) and corners(found) == 4


def test_no_outline_passes_the_edge_of_the_picture_or_of_its_data():
    probs = np.full((30, 30), 0.6, dtype=np.float32)
    valid = np.ones(probs.shape, dtype=bool)
    valid[:, 20:] = False
    mask = valid.copy()
    (found,) = contours(mask, grid_of(mask.shape), probs, 0.5, valid)
    assert found.bounds == pytest.approx((500000, 5e6 - 9, 500006, 5e6)) and corners(found) == 4


def test_drawn_knows_three_shapes():
    probs, grid = seen(affinity.translate(affinity.rotate(L_SHAPE, 20), 500000, 5e6))
    answer = Prediction(probs)
    mask = answer.mask
    (pixels,) = drawn(answer, mask, grid, 0)
    (full,) = drawn(answer, mask, grid, 0.5)
    (kept,) = drawn(answer, mask, grid)
    assert pixels.equals(polygonize(mask, grid)[0])
    assert corners(kept) < corners(full) and full.is_valid


def test_wrong_shapes_and_nothing():
    grid = grid_of((5, 5))
    assert contours(np.zeros((5, 5), dtype=bool), grid) == []
    with pytest.raises(BadGrid, match="one view"):
        contours(np.zeros((5, 5), dtype=bool), grid, np.zeros((4, 5), dtype=np.float32))


@pytest.mark.parametrize("seed", range(6))
def test_a_very_ragged_building_has_no_more_than_20_corners(seed):
    """The tolerance grew in steps that jumped over the one that would do: 21 to 23 corners at an overlap of .98."""
    gsd, rng = 0.2, np.random.default_rng(seed)
    probs, grid = seen(affinity.translate(affinity.rotate(L_SHAPE, 24, origin=(0, 0)), 500000, 5e6), gsd)
    waves = cv2.GaussianBlur(rng.normal(0, 1, probs.shape).astype(np.float32), (0, 0), 2)
    probs = np.clip(probs + 0.2 * waves / waves.std() * (probs > 0.02) * (probs < 0.98), 0, 1).astype(np.float32)
    largest = max(polygonize(probs > 0.5, grid), key=lambda polygon: polygon.area)
    mask = rasterize([shapely.Polygon(largest.exterior)], grid)
    (found,) = contours(mask, grid, probs, 0.5)
    assert 4 <= corners(found) <= 20
    assert mask_iou(rasterize([found], grid), mask) >= 0.97
