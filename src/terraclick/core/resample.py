"""Resampling as the papers' networks do it, one axis after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["resize_antialiased", "roi_weights"]

FloatArray = NDArray[np.float32]


def roi_weights(start: float, end: float, length: int, cells: int) -> FloatArray:
    """RoI-align along one axis: weights (cells, length) of a map's pixels in each cell of the span start … end.

    He et al. 2017, half-pixel centres: every cell is the mean of as many samples as it has map pixels, rounded up;
    samples further than one pixel outside count as zero, nearer ones take the border's pixel.
    """
    step = (end - start) / cells
    samples = max(1, int(np.ceil(step)))
    within = (np.arange(samples) + 0.5) / samples
    place = start - 0.5 + (np.arange(cells)[:, None] + within) * step  # (cells, samples)
    inside = (place >= -1) & (place <= length)
    distance = np.abs(np.clip(place, 0, length - 1)[..., None] - np.arange(length))
    weights = np.clip(1 - distance, 0, None) * inside[..., None]
    return np.asarray(weights.mean(axis=1), dtype=np.float32)


def resize_antialiased(array: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Linear resizing of (H, W[, C]) to size (rows, cols), antialiased: as PyTorch's `bilinear` with `antialias=True`.

    Each output pixel is a mean under a triangle as wide as itself where the map shrinks, as a pixel where it grows.
    """
    out = np.asarray(array, dtype=np.float32)
    for axis, cells in enumerate(size):
        length = out.shape[axis]
        scale = length / cells
        width = max(scale, 1.0)
        centres = (np.arange(cells) + 0.5) * scale - 0.5
        places = np.floor(centres - width).astype(np.int64)[:, None] + np.arange(int(np.ceil(2 * width)) + 2)
        weights = np.clip(1 - np.abs(places - centres[:, None]) / width, 0, None) * ((places >= 0) & (places < length))
        weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        places = np.clip(places, 0, length - 1)
        along = [-1 if a == axis else 1 for a in range(out.ndim)]
        taps = (out.take(places[:, tap], axis) * weights[:, tap].reshape(along) for tap in range(places.shape[1]))
        out = np.asarray(sum(taps), dtype=np.float32)
    return out
