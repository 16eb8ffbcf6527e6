"""Resampling: what it must keep, and PyTorch's own as the yardstick where it is installed."""

import numpy as np
import pytest

from terraclick.core.resample import resize_antialiased, roi_weights


def test_a_span_inside_is_cut_exactly_and_what_lies_outside_is_zero():
    assert np.allclose(roi_weights(2, 5, 8, 3), np.eye(8)[2:5])
    assert not roi_weights(-8, -4, 8, 2).any()
    assert np.allclose(roi_weights(0.3, 7.1, 9, 4).sum(axis=1), 1)


def test_constants_ramps_and_copies_survive():
    ramp = np.linspace(0, 1, 40, dtype=np.float32)[None].repeat(30, 0)
    assert np.array_equal(resize_antialiased(ramp, (30, 40)), ramp)
    assert np.allclose(resize_antialiased(np.ones((7, 9, 3), np.float32), (20, 4)), 1)
    small = resize_antialiased(ramp, (30, 10))
    assert np.allclose(small[:, 1:-1], ramp.reshape(30, 10, 4).mean(axis=2)[:, 1:-1], atol=1e-6)


@pytest.mark.parametrize("size", [(13, 90), (64, 64), (5, 7), (37, 51)])
def test_it_resizes_as_pytorch(size):
    torch = pytest.importorskip("torch", reason="compares with PyTorch where it is installed")
    array = np.random.default_rng(0).random((37, 51, 3), dtype=np.float32)
    tensor = torch.from_numpy(array).permute(2, 0, 1)[None]
    theirs = torch.nn.functional.interpolate(tensor, size=size, mode="bilinear", antialias=True)
    assert np.allclose(resize_antialiased(array, size), theirs[0].permute(1, 2, 0).numpy(), atol=1e-5)
