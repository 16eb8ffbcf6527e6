"""What the click net reads of one patch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.core.bank import BankRow, prompt_maps
from terraclick.core.clickmaps import disk_maps
from terraclick.terra.patches import PatchFeatures, cut
from terraclick.values import Click, Prompt, Target, Window

__all__ = ["click_planes", "mirrored", "network_inputs"]

FloatArray = NDArray[np.float32]

DISK_RADIUS = 5.0
"""Radius of a click's disk in network pixels."""


def click_planes(clicks: Sequence[Click], window: Window, side: int, previous: FloatArray | None) -> FloatArray:
    """(3, side, side): previous probabilities (H, W) cut to the window, disks of positive, disks of negative clicks."""
    planes = np.zeros((3, side, side), np.float32)
    if previous is not None:
        planes[0] = cut(previous, window, side, 0.0)
    moved = [
        Click(
            (click.row - window.row + 0.5) / window.rows * side - 0.5,
            (click.col - window.col + 0.5) / window.cols * side - 0.5,
            click.positive,
        )
        for click in clicks
    ]
    planes[1:] = disk_maps(moved, (side, side), DISK_RADIUS)
    return planes


def network_inputs(
    image: NDArray[np.uint8],
    features: PatchFeatures,
    bank: Sequence[BankRow],
    fit: FloatArray,
    prompt: Prompt,
    window: Window,
    previous: FloatArray | None,
) -> dict[str, NDArray[Any]]:
    """The click net's inputs for one patch, without the batch axis; image is (side, side, 3) uint8."""
    side = image.shape[0]
    maps = prompt_maps(bank, features.tokens, window, side)
    return {
        "image": image.transpose(2, 0, 1).astype(np.float32),
        "clicks": click_planes(prompt.clicks, window, side, previous),
        "tokens": features.tokens,
        "shallow": features.shallow,
        "rows": maps.rows,
        "labels": maps.labels,
        "maps": maps.maps,
        "fit": fit,
        "target": np.array([1, 0] if prompt.target is Target.OBJECT else [0, 1], np.float32),
    }


def mirrored(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The click net's inputs for the picture seen in a mirror; prompts' features and the target have no sides."""
    sided = ("image", "clicks", "tokens", "shallow", "labels", "maps", "fit")
    return {name: np.ascontiguousarray(x[..., ::-1]) if name in sided else x for name, x in inputs.items()}
