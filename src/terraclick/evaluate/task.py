"""One task: it is drawn by the protocol, laid before a predictor, and clicked by a robot."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from terraclick.core.click_sequence import ClickSequence, fold
from terraclick.core.masks import boundary_iou, box_around, iou
from terraclick.core.predictor import Predictor, bands_read
from terraclick.data.combinations import combination_tasks
from terraclick.data.datasets import Dataset, class_tasks, object_tasks
from terraclick.data.sample import Task
from terraclick.errors import BadConfig
from terraclick.evaluate.protocol import EvalProtocol
from terraclick.evaluate.report import TaskResult
from terraclick.evaluate.robots import CHANCE, ROBOTS, Mask
from terraclick.values import Click, Prediction, Target

__all__ = ["Asked", "Clicked", "asked", "draw_tasks", "run_task"]


@dataclass(frozen=True, eq=False)
class Clicked:
    """A task clicked through: IoU after each click, the last mask (H, W), the clicks, seconds of all clicks.

    `before` is the answer before the last click, None after one click alone.
    """

    ious: tuple[float, ...]
    mask: Mask
    clicks: tuple[Click, ...]
    seconds: float
    before: Prediction | None = None


@dataclass(frozen=True, eq=False)
class Asked:
    """A task laid before a predictor: what it shows beforehand, the labels (H, W), and the encoded view."""

    sequence: ClickSequence
    truth: Mask
    ignore: Mask
    predictor: Predictor
    encoded: Any
    encode_seconds: float
    gsd: float | None

    def clicked(
        self, protocol: EvalProtocol, draw: Sequence[int] = (), clock: Callable[[], float] = lambda: 0.0
    ) -> Clicked:
        """Let the protocol's robot click until the IoU to stop at is reached, the mask is perfect or clicks run out.

        `draw` seeds a robot that leaves something to chance, `clock` times the answers.
        """
        robot, rng = ROBOTS[protocol.robot], np.random.default_rng([protocol.seed, *draw])
        mask, ious, seconds = np.zeros(self.truth.shape, np.bool_), list[float](), 0.0

        def choose(sequence: ClickSequence) -> Click | None:
            over = len(ious) >= protocol.max_clicks or (ious and ious[-1] >= protocol.stops)
            return None if over else robot(mask, self.truth, self.ignore, sequence.clicks, rng)

        sequence, before = self.sequence, None
        if protocol.box:
            begun = clock()
            sequence = sequence.boxed(box_around(self.truth), self.truth.shape, self.predictor, self.encoded)
            seconds += clock() - begun
            mask = _masked(sequence, protocol)
            ious.append(iou(mask, self.truth, self.ignore))
        for step in fold(sequence, choose, self.predictor, self.encoded, clock):
            before, sequence, seconds = sequence.latest, step.sequence, seconds + step.seconds
            mask = _masked(sequence, protocol)
            ious.append(iou(mask, self.truth, self.ignore))
        return Clicked(tuple(ious), mask, tuple(sequence.clicks), seconds, before)


def _masked(sequence: ClickSequence, protocol: EvalProtocol) -> Mask:
    """The latest answer (H, W) at the protocol's threshold."""
    assert sequence.latest is not None
    return np.asarray(sequence.latest.probs > protocol.mask_threshold, np.bool_)


def draw_tasks(dataset: Dataset, target: Target, protocol: EvalProtocol) -> list[Task]:
    """The dataset's tasks by the protocol: all of them, or `limit` drawn by `seed`, in file order."""
    if protocol.box and target is not Target.OBJECT:
        raise BadConfig("a box is drawn around one object: ask for object tasks, or leave the box out.")
    dataset = replace(dataset, no_task=frozenset(protocol.no_task))
    tasks: Sequence[Task]
    if protocol.combinations and target is Target.OBJECT:
        tasks = combination_tasks(dataset)
    elif target is Target.OBJECT:
        tasks = object_tasks(dataset, protocol.min_area, protocol.max_area)
    else:
        tasks = class_tasks(dataset, protocol.class_fill)
    if protocol.limit is not None and len(tasks) > protocol.limit:
        chosen = np.random.default_rng(protocol.seed).choice(len(tasks), protocol.limit, replace=False)
        tasks = [tasks[index] for index in sorted(chosen)]
    return list(tasks) if protocol.references == "none" else [task.with_example(dataset) for task in tasks]


def asked(task: Task, predictor: Predictor, protocol: EvalProtocol, clock: Callable[[], float] = lambda: 0.0) -> Asked:
    """Lay a task before a predictor. Raises BadData where the files do not fit."""
    (truth, ignore), view, bands = task.truth(), task.picture.view(), bands_read(predictor)
    view = view if bands == 3 else replace(view, image=task.picture.deep(bands))
    begun = clock()
    encoded = predictor.encode(view)
    spent = clock() - begun
    shown = task.references(protocol.references, protocol.reference_interval, protocol.reference_scale)
    return Asked(ClickSequence(task.target, shown), truth, ignore, predictor, encoded, spent, view.gsd)


def run_task(
    task: Task, predictor: Predictor, protocol: EvalProtocol, clock: Callable[[], float] = time.perf_counter
) -> TaskResult:
    """Let the robot click one task, and once more for each of the protocol's draws by chance."""
    before, name = asked(task, predictor, protocol, clock), task.name.encode()
    done = before.clicked(protocol, name, clock)
    chance = replace(protocol, robot=CHANCE)
    by_chance = tuple(before.clicked(chance, [draw, *name]).ious for draw in range(protocol.chance_draws))
    edge = boundary_iou(done.mask, before.truth, before.ignore)
    each = done.seconds / max(len(done.ious), 1)
    area, gsd = float(np.count_nonzero(before.truth)), before.gsd
    size = (area if gsd is None else area * gsd**2), gsd is not None
    return TaskResult(task.dataset, task.cls, task.name, done.ious, edge, before.encode_seconds, each, by_chance, *size)
