"""The trained part of RS-ISRefiner: what stands beside the frozen click ViT; see `network.py`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.deform import DeformConv2d
from terraclick.blocks.layers import (
    SeparableConv,
    bias_of,
    resize_map,
)
from terraclick.networks.isrefiner.config import IsRefinerConfig

__all__ = ["GatedFusion", "Refiner"]


def _tokens(x: Tensor) -> Tensor:
    """(B, C, h, w) → (B, h·w, C)."""
    return x.flatten(2).transpose(1, 2)


def _as_map(tokens: Tensor, like: Tensor) -> Tensor:
    """(B, h·w, C) → (B, C, h, w) of another map's size."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, *like.shape[-2:])


def _resize(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear resize to another map's size."""
    return resize_map(x, (like.shape[-2], like.shape[-1]))


class CrossAttention(nn.Module):
    """Multi-head attention of one set of tokens over another; weights named as in torch's MultiheadAttention."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, source: Tensor) -> Tensor:
        """query (B, N, C) over source (B, M, C) → (B, N, C)."""
        dim = query.shape[-1]
        q = functional.linear(query, self.in_proj_weight[:dim], self.in_proj_bias[:dim])
        k, v = functional.linear(source, self.in_proj_weight[dim:], self.in_proj_bias[dim:]).chunk(2, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        return self.out_proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class GatedFusion(nn.Module):
    """A learned gate between two token maps (equation 1)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * dim, dim)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two (B, N, C) → (B, N, C), channel by channel between them."""
        gate = torch.sigmoid(self.gate(torch.cat([first, second], dim=-1)))
        return gate * first + (1 - gate) * second


class SqueezeExcite(nn.Module):
    """A gain per channel from the whole map's mean (Hu et al. 2018), sixteen times narrower inside."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        inner = max(dim // 16, 4)
        self.narrow = nn.Linear(dim, inner, bias=False)
        self.widen = nn.Linear(inner, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        gain = torch.sigmoid(self.widen(functional.relu(self.narrow(x.mean(dim=(2, 3))))))
        return x * gain[:, :, None, None]


class ResBlock(nn.Module):
    """Convolution, norm, ReLU and half the size, beside a 1 × 1 shortcut; deformable blocks also squeeze and excite.

    The shortcut shrinks before its convolution instead of after it: the two commute, and it costs a quarter.
    """

    def __init__(self, inside: int, outside: int, deformable: bool, native: bool | None) -> None:
        super().__init__()
        self.conv = DeformConv2d(inside, outside, native) if deformable else nn.Conv2d(inside, outside, 3, padding=1)
        self.norm = nn.BatchNorm2d(outside)
        self.excite = SqueezeExcite(outside) if deformable else nn.Identity()
        self.shortcut = nn.Conv2d(inside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, O, ⌈H/2⌉, ⌈W/2⌉)."""
        inner = self.excite(functional.relu(self.norm(self.conv(x))))
        inner = functional.max_pool2d(inner, 2, ceil_mode=True)
        return inner + self.shortcut(_resize(x, inner))


class ImageExtractor(nn.Module):
    """The image's own features at 1/16, from one plain and three deformable residual blocks (figure 4)."""

    def __init__(self, dim: int, widths: Sequence[int], native: bool | None) -> None:
        super().__init__()
        sizes = (3, *widths)
        self.blocks = nn.Sequential(
            *(ResBlock(a, b, number > 0, native) for number, (a, b) in enumerate(pairwise(sizes)))
        )
        self.project = nn.Conv2d(sizes[-1], dim, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Normalised image (B, 3, H, W) → (B, C, H/16, W/16)."""
        return functional.relu(self.project(self.blocks(image)))


class FeatureFusion(nn.Module):
    """Early ViT tokens and image features attend to each other; the image's side rises to 1/4 (equations 2 and 3)."""

    def __init__(self, dim: int, heads: int, theta: float | None) -> None:
        super().__init__()
        self.early_attention = CrossAttention(dim, heads)
        self.image_attention = CrossAttention(dim, heads)
        self.early_norm = nn.LayerNorm(dim)
        self.image_norm = nn.LayerNorm(dim)
        self.theta = nn.Parameter(torch.full((1, 1, dim), 1.0 if theta is None else theta), requires_grad=theta is None)
        self.up = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 2, 2, stride=2),
            nn.BatchNorm2d(dim // 2),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 2, dim // 4, 2, stride=2),
            nn.BatchNorm2d(dim // 4),
            nn.GELU(),
        )

    def forward(self, early: Tensor, image: Tensor) -> Tensor:
        """early (B, N, C), image (B, C, h, w) with N = h·w → F_HQ (B, C/4, 4h, 4w)."""
        tokens = _tokens(image)
        early = self.early_norm(early + self.theta * self.early_attention(early, tokens))
        tokens = self.image_norm(tokens + self.image_attention(tokens, early))
        return self.up(_as_map(tokens, image))


class MaskBranch(nn.Module):
    """Previous, modulated and click maps down to 1/16 (figure 3)."""

    def __init__(self, dim: int, widths: Sequence[int]) -> None:
        super().__init__()
        sizes = (4, *widths)
        self.down = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU()) for a, b in pairwise(sizes))
        )
        self.mix = SeparableConv(sizes[-1], dim)

    def forward(self, coords: Tensor) -> Tensor:
        """coords (B, 4, H, W) → (B, C, H/16, W/16)."""
        return self.mix(self.down(coords))


class DecoderLayer(nn.Module):
    """The token looks at the features, then at itself, thinks, and the features look back (equations 4 and 5)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.token_attention = CrossAttention(dim, heads)
        self.self_attention = CrossAttention(dim, heads)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.feature_attention = CrossAttention(dim, heads)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(4))

    def forward(self, token: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """token (B, 1, C), features (B, N, C) → both, updated."""
        token = self.norms[0](token + self.token_attention(token, features))
        token = self.norms[1](token + self.self_attention(token, token))
        token = self.norms[2](token + self.mlp(token))
        return token, self.norms[3](features + self.feature_attention(features, token))


class FinalToken(nn.Module):
    """The token's last look, narrowed to what the dynamic kernel is made of (equation 6)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention = CrossAttention(dim, heads)
        self.norm = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, dim // 2), nn.GELU(), nn.Linear(dim // 2, dim // 4))

    def forward(self, token: Tensor, features: Tensor) -> Tensor:
        """token (B, 1, C), features (B, N, C) → (B, C/4)."""
        return self.mlp(self.norm(token + self.attention(token, features)))[:, 0]


class DynamicConv(nn.Module):
    """A 3 × 3 convolution to one channel whose kernel and bias come from a vector per picture (equation 7).

    Channels are summed before the nine taps are: one matrix product for the whole batch.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.kernel = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 9 * dim + 1))

    def forward(self, features: Tensor, token: Tensor) -> Tensor:
        """features (B, C, H, W), token (B, C) → (B, 1, H, W)."""
        kernel = self.kernel(token)
        height, width = features.shape[-2:]
        taps = kernel[:, :-1].unflatten(1, (self.dim, 9)).transpose(1, 2) @ features.flatten(2)  # (B, 9, H·W)
        taps = functional.pad(taps.unflatten(2, (height, width)), (1, 1, 1, 1))
        parts = [taps[:, 3 * row + col, row : row + height, col : col + width] for row in range(3) for col in range(3)]
        return (torch.stack(parts).sum(dim=0) + kernel[:, -1, None, None])[:, None]


class ScaleFusion(nn.Module):
    """The pyramid's four levels as one map at 1/4; each is mixed at its own size before it grows (the two commute)."""

    def __init__(self, levels: Sequence[int], dim: int) -> None:
        super().__init__()
        self.narrow = nn.ModuleList(nn.Conv2d(level, dim, 1) for level in levels)
        self.mix = nn.Conv2d(len(levels) * dim, dim, 1)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Maps at 1/4, 1/8, 1/16, 1/32 → (B, C, H/4, W/4)."""
        shares = self.mix.weight.chunk(len(pyramid), dim=1)
        levels = [
            functional.conv2d(functional.relu(narrow(level)), share)
            for narrow, level, share in zip(self.narrow, pyramid, shares, strict=True)
        ]
        total = sum((_resize(level, levels[0]) for level in levels[1:]), levels[0])
        return functional.relu(total + bias_of(self.mix).view(1, -1, 1, 1))


class Refiner(nn.Module):
    """The trained part: image and mask features, the token decoder and the dynamic convolution (figures 2 to 5)."""

    def __init__(self, config: IsRefinerConfig) -> None:
        super().__init__()
        self.config = config
        dim, heads = config.vit.dim, config.heads
        self.extractor = ImageExtractor(dim, config.widths, config.native)
        self.fusion = FeatureFusion(dim, heads, config.theta)
        self.mask_branch = MaskBranch(dim, config.widths)
        self.dense_fusion = nn.Conv2d(2 * dim, dim, 1)
        self.layers = nn.ModuleList(DecoderLayer(dim, heads) for _ in range(2))
        self.final_token = FinalToken(dim, heads)
        self.scale_fusion = ScaleFusion(config.pyramid, dim // 4)
        self.up = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 2, 2, stride=2), nn.ConvTranspose2d(dim // 2, dim // 4, 2, stride=2)
        )
        self.dynamic = DynamicConv(dim // 4)

    def forward(
        self,
        image: Tensor | None,
        early: Tensor,
        pyramid: Sequence[Tensor],
        last: Tensor,
        coords: Tensor,
        token: Tensor,
    ) -> Tensor:
        """Logits (B, 1, H/4, W/4).

        image (B, C, h, w) from `extractor` (None without it), early (B, N, C), pyramid of four maps, last ViT map
        (B, C, h, w), coords (B, 4, H, W), token (1, C).
        """
        mask = self.mask_branch(coords)
        if self.config.vit_feature and not self.config.quirks:
            mask = self.dense_fusion(torch.cat([mask, last], dim=1))
        token = token.expand(len(mask), 1, -1)
        features = _tokens(mask)
        for layer in self.layers:
            token, features = layer(token, features)
        kernel = self.final_token(token, features)
        if self.config.quirks:  # places first, read as if channels were
            grid = features.transpose(0, 1).reshape(mask.shape)
        else:
            grid = _as_map(features, mask)
        final = self.up(grid) + self.scale_fusion(pyramid)
        if image is not None:
            final = final + self.fusion(early, image)
        return self.dynamic(final, kernel)
