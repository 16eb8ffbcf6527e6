"""Pieces that several click networks share: click maps, the plain click ViT, its pyramid and its head.

Facts: SimpleClick (Liu et al. 2023, https://arxiv.org/abs/2210.11006), which CrossCut, RefCut, MFP and RS-ISRefiner
build on. Points are (B, 2P, 3) = (row, col, order): the first P slots positive, the last P negative, −1 where empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.vit import Block, PatchEmbed, ViTConfig, resize_positions
from terraclick.errors import BadConfig

__all__ = [
    "ClickViT",
    "ClickViTConfig",
    "ConvRelu",
    "PyramidHead",
    "SeparableConv",
    "SimplePyramid",
    "bias_of",
    "click_disk_maps",
    "click_distance_maps",
    "from_windows",
    "normalise",
    "pad_to",
    "resize_map",
    "to_windows",
    "under_disks",
    "valid_points",
]

FAR = 1e6
"""Squared distance where there is no click at all (published value)."""

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


def normalise(image: Tensor) -> Tensor:
    """RGB and further bands (B, 3 …, H, W) in 0…1 → ImageNet-normalised; a further band as the mean of the three."""
    more = image.shape[1] - 3
    mean, deviation = (
        torch.tensor((*three, *[sum(three) / 3] * more), dtype=image.dtype, device=image.device).view(1, -1, 1, 1)
        for three in (MEAN, DEVIATION)
    )
    return (image - mean) / deviation


def pad_to(x: Tensor, multiple: int) -> Tensor:
    """Zeros below and right of (B, C, H, W) until both sides are multiples; x itself where they are."""
    rows, cols = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    return functional.pad(x, (0, cols, 0, rows)) if rows or cols else x


def resize_map(x: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Bilinear resize of (B, C, h, w) without antialiasing; x itself where it has that size."""
    if x.shape[-2:] == torch.Size(size):
        return x
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


def bias_of(layer: nn.Conv2d | nn.Linear) -> Tensor:
    """The bias (O,) of a layer that was made with one."""
    assert layer.bias is not None
    return layer.bias


def valid_points(points: Tensor) -> Tensor:
    """(B, 2P) bool: slots that hold a click, that is, whose row or col is not negative."""
    return points[..., :2].amax(dim=-1) >= 0


def under_disks(points: Tensor, size: tuple[int, int], radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels that disks may cover: points (B, K, 3) → rows (B, K, S), cols (B, K, S), inside (B, K, S, S) bool.

    The centre is sub-pixel, pixel centres are at whole numbers. Slots without a click and pixels beyond `size` are
    never inside.
    """
    steps = torch.arange(-int(radius) - 1, int(radius) + 2, device=points.device)
    down = points[..., 0, None].floor().long() + steps
    across = points[..., 1, None].floor().long() + steps
    near = (down - points[..., 0, None]).square()[..., :, None] + (across - points[..., 1, None]).square()[..., None, :]
    there = ((down >= 0) & (down < size[0]))[..., :, None] & ((across >= 0) & (across < size[1]))[..., None, :]
    return down, across, (near <= radius * radius) & there & valid_points(points)[..., None, None]


def click_disk_maps(points: Tensor, size: tuple[int, int], radius: float = 5.0) -> Tensor:
    """Paint each click as a filled disk: points (B, 2P, 3) → maps (B, 2, H, W) of 0 and 1, positive then negative.

    Only the pixels under a disk are visited.
    """
    batch, (rows, cols) = len(points), size
    down, across, inside = under_disks(points, size, radius)
    place = down.clamp(0, rows - 1)[..., :, None] * cols + across.clamp(0, cols - 1)[..., None, :]
    maps = torch.zeros(batch, 2, rows * cols, dtype=points.dtype, device=points.device)
    maps = maps.scatter_reduce(2, place.reshape(batch, 2, -1), inside.to(points.dtype).reshape(batch, 2, -1), "amax")
    return maps.view(batch, 2, rows, cols)


def click_distance_maps(points: Tensor, size: tuple[int, int], radius: float = 5.0) -> Tensor:
    """tanh(2·distance/radius) to the nearest click of each sign: (B, 2P, 3) → (B, 2, H, W), 1 without clicks."""
    batch, slots = points.shape[:2]
    nearest = torch.full((batch, 2, *size), FAR, dtype=points.dtype, device=points.device)
    rows = torch.arange(size[0], dtype=points.dtype, device=points.device)
    cols = torch.arange(size[1], dtype=points.dtype, device=points.device)
    valid = valid_points(points).view(batch, 2, -1)
    pairs = points.view(batch, 2, slots // 2, 3)
    for slot in range(slots // 2):
        down = ((rows - pairs[:, :, slot, 0, None]) / radius).square()
        across = ((cols - pairs[:, :, slot, 1, None]) / radius).square()
        squared = down[..., :, None] + across[..., None, :]
        nearest = torch.minimum(nearest, torch.where(valid[:, :, slot, None, None], squared, FAR))
    return torch.tanh(2 * nearest.sqrt())


@dataclass(frozen=True)
class ClickViTConfig:
    """Size of the plain ViT that reads an image and its clicks."""

    patch: int = 16
    """Side of a patch in pixels."""
    dim: int = 768
    """Channels of a token."""
    depth: int = 12
    """Number of blocks."""
    heads: int = 12
    """Attention heads per block."""
    size: int = 448
    """Side in pixels of the picture the position table was made for."""
    global_every: int | None = None
    """Attention is global in every so many blocks; None = 6 of 12 blocks, else a quarter of the depth."""
    windowed: bool = True
    """Whether the other blocks attend within windows of 224 pixels (RS-ISRefiner drops the windows)."""
    bands: int = 3
    """Bands of the picture: red, green, blue, and those that follow them in its file."""

    def __post_init__(self) -> None:
        if self.dim % self.heads or self.size % self.patch:
            raise BadConfig(
                f"dim {self.dim} is not a multiple of heads {self.heads}, or size {self.size} not of patch "
                f"{self.patch}: correct the ViT's configuration."
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the position table."""
        return self.size // self.patch, self.size // self.patch

    @property
    def window(self) -> int:
        """Side of a window in tokens."""
        return 224 // self.patch

    @property
    def global_blocks(self) -> frozenset[int]:
        """Numbers (from 1) of the blocks whose attention is global."""
        every = self.global_every or (6 if self.depth == 12 else self.depth // 4)
        return frozenset(n for n in range(1, self.depth + 1) if not self.windowed or n % every == 0)


def to_windows(x: Tensor, side: int) -> Tensor:
    """A map (B, C, h, w) → tokens in window order (B · windows, side², C); h and w multiples of the side."""
    batch, dim, rows, cols = x.shape
    x = x.reshape(batch, dim, rows // side, side, cols // side, side).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(-1, side * side, dim)


def from_windows(x: Tensor, side: int, grid: tuple[int, int]) -> Tensor:
    """Tokens in window order (B · windows, side², C) → a map (B, C, h, w), channels last in memory.

    The layout is the published one (a transposed token sequence), which matters for parity: PyTorch's group norm sums
    in another order on it, up to 1e-3 of a logit.
    """
    rows, cols = grid
    x = x.reshape(-1, rows // side, cols // side, side, side, x.shape[-1]).transpose(2, 3)
    return x.reshape(-1, rows, cols, x.shape[-1]).permute(0, 3, 1, 2)


class ClickViT(nn.Module):
    """A plain ViT without a final norm, most blocks attending within windows; class entry of the positions unused.

    Tokens are kept in window order all the way: a windowed block sees windows as batch items, a global one sees the
    same memory as one long sequence, and no block moves a token.
    """

    def __init__(self, config: ClickViTConfig) -> None:
        super().__init__()
        self.config = config
        rows, cols = config.grid
        plain = ViTConfig(config.patch, config.dim, config.depth, config.heads, config.grid)
        self.patch_embed = PatchEmbed(plain, config.bands)
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + rows * cols, config.dim))
        self.blocks = nn.ModuleList(Block(plain) for _ in range(config.depth))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    @property
    def multiple(self) -> int:
        """Sides of an image must be multiples of this many pixels."""
        return self.config.patch * self.config.window

    def embed(self, image: Tensor) -> Tensor:
        """Normalised image (B, 3, H, W), sides multiples of `multiple` → tokens in window order, positions added."""
        tokens = self.patch_embed(image)
        grid = (tokens.shape[-2], tokens.shape[-1])
        places = resize_positions(self.pos_embed, self.config.grid, grid)[:, 1:]
        return to_windows(tokens + places.transpose(1, 2).reshape(1, -1, *grid), self.config.window)

    def forward(self, tokens: Tensor, grid: tuple[int, int], first: int = 1) -> Tensor:
        """Tokens in window order (B · windows, T, C) through blocks `first` … depth → a map (B, C, h, w)."""
        tokens = self.run(tokens, grid, first, self.config.depth)
        return from_windows(tokens, self.config.window, grid)

    def run(self, tokens: Tensor, grid: tuple[int, int], first: int, last: int) -> Tensor:
        """Blocks `first` … `last` (from 1); tokens (B · windows, T, C) in and out, in window order."""
        shape = tokens.shape
        whole = (-1, grid[0] * grid[1], shape[-1])
        for number in range(first, last + 1):
            tokens = tokens.reshape(whole if number in self.config.global_blocks else shape)
            tokens = self.blocks[number - 1](tokens)
        return tokens.reshape(shape)


def _norm(channels: int) -> nn.GroupNorm:
    """One group over all channels."""
    return nn.GroupNorm(1, channels)


class SimplePyramid(nn.Module):
    """A map at stride 16 → four maps at strides 4, 8, 16, 32 (SimpleClick's neck, after Li et al. 2022)."""

    def __init__(self, dim: int, out: tuple[int, int, int, int]) -> None:
        super().__init__()
        wide = max(2 * out[0], dim // 2)
        self.stride4 = nn.Sequential(
            nn.ConvTranspose2d(dim, wide, 2, 2),
            _norm(wide),
            nn.GELU(),
            nn.ConvTranspose2d(wide, wide // 2, 2, 2),
            _norm(wide // 2),
            nn.Conv2d(wide // 2, out[0], 1),
            _norm(out[0]),
            nn.GELU(),
        )
        wide = max(out[1], dim // 2)
        self.stride8 = nn.Sequential(
            nn.ConvTranspose2d(dim, wide, 2, 2), _norm(wide), nn.Conv2d(wide, out[1], 1), _norm(out[1]), nn.GELU()
        )
        self.stride16 = nn.Sequential(nn.Conv2d(dim, out[2], 1), _norm(out[2]), nn.GELU())
        wide = max(out[3], 2 * dim)
        self.stride32 = nn.Sequential(
            nn.Conv2d(dim, wide, 2, 2), _norm(wide), nn.Conv2d(wide, out[3], 1), _norm(out[3]), nn.GELU()
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, h, w) → maps of 4h, 2h, h and h/2 rows."""
        return [self.stride4(x), self.stride8(x), self.stride16(x), self.stride32(x)]


class ConvRelu(nn.Module):
    """A convolution with bias, then ReLU."""

    def __init__(self, source: int, out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(source, out, kernel, stride, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → (B, D, h/stride, w/stride)."""
        return functional.relu(self.conv(x))


class PyramidHead(nn.Module):
    """Four maps → one map of features at stride 4, or finer with `upsample`, and its logits (SimpleClick's head)."""

    def __init__(self, channels: tuple[int, int, int, int], width: int = 256, upsample: int = 1) -> None:
        super().__init__()
        if upsample not in (1, 2, 4):
            raise BadConfig(f"the head cannot upsample by {upsample}: give 1, 2 or 4.")
        self.laterals = nn.ModuleList(ConvRelu(c, width) for c in channels)
        self.fuse = ConvRelu(4 * width, width)
        steps = [width // (2**k) for k in range({1: 0, 2: 1, 4: 2}[upsample] + 1)]
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(a, b, 2, 2), _norm(b), nn.Conv2d(b, b, 1), _norm(b), nn.GELU())
            for a, b in pairwise(steps)
        )
        self.dropout = nn.Dropout2d(0.1)
        self.logits = nn.Conv2d(steps[-1], 1, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps at strides 4, 8, 16, 32 → logits (B, 1, h, w) at stride 4 / upsample."""
        x = self.features(maps)
        for step in self.up:
            x = step(x)
        return self.logits(self.dropout(x))

    def features(self, maps: list[Tensor]) -> Tensor:
        """The fused features (B, width, h, w) at stride 4.

        The 1 × 1 fusion is linear and so is the resize, so each level is fused at its own resolution and then resized:
        the published result (resize, concatenate, fuse) for a fifth of the multiplications.
        """
        size = (maps[0].shape[-2], maps[0].shape[-1])
        shares = self.fuse.conv.weight.chunk(4, dim=1)
        total = functional.conv2d(self.laterals[0](maps[0]), shares[0], self.fuse.conv.bias)
        for level in (1, 2, 3):
            total = total + resize_map(functional.conv2d(self.laterals[level](maps[level]), shares[level]), size)
        return functional.relu(total)


class SeparableConv(nn.Module):
    """Two depth-wise 3 × 3 and a 1 × 1 convolution with batch norms (MFP's XConv); `dim` in, `out` channels out."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.conv3x3_1 = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm1 = nn.BatchNorm2d(dim)
        self.conv3x3_2 = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.conv1x1 = nn.Conv2d(dim, out, 1)
        self.norm2 = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → (B, D, h, w)."""
        x = self.conv3x3_2(self.norm1(self.conv3x3_1(x)))
        return functional.relu(self.norm2(self.conv1x1(x)))
