"""RefCut: SimpleClick told by a reference picture and its masks what to select, and what not.

Lin, Zhou, Du, Fan, Hu: RefCut: Interactive Segmentation with Reference Guidance. No code is public; this follows the
paper's equations 1 to 7. Where the paper leaves a choice open, ours is:
- the reference picture passes the whole backbone as the target does, positions included, without any click embedding;
- MLP = linear, ReLU, linear, both of the backbone's width (as in CrossCut, by the same authors); the second layer
  starts at zero, so that training begins from plain SimpleClick;
- a prompt is added to every token of the target;
- a mask that is not given is a zero representation through its MLP, also when no reference is given at all;
- masks come down to the token grid by area, so that a reference smaller than a patch still counts
  (`mask_resize="bilinear"` for the four-pixel resize);
- several references of one sign count alike: their representations are averaged before the MLP;
- a reference picture is stretched to `reference_side`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.layers import resize_map, to_windows
from terraclick.errors import BadConfig
from terraclick.networks.simpleclick.network import SimpleClick, SimpleClickConfig, SimpleClickEncoded

__all__ = ["REFCUT", "RefCut", "RefCutConfig"]


@dataclass(frozen=True)
class RefCutConfig:
    """Sizes of a RefCut network."""

    base: SimpleClickConfig = field(default_factory=SimpleClickConfig)
    """The click network under it."""
    reference_side: int = 448
    """Side in pixels that reference pictures are stretched to."""
    mask_resize: str = "area"
    """How a reference mask comes down to the token grid: area or bilinear."""

    def __post_init__(self) -> None:
        if self.mask_resize not in ("area", "bilinear"):
            raise BadConfig(f"mask_resize {self.mask_resize!r} is not known: give area or bilinear.")
        if self.reference_side % 224:
            raise BadConfig(f"reference_side {self.reference_side} is no multiple of 224: give one, such as 448.")


REFCUT: dict[str, RefCutConfig] = {"refcut-b": RefCutConfig()}
"""The published size by name."""


class PromptMlp(nn.Module):
    """A representation to a prompt (equation 7); starts at zero."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.inner = nn.Linear(dim, dim)
        self.outer = nn.Linear(dim, dim)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) → (B, C)."""
        return self.outer(functional.relu(self.inner(x)))


class RefCut(nn.Module):
    """Image, previous answer, clicks and what references say → logits."""

    def __init__(self, config: RefCutConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RefCutConfig()
        self.base = SimpleClick(config.base)
        self.positive = PromptMlp(config.base.vit.dim)
        self.negative = PromptMlp(config.base.vit.dim)

    def encode(self, image: Tensor) -> SimpleClickEncoded:
        """RGB (B, 3, H, W) in 0…1 → what does not depend on clicks."""
        return self.base.encode(image)

    def features(self, image: Tensor) -> Tensor:
        """Reference picture (B, 3, H, W) in 0…1, any size → its features (B, C, h, w) (equation 3)."""
        side = self.config.reference_side
        encoded = self.base.encode(resize_map(image, (side, side)))
        return self.base.backbone(encoded.tokens, encoded.grid)

    def represent(self, features: Tensor, mask: Tensor) -> Tensor:
        """features (B, C, h, w), mask (B, 1, H, W) of 0 and 1 → mean feature (B, C) under it (equation 6).

        Zero where the mask is empty.
        """
        size = (features.shape[-2], features.shape[-1])
        if self.config.mask_resize == "area":
            mask = functional.adaptive_avg_pool2d(mask, size)
        else:
            mask = resize_map(mask, size)
        total = (features * mask).sum(dim=(2, 3))
        return total / mask.sum(dim=(2, 3)).clamp(min=1e-6)

    def references(self, image: Tensor, positive: Tensor | None, negative: Tensor | None) -> Tensor:
        """One reference picture and its masks (B, 1, H, W), each optional → representations (B, 2, C) for `answer`."""
        features = self.features(image)
        absent = torch.zeros(features.shape[:2], dtype=features.dtype, device=features.device)
        rows = [absent if mask is None else self.represent(features, mask) for mask in (positive, negative)]
        return torch.stack(rows, dim=1)

    def gather(self, positives: Sequence[Tensor], negatives: Sequence[Tensor]) -> Tensor | None:
        """Representations (C,) of any number of references → (1, 2, C), averaged by sign; None without any."""
        sides = [torch.stack(list(side)) for side in (positives, negatives) if len(side)]
        if not sides:
            return None
        absent = torch.zeros_like(sides[0][0])
        rows = [torch.stack(list(side)).mean(dim=0) if len(side) else absent for side in (positives, negatives)]
        return torch.stack(rows)[None]

    def answer(
        self, encoded: SimpleClickEncoded, previous: Tensor, points: Tensor, references: Tensor | None = None
    ) -> Tensor:
        """previous (B, 1, H, W), points (B, 2P, 3), references (B, 2, C) or None → logits (B, 1, H, W)."""
        vit = self.config.base.vit
        if references is None:
            references = torch.zeros(len(previous), 2, vit.dim, dtype=encoded.tokens.dtype, device=previous.device)
        prompt = self.positive(references[:, 0]) + self.negative(references[:, 1])  # (B, C)
        clicks = self.base.embed_clicks(self.base.click_maps(encoded, previous, points))
        tokens = encoded.tokens + to_windows(clicks + prompt[:, :, None, None], vit.window)  # equation 5
        return self.base.decode(self.base.backbone(tokens, encoded.grid), encoded.size)

    def forward(self, image: Tensor, previous: Tensor, points: Tensor, references: Tensor | None = None) -> Tensor:
        """image (B, 3, H, W) RGB in 0…1, previous (B, 1, H, W), points (B, 2P, 3) → logits (B, 1, H, W).

        references (B, 2, C) as `references` or `gather` make them: positive, then negative; None without any.
        """
        return self.answer(self.encode(image), previous, points, references)
