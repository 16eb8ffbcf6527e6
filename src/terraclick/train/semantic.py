"""Training and judging of class maps (BiCoR-Seg, its baseline), from crops or from kept features of a frozen encoder.

Which pictures a step sees, and how they are cut, depends on the seed and the step's number alone: a resumed run equals
an uninterrupted one. Under `torchrun` every process takes its share of each batch and gradients are averaged (DDP);
the first process writes, each file beside its place and then moved there.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.convnext import RENAMES, UNUSED
from terraclick.errors import BadConfig, BadData, BadWeights
from terraclick.inference.graph import Graph
from terraclick.networks.bicor.model import ENCODERS, Bicor, BicorConfig, BicorDecoder
from terraclick.networks.checkpoint import read_published, rename, reshaped
from terraclick.predictors.spec import WEIGHTS
from terraclick.terra.patches import ENCODER_SIDE, encode_picture
from terraclick.train.export import read_checkpoint
from terraclick.train.loop import initial_backbone
from terraclick.train.saving import save_checkpoint, save_json
from terraclick.train.semantic_data import Labelled, draw_crop, read_parts, turned
from terraclick.train.semantic_losses import total_loss
from terraclick.train.semantic_recipes import SemanticConfig

__all__ = [
    "ARCH",
    "Features",
    "Lookahead",
    "Scores",
    "build_network",
    "confusion",
    "decoder_config",
    "encode_all",
    "evaluate",
    "restored",
    "train",
    "train_on_features",
]

ARCH = "bicor-map"
"""What a checkpoint of this loop says it is."""

CHECKPOINT_EVERY = 50

Report = Callable[[str, int, int, dict[str, float]], None]


# --- how good --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Scores:
    """A confusion matrix (truth, answer) and what follows from it; a class that no truth shows counts in no mean."""

    confusion: NDArray[np.int64]
    names: tuple[str, ...]
    uncounted: tuple[str, ...] = ()

    @property
    def iou(self) -> NDArray[np.float64]:
        """Per class; NaN where a class is nowhere."""
        hit = np.diag(self.confusion).astype(np.float64)
        union = self.confusion.sum(0) + self.confusion.sum(1) - hit
        return np.where(union > 0, hit / np.maximum(union, 1), np.nan)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Per class; NaN where a class is nowhere."""
        hit = np.diag(self.confusion).astype(np.float64)
        total = self.confusion.sum(0) + self.confusion.sum(1)
        return np.where(total > 0, 2 * hit / np.maximum(total, 1), np.nan)

    @property
    def accuracy(self) -> float:
        """Share of pixels named right (OA)."""
        return float(np.trace(self.confusion) / max(self.confusion.sum(), 1))

    def mean(self, values: NDArray[np.float64]) -> float:
        """Mean over the classes that count and that the truth shows."""
        counted = [i for i, name in enumerate(self.names) if name not in self.uncounted and self.confusion[i].sum()]
        return float(np.mean(values[counted])) if counted else math.nan

    def figures(self) -> dict[str, float]:
        """mIoU, mean F1 and OA."""
        return {"miou": self.mean(self.iou), "mf1": self.mean(self.f1), "oa": self.accuracy}

    def by_class(self, values: NDArray[np.float64]) -> dict[str, Any]:
        """Class name → its value, None where a class is nowhere."""
        return {n: None if math.isnan(v) else v for n, v in zip(self.names, values.tolist(), strict=True)}


def confusion(answer: NDArray[Any], truth: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Counts (truth, answer) of the pixels whose truth is a class."""
    known = truth < classes
    pairs = truth[known].astype(np.int64) * classes + answer[known].astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


# --- networks --------------------------------------------------------------------------------------------------------


def decoder_config(config: SemanticConfig) -> BicorConfig:
    """The network's sizes that a recipe asks for."""
    return BicorConfig(
        len(config.classes),
        ENCODERS[config.encoder],
        config.embed,
        config.layers,
        config.top_k,
        decoder=config.decoder,
        setting=config.setting,
    )


def build_network(config: SemanticConfig) -> Bicor:
    """The network before the first step. Raises BadWeights for weights that do not fit, MissingExtra."""
    torch.manual_seed(config.seed)
    network = Bicor(config.encoder, decoder_config(config))
    if config.encoder.startswith("convnext"):
        if config.weights is not None:
            state = rename(read_published(config.weights), RENAMES, UNUSED)
            state = reshaped(state, network.encoder.net.state_dict())
            try:
                network.encoder.net.load_state_dict(state)
            except RuntimeError as error:
                reason = str(error).splitlines()[-1].strip()
                raise BadWeights(f"{config.weights} does not fit {config.encoder}: {reason}") from None
        return network
    published = initial_backbone()
    if config.encoder == "efficientnet-lite0":
        network.encoder.net.load_state_dict(published)
    else:
        kept = {k: v for k, v in published.items() if k.split(".")[0] == "stem" or k.startswith(STAGES_OF_DETAIL)}
        network.encoder.detail.load_state_dict(kept)
    return network


STAGES_OF_DETAIL = ("stages.0.", "stages.1.", "stages.2.")


class Lookahead:
    """Slow weights that follow an optimiser's fast ones: every `every` steps half way (Zhang et al. 2019)."""

    def __init__(self, optimizer: torch.optim.Optimizer, every: int = 5, share: float = 0.5) -> None:
        self.optimizer, self.every, self.share, self.count = optimizer, every, share, 0
        self.slow = [p.detach().clone() for p in self._parameters()]

    def _parameters(self) -> Iterator[nn.Parameter]:
        for group in self.optimizer.param_groups:
            yield from group["params"]

    def step(self) -> None:
        """One fast step; every few, fast and slow weights meet."""
        self.optimizer.step()
        self.count += 1
        if self.count % self.every == 0:
            with torch.no_grad():
                for slow, fast in zip(self.slow, self._parameters(), strict=True):
                    slow.lerp_(fast, self.share)
                    fast.copy_(slow)

    def state_dict(self) -> dict[str, Any]:
        """All that decides the following steps."""
        return {"fast": self.optimizer.state_dict(), "slow": self.slow, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.optimizer.load_state_dict(state["fast"])
        self.count = state["count"]
        for slow, kept in zip(self.slow, state["slow"], strict=True):
            slow.copy_(kept)


def _rate(config: SemanticConfig, step: int, steps: int) -> float:
    """Cosine from the peak to the last rate."""
    share = 0.5 + 0.5 * math.cos(math.pi * min(step / max(steps, 1), 1.0))
    return config.min_rate + (config.rate - config.min_rate) * share


# --- frozen encoders: every picture encoded once ---------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Features:
    """What a frozen encoder says of a picture in one of its turns: four maps (C, h, w) float16, labels (S, S) uint8."""

    maps: tuple[NDArray[np.float16], ...]
    labels: NDArray[np.uint8]


def encode_all(
    config: SemanticConfig, network: Bicor, samples: Sequence[Labelled], variants: int, report: Report | None = None
) -> list[Features]:
    """Every sample in its first `variants` turns, resized to the recipe's side, through the encoder."""
    side = config.side or config.crop
    vit = Graph(WEIGHTS / "terra_encoder.onnx", config.threads) if config.encoder == "vit-s14" else None
    turns = [0, 5, 2, 7, 1, 4, 3, 6][:variants]
    found = []
    encoder = network.encoder.eval()
    for index, sample in enumerate(samples):
        image, labels = sample.both()
        how = cv2.INTER_AREA if image.shape[0] > side else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, (side, side), interpolation=how), np.uint8)
        truth = np.asarray(cv2.resize(labels, (side, side), interpolation=cv2.INTER_NEAREST), np.uint8)
        for turn in turns:
            picture = turned(image, turn)
            tokens = None
            if vit is not None:
                small = cv2.resize(picture, (ENCODER_SIDE, ENCODER_SIDE), interpolation=how)
                tokens = torch.from_numpy(encode_picture(vit, np.asarray(small, np.uint8)))[None]
            with torch.no_grad():
                tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
                maps = encoder(tensor, tokens)
            found.append(Features(tuple(m[0].numpy().astype(np.float16) for m in maps), turned(truth, turn)))
        if report is not None:
            report("encode", index + 1, len(samples), {})
    return found


def standardise(decoder: BicorDecoder, features: Sequence[Features]) -> None:
    """Let every projection start from features of mean 0 and deviation 1, folded into its weight and bias."""
    with torch.no_grad():
        for level, layer in enumerate(decoder.aggregate.project):
            seen = np.concatenate(
                [f.maps[level].reshape(len(f.maps[level]), -1)[:, ::7] for f in features[:64]], axis=1
            )
            seen = seen.astype(np.float32)
            mean, deviation = torch.from_numpy(seen.mean(1)), torch.from_numpy(seen.std(1) + 1e-3)
            layer.weight.div_(deviation)
            layer.bias.sub_(layer.weight @ mean)


LATTICE = 56
"""Crops of kept features start at multiples of so many pixels, where all maps' cells end."""


def cut_features(feature: Features, config: SemanticConfig, rng: np.random.Generator) -> Features:
    """A square of the recipe's crop out of kept features, anywhere on the lattice."""
    side = feature.labels.shape[0]
    if config.crop >= side:
        return feature
    row, col = (int(rng.integers((side - config.crop) // LATTICE + 1)) * LATTICE for _ in range(2))
    return feature_square(feature, row, col, config.crop)


def feature_square(feature: Features, row: int, col: int, crop: int) -> Features:
    """The square of `crop` pixels from (row, col) on, in labels and every map."""
    side = feature.labels.shape[0]
    maps = []
    for m in feature.maps:
        share = m.shape[-1] / side
        cells = round(crop * share)
        top, left = round(row * share), round(col * share)
        maps.append(m[:, top : top + cells, left : left + cells])
    return Features(tuple(maps), feature.labels[row : row + crop, col : col + crop])


@dataclass(frozen=True, eq=False)
class BalancedCrops:
    """All squares of the lattice, each with a chance: a class weighs its share of the pixels to a power below one.

    With power 0 every class teaches as much as every other, with power 1 every pixel; a class's weight is dealt out
    among the squares by how much of the class each shows.
    """

    places: tuple[tuple[int, int, int], ...]
    """(sample, row, col)."""
    chances: NDArray[np.float64]
    """Running sum of the chances, up to 1."""

    @staticmethod
    def of(features: Sequence[Features], config: SemanticConfig, power: float) -> BalancedCrops:
        """Count every class in every square. Raises BadData where no label is a class."""
        classes = len(config.classes)
        places, counts = [], []
        for index, feature in enumerate(features):
            starts = range(0, max(feature.labels.shape[0] - config.crop, 0) + 1, LATTICE)
            for row, col in ((r, c) for r in starts for c in starts):
                part = feature.labels[row : row + config.crop, col : col + config.crop]
                counts.append(np.bincount(part.ravel(), minlength=256)[:classes])
                places.append((index, row, col))
        table = np.array(counts, np.float64)
        total = table.sum(axis=0)
        if not total.any():
            raise BadData("no label of the training pictures is one of the recipe's classes: check the masks.")
        shown = total > 0
        chances = (table[:, shown] / total[shown]) @ (total[shown] / total.sum()) ** power
        return BalancedCrops(tuple(places), np.cumsum(chances / chances.sum()))

    def draw(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """(sample, row, col) of a square."""
        at = int(np.searchsorted(self.chances, rng.random(), side="right"))
        return self.places[min(at, len(self.places) - 1)]


# --- the loop --------------------------------------------------------------------------------------------------------


class _Run:
    """Network, optimiser and step count; what is trained is the whole network, or the decoder of a frozen one."""

    def __init__(self, config: SemanticConfig, network: Bicor, count: int) -> None:
        self.config, self.network, self.step = config, network, 0
        self.trained: nn.Module = network.decoder if config.frozen else network
        self.per_epoch = max(1, count // config.batch)
        self.steps = max(1, round(config.epochs * self.per_epoch))
        self.count = count
        parameters = list(self.trained.parameters())
        if config.optimizer == "adamw":
            fast: torch.optim.Optimizer = torch.optim.AdamW(parameters, lr=config.rate, weight_decay=config.decay)
        else:
            fast = torch.optim.Adam(parameters, lr=config.rate)
        self.fast = fast
        self.optimizer = Lookahead(fast) if config.lookahead else fast
        self.rank, self.world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.module = self.trained
        if self.world > 1:
            self.module = nn.parallel.DistributedDataParallel(self.trained)

    def chosen(self, step: int) -> list[int]:
        """Samples of a step over all processes: a fresh shuffle every epoch; small sets are gone through again."""
        epoch, place = divmod(step, self.per_epoch)
        order = np.random.default_rng([self.config.seed, 3, epoch]).permutation(self.count)
        return [int(order[(place * self.config.batch + i) % self.count]) for i in range(self.config.batch)]

    def advance(self, draw: Callable[[int, np.random.Generator], tuple[Any, Tensor]]) -> dict[str, float]:
        """One step; `draw(sample, rng)` gives the network's input and the labels of one picture."""
        config = self.config
        rngs = [np.random.default_rng([config.seed, 4, self.step, i]) for i in range(config.batch)]
        mine = list(zip(self.chosen(self.step), rngs, strict=True))[self.rank :: self.world]
        drawn = [draw(index, rng) for index, rng in mine]
        labels = torch.stack([truth for _, truth in drawn])
        self.module.train()
        if config.frozen:
            output = self.module([torch.stack(level) for level in zip(*[maps for maps, _ in drawn], strict=True)])
        else:
            output = self.module(torch.stack([image for image, _ in drawn]))
        loss = total_loss(output, labels, self.network.decoder.config, config.heat, config.fisher)
        for group in self.fast.param_groups:
            group["lr"] = _rate(config, self.step, self.steps)
        self.fast.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained.parameters(), 5.0)
        self.optimizer.step()
        self.step += 1
        return {"loss": float(loss.detach())}

    def state(self) -> dict[str, Any]:
        """All that decides the following steps."""
        return {"step": self.step, "network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


def train_on_features(
    config: SemanticConfig, network: Bicor, features: Sequence[Features], report: Report | None = None
) -> Bicor:
    """Train the decoder on kept features, nothing written: what ablations repeat. Returns the network."""
    torch.manual_seed(config.seed)
    standardise(network.decoder, features)
    run = _Run(config, network, len(features))
    while run.step < run.steps:
        figures = run.advance(_draw_features(config, features))
        if report is not None:
            report("train", run.step, run.steps, figures)
    return network


def _draw_features(
    config: SemanticConfig, features: Sequence[Features]
) -> Callable[[int, np.random.Generator], tuple[Any, Tensor]]:
    crops = None if config.balance is None else BalancedCrops.of(features, config, config.balance)

    def draw(index: int, rng: np.random.Generator) -> tuple[Any, Tensor]:
        if crops is None:
            cut = cut_features(features[index], config, rng)
        else:
            sample, row, col = crops.draw(rng)
            cut = feature_square(features[sample], row, col, config.crop)
        maps = [torch.from_numpy(m.astype(np.float32)) for m in cut.maps]
        return maps, torch.from_numpy(cut.labels.astype(np.int64))

    return draw


def _draw_pictures(
    config: SemanticConfig, samples: Sequence[Labelled]
) -> Callable[[int, np.random.Generator], tuple[Any, Tensor]]:
    def draw(index: int, rng: np.random.Generator) -> tuple[Any, Tensor]:
        image, truth = draw_crop(samples[index], config.crop, rng)
        return torch.from_numpy(image).permute(2, 0, 1).float() / 255, torch.from_numpy(truth.astype(np.int64))

    return draw


def train(
    config: SemanticConfig,
    data: Path,
    out: Path,
    resume: bool = False,
    stop_after: int | None = None,
    progress: Report | None = None,
    clock: Callable[[], float] = time.process_time,
) -> Path:
    """Train a class map by a recipe and return the file of its weights, `map_net.pt`.

    out receives config.json, log.jsonl, checkpoint.pt, scores.json and map_net.pt. With `resume` an earlier run of the
    same recipe goes on; `stop_after` ends this call at that step. Under torchrun (WORLD_SIZE > 1) the batch is shared.
    Raises BadConfig (another recipe's folder), BadData, BadWeights, MissingExtra.
    """
    report = progress or (lambda stage, done, total, figures: None)
    torch.set_num_threads(config.threads)
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if world > 1:
        if config.batch % world:
            raise BadConfig(f"a batch of {config.batch} cannot be shared by {world} processes: change one of them.")
        torch.distributed.init_process_group("gloo")
    try:
        samples = read_parts(config, data, config.train_on)
        judged = read_parts(config, data, config.judge_on)
        if rank == 0:
            _claim(out, config, resume)
        if world > 1:
            torch.distributed.barrier()
        network = build_network(config)
        if config.frozen:
            features = encode_all(config, network, samples, config.variants, report)
            standardise(network.decoder, features)
            draw, count = _draw_features(config, features), len(features)
        else:
            draw, count = _draw_pictures(config, samples), len(samples)
        run = _Run(config, network, count)
        if resume and (out / "checkpoint.pt").exists():
            run.restore(read_checkpoint(out / "checkpoint.pt"))
        last = run.steps if stop_after is None else min(stop_after, run.steps)
        while run.step < last:
            started = clock()
            figures = run.advance(draw)
            figures["seconds"] = clock() - started
            if rank == 0:
                with (out / "log.jsonl").open("a") as log:
                    log.write(json.dumps({"step": run.step, **figures}) + "\n")
                report("train", run.step, run.steps, figures)
                if run.step % CHECKPOINT_EVERY == 0 or run.step == last:
                    save_checkpoint(out / "checkpoint.pt", run.state())
        weights = out / "map_net.pt"
        if rank == 0:
            scores = evaluate(config, network, judged, report)
            each = scores.by_class(scores.iou) | {"f1": scores.by_class(scores.f1)}
            save_json(out / "scores.json", scores.figures() | each)
            content = {"arch": ARCH, "recipe": asdict(config), "step": run.step, "weights": network.state_dict()}
            save_checkpoint(weights, content)
        if world > 1:
            torch.distributed.barrier()
        return weights
    finally:
        if world > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _claim(out: Path, config: SemanticConfig, resume: bool) -> None:
    """Make the out folder this run's own, or check that it is. Raises BadConfig."""
    out.mkdir(parents=True, exist_ok=True)
    path, mine = out / "config.json", json.loads(json.dumps(asdict(config)))
    if not path.exists():
        save_json(path, mine)
    elif json.loads(path.read_text(encoding="utf-8")) != mine:
        raise BadConfig(f"{out} holds a run with other settings ({path}): choose another folder.")
    elif not resume and (out / "checkpoint.pt").exists():
        raise BadConfig(f"{out} holds an earlier run: pass --resume to go on with it, or choose another folder.")


# --- judging ---------------------------------------------------------------------------------------------------------


def evaluate(
    config: SemanticConfig,
    network: Bicor,
    samples: Sequence[Labelled] | Sequence[Features],
    report: Report | None = None,
) -> Scores:
    """Name every pixel of some pictures and count: whole pictures at the scale of training, one at a time."""
    network.eval()
    classes = len(config.classes)
    total = np.zeros((classes, classes), np.int64)
    for index, sample in enumerate(samples):
        if isinstance(sample, Features):
            feature, truth = sample, sample.labels
        elif config.frozen:
            feature = encode_all(config, network, [sample], 1)[0]
            truth = sample.labels()
        else:
            total += confusion(_answer(network, sample.image()), sample.labels(), classes)
            continue
        with torch.no_grad():
            logits = network.decoder([torch.from_numpy(m.astype(np.float32))[None] for m in feature.maps]).logits
            size = (truth.shape[0], truth.shape[1])
            if logits.shape[-2:] != torch.Size(size):
                logits = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        total += confusion(logits[0].argmax(0).numpy(), truth, classes)
        if report is not None:
            report("judge", index + 1, len(samples), {})
    return Scores(total, config.names, config.uncounted)


def _answer(network: Bicor, image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Class index of every pixel of one picture, mirrored outwards to a multiple of 32."""
    rows, cols = image.shape[:2]
    padded = cv2.copyMakeBorder(image, 0, -rows % 32, 0, -cols % 32, cv2.BORDER_REFLECT_101)
    with torch.no_grad():
        logits = network(torch.from_numpy(np.asarray(padded)).permute(2, 0, 1)[None].float() / 255).logits
    return np.asarray(logits[0, :, :rows, :cols].argmax(0).numpy())


def restored(checkpoint: Path) -> tuple[SemanticConfig, Bicor, dict[str, Any]]:
    """Recipe, network and content of a `map_net.pt`. Raises BadWeights for anything else."""
    content = read_checkpoint(checkpoint)
    if content.get("arch") != ARCH:
        raise BadWeights(f"{checkpoint} holds {content.get('arch')!r}, not a class map.")
    recipe = {name: _tuples(value) for name, value in content["recipe"].items()}
    config = SemanticConfig(**recipe)
    network = Bicor(config.encoder, decoder_config(config))
    try:
        network.load_state_dict(content["weights"])
    except RuntimeError as error:
        raise BadWeights(f"{checkpoint} does not fit: {str(error).splitlines()[-1].strip()}") from None
    return config, network.eval(), content


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
