"""Answers of a wider look, made up: what a zoomed look at an object begins with, as `terra.settle` hands it on."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.values import Click

__all__ = ["wide_answer"]


def wide_answer(
    truth: NDArray[np.uint8], other: NDArray[np.uint8] | None, click: Click, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """What the click net may have answered to `click` where the object was small: coarse, and at times plainly wrong.

    truth and other (S, S) uint8 of 0, 1, 255 = ignore; `other` is a thing beside the object that the answer may run
    into. Returns probabilities (S, S) as 0…255, above the threshold at the click.
    """
    side = truth.shape[0]
    mask = truth == 1
    kind = rng.random()
    if kind < 0.2 and other is not None:
        mask = mask | (other == 1)
    elif kind < 0.4:
        mask = _half(mask, click, rng)
    elif kind < 0.5:
        mask = mask & _disk(side, click, rng.uniform(0.05, 0.25) * side)
    elif kind < 0.6:
        mask = mask | _disk(side, click, rng.uniform(0.1, 0.45) * side)
    mask = mask | _disk(side, click, 0.03 * side)
    coarse = max(round(side / rng.uniform(1.5, 6.0)), 16)
    signed = _depth(cv2.resize(mask.astype(np.uint8), (coarse, coarse), interpolation=cv2.INTER_AREA) > 0)
    wave = cv2.resize(rng.normal(0, 1, (_WAVES, _WAVES)).astype(np.float32), (coarse, coarse))
    wave = wave * np.float32(rng.uniform(0, 0.03) * coarse) + np.float32(rng.normal(0, 0.012) * coarse)
    probs = 1 / (1 + np.exp(-np.clip((signed + wave) / rng.uniform(0.4, 2.0), -20, 20)))
    full = cv2.resize(probs.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    full[_disk(side, click, 0.015 * side)] = np.maximum(full[_disk(side, click, 0.015 * side)], 0.6)
    return np.asarray(np.rint(full * 255), np.uint8)


_WAVES = 9
"""Side of the noise that bends the outline, in samples: bends of a ninth of the crop."""


def _depth(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance to the outline in pixels, positive inside."""
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(inside - outside, np.float32)


def _disk(side: int, click: Click, radius: float) -> NDArray[np.bool_]:
    rows, cols = np.ogrid[:side, :side]
    return np.asarray((rows - click.row) ** 2 + (cols - click.col) ** 2 <= radius**2)


def _half(mask: NDArray[np.bool_], click: Click, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The part of a mask on the click's side of a line that passes the click at some distance."""
    angle, shift = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.25) * mask.shape[0]
    rows, cols = np.ogrid[: mask.shape[0], : mask.shape[1]]
    along = (rows - click.row) * np.sin(angle) + (cols - click.col) * np.cos(angle)
    return np.asarray(mask & (along < shift))
