"""A pixel classifier refitted in closed form at every click: what do the marked places look like, here and now?

Two ridge regressions towards +1 (wanted) and −1 (not wanted), one on principal components of the encoder's tokens, one
on colour. Clicks mark the places around them; where the last answer was sure it marks places too, more weakly. The
fits see every patch of a view at once, so clicks in one patch speak to all of them. Their two score maps are further
inputs of the click net, which learns when to trust them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.values import Click, Window

__all__ = ["FIT_CHANNELS", "FIT_STRIDE", "Evidence", "colour_features", "fit_maps", "gather"]

FIT_CHANNELS = 2
"""Score maps: by tokens, by colour."""

FIT_STRIDE = 4
"""Network pixels of a cell of the colour grid, on which both score maps are handed on."""

CLICK_REACH = 1.0
"""Standard deviation of the weight around a click, in cells of the grid in question."""

SURE_SHARE = 0.5
"""Weight of all places the last answer was sure of, against that of all clicks of one sign."""

BACKGROUND = 0.1
"""Weight of the whole picture as not wanted: what a first click is compared with."""

STRENGTH = 0.02
"""Ridge penalty, relative to features of unit variance."""

LIMIT = 1.5
"""Scores are cut at ± this."""

SMALL_PRODUCT = 200_000
"""Multiplications that OpenBLAS still does on the calling thread (it starts others from 262,144 on)."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Evidence:
    """One patch's features and marks on a grid: features (F, h, w); weights (4, h, w): clicked as wanted and as not
    wanted, sure of the last answer as wanted and as not wanted."""

    features: FloatArray
    weights: FloatArray


def colour_features(image: NDArray[np.uint8]) -> FloatArray:
    """(S, S, 3) uint8 RGB → (9, S/4, S/4): Lab in about ±1, its squares and products."""
    small = cv2.resize(
        image, (image.shape[1] // FIT_STRIDE, image.shape[0] // FIT_STRIDE), interpolation=cv2.INTER_AREA
    )
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    light, green, blue = ((lab[..., channel] - 128) / scale for channel, scale in enumerate((64.0, 24.0, 24.0)))
    products = (light * light, green * green, blue * blue, light * green, light * blue, green * blue)
    return np.stack([light, green, blue, *products]).astype(np.float32)


def gather(
    features: FloatArray, window: Window, clicks: Sequence[Click], previous: FloatArray | None = None
) -> Evidence:
    """Mark a patch: features (F, h, w), its window in the view, clicks of the view, the last probabilities (H, W).

    `previous` is the patch's own part, at any resolution.
    """
    height, width = features.shape[1:]
    weights = np.zeros((4, height, width), np.float32)
    rows, cols = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    for click in clicks:
        row = (click.row - window.row + 0.5) / window.rows * height - 0.5
        col = (click.col - window.col + 0.5) / window.cols * width - 0.5
        if not (-0.5 <= row < height - 0.5 and -0.5 <= col < width - 0.5):
            continue
        near = np.exp(-((rows - np.float32(row)) ** 2) / (2 * CLICK_REACH**2))
        along = np.exp(-((cols - np.float32(col)) ** 2) / (2 * CLICK_REACH**2))
        weights[0 if click.positive else 1] += np.outer(near, along)
    if previous is not None:
        sure = 2 * cv2.resize(previous, (width, height), interpolation=cv2.INTER_AREA) - 1
        weights[2] = np.maximum(sure, 0) ** 2
        weights[3] = np.maximum(-sure, 0) ** 2
    return Evidence(features, weights)


def fit_maps(evidence: Sequence[Evidence], wanted: Sequence[FloatArray]) -> list[FloatArray]:
    """Fit on all evidence and score feature maps (F, h, w): list of (h, w) in ±1.5; zeros without a positive mark."""
    masses = np.sum([part.weights.sum(axis=(1, 2)) for part in evidence], axis=0) if evidence else np.zeros(4)
    if masses[0] + masses[2] < 1e-3:
        return [np.zeros(features.shape[1:], np.float32) for features in wanted]
    shares = np.array([1.0, 1.0, SURE_SHARE, SURE_SHARE], np.float32) / np.maximum(masses, 1e-3).astype(np.float32)
    shares = np.where(masses < 1e-3, np.float32(0), shares)
    cells = sum(part.weights[0].size for part in evidence)
    size = evidence[0].features.shape[0]
    gram, moment = np.zeros((size + 1, size + 1), np.float32), np.zeros(size + 1, np.float32)
    for part in evidence:
        flat = np.concatenate([part.features.reshape(size, -1), np.ones((1, part.weights[0].size), np.float32)])
        positive = shares[0] * part.weights[0] + shares[2] * part.weights[2]
        negative = shares[1] * part.weights[1] + shares[3] * part.weights[3] + np.float32(BACKGROUND / cells)
        weight = (positive + negative).reshape(-1)
        gram += _product(flat * weight, flat)
        moment += flat @ (positive - negative).reshape(-1)
    penalty = np.full(size + 1, STRENGTH, np.float32)
    penalty[-1] = 1e-4
    gram[np.diag_indices(size + 1)] += penalty
    slope = np.linalg.solve(gram.astype(np.float64), moment.astype(np.float64)).astype(np.float32)
    return [
        np.clip((slope[:-1] @ features.reshape(size, -1) + slope[-1]).reshape(features.shape[1:]), -LIMIT, LIMIT)
        for features in wanted
    ]


def _product(left: FloatArray, right: FloatArray) -> FloatArray:
    """left (F, N) @ right (F, N) transposed, in pieces so small that BLAS does not wake its threads for them.

    Threads that wait for each other cost a hundred times the arithmetic where another program holds a core.
    """
    size, count = left.shape
    piece = max(SMALL_PRODUCT // (size * size), 1)
    total: FloatArray = np.zeros((size, size), np.float32)
    for start in range(0, count, piece):
        total += left[:, start : start + piece] @ right[:, start : start + piece].T
    return total
