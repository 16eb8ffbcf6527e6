"""MobileSAM's image encoder, a TinyViT of five million numbers whose last map has a sixteenth of the picture's side.

Zhang et al., Faster Segment Anything, 2023; Wu et al., TinyViT, ECCV 2022. Prompts and masks are SAM's. Facts: a stage
of inverted bottlenecks at stride 4, then three of window attention (sides 7, 14, 7) with a learned bias for each
distance of two tokens; the step before the last stage keeps its resolution. Names are the published file's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.layers import pad_to

__all__ = ["MapNorm", "MobileSamConfig", "TinyVit", "TinyVitConfig"]


@dataclass(frozen=True)
class TinyVitConfig:
    """Sizes of the encoder: of its four stages, and of what it hands to the mask decoder."""

    dims: tuple[int, int, int, int] = (64, 128, 160, 320)
    depths: tuple[int, int, int, int] = (2, 2, 6, 2)
    heads: tuple[int, int, int, int] = (2, 4, 5, 10)
    windows: tuple[int, int, int, int] = (7, 7, 14, 7)
    out: int = 256


@dataclass(frozen=True)
class MobileSamConfig:
    """Sizes of a MobileSAM: the encoder's, and the rest as a `SamConfig` of `transformers`."""

    sam: Any
    encoder: TinyVitConfig = field(default_factory=TinyVitConfig)


class ConvNorm(nn.Sequential):
    """A convolution without bias and a batch norm."""

    def __init__(self, dim: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.add_module("c", nn.Conv2d(dim, out, kernel, stride, kernel // 2, groups=groups, bias=False))
        self.add_module("bn", nn.BatchNorm2d(out))


class MapNorm(nn.Module):
    """Layer norm over the channels of a map (B, C, H, W)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same."""
        last = functional.layer_norm(x.permute(0, 2, 3, 1), (len(self.weight),), self.weight, self.bias, 1e-6)
        return last.permute(0, 3, 1, 2)


class Bottleneck(nn.Module):
    """Four times wider inside, with the input added before the last activation."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(dim, 4 * dim)
        self.conv2 = ConvNorm(4 * dim, 4 * dim, 3, groups=4 * dim)
        self.conv3 = ConvNorm(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same."""
        inner = functional.gelu(self.conv2(functional.gelu(self.conv1(x))))
        return functional.gelu(x + self.conv3(inner))


class Merging(nn.Module):
    """From one stage to the next: other channels, half the sides where the stride is 2."""

    def __init__(self, dim: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(dim, out)
        self.conv2 = ConvNorm(out, out, 3, stride, out)
        self.conv3 = ConvNorm(out, out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, D, H / stride, W / stride)."""
        return self.conv3(functional.gelu(self.conv2(functional.gelu(self.conv1(x)))))


class WindowAttention(nn.Module):
    """Attention within a window, its input normed, with a bias for each distance of two tokens."""

    apart: Tensor

    def __init__(self, dim: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(heads, side * side))
        rows, cols = (grid.flatten() for grid in torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij"))
        apart = (rows[:, None] - rows).abs() * side + (cols[:, None] - cols).abs()
        self.register_buffer("apart", apart, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, side², C) → the same; each head has its queries, keys and values side by side."""
        batch, count, dim = x.shape
        parts = self.qkv(self.norm(x)).reshape(batch, count, self.heads, 3, dim // self.heads)
        q, k, v = parts.permute(3, 0, 2, 1, 4)
        bias = self.attention_biases[:, self.apart]
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
        return self.proj(found.transpose(1, 2).reshape(batch, count, dim))


class Perceptron(nn.Module):
    """A norm and two linear layers."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(…, C) → the same."""
        return self.fc2(functional.gelu(self.fc1(self.norm(x))))


class WindowBlock(nn.Module):
    """Window attention, a depth-wise convolution, a perceptron."""

    def __init__(self, dim: int, heads: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.attn = WindowAttention(dim, heads, side)
        self.local_conv = ConvNorm(dim, dim, 3, groups=dim)
        self.mlp = Perceptron(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same; windows at the edge are filled with zeros."""
        batch, dim, rows, cols = x.shape
        padded, side = pad_to(x, self.side), self.side
        down, across = padded.shape[-2] // side, padded.shape[-1] // side
        windows = padded.reshape(batch, dim, down, side, across, side).permute(0, 2, 4, 3, 5, 1)
        seen = self.attn(windows.reshape(batch * down * across, side * side, dim))
        seen = seen.reshape(batch, down, across, side, side, dim).permute(0, 5, 1, 3, 2, 4)
        x = self.local_conv(x + seen.reshape(padded.shape)[..., :rows, :cols])
        return x + self.mlp(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Stage(nn.Module):
    """Blocks, and the step to the next stage."""

    def __init__(self, blocks: list[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, D, h, w)."""
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class Stem(nn.Module):
    """Two convolutions to a quarter of the side."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(ConvNorm(3, dim // 2, 3, 2), nn.GELU(), ConvNorm(dim // 2, dim, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, C, H / 4, W / 4)."""
        return self.seq(x)


class TinyVit(nn.Module):
    """The image encoder."""

    def __init__(self, config: TinyVitConfig) -> None:
        super().__init__()
        dims = config.dims
        self.patch_embed = Stem(dims[0])
        steps = [Merging(dims[0], dims[1], 2), Merging(dims[1], dims[2], 2), Merging(dims[2], dims[3], 1), None]
        stages = []
        for level, (dim, depth, step) in enumerate(zip(dims, config.depths, steps, strict=True)):
            made: list[nn.Module] = [
                WindowBlock(dim, config.heads[level], config.windows[level]) if level else Bottleneck(dim)
                for _ in range(depth)
            ]
            stages.append(Stage(made, step))
        self.layers = nn.ModuleList(stages)
        out = config.out
        self.neck = nn.Sequential(
            nn.Conv2d(dims[3], out, 1, bias=False),
            MapNorm(out),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            MapNorm(out),
        )

    def forward(self, image: Tensor, **_: Any) -> tuple[Tensor]:
        """(B, 3, S, S) normalised → the map (B, out, S / 16, S / 16), alone in a tuple as `transformers` expects it."""
        x = self.patch_embed(image)
        for stage in self.layers:
            x = stage(x)
        return (self.neck(x),)
