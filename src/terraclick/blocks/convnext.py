"""ConvNeXt: a stem, four stages of depth-wise 7 × 7 blocks; returns the map after each stage, strides 4, 8, 16, 32.

Liu et al. 2022, https://arxiv.org/abs/2201.03545. BiCoR-Seg reads the four stages without any further norm.
ImageNet weights come from a file in one of three published layouts: the authors' (`downsample_layers`, `stages`),
torchvision's (`features.N`) or timm's (`stem`, `stages.N.blocks`); see `RENAMES`. Classifier and last norm are unused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CONVNEXT", "RENAMES", "UNUSED", "ConvNeXt", "ConvNeXtConfig"]


@dataclass(frozen=True)
class ConvNeXtConfig:
    """Depth and width of a ConvNeXt."""

    depths: tuple[int, int, int, int] = (3, 3, 27, 3)
    """Blocks of each stage."""
    channels: tuple[int, int, int, int] = (128, 256, 512, 1024)
    """Channels of each stage."""


CONVNEXT = {
    "convnext-tiny": ConvNeXtConfig((3, 3, 9, 3), (96, 192, 384, 768)),
    "convnext-small": ConvNeXtConfig((3, 3, 27, 3), (96, 192, 384, 768)),
    "convnext-base": ConvNeXtConfig(),
}
"""Published sizes."""

_LEAVES = (
    (r"stages\.(\d)\.blocks\.(\d+)\.conv_dw", r"stages.\1.\2.depthwise"),
    (r"stages\.(\d)\.(?:blocks\.)?(\d+)\.dwconv", r"stages.\1.\2.depthwise"),
    (r"stages\.(\d)\.(?:blocks\.)?(\d+)\.(?:pwconv1|mlp\.fc1)", r"stages.\1.\2.widen"),
    (r"stages\.(\d)\.(?:blocks\.)?(\d+)\.(?:pwconv2|mlp\.fc2)", r"stages.\1.\2.narrow"),
    (r"stages\.(\d)\.(?:blocks\.)?(\d+)\.(norm|gamma)", r"stages.\1.\2.\3"),
)
_TORCHVISION = tuple(
    rule
    for stage in range(4)
    for rule in (
        (rf"features\.{2 * stage}\.0\.", f"steps.{stage}.{1 if stage == 0 else 0}."),
        (rf"features\.{2 * stage}\.1\.", f"steps.{stage}.{0 if stage == 0 else 1}."),
        (rf"features\.{2 * stage + 1}\.(\d+)\.block\.0\.", rf"stages.{stage}.\1.depthwise."),
        (rf"features\.{2 * stage + 1}\.(\d+)\.block\.2\.", rf"stages.{stage}.\1.norm."),
        (rf"features\.{2 * stage + 1}\.(\d+)\.block\.3\.", rf"stages.{stage}.\1.widen."),
        (rf"features\.{2 * stage + 1}\.(\d+)\.block\.5\.", rf"stages.{stage}.\1.narrow."),
        (rf"features\.{2 * stage + 1}\.(\d+)\.layer_scale$", rf"stages.{stage}.\1.gamma"),
    )
)
RENAMES = (
    (r"(?:downsample_layers\.0|stem)\.0\.", "steps.0.1."),
    (r"(?:downsample_layers\.0|stem)\.1\.", "steps.0.0."),
    (r"downsample_layers\.([123])\.", r"steps.\1."),
    (r"stages\.([123])\.downsample\.", r"steps.\1."),
    *_LEAVES,
    *_TORCHVISION,
)
"""Published names → ours, all three layouts at once."""

UNUSED = (r"norm\.", r"head\.", r"classifier\.", r"norm_pre\.")
"""What a classifier has and an encoder does not."""


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a map (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """x + gain · narrow(GELU(widen(norm(depth-wise 7 × 7))))."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.widen = nn.Linear(dim, 4 * dim)
        self.narrow = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.narrow(functional.gelu(self.widen(y)))
        return x + (y * self.gamma).permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    """Four maps of a normalised image."""

    def __init__(self, config: ConvNeXtConfig, bands: int = 3) -> None:
        super().__init__()
        self.config = config
        steps, stages, before = [], [], bands
        for stage, (depth, dim) in enumerate(zip(config.depths, config.channels, strict=True)):
            # the stem normalises what it made, a later step what it is given
            norm = ChannelNorm(dim if stage == 0 else before, eps=1e-6)
            conv = nn.Conv2d(before, dim, 4 if stage == 0 else 2, 4 if stage == 0 else 2)
            steps.append(nn.ModuleList([norm, conv]))
            stages.append(nn.Sequential(*(ConvNeXtBlock(dim) for _ in range(depth))))
            before = dim
        self.steps, self.stages = nn.ModuleList(steps), nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised, sides multiples of 32 → maps at strides 4, 8, 16, 32."""
        x, maps = image, []
        for index, (step, stage) in enumerate(zip(self.steps, self.stages, strict=True)):
            norm, conv = cast(nn.ModuleList, step)
            x = stage(norm(conv(x)) if index == 0 else conv(norm(x)))
            maps.append(x)
        return maps
