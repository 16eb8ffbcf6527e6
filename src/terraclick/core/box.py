"""A box around a thing, said to predictors that read no boxes: by clicks, and by an unsure answer that fills it."""

from __future__ import annotations

import numpy as np

from terraclick.core.masks import pixels_in
from terraclick.values import Box, Click, Prediction, Window

__all__ = ["clicks_for", "filled", "places_of"]

BEYOND = 0.08
"""How far outside a side an excluding click lies, as a share of the box across that side."""

LEAST_PX = 3.0
"""How far outside it lies at least, in view pixels."""

UNSURE = 0.6
"""Probability within a box of the answer that a predictor is told to start from; measured in docs/results/terra.md."""


def clicks_for(box: Box, shape: tuple[int, int]) -> tuple[Click, ...]:
    """An including click in the middle of a box, and an excluding one just outside the middle of each side.

    Clicks that would lie outside a view of `shape` (H, W) are left out: there the thing ends with the picture.
    """
    row, col = box.middle
    down = max(BEYOND * (box.bottom - box.top), LEAST_PX)
    across = max(BEYOND * (box.right - box.left), LEAST_PX)
    outside = (
        Click(box.top - down, col, False),
        Click(box.bottom + down, col, False),
        Click(row, box.left - across, False),
        Click(row, box.right + across, False),
    )
    picture = Window(0, 0, *shape)
    return (Click(row, col), *(click for click in outside if picture.contains(click.row, click.col)))


def filled(box: Box, shape: tuple[int, int]) -> Prediction:
    """The answer to start from: all pixels in the box of a view of `shape` (H, W), but not surely."""
    probs = np.zeros(shape, np.float32)
    probs[pixels_in(box, shape)] = UNSURE
    return Prediction(probs)


def places_of(box: Box) -> tuple[Click, ...]:
    """The middle of a box and two of its corners, as clicks: what a view has to hold, the middle first."""
    return Click(*box.middle), Click(box.top, box.left), Click(box.bottom, box.right)
