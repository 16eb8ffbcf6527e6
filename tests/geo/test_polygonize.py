"""Masks ↔ polygons: exact areas, own holes, any affine."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from pyproj import CRS

from terraclick.errors import BadGrid
from terraclick.geo.grid import Grid
from terraclick.geo.polygonize import polygonize, rasterize

UTM = CRS(32633)
TRANSFORMS = {
    "north-up": Affine(0.3, 0, 500000, 0, -0.3, 5e6),
    "south-up": Affine(0.3, 0, 500000, 0, 0.3, 5e6),
    "rotated": Affine(0.26, 0.15, 500000, 0.15, -0.26, 5e6),
    "sheared": Affine(0.26, 0.2, 500000, 0.05, -0.4, 5e6),
    "degrees": Affine(2.7e-6, 0, -115.3, 0, -1.9e-6, 36.2),
}


def grid(shape, name="north-up"):
    return Grid(TRANSFORMS[name], UTM, shape)


@pytest.mark.parametrize("name", TRANSFORMS)
@settings(max_examples=60, deadline=None)
@given(mask=arrays(np.bool_, (7, 9)))
def test_any_mask_comes_back_exactly(name, mask):
    polygons = polygonize(mask, grid(mask.shape, name))
    a, b, _, d, e, _ = tuple(TRANSFORMS[name])[:6]
    assert all(p.is_valid and p.exterior.is_ccw for p in polygons)
    assert sum(p.area for p in polygons) == pytest.approx(mask.sum() * abs(a * e - b * d), rel=1e-3)
    assert (rasterize(polygons, grid(mask.shape, name)) == mask).all()


def test_noise_comes_back_exactly():
    mask = np.random.default_rng(0).random((300, 400)) > 0.45
    polygons = polygonize(mask, grid(mask.shape, "rotated"))
    assert (rasterize(polygons, grid(mask.shape, "rotated")) == mask).all()


def test_holes_stay_with_their_owner():
    mask = np.zeros((20, 40), dtype=bool)
    mask[2:10, 2:10] = mask[2:10, 20:30] = True
    mask[4:6, 4:6] = mask[4:6, 22:24] = mask[7:9, 26:28] = False
    mask[0, 0] = True
    holes = [len(p.interiors) for p in polygonize(mask, grid(mask.shape), min_area_px=2)]
    assert sorted(holes) == [1, 2]


def test_island_in_a_hole_and_diagonal_touch():
    mask = np.zeros((9, 9), dtype=bool)
    mask[1:8, 1:8] = True
    mask[2:7, 2:7] = False
    mask[4, 4] = True
    assert sorted(len(p.interiors) for p in polygonize(mask, grid(mask.shape))) == [0, 1]
    assert len(polygonize(np.eye(4, dtype=bool), grid((4, 4)))) == 4


def test_hole_that_touches_itself_is_two_holes():
    mask = np.ones((6, 6), dtype=bool)
    mask[2, 2] = mask[3, 3] = False
    (polygon,) = polygonize(mask, grid(mask.shape))
    assert polygon.is_valid and len(polygon.interiors) == 2


def test_bounds_of_a_known_square_and_size_limit():
    mask = np.zeros((50, 50), dtype=bool)
    mask[10:20, 5:25] = True
    (polygon,) = polygonize(mask, grid(mask.shape), min_area_px=200)
    assert polygon.bounds == pytest.approx((500001.5, 5e6 - 6, 500007.5, 5e6 - 3), abs=1e-9)
    assert polygonize(mask, grid(mask.shape), min_area_px=201) == []


def test_nothing_and_everything():
    assert polygonize(np.zeros((5, 5), dtype=bool), grid((5, 5))) == []
    assert not rasterize([], grid((5, 5))).any() and not rasterize([shapely.Polygon()], grid((5, 5))).any()
    assert len(polygonize(np.ones((5, 5), dtype=bool), grid((5, 5)))) == 1


def test_wrong_shape():
    with pytest.raises(BadGrid, match="mask"):
        polygonize(np.zeros((5, 6), dtype=bool), grid((5, 5)))
