"""Probability-map modulation: pull the last answer towards the last click before the network reads it again.

Two published rules as pure functions of one map and its points: MFP (Lee et al., CVPR 2024) and the improved rule of
RS-ISRefiner (Wang and Liu, section III-E). Both raise the probabilities around the last click to a power that is
strongest at the click. Points are rows (row, col, order): the first half positive, the last half negative, -1 pads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadConfig

__all__ = ["MODULATIONS", "modulate_isrefiner", "modulate_mfp"]

FloatArray = NDArray[np.float64]

MIN_RADIUS = 10.0
"""Smallest radius of the window around the last click, in map pixels."""


def modulate_mfp(
    probs: NDArray[Any], points: NDArray[Any], switch: int = 7, max_radius: float = 100.0
) -> NDArray[np.float32]:
    """MFP's rule: probs (H, W) in 0..1 and points (2P, 3) -> modulated probs (H, W) float32.

    Clicks of order below `switch` weigh pixels by likeness to the clicked probability, later ones by distance.
    A window of equal probabilities, where the published code divides 0 by 0, counts as alike in full.
    Without a click, or with the last one outside the map, the map comes back as it was. Raises BadConfig on a
    wrong shape.
    """
    return _modulate(probs, points, max_radius, filtered=False, switch=switch)


def modulate_isrefiner(probs: NDArray[Any], points: NDArray[Any], max_radius: float = 100.0) -> NDArray[np.float32]:
    """RS-ISRefiner's rule: probs (H, W) in 0..1 and points (2P, 3) -> modulated probs (H, W) float32.

    Only pixels on the click's side of the window's clicked, mean and median probability change, weighed by distance
    alone (as published: the paper's N is not used). Edge cases and errors as in `modulate_mfp`.
    """
    return _modulate(probs, points, max_radius, filtered=True, switch=0)


MODULATIONS: dict[str, Callable[..., NDArray[np.float32]]] = {"mfp": modulate_mfp, "isrefiner": modulate_isrefiner}
"""The rules by name."""


def _modulate(
    probs: NDArray[Any], points: NDArray[Any], max_radius: float, filtered: bool, switch: int
) -> NDArray[np.float32]:
    if probs.ndim != 2 or points.ndim != 2 or points.shape[1] != 3 or len(points) % 2:
        raise BadConfig(
            f"modulation got a map of shape {probs.shape} and points {points.shape}: give (H, W) and (2P, 3)."
        )
    out = np.array(probs, dtype=np.float64)
    valid = points[:, :2].max(axis=1) >= 0
    if not valid.any():
        return out.astype(np.float32)
    last = int(np.argmax(np.where(valid, points[:, 2], -np.inf)))
    positive = last < len(points) // 2
    row, col, order = (float(v) for v in points[last])
    at = (int(row), int(col))
    if row <= -1 or col <= -1 or at[0] >= out.shape[0] or at[1] >= out.shape[1]:
        return out.astype(np.float32)
    half = np.arange(len(points)) < len(points) // 2
    opposite = points[valid & (half != positive), :2].astype(np.float64)
    distance, window, radius = _window(out.shape, (row, col), opposite, max_radius)
    clicked = out[at]
    if filtered:
        window &= _near_side(out, window, clicked, positive)
    if clicked == (0.0 if positive else 1.0):
        ramp = distance / max(float(distance[window].max(initial=0.0)), 1e-8)
        out[window] = (1 - ramp if positive else ramp)[window]
        return out.astype(np.float32)
    gamma = _gamma(clicked, positive)
    if order < switch:
        power = _by_likeness(out[window], clicked, gamma)
    else:
        share = distance[window] / radius
        power = gamma * (1 - share) + share
    out[window] **= 1 / power if positive else power
    centre = tuple(min(max(round(v), 0), side - 1) for v, side in zip((row, col), out.shape, strict=True))
    out[centre] = 1.0 if positive else 0.0
    return out.astype(np.float32)


def _window(
    shape: tuple[int, ...], click: tuple[float, float], opposite: FloatArray, max_radius: float
) -> tuple[FloatArray, NDArray[np.bool_], float]:
    """Distance to the click (H, W), the disc it reaches (H, W) and that disc's radius.

    Half way to the nearest opposite click; never under 10 pixels, but closer opposite clicks keep discs of their own.
    """
    rows, cols = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    distance = np.hypot(rows - click[0], cols - click[1])
    gaps = np.hypot(opposite[:, 0] - click[0], opposite[:, 1] - click[1])
    radius = max(float(gaps.min()) / 2, MIN_RADIUS) if len(gaps) else max_radius
    window = distance <= radius
    for (row, col), gap in zip(opposite, gaps, strict=True):
        if gap < MIN_RADIUS:
            window &= np.hypot(rows - row, cols - col) > gap
    return distance, window, radius


def _near_side(probs: FloatArray, window: NDArray[np.bool_], clicked: float, positive: bool) -> NDArray[np.bool_]:
    """Pixels (H, W) at least (positive) or at most (negative) as probable as the window's ordinary ones."""
    inside = np.sort(probs[window])
    if not len(inside):
        return window
    marks = (clicked, float(inside.mean(dtype=np.float64)), float(inside[(len(inside) - 1) // 2]))
    return np.asarray(probs >= min(marks) if positive else probs <= max(marks), dtype=np.bool_)


def _gamma(clicked: float, positive: bool) -> float:
    """The power that takes the clicked probability to 0.99 (positive, inverted) or 0.01 (negative)."""
    if positive:
        return 1 / (math.log(0.99) / math.log(clicked) + 1e-8) if clicked < 0.99 else 1.0
    return math.log(0.01) / math.log(clicked) if clicked > 0.01 else 1.0


def _by_likeness(inside: FloatArray, clicked: float, gamma: float) -> FloatArray:
    """Power (n,) per pixel: gamma where the probability equals the clicked one, 1 from the median difference on."""
    difference = (inside - clicked) ** 2
    if not len(difference) or (most := float(difference.max())) == 0:
        return np.full(len(inside), gamma)
    difference *= 1000 / most
    middle = float(np.median(difference))
    if middle == 0:
        return np.where(difference == 0, gamma, 1.0)
    return np.maximum(1 - (gamma - 1) * ((difference - middle) / middle) ** 3, 1.0)
