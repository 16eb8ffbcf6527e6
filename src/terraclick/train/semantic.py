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
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.convnext import RENAMES, UNUSED
from terraclick.classmap.scores import Scores, confusion
from terraclick.errors import BadConfig, BadWeights
from terraclick.networks.bicor.model import ENCODERS, Bicor, BicorConfig
from terraclick.networks.checkpoint import read_published, rename, reshaped
from terraclick.train.export import read_checkpoint
from terraclick.train.loop import initial_backbone
from terraclick.train.map_features import (
    BalancedCrops,
    Features,
    FrozenEncoder,
    cut_features,
    encode_to,
    feature_square,
    judged_squares,
    standardise,
)
from terraclick.train.saving import save_checkpoint, save_json
from terraclick.train.semantic_data import Labelled, draw_crop, draw_mosaic, judged_parts, training_parts
from terraclick.train.semantic_losses import total_loss
from terraclick.train.semantic_recipes import SemanticConfig, Views

__all__ = [
    "ARCH",
    "Lookahead",
    "build_network",
    "decoder_config",
    "evaluate",
    "restored",
    "train",
    "train_on_features",
]

ARCH = "bicor-map"
"""What a checkpoint of this loop says it is."""

CHECKPOINT_EVERY = 50

Report = Callable[[str, int, int, dict[str, float]], None]


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
    encoder: Any = network.encoder
    if config.encoder.startswith("convnext"):
        if config.weights is not None:
            state = rename(read_published(config.weights), RENAMES, UNUSED)
            state = reshaped(state, encoder.net.state_dict())
            try:
                encoder.net.load_state_dict(state)
            except RuntimeError as error:
                reason = str(error).splitlines()[-1].strip()
                raise BadWeights(f"{config.weights} does not fit {config.encoder}: {reason}") from None
        return network
    published = initial_backbone()
    if config.encoder == "efficientnet-lite0":
        encoder.net.load_state_dict(published)
    else:
        kept = {k: v for k, v in published.items() if k.split(".")[0] == "stem" or k.startswith(STAGES_OF_DETAIL)}
        encoder.detail.load_state_dict(kept)
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
        self.module: nn.Module = self.trained
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
        if config.clip is not None:
            nn.utils.clip_grad_norm_(self.trained.parameters(), config.clip)
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
        if config.mosaic and rng.random() < config.mosaic:
            others = [samples[int(rng.integers(len(samples)))] for _ in range(3)]
            image, truth = draw_mosaic([samples[index], *others], config.crop, rng)
        else:
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

    out receives config.json, log.jsonl, checkpoint.pt, scores.json and map_net.pt, and of a frozen encoder the kept
    features/, which may be deleted after the run. With `resume` an earlier run of the
    same recipe goes on; `stop_after` ends this call at that step. Under torchrun (WORLD_SIZE > 1) the batch is shared.
    Raises BadConfig (another recipe's folder), BadData, BadWeights, MissingExtra.
    """
    report = progress or (lambda stage, done, total, figures: None)
    torch.set_num_threads(config.threads)
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if world > 1:
        if config.batch % world:
            raise BadConfig(f"a batch of {config.batch} cannot be shared by {world} processes: change one of them.")
        torch.distributed.init_process_group("gloo", timeout=timedelta(days=1))
    try:
        samples, judged = training_parts(config, data), judged_parts(config, data)
        if rank == 0:
            _claim(out, config, resume)
        if world > 1:
            torch.distributed.barrier()
        network = build_network(config)
        if config.frozen:
            if rank == 0:
                encode_to(out / "features", config, network, samples, report)
            if world > 1:
                torch.distributed.barrier()
            features = encode_to(out / "features", config, network, samples)
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
            content = {"arch": ARCH, "recipe": _settings(config), "step": run.step, "weights": network.state_dict()}
            save_checkpoint(weights, content)
        if world > 1:
            torch.distributed.barrier()
        return weights
    finally:
        if world > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _settings(config: SemanticConfig) -> dict[str, Any]:
    """A recipe as plain values, without its table."""
    return {name: value for name, value in asdict(config).items() if name != "sources"}


def _claim(out: Path, config: SemanticConfig, resume: bool) -> None:
    """Make the out folder this run's own, or check that it is. Raises BadConfig."""
    out.mkdir(parents=True, exist_ok=True)
    path, mine = out / "config.json", json.loads(json.dumps(_settings(config)))
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
    samples: Sequence[Labelled | Features],
    report: Report | None = None,
) -> Scores:
    """Name every pixel of some pictures and count: at the scale of training, one at a time."""
    network.eval()
    total = np.zeros((len(config.classes), len(config.classes)), np.int64)
    encoder = FrozenEncoder(config, network) if config.frozen else None
    for index, sample in enumerate(samples):
        for answer, truth in _answers(config, network, sample, encoder):
            total += confusion(answer, truth, len(config.classes))
        if report is not None:
            report("judge", index + 1, len(samples), {})
    return Scores(total, config.names, config.uncounted)


def _answers(
    config: SemanticConfig, network: Bicor, sample: Labelled | Features, encoder: FrozenEncoder | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Class index of every pixel and the truth, of a picture or of the squares that it is judged by."""
    if isinstance(sample, Features):
        yield _decoded(network, sample, sample.labels), sample.labels
    elif encoder is None:
        yield _answer(network, sample.image()), sample.labels()
    else:
        whole = config.view_of(sample.dataset) is None
        for piece, labels in judged_squares(config, sample):
            truth = sample.labels() if whole else labels
            yield _decoded(network, encoder(piece, labels), truth), truth


def _decoded(network: Bicor, feature: Features, truth: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Class index of every pixel of the truth's size."""
    with torch.no_grad():
        logits = network.decoder([torch.from_numpy(m.astype(np.float32))[None] for m in feature.maps]).logits
        size = (truth.shape[0], truth.shape[1])
        if logits.shape[-2:] != torch.Size(size):
            logits = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    return np.asarray(logits[0].argmax(0).numpy())


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
    recipe = {name: _tuples(value) for name, value in content["recipe"].items() if name != "views"}
    recipe["views"] = tuple(Views(**view) for view in content["recipe"].get("views", ()))
    config = SemanticConfig(**recipe)
    network = Bicor(config.encoder, decoder_config(config))
    try:
        network.load_state_dict(content["weights"])
    except RuntimeError as error:
        raise BadWeights(f"{checkpoint} does not fit: {str(error).splitlines()[-1].strip()}") from None
    return config, network.eval(), content


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
