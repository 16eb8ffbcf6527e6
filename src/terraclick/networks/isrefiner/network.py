"""RS-ISRefiner: a frozen click ViT and a trained refiner beside it (Wang and Liu; code: VFM-ISRefiner, 2025).

One module, two settings. Ours follows the paper; `parity(config)` computes what the published code computes. They
differ in these places, each a field of the configuration:
- `quirks`: in the code the dense fusion of mask feature and last ViT map is computed and thrown away, and the decoder's
  features, kept places first, are read as if channels came first, so that places, channels and the pictures of a batch
  are mixed up; the paper uses both as they are meant. With quirks a picture's answer depends on its batch;
- with quirks a batch is answered twice if none of its pictures has a previous answer, otherwise each picture alone;
- `vit.windowed`: the code lets all ViT blocks attend globally, though MFP trained most of them within windows.
Kept in both: equation 5 prints F' = CA(F, Q'), the code adds the residual and its norm; the paper's N is not used.
Bands are RGB (the published loader feeds BGR to most sets). The first of the two answers to a first click is not
differentiated.

What does not depend on clicks (patch embedding; the image extractor with its deformable convolutions) is done once per
image in `encode`; the published code repeats it at every click.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from terraclick.blocks.layers import (
    ClickViT,
    SimplePyramid,
    click_disk_maps,
    normalise,
    pad_to,
    resize_map,
    to_windows,
)
from terraclick.core.modulation import MODULATIONS
from terraclick.networks.isrefiner.config import IsRefinerConfig
from terraclick.networks.isrefiner.refiner import GatedFusion, Refiner

__all__ = ["IsRefiner", "IsRefinerEncoded"]


@dataclass(frozen=True, eq=False)
class IsRefinerEncoded:
    """An image before any click: tokens in window order, the extractor's map or None, token grid, image size."""

    tokens: Tensor
    features: Tensor | None
    grid: tuple[int, int]
    size: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.tokens.nbytes + (0 if self.features is None else self.features.nbytes)


class IsRefiner(nn.Module):
    """Image, previous answer and clicks → logits; only the gate, the token and the refiner are trained."""

    def __init__(self, config: IsRefinerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or IsRefinerConfig()
        vit = config.vit
        self.backbone = ClickViT(vit)
        self.embed_clicks = nn.Conv2d(4, vit.dim, vit.patch, stride=vit.patch)
        self.neck = SimplePyramid(vit.dim, config.pyramid)
        for part in (self.backbone, self.embed_clicks, self.neck):
            part.requires_grad_(False)
        self.gate = GatedFusion(vit.dim)
        self.token = nn.Parameter(0.02 * torch.randn(1, vit.dim))
        self.refiner = Refiner(config)

    def adapter(self) -> list[nn.Module | nn.Parameter]:
        """The parts that are trained; a θ that is fixed stays fixed."""
        fixed = [] if self.config.theta is None else [self.refiner.fusion.theta]
        return [
            self.gate,
            *(part for part in (self.token, *self.refiner.parameters()) if all(part is not theta for theta in fixed)),
        ]

    def encode(self, image: Tensor) -> IsRefinerEncoded:
        """RGB (B, 3, H, W) in 0…1 → what does not depend on clicks."""
        padded = pad_to(normalise(image), self.backbone.multiple)
        patch = self.config.vit.patch
        grid = (padded.shape[-2] // patch, padded.shape[-1] // patch)
        features = self.refiner.extractor(padded) if self.config.hq_feature else None
        return IsRefinerEncoded(self.backbone.embed(padded), features, grid, (image.shape[-2], image.shape[-1]))

    def answer(self, encoded: IsRefinerEncoded, previous: Tensor, points: Tensor) -> Tensor:
        """previous (B, 1, H, W) probabilities, points (B, 2P, 3) → logits (B, 1, H, W)."""
        fresh = previous.flatten(1).amax(dim=1) == 0
        if self.config.quirks:
            fresh = fresh & fresh.all()
        if fresh.any():  # a first click is answered from nothing, then again from its own answer
            with torch.no_grad():
                first = torch.sigmoid(self.look(encoded, previous, previous, points))
            previous = torch.where(fresh[:, None, None, None], first, previous)
        return self.look(encoded, previous, self.modulate(previous, points), points)

    def modulate(self, previous: Tensor, points: Tensor) -> Tensor:
        """previous (B, 1, H, W), points (B, 2P, 3) → the previous answers pulled towards their last clicks."""
        if self.config.modulation == "none":
            return previous
        rule = MODULATIONS[self.config.modulation]
        pairs = zip(previous.detach().float().cpu().numpy(), points.float().cpu().numpy(), strict=True)
        maps = [torch.from_numpy(rule(probs[0], clicks, max_radius=self.config.max_radius)) for probs, clicks in pairs]
        return torch.stack(maps)[:, None].to(previous)

    def look(self, encoded: IsRefinerEncoded, previous: Tensor, modulated: Tensor, points: Tensor) -> Tensor:
        """One pass: previous and modulated (B, 1, H, W) → logits (B, 1, H, W)."""
        config, vit = self.config, self.config.vit
        disks = click_disk_maps(points, encoded.size, config.radius)
        coords = pad_to(torch.cat([previous, modulated, disks], dim=1), self.backbone.multiple)
        tokens = encoded.tokens + to_windows(self.embed_clicks(coords), vit.window)
        second = self.backbone.run(tokens, encoded.grid, 1, 2)
        third = self.backbone.run(second, encoded.grid, 3, 3)
        last = self.backbone(third, encoded.grid, first=4)
        early = self.early(*(part.reshape(len(previous), -1, vit.dim) for part in (second, third)))
        logits = self.refiner(encoded.features, early, self.neck(last), last, coords, self.token)
        full = (coords.shape[-2], coords.shape[-1])
        return resize_map(logits, full, align_corners=True)[..., : encoded.size[0], : encoded.size[1]]

    def early(self, second: Tensor, third: Tensor) -> Tensor:
        """Tokens after blocks 2 and 3, (B, N, C) each in any one order → the early feature (B, N, C)."""
        share = {"first": 1.0, "second": 0.0, "fixed": self.config.early_share}.get(self.config.early)
        return self.gate(second, third) if share is None else share * second + (1 - share) * third

    def forward(self, image: Tensor, previous: Tensor, points: Tensor) -> Tensor:
        """image (B, 3, H, W) RGB in 0…1, previous (B, 1, H, W), points (B, 2P, 3) → logits (B, 1, H, W)."""
        return self.answer(self.encode(image), previous, points)
