"""Clicks painted on the pixel grid, the way click networks read them (numpy twins of the torch ones)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from terraclick.values import Click

__all__ = ["disk_maps", "distance_maps", "squared_distance"]

FAR = 1e6
"""Squared distance where there is no click at all (published value)."""


def squared_distance(clicks: Sequence[Click], shape: tuple[int, int], scale: float = 1.0) -> NDArray[np.float32]:
    """Squared distance (H, W) to the nearest click, in units of `scale` pixels; 1e6 without clicks."""
    nearest = np.full(shape, FAR, dtype=np.float32)
    rows, cols = np.arange(shape[0], dtype=np.float32), np.arange(shape[1], dtype=np.float32)
    unit = np.float32(scale)
    for click in clicks:
        down = ((rows - np.float32(click.row)) / unit) ** 2
        across = ((cols - np.float32(click.col)) / unit) ** 2
        np.minimum(nearest, down[:, None] + across[None, :], out=nearest)
    return nearest


def _both(clicks: Sequence[Click], shape: tuple[int, int], scale: float = 1.0) -> NDArray[np.float32]:
    """Squared distances (2, H, W): to positive, then to negative clicks."""
    signs = ([c for c in clicks if c.positive], [c for c in clicks if not c.positive])
    return np.stack([squared_distance(side, shape, scale) for side in signs])


def disk_maps(clicks: Sequence[Click], shape: tuple[int, int], radius: float = 5.0) -> NDArray[np.float32]:
    """Paint each click as a filled disk, sub-pixel centre: (2, H, W) of 0 and 1, positive then negative."""
    maps = np.zeros((2, *shape), dtype=np.float32)
    for click in clicks:
        rows, cols = _near(click.row, radius, shape[0]), _near(click.col, radius, shape[1])
        down = (np.arange(rows.start, rows.stop, dtype=np.float32) - np.float32(click.row)) ** 2
        across = (np.arange(cols.start, cols.stop, dtype=np.float32) - np.float32(click.col)) ** 2
        maps[0 if click.positive else 1, rows, cols][down[:, None] + across[None, :] <= radius * radius] = 1
    return maps


def _near(place: float, radius: float, length: int) -> slice:
    """The pixels of 0 … length − 1 that a disk around `place` may touch."""
    start = min(max(int(place - radius), 0), length)
    return slice(start, max(min(int(place + radius) + 2, length), start))


def distance_maps(clicks: Sequence[Click], shape: tuple[int, int], radius: float = 5.0) -> NDArray[np.float32]:
    """tanh(2·distance / radius) to the nearest click: (2, H, W) in [0, 1], 1 without clicks."""
    return np.asarray(np.tanh(2 * np.sqrt(_both(clicks, shape, radius))), dtype=np.float32)
