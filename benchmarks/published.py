"""The published order of work of SimpleClick and CrossCut, written plainly, to measure against.

What is transcribed is the order in which the published code does things, from notes on it (no line of it): distances of
every pixel to every click slot, windows cut out and put back at every block, softmax attention spelled out, every level
of the head resized before it is fused; for CrossCut two passes over all patches at every click, feature maps upsampled
to S × S × C, a masked mean per click, a gather at every pixel. Weights come from our networks. `check` compares it with
the recorded runs; `ratios.py` measures it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from terraclick.blocks.layers import normalise
from terraclick.blocks.vit import Block, resize_positions
from terraclick.networks.crosscut.network import CrossCut
from terraclick.networks.simpleclick.network import SimpleClick

FAR = 1e6


def squared_distances(points: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, K, 3) → (B, K, H, W): every pixel to every slot, 1e6 for empty ones."""
    rows = torch.arange(size[0], dtype=points.dtype).view(1, 1, -1, 1).expand(1, 1, *size)
    cols = torch.arange(size[1], dtype=points.dtype).view(1, 1, 1, -1).expand(1, 1, *size)
    difference = torch.stack([rows - points[:, :, 0, None, None], cols - points[:, :, 1, None, None]], dim=2)
    squared = (difference * difference).sum(dim=2)
    squared[points[..., :2].amax(dim=-1) < 0] = FAR
    return squared


def disks(points: Tensor, size: tuple[int, int], radius: float) -> Tensor:
    """(B, 2P, 3) → (B, 2, H, W)."""
    nearest = squared_distances(points, size).unflatten(1, (2, -1)).amin(dim=2)
    return (nearest <= radius * radius).to(points.dtype)


def block(part: Block, x: Tensor) -> Tensor:
    """A transformer block with its attention spelled out."""
    attention = part.attn
    batch, count, dim = x.shape
    qkv = attention.qkv(part.norm1(x)).reshape(batch, count, 3, attention.heads, dim // attention.heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    weights = ((q @ k.transpose(-2, -1)) * (dim // attention.heads) ** -0.5).softmax(dim=-1)
    x = x + attention.proj((weights @ v).transpose(1, 2).reshape(batch, count, dim))
    return x + part.mlp.fc2(functional.gelu(part.mlp.fc1(part.norm2(x))))


def backbone(network: SimpleClick, image: Tensor, clicks: Tensor | None) -> Tensor:
    """Normalised image (B, 3, H, W), click tokens (B, N, C) or none → the ViT's map (B, C, h, w)."""
    vit = network.backbone
    grid = vit.patch_embed(image)
    rows, cols = grid.shape[-2:]
    x = grid.flatten(2).transpose(1, 2)
    x = x + resize_positions(vit.pos_embed, vit.config.grid, (rows, cols))[:, 1:]
    if clicks is not None:
        x = x + clicks
    batch, count, dim = x.shape
    side = vit.config.window
    for number, part in enumerate(vit.blocks, start=1):
        if number in vit.config.global_blocks:
            x = block(part, x)
            continue
        windows = x.view(batch, rows // side, side, cols // side, side, dim).permute(0, 1, 3, 2, 4, 5)
        windows = block(part, windows.reshape(-1, side * side, dim))
        windows = windows.view(batch, rows // side, cols // side, side, side, dim).permute(0, 1, 3, 2, 4, 5)
        x = windows.reshape(batch, count, dim)
    return x.transpose(1, 2).view(batch, dim, rows, cols)


def head(network: SimpleClick, features: Tensor) -> Tensor:
    """The ViT's map → logits at stride 4: every level resized, all concatenated, then fused."""
    maps = network.neck(features)
    size = maps[0].shape[-2:]
    wide = [
        functional.interpolate(lateral(x), size=size, mode="bilinear", align_corners=False)
        for lateral, x in zip(network.head.laterals, maps, strict=True)
    ]
    return network.head.logits(network.head.fuse(torch.cat(wide, dim=1)))


def click_tokens(network: SimpleClick, maps: Tensor) -> Tensor:
    """Previous answer and disks (B, 3, H, W) → tokens (B, N, C)."""
    return network.embed_clicks(maps).flatten(2).transpose(1, 2)


@torch.no_grad()
def simpleclick(network: SimpleClick, image: Tensor, previous: Tensor, points: Tensor) -> Tensor:
    """Logits (B, 1, H, W) of a click, everything done anew."""
    size = (image.shape[-2], image.shape[-1])
    maps = torch.cat([previous, disks(points, size, network.config.radius)], dim=1)
    logits = head(network, backbone(network, normalise(image), click_tokens(network, maps)))
    return functional.interpolate(logits, size=size, mode="bilinear", align_corners=True)


def patches_of(x: Tensor, n: int) -> Tensor:
    """(B, C, S, S) → (B · n², C, S/n, S/n)."""
    side = x.shape[-1] // n
    return x.unflatten(2, (n, side)).unflatten(4, (n, side)).permute(0, 2, 4, 1, 3, 5).flatten(0, 2).contiguous()


def prompt_features(network: CrossCut, features: Tensor, points: Tensor, n: int) -> Tensor:
    """Click-free maps (n², C, 28, 28) and clicks on the canvas (1, 2P, 3) → (n², N, C), through S × S × C maps."""
    whole = features.unflatten(0, (1, n, n)).permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    stride = network.config.vit.patch
    upsampled = functional.interpolate(whole, scale_factor=stride, mode="bilinear", align_corners=False)
    positives = points[:, : points.shape[1] // 2]
    distance = squared_distances(positives, (upsampled.shape[-2], upsampled.shape[-1]))[0]
    bank = []
    for slot, near in enumerate(distance):
        disk = (near <= network.config.radius**2).to(upsampled.dtype)
        if positives[0, slot, :2].max() < 0:
            bank.append(torch.zeros(upsampled.shape[1]))
        else:
            bank.append((upsampled[0] * disk).sum(dim=(1, 2)) / disk.sum())
    vectors = torch.stack(bank)
    labels = patches_of(distance.argmin(dim=0)[None, None], n)[:, 0]
    prompts = []
    for label in labels:
        dense = vectors[label].permute(2, 0, 1)[None]
        small = functional.interpolate(dense, size=features.shape[-2:], mode="bilinear", align_corners=False)
        prompts.append(small.flatten(2).transpose(1, 2))
    return network.prompt(torch.cat(prompts))


@torch.no_grad()
def crosscut(network: CrossCut, image: Tensor, previous: Tensor, points: Tensor, n: int) -> Tensor:
    """Logits (1, 1, H, W) of one division of one picture, both passes done anew."""
    size = (image.shape[-2], image.shape[-1])
    side = network.config.vit.size * n  # 448 a patch as published
    canvas = functional.interpolate(normalise(image), size=(side, side), mode="bilinear", align_corners=False)
    before = functional.interpolate(previous, size=(side, side), mode="nearest")
    placed = points.clone()
    valid = points[..., :2].amax(dim=-1) >= 0
    for axis in range(2):
        placed[..., axis] = torch.where(valid, points[..., axis] * (side / size[axis]), points[..., axis])
    parts = patches_of(canvas, n)
    free = backbone(network, parts, None)
    prompts = prompt_features(network, free, placed, n)
    maps = torch.cat([before, disks(placed, (side, side), network.config.radius)], dim=1)
    logits = head(network, backbone(network, parts, click_tokens(network, patches_of(maps, n)) + prompts))
    whole = logits.unflatten(0, (n, n)).squeeze(2).permute(0, 2, 1, 3).flatten(2, 3).flatten(0, 1)[None, None]
    return functional.interpolate(whole, size=size, mode="bilinear", align_corners=True)


@torch.no_grad()
def fused(network: CrossCut, image: Tensor, previous: Tensor, points: Tensor) -> Tensor:
    """Plain mean of the logits of 2 × 2, 3 × 3 and 4 × 4 patches."""
    return torch.stack([crosscut(network, image, previous, points, n) for n in (2, 3, 4)]).mean(dim=0)
