"""A toy network: one convolution of picture, previous answer and clicks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from terraclick.blocks.layers import click_disk_maps, normalise

__all__ = ["TOY", "Toy", "ToyConfig", "ToyEncoded"]


@dataclass(frozen=True)
class ToyConfig:
    """Sizes of a toy."""

    width: int = 4
    """Channels that a picture is kept in."""


TOY: dict[str, ToyConfig] = {"toy-s": ToyConfig()}
"""Sizes by name."""


@dataclass(frozen=True, eq=False)
class ToyEncoded:
    """A picture's features (B, C, H, W)."""

    features: Tensor


class Toy(nn.Module):
    """Image, previous answer and clicks → logits."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv2d(3, config.width, 3, padding=1)
        self.head = nn.Conv2d(config.width + 3, 1, 3, padding=1)

    def encode(self, image: Tensor) -> ToyEncoded:
        """RGB (B, 3, H, W) in 0…1 → features."""
        return ToyEncoded(self.stem(normalise(image)))

    def answer(self, encoded: ToyEncoded, previous: Tensor, points: Tensor) -> Tensor:
        """previous (B, 1, H, W) probabilities, points (B, 2P, 3) → logits (B, 1, H, W)."""
        size = (previous.shape[-2], previous.shape[-1])
        disks = click_disk_maps(points, size, 5.0)
        found: Tensor = self.head(torch.cat([encoded.features, previous, disks], dim=1))
        return found
