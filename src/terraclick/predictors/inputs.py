"""What click networks read and say, as arrays: pictures as batches of one, clicks as padded slots. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadConfig
from terraclick.values import Click, View

__all__ = ["GREY", "check_bands", "click_points", "logit", "picture", "sigmoid"]

GREY = (124, 116, 104)
"""What stands where the picture has no data: the mean colour, which the networks see as zero."""


def click_points(clicks: Sequence[Click], slots: int | None = None) -> NDArray[np.float32]:
    """Clicks → (1, 2P, 3) float32 of (row, col, order); P = max(positives, negatives, 1), or `slots` if given.

    Raises BadConfig if there are more clicks of one sign than slots.
    """
    sides: tuple[list[tuple[float, float, float]], ...] = ([], [])
    for order, click in enumerate(clicks):
        sides[0 if click.positive else 1].append((click.row, click.col, float(order)))
    needed = max(len(sides[0]), len(sides[1]), 1)
    if slots is not None and slots < needed:
        raise BadConfig(f"{needed} clicks of one sign do not fit in {slots} slots: give more slots.")
    points = np.full((1, 2, slots or needed, 3), -1, dtype=np.float32)
    for sign, side in enumerate(sides):
        if side:
            points[0, sign, : len(side)] = side
    return points.reshape(1, -1, 3)


def check_bands(view: View, bands: int) -> None:
    """Raises BadConfig where a network reads another number of bands than a view has."""
    if view.image.shape[2] != bands:
        raise BadConfig(
            f"this network reads {bands} bands, and the picture has {view.image.shape[2]} here: click on a file of "
            f"{bands} bands with segment, the map or benchmark, or take a network of three bands."
        )


def picture(view: View) -> NDArray[np.uint8]:
    """A view → (1, bands, H, W) of 0…255; pixels without data get the mean colour, of further bands the mean grey."""
    image = view.image
    if view.valid is not None and not view.valid.all():
        further = [round(sum(GREY) / 3)] * (image.shape[2] - 3)
        image = np.where(view.valid[..., None], image, np.asarray([*GREY, *further], dtype=image.dtype))
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None])


def logit(probs: NDArray[np.floating]) -> NDArray[np.float32]:
    """Finite logits of probabilities; a certain pixel counts as sure to one in a million."""
    safe = np.clip(np.asarray(probs, np.float32), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(safe / (1 - safe)), dtype=np.float32)


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Logits of any shape → probabilities."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))), dtype=np.float32)
