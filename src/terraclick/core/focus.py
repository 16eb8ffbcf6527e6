"""The zoom-in rule: which part of a view the network should look at next (pure functions)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadConfig
from terraclick.values import Click, Window

__all__ = ["FocusRule", "crop", "crop_clicks", "next_window", "paste", "resize", "resize_aligned"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class FocusRule:
    """When and where to zoom in: RITM's and SimpleClick's rule."""

    size: tuple[int, int] | None = (448, 448)
    """Size (rows, cols) the window is resized to; None leaves it at its own resolution."""
    expansion: float = 1.4
    """How much larger than the object the window is."""
    min_crop: int = 200
    """Smallest side of a new window, in view pixels."""
    recompute_iou: float = 0.5
    """The old window is kept while its IoU with the new one is at least this (hysteresis)."""
    prob_thresh: float = 0.5
    """Probability above which a pixel of the previous answer counts as object."""
    parity: bool = False
    """Resize and map clicks as published: align-corners bilinear, clicks up to half a pixel off."""

    def __post_init__(self) -> None:
        if self.expansion < 1 or self.min_crop < 1 or not 0 <= self.recompute_iou <= 1:
            raise BadConfig("a focus rule needs expansion >= 1, min_crop >= 1 and recompute_iou in 0..1: correct them.")
        if self.size is not None and min(self.size) < 1:
            raise BadConfig(f"the size {self.size} to zoom to is empty: give two positive sides, or None.")


def next_window(
    previous_probs: FloatArray | None,
    previous_window: Window | None,
    clicks: Sequence[Click],
    shape: tuple[int, int],
    rule: FocusRule,
) -> Window:
    """The part of a view of `shape` to look at next; always inside the view, and holding every positive click.

    Without a previous answer, or with an empty one, that is the whole view.
    """
    positives = [click for click in clicks if click.positive]
    window = _around(previous_probs, positives, shape, rule)
    if previous_window is None or not all(_well_inside(previous_window, click) for click in positives):
        return window
    return window if _span_iou(window, previous_window) < rule.recompute_iou else previous_window


def _around(probs: FloatArray | None, positives: Sequence[Click], shape: tuple[int, int], rule: FocusRule) -> Window:
    """The object's box and the positive clicks, grown about the centre and clamped to the view."""
    box = None if probs is None else Window.around(probs > rule.prob_thresh)
    if box is None:
        return Window(0, 0, *shape)
    spans = []
    for axis, side in enumerate(shape):
        places = [float(p) for p in ((box.row, box.last_row), (box.col, box.last_col))[axis]]
        places += [(click.row, click.col)[axis] for click in positives]
        first, last = min(places), max(places)
        length = max(rule.expansion * (last - first + 1), rule.min_crop)
        centre = (first + last) / 2
        start = max(0, round(centre - length / 2))
        stop = min(side - 1, round(centre + length / 2))
        spans.append((start, stop - start + 1))
    (row, rows), (col, cols) = spans
    return Window(row, col, rows, cols)


def _well_inside(window: Window, click: Click) -> bool:
    """Whether a click lies in the window and not on its last row or column (published rule)."""
    down, across = click.row - window.row, click.col - window.col
    return 0 <= down < window.rows - 1 and 0 <= across < window.cols - 1


def _span_iou(a: Window, b: Window) -> float:
    """Product of the IoUs of the two windows' row spans and column spans (published measure)."""
    product = 1.0
    for start_a, size_a, start_b, size_b in ((a.row, a.rows, b.row, b.rows), (a.col, a.cols, b.col, b.cols)):
        both = max(0, min(start_a + size_a, start_b + size_b) - max(start_a, start_b))
        product *= both / (max(start_a + size_a, start_b + size_b) - min(start_a, start_b))
    return product


def resize_aligned(array: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Bilinear resize (H, W[, C]) → size whose corner pixel centres stay corner pixel centres (align_corners=True)."""
    out = np.asarray(array, dtype=np.float32)
    for axis, length in enumerate(size):
        place = np.linspace(0, out.shape[axis] - 1, length)
        low = np.minimum(place.astype(np.int64), max(out.shape[axis] - 2, 0))
        high = np.minimum(low + 1, out.shape[axis] - 1)
        share = (place - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(out.ndim)])
        out = out.take(low, axis) * (1 - share) + out.take(high, axis) * share
    return np.asarray(out, dtype=np.float32)


def resize(array: NDArray[Any], size: tuple[int, int], parity: bool = False) -> NDArray[Any]:
    """Resize (H, W[, C]) to size (rows, cols), same dtype: areas averaged when shrinking, bilinear when growing."""
    if array.shape[:2] == size:
        return array
    if parity:
        aligned = resize_aligned(array, size)
        return np.rint(aligned).astype(array.dtype) if array.dtype == np.uint8 else aligned
    shrinks = size[0] <= array.shape[0] and size[1] <= array.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(array), (size[1], size[0]), interpolation=method))


def crop(array: NDArray[Any], window: Window, rule: FocusRule) -> NDArray[Any]:
    """The part of (H, W[, C]) inside the window, at the rule's target size."""
    part = array[window.slices]
    return part if rule.size is None else resize(part, rule.size, rule.parity)


def paste(
    probs: FloatArray, window: Window, shape: tuple[int, int], rule: FocusRule, around: FloatArray | None = None
) -> FloatArray:
    """A window's answer (h, w) back in a view of `shape`; outside it `around` (H, W), or 0 as published."""
    full = np.zeros(shape, dtype=np.float32) if around is None else around.astype(np.float32)
    full[window.slices] = resize(probs, (window.rows, window.cols), rule.parity)
    return full


def crop_clicks(clicks: Sequence[Click], window: Window, rule: FocusRule) -> tuple[Click, ...]:
    """The clicks in pixels of the resized window; those outside keep their order and fall outside it."""
    rows, cols = rule.size or (window.rows, window.cols)
    half = 0.0 if rule.parity else 0.5
    return tuple(
        replace(
            click,
            row=(click.row - window.row + half) * rows / window.rows - half,
            col=(click.col - window.col + half) * cols / window.cols - half,
        )
        for click in clicks
    )
