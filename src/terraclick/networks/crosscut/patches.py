"""What CrossCut keeps of a picture: its patches at each division, encoded once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from terraclick.networks.crosscut.division import Division

__all__ = ["CrossCutEncoded", "Patches"]


@dataclass(frozen=True, eq=False)
class Patches:
    """One division of a picture before any click."""

    division: Division
    tokens: Tensor
    """(B · patches · windows, T, C) in window order."""
    features: Tensor
    """(B · patches, C, 28, 28): what the prompt's features are taken from."""


@dataclass(frozen=True, eq=False)
class CrossCutEncoded:
    """A picture (B, 3, H, W) and the divisions of it that the settings name, before any click."""

    image: Tensor
    patches: Mapping[int, Patches]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and cols of the picture."""
        return int(self.image.shape[-2]), int(self.image.shape[-1])

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.image.nbytes + sum(p.tokens.nbytes + p.features.nbytes for p in self.patches.values())
