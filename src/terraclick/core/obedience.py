"""Answers that obey their clicks: where a click lies on the wrong side of an outline, the outline moves there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from terraclick.values import Click

__all__ = ["obeyed"]

FloatArray = NDArray[np.float32]

SOFTENED = 1e-3
"""Added to the diagonal, so that two clicks on one pixel have an answer."""

SEEN = 4.0
"""How far a bump is added, in its own widths."""


def obeyed(logits: FloatArray, clicks: Sequence[Click], reach: float, margin: float) -> FloatArray:
    """Logits (H, W) that say at least `margin` for each click at its pixel, and change little beyond `reach` pixels.

    Gaussian bumps of width `reach` on the clicks are added; their heights solve one linear system, so that raising one
    click does not spoil another. Logits count from the mask's threshold; clicks outside the picture are passed over.
    """
    rows, cols = logits.shape
    inside = [click for click in clicks if -0.5 <= click.row < rows - 0.5 and -0.5 <= click.col < cols - 0.5]
    if not inside:
        return logits
    places = np.array([(click.row, click.col) for click in inside])
    signs = np.array([1.0 if click.positive else -1.0 for click in inside])
    nearest = np.rint(places).astype(int)
    lacking = np.maximum(margin - signs * logits[nearest[:, 0], nearest[:, 1]], 0) * signs
    if not lacking.any():
        return logits
    apart = ((places[:, None] - places[None]) ** 2).sum(axis=-1)
    heights = np.linalg.solve(np.exp(-apart / (2 * reach**2)) + SOFTENED * np.eye(len(inside)), lacking)
    moved = logits.copy()
    for (row, col), height in zip(places, heights, strict=True):
        spans = [_span(middle, reach, length) for middle, length in ((row, rows), (col, cols))]
        (first, down), (left, across) = (
            (span, np.exp(-((np.arange(span.start, span.stop) - middle) ** 2) / (2 * reach**2)))
            for span, middle in zip(spans, (row, col), strict=True)
        )
        moved[first, left] += np.asarray(height * np.outer(down, across), np.float32)
    return np.asarray(moved, np.float32)


def _span(middle: float, reach: float, length: int) -> slice:
    return slice(max(int(middle - SEEN * reach), 0), min(int(middle + SEEN * reach) + 1, length))
