"""Training of class maps (BiCoR-Seg, its baseline), from crops or from kept features of a frozen encoder.

Which pictures a step sees, and how they are cut, depends on the seed and the step's number alone. The loop is
`trainer.py`; the losses look at the whole batch, over processes and over the parts of a batch (`sharing.Whole`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraclick.errors import BadConfig
from terraclick.networks.bicor.network import Bicor
from terraclick.train.folder import claim
from terraclick.train.judging import evaluate
from terraclick.train.lookahead import Lookahead
from terraclick.train.map_features import (
    BalancedCrops,
    Features,
    cut_features,
    encode_to,
    feature_square,
    standardise,
)
from terraclick.train.map_network import ARCH, build_network, restored, settings
from terraclick.train.pictures import Shown, sheet
from terraclick.train.samples import Tiles, made_ahead
from terraclick.train.saving import save_checkpoint, save_json
from terraclick.train.schedule import cosine, milestones
from terraclick.train.semantic_data import Decoded, Labelled, draw_crop, draw_mosaic, judged_parts, training_parts
from terraclick.train.semantic_losses import total_loss
from terraclick.train.semantic_recipes import SemanticConfig
from terraclick.train.sharing import Remembered, Shared, Whole, shared
from terraclick.train.trainer import Backward, Habits, Plan, RunOptions, TrainingProgress, Work, run

__all__ = ["train", "train_on_features"]


def train(
    config: SemanticConfig,
    data: Path,
    out: Path,
    options: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> Path:
    """Train a class map by a recipe and return the file of its weights, `map_net.pt`.

    out receives config.json, log.jsonl, checkpoint.pt, scores.json and map_net.pt, and of a frozen encoder the kept
    features/, which may be deleted after the run. With `options.validation` the parts that the recipe is judged on are
    judged on the way, and best.pt keeps the best weights. Under torchrun the batch is shared. Raises BadConfig (another
    recipe's folder), BadData, BadWeights, MissingExtra.
    """
    torch.set_num_threads(config.threads)
    with shared(config.batch, options.habits.device) as among:
        samples, judged = training_parts(config, data), judged_parts(config, data)
        if among.writes:
            plain = SemanticConfig(config.name, config.layout, config.classes)
            claim(out, "config.json", settings(config), options.resume, settings(plain))
        among.wait()
        network = build_network(config)
        draw, count = _drawing(config, network, samples, out, among, options.habits, options.progress)
        work = MapWork(config, network, draw, count, judged, among, options.habits)
        weights = run(work, out, among, "map_net", options)
        if among.writes:
            scores = evaluate(config, restored(weights)[1].to(among.device), judged, options.progress)
            each = scores.by_class(scores.iou) | {"f1": scores.by_class(scores.f1)}
            save_json(out / "scores.json", scores.figures() | each)
        among.wait()
        return weights


def _drawing(
    config: SemanticConfig,
    network: Bicor,
    samples: list[Labelled],
    out: Path,
    among: Shared,
    habits: Habits,
    progress: TrainingProgress,
) -> tuple[DrawnCrop | DrawnFeatures, int]:
    """How samples are drawn, and how many there are; of a frozen encoder they are encoded first."""
    if not config.frozen:
        cache = habits.cache_mb // max(habits.workers, 1)
        return DrawnCrop(config, tuple(samples), cache), len(samples)
    if among.writes:
        encode_to(out / "features", config, network, samples, progress)
    among.wait()
    features = encode_to(out / "features", config, network, samples)
    standardise(network.decoder, features)
    return DrawnFeatures(config, tuple(features)), len(features)


def train_on_features(
    config: SemanticConfig, network: Bicor, features: Sequence[Features], progress: TrainingProgress | None = None
) -> Bicor:
    """Train the decoder on kept features, nothing written: what ablations repeat. Returns the network."""
    torch.manual_seed(config.seed)
    standardise(network.decoder, features)
    work = MapWork(config, network, DrawnFeatures(config, tuple(features)), len(features), (), Shared(), Habits())
    for step in range(work.plan.steps):
        work.optimizer_rates(step)
        figures = work.compute(step, torch.autograd.backward)
        work.stepped()
        if progress is not None:
            progress("train", step + 1, work.plan.steps, figures)
    return network


# --- samples ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DrawnCrop:
    """Draws a crop of one picture by (step, place in the batch, picture), in this process or in a worker."""

    config: SemanticConfig
    samples: tuple[Labelled, ...]
    cache_mb: int

    def __call__(self, key: tuple[int, int, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        step, place, index = key
        rng = np.random.default_rng([self.config.seed, 4, step, place])
        if self.config.mosaic and rng.random() < self.config.mosaic:
            others = [int(rng.integers(len(self.samples))) for _ in range(3)]
            return draw_mosaic([self._read(i) for i in (index, *others)], self.config.crop, rng)
        return draw_crop(self._read(index), self.config.crop, rng)

    @property
    def chances(self) -> NDArray[np.float64] | None:
        """How often each picture is drawn; None where the recipe shares nothing out."""
        shares = dict(self.config.shares)
        if not shares:
            return None
        counts = Counter(sample.dataset for sample in self.samples)
        chances = np.array([shares.get(one.dataset, 0.0) / counts[one.dataset] for one in self.samples])
        if not chances.sum():
            raise BadConfig(f"shares name {', '.join(shares)}; trained on are {', '.join(counts)}: correct them.")
        return chances / chances.sum()

    def _read(self, index: int) -> Decoded:
        return self._tiles.get(index, lambda: Decoded(*self.samples[index].both()))

    @cached_property
    def _tiles(self) -> Tiles:
        return Tiles(self.cache_mb)

    def __reduce__(self) -> tuple[Any, ...]:
        return DrawnCrop, (self.config, self.samples, self.cache_mb)


@dataclass(frozen=True)
class DrawnFeatures:
    """Draws a square of kept features, maps as float32."""

    config: SemanticConfig
    features: tuple[Features, ...]
    chances: None = None
    """Every square is drawn alike, or by the recipe's balance."""

    def __call__(self, key: tuple[int, int, int]) -> tuple[list[NDArray[np.float32]], NDArray[np.uint8]]:
        step, place, index = key
        rng = np.random.default_rng([self.config.seed, 4, step, place])
        if self._crops is None:
            cut = cut_features(self.features[index], self.config, rng)
        else:
            sample, row, col = self._crops.draw(rng)
            cut = feature_square(self.features[sample], row, col, self.config.crop)
        return [m.astype(np.float32) for m in cut.maps], cut.labels

    @cached_property
    def _crops(self) -> BalancedCrops | None:
        power = self.config.balance
        return None if power is None else BalancedCrops.of(self.features, self.config, power)


# --- the work --------------------------------------------------------------------------------------------------------


class MapWork(Work):
    """Network and optimiser of a class map; what is trained is the whole network, or the decoder of a frozen one."""

    best = ("miou", 1)

    def __init__(
        self,
        config: SemanticConfig,
        network: Bicor,
        draw: DrawnCrop | DrawnFeatures,
        count: int,
        judged: Sequence[Labelled],
        among: Shared,
        habits: Habits,
    ) -> None:
        self.config, self.network, self.judged, self.among, self.habits = config, network, judged, among, habits
        self.draw, self.count, self.chances = draw, count, draw.chances
        self.module = network
        self.trained = network.decoder if config.frozen else network
        self.trained.to(among.device)
        self.per_epoch = max(1, count // config.batch)
        steps = max(1, round(config.epochs * self.per_epoch))
        self.plan = Plan(steps, config.batch, config.precision, config.clip, config.average)
        parameters = list(self.trained.parameters())
        adamw = config.optimizer == "adamw"
        fast: torch.optim.Optimizer = (
            torch.optim.AdamW(parameters, lr=config.rate, weight_decay=config.decay)
            if adamw
            else torch.optim.Adam(parameters, lr=config.rate)
        )
        self.optimizer = Lookahead(fast) if config.lookahead else fast
        self._coming: Any = None
        self._seen: list[Shown] = []

    def chosen(self, step: int) -> list[int]:
        """Samples of a step over all processes: a fresh shuffle every epoch; small sets are gone through again."""
        if self.chances is not None:
            rng = np.random.default_rng([self.config.seed, 3, step])
            return [int(index) for index in rng.choice(self.count, self.config.batch, p=self.chances)]
        epoch, place = divmod(step, self.per_epoch)
        order = np.random.default_rng([self.config.seed, 3, epoch]).permutation(self.count)
        return [int(order[(place * self.config.batch + i) % self.count]) for i in range(self.config.batch)]

    def rates(self, step: int) -> Sequence[float]:
        """The peak's share by the recipe's schedule."""
        config, steps = self.config, self.plan.steps
        if config.schedule == "milestones":
            return [config.rate * milestones(step, steps, config.milestones, config.warm_up)]
        return [config.rate * cosine(step, steps, config.min_rate / config.rate, config.warm_up)]

    def optimizer_rates(self, step: int) -> None:
        """Set the learning rate of a step, and forget the last one's gradient."""
        for group, rate in zip(self.optimizer.param_groups, self.rates(step), strict=True):
            group["lr"] = rate
        self.trained.zero_grad(set_to_none=True)

    def stepped(self) -> None:
        """The optimiser's step, where nobody else makes it."""
        if self.config.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.trained.parameters(), self.config.clip)
        self.optimizer.step()

    def _samples(self, step: int) -> list[Any]:
        """This process's samples of a step, drawn ahead where there are workers."""
        mine = self.among.mine(self.config.batch)
        if self._coming is None:
            keys = ([(k, i, self.chosen(k)[i]) for i in mine] for k in range(step, self.plan.steps))
            self._coming = made_ahead(self.draw, keys, self.habits.workers)
        return list(next(self._coming))

    def compute(self, step: int, backward: Backward) -> dict[str, float]:
        """The step's loss as far as this process's samples are concerned, in as many parts as the recipe says."""
        samples, config = self._samples(step), self.config
        size = -(-len(samples) // config.accumulate)
        chunks = [samples[k : k + size] for k in range(0, len(samples), size)]
        self.network.train()
        self._seen = []
        whole: Whole = Whole(self.among)
        if config.accumulate > 1:
            whole = self._noted(chunks, step)
        for number, chunk in enumerate(chunks):
            if isinstance(whole, Remembered):
                whole.play(number)
            output, labels = self._forward(chunk, step, number)
            loss = total_loss(output, labels, self.network.decoder.config, config.heat, config.fisher, whole)
            backward(loss)
            self._watch(step, chunk, output.logits)
        return {"loss": float(loss.detach()) / self.among.world}

    def _noted(self, chunks: Sequence[list[Any]], step: int) -> Remembered:
        """A first round without gradient: what the losses read of each part of the batch."""
        whole, config = Remembered(self.among), self.config
        with torch.no_grad():
            for number, chunk in enumerate(chunks):
                whole.note()
                output, labels = self._forward(chunk, step, number)
                total_loss(output, labels, self.network.decoder.config, config.heat, config.fisher, whole)
        whole.close()
        return whole

    def _forward(self, chunk: list[Any], step: int, number: int) -> tuple[Any, Tensor]:
        """Answers and labels of a part of the batch."""
        torch.manual_seed(int(np.random.default_rng([self.config.seed, 6, step, number]).integers(2**31)))
        device = self.among.device
        labels = torch.from_numpy(np.stack([truth for _, truth in chunk]).astype(np.int64)).to(device)
        if self.config.frozen:
            levels = zip(*[maps for maps, _ in chunk], strict=True)
            return self.trained([torch.from_numpy(np.stack(level)).to(device) for level in levels]), labels
        images = torch.from_numpy(np.stack([image for image, _ in chunk])).to(device)
        return self.trained(images.permute(0, 3, 1, 2).float() / 255), labels

    def _watch(self, step: int, chunk: list[Any], logits: Tensor) -> None:
        every = self.habits.pictures_every
        if not every or (step + 1) % every or self.config.frozen or len(self._seen) >= 4:
            return
        colours = [colour for _, colour in self.config.classes]
        answers = logits.detach().argmax(1).cpu().numpy()
        self._seen += [
            Shown(image[..., :3], truth, a, (), colours) for (image, truth), a in zip(chunk, answers, strict=True)
        ]

    def keep(self, stem: Path, weights: Mapping[str, Tensor], step: int) -> Path:
        """A `map_net.pt`."""
        path = stem.with_suffix(".pt")
        plain = {name: value.cpu() for name, value in weights.items()}
        save_checkpoint(path, {"arch": ARCH, "recipe": settings(self.config), "step": step, "weights": plain})
        return path

    def measure(self, weights: Path) -> dict[str, float]:
        """mIoU, mean F1 and OA on the parts that the recipe is judged on."""
        network = restored(weights)[1]
        (network.decoder if self.config.frozen else network).to(self.among.device)
        return evaluate(self.config, network, self.judged).figures()

    def picture(self) -> NDArray[np.uint8] | None:
        """The last batch's first samples with their labels and answers."""
        return sheet(self._seen[:4]) if self._seen else None

    def close(self) -> None:
        """Workers may go."""
        if self._coming is not None:
            self._coming.close()
