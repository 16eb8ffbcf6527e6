"""FocalClick's way from a view to an answer: target crop, coarse answer, focus crop, refined answer, merge.

Chen et al., CVPR 2022, https://arxiv.org/abs/2204.02574; the network's two stages are in `models/focalclick.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.core.focus import FocusRule, crop, crop_clicks, next_window, paste, resize
from terraclick.core.predictor import Predictor
from terraclick.errors import BadClick, BadConfig
from terraclick.predictors.inputs import click_points, sigmoid
from terraclick.values import Click, Prediction, Prompt, View, Window

__all__ = ["FocalClickPredictor", "FocalEncoded", "FocalStages", "focus_crop"]

FloatArray = NDArray[np.float32]

SMALL = 10
"""Masks of fewer pixels count as empty: their box is the whole view (published value)."""

Box = tuple[float, float, float, float]


def focus_crop(
    answer: NDArray[np.bool_], before: NDArray[np.bool_], around: Window, click: Click, ratio: float = 1.4
) -> Window:
    """The part of a view that the last click concerns, inside `around`.

    answer and before are masks (H, W) of this and the previous click. That part is the connected change under the
    click; a square of 0.4 × the object's longer side about the click where that change is less than a third of the
    object in height or width; the object itself on the first click. It is grown by `ratio`.

    Kept from the published code: a click outside every change takes the unchanged part as its change. Where nothing is
    left inside `around` (the published code fails), the target crop itself is returned.
    """
    top, bottom, left, right = _box(answer)
    if before.any():
        _, labels = cv2.connectedComponents((answer ^ before).astype(np.uint8))
        row, col = (
            min(max(round(place), 0), side - 1)
            for place, side in zip((click.row, click.col), answer.shape, strict=True)
        )
        changed = _box(labels == labels[row, col])
        height, width = bottom - top, right - left
        if changed[1] - changed[0] < height / 3 or changed[3] - changed[2] < width / 3:
            reach = 0.2 * max(height, width)
            top, bottom, left, right = row - reach, row + reach, col - reach, col + reach
        else:
            top, bottom, left, right = changed
    first_row, last_row = _grown(top, bottom, ratio, answer.shape[0], around.row, around.rows)
    first_col, last_col = _grown(left, right, ratio, answer.shape[1], around.col, around.cols)
    if last_row <= first_row or last_col <= first_col:
        return around
    return Window(first_row, first_col, last_row - first_row, last_col - first_col)


def _box(mask: NDArray[np.bool_]) -> Box:
    """First and last row and column of a mask; the whole view (ends exclusive, as published) if there is hardly one."""
    box = Window.around(mask) if np.count_nonzero(mask) >= SMALL else None
    if box is None:
        return 0, mask.shape[0], 0, mask.shape[1]
    return box.row, box.last_row, box.col, box.last_col


def _grown(first: float, last: float, ratio: float, side: int, start: int, length: int) -> tuple[int, int]:
    """A span grown about its centre, clamped to the view and to the target crop: first and end (exclusive) pixel."""
    centre, half = 0.5 * (first + last), 0.5 * ratio * (last - first + 1)
    low, high = max(0, int(centre - half)), min(side, int(centre + half))
    return max(low, start), min(high, start + length)


class FocalStages(Protocol):
    """Both stages of the network: with torch (`focal_network.py`) or exported (`exported_focal.py`)."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Rows and cols that both stages read, a square."""

    @property
    def threshold(self) -> float:
        """Probability above which a pixel belongs to the mask."""

    @property
    def parity(self) -> bool:
        """Whether views are resized and clicks mapped as published."""

    def coarse(self, encoded: Any, previous: FloatArray, points: FloatArray) -> tuple[FloatArray, Any]:
        """previous (S, S) probabilities, points (1, 2P, 3) → probabilities (S, S) and what `refine` cuts from."""

    def refine(self, coarse: Any, crop: View, points: FloatArray, box: Box) -> FloatArray:
        """Refined logits (S, S) of a box of the coarse stage's input; `crop` is its part of the view at S × S."""


@dataclass(frozen=True, eq=False)
class FocalEncoded:
    """A view and the first stage's encoding of it as a whole, which the first click reads."""

    view: View
    whole: Any


@dataclass(frozen=True, eq=False)
class FocalClickPredictor:
    """Both stages of FocalClick on a view. Raises BadClick when neither a positive click nor an answer is given."""

    stages: FocalStages
    """The network."""
    encoder: Predictor
    """`stages` or a cache around it: the target crop seldom moves."""
    ratio: float = 1.4
    """How much larger than what it shows the focus crop is."""
    progressive: int = 10
    """After so many clicks only the focus crop of the previous answer changes."""

    def __post_init__(self) -> None:
        size = self.stages.size
        if size is None or size[0] != size[1]:
            raise BadConfig(f"FocalClick reads a square, not {size}: give the network predictor one.")

    @property
    def rule(self) -> FocusRule:
        """The target crop: the object and the positive clicks, grown by 1.4."""
        stages = self.stages
        return FocusRule(stages.size, min_crop=10, prob_thresh=stages.threshold, parity=stages.parity)

    def encode(self, view: View) -> FocalEncoded:
        """Encode the whole view; target crops are encoded when clicks move there."""
        return FocalEncoded(view, self.encoder.encode(view))

    def predict(self, encoded: FocalEncoded, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """The refined answer of the view, with the target crop in `focus`."""
        if not prompt.clicks or (not prompt.positives and previous is None):
            raise BadClick("FocalClick needs a click on the thing you want: add a positive click.")
        view, rule = encoded.view, self.rule
        before = np.zeros(view.shape, np.float32) if previous is None else previous.probs
        seen = None if previous is None else previous.probs
        window = next_window(seen, None if previous is None else previous.focus, prompt.clicks, view.shape, rule)
        whole = window == Window(0, 0, *view.shape)
        kept = encoded.whole if whole else self.encoder.encode(view.crop(window))
        inside, coarse = self.stages.coarse(
            kept, np.ascontiguousarray(crop(before, window, rule)), self._points(prompt.clicks, window, rule)
        )
        threshold = self.stages.threshold
        probs = paste(inside, window, view.shape, rule)
        focus = focus_crop(self._mask(probs), before > threshold, window, prompt.clicks[-1], self.ratio)
        picture = view.crop(focus)
        valid = None if picture.valid is None else crop(picture.valid.astype(np.float32), _all(focus), rule) >= 0.5
        picture = replace(picture, image=crop(picture.image, _all(focus), rule), valid=valid)
        points = self._points(prompt.clicks, focus, rule)
        logits = self.stages.refine(coarse, picture, points, self._box_in(focus, window))
        merged = before.copy() if len(prompt.clicks) > self.progressive else probs
        merged[focus.slices] = sigmoid(resize(logits, (focus.rows, focus.cols), rule.parity))
        return Prediction(merged, window, threshold)

    def _mask(self, probs: FloatArray) -> NDArray[np.bool_]:
        """What counts as object in the coarse answer; the published code compares its logit with the threshold."""
        threshold = self.stages.threshold
        return probs > (1 / (1 + np.exp(-threshold)) if self.stages.parity else threshold)

    @staticmethod
    def _points(clicks: tuple[Click, ...], window: Window, rule: FocusRule) -> FloatArray:
        return click_points(crop_clicks(clicks, window, rule))

    def _box_in(self, focus: Window, window: Window) -> Box:
        """The focus crop's (top, left, bottom, right) in pixels of the coarse stage's input."""
        rows, cols = self.rule.size or (window.rows, window.cols)
        down, across = rows / window.rows, cols / window.cols
        top, left = (focus.row - window.row) * down, (focus.col - window.col) * across
        return top, left, top + focus.rows * down, left + focus.cols * across


def _all(window: Window) -> Window:
    """A window's own extent."""
    return Window(0, 0, window.rows, window.cols)
