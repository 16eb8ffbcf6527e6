"""RITM: a high-resolution network whose stem also sees the clicks and the previous mask.

Sofiiuk, Petrov, Konushin: Reviving Iterative Training with Mask Guidance for Interactive Segmentation (2021),
https://arxiv.org/abs/2102.06583; HRNet: Wang et al. 2019; object-contextual head (OCR): Yuan et al. 2020.

Differences from the published code:
- with one class, the head's pixel-to-region attention is a softmax over one entry, hence 1: `f_pixel` and `f_object`
  are kept for their names in checkpoints and never run;
- the auxiliary logits (training weight 0.4, binary cross-entropy) are returned by `both`, not in a dict.

Published learning: crops of 320 × 480, Adam 5e-4, the backbone at a tenth of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.layers import click_disk_maps, normalise, resize_map

__all__ = ["RITM", "Ritm", "RitmConfig", "RitmEncoded"]

CLASSES = 1


@dataclass(frozen=True)
class RitmConfig:
    """Widths of the network."""

    width: int = 18
    """Channels of the finest branch; each coarser one has twice as many."""
    ocr_width: int = 64
    """Channels of the head's queries; its features have twice as many."""
    small: bool = False
    """Fewer blocks and modules (the published `s` variants)."""
    radius: float = 5.0
    """Radius of a click's disk in pixels of the input."""


RITM: dict[str, RitmConfig] = {
    "ritm-hrnet18": RitmConfig(),
    "ritm-hrnet32": RitmConfig(width=32, ocr_width=128),
}
"""The published sizes by name (`hrnet18_cocolvis_itermask_3p` and its larger brother)."""


def _conv_norm(channels: int, out: int, kernel: int, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU if asked."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and the way around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        inner = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(inner)) + x)


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 convolutions, four times wider outside than inside."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        out = 4 * inner
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = nn.Identity() if channels == out else _conv_norm(channels, out, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, 4·inner, H, W)."""
        inner = functional.relu(self.bn1(self.conv1(x)))
        inner = functional.relu(self.bn2(self.conv2(inner)))
        return functional.relu(self.bn3(self.conv3(inner)) + self.downsample(x))


class Exchange(nn.Module):
    """Parallel branches of blocks, then every branch receives every other at its own resolution."""

    def __init__(self, widths: list[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(width) for _ in range(blocks))) for width in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(self._path(widths, source, branch) for source in range(len(widths)))
            for branch in range(len(widths))
        )

    @staticmethod
    def _path(widths: list[int], source: int, branch: int) -> nn.Module:
        """How branch `source` reaches another: nothing, a 1×1 convolution (then enlarged), or halvings."""
        if source == branch:
            return nn.Identity()
        if source > branch:
            return _conv_norm(widths[source], widths[branch], 1, relu=False)
        steps = [_conv_norm(widths[source], widths[source], 3, stride=2) for _ in range(branch - source - 1)]
        return nn.Sequential(*steps, _conv_norm(widths[source], widths[branch], 3, stride=2, relu=False))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """One map per branch → one map per branch."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        fused = []
        for branch, paths in enumerate(self.fuse_layers):
            parts = [path(x) for path, x in zip(cast(nn.ModuleList, paths), maps, strict=True)]
            parts = [resize_map(part, _size(maps[branch]), align_corners=True) for part in parts]
            fused.append(functional.relu(sum(parts[1:], parts[0])))
        return fused


def _size(x: Tensor) -> tuple[int, int]:
    """(H, W) of a map (B, C, H, W)."""
    return x.shape[-2], x.shape[-1]


class Gather(nn.Module):
    """One feature per class: the mean of all pixels' features, weighted by a softmax of the coarse logits."""

    def forward(self, features: Tensor, coarse: Tensor) -> Tensor:
        """features (B, C, H, W), coarse logits (B, K, H, W) → regions (B, C, K, 1)."""
        share = coarse.flatten(2).softmax(dim=2)  # (B, K, H·W)
        return (features.flatten(2) @ share.transpose(1, 2)).unsqueeze(3)


class ObjectContext(nn.Module):
    """What a pixel takes from the regions. With one region every pixel takes all of it (see the module's docstring)."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.f_pixel = _pair(channels, inner)
        self.f_object = _pair(channels, inner)
        self.f_down = _nested(channels, inner)
        self.f_up = _nested(inner, channels)

    def forward(self, regions: Tensor) -> Tensor:
        """(B, C, 1, 1) → (B, C, 1, 1)."""
        return self.f_up(self.f_down(regions))


def _nested(channels: int, out: int) -> nn.Sequential:
    """1×1 convolution, then (batch norm, ReLU) as one layer, as the published names have it."""
    return nn.Sequential(nn.Conv2d(channels, out, 1, bias=False), nn.Sequential(nn.BatchNorm2d(out), nn.ReLU()))


def _pair(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(*_nested(channels, out), *_nested(out, out))


class Distribute(nn.Module):
    """Pixels joined with the context they take from the regions."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.object_context_block = ObjectContext(channels, inner)
        self.conv_bn_dropout = nn.Sequential(*_nested(2 * channels, channels), nn.Dropout2d(0.05))

    def forward(self, features: Tensor, regions: Tensor) -> Tensor:
        """features (B, C, H, W), regions (B, C, 1, 1) → (B, C, H, W)."""
        context = self.object_context_block(regions).expand_as(features)
        return self.conv_bn_dropout(torch.cat([context, features], dim=1))


class HighResolutionNet(nn.Module):
    """HRNet-V2 with the object-contextual head: logits and auxiliary logits at a quarter of the input."""

    def __init__(self, config: RitmConfig) -> None:
        super().__init__()
        width, blocks = config.width, 2 if config.small else 4
        widths = [width << level for level in range(4)]
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 64, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(Bottleneck(64, 64), *(Bottleneck(256, 64) for _ in range(blocks - 1)))
        self.transition1 = nn.ModuleList(
            [_conv_norm(256, width, 3), nn.Sequential(_conv_norm(256, 2 * width, 3, stride=2))]
        )
        self.stage2 = self._stage(widths[:2], 1, blocks)
        self.transition2 = self._transition(widths[:3])
        self.stage3 = self._stage(widths[:3], 3 if config.small else 4, blocks)
        self.transition3 = self._transition(widths)
        self.stage4 = self._stage(widths, 2 if config.small else 3, blocks)
        channels, head = 15 * width, 2 * config.ocr_width
        self.aux_head = nn.Sequential(
            nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, CLASSES, 1)
        )
        self.conv3x3_ocr = nn.Sequential(nn.Conv2d(channels, head, 3, padding=1), nn.BatchNorm2d(head), nn.ReLU())
        self.ocr_gather_head = Gather()
        self.ocr_distri_head = Distribute(head, config.ocr_width)
        self.cls_head = nn.Conv2d(head, CLASSES, 1)

    @staticmethod
    def _stage(widths: list[int], modules: int, blocks: int) -> nn.Sequential:
        return nn.Sequential(*(Exchange(widths, blocks) for _ in range(modules)))

    @staticmethod
    def _transition(widths: list[int]) -> nn.ModuleList:
        """A new coarser branch from the coarsest one; the others stay."""
        step = nn.Sequential(_conv_norm(widths[-2], widths[-1], 3, stride=2))
        return nn.ModuleList([*(nn.Identity() for _ in widths[:-1]), step])

    def stem(self, image: Tensor) -> Tensor:
        """Normalised image (B, 3, H, W) → its features before any click (B, 64, H/2, W/2)."""
        return functional.relu(self.bn1(self.conv1(image)))

    def forward(self, stem: Tensor, clicks: Tensor) -> tuple[Tensor, Tensor]:
        """Stem and click features (B, 64, H/2, W/2) → logits and auxiliary logits (B, 1, H/4, W/4)."""
        x = self.layer1(functional.relu(self.bn2(self.conv2(stem + clicks))))
        maps = self.stage2([step(x) for step in self.transition1])
        maps = self.stage3([*maps, self.transition2[-1](maps[-1])])
        maps = self.stage4([*maps, self.transition3[-1](maps[-1])])
        size = _size(maps[0])
        features = torch.cat([resize_map(x, size, align_corners=True) for x in maps], dim=1)  # (B, 15·width, H/4, W/4)
        aux = self.aux_head(features)
        features = self.conv3x3_ocr(features)
        kind = self.cls_head.weight.dtype
        with torch.autocast(features.device.type, enabled=False):  # a mask's border does not bear bfloat16 here
            features, coarse = features.to(kind), aux.to(kind)
            features = self.ocr_distri_head(features, self.ocr_gather_head(features, coarse))
            return self.cls_head(features), aux


class Scale(nn.Module):
    """A learned gain, one for all channels, taken as positive."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([start]))

    def forward(self, x: Tensor) -> Tensor:
        """(…) → (…)."""
        return x * self.scale.abs()


@dataclass(frozen=True, eq=False)
class RitmEncoded:
    """An image before any click: stem features (B, 64, H/2, W/2), image size in pixels."""

    stem: Tensor
    size: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.stem.nbytes


class Ritm(nn.Module):
    """Image, previous probabilities and clicks → logits."""

    def __init__(self, config: RitmConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RitmConfig()
        self.maps_transform = nn.Sequential(
            nn.Conv2d(3, 16, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 64, 3, stride=2, padding=1), Scale(0.05)
        )
        self.feature_extractor = HighResolutionNet(config)

    def encode(self, image: Tensor) -> RitmEncoded:
        """RGB (B, 3, H, W) in 0…1 → what does not depend on clicks: the first convolution."""
        return RitmEncoded(self.feature_extractor.stem(normalise(image)), _size(image))

    def answer(self, encoded: RitmEncoded, previous: Tensor, points: Tensor) -> Tensor:
        """previous (B, 1, H, W) probabilities, points (B, 2P, 3) → logits (B, 1, H, W)."""
        return self.both(encoded, previous, points)[0]

    def both(self, encoded: RitmEncoded, previous: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and auxiliary logits, (B, 1, H, W) each; the latter are a training aid."""
        disks = click_disk_maps(points, encoded.size, self.config.radius)
        clicks = self.maps_transform(torch.cat([previous, disks], dim=1))  # (B, 64, H/2, W/2)
        logits, aux = self.feature_extractor(encoded.stem, clicks)
        return resize_map(logits, encoded.size, align_corners=True), resize_map(aux, encoded.size, align_corners=True)

    def forward(self, image: Tensor, previous: Tensor, points: Tensor) -> Tensor:
        """image (B, 3, H, W) RGB in 0…1, previous (B, 1, H, W), points (B, 2P, 3) → logits (B, 1, H, W)."""
        return self.answer(self.encode(image), previous, points)
