from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terraclick.core.division import blend_weights, choose_division, divide, fuse, patch_windows
from terraclick.errors import BadConfig


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 5), st.integers(0, 9))
def test_patches_cover_the_view_and_their_weights_sum_to_one(rows, cols, n, overlap):
    windows, total = divide((rows, cols), n, overlap), np.zeros((rows, cols))
    for window, weight in zip(windows, blend_weights(windows, (rows, cols), overlap), strict=True):
        assert window.row + window.rows <= rows and window.col + window.cols <= cols
        total[window.slices] += weight
    np.testing.assert_allclose(total, 1, atol=1e-5)


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(8, 120), st.floats(0, 0.5))
def test_patches_of_a_given_size_cover_every_pixel(rows, cols, patch, share):
    overlap = int(patch * share)
    covered = np.zeros((rows, cols), bool)
    windows = patch_windows((rows, cols), patch, overlap)
    for window in windows:
        assert window.rows == window.cols == patch
        covered[max(window.row, 0) : window.row + patch, max(window.col, 0) : window.col + patch] = True
    assert covered.all()
    columns = sorted({window.col for window in windows})
    assert all(b - a <= patch - overlap for a, b in pairwise(columns))


def test_division_keeps_native_resolution():
    assert [choose_division((side, 100)) for side in (10, 448, 449, 896, 1344)] == [1, 1, 2, 2, 3]


def test_fuse_is_a_weighted_mean_and_refuses_nonsense():
    maps = [np.zeros((2, 2), np.float32), np.ones((2, 2), np.float32)]
    assert fuse(maps).tolist() == [[0.5] * 2] * 2 and fuse(maps, [1, 3])[0, 0] == 0.75
    with pytest.raises(BadConfig, match="one positive weight"):
        fuse(maps, [1])
