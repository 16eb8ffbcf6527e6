"""Zoom-in that settles: the answer decides the window and the window the answer, until they agree.

The published rule (`wrappers.Focused`) looks at the whole view first and moves its window from the second click on, so
the first outline depends on how much was on screen. Here the first look is a square of fixed size around the click, and
a window that does not fit its answer is moved and asked again at once (as CFR refines, Sun et al. 2024). Windows are
placed relative to the first click, so away from the view's edges the same clicks end in the same window whatever the
view's extent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.core.masks import clicked_components
from terraclick.core.predictor import Predictor
from terraclick.values import Click, Prediction, Prompt, View, Window

__all__ = ["SettleRule", "Settled", "square_window"]


@dataclass(frozen=True)
class SettleRule:
    """How windows follow answers: ground lengths where the view knows its ground resolution, else view pixels."""

    first: int = 448
    """Side of the first window, centred on the positive clicks, in pixels."""
    first_m: float = 80.0
    """The same on the ground, so that the first look does not hang on the zoom."""
    smallest_m: float = 20.0
    """Smallest window on the ground (but never below `least` pixels)."""
    least: int = 48
    """No window has fewer pixels, whatever the ground resolution."""
    expansion: float = 1.8
    """Side of a window in sides of the object's box."""
    smallest: int = 96
    """Smallest window in pixels, for views that do not know their ground resolution."""
    keep_iou: float = 0.55
    """A window stays while its IoU with the fitting one is at least this."""
    moves: int = 3
    """Most times a window may move for the first answer."""
    later_moves: int = 1
    """Most times it may move for a later one, only when cut off, on top of following the answer before."""
    tail: float = 0.25
    """Growth, in sides, of a window whose answer runs over its edge."""

    def first_side(self, gsd: float | None) -> float:
        """Side of the first window in view pixels."""
        return float(self.first) if gsd is None else max(self.first_m / gsd, 2.0 * self.least)

    def smallest_side(self, gsd: float | None) -> float:
        """Side of the smallest window in view pixels."""
        return float(self.smallest) if gsd is None else max(self.smallest_m / gsd, float(self.least))


def square_window(
    box: tuple[float, float, float, float], side: float, shape: tuple[int, int], anchor: tuple[int, int] = (0, 0)
) -> Window:
    """A square of about `side` pixels centred on a box (first row, first col, last row, last col), moved into the view.

    Sides come in steps of an eighth octave and starts in sixteenths of a side from the pixel `anchor`, so that small
    changes of the box give the same window. A side longer than the view hangs over it evenly.
    """
    length = min(round(2.0 ** (round(float(np.log2(max(side, 1.0))) * 8) / 8)), max(shape))
    step = max(length // 16, 1)
    starts = []
    for axis in range(2):
        middle = (box[axis] + box[axis + 2] + 1) / 2 - anchor[axis]
        start = anchor[axis] + round((middle - length / 2) / step) * step
        room = shape[axis] - length
        starts.append(min(max(start, 0), room) if room > 0 else -(-room // 2))
    return Window(starts[0], starts[1], length, length)


def _iou(a: Window, b: Window) -> float:
    rows = max(0, min(a.row + a.rows, b.row + b.rows) - max(a.row, b.row))
    cols = max(0, min(a.col + a.cols, b.col + b.cols) - max(a.col, b.col))
    return rows * cols / (a.rows * a.cols + b.rows * b.cols - rows * cols)


@dataclass(frozen=True, eq=False)
class Settled:
    """Wrap a predictor that answers square crops; give a `Cached` one, so that an unmoved window costs nothing."""

    inner: Predictor
    rule: SettleRule = SettleRule()

    def encode(self, view: View) -> View:
        """The view itself: crops are encoded when a window is known."""
        return view

    def predict(self, encoded: View, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Look where the object was (or around the click), and again where it turns out to be."""
        window = self._start(encoded, prompt.clicks, previous)
        moves = self.rule.moves if previous is None else self.rule.later_moves
        for move in range(moves + 1):
            answer = self._look(encoded, window, prompt, previous)
            fitting, cut_off = self._fitting(answer, window, encoded, prompt.clicks)
            near = previous is not None or _iou(fitting, window) >= self.rule.keep_iou
            fits = near and not cut_off
            if fits or fitting == window or move == moves:
                break
            window = fitting
        return _connected(answer, prompt.clicks)

    def _start(self, view: View, clicks: Sequence[Click], previous: Prediction | None) -> Window:
        """The window to begin with: the last one if it holds all clicks, else one that fits."""
        if previous is not None and previous.focus is not None:
            window = previous.focus
            if all(window.contains(click.row, click.col) for click in clicks if click.positive):
                fitting, cut_off = self._fitting(previous, window, view, clicks)
                return window if _iou(fitting, window) >= self.rule.keep_iou and not cut_off else fitting
        mask = None if previous is None else previous.mask
        box = _box(mask, clicks, view.shape)
        side = max(box[2] - box[0], box[3] - box[1]) + 1
        fresh = mask is None or not mask.any()
        smallest = self.rule.first_side(view.gsd) if fresh else self.rule.smallest_side(view.gsd)
        return square_window(box, max(side * self.rule.expansion, smallest), view.shape, _anchor(clicks))

    def _fitting(self, answer: Prediction, window: Window, view: View, clicks: Sequence[Click]) -> tuple[Window, bool]:
        """The window this answer asks for, and whether the answer runs over the edge of the one it was given."""
        mask = clicked_components(answer.mask, clicks)
        if not mask.any():
            return window, False
        shape = view.shape
        box = _box(mask, clicks, shape)
        side = (max(box[2] - box[0], box[3] - box[1]) + 1) * self.rule.expansion
        runs_over = (
            (box[0] <= window.row and window.row > 0)
            or (box[1] <= window.col and window.col > 0)
            or (box[2] >= window.row + window.rows - 1 and window.row + window.rows < shape[0])
            or (box[3] >= window.col + window.cols - 1 and window.col + window.cols < shape[1])
        )
        if runs_over:
            side *= 1 + self.rule.tail
        return square_window(box, max(side, self.rule.smallest_side(view.gsd)), shape, _anchor(clicks)), runs_over

    def _look(self, view: View, window: Window, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Answer inside a window; zero outside it."""
        inside, _ = window.clipped(view.shape)
        seen = [click for click in prompt.clicks if inside.contains(click.row, click.col)]
        clicks = tuple(Click(click.row - inside.row, click.col - inside.col, click.positive) for click in seen)
        before = previous
        if previous is not None:
            before = replace(previous, probs=np.ascontiguousarray(previous.probs[inside.slices]), focus=None)
        encoded: Any = self.inner.encode(view.crop(inside))
        local = self.inner.predict(encoded, Prompt(clicks, prompt.target, prompt.references), before)
        probs: NDArray[np.float32] = np.zeros(view.shape, np.float32)
        probs[inside.slices] = local.probs
        return Prediction(probs, window, local.threshold)


def _connected(answer: Prediction, clicks: Sequence[Click]) -> Prediction:
    """Push the parts that hold no positive click just under the threshold: an object is one thing."""
    mask = answer.mask
    apart = mask & ~clicked_components(mask, clicks)
    probs = np.where(apart, np.float32(answer.threshold - 0.01), answer.probs)
    return Prediction(probs, answer.focus, answer.threshold)


def _anchor(clicks: Sequence[Click]) -> tuple[int, int]:
    """The pixel of the first positive click; the view's first pixel if there is none."""
    first = next((click for click in clicks if click.positive), Click(0, 0))
    return math.floor(first.row + 0.5), math.floor(first.col + 0.5)


def _box(
    mask: NDArray[np.bool_] | None, clicks: Sequence[Click], shape: tuple[int, int]
) -> tuple[float, float, float, float]:
    """First row, first col, last row, last col of a mask and the positive clicks; the whole view if there are none."""
    rows = [click.row for click in clicks if click.positive]
    cols = [click.col for click in clicks if click.positive]
    box = None if mask is None else Window.around(mask)
    if box is not None:
        rows += [float(box.row), float(box.last_row)]
        cols += [float(box.col), float(box.last_col)]
    if not rows:
        return 0, 0, shape[0] - 1, shape[1] - 1
    return min(rows), min(cols), max(rows), max(cols)
