"""Stored pixels become those of a lattice: averaged by area, as they are, or bilinear."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.geo.lattice import SLIVER
from terraclick.geo.pixels import Source
from terraclick.values import Window

__all__ = ["resample"]


def resample(
    source: Source, window: Window, lattice: Window, factor: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Stored pixels of `window` → the output pixels of `lattice`: image (rows, cols, 3), valid (rows, cols)."""
    steps = factor / source.ratio[0], factor / source.ratio[1]
    if steps == (1.0, 1.0) or min(steps) < 0.9:
        image = np.empty((window.rows, window.cols, 3), dtype=np.uint8)
        valid = np.empty((window.rows, window.cols), dtype=np.bool_)
        for row, part, known in source.chunks(window):
            image[row : row + len(part)], valid[row : row + len(part)] = part, known
        return (image, valid) if steps == (1.0, 1.0) else _enlarged(image, valid, window, lattice, steps)
    edges = [
        np.clip((first + np.arange(count + 1)) * step - start, 0.0, size)
        for first, count, step, start, size in (
            (lattice.row, lattice.rows, steps[0], window.row, window.rows),
            (lattice.col, lattice.cols, steps[1], window.col, window.cols),
        )
    ]
    image = np.empty((lattice.rows, lattice.cols, 3), dtype=np.uint8)
    valid = np.empty((lattice.rows, lattice.cols), dtype=np.bool_)
    for first in range(0, lattice.rows, 64):
        rows = slice(first, first + 64)
        image[rows], valid[rows] = _averaged(source, window, edges[0][first : first + 65], edges[1])
    return image, valid


def _averaged(
    source: Source, window: Window, row_edges: NDArray[np.float64], col_edges: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Mean of the valid pixels in each box between the edges (counted from the window's corner), and where any are."""
    rows, cols = len(row_edges) - 1, len(col_edges) - 1
    start, stop = math.floor(row_edges[0]), math.ceil(row_edges[-1])
    needed = Window(window.row + start, window.col, stop - start, window.cols)
    areas = np.diff(row_edges)[:, None] * np.diff(col_edges)
    sums, weights = np.zeros((rows, cols, 3)), np.zeros((rows, cols, 1))
    for row, part, known in source.chunks(needed):
        first = max(0, int(np.searchsorted(row_edges, row + start, side="right")) - 1)
        last = min(rows, int(np.searchsorted(row_edges, row + start + len(part), side="left")))
        here = np.clip(row_edges[first : last + 1] - (row + start), 0.0, len(part))
        sums[first:last] += _box_sums(part, here, col_edges)
        if known.all():
            weights[first:last, :, 0] += np.diff(here)[:, None] * np.diff(col_edges)
        else:
            weights[first:last] += _box_sums(known.view(np.uint8)[..., None], here, col_edges)
    valid = weights[..., 0] > SLIVER * areas
    mean = sums / np.where(valid[..., None], weights, 1.0)
    # Sums carry rounding noise that depends on where the read began; ties are lifted clear of it before rounding.
    return np.where(valid[..., None], np.floor(mean + (0.5 + 1e-4)), 0).astype(np.uint8), valid


def _box_sums(
    part: NDArray[np.uint8], row_edges: NDArray[np.float64], col_edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sums of `part` (h, w, channels) over the boxes between edges: an integral image is bilinear within a pixel."""
    channels = part.shape[2]
    depth = cv2.CV_32S if part.shape[0] * part.shape[1] * 255 < 2**31 else cv2.CV_64F
    total = np.asarray(cv2.integral(part, sdepth=depth)).reshape(part.shape[0] + 1, part.shape[1] + 1, channels)
    down = np.diff(_between(total, row_edges), axis=0)
    across = np.diff(_between(down.transpose(1, 0, 2), col_edges), axis=0)
    return np.asarray(across.transpose(1, 0, 2), dtype=np.float64)


def _between(table: NDArray[Any], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of a table at fractional places, linearly."""
    low = np.minimum(places.astype(np.intp), len(table) - 2)
    share = (places - low)[:, None, None]
    return np.asarray(table[low] * (1.0 - share) + table[low + 1] * share)


def _enlarged(
    image: NDArray[np.uint8], valid: NDArray[np.bool_], window: Window, lattice: Window, steps: tuple[float, float]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Bilinear between pixel centres (among valid ones); an output pixel is valid where the pixel under it is."""
    places, under = [], []
    for axis, (first, count, start) in enumerate(
        ((lattice.row, lattice.rows, window.row), (lattice.col, lattice.cols, window.col))
    ):
        centre = (first + np.arange(count) + 0.5) * steps[axis]
        place = centre - 0.5
        low = np.floor(place)
        last = image.shape[axis] - 1
        pair = np.clip(low - start, 0, last).astype(np.intp), np.clip(low + 1 - start, 0, last).astype(np.intp)
        places.append((*pair, (place - low).astype(np.float32)))
        under.append(np.clip(np.floor(centre) - start, 0, last).astype(np.intp))
    weighted = np.dstack([image, valid.view(np.uint8)]).astype(np.float32)
    out_valid = valid[np.ix_(under[0], under[1])]
    out = np.zeros((lattice.rows, lattice.cols, 3), dtype=np.uint8)
    (up, down, v), (left, right, h) = places
    for row in range(0, lattice.rows, 256):
        s = slice(row, row + 256)
        lines = weighted[up[s]] * (1 - v[s, None, None]) + weighted[down[s]] * v[s, None, None]
        mixed = lines[:, left] * (1 - h[None, :, None]) + lines[:, right] * h[None, :, None]
        mean = mixed[..., :3] / np.maximum(mixed[..., 3:], np.float32(1e-6))
        out[s] = np.where(out_valid[s, :, None], np.clip(np.rint(mean), 0, 255), 0).astype(np.uint8)
    return out, out_valid
