"""SimpleClick: a plain ViT that reads the image, the previous answer and the clicks from its first block on.

Liu, Xu, Bertasius, Niethammer: SimpleClick, ICCV 2023, https://arxiv.org/abs/2210.11006. Differences from the
published code, none of which changes a logit by more than rounding:
- `encode` embeds the image once; the clicks' embedding is added at each click;
- attention is PyTorch's fused kernel and tokens stay in window order between blocks;
- the head fuses each level at its own resolution before resizing it;
- sides that are no multiple of 224 pixels (refused as published) are padded with the mean colour below and right;
- positions are resized for each picture; the published code overwrites them in place for another input size.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.layers import (
    ClickViT,
    ClickViTConfig,
    PyramidHead,
    SimplePyramid,
    bias_of,
    click_disk_maps,
    normalise,
    pad_to,
    resize_map,
    to_windows,
)

__all__ = ["SIMPLECLICK", "SimpleClick", "SimpleClickConfig", "SimpleClickEncoded"]


@dataclass(frozen=True)
class SimpleClickConfig:
    """Sizes of a SimpleClick network."""

    vit: ClickViTConfig = field(default_factory=ClickViTConfig)
    """The backbone."""
    pyramid: tuple[int, int, int, int] = (128, 256, 512, 1024)
    """Channels of the maps at strides 4, 8, 16 and 32."""
    head: int = 256
    """Channels of the head."""
    upsample: int = 1
    """How much finer than stride 4 the logits are: 1, 2 or 4."""
    radius: float = 5.0
    """Radius in pixels of the disk painted for a click."""
    warm: bool = False
    """Let `encode` also run the blocks before the first global one as they are without clicks: a click then runs there
    only the windows that it or the previous answer touches. Same answer, quicker first click, slower encoding."""


SIMPLECLICK: dict[str, SimpleClickConfig] = {
    "simpleclick-xt": SimpleClickConfig(ClickViTConfig(dim=160, depth=8, heads=4), (96, 192, 288, 384), 128),
    "simpleclick-b": SimpleClickConfig(),
    "simpleclick-l": SimpleClickConfig(ClickViTConfig(dim=1024, depth=24, heads=16), (192, 384, 768, 1536)),
    "simpleclick-h": SimpleClickConfig(ClickViTConfig(patch=14, dim=1280, depth=32, heads=16), (240, 480, 960, 1920)),
}
"""The published sizes by name."""


@dataclass(frozen=True, eq=False)
class SimpleClickEncoded:
    """An image before any click: tokens (B · windows, T, C) in window order, token grid, image size in pixels."""

    tokens: Tensor
    grid: tuple[int, int]
    size: tuple[int, int]
    clean: Tensor | None = None
    """Tokens just before the first global block where nothing was clicked, if `warm`."""

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.tokens.nbytes + (0 if self.clean is None else self.clean.nbytes)


class SimpleClick(nn.Module):
    """Image, previous answer and clicks → logits."""

    ENCODES_ALIKE = True
    """`encode` does in training mode what it does in evaluation mode."""

    def __init__(self, config: SimpleClickConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SimpleClickConfig()
        vit = config.vit
        self.backbone = ClickViT(vit)
        self.embed_clicks = nn.Conv2d(3, vit.dim, vit.patch, stride=vit.patch)
        self.neck = SimplePyramid(vit.dim, config.pyramid)
        self.head = PyramidHead(config.pyramid, config.head, config.upsample)

    def encode(self, image: Tensor) -> SimpleClickEncoded:
        """RGB (B, 3, H, W) in 0…1 → what does not depend on clicks."""
        padded = pad_to(normalise(image), self.backbone.multiple)
        patch = self.config.vit.patch
        grid = (padded.shape[-2] // patch, padded.shape[-1] // patch)
        tokens = self.backbone.embed(padded)
        clean = self._windowed(tokens + bias_of(self.embed_clicks), grid) if self.config.warm else None
        return SimpleClickEncoded(tokens, grid, (image.shape[-2], image.shape[-1]), clean)

    def answer(self, encoded: SimpleClickEncoded, previous: Tensor, points: Tensor) -> Tensor:
        """previous (B, 1, H, W) probabilities, points (B, 2P, 3) → logits (B, 1, H, W)."""
        maps = self.click_maps(encoded, previous, points)
        tokens = encoded.tokens + to_windows(self.embed_clicks(maps), self.config.vit.window)
        if encoded.clean is None:
            return self.decode(self.backbone(tokens, encoded.grid), encoded.size)
        touched = functional.max_pool2d(maps.amax(dim=1), self.backbone.multiple).flatten() > 0
        mixed = encoded.clean.clone()
        mixed[touched] = self._windowed(tokens[touched], encoded.grid)
        return self.decode(self.backbone(mixed, encoded.grid, first=self._first_global), encoded.size)

    @property
    def _first_global(self) -> int:
        """Number of the first block that looks beyond its window."""
        return min(self.config.vit.global_blocks)

    def _windowed(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Windows (K, T, C) of any pictures through the blocks before the first global one."""
        return self.backbone.run(tokens, grid, 1, self._first_global - 1)

    def click_maps(self, encoded: SimpleClickEncoded, previous: Tensor, points: Tensor) -> Tensor:
        """Previous answer, positive and negative disks (B, 3, H', W') at the padded size."""
        disks = click_disk_maps(points, encoded.size, self.config.radius)
        return pad_to(torch.cat([previous, disks], dim=1), self.backbone.multiple)

    def decode(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """The backbone's map (B, C, h, w) → logits (B, 1, H, W)."""
        patch = self.config.vit.patch
        full = (features.shape[-2] * patch, features.shape[-1] * patch)
        logits = resize_map(self.score(features), full, align_corners=True)
        return logits[..., : size[0], : size[1]]

    def score(self, features: Tensor) -> Tensor:
        """The backbone's map → logits of the head; float32 even under autocast: bfloat16 here costs 1 % of a mask."""
        with torch.autocast(features.device.type, enabled=False):
            return self.head(self.neck(features.to(next(self.neck.parameters()).dtype)))

    def forward(self, image: Tensor, previous: Tensor, points: Tensor) -> Tensor:
        """image (B, 3, H, W) RGB in 0…1, previous (B, 1, H, W), points (B, 2P, 3) → logits (B, 1, H, W)."""
        return self.answer(self.encode(image), previous, points)
