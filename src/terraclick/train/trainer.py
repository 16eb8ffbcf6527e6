"""The one training loop: of terra's click net, the papers' networks and class maps.

What differs between them is their `Work`: how a step's samples are drawn, what its loss is, what is kept. Everything
else is here: the folder, resuming, processes that share a step, precision, clipping, the learning rate, the running
average, checkpoints, measuring while it trains, pictures, the log.

A run depends on its recipe and the step's number alone: one that was interrupted or killed goes on from its last
checkpoint and becomes the run that nobody interrupted. Every process keeps what is its own in a file of its own, with
the earlier one beside it, so that a kill between two writes leaves one whole checkpoint.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from terraclick.errors import BadConfig, BadWeights
from terraclick.train.export import read_checkpoint
from terraclick.train.folder import CHECKPOINT, RunFolder
from terraclick.train.saving import save_checkpoint
from terraclick.train.sharing import Shared
from terraclick.train.validation import Validation

__all__ = ["PRECISIONS", "Backward", "Habits", "Plan", "RunOptions", "TrainingProgress", "Work", "run"]

TrainingProgress = Callable[[str, int, int, dict[str, float]], None]
Backward = Callable[[Tensor], None]

PRECISIONS: dict[str, torch.dtype | None] = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Arithmetic of a step by name; weights, gradients' sums and averages are float32 in all of them."""


@dataclass(frozen=True)
class Habits:
    """What a run does beside learning. Nothing in it belongs to a recipe; only `device` may change a figure."""

    device: str = "cpu"
    """Where the network is: cpu, cuda, cuda:1."""
    workers: int = 0
    """Processes that draw and decode samples ahead; 0 = the run does it itself."""
    cache_mb: int = 1024
    """Decoded tiles that are kept in memory, over all workers of a process."""
    checkpoint_every: int = 100
    """Steps between checkpoints."""
    pictures_every: int = 0
    """Steps between pictures of samples and answers; 0 = none."""

    def __post_init__(self) -> None:
        if self.workers < 0 or self.cache_mb < 0 or self.checkpoint_every < 1 or self.pictures_every < 0:
            raise BadConfig("workers, cache_mb and pictures_every are 0 or more, checkpoint_every 1 or more.")


@dataclass(frozen=True, eq=False)
class RunOptions:
    """How one call of a training begins, ends and is watched; the same for every kind of training."""

    resume: bool = False
    """Whether an earlier run of the same recipe goes on."""
    until: int | None = None
    """The step at which this call ends (the run can be resumed); None = the recipe's last."""
    progress: TrainingProgress = lambda *_: None
    """Hears (stage, done, all, figures)."""
    validation: Validation | None = None
    """What is measured on the way, and how often; the best weights are kept then."""
    habits: Habits = Habits()
    clock: Callable[[], float] = time.process_time
    """Seconds, for the log."""


@dataclass(frozen=True)
class Plan:
    """What the loop reads of a recipe."""

    steps: int
    """Of the whole run."""
    batch: int
    """Samples of a step, over all processes."""
    precision: str = "float32"
    """One of `PRECISIONS`."""
    clip: float | None = None
    """Largest norm of the gradient, None = any."""
    average: float = 0.0
    """Decay of the running average of the weights, which is kept instead of them; 0 = none."""


class Work(ABC):
    """One kind of training, on one process."""

    plan: Plan
    module: nn.Module
    """Its state is saved, restored, averaged and kept."""
    optimizer: Any
    """A torch optimiser, or what has its `step`, `state_dict`, `load_state_dict` and `param_groups`."""
    best: tuple[str, int] = ("noc90", -1)
    """The figure of `measure` that decides which weights are the best ones, and whether more (1) or less (−1) is."""

    @abstractmethod
    def rates(self, step: int) -> Sequence[float]:
        """The learning rate of each group at a step (from 0)."""

    @abstractmethod
    def compute(self, step: int, backward: Backward) -> dict[str, float]:
        """This process's share of a step: `backward` for each part's share of the step's loss; figures of the share.

        `loss` of the figures is this process's share, which the loop adds up over all processes.
        """

    def begin(self, progress: TrainingProgress) -> None:  # noqa: B027  most have nothing to begin
        """Before the first step of a new run."""

    def state(self) -> dict[str, Any]:
        """What decides the following steps beside network, optimiser and step: of all processes alike."""
        return {}

    def own(self) -> dict[str, dict[str, Any]]:
        """The same of this process alone, by the name of a file."""
        return {}

    def owned(self) -> list[str]:
        """The names that `own` has."""
        return []

    def restore(  # noqa: B027  most have no state of their own
        self, common: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Go on from `state` and `own`."""

    @abstractmethod
    def keep(self, stem: Path, weights: Mapping[str, Tensor], step: int) -> Path:
        """Write the weights for use, as a file of this stem; the file."""

    def measure(self, weights: Path) -> dict[str, float]:
        """How good kept weights are; nothing where it is not measured."""
        return {}

    def picture(self) -> NDArray[np.uint8] | None:
        """Samples of the last step with their answers (H, W, 3), if there are any."""
        return None

    def close(self) -> None:  # noqa: B027  most have no workers
        """Workers may go."""


class _Averaged:
    """The running average of a module's numbers, faster at the start."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay = module, decay
        self.weights = {name: value.detach().clone() for name, value in module.state_dict().items()} if decay else {}

    def follow(self, step: int) -> None:
        """Move towards the weights after a step (from 0)."""
        if not self.decay:
            return
        keep = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in self.module.state_dict().items():
                if value.is_floating_point():
                    self.weights[name].lerp_(value, 1 - keep)

    def kept(self) -> Mapping[str, Tensor]:
        """What is kept for use: the average, or the weights where there is none."""
        return self.weights or self.module.state_dict()


class _Run:
    """The state of the loop on one process."""

    def __init__(self, work: Work, out: Path, among: Shared, habits: Habits) -> None:
        self.work, self.out, self.among, self.habits, self.step = work, out, among, habits, 0
        self.averaged = _Averaged(work.module, work.plan.average)
        self.half = PRECISIONS[work.plan.precision]
        self.kind = among.device.split(":")[0]
        self.scale, self.scaled = 2.0**12, self.half == torch.float16
        groups = work.optimizer.param_groups
        self.trained = [weight for group in groups for weight in group["params"]]

    def backward(self, loss: Tensor) -> None:
        """Add a part's gradient."""
        torch.autograd.backward(loss * self.scale if self.scaled else loss)

    def advance(self) -> dict[str, float]:
        """One step."""
        work, plan = self.work, self.work.plan
        for group, rate in zip(work.optimizer.param_groups, work.rates(self.step), strict=True):
            group["lr"] = rate
        for weight in self.trained:
            weight.grad = None
        with torch.autocast(self.kind, self.half or torch.bfloat16, enabled=self.half is not None):
            figures = work.compute(self.step, self.backward)
        self.among.add_up(self.trained)
        figures |= self._stepped(plan.clip)
        self.averaged.follow(self.step)
        self.step += 1
        figures["loss"] = float(self.among.sum_of(torch.tensor(figures["loss"], dtype=torch.float64)))
        return figures

    def _stepped(self, clip: float | None) -> dict[str, float]:
        """The optimiser's step. Half-precision gradients are scaled; where they overflow, the step is left out."""
        if not self.scaled:
            norm = nn.utils.clip_grad_norm_(self.trained, clip) if clip is not None else None
            self.work.optimizer.step()
            return {} if norm is None else {"gradient": float(norm)}
        scale = self.scale
        for weight in self.trained:
            if weight.grad is not None:
                weight.grad.div_(scale)
        norm = nn.utils.clip_grad_norm_(self.trained, float("inf") if clip is None else clip)
        fine = bool(torch.isfinite(norm))
        if fine:
            self.work.optimizer.step()
        self.scale = min(scale * 1.0005, 2.0**20) if fine else scale / 2
        return {"gradient": float(norm) if fine else 0.0, "scale": scale}

    def write(self) -> None:
        """A checkpoint: each process its own files, then what is common by the first, which makes them count."""
        for name, content in self.work.own().items():
            path = self.out / name
            if path.exists():
                os.replace(path, _before(path))
            save_checkpoint(path, {**content, "step": self.step})
        self.among.wait()
        if self.among.writes:
            common: dict[str, Any] = {"step": self.step, "net": self.work.module.state_dict()}
            common |= {"averaged": self.averaged.weights, "optimizer": self.work.optimizer.state_dict()}
            common |= {"scale": self.scale}
            save_checkpoint(self.out / CHECKPOINT, {**common, **self.work.state()})
        self.among.wait()

    def restore(self) -> None:
        """Go on from the last whole checkpoint. Raises BadWeights."""
        common = read_checkpoint(self.out / CHECKPOINT, self.among.device)
        own = {name: self._own(name, common["step"]) for name in self.work.owned()}
        self.step = common["step"]
        self.work.module.load_state_dict(common["net"] if "net" in common else common["network"])
        self.work.optimizer.load_state_dict(common["optimizer"])
        if self.averaged.decay:
            self.averaged.weights = dict(common["averaged"])
        self.scale = common.get("scale", self.scale)
        self.work.restore(common, own)

    def _own(self, name: str, step: int) -> dict[str, Any]:
        for path in (self.out / name, _before(self.out / name)):
            if path.is_file():
                content = read_checkpoint(path)
                if content["step"] == step:
                    return content
        raise BadWeights(f"{self.out / name} is not of step {step}, at which checkpoint.pt stands: start a new run.")


def _before(path: Path) -> Path:
    return path.with_name(f"{path.stem}.before{path.suffix}")


def run(
    work: Work,
    out: Path,
    among: Shared,
    stem: str,
    options: RunOptions = RunOptions(),
) -> Path:
    """Train until the plan's or the options' last step, in a folder that was claimed; the file of kept weights.

    `stem` names that file. Raises BadWeights for a checkpoint that cannot be read.
    """
    habits, progress, validation, clock = options.habits, options.progress, options.validation, options.clock
    loop = _Run(work, out, among, habits)
    plan = work.plan
    if options.resume and (out / CHECKPOINT).exists():
        loop.restore()
    else:
        work.begin(progress if among.writes else lambda *_: None)
    folder = RunFolder(out, among.writes, loop.step)
    last = plan.steps if options.until is None else min(options.until, plan.steps)
    started = clock()
    try:
        while loop.step < last:
            figures = loop.advance()
            figures = {"samples": loop.step * plan.batch, **figures, "seconds": clock() - started}
            started = clock()
            folder.note(loop.step, figures)
            if among.writes:
                progress("train", loop.step, plan.steps, figures)
            measured = validation is not None and validation.due(loop.step, plan.batch, plan.steps)
            if loop.step % habits.checkpoint_every == 0 or loop.step == last or measured:
                loop.write()
            if habits.pictures_every and loop.step % habits.pictures_every == 0:
                _show(work, folder, loop.step)
            if measured:
                if among.writes:
                    _measure(work, loop, folder, progress, stem)
                among.wait()
        weights = out / stem
        if among.writes:
            weights = work.keep(out / stem, loop.averaged.kept(), loop.step)
        among.wait()
        return weights
    finally:
        folder.close()
        with suppress(Exception):
            work.close()


def _show(work: Work, folder: RunFolder, step: int) -> None:
    picture = work.picture()
    if picture is not None:
        folder.show(step, picture)


def _measure(work: Work, loop: _Run, folder: RunFolder, progress: TrainingProgress, stem: str) -> None:
    """Measure the kept weights, and keep them as the best if no earlier ones were better."""
    weights = work.keep(loop.out / stem, loop.averaged.kept(), loop.step)
    figures = work.measure(weights)
    folder.note(loop.step, {"samples": loop.step * work.plan.batch, **figures})
    progress("validate", loop.step, work.plan.steps, figures)
    name, sign = work.best
    if name in figures and sign * figures[name] >= max(sign * value for value in folder.earlier(name)):
        work.keep(loop.out / "best", loop.averaged.kept(), loop.step)
