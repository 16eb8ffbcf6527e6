"""Where CrossCut's patches lie, and how bilinear upsampling is written as weights of the tokens below it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from terraclick.blocks.layers import under_disks

__all__ = ["Division", "disk_weights", "division"]


@dataclass(frozen=True)
class Division:
    """Where the patches of one division lie: canvas size, and their first rows and cols in reading order."""

    size: tuple[int, int]
    rows: tuple[int, ...]
    cols: tuple[int, ...]
    canvas: tuple[int, int]
    """The size padded to whole patches."""

    @property
    def corners(self) -> list[tuple[int, int]]:
        """First row and first col of each patch."""
        return [(row, col) for row in self.rows for col in self.cols]


def division(shape: tuple[int, int], n: int, overlap: int, squash: bool, side: int = 448) -> Division:
    """n patches of `side` along the longer side of a picture; `squash` stretches it to a square without overlap."""
    if squash:
        starts = tuple(range(0, n * side, side))
        return Division((n * side, n * side), starts, starts, (n * side, n * side))
    covered = n * side - (n - 1) * overlap
    scale = covered / max(shape)
    size = tuple(max(1, round(length * scale)) for length in shape)
    spans = []
    for length in size:
        count = max(1, ceil((length - overlap) / (side - overlap)))
        room = max(length, side) - side
        spans.append(tuple(round(k * room / max(count - 1, 1)) for k in range(count)))
    return Division((size[0], size[1]), spans[0], spans[1], (max(size[0], side), max(size[1], side)))


def disk_weights(points: Tensor, grid: tuple[int, int], stride: int, radius: float) -> Tensor:
    """Shares of a token grid's bilinear upsampling under each disk: points (B, P, 3) in pixels → (B, P, h·w).

    Averaging the map upsampled ×stride (align_corners=False) over a disk equals these weights times the tokens. Rows
    sum to 1; to 0 for slots without a click.
    """
    batch, slots = points.shape[:2]
    down, across, inside = under_disks(points, (grid[0] * stride, grid[1] * stride), radius)
    share = inside.to(points.dtype) / inside.sum(dim=(-2, -1), keepdim=True).clamp(min=1)
    weights = torch.zeros(batch, slots, grid[0] * grid[1], dtype=points.dtype, device=points.device)
    rows, cols = (_mixed(place, side, stride, points.dtype) for place, side in zip((down, across), grid, strict=True))
    for row, of_row in rows:
        for col, of_col in cols:
            place = row[..., :, None] * grid[1] + col[..., None, :]
            amount = share * of_row[..., :, None] * of_col[..., None, :]
            weights = weights.scatter_add(2, place.flatten(2), amount.flatten(2))
    return weights


def _mixed(place: Tensor, side: int, stride: int, kind: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    """The two cells that bilinear upsampling mixes at a pixel, and their shares."""
    source = ((place.to(kind) + 0.5) / stride - 0.5).clamp(0, side - 1)
    low = source.floor().long()
    return [(low, 1 - (source - low)), ((low + 1).clamp(max=side - 1), source - low)]
