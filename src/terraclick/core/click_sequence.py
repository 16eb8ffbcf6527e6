"""A click sequence is a left fold over clicks: add, undo, redo, replay; nothing is ever changed in place.

History is kept as uint8 probabilities inside the box where they are not zero (float32 at 1024² would be 4 MiB a click).
The quantised answer is also what the next click sees as `previous`, so a replay is equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.core.box import clicks_for, filled
from terraclick.core.predictor import Predictor, reads_box
from terraclick.errors import BadClick
from terraclick.values import Box, Click, Prediction, Prompt, Reference, Target, Window

__all__ = ["ClickSequence", "PackedPrediction", "Step", "fold", "pack"]


@dataclass(frozen=True, eq=False)
class PackedPrediction:
    """A prediction at rest: levels (h, w) uint8 inside `box`, zero elsewhere in a view of `shape`."""

    levels: NDArray[np.uint8]
    box: Window
    shape: tuple[int, int]
    focus: Window | None
    threshold: float
    memory: object | None = None
    """What the predictor wants to be given back, see `Prediction`; a sequence keeps that of its latest answer only."""

    def unpack(self) -> Prediction:
        """The prediction at full view size, probabilities in steps of 1/255."""
        probs = np.zeros(self.shape, dtype=np.float32)
        rows, cols = self.box.slices
        probs[rows, cols] = self.levels.astype(np.float32) / np.float32(255)
        return Prediction(probs, self.focus, self.threshold, self.memory)


def pack(prediction: Prediction) -> PackedPrediction:
    """Quantise a prediction to 1/255 and keep only the box that is not zero."""
    levels = np.rint(prediction.probs * np.float32(255)).astype(np.uint8)
    box = Window.around(levels) or Window(0, 0, 0, 0)
    inside = levels[box.slices].copy()
    shape, focus = prediction.probs.shape, prediction.focus
    return PackedPrediction(inside, box, shape, focus, prediction.threshold, prediction.memory)


@dataclass(frozen=True, eq=False)
class ClickSequence:
    """One thing being outlined. `predictions[i]` answers `clicks[: i + 1]`; `undone` waits for redo, newest last.

    `seed` is an answer to start from: a saved object, an imported polygon, a component of a class map, or the answer
    to a box (`boxed`).
    """

    target: Target = Target.OBJECT
    references: tuple[Reference, ...] = ()
    seed: PackedPrediction | None = None
    clicks: tuple[Click, ...] = ()
    predictions: tuple[PackedPrediction, ...] = ()
    undone: tuple[tuple[Click, PackedPrediction], ...] = ()
    box: Box | None = None
    box_clicks: tuple[Click, ...] = ()
    """What says the box to a predictor that reads none; they are no clicks of the person's."""
    before_box: PackedPrediction | None = None
    """The seed that the box was answered from, if there was one."""

    @staticmethod
    def from_mask(
        mask: NDArray[np.bool_], target: Target = Target.OBJECT, references: tuple[Reference, ...] = ()
    ) -> ClickSequence:
        """A click sequence that starts from a mask (H, W) and has no clicks yet."""
        return ClickSequence(target, references, seed=pack(Prediction.from_mask(mask)))

    @property
    def prompt(self) -> Prompt:
        """All that was said so far."""
        return Prompt((*self.box_clicks, *self.clicks), self.target, self.references, self.box)

    @property
    def latest(self) -> Prediction | None:
        """The current answer: after the last click, else the seed, else None."""
        packed = self.predictions[-1] if self.predictions else self.seed
        return None if packed is None else packed.unpack()

    def boxed(self, box: Box, shape: tuple[int, int], predictor: Predictor, encoded: Any) -> ClickSequence:
        """This sequence with a box in place of the one it had, on a view of `shape`; its clicks are answered afresh.

        A predictor that reads no boxes is told it in other words (`core.box`). Forgets what could be redone. Raises
        BadClick for a class: a box is drawn around one thing.
        """
        if self.target is not Target.OBJECT:
            raise BadClick("a box is drawn around one object: choose the target object, or click on the class.")
        reads = reads_box(predictor)
        told = () if reads else clicks_for(box, shape)
        start = self.before_box if self.box is not None else self.seed
        given = replace(self, clicks=(), predictions=(), undone=(), box=box, box_clicks=told, before_box=start)
        unsaid = None if reads else filled(box, shape)
        previous = unsaid if start is None else start.unpack()
        answered = replace(given, seed=pack(predictor.predict(encoded, given.prompt, previous)))
        return answered.answer(self.clicks, predictor, encoded)

    def add(self, click: Click, predictor: Predictor, encoded: Any) -> ClickSequence:
        """Answer one more click. Forgets what could be redone.

        Raises BadClick if there would be neither a positive click, a seed nor a positive reference to start from.
        """
        clicks = (*self.clicks, click)
        prompt = replace(self, clicks=clicks).prompt
        grounded = prompt.positives or self.seed is not None or any(r.positive for r in self.references)
        if not grounded:
            raise BadClick("only excluding clicks were given: add at least one click on the thing you want.")
        prediction = pack(predictor.predict(encoded, prompt, self.latest))
        earlier = self.predictions
        if earlier and earlier[-1].memory is not None:
            earlier = (*earlier[:-1], replace(earlier[-1], memory=None))
        return replace(self, clicks=clicks, predictions=(*earlier, prediction), undone=())

    def undo(self) -> ClickSequence:
        """Without the last click; unchanged if there is none."""
        if not self.clicks:
            return self
        step = (self.clicks[-1], self.predictions[-1])
        return replace(self, clicks=self.clicks[:-1], predictions=self.predictions[:-1], undone=(*self.undone, step))

    def redo(self) -> ClickSequence:
        """The last undone click again; unchanged if there is none."""
        if not self.undone:
            return self
        click, prediction = self.undone[-1]
        return replace(
            self,
            clicks=(*self.clicks, click),
            predictions=(*self.predictions, prediction),
            undone=self.undone[:-1],
        )

    def answer(self, clicks: Iterable[Click], predictor: Predictor, encoded: Any) -> ClickSequence:
        """This sequence with some more clicks answered, one after the other. Raises what `add` raises."""
        sequence = self
        for step in fold(self, clicks, predictor, encoded):
            sequence = step.sequence
        return sequence

    def replay(self, predictor: Predictor, encoded: Any) -> ClickSequence:
        """The same clicks answered afresh, by this or another predictor."""
        if self.box is not None and self.seed is not None:
            return self.boxed(self.box, self.seed.shape, predictor, encoded)
        return replace(self, clicks=(), predictions=(), undone=()).answer(self.clicks, predictor, encoded)


@dataclass(frozen=True, eq=False)
class Step:
    """The sequence after one more click, and the seconds its answer took by the clock that was given."""

    sequence: ClickSequence
    seconds: float


def fold(
    sequence: ClickSequence,
    clicks: Iterable[Click] | Callable[[ClickSequence], Click | None],
    predictor: Predictor,
    encoded: Any,
    clock: Callable[[], float] = lambda: 0.0,
) -> Iterator[Step]:
    """The one click loop: the sequence after each click, made as it is asked for.

    `clicks` are known beforehand, or a function that says the next one from where the sequence stands, None to end
    (a robot). `clock` times the predictor's answers. Raises what `ClickSequence.add` raises.
    """
    if callable(clicks):
        choose = clicks
    else:
        known = iter(clicks)
        choose = lambda _: next(known, None)  # noqa: E731
    while (click := choose(sequence)) is not None:
        begun = clock()
        sequence = sequence.add(click, predictor, encoded)
        yield Step(sequence, clock() - begun)
