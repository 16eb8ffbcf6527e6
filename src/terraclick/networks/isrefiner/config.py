"""Sizes and settings of RS-ISRefiner."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from terraclick.blocks.layers import (
    ClickViTConfig,
)
from terraclick.core.modulation import MODULATIONS
from terraclick.errors import BadConfig

__all__ = ["ISREFINER", "IsRefinerConfig", "parity"]

EARLY = ("gated", "fixed", "first", "second")
"""How the tokens after blocks 2 and 3 become one early feature: gate, fixed mean, or one of them alone (table VIII)."""


@dataclass(frozen=True)
class IsRefinerConfig:
    """Sizes of an RS-ISRefiner and the choices of its ablation tables."""

    vit: ClickViTConfig = field(default_factory=ClickViTConfig)
    """The frozen backbone."""
    pyramid: tuple[int, int, int, int] = (128, 256, 512, 1024)
    """Channels of the frozen neck's maps at strides 4, 8, 16 and 32."""
    heads: int = 8
    """Attention heads in the refiner."""
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    """Channels of the refiner's convolutions at strides 2, 4, 8 and 16."""
    theta: float | None = None
    """Weight of the image features in the early feature: None = learned, or a fixed number (table VII)."""
    early: str = "gated"
    """One of `EARLY` (table VIII)."""
    early_share: float = 0.3
    """Share of block 2 in the fixed mean; the paper does not print its value."""
    vit_feature: bool = True
    """Whether the decoder reads the last ViT map (table VI; the published code never does)."""
    hq_feature: bool = True
    """Whether the high-quality image feature is added (table VI)."""
    modulation: str = "isrefiner"
    """How the previous answer is modulated: isrefiner, mfp (table IX), or none."""
    max_radius: float = 100.0
    """Largest radius of the modulation window, in pixels of the network's input."""
    radius: float = 5.0
    """Radius in pixels of the disk painted for a click."""
    quirks: bool = False
    """Keep the published code's dead fusion, scrambled view and batch rule."""
    native: bool | None = None
    """Whether torchvision's deformable convolution is taken instead of ours; None = where it loads."""

    def __post_init__(self) -> None:
        if self.early not in EARLY:
            raise BadConfig(f"early {self.early!r} is not known: give one of {', '.join(EARLY)}.")
        if self.modulation not in (*MODULATIONS, "none"):
            raise BadConfig(f"modulation {self.modulation!r} is not known: give one of {', '.join(MODULATIONS)}, none.")
        if self.vit.patch != 16:
            raise BadConfig(f"a patch of {self.vit.patch} pixels does not fit the image extractor's stride: give 16.")
        if self.vit.depth < 3 or self.vit.dim % (4 * self.heads):
            raise BadConfig(
                f"a ViT of depth {self.vit.depth} and dim {self.vit.dim} does not fit {self.heads} heads: give a depth "
                "of 3 or more and a dim that is a multiple of four times the heads."
            )


def parity(config: IsRefinerConfig) -> IsRefinerConfig:
    """The same sizes with everything as in the published code."""
    return replace(config, quirks=True, vit=replace(config.vit, windowed=False))


ISREFINER: dict[str, IsRefinerConfig] = {
    "isrefiner-b": IsRefinerConfig(),
    "isrefiner-b-parity": parity(IsRefinerConfig()),
}
"""The published size, as the paper draws it and as the published code computes it."""
