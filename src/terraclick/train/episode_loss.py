"""The loss of a batch of clicking episodes: SimpleClick's iterative clicks, CFR-ICL's loss, RefCut's references.

The first clicks are drawn, the network (in evaluation mode, without gradient) places up to three in its own errors,
and learns from the last answer; with `loss="icl"` it learns from every answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from terraclick.core.masks import iou
from terraclick.core.simulate import next_click, random_error_click, sample_clicks
from terraclick.networks.recipe import NetworkRecipe
from terraclick.predictors.inputs import click_points
from terraclick.train.episodes import Episode
from terraclick.train.losses import dice_loss, iterative_click_loss, normalized_focal_loss
from terraclick.train.pictures import Shown
from terraclick.train.prompted_loss import prompt_round, round_loss, shaken_boxes
from terraclick.values import MASK_THRESHOLD, Click, Window

__all__ = ["click_curve", "training_loss"]

IGNORE = 255

Clicks = tuple[Click, ...]


def training_loss(
    network: Any,
    episodes: Sequence[Episode],
    recipe: NetworkRecipe,
    rng: np.random.Generator,
    device: str = "cpu",
    rngs: Sequence[np.random.Generator] = (),
    watch: list[Shown] | None = None,
) -> Tensor:
    """The mean loss of a batch of episodes. `rng` draws how many clicks follow, each of `rngs` an episode's clicks.

    Without `rngs` one generator draws everything. `watch` receives the samples with the answers they are judged by.
    """
    rngs = rngs or [rng] * len(episodes)
    image, truth = _tensors(episodes, device)
    clicks = [_first_clicks(episode, recipe, one) for episode, one in zip(episodes, rngs, strict=True)]
    if recipe.loss == "sam":
        return _rounds(network, episodes, clicks, recipe, rng, rngs, watch)
    previous = torch.zeros_like(image[:, :1])
    if recipe.loss == "icl":
        encoded, extra = network.encode(image), _references(network, episodes, device)
        losses = []
        for _ in range(max(1, _passes(recipe, rng))):
            logits = network.answer(encoded, previous, _points(clicks, device), **extra)
            losses.append(_focal(logits, truth))
            previous = torch.sigmoid(logits.detach().float())
            clicks = _further(clicks, previous, episodes, rngs)
        _see(watch, episodes, clicks, previous)
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
    _see(watch, episodes, clicks, torch.sigmoid(logits.detach().float()))
    return loss.mean()


def _rounds(
    network: Any,
    episodes: Sequence[Episode],
    clicks: list[Clicks],
    recipe: NetworkRecipe,
    rng: np.random.Generator,
    rngs: Sequence[np.random.Generator],
    watch: list[Shown] | None,
) -> Tensor:
    """SAM's loss: the mean over all rounds, the first of which hears a click or a box."""
    device = str(next(network.parameters()).device)
    image, truth = _tensors(episodes, device)
    encoded, previous, boxes = network.encode(image), None, None
    if rng.random() < recipe.boxes:
        boxes, clicks = shaken_boxes(episodes, rngs), [() for _ in episodes]
    losses = []
    for _ in range(1 + _passes(recipe, rng)):
        logits, scores, previous = prompt_round(network, encoded, clicks, boxes, previous, image.shape[-1], device)
        losses.append(round_loss(logits, scores, (truth == 1).float(), truth != IGNORE))
        best = logits[torch.arange(len(logits)), scores.argmax(dim=1)][:, None].detach()
        probs = torch.sigmoid(best.float())
        clicks = _further(clicks, probs, episodes, rngs)
    _see(watch, episodes, clicks, probs)
    return torch.stack(losses).mean()


def _see(watch: list[Shown] | None, episodes: Sequence[Episode], clicks: Sequence[Clicks], probs: Tensor) -> None:
    if watch is not None:
        masks = (probs[:, 0] > MASK_THRESHOLD).cpu().numpy()
        watch += [Shown(e.image[..., :3], e.truth, mask, c) for e, mask, c in zip(episodes, masks, clicks, strict=True)]


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
    from terraclick.networks.focalclick.network import roi_align

    crop = roi_align(image, boxes, size)
    labels = roi_align((truth == 1).float()[:, None], boxes, size)[:, 0] > 0.5
    known = roi_align((truth == IGNORE).float()[:, None], boxes, size)[:, 0] < 0.01
    logits = network.refine(crop, cut_points, coarse, boxes)
    return normalized_focal_loss(logits[:, 0].float(), labels.float(), known)


def _window(mask: NDArray[np.bool_], rng: np.random.Generator) -> list[float]:
    """(top, left, bottom, right) of a window around a mask, within its picture."""
    box, held = [], Window.around(mask) or Window(0, 0, *mask.shape)
    for start, span, length in zip((held.row, held.col), (held.rows, held.cols), mask.shape, strict=True):
        first, last = float(start), float(start + span)
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
    blank, empty = np.zeros(episodes[0].image.shape, np.uint8), np.zeros(shape, np.bool_)
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
