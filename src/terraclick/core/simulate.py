"""Robots that click: `next_click` is the published evaluation robot, `chance_click` clicks as people scatter around it,
the others draw training clicks.

All depths are exact: squared Euclidean distances are whole numbers, and are settled as such, so a click does not
depend on the OpenCV version. The published robot answers a perfect mask with a negative click at (0, 0); ours
returns None.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.values import Click, Window

__all__ = ["chance_click", "error_depth", "next_click", "random_error_click", "sample_clicks", "squared_depth"]

Mask = NDArray[np.bool_]


def squared_depth(mask: Mask) -> NDArray[np.int64]:
    """Squared distance (H, W) from each pixel of the mask to the nearest one outside it, or beyond the picture."""
    depth = np.zeros(mask.shape, dtype=np.int64)
    held = Window.around(mask)
    if held is None:
        return depth
    box = held.slices
    padded = np.pad(mask[box].astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    # a squared distance is an integer: rounding takes away what float32 (and the version of the library) put in
    depth[box] = np.rint(distance.astype(np.float64) ** 2).astype(np.int64)
    return depth


def error_depth(mask: Mask, truth: Mask, ignore: Mask | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Squared depths (H, W) inside what is missing and inside what is too much; zero where there is no such error.

    `ignore` pixels are no error, and bound the errors beside them.
    """
    counted = np.ones(truth.shape, dtype=np.bool_) if ignore is None else ~ignore
    return squared_depth(~mask & truth & counted), squared_depth(mask & ~truth & counted)


def next_click(mask: Mask, truth: Mask, ignore: Mask | None = None, clicked: Iterable[Click] = ()) -> Click | None:
    """The evaluation robot's next click: the deepest pixel of the deepest error, not yet clicked; None when perfect.

    Ties go to the first pixel in reading order, and to the negative click between the two kinds, as published.
    """
    missing, excess = error_depth(mask, truth, ignore)
    for click in clicked:
        row, col = round(click.row), round(click.col)
        missing[row, col] = excess[row, col] = 0
    if not missing.any() and not excess.any():
        return None
    positive = bool(missing.max() > excess.max())
    row, col = divmod(int(np.argmax(missing if positive else excess)), truth.shape[1])
    return Click(float(row), float(col), positive)


def chance_click(mask: Mask, truth: Mask, rng: np.random.Generator, ignore: Mask | None = None) -> Click | None:
    """A click on the deeper error kind, drawn with a chance in proportion to depth; None when the mask is perfect.

    People click near the middle of what is wrong, seldom on its deepest pixel (RClicks, Antonov et al. 2024, measures
    how far they scatter); depth as the weight stands in for their clicks.
    """
    missing, excess = error_depth(mask, truth, ignore)
    positive = bool(missing.max(initial=0) > excess.max(initial=0))
    depth = np.sqrt(missing if positive else excess).ravel()
    total = depth.sum()
    if not total:
        return None
    row, col = divmod(int(rng.choice(depth.size, p=depth / total)), truth.shape[1])
    return Click(float(row), float(col), positive)


def _draw(pixels: Mask, rng: np.random.Generator, positive: bool) -> Click | None:
    """A uniformly drawn pixel of a mask as a click; None from an empty mask."""
    places = np.flatnonzero(pixels)
    if places.size == 0:
        return None
    row, col = divmod(int(rng.choice(places)), pixels.shape[1])
    return Click(float(row), float(col), positive)


def random_error_click(
    mask: Mask, truth: Mask, rng: np.random.Generator, ignore: Mask | None = None, share: float = 2.0
) -> Click | None:
    """A training click where the deeper error kind is deeper than its largest depth / `share`; None when perfect."""
    missing, excess = error_depth(mask, truth, ignore)
    positive = bool(missing.max(initial=0) > excess.max(initial=0))
    depth = missing if positive else excess
    # depth > max / share on squared values
    return _draw(share**2 * depth > depth.max(initial=0), rng, positive)


def sample_clicks(
    truth: Mask,
    rng: np.random.Generator,
    ignore: Mask | None = None,
    others: Mask | None = None,
    max_positives: int = 24,
    max_negatives: int = 24,
    decay: float = 0.8,
    erode: float = 0.0,
) -> tuple[Click, ...]:
    """Random clicks to start a training sample: positives first, then negatives; empty if the truth is.

    Counts fall off with weights `decay ** k` (at least one positive). The first positive is near the middle half the
    time; the rest fall anywhere inside, one in ten near the rim. Negatives fall on the band around the truth (half),
    on `others` (H, W; other objects, .4) or on the background (.1). `ignore` pixels are never clicked.

    With `erode` positives fall as published instead: anywhere inside the truth, which with this chance is first eroded
    by three pixels, if more than ten are left.
    """
    counted = np.ones(truth.shape, dtype=np.bool_) if ignore is None else ~ignore
    inside = truth & counted
    if not inside.any():
        return ()
    depth = squared_depth(truth)
    deepest = int(depth[inside].max())
    core, rim = inside & (4 * depth > deepest), inside & (depth <= max(1, deepest // 16))
    positives = 1 + _count(max_positives - 1, decay, rng)
    negatives = _count(max_negatives, decay, rng)
    drawn: list[Click | None] = []
    if erode and rng.random() < erode:
        smaller = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=3) > 0
        inside = smaller if np.count_nonzero(smaller) > 10 else inside
    if erode:
        core = rim = inside
    for order in range(positives):
        near_middle = order == 0 and rng.random() < 0.5
        near_rim = not near_middle and rng.random() < 0.1
        drawn.append(_draw(core if near_middle else rim if near_rim else inside, rng, True) or _draw(inside, rng, True))
    width = int(np.ceil(0.1 * np.sqrt((truth & counted).sum())))
    around = cv2.dilate(truth.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=width) > 0
    outside = ~truth & counted
    band = outside & around
    elsewhere = outside if others is None else outside & others
    for _ in range(negatives):
        kind = rng.random()
        region = band if kind < 0.5 else elsewhere if kind < 0.9 else outside
        drawn.append(_draw(region, rng, False) or _draw(outside, rng, False))
    return tuple(click for click in drawn if click is not None)


def _count(most: int, decay: float, rng: np.random.Generator) -> int:
    """A number in 0 … most with weights decay ** k."""
    weights = decay ** np.arange(most + 1)
    return int(rng.choice(most + 1, p=weights / weights.sum()))
