"""`terra`, the shipped model: a frozen click-free encoder, a bank of deep prompts, and a small net re-run per click.

- `TerraEncoder` runs once per view or patch: the first eight blocks of a ViT-S/14 (DINOv2 layout) on the view at
  336 px, tokens after blocks 5 and 8, 24 × 24. (One-click similarity of block 8 was better than that of any later
  block, and better at 336 px than at 448; the encoder costs a third of the whole ViT at 448. `dev/LOG.md`, 2026-11-21.)
- `core/bank.py` turns clicks and references into rows of deep features and compares them with every token: CrossCut's
  cross-patch prompt (from a click-free pass, as in its published code) and RefCut's reference features in one form.
- `ClickNet` runs per click: EfficientNet-Lite0 whose stem also sees the previous mask and the click disks (RITM's early
  fusion), joined at strides 2, 4, 8 and 16 by what the bank says, and a light feature pyramid up to stride 2.
- The target (object or class) is an input: a learned pair of vectors.

Everything the bank and the clicks add starts at zero, so that training begins from the plain pretrained backbone.
There is no batch normalisation: the backbone's is folded in before training (`dev/LOG.md` tells what was tried).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.efficientnet import CHANNELS, EfficientNetLite0
from terraclick.blocks.vit import VisionTransformer, vit_small_14

__all__ = ["PRINCIPAL", "ClickNet", "ClickNetConfig", "TerraEncoder"]

PRINCIPAL = 64
"""Principal components of the tokens that the encoder hands on."""


class TerraEncoder(nn.Module):
    """Image to tokens, without clicks. Frozen."""

    SIDE = 336
    BLOCKS = (5, 8)
    SHALLOW = 2
    """The block whose tokens still know edges and textures: they skip to the fine levels of the pyramid."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, principal: int = PRINCIPAL) -> None:
        super().__init__()
        self.vit = VisionTransformer(replace(vit_small_14(), depth=max(self.BLOCKS)))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1) * 255, persistent=False)
        self.principal = nn.Conv2d(2 * self.vit.config.dim, principal, 1, bias=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """image (B, 3, H, W) in 0…255, sides multiples of 14 → tokens (B, 768, h, w), shallow (B, 384, h, w),
        principal (B, 64, h, w); h = H/14, w = W/14.

        `principal` are components of the tokens by which most pictures differ, scaled to about unit variance.
        """
        shallow, *deep = self.vit((image - self.mean) / self.deviation, after=(self.SHALLOW, *self.BLOCKS))
        tokens = torch.cat(deep, dim=1)
        return tokens, shallow, self.principal(tokens)


@dataclass(frozen=True)
class ClickNetConfig:
    """Widths of the click net."""

    tokens: int = 768
    """Channels of the encoder's token maps."""
    shallow: int = 384
    """Channels of the encoder's shallow token map."""
    prompt: int = 96
    """Channels in which tokens and prompts are compared."""
    pyramid: int = 64
    """Channels of the feature pyramid."""
    refine: int = 24
    """Channels of the last step, at stride 2."""
    maps: int = 8
    """Similarity and distance maps from the bank."""
    fit: int = 2
    """Score maps of the classifiers refitted at every click."""


class PromptFusion(nn.Module):
    """Tokens, the nearest prompts' features and their agreement, at the token grid."""

    def __init__(self, config: ClickNetConfig) -> None:
        super().__init__()
        width = config.prompt
        self.token = nn.Conv2d(config.tokens, width, 1)
        self.prompt = nn.Linear(config.tokens, width, bias=False)
        self.target = nn.Linear(2, width, bias=False)
        self.mix = nn.Conv2d(5 * width + config.maps, width, 1)
        self.spread = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, tokens: Tensor, rows: Tensor, labels: Tensor, maps: Tensor, target: Tensor) -> Tensor:
        """tokens (B, T, h, w), rows (B, 2, K, T), labels (B, 2, h, w), maps (B, M, h, w), target (B, 2) → (B, P, h, w).

        T token channels, K slots, M maps, P prompt channels.
        """
        batch, _, height, width = tokens.shape
        scale = tokens.shape[1] ** 0.5 / 2**0.5  # unit halves → about unit variance
        token = self.token(tokens * scale)
        bank = self.prompt(rows * scale)  # (B, 2, K, P)
        index = labels.reshape(batch, 2, height * width, 1).expand(-1, -1, -1, bank.shape[-1])
        near = torch.gather(bank, 2, index).transpose(2, 3)  # (B, 2, P, h·w)
        near = near.reshape(batch, -1, height, width)
        agree = near * torch.cat([token, token], dim=1)
        x = self.mix(torch.cat([token, near, agree, maps], dim=1)) + self.target(target)[:, :, None, None]
        return functional.relu(self.spread(functional.relu(x)))


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Start a convolution at zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _resize(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear resize to another map's size."""
    return functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class ClickNet(nn.Module):
    """The part that runs at every click: image, clicks, previous mask and the bank's maps → logits."""

    def __init__(self, config: ClickNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ClickNetConfig()
        self.backbone = EfficientNetLite0()
        self.fusion = PromptFusion(config)
        self.stem_clicks = _zero(nn.Conv2d(3, 32, 3, stride=2, padding=1))
        self.stem_maps = _zero(nn.Conv2d(config.maps, 32, 1))
        self.stem_target = nn.Linear(2, 32, bias=False)
        nn.init.zeros_(self.stem_target.weight)
        self.join4 = _zero(nn.Conv2d(config.prompt, CHANNELS[1], 1))
        self.join8 = _zero(nn.Conv2d(config.prompt, CHANNELS[2], 1))
        self.join16 = nn.Conv2d(config.prompt, config.pyramid, 1)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, config.pyramid, 1) for channels in CHANNELS[1:])
        self.smooth = nn.ModuleList(nn.Conv2d(config.pyramid, config.pyramid, 3, padding=1) for _ in range(3))
        self.shallow = nn.Conv2d(config.shallow, config.pyramid, 1)
        self.shallow8 = nn.Conv2d(config.pyramid, config.pyramid, 1)
        self.shallow4 = nn.Conv2d(config.pyramid, config.pyramid, 1)
        self.stem_fit = _zero(nn.Conv2d(config.fit, 32, 1))
        self.fit4 = _zero(nn.Conv2d(config.fit, config.pyramid, 1))
        self.detail = nn.Conv2d(CHANNELS[0] + 3, config.refine, 1)
        self.reduce = nn.Conv2d(config.pyramid, config.refine, 1)
        self.refine = nn.Conv2d(config.refine, config.refine, 3, padding=1)
        self.logits = nn.Conv2d(config.refine, 1, 1)

    def forward(
        self,
        image: Tensor,
        clicks: Tensor,
        tokens: Tensor,
        shallow: Tensor,
        rows: Tensor,
        labels: Tensor,
        maps: Tensor,
        fit: Tensor,
        target: Tensor,
    ) -> Tensor:
        """Logits (B, 1, H, W) of a picture, H and W multiples of 32.

        image (B, 3, H, W) in 0…255; clicks (B, 3, H, W): previous probabilities, positive disks, negative disks;
        tokens (B, T, h, w), shallow (B, T', h, w); rows (B, 2, K, T), labels (B, 2, h, w), maps (B, M, h, w) from the
        bank; fit (B, 2, H/4, W/4) from the refitted classifiers; target (B, 2): object, class (zeros: any region).
        """
        prompt = self.fusion(tokens, rows, labels, maps, target)
        stem = self.stem_clicks(clicks)
        stem = stem + self.stem_maps(_resize(maps, stem)) + self.stem_target(target)[:, :, None, None]
        stem = stem + self.stem_fit(_resize(fit, stem))
        early = functional.relu(self.shallow(shallow * shallow.shape[1] ** 0.5))
        features = self._features(image, stem, prompt)
        x = self.lateral[3](features[4])
        x = _resize(x, features[3]) + self.lateral[2](features[3])
        x = functional.relu(self.smooth[0](x + _resize(self.join16(prompt), x)))
        x = _resize(x, features[2]) + self.lateral[1](features[2])
        x = x + _resize(self.shallow8(early), x)
        x = functional.relu(self.smooth[1](x))
        x = _resize(x, features[1]) + self.lateral[0](features[1])
        x = x + _resize(self.shallow4(early), x) + self.fit4(fit)
        x = functional.relu(self.smooth[2](x))
        detail = torch.cat([features[0], functional.avg_pool2d(clicks, 2)], dim=1)
        x = _resize(self.reduce(x), features[0]) + self.detail(detail)
        x = self.logits(functional.relu(self.refine(functional.relu(x))))
        return _resize(x, image)

    def _features(self, image: Tensor, stem: Tensor, prompt: Tensor) -> list[Tensor]:
        """Backbone features at strides 2 to 32, the prompt joined at 4 and 8."""
        height, width = image.shape[-2:]
        extras = {}
        for level, join, stride in ((1, self.join4, 4), (2, self.join8, 8)):
            size = (height // stride, width // stride)
            extras[level] = functional.interpolate(join(prompt), size=size, mode="bilinear", align_corners=False)
        return self.backbone((image - 127.0) / 128.0, stem, extras)
