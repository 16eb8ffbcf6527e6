"""The loss of SAM's training (Kirillov et al. 2023, appendix A): a click or a box first, then clicks in the errors.

Every round is learnt from: focal loss twenty times and dice once, of the best of three masks where one click was all
that was said, of the one mask otherwise; and the squared error of the predicted IoU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from terraclick.predictors.inputs import click_points
from terraclick.train.episodes import Episode
from terraclick.train.losses import dice_loss, focal_loss
from terraclick.values import Click

__all__ = ["FOCAL", "prompt_round", "round_loss", "shaken_boxes"]

FOCAL = 20.0
"""Weight of the focal loss beside the dice loss."""

NOISE, MOST_NOISE = 0.1, 20.0
"""Deviation of a box's edges in sides of the box, and the most pixels by which an edge is moved."""


def shaken_boxes(episodes: Sequence[Episode], rngs: Sequence[np.random.Generator]) -> Tensor:
    """Boxes (B, 4) of top, left, bottom, right around what is asked, in pixels of the crop, their edges moved."""
    found = []
    for episode, rng in zip(episodes, rngs, strict=True):
        rows, cols = (np.flatnonzero((episode.truth == 1).any(axis=axis)) for axis in (1, 0))
        edges = np.array([rows[0], cols[0], rows[-1] + 1, cols[-1] + 1], np.float64) - 0.5
        sides = np.tile(edges[2:] - edges[:2], 2)
        moved = edges + np.clip(rng.normal(size=4) * NOISE * sides, -MOST_NOISE, MOST_NOISE)
        found.append(np.concatenate([np.minimum(moved[:2], moved[2:] - 1), moved[2:]]))
    return torch.from_numpy(np.stack(found)).float()


def prompt_round(
    network: Any,
    encoded: Any,
    clicks: Sequence[Sequence[Click]],
    boxes: Tensor | None,
    previous: Tensor | None,
    crop: int,
    device: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (B, M, S, S) at the crop's size, IoU (B, M), and the logits (B, 1, h, w) that the next round reads."""
    slots = max(1, *(sum(c.positive == sign for c in given) for given in clicks for sign in (True, False)))
    points = torch.from_numpy(np.concatenate([click_points(given, slots) for given in clicks])).to(device)
    scale = network.side / crop
    empty = points[..., :1] < 0
    moved = torch.where(empty, points[..., :2], (points[..., :2] + 0.5) * scale - 0.5)
    points = torch.cat([moved, points[..., 2:]], dim=-1)
    placed = None if boxes is None else (boxes.to(device) + 0.5) * scale - 0.5
    several = previous is None and boxes is None
    low, scores = network.masks(encoded, points, placed, previous, several)
    best = scores.argmax(dim=1)
    chosen = low[torch.arange(len(low)), best][:, None]
    return functional.interpolate(low, (crop, crop), mode="bilinear"), scores, chosen.detach()


def round_loss(logits: Tensor, scores: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """The loss of each sample (B,): of the mask that is nearest, and of all masks' predicted IoU.

    logits (B, M, S, S), scores (B, M), truth 0/1 float and known bool (B, S, S).
    """
    losses, errors = [], []
    for number in range(logits.shape[1]):
        one = logits[:, number].float()
        losses.append(FOCAL * focal_loss(one, truth, known) + dice_loss(one, truth, known, smooth=1.0))
        with torch.no_grad():
            mask, want = (one > 0) & known, (truth > 0.5) & known
            true_iou = (mask & want).sum((1, 2)) / (mask | want).sum((1, 2)).clamp(min=1)
        errors.append((scores[:, number].float() - true_iou) ** 2)
    return torch.stack(losses).amin(dim=0) + torch.stack(errors).mean(dim=0)
