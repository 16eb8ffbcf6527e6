"""SegNext: the image is encoded once without clicks; prompts join its features late and pass two attention blocks.

Liu, Cho, Bansal, Niethammer: Rethinking Interactive Image Segmentation with Low Latency, High Quality, and Diverse
Prompts, CVPR 2024, https://arxiv.org/abs/2404.00741. Facts kept from the published code:
- any image is stretched to one square (1024 pixels; bilinear, half-pixel centres), previous answer likewise;
- clicks are scaled to that square and rounded to whole pixels (not in the caller's tensor, as published);
- attention is global in every third block, the others see a 4 × 4 division of the tokens;
- the prompt blocks' norms add 1e-5, the backbone's 1e-6;
- logits go from stride 4 to the square with corners kept, then to the image with half-pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from terraclick.blocks.layers import (
    ClickViT,
    ClickViTConfig,
    PyramidHead,
    SimplePyramid,
    click_disk_maps,
    normalise,
    resize_map,
    valid_points,
)
from terraclick.blocks.vit import Block, ViTConfig

__all__ = ["SEGNEXT", "SegNext", "SegNextConfig", "SegNextEncoded", "SegNextViTConfig"]


@dataclass(frozen=True)
class SegNextViTConfig(ClickViTConfig):
    """A backbone whose windows divide the square evenly: as many as windows of 224 pixels fit, and larger ones."""

    size: int = 1024
    """Side in pixels of the square the image is stretched to."""
    global_every: int | None = 3
    """Attention is global in every so many blocks."""

    @property
    def window(self) -> int:
        """Side of a window in tokens: 16 at 1024 pixels, 14 at 448."""
        side = self.grid[0]
        return side // max(1, side // (224 // self.patch))


@dataclass(frozen=True)
class SegNextConfig:
    """Sizes of a SegNext network."""

    vit: SegNextViTConfig = field(default_factory=SegNextViTConfig)
    """The backbone."""
    fusion: int = 2
    """Attention blocks after prompts have joined the image."""
    pyramid: tuple[int, int, int, int] = (128, 256, 512, 1024)
    """Channels of the maps at strides 4, 8, 16 and 32."""
    head: int = 256
    """Channels of the head."""
    radius: float = 5.0
    """Radius of a click's disk in pixels of the square."""


SEGNEXT: dict[str, SegNextConfig] = {"segnext-b": SegNextConfig()}
"""The published size by name (`vitb_sax2`)."""


@dataclass(frozen=True, eq=False)
class SegNextEncoded:
    """An image before any click: features (B, C, h, w) at stride 16 of the square, image size in pixels."""

    features: Tensor
    size: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.features.nbytes


class SegNext(nn.Module):
    """Image → features once; features, previous answer and clicks → logits."""

    def __init__(self, config: SegNextConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SegNextConfig()
        vit = config.vit
        self.backbone = ClickViT(vit)
        self.embed_clicks = nn.Conv2d(3, vit.dim, vit.patch, stride=vit.patch)
        plain = ViTConfig(vit.patch, vit.dim, config.fusion, vit.heads, vit.grid)
        blocks = [Block(plain) for _ in range(config.fusion)]
        self.fusion_blocks = nn.ModuleList(blocks)
        for block in blocks:
            block.norm1.eps = block.norm2.eps = 1e-5
        self.neck = SimplePyramid(vit.dim, config.pyramid)
        self.head = PyramidHead(config.pyramid, config.head)

    @property
    def square(self) -> tuple[int, int]:
        """(rows, columns) every image is stretched to."""
        return self.config.vit.size, self.config.vit.size

    def encode(self, image: Tensor) -> SegNextEncoded:
        """RGB (B, 3, H, W) in 0…1 → the whole backbone's features."""
        tokens = self.backbone.embed(resize_map(normalise(image), self.square))
        return SegNextEncoded(self.backbone(tokens, self.config.vit.grid), (image.shape[-2], image.shape[-1]))

    def prompt_features(self, size: tuple[int, int], previous: Tensor, points: Tensor) -> Tensor:
        """previous (B, 1, H, W), points (B, 2P, 3) of an image of `size` → (B, C, h, w) at stride 16 of the square."""
        scale = torch.tensor([self.square[0] / size[0], self.square[1] / size[1]], device=points.device)
        places = torch.where(valid_points(points)[..., None], (points[..., :2] * scale + 0.5).floor(), -1)
        disks = click_disk_maps(torch.cat([places, points[..., 2:]], dim=2), self.square, self.config.radius)
        return self.embed_clicks(torch.cat([resize_map(previous, self.square), disks], dim=1))

    def answer(self, encoded: SegNextEncoded, previous: Tensor, points: Tensor) -> Tensor:
        """previous (B, 1, H, W) probabilities, points (B, 2P, 3) → logits (B, 1, H, W)."""
        x = encoded.features + self.prompt_features(encoded.size, previous, points)
        tokens = x.flatten(2).transpose(1, 2)
        for block in self.fusion_blocks:
            tokens = block(tokens)
        maps = self.neck(tokens.transpose(1, 2).reshape(x.shape))
        with torch.autocast(x.device.type, enabled=False):  # a mask's border does not bear bfloat16 here
            logits = self.head([level.to(self.head.logits.weight.dtype) for level in maps])
        return resize_map(resize_map(logits, self.square, align_corners=True), encoded.size)

    def forward(self, image: Tensor, previous: Tensor, points: Tensor) -> Tensor:
        """image (B, 3, H, W) RGB in 0…1, previous (B, 1, H, W), points (B, 2P, 3) → logits (B, 1, H, W)."""
        return self.answer(self.encode(image), previous, points)
