"""MFP: SimpleClick that also reads its previous probabilities sharpened around the last click.

Lee, Lee, Kim: MFP, Making Full Use of Probability Maps for Interactive Image Segmentation, CVPR 2024,
https://arxiv.org/abs/2404.18448. The modulation itself is `core/modulation.py` (without the published NaN on a flat
window). Differences from the published code:
- a picture without a previous answer is run twice (predict, modulate, predict); the published code decides that over
  the whole batch, here each picture decides for itself, so that rows of a batch do not see each other;
- `encode` embeds the image once; the rest as in `simpleclick.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from terraclick.blocks.layers import (
    ConvRelu,
    PyramidHead,
    SeparableConv,
    click_disk_maps,
    normalise,
    pad_to,
    resize_map,
    to_windows,
)
from terraclick.core.modulation import modulate_mfp
from terraclick.networks.simpleclick.network import SimpleClick, SimpleClickConfig, SimpleClickEncoded

__all__ = ["MFP", "Mfp", "MfpConfig", "MfpEncoded"]


@dataclass(frozen=True)
class MfpConfig:
    """Sizes of an MFP network."""

    base: SimpleClickConfig = field(default_factory=SimpleClickConfig)
    """Backbone, pyramid and head."""
    switch: int = 7
    """Clicks before this one weigh pixels by likeness to the clicked probability, later ones by distance."""
    max_radius: float = 100.0
    """Radius in pixels that a click modulates where no opposite click is near."""


MFP: dict[str, MfpConfig] = {"mfp-b": MfpConfig()}
"""Sizes by name."""


@dataclass(frozen=True, eq=False)
class MfpEncoded(SimpleClickEncoded):
    """As SimpleClick's, and the normalised, padded picture (B, 3, H', W'), which the head reads too."""

    image: Tensor = None  # type: ignore[assignment]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.tokens.nbytes + self.image.nbytes


class ProbabilityHead(PyramidHead):
    """SimpleClick's head joined by features of the picture and both probability maps at stride 4."""

    def __init__(self, channels: tuple[int, int, int, int], width: int) -> None:
        super().__init__(channels, width)
        self.maps = nn.Sequential(ConvRelu(5, 64, 3, 2), ConvRelu(64, width, 3, 2), SeparableConv(width, width))
        self.refine = nn.Sequential(SeparableConv(2 * width, width), SeparableConv(width, width))

    def join(self, maps: list[Tensor], picture: Tensor, probabilities: Tensor) -> Tensor:
        """Pyramid maps, picture (B, 3, H, W), previous and modulated (B, 2, H, W) → logits (B, 1, H/4, W/4)."""
        seen = self.maps(torch.cat([picture, probabilities], dim=1))
        x = self.refine(torch.cat([self.features(maps), seen], dim=1))
        return self.logits(self.dropout(x))


class Mfp(SimpleClick):
    """Image, previous answer and clicks → logits."""

    def __init__(self, config: MfpConfig | None = None) -> None:
        self.settings = config = config or MfpConfig()
        super().__init__(config.base)
        vit = config.base.vit
        self.embed_clicks = nn.Conv2d(4, vit.dim, vit.patch, stride=vit.patch)
        self.head: ProbabilityHead = ProbabilityHead(config.base.pyramid, config.base.head)

    def encode(self, image: Tensor) -> MfpEncoded:
        """RGB (B, 3, H, W) in 0…1 → what does not depend on clicks."""
        plain = super().encode(image)
        padded = pad_to(normalise(image), self.backbone.multiple)
        return MfpEncoded(plain.tokens, plain.grid, plain.size, image=padded)

    def answer(  # type: ignore[override]  # it is handed what its own `encode` gave
        self, encoded: MfpEncoded, previous: Tensor, points: Tensor
    ) -> Tensor:
        """previous (B, 1, H, W) probabilities, points (B, 2P, 3) → logits (B, 1, H, W).

        Pictures without a previous answer are looked at twice: the first look takes its place.
        """
        fresh = ~previous.flatten(1).any(dim=1)
        if fresh.any():
            empty = torch.zeros_like(previous)
            guess = torch.sigmoid(self.look(encoded, empty, empty, points).detach())
            previous = torch.where(fresh[:, None, None, None], guess.to(previous.dtype), previous)
        return self.look(encoded, previous, self.modulate(previous, points), points)

    def modulate(self, previous: Tensor, points: Tensor) -> Tensor:
        """Probabilities (B, 1, H, W) sharpened around each picture's last click."""
        pairs = zip(previous.detach().cpu().numpy()[:, 0], points.detach().cpu().numpy(), strict=True)
        maps = [modulate_mfp(probs, clicks, self.settings.switch, self.settings.max_radius) for probs, clicks in pairs]
        return torch.stack([torch.from_numpy(m) for m in maps])[:, None].to(previous)

    def look(self, encoded: MfpEncoded, previous: Tensor, modulated: Tensor, points: Tensor) -> Tensor:
        """One pass: previous and modulated (B, 1, H, W) → logits (B, 1, H, W)."""
        probabilities = torch.cat([previous, modulated], dim=1)
        maps = torch.cat([probabilities, click_disk_maps(points, encoded.size, self.config.radius)], dim=1)
        clicks = to_windows(self.embed_clicks(pad_to(maps, self.backbone.multiple)), self.config.vit.window)
        features = self.neck(self.backbone(encoded.tokens + clicks, encoded.grid))
        logits = self.head.join(features, encoded.image, pad_to(probabilities, self.backbone.multiple))
        full = (encoded.image.shape[-2], encoded.image.shape[-1])
        return resize_map(logits, full, align_corners=True)[..., : encoded.size[0], : encoded.size[1]]
