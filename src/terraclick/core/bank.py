"""The prompt bank: deep features under clicks and references, compared with every place of every patch (numpy).

A row of the bank is `(feature, positive, place or None)`. Rows with a place (clicks) take part in the nearest-click map
of CrossCut's cross-patch prompt; every row (references as well) takes part in the similarity maps, as in RefCut. The
bank is built once over all patches of a view, so a click in one patch speaks to all of them.

Features are token maps (C, h, w) whose two halves (a middle and the last block of the encoder) each had the view's mean
token subtracted and were scaled to unit length, so that a dot product is a centred cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terraclick.values import Click, Window

__all__ = [
    "MAP_CHANNELS",
    "SLOTS",
    "BankRow",
    "PromptMaps",
    "center_tokens",
    "click_rows",
    "prompt_maps",
    "reference_row",
]

SLOTS = 24
"""Rows of each sign handed to the network; the latest clicks win when there are more (similarity maps use all)."""

MAP_CHANNELS = 8
"""Similarity of two feature halves × (best positive, mean positive, best negative), then two distance maps."""

_REACH = 112.0
"""Distance, in network pixels, over which a click's distance map fades (tanh scale)."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BankRow:
    """One prompt: feature (C,) with unit halves; place = (row, col) in view pixels, None for a reference."""

    feature: FloatArray
    positive: bool
    place: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class PromptMaps:
    """What the click net reads of the bank for one patch.

    rows (2, SLOTS, C): features of positive then negative clicks, zero where absent; labels (2, h, w) int64: slot of
    the nearest click of that sign; maps (MAP_CHANNELS, h, w): similarities in [−1, 1] and distances in [0, 1]
    (1 = no click).
    """

    rows: FloatArray
    labels: NDArray[np.int64]
    maps: FloatArray


def _unit_parts(features: FloatArray, parts: int = 2) -> FloatArray:
    """Scale equal parts of axis 0 to unit length."""
    split = features.reshape(parts, features.shape[0] // parts, *features.shape[1:])
    length = np.sqrt((split * split).sum(axis=1, keepdims=True))
    return np.asarray((split / np.maximum(length, 1e-6)).reshape(features.shape), dtype=np.float32)


def center_tokens(tokens: Sequence[FloatArray], parts: int = 2) -> list[FloatArray]:
    """Subtract the mean token of all patches of a view, scale equal parts to unit length: list of (C, h, w).

    `parts` = encoder blocks that the channels come from; 0 leaves the lengths as they are.
    """
    mean = np.asarray(np.mean([patch.mean(axis=(1, 2)) for patch in tokens], axis=0), dtype=np.float32)
    centered = [patch - mean[:, None, None] for patch in tokens]
    return [_unit_parts(patch, parts) for patch in centered] if parts else centered


def _token_position(row: float, col: float, window: Window, shape: tuple[int, int]) -> tuple[float, float]:
    """View pixel to token coordinates of a patch (token centres at integers)."""
    return (
        (row - window.row + 0.5) / window.rows * shape[0] - 0.5,
        (col - window.col + 0.5) / window.cols * shape[1] - 0.5,
    )


def _sample(features: FloatArray, row: float, col: float) -> FloatArray:
    """Bilinear sample of (C, h, w) at token coordinates, clamped at the border."""
    height, width = features.shape[1:]
    row = min(max(row, 0.0), height - 1.0)
    col = min(max(col, 0.0), width - 1.0)
    top, left = int(row), int(col)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = np.float32(row - top), np.float32(col - left)
    above = features[:, top, left] * (1 - across) + features[:, top, right] * across
    below = features[:, bottom, left] * (1 - across) + features[:, bottom, right] * across
    return np.asarray(above * (1 - down) + below * down, dtype=np.float32)


def _home(click: Click, windows: Sequence[Window]) -> int:
    """The patch whose centre is nearest to the click, in patch sizes."""
    offsets = [
        max(
            abs(click.row + 0.5 - w.row - w.rows / 2) / w.rows,
            abs(click.col + 0.5 - w.col - w.cols / 2) / w.cols,
        )
        for w in windows
    ]
    return int(np.argmin(offsets))


def click_rows(clicks: Sequence[Click], features: Sequence[FloatArray], windows: Sequence[Window]) -> list[BankRow]:
    """A row for each click, sampled from the patch it lies deepest in."""
    rows = []
    for click in clicks:
        home = _home(click, windows)
        position = _token_position(click.row, click.col, windows[home], features[home].shape[1:])
        feature = _unit_parts(_sample(features[home], *position))
        rows.append(BankRow(feature, click.positive, (click.row, click.col)))
    return rows


def reference_row(features: FloatArray, mask: NDArray[np.bool_], positive: bool) -> BankRow:
    """A row without a place: features (C, h, w) averaged over a mask (H, W), tokens weighted by their covered area."""
    height, width = features.shape[1:]
    rows = np.linspace(0, mask.shape[0], height + 1).astype(int)[:-1]
    cols = np.linspace(0, mask.shape[1], width + 1).astype(int)[:-1]
    weight = np.add.reduceat(np.add.reduceat(mask.astype(np.float32), rows, axis=0), cols, axis=1)
    total = max(float(weight.sum()), 1e-6)
    return BankRow(_unit_parts((features * weight).sum(axis=(1, 2)) / np.float32(total)), positive, None)


def prompt_maps(bank: Sequence[BankRow], features: FloatArray, window: Window, side: int) -> PromptMaps:
    """Compare one patch (features (C, h, w), its window in the view, its side in network pixels) with the bank."""
    channels, height, width = features.shape
    half = channels // 2
    rows = np.zeros((2, SLOTS, channels), np.float32)
    labels = np.zeros((2, height, width), np.int64)
    maps = np.zeros((MAP_CHANNELS, height, width), np.float32)
    maps[6:] = 1.0
    tokens = features.reshape(2, half, height * width)
    for sign, positive in enumerate((True, False)):
        chosen = [row for row in bank if row.positive is positive]
        if not chosen:
            continue
        stacked = np.stack([row.feature for row in chosen]).reshape(len(chosen), 2, half)
        for part in range(2):
            similarity = (stacked[:, part] @ tokens[part]).reshape(-1, height, width)
            maps[2 * sign + part] = similarity.max(axis=0)
            if positive:
                maps[4 + part] = similarity.mean(axis=0)
        placed = [row for row in chosen if row.place is not None][-SLOTS:]
        if not placed:
            continue
        rows[sign, : len(placed)] = np.stack([row.feature for row in placed])
        distance = _distances(placed, window, (height, width), side)
        labels[sign] = distance.argmin(axis=0)
        maps[6 + sign] = np.tanh(distance.min(axis=0) / np.float32(_REACH))
    return PromptMaps(rows, labels, maps)


def _distances(placed: Sequence[BankRow], window: Window, shape: tuple[int, int], side: int) -> FloatArray:
    """Distance in network pixels from every token centre to every placed row: (rows, h, w)."""
    height, width = shape
    row = (np.arange(height, dtype=np.float32) + 0.5) * (side / height)
    col = (np.arange(width, dtype=np.float32) + 0.5) * (side / width)
    places = [row.place for row in placed if row.place is not None]
    down = np.array([(r - window.row + 0.5) / window.rows * side for r, _ in places], np.float32)
    across = np.array([(c - window.col + 0.5) / window.cols * side for _, c in places], np.float32)
    squares = (row[None, :, None] - down[:, None, None]) ** 2 + (col[None, None, :] - across[:, None, None]) ** 2
    return np.sqrt(squares)
