"""A plain Vision Transformer: patch embedding, learned positions, pre-norm blocks; returns maps after chosen blocks.

Dosovitskiy et al. 2021; LayerScale (Touvron et al. 2021) when the configuration asks for it, as in DINOv2 (Oquab et al.
2023). State-dict names follow the timm layout (`patch_embed.proj`, `blocks.0.attn.qkv`, …).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ViTConfig", "VisionTransformer", "resize_positions", "vit_small_14"]


@dataclass(frozen=True)
class ViTConfig:
    """Size and options of a plain ViT."""

    patch: int = 16
    """Side of a patch in pixels."""
    dim: int = 768
    """Channels of a token."""
    depth: int = 12
    """Number of blocks."""
    heads: int = 12
    """Attention heads per block."""
    grid: tuple[int, int] = (14, 14)
    """Rows and columns of the learned position table."""
    layer_scale: bool = False
    """Whether each residual branch has a learned per-channel gain."""


def vit_small_14() -> ViTConfig:
    """ViT-S/14 with DINOv2's layout: 384 channels, 12 blocks, 6 heads, LayerScale, 37 × 37 positions."""
    return ViTConfig(patch=14, dim=384, depth=12, heads=6, grid=(37, 37), layer_scale=True)


def resize_positions(table: Tensor, source: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Resize a position table (1, 1 + h·w, C), class entry first, to another grid by bicubic interpolation."""
    if source == size:
        return table
    class_entry, grid = table[:, :1], table[:, 1:]
    grid = grid.reshape(1, *source, -1).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, size=size, mode="bicubic", align_corners=False)
    return torch.cat([class_entry, grid.flatten(2).transpose(1, 2)], dim=1)


class Attention(nn.Module):
    """Multi-head self-attention over tokens (B, N, C)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) → (B, N, C)."""
        batch, tokens, dim = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        x = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, dim))


class LayerScale(nn.Module):
    """A learned gain per channel."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(…, C) → (…, C)."""
        return x * self.gamma


class Mlp(nn.Module):
    """Two linear layers with exact GELU, four times wider inside."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(…, C) → (…, C)."""
        return self.fc2(functional.gelu(self.fc1(x)))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.dim, eps=1e-6)
        self.attn = Attention(config.dim, config.heads)
        self.ls1 = LayerScale(config.dim) if config.layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(config.dim, eps=1e-6)
        self.mlp = Mlp(config.dim)
        self.ls2 = LayerScale(config.dim) if config.layer_scale else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) → (B, N, C)."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    """Non-overlapping patches to tokens."""

    def __init__(self, config: ViTConfig, channels: int = 3) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, config.dim, config.patch, stride=config.patch)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, C, H/patch, W/patch)."""
        return self.proj(image)


class VisionTransformer(nn.Module):
    """Tokens of a normalised image after chosen blocks, each through the final norm."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        rows, cols = config.grid
        self.patch_embed = PatchEmbed(config)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + rows * cols, config.dim))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.dim, eps=1e-6)

    def forward(self, image: Tensor, after: tuple[int, ...]) -> list[Tensor]:
        """(B, 3, H, W) normalised, sides multiples of the patch → maps (B, C, h, w) after blocks `after` (1-based)."""
        grid = self.patch_embed(image)
        rows, cols = grid.shape[-2:]
        tokens = grid.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = tokens + resize_positions(self.pos_embed, self.config.grid, (rows, cols))
        maps = []
        for number, block in enumerate(self.blocks[: max(after)], start=1):
            tokens = block(tokens)
            if number in after:
                normed = self.norm(tokens)[:, 1:].transpose(1, 2)
                maps.append(normed.reshape(len(image), self.config.dim, rows, cols))
        return maps
