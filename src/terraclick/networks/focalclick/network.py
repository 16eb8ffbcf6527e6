"""FocalClick: a coarse answer on a small picture of the target, then a refined one on the part the last click concerns.

Chen, Zhao, Zhang, Duan, Qi, Zhao: FocalClick, CVPR 2022, https://arxiv.org/abs/2204.02574; backbone: SegFormer (Xie et
al. 2021). The crops around the two stages (target crop, focus crop, progressive merge) are in
`predictors/focalclick.py`.

Facts kept from the published code:
- clicks enter after the backbone's first stage, whose own output goes to the head without them: so the first stage
  (a quarter of the resolution) is click-free and encoded once;
- the pipeline `s1` paints disks of radius 3 and halves picture and disks before the backbone, `s2` paints radius 5;
- the refiner sees the picture as 0…1, not normalised, and features cut out by RoI-align;
- LayerNorms add 1e-6 in and after the blocks, 1e-5 after patch embeddings and the attention's reduction.

Left out: stochastic depth in training; the checkpoint's unused `maps_transform` and `feature_gate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.layers import click_disk_maps, normalise, resize_map
from terraclick.core.resample import roi_weights

__all__ = [
    "FOCALCLICK",
    "Coarse",
    "FocalClick",
    "FocalClickConfig",
    "FocalClickEncoded",
    "roi_align",
]


@dataclass(frozen=True)
class FocalClickConfig:
    """Sizes of a FocalClick network."""

    dims: tuple[int, int, int, int] = (32, 64, 160, 256)
    """Channels of the four stages."""
    depths: tuple[int, int, int, int] = (2, 2, 2, 2)
    """Blocks per stage."""
    heads: tuple[int, int, int, int] = (1, 2, 5, 8)
    """Attention heads per stage."""
    reductions: tuple[int, int, int, int] = (8, 4, 2, 1)
    """How much smaller, per side, the map is that a stage attends to."""
    head: int = 256
    """Channels of the head, which are the features that the refiner cuts from."""
    refiner: int = 32
    """Channels of the refiner."""
    halved: bool = False
    """Whether the backbone sees half the resolution (the published pipeline `s1`)."""

    @property
    def radius(self) -> float:
        """Radius of a click's disk in the coarse stage, in pixels of the input."""
        return 3.0 if self.halved else 5.0


_B3 = FocalClickConfig((64, 128, 320, 512), (3, 4, 18, 3), head=512)

FOCALCLICK: dict[str, FocalClickConfig] = {
    "focalclick-b0": FocalClickConfig(),
    "focalclick-b3": _B3,
    "focalclick-b0-s1": FocalClickConfig(halved=True),
}
"""The published sizes by name: SegFormer-B0 and B3 in pipeline `s2`, B0 also in `s1`."""


def roi_align(maps: Tensor, boxes: Tensor, size: tuple[int, int], scale: float = 1.0) -> Tensor:
    """Cut boxes out of maps and resize them (see `roi_weights`): one box per item.

    maps (B, C, H, W), boxes (B, 4) of (top, left, bottom, right) in pixels / `scale` → (B, C, *size). The samples form
    a grid, so the cut is two small matrix products.
    """
    spans = [[float(side) * scale for side in box] for box in boxes]
    rows = np.stack([roi_weights(top, bottom, maps.shape[-2], size[0]) for top, _, bottom, _ in spans])
    cols = np.stack([roi_weights(left, right, maps.shape[-1], size[1]) for _, left, _, right in spans])
    down, across = (torch.from_numpy(part).to(maps)[:, None] for part in (rows, cols))
    return down @ maps @ across.transpose(2, 3)


class PatchEmbed(nn.Module):
    """Overlapping patches to a map, normalised per pixel."""

    def __init__(self, channels: int, dim: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, kernel, stride, kernel // 2)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """(B, C, H, W) → tokens (B, h·w, D) and (h, w)."""
        x = self.proj(x)
        return self.norm(x.flatten(2).transpose(1, 2)), (x.shape[-2], x.shape[-1])


class Attention(nn.Module):
    """Every pixel attends to a reduced map."""

    def __init__(self, dim: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.reduce = nn.Conv2d(dim, dim, reduction, reduction) if reduction > 1 else None
        if reduction > 1:
            self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, h·w, C) of a map (h, w) → (B, h·w, C)."""
        batch, _, dim = x.shape
        shorter = x
        if self.reduce is not None:
            shorter = self.reduce(x.transpose(1, 2).reshape(batch, dim, *grid))
            shorter = self.norm(shorter.flatten(2).transpose(1, 2))
        q = self.q(x).reshape(batch, -1, self.heads, dim // self.heads).transpose(1, 2)
        k, v = self.kv(shorter).reshape(batch, -1, 2, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        x = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(batch, -1, dim))


class Mlp(nn.Module):
    """Two linear layers with a depth-wise convolution and exact GELU between them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.depthwise = nn.Conv2d(4 * dim, 4 * dim, 3, padding=1, groups=4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, h·w, C) of a map (h, w) → (B, h·w, C)."""
        x = self.fc1(x).transpose(1, 2)
        x = self.depthwise(x.reshape(*x.shape[:2], *grid)).flatten(2).transpose(1, 2)
        return self.fc2(functional.gelu(x))


class MixBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, dim: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads, reduction)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, h·w, C) of a map (h, w) → (B, h·w, C)."""
        x = x + self.attn(self.norm1(x), grid)
        return x + self.mlp(self.norm2(x), grid)


class Stage(nn.Module):
    """Embedding, blocks, norm: a map to a coarser one."""

    def __init__(self, channels: int, config: FocalClickConfig, level: int) -> None:
        super().__init__()
        dim = config.dims[level]
        self.embed = PatchEmbed(channels, dim, *((7, 4) if level == 0 else (3, 2)))
        heads, reduction = config.heads[level], config.reductions[level]
        self.blocks = nn.ModuleList(MixBlock(dim, heads, reduction) for _ in range(config.depths[level]))
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, D, h, w)."""
        tokens, grid = self.embed(x)
        for block in self.blocks:
            tokens = block(tokens, grid)
        return _as_map(self.norm(tokens), grid)


def _as_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, h·w, C) → (B, C, h, w)."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, *grid)


class MixTransformer(nn.Module):
    """SegFormer's backbone; the clicks' embedding joins after the first stage."""

    def __init__(self, config: FocalClickConfig) -> None:
        super().__init__()
        self.stage1 = Stage(3, config, 0)
        self.stage2 = Stage(config.dims[0], config, 1)
        self.stage3 = Stage(config.dims[1], config, 2)
        self.stage4 = Stage(config.dims[2], config, 3)
        self.clicks = PatchEmbed(3, config.dims[0], 7, 4)

    def forward(self, first: Tensor, clicks: Tensor) -> list[Tensor]:
        """The first stage's map (B, D₁, H/4, W/4) and click maps (B, 3, H, W) → maps at strides 4, 8, 16, 32."""
        second = self.stage2(first + _as_map(*self.clicks(clicks)))
        third = self.stage3(second)
        return [first, second, third, self.stage4(third)]


class MixHead(nn.Module):
    """Four maps → features at stride 4 and their logits. Each level is fused at its own resolution, then resized."""

    def __init__(self, config: FocalClickConfig) -> None:
        super().__init__()
        for level, dim in enumerate(config.dims, start=1):
            setattr(self, f"linear{level}", nn.Linear(dim, config.head))
        self.fuse = nn.Conv2d(4 * config.head, config.head, 1, bias=False)
        self.norm = nn.BatchNorm2d(config.head)
        self.dropout = nn.Dropout2d(0.1)
        self.logits = nn.Conv2d(config.head, 1, 1)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Maps at strides 4, 8, 16, 32 → logits (B, 1, h, w) and features (B, C, h, w) at stride 4."""
        size = (maps[0].shape[-2], maps[0].shape[-1])
        shares = self.fuse.weight.chunk(4, dim=1)[::-1]  # published order: coarsest first
        linears = [cast(nn.Linear, linear) for linear in (self.linear1, self.linear2, self.linear3, self.linear4)]
        total = torch.zeros((), device=maps[0].device)
        for x, linear, share in zip(maps, linears, shares, strict=True):
            level = functional.conv2d(x, linear.weight[:, :, None, None], linear.bias)
            total = total + resize_map(functional.conv2d(level, share), size)
        features = self.dropout(functional.relu(self.norm(total)))
        with torch.autocast(features.device.type, enabled=False):  # a mask's border does not bear bfloat16 here
            return self.logits(features.to(self.logits.weight.dtype)), features


class ConvNorm(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, D, H/stride, W/stride)."""
        return functional.relu(self.norm(self.conv(x)))


class DepthwiseConvNorm(nn.Module):
    """Depth-wise 3×3, 1×1, batch norm, ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv3x3 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.conv1x1 = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        return functional.relu(self.norm(self.conv1x1(self.conv3x3(x))))


class Refiner(nn.Module):
    """The focus crop, its clicks, features and coarse logits → refined logits."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.image_conv1 = ConvNorm(6, width, 3, stride=2)
        self.image_conv2 = DepthwiseConvNorm(width)
        self.image_conv3 = DepthwiseConvNorm(width)
        self.refine_fusion = ConvNorm(features, width, 1)
        self.refine_fusion2 = DepthwiseConvNorm(width)
        self.refine_fusion3 = DepthwiseConvNorm(width)
        self.refine_pred = nn.Conv2d(width, 1, 3, padding=1)
        self.refine_trimap = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, image: Tensor, clicks: Tensor, features: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """image (B, 3, S, S) in 0…1, clicks (B, 2, S, S), features (B, C, h, w), coarse (B, 1, S, S) logits.

        Returns refined logits and the trimap's logits, (B, 1, S, S) each: where the trimap is sure (1) the new detail
        stands, elsewhere (0) the coarse answer.
        """
        size = (image.shape[-2], image.shape[-1])
        x = self.image_conv1(torch.cat([image, clicks, coarse.sigmoid()], dim=1))
        x = self.image_conv3(self.image_conv2(x))
        x = x + resize_map(self.refine_fusion(features), (x.shape[-2], x.shape[-1]), align_corners=True)
        x = self.refine_fusion3(self.refine_fusion2(x))
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.refine_pred.weight.dtype)
            detail = resize_map(self.refine_pred(x), size, align_corners=True)
            trimap = resize_map(self.refine_trimap(x), size, align_corners=True)
        share = trimap.sigmoid()
        return detail * share + coarse * (1 - share), trimap


@dataclass(frozen=True, eq=False)
class FocalClickEncoded:
    """An image before any click: the first stage's map (B, C, h, w), image size in pixels."""

    first: Tensor
    size: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.first.nbytes


@dataclass(frozen=True, eq=False)
class Coarse:
    """The coarse stage's answer: logits (B, 1, H, W) and the features (B, C, h, w) that the refiner cuts from."""

    logits: Tensor
    features: Tensor


class FocalClick(nn.Module):
    """Image, previous answer and clicks → coarse logits (`forward`); a crop of them → refined logits (`refine`)."""

    def __init__(self, config: FocalClickConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or FocalClickConfig()
        self.backbone = MixTransformer(config)
        self.head = MixHead(config)
        self.refiner = Refiner(config.head, config.refiner)

    def encode(self, image: Tensor) -> FocalClickEncoded:
        """RGB (B, 3, H, W) in 0…1 → what does not depend on clicks: the backbone's first stage."""
        return FocalClickEncoded(self.backbone.stage1(self._seen(normalise(image))), (image.shape[-2], image.shape[-1]))

    def _seen(self, x: Tensor) -> Tensor:
        """A map (B, C, H, W) as the backbone sees it."""
        half = (x.shape[-2] // 2, x.shape[-1] // 2)
        return resize_map(x, half, align_corners=True) if self.config.halved else x

    def coarse(self, encoded: FocalClickEncoded, previous: Tensor, points: Tensor) -> Coarse:
        """previous (B, 1, H, W) probabilities, points (B, 2P, 3) → logits (B, 1, H, W) and features."""
        disks = click_disk_maps(points, encoded.size, self.config.radius)
        maps = self.backbone(encoded.first, self._seen(torch.cat([previous, disks], dim=1)))
        logits, features = self.head(maps)
        return Coarse(resize_map(logits, encoded.size, align_corners=True), features)

    def refine(self, image: Tensor, points: Tensor, coarse: Coarse, boxes: Tensor) -> Tensor:
        """Refined logits (B, 1, S, S) of the boxes, one per item.

        image (B, 3, S, S) the box cut from the full image, RGB in 0…1; points (B, 2P, 3) in pixels of that crop; boxes
        (B, 4) of (top, left, bottom, right) in pixels of the coarse stage's input.
        """
        size = (image.shape[-2], image.shape[-1])
        grid = (coarse.features.shape[-2], coarse.features.shape[-1])
        features = roi_align(coarse.features, boxes, grid, grid[1] / coarse.logits.shape[-1])
        logits = roi_align(coarse.logits, boxes, size)
        return self.detail(image, points, features, logits)

    def detail(self, image: Tensor, points: Tensor, features: Tensor, coarse: Tensor) -> Tensor:
        """Refined logits (B, 1, S, S): image and points as in `refine`, features (B, C, h, w) and coarse logits cut."""
        disks = click_disk_maps(points, (image.shape[-2], image.shape[-1]), 5.0)
        return self.refiner(image, disks, features, coarse)[0]

    def answer(self, encoded: FocalClickEncoded, previous: Tensor, points: Tensor) -> Tensor:
        """The coarse logits (B, 1, H, W)."""
        return self.coarse(encoded, previous, points).logits

    def forward(self, image: Tensor, previous: Tensor, points: Tensor) -> Tensor:
        """image (B, 3, H, W) RGB in 0…1, previous (B, 1, H, W), points (B, 2P, 3) → coarse logits (B, 1, H, W)."""
        return self.answer(self.encode(image), previous, points)
