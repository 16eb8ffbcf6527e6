"""Divisions: a view cut in overlapping patches at native resolution, and their answers fused without seams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadConfig
from terraclick.values import Window

__all__ = ["blend_weights", "choose_division", "divide", "fuse", "patch_windows"]

FloatArray = NDArray[np.float32]


def choose_division(shape: tuple[int, int], patch: int = 448, scale: float = 1.0) -> int:
    """The fewest patches per side that keep native resolution: n with n·patch >= the longer side of `shape` × `scale`.

    `scale` is view pixels wanted per pixel given (gsd of the view / gsd the model likes), 1 for the view's own.
    """
    if patch < 1 or not scale > 0:
        raise BadConfig(f"patches of {patch} pixels at scale {scale} cut nothing: give positive numbers.")
    return max(1, int(np.ceil(max(shape) * scale / patch)))


def divide(shape: tuple[int, int], n: int, overlap: int = 0) -> tuple[Window, ...]:
    """n × n windows in reading order that cover a view of `shape`, neighbours sharing `overlap` pixels or one more."""
    if n < 1 or overlap < 0:
        raise BadConfig(f"a division needs n >= 1 and overlap >= 0, got n={n}, overlap={overlap}: correct them.")
    rows, cols = (_spans(side, n, overlap) for side in shape)
    return tuple(Window(row, col, height, width) for row, height in rows for col, width in cols)


def _spans(side: int, n: int, overlap: int) -> list[tuple[int, int]]:
    """(start, length) of n equal spans that cover `side`; fewer where a span already covers all."""
    length = min(side, -(-(side + (n - 1) * overlap) // n))
    return [(start, length) for start in _starts(side, length, n)]


def _starts(side: int, length: int, n: int) -> list[int]:
    """Where n spans of `length` start so that they cover `side` evenly; fewer where two would start together."""
    return sorted({round(k * (side - length) / max(n - 1, 1)) for k in range(n)})


def patch_windows(shape: tuple[int, int], patch: int, overlap: int) -> tuple[Window, ...]:
    """Equal squares of `patch` pixels that cover a view, neighbours sharing at least `overlap` pixels, row by row.

    Unlike `divide` the size is given and the number follows; a view smaller than a patch gets one patch centred on it,
    hanging over its edges.
    """

    def starts(length: int) -> list[int]:
        if length <= patch:
            return [-((patch - length) // 2)]
        return _starts(length, patch, -(-(length - overlap) // (patch - overlap)))

    return tuple(Window(row, col, patch, patch) for row in starts(shape[0]) for col in starts(shape[1]))


def blend_weights(windows: Sequence[Window], shape: tuple[int, int], overlap: int) -> list[FloatArray]:
    """One weight map per window (its size): raised cosine over the overlap, summing to 1 at every covered pixel."""
    raw = [np.outer(_ramp(w.row, w.rows, shape[0], overlap), _ramp(w.col, w.cols, shape[1], overlap)) for w in windows]
    total = np.zeros(shape)
    for window, weight in zip(windows, raw, strict=True):
        total[window.slices] += weight
    return [(weight / total[window.slices]).astype(np.float32) for window, weight in zip(windows, raw, strict=True)]


def _ramp(start: int, length: int, side: int, overlap: int) -> NDArray[np.float64]:
    """Weights along one side of a window: falling over the overlap, but not towards the view's own edge."""
    ramp = np.ones(length)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(min(overlap, length)) + 0.5) / max(overlap, 1))
    if start > 0:
        ramp[: rise.size] *= rise
    if start + length < side:
        ramp[length - rise.size :] *= rise[::-1]
    return ramp


def fuse(maps: Sequence[FloatArray], weights: Sequence[float] | None = None) -> FloatArray:
    """Weighted mean of maps (H, W) of one size, probabilities or logits; equal weights if none are given."""
    shares = np.ones(len(maps)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not maps or len(shares) != len(maps) or not shares.sum() > 0:
        raise BadConfig(f"{len(maps)} maps cannot be fused with {len(shares)} weights: give one positive weight a map.")
    total = sum(share * part.astype(np.float64) for share, part in zip(shares, maps, strict=True))
    return np.asarray(total / shares.sum(), dtype=np.float32)
