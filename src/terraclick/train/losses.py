"""Losses on logits with ignored pixels: normalised focal loss (RITM, Sofiiuk et al. 2021) and soft dice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from terraclick.errors import BadConfig

__all__ = ["ICL_WEIGHTS", "click_loss", "dice_loss", "focal_loss", "iterative_click_loss", "normalized_focal_loss"]


def normalized_focal_loss(
    logits: Tensor, truth: Tensor, valid: Tensor, alpha: float = 0.5, gamma: float = 2.0, detach: bool = True
) -> Tensor:
    """Normalised focal loss of each sample (B,): logits, truth (0/1 float) and valid (bool), all (B, H, W).

    The focal weights are rescaled so that they add up to the number of valid pixels; the scale has no gradient unless
    `detach` is switched off.
    """
    keep = valid.to(logits.dtype)
    right = torch.where(truth > 0.5, torch.sigmoid(logits), torch.sigmoid(-logits))
    weight = (1 - right).pow(gamma) * keep
    count = keep.sum(dim=(1, 2))
    scale = count / (weight.sum(dim=(1, 2)) + 1e-12)
    scale = scale.detach() if detach else scale
    balance = torch.where(truth > 0.5, alpha, 1 - alpha)
    loss = -balance * weight * torch.log(right.clamp(min=1e-12))
    return loss.sum(dim=(1, 2)) * scale / (count + 1e-12)


def focal_loss(logits: Tensor, truth: Tensor, valid: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Mean focal loss of each sample (B,) over valid pixels (Lin et al. 2017): no normalisation by its weights."""
    keep = valid.to(logits.dtype)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    right = torch.where(truth > 0.5, torch.sigmoid(logits), torch.sigmoid(-logits))
    balance = torch.where(truth > 0.5, alpha, 1 - alpha)
    loss = balance * (1 - right).pow(gamma) * entropy * keep
    return loss.sum(dim=(1, 2)) / keep.sum(dim=(1, 2)).clamp(min=1.0)


def dice_loss(logits: Tensor, truth: Tensor, valid: Tensor, smooth: float = 20.0) -> Tensor:
    """One minus the soft dice coefficient of each sample (B,), over valid pixels."""
    keep = valid.to(logits.dtype)
    probs = torch.sigmoid(logits) * keep
    truth = truth * keep
    overlap = (probs * truth).sum(dim=(1, 2))
    return 1 - (2 * overlap + smooth) / (probs.sum(dim=(1, 2)) + truth.sum(dim=(1, 2)) + smooth)


def click_loss(logits: Tensor, truth: Tensor, valid: Tensor, disks: Tensor) -> Tensor:
    """Mean cross-entropy of each sample (B,) under the clicks' disks (B, H, W in 0…1); 0 where there is no click."""
    weight = disks * valid.to(logits.dtype)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return (loss * weight).sum(dim=(1, 2)) / weight.sum(dim=(1, 2)).clamp(min=1.0)


ICL_WEIGHTS = (1.0, 2.0, 3.0)
"""Weights of the losses after one, two and three clicks in CFR-ICL's iterative click loss."""


def iterative_click_loss(steps: Sequence[Tensor], weights: Sequence[float] = ICL_WEIGHTS) -> Tensor:
    """CFR-ICL's loss of a click sequence: losses (B,) after each click -> their weighted sum (B,).

    Fewer steps take the first weights. Raises BadConfig for no steps or more than weights.
    """
    if not 0 < len(steps) <= len(weights):
        raise BadConfig(f"{len(steps)} losses do not fit the weights {tuple(weights)}: give one weight for each step.")
    return torch.stack([weight * loss for weight, loss in zip(weights, steps, strict=False)]).sum(dim=0)
