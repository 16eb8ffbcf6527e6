"""Predictor in, Predictor out: zoom-in, flipping, repeated refinement, fusion, caching. Only `Cached` remembers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.core.division import fuse
from terraclick.core.focus import FocusRule, crop, crop_clicks, next_window, paste
from terraclick.core.modulation import MODULATIONS
from terraclick.core.predictor import Predictor, reads_box
from terraclick.errors import BadConfig
from terraclick.predictors.inputs import click_points, logit, sigmoid
from terraclick.predictors.progress import Progress, with_progress
from terraclick.values import Click, Prediction, Prompt, Target, View, Window

__all__ = ["BySize", "ByTarget", "Cached", "Flipped", "Focused", "Fused", "Modulated", "Refined"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FocusedEncoding:
    """A view and its encoding as a whole, which the first click reads."""

    view: View
    whole: Any


@dataclass(frozen=True, eq=False)
class Focused:
    """Zoom in: let `inner` look at the window around the previous answer, resized to `rule.size`.

    Wrap `inner` in `Cached`, so that a window that did not move is not encoded again. Outside the window the answer
    is 0 as published, or the previous one with `keep_outside`.
    """

    inner: Predictor
    rule: FocusRule = FocusRule()  # noqa: RUF009 (frozen)
    keep_outside: bool = False

    def encode(self, view: View) -> FocusedEncoding:
        """Encode the whole view; windows are encoded when clicks move there."""
        return FocusedEncoding(view, self.inner.encode(self._cut(view, Window(0, 0, *view.shape))))

    def predict(self, encoded: FocusedEncoding, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """The inner answer pasted back into the view, with the window in `focus`."""
        shape = encoded.view.shape
        before = None if previous is None else previous.probs
        window = next_window(before, None if previous is None else previous.focus, prompt.clicks, shape, self.rule)
        whole = window == Window(0, 0, *shape)
        inside = encoded.whole if whole else self.inner.encode(self._cut(encoded.view, window))
        cropped = (
            None if previous is None else replace(previous, probs=crop(previous.probs, window, self.rule), focus=None)
        )
        clicks = crop_clicks(prompt.clicks, window, self.rule)
        if not self.rule.parity:
            rows, cols = self.rule.size or (window.rows, window.cols)
            clicks = tuple(
                c for c in clicks if c.positive or (-0.5 <= c.row < rows - 0.5 and -0.5 <= c.col < cols - 0.5)
            )
        answer = self.inner.predict(inside, replace(prompt, clicks=clicks), cropped)
        around = before if self.keep_outside else None
        return Prediction(paste(answer.probs, window, shape, self.rule, around), window, answer.threshold)

    def _cut(self, view: View, window: Window) -> View:
        """The part of a view in the window, at the size the inner predictor reads, with its gsd."""
        image = crop(view.image, window, self.rule)
        valid = None if view.valid is None else crop(view.valid.astype(np.float32), window, self.rule) >= 0.5
        gsd = None if view.gsd is None else view.gsd * float(np.sqrt(window.rows * window.cols / image[..., 0].size))
        return View(image, valid, gsd)


@dataclass(frozen=True, eq=False)
class Flipped:
    """Average the logits of the view and its mirror image (left to right)."""

    inner: Predictor

    def encode(self, view: View) -> tuple[Any, Any, int]:
        """(encoding, encoding of the mirror image, columns)."""
        valid = None if view.valid is None else np.ascontiguousarray(view.valid[:, ::-1])
        mirrored = View(np.ascontiguousarray(view.image[:, ::-1]), valid, view.gsd)
        return self.inner.encode(view), self.inner.encode(mirrored), view.shape[1]

    def predict(self, encoded: tuple[Any, Any, int], prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Both answers, the second mirrored back; clicks, previous answer and its window are mirrored for it."""
        plain, mirrored, cols = encoded
        clicks = tuple(Click(click.row, cols - 1 - click.col, click.positive) for click in prompt.clicks)
        held = None if previous is None else previous.memory
        memory = held if isinstance(held, FlippedMemory) else FlippedMemory()
        before = None if previous is None else replace(previous, memory=memory.plain)
        first = self.inner.predict(plain, prompt, before)
        before = _mirror(previous, cols, memory.mirrored)
        second = self.inner.predict(mirrored, replace(prompt, clicks=clicks), before)
        probs = sigmoid(fuse([logit(first.probs), logit(second.probs[:, ::-1])]))
        kept = None if first.memory is None else FlippedMemory(first.memory, second.memory)
        return Prediction(probs, first.focus, first.threshold, kept)


@dataclass(frozen=True, eq=False)
class FlippedMemory:
    """What both answers leave to the next ones."""

    plain: object | None = None
    mirrored: object | None = None


def _mirror(previous: Prediction | None, cols: int, memory: object | None) -> Prediction | None:
    if previous is None:
        return None
    focus = previous.focus
    if focus is not None:
        focus = replace(focus, col=cols - focus.col - focus.cols)
    return Prediction(np.ascontiguousarray(previous.probs[:, ::-1]), focus, previous.threshold, memory)


@dataclass(frozen=True, eq=False)
class Refined:
    """CFR: answer the same clicks `steps` times more, each time reading the answer before.

    Only for the first `max_clicks` clicks (published default 1); None = at every click, as in the paper's algorithm.
    `adaptive` stops once an answer changes at most `still` pixels of the answer before it to the same clicks.
    """

    inner: Predictor
    steps: int = 4
    adaptive: bool = False
    max_clicks: int | None = 1
    still: int = 20

    @property
    def reads_box(self) -> bool:
        """As the inner one."""
        return reads_box(self.inner)

    def encode(self, view: View) -> Any:
        """The inner encoding."""
        return self.inner.encode(view)

    def predict(self, encoded: Any, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """The last of the repeated answers."""
        answer = self.inner.predict(encoded, prompt, previous)
        repeats = self.max_clicks is None or len(prompt.clicks) <= self.max_clicks
        for _ in range(self.steps if repeats else 0):
            before, answer = answer, self.inner.predict(encoded, prompt, answer)
            if self.adaptive and np.count_nonzero(answer.mask ^ before.mask) <= self.still:
                break
        return answer


@dataclass(frozen=True, eq=False)
class Modulated:
    """Pull the previous answer towards the last click before the inner predictor reads it (MFP, RS-ISRefiner).

    rule is a name of `core.modulation.MODULATIONS`. Raises BadConfig for another.
    """

    inner: Predictor
    rule: str = "isrefiner"

    def __post_init__(self) -> None:
        if self.rule not in MODULATIONS:
            raise BadConfig(f"no modulation {self.rule!r}. Known: {', '.join(MODULATIONS)}.")

    def encode(self, view: View) -> Any:
        """The inner encoding."""
        return self.inner.encode(view)

    def predict(self, encoded: Any, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """The inner answer to the same clicks and the modulated previous answer."""
        if previous is not None and prompt.clicks:
            probs = MODULATIONS[self.rule](previous.probs, click_points(prompt.clicks)[0])
            previous = replace(previous, probs=probs)
        return self.inner.predict(encoded, prompt, previous)


@dataclass(frozen=True, eq=False)
class Fused:
    """The mean of several predictors' logits (or probabilities): divisions, models, scales."""

    inners: tuple[Predictor, ...]
    weights: tuple[float, ...] | None = None
    logits: bool = True

    def __post_init__(self) -> None:
        if not self.inners or (self.weights is not None and len(self.weights) != len(self.inners)):
            raise BadConfig(
                f"{len(self.inners)} predictors and weights {self.weights} do not match: give one weight each."
            )

    def encode(self, view: View) -> tuple[Any, ...]:
        """Every predictor's encoding."""
        return tuple(inner.encode(view) for inner in self.inners)

    def predict(self, encoded: tuple[Any, ...], prompt: Prompt, previous: Prediction | None) -> Prediction:
        """The weighted mean; every predictor sees the fused previous answer. Focus is the first one's."""
        answers = [part.predict(code, prompt, previous) for part, code in zip(self.inners, encoded, strict=True)]
        if self.logits:
            probs = sigmoid(fuse([logit(answer.probs) for answer in answers], self.weights))
        else:
            probs = fuse([answer.probs for answer in answers], self.weights)
        return Prediction(probs, answers[0].focus, answers[0].threshold)


@dataclass(frozen=True, eq=False)
class SizedEncoding:
    """What a predictor chosen by the view's shape (rows, cols) made of it."""

    shape: tuple[int, int]
    encoded: Any


@dataclass(frozen=True, eq=False)
class BySize:
    """Let the view's size decide who answers, such as which divisions it is worth cutting in."""

    choose: Callable[[tuple[int, int]], Predictor]
    """View shape (rows, cols) → predictor, equal ones for equal shapes."""
    progress: Progress | None = None
    """Hears how far the chosen predictor is."""

    def encode(self, view: View) -> SizedEncoding:
        """The chosen predictor's encoding."""
        return SizedEncoding(view.shape, self._chosen(view.shape).encode(view))

    def predict(self, encoded: SizedEncoding, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """The chosen predictor's answer."""
        return self._chosen(encoded.shape).predict(encoded.encoded, prompt, previous)

    def _chosen(self, shape: tuple[int, int]) -> Predictor:
        return with_progress(self.choose(shape), self.progress)


@dataclass(frozen=True, eq=False)
class Cached:
    """Remember the latest `capacity` encodings by the view's content. May change speed, never answers; thread-safe."""

    inner: Predictor
    capacity: int = 16
    _store: OrderedDict[bytes, Any] = field(default_factory=OrderedDict, repr=False)
    _lock: Any = field(default_factory=Lock, repr=False)

    def encode(self, view: View) -> Any:
        """The encoding, remembered if this content was seen lately."""
        key = view.content
        with self._lock:
            if key in self._store:
                self._store.move_to_end(key)
                return self._store[key]
        encoded = self.inner.encode(view)
        with self._lock:
            self._store[key] = encoded
            while len(self._store) > self.capacity:
                self._store.popitem(last=False)
        return encoded

    def predict(self, encoded: Any, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """The inner answer."""
        return self.inner.predict(encoded, prompt, previous)

    def __reduce__(self) -> tuple[Any, ...]:
        return Cached, (self.inner, self.capacity)


@dataclass(frozen=True, eq=False)
class TargetEncoding:
    """A view and its encoding for one target."""

    view: View
    target: Target
    encoded: Any


@dataclass(frozen=True, eq=False)
class ByTarget:
    """One predictor for objects, another for classes.

    A view is encoded for the first of them; for another target it is encoded when that is asked for, each time anew:
    give a `Cached` predictor there.
    """

    inners: Mapping[Target, Predictor]

    def encode(self, view: View) -> TargetEncoding:
        """Encode for the first target."""
        first = next(iter(self.inners))
        return TargetEncoding(view, first, self.inners[first].encode(view))

    def predict(self, encoded: TargetEncoding, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """The answer of the target's predictor. Raises BadConfig if there is none."""
        inner = self.inners.get(prompt.target)
        if inner is None:
            raise BadConfig(
                f"this predictor does not answer target {prompt.target.value}: ask another target or model."
            )
        whole = encoded.encoded if prompt.target is encoded.target else inner.encode(encoded.view)
        return inner.predict(whole, prompt, previous)
