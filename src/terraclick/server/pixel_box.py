"""A box that was drawn around a thing on the map, in pixels of the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terraclick.core.box import places_of
from terraclick.core.cleaning import check_real_box
from terraclick.errors import BadClick
from terraclick.geo.box_prompt import box_between, box_within, check_box, corners_of
from terraclick.geo.grid import Grid
from terraclick.values import Box, Click

__all__ = ["PixelBox", "check_inside", "on_view", "places"]


@dataclass(frozen=True)
class PixelBox:
    """A box in pixels of the image, corner convention, and when it was drawn (ISO 8601).

    resolution is how many image pixels one pixel of the map showed then, None where nobody said.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    time: str = ""
    resolution: float | None = None

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """(x1, y1, x2, y2)."""
        return self.x1, self.y1, self.x2, self.y2


def check_inside(box: PixelBox, shape: tuple[int, int]) -> None:
    """Raise BadClick for a box that encloses nothing, or reaches outside an image of `shape` (H, W)."""
    check_box(box.corners)
    if box_within(_in_pixels(box), shape) is None:
        said = ", ".join(f"{value:.10g}" for value in box.corners)
        raise BadClick(f"the box {said} reaches outside the image of {shape[1]} x {shape[0]} pixels.")


def _in_pixels(box: PixelBox) -> Box:
    return Box(box.y1 - 0.5, box.x1 - 0.5, box.y2 - 0.5, box.x2 - 0.5)


def places(box: PixelBox) -> tuple[Click, ...]:
    """What a view of the image has to hold, see `core.box.places_of`."""
    return places_of(_in_pixels(box))


def on_view(box: PixelBox, whole: Grid, grid: Grid, valid: NDArray[np.bool_] | None) -> Box:
    """The box on a view of the image `whole`. Raises BadClick where it holds nothing of the picture."""
    found = box_between(corners_of(_in_pixels(box), whole), grid)
    held = box_within(found, grid.shape) or found
    check_real_box(held, valid)
    return held
