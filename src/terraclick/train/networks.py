"""Training the papers' networks: SimpleClick's iterative clicks, CFR-ICL's loss, RefCut's references, four tunings.

A step draws a batch of episodes, clicks them at random, lets the network (in evaluation mode, without gradient) place
up to three clicks in its own errors, and learns from the last answer; with `loss="icl"` it learns from every answer.
Every step depends on the seed and its number alone, so a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.tuning import count_parameters, merge_lora, tune
from terraclick.core.masks import iou
from terraclick.core.simulate import next_click, random_error_click, sample_clicks
from terraclick.data.datasets import open_datasets
from terraclick.errors import BadConfig, BadWeights
from terraclick.files import write_text
from terraclick.networks.checkpoint import build, read_published, rename, save_network, weights_of
from terraclick.networks.families import FAMILIES, able_to, part
from terraclick.networks.recipe import NetworkRecipe
from terraclick.predictors.inputs import click_points
from terraclick.train.episodes import Episode, draw_episode, reader
from terraclick.train.losses import dice_loss, iterative_click_loss, normalized_focal_loss
from terraclick.train.saving import save_checkpoint
from terraclick.train.sharing import Shared, shared
from terraclick.values import MASK_THRESHOLD, Click

__all__ = ["NETWORK_RECIPES", "click_curve", "start_from", "train_network", "training_loss"]

IGNORE = 255
CHECKPOINT_EVERY = 100

BEFORE_THE_HEAD = ("backbone.", "embed_clicks.", "prompt.", "feature_extractor.")
"""Parts of names of weights that learn at `backbone_rate`; a prompt that learns faster soon drowns the tokens."""

HRNET_HEADS = (".aux_head.", ".conv3x3_ocr.", ".ocr_gather_head.", ".ocr_distri_head.", ".cls_head.")
"""Parts of names within RITM's feature extractor that are its head."""

Clicks = tuple[Click, ...]


def training_loss(
    network: Any,
    episodes: Sequence[Episode],
    recipe: NetworkRecipe,
    rng: np.random.Generator,
    device: str = "cpu",
    rngs: Sequence[np.random.Generator] = (),
) -> Tensor:
    """The loss (scalar) of a batch of episodes. `rng` draws how many clicks follow, each of `rngs` an episode's clicks.

    Without `rngs` one generator draws everything.
    """
    rngs = rngs or [rng] * len(episodes)
    image, truth = _tensors(episodes, device)
    clicks = [_first_clicks(episode, recipe, one) for episode, one in zip(episodes, rngs, strict=True)]
    previous = torch.zeros_like(image[:, :1])
    if recipe.loss == "icl":
        encoded, extra = network.encode(image), _references(network, episodes, device)
        losses = []
        for _ in range(max(1, _passes(recipe, rng))):
            logits = network.answer(encoded, previous, _points(clicks, device), **extra)
            losses.append(_focal(logits, truth))
            previous = torch.sigmoid(logits.detach().float())
            clicks = _further(clicks, previous, episodes, rngs)
        return iterative_click_loss(losses).mean()
    passes = _passes(recipe, rng)
    encoded = network.encode(image) if getattr(network, "ENCODES_ALIKE", False) else None
    if passes:
        network.eval()
        with torch.no_grad():
            seen = network.encode(image) if encoded is None else encoded
            extra = _references(network, episodes, device)
            for _ in range(passes):
                previous = torch.sigmoid(network.answer(seen, previous, _points(clicks, device), **extra).float())
                clicks = _further(clicks, previous, episodes, rngs)
        network.train()
    encoded = network.encode(image) if encoded is None else encoded
    extra = _references(network, episodes, device)
    points = _points(clicks, device)
    if recipe.auxiliary and hasattr(network, "both"):
        logits, aux = network.both(encoded, previous, points)
        loss = _focal(logits, truth) + recipe.auxiliary * _cross_entropy(aux, truth)
    elif recipe.refine and hasattr(network, "refine"):
        coarse = network.coarse(encoded, previous, points)
        logits = coarse.logits
        loss = _focal(logits, truth) + recipe.refine * _refined(network, image, truth, points, coarse, rngs)
    else:
        logits = network.answer(encoded, previous, points, **extra)
        loss = _focal(logits, truth)
    if recipe.loss == "dice":
        loss = loss + dice_loss(logits[:, 0].float(), (truth == 1).float(), truth != IGNORE)
    return loss.mean()


def _tensors(episodes: Sequence[Episode], device: str) -> tuple[Tensor, Tensor]:
    """Images (B, 3, S, S) in 0…1 and truths (B, S, S) uint8."""
    image = torch.from_numpy(np.stack([episode.image for episode in episodes])).to(device)
    truth = torch.from_numpy(np.stack([episode.truth for episode in episodes])).to(device)
    return image.permute(0, 3, 1, 2).float() / 255, truth


def _focal(logits: Tensor, truth: Tensor) -> Tensor:
    return normalized_focal_loss(logits[:, 0].float(), (truth == 1).float(), truth != IGNORE)


def _cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean cross-entropy of each sample (B,) over known pixels."""
    known = (truth != IGNORE).float()
    loss = functional.binary_cross_entropy_with_logits(logits[:, 0].float(), (truth == 1).float(), reduction="none")
    return (loss * known).sum((1, 2)) / known.sum((1, 2)).clamp_min(1)


def _refined(
    network: Any,
    image: Tensor,
    truth: Tensor,
    points: Tensor,
    coarse: Any,
    rngs: Sequence[np.random.Generator],
) -> Tensor:
    """FocalClick's second stage: focal loss (B,) of the refined answer in a window around the thing, its size drawn.

    The window is 1 to 2 times the thing's box, moved by up to a tenth, as the crops of the predictor vary.
    """
    size = (image.shape[-2], image.shape[-1])
    windows = [_window(one == 1, rng) for one, rng in zip(truth.cpu().numpy(), rngs, strict=True)]
    boxes = torch.tensor(windows, device=image.device)
    scale = (boxes[:, 2:] - boxes[:, :2]) / torch.tensor(size, device=image.device)
    placed = (points[..., :2] - boxes[:, None, :2]) / scale[:, None]
    used = points[..., 2:] >= 0
    inside = ((placed >= 0) & (placed < torch.tensor(size, device=image.device))).all(-1, keepdim=True) & used
    cut_points = torch.where(inside, torch.cat([placed, points[..., 2:]], dim=-1), torch.full_like(points, -1.0))
    from terraclick.networks.focalclick.model import roi_align

    crop = roi_align(image, boxes, size)
    labels = roi_align((truth == 1).float()[:, None], boxes, size)[:, 0] > 0.5
    known = roi_align((truth == IGNORE).float()[:, None], boxes, size)[:, 0] < 0.01
    logits = network.refine(crop, cut_points, coarse, boxes)
    return normalized_focal_loss(logits[:, 0].float(), labels.float(), known)


def _window(mask: NDArray[np.bool_], rng: np.random.Generator) -> list[float]:
    """(top, left, bottom, right) of a window around a mask, within its picture."""
    box = []
    for axis, length in enumerate(mask.shape):
        places = np.flatnonzero(mask.any(axis=1 - axis))
        first, last = (float(places[0]), float(places[-1] + 1)) if len(places) else (0.0, float(length))
        side = max((last - first) * rng.uniform(1, 2), 8.0)
        middle = (first + last) / 2 + side * rng.uniform(-0.1, 0.1)
        low = min(max(middle - side / 2, 0.0), length - 8.0)
        box.append((low, min(max(middle + side / 2, low + 8.0), float(length))))
    (top, bottom), (left, right) = box
    return [top, left, bottom, right]


def _passes(recipe: NetworkRecipe, rng: np.random.Generator) -> int:
    """How many clicks a step places in the network's own errors."""
    if not recipe.passes:
        return int(rng.integers(1 if recipe.loss == "icl" else 0, recipe.next_clicks + 1))
    weights = np.array(recipe.passes)
    return int(rng.choice(len(weights), p=weights / weights.sum()))


def _first_clicks(episode: Episode, recipe: NetworkRecipe, rng: np.random.Generator) -> Clicks:
    truth, ignore = episode.truth == 1, episode.truth == IGNORE
    if recipe.first == "random":
        others = None if episode.others is None or not recipe.others else episode.others > 0
        return sample_clicks(truth, rng, ignore, others, erode=recipe.erode)
    click = random_error_click(np.zeros_like(truth), truth, rng, ignore, recipe.first_depth)
    return () if click is None else (click,)


def _further(
    clicks: Sequence[Clicks], probs: Tensor, episodes: Sequence[Episode], rngs: Sequence[np.random.Generator]
) -> list[Clicks]:
    """Every episode's clicks and one more in the answer's larger error, if it has any."""
    masks = (probs[:, 0] > MASK_THRESHOLD).cpu().numpy()
    out = []
    for given, mask, episode, rng in zip(clicks, masks, episodes, rngs, strict=True):
        click = random_error_click(mask, episode.truth == 1, rng, episode.truth == IGNORE)
        out.append(given if click is None else (*given, click))
    return out


def _points(clicks: Sequence[Clicks], device: str) -> Tensor:
    """(B, 2P, 3) with as many slots as the fullest row needs."""
    slots = max(sum(click.positive == sign for click in given) for given in clicks for sign in (True, False))
    return torch.from_numpy(np.concatenate([click_points(given, max(slots, 1)) for given in clicks])).to(device)


def _references(network: Any, episodes: Sequence[Episode], device: str) -> dict[str, Tensor]:
    """The keyword input of a network that reads references, zero rows where an episode has none."""
    if not hasattr(network, "represent") or all(episode.example is None for episode in episodes):
        return {}
    shape = episodes[0].truth.shape
    blank, empty = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.bool_)
    given = [episode.example for episode in episodes]
    images = np.stack([blank if example is None else example.image for example in given])
    features = network.features(torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255)
    sides = []
    for side in ("positive", "negative"):
        masks = np.stack([empty if example is None else getattr(example, side) for example in given])
        sides.append(network.represent(features, torch.from_numpy(masks).to(device)[:, None].float()))
    return {"references": torch.stack(sides, dim=1)}


@torch.no_grad()
def click_curve(network: Any, episodes: Sequence[Episode], clicks: int = 5, device: str = "cpu") -> NDArray[np.float64]:
    """IoU (episodes, clicks) of a network after each click of the evaluation robot, whole crops, no zoom-in."""
    network.eval()
    curve = np.zeros((len(episodes), clicks))
    for row, episode in enumerate(episodes):
        image, _ = _tensors([episode], device)
        encoded, extra = network.encode(image), _references(network, [episode], device)
        truth, ignore = episode.truth == 1, episode.truth == IGNORE
        given: Clicks = ()
        previous, mask = torch.zeros_like(image[:, :1]), np.zeros(episode.truth.shape, np.bool_)
        for step in range(clicks):
            click = next_click(mask, truth, ignore, given)
            given = given if click is None else (*given, click)
            previous = torch.sigmoid(network.answer(encoded, previous, _points([given], device), **extra).float())
            mask = (previous[0, 0] > MASK_THRESHOLD).cpu().numpy()
            curve[row, step] = iou(mask, truth, ignore)
    return curve


def train_network(
    recipe: NetworkRecipe,
    data: Path,
    out: Path,
    start: Path | None = None,
    resume: bool = False,
    until: int | None = None,
    report: Callable[[str, int, int, dict[str, float]], None] = lambda *_: None,
    device: str = "cpu",
) -> Path:
    """Train on every dataset below `data`; writes OUT/network.safetensors, .json and log.jsonl, returns the first.

    `start` is a checkpoint of the network it builds on (see `start_from`). Under torchrun each process takes its share
    of every batch; the first writes. Raises BadConfig, BadData, BadWeights.
    """
    with shared(recipe.batch, device) as among:
        if among.writes:
            _claim(out, recipe, resume)
        among.wait()
        datasets = open_datasets(data)
        torch.manual_seed(recipe.seed)
        network, _, config = build(recipe.family, recipe.config)
        if start is not None:
            start_from(network, recipe.family, config, start)
        tune(network, recipe.tuning, recipe.rank).to(device).train()
        optimizer, shares = _optimizer(network, recipe)
        checkpoint, done = out / "checkpoint.pt", 0
        if resume and checkpoint.is_file():
            kept = torch.load(checkpoint, map_location=device, weights_only=True)
            network.load_state_dict(kept["network"])
            optimizer.load_state_dict(kept["optimizer"])
            done = kept["step"]
        last = recipe.steps if until is None else min(until, recipe.steps)
        everything, few = count_parameters(network)
        draw, read = partial(draw_episode, datasets), reader(datasets)
        if among.writes:
            report("network", done, recipe.steps, {"parameters": float(everything), "trained": float(few)})
        for step in range(done, last):
            for group, share in zip(optimizer.param_groups, shares, strict=True):
                group["lr"] = share * recipe.rate * _rate(recipe, step)
            optimizer.zero_grad(set_to_none=True)
            loss = _gradients(network, recipe, partial(draw, read), step, among, device)
            trained = [weight for group in optimizer.param_groups for weight in group["params"]]
            loss = among.add_up(trained, loss)
            if recipe.clip is not None:
                torch.nn.utils.clip_grad_norm_(trained, recipe.clip)
            optimizer.step()
            if among.writes:
                _note(out, step + 1, {"loss": float(loss)}, report, recipe.steps)
                if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == last:
                    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
                    save_checkpoint(checkpoint, {"step": step + 1, **state})
        written = out / "network.safetensors"
        if among.writes:
            written = save_network(merge_lora(network), recipe.family, config, out / "network")
        among.wait()
        return written


def _gradients(
    network: nn.Module,
    recipe: NetworkRecipe,
    draw: Callable[..., Episode],
    step: int,
    among: Shared,
    device: str,
) -> Tensor:
    """Draw this process's episodes of a step and add up the gradients of their share of the batch's mean loss.

    An episode, its clicks and how many follow depend on the seed, the step and the episode's number alone: neither the
    number of processes nor that of the parts of a batch changes what is learnt, but for dropout and batch norms.
    """
    mine, total = among.mine(recipe.batch), torch.zeros((), device=device)
    size = -(-len(mine) // recipe.accumulate)
    for chunk in [mine[k : k + size] for k in range(0, len(mine), size)]:
        rngs = [np.random.default_rng([recipe.seed, 3, step, number]) for number in chunk]
        common = np.random.default_rng([recipe.seed, 4, step])
        torch.manual_seed(int(common.integers(2**31)))
        episodes = [draw(recipe.episodes, rng, recipe.shares) for rng in rngs]
        half = recipe.precision == "bfloat16"
        with torch.autocast(device.split(":")[0], dtype=torch.bfloat16, enabled=half):
            loss = training_loss(network, episodes, recipe, common, device, rngs) * (len(chunk) / recipe.batch)
        loss.backward()
        total += loss.detach()
    return total


def _note(out: Path, step: int, figures: dict[str, float], report: Callable[..., None], steps: int) -> None:
    with (out / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": step, **figures}) + "\n")
    report("train", step, steps, figures)


def _optimizer(network: nn.Module, recipe: NetworkRecipe) -> tuple[torch.optim.Optimizer, tuple[float, ...]]:
    """Adam over what is trained, and the share of the learning rate of each of its groups."""
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    slow = {
        id(weight)
        for name, weight in network.named_parameters()
        if any(part in name for part in BEFORE_THE_HEAD) and not any(part in name for part in HRNET_HEADS)
    }
    groups = [[w for w in trained if (id(w) in slow) == within] for within in (False, True)]
    shares: tuple[float, ...] = (1.0, recipe.backbone_rate)
    if recipe.backbone_rate == 1:
        groups, shares = [trained], (1.0,)
    return torch.optim.Adam([{"params": group} for group in groups], lr=recipe.rate, betas=(0.9, 0.999)), shares


def _rate(recipe: NetworkRecipe, step: int) -> float:
    """Share of the learning rate at a step (from 0)."""
    passed = sum(step >= share * recipe.steps for share in recipe.milestones)
    return min(1.0, (step + 1) / max(recipe.warm_up, 1)) * 0.1**passed


def _claim(out: Path, recipe: NetworkRecipe, resume: bool) -> None:
    """Make the out folder this run's own, or check that it is."""
    out.mkdir(parents=True, exist_ok=True)
    settings = {name: value for name, value in asdict(recipe).items() if name != "sources"}
    path, mine = out / "recipe.json", json.dumps(settings, indent=1)
    if not path.exists():
        write_text(path, mine + "\n")
    elif json.loads(path.read_text(encoding="utf-8")) != json.loads(mine):
        raise BadConfig(f"{out} holds a run with other settings ({path}): choose another folder.")
    elif not resume and (out / "checkpoint.pt").exists():
        raise BadConfig(f"{out} holds an earlier run: pass --resume to go on with it, or choose another folder.")


def start_from(network: nn.Module, family: str, config: Any, path: Path) -> list[str]:
    """Give a network the weights of the one it builds on (or of its own kind); returns the names left untouched.

    `path` is a published `.pth` or a converted `.safetensors`. CrossCut, RefCut and MFP start from SimpleClick,
    RS-ISRefiner from MFP, whose heads they may replace; the ViT must fit whole. Raises BadWeights where it does not.
    """
    state = read_published(path)
    spec = FAMILIES[family]
    base, prefix = spec.builds_on or family, spec.builds_on_at
    if path.suffix != ".safetensors":
        published = weights_of(base)
        state = rename(state, published.renames, (*published.unused, r"head\.up_conv"))
    own = network.state_dict()
    given = {prefix + name: value for name, value in state.items()}
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if not fitting:  # a checkpoint of the network's own kind
        fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    left = sorted(set(own) - set(fitting))
    lacking = [name for name in left if "backbone." in name]
    if lacking:
        raise BadWeights(
            f"{path.name} lacks {len(lacking)} arrays of the ViT ({lacking[0]}, …): start {family} from {base} weights "
            "of the same size."
        )
    network.load_state_dict({**own, **fitting})
    return left


NETWORK_RECIPES: dict[str, Callable[[], NetworkRecipe]] = {
    name: recipe for family in able_to("recipe") for name, recipe in part(family, "recipe").RECIPES.items()
}
"""Recipes of the papers' networks by name; `terraclick train NAME --data … --out …` knows them."""
