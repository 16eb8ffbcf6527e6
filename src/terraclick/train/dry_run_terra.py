"""A recipe of terra's click net tried in its own loop, on crops of a picture made by chance."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from terraclick.blocks.tuning import count_parameters
from terraclick.predictors.spec import WEIGHTS
from terraclick.terra.net import ClickNet
from terraclick.train.config import Source, TrainConfig
from terraclick.train.crops import Crop
from terraclick.train.dry_figures import ADAM, GPU_FLOPS, DryRun, Kept, flop_counter
from terraclick.train.loop import TerraWork, keep_memory
from terraclick.train.sharing import Shared
from terraclick.train.trainer import RunOptions, run

__all__ = ["dry_run_terra"]

CROPS = 8
"""Crops that are cut; the recipe's number is reckoned from them."""
STEPS = 3
SIDE, RADIUS = 640, 40
"""Of the picture and of the discs on it, in pixels."""


def dry_run_terra(config: TrainConfig, clock: Callable[[], float]) -> DryRun:
    """Three steps of the loop at the recipe's batch; the time of cutting crops is shared out over their uses.

    Steps have pictures of several sides: the time of the ones tried is scaled by their pixels. Raises MissingExtra
    without the ImageNet weights.
    """
    tried = replace(config, sources=(Source("discs", 1.0),), crops=CROPS, ranks=1, start="")
    torch.set_num_threads(config.threads)
    keep_memory()
    with TemporaryDirectory(prefix="terraclick-dry-run-") as scratch:
        folder = Path(scratch)
        _write_discs(folder / "data" / "discs", np.random.default_rng(config.seed))
        (folder / "out").mkdir()
        alone = Shared()
        work = TerraWork(tried, folder / "data", folder / "out", WEIGHTS / "terra_encoder.onnx", alone, None, 0)
        seen = _Seen(clock, clock())
        run(work, folder / "out", alone, "click_net", RunOptions(until=STEPS, progress=seen, clock=clock))
        pool = work.pools[0]
        side = config.sides[-1]
        samples, truths = work.drawn(pool, np.arange(config.batch), side)
        network = work.net
        work.net = ClickNet().train()  # its convolutions are all torch's, which the counter knows
        with Kept() as kept, flop_counter() as counter:
            loss, _ = work.learn(samples, truths, torch.autograd.backward)
        held = config.crops * sum(map(_nbytes, pool.crops.values())) / len(pool.crops)
    pixels = (1 - config.late_share) * _mean(config.sides) + config.late_share * _mean(config.late_sides)
    cutting = seen.cutting / CROPS * config.batch / config.crop_samples
    seconds = float(config.ranks * (np.mean([t * pixels / s**2 for s, t in seen.steps[1:]]) + cutting))
    flops = float(config.ranks * counter.get_total_flops() * pixels / side**2)
    everything, few = count_parameters(network)
    average = 4 * few
    weights = 4 * everything + (ADAM - 4) * few + average
    memory = (weights + kept.nbytes * max(config.late_sides) ** 2 / side**2 + held) / 1e6
    shapes = {name: (config.batch, *value.shape) for name, value in samples[0].items()}
    return DryRun(
        config.name,
        everything,
        few,
        {name: shapes[name] for name in ("image", "tokens", "shallow", "rows")},
        loss,
        flops / 1e9,
        seconds,
        memory,
        config.steps,
        config.steps * seconds / 86_400,
        config.steps * flops / GPU_FLOPS / 86_400,
        f" of {config.batch * config.ranks} samples",
    )


def _mean(sides: tuple[int, ...]) -> float:
    """Pixels of a step's picture."""
    return float(np.mean(np.square(sides)))


def _nbytes(crop: Crop) -> int:
    arrays = [value for name in fields(crop) if isinstance(value := getattr(crop, name.name), np.ndarray)]
    return sum(array.nbytes for array in (*arrays, *(one.truth for one in crop.asked)))


@dataclass
class _Seen:
    """What the loop reports: seconds of cutting all crops, (side, seconds) of each step."""

    clock: Callable[[], float]
    started: float
    cutting: float = 0.0
    steps: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, stage: str, done: int, total: int, figures: Mapping[str, Any]) -> None:
        """See `trainer.Progress`."""
        if stage == "crops":
            self.cutting = self.clock() - self.started
        elif stage == "train":
            self.steps.append((figures["side"], figures["seconds"]))


def _write_discs(folder: Path, rng: np.random.Generator) -> None:
    """A dataset of one picture: sixteen discs on noise, each an object of one of two classes."""
    for part in ("images", "masks", "instances"):
        (folder / part).mkdir(parents=True)
    image = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    classes, instances = np.zeros((2, SIDE, SIDE), np.uint8)
    rows, cols = np.ogrid[:SIDE, :SIDE]
    objects = []
    for number in range(1, 17):
        row, col = (SIDE * (2 * place + 1) // 8 for place in divmod(number - 1, 4))
        disc = (rows - row) ** 2 + (cols - col) ** 2 < RADIUS**2
        classes[disc], instances[disc] = 1 + number % 2, number
        image[disc] //= 1 + number % 2 + 1
        objects.append({"id": number, "cls": 1 + number % 2, "area": int(disc.sum())})
    for name, array in (("images", image), ("masks", classes), ("instances", instances)):
        _write(folder / name / "0.png", array)
    entry = {"image": "images/0.png", "mask": "masks/0.png", "instances": "instances/0.png", "gsd": 0.3}
    entry |= {"height": SIDE, "width": SIDE, "objects": objects}
    names = {"0": "ground", "1": "pale disc", "2": "dark disc"}
    meta = {"dataset": "discs", "classes": names, "true_instances": True, "images": [entry]}
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def _write(path: Path, array: NDArray[np.uint8]) -> None:
    cv2.imencode(".png", array)[1].tofile(path)
