"""Losses of class maps: smoothed cross-entropy and dice as GeoSeg computes them, and Fisher's ratio of embeddings.

logits are (B, N, H, W); labels (B, H, W) class indices 0 … N − 1, any other value is ignored (the published code
ignores the value N or 255). Batches of one and two are batches like others: the published loss takes any pair of
tensors for (main, auxiliary), so there two heatmaps stacked in a batch of 2 are torn apart.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from terraclick.networks.bicor.network import BicorConfig, BicorOutput
from terraclick.train.sharing import ALONE, Whole

__all__ = ["dice_loss", "fisher_loss", "main_loss", "scatter_ratio", "smoothed_cross_entropy", "total_loss"]


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.05, whole: Whole = ALONE) -> Tensor:
    """Cross-entropy with label smoothing; ignored pixels count as zeros in the mean, as published."""
    return _cross_entropy(functional.log_softmax(logits, dim=1), *_known(logits, labels), smoothing, whole)


def dice_loss(logits: Tensor, labels: Tensor, smooth: float = 0.05, whole: Whole = ALONE) -> Tensor:
    """1 − dice of each class over the whole batch; classes that no label shows count as zero in the mean."""
    return _dice(functional.log_softmax(logits, dim=1), *_known(logits, labels), smooth, whole)


def main_loss(logits: Tensor, labels: Tensor, whole: Whole = ALONE) -> Tensor:
    """Smoothed cross-entropy + dice (eq. 13)."""
    logs, (picked, valid) = functional.log_softmax(logits, dim=1), _known(logits, labels)
    return _cross_entropy(logs, picked, valid, 0.05, whole) + _dice(logs, picked, valid, 0.05, whole)


def _known(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Labels with ignored ones as class 0, and which count: (B, H, W) both."""
    valid = (labels >= 0) & (labels < logits.shape[1])
    return torch.where(valid, labels, 0), valid


def _cross_entropy(logs: Tensor, picked: Tensor, valid: Tensor, smoothing: float, whole: Whole) -> Tensor:
    hit = logs.gather(1, picked[:, None])[:, 0]
    loss = (1 - smoothing) * hit + smoothing / logs.shape[1] * logs.sum(1)
    summed = whole.total(torch.stack([(loss * valid).sum(), logs.new_tensor(loss.numel())]))
    return -summed[0] / summed[1]


def _dice(logs: Tensor, picked: Tensor, valid: Tensor, smooth: float, whole: Whole) -> Tensor:
    """Sums per class by index, so that nothing one-hot is made."""
    classes, place = logs.shape[1], picked.flatten()
    probs, counts = logs.exp() * valid[:, None], valid.flatten().to(logs.dtype)
    empty = torch.zeros(classes, dtype=logs.dtype, device=logs.device)
    common = empty.index_add(0, place, probs.gather(1, picked[:, None]).flatten())
    present = empty.index_add(0, place, counts)
    common, present, predicted = whole.total(torch.stack([common, present, probs.sum((0, 2, 3))]))
    score = (2 * common + smooth) / (predicted + present + smooth).clamp_min(1e-7)
    return ((1 - score) * (present > 0)).mean()


def fisher_loss(embeddings: tuple[Tensor, ...], setting: str = "parity") -> Tensor:
    """Scatter within classes over scatter between them, over layers (eqs. 14–19); zero for a batch of one.

    Embeddings are (B, N, C) each. The two settings differ in the between-class scatter and in the weights of layers;
    see `models/bicor.py`. The weight in the total loss, λ₂ = 0.1, is included.
    """
    ratios = [scatter_ratio(layer, pairs=setting == "parity") for layer in embeddings]
    total = 0.1 * torch.stack(ratios).sum()
    return ratios[-1] + total if setting == "parity" else total


def scatter_ratio(embeddings: Tensor, pairs: bool) -> Tensor:
    """S_w / S_b of one layer's embeddings (B, N, C); `pairs` = the mean over pairs of classes, ≥ 1e-4, as published."""
    centres = embeddings.mean(0)
    within = (embeddings - centres).square().sum(-1).mean()
    if not pairs:
        return within / ((centres - centres.mean(0)).square().sum(-1).mean() + 1e-6)
    count = len(centres)
    # the mean over ordered pairs of different classes of |a − b|² is 2N/(N − 1) times the mean distance to the mean
    spread = (centres - centres.mean(0)).square().sum(-1).mean()
    return within / (2 * count / (count - 1) * spread).clamp_min(1e-4)


def total_loss(
    output: BicorOutput,
    labels: Tensor,
    config: BicorConfig,
    heat: float = 0.1,
    fisher: float = 1.0,
    whole: Whole = ALONE,
) -> Tensor:
    """Main loss + `heat` · supervision of every layer's heatmaps (λ₁) + `fisher` · Fisher's [+ 0.4 · auxiliary].

    whole: what the sums and the scatter are taken over, where the batch is shared or computed in parts.
    """
    loss = main_loss(output.logits, labels, whole)
    if output.auxiliary is not None:
        loss = loss + 0.4 * smoothed_cross_entropy(output.auxiliary, labels, whole=whole)
    if heat:
        size = (labels.shape[-2], labels.shape[-1])
        ups = [functional.interpolate(h, size=size, mode="bilinear", align_corners=False) for h in output.heat]
        loss = loss + heat * sum(main_loss(up, labels, whole) for up in ups)
    if fisher:
        loss = loss + fisher * fisher_loss(tuple(whole.rows(layer) for layer in output.embeddings), config.setting)
    return loss
