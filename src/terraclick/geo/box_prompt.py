"""Boxes around things on the map and in the pixels of a view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from terraclick.errors import BadClick
from terraclick.geo.grid import Grid
from terraclick.values import Box

__all__ = ["MapBox", "box_between", "box_on", "box_within", "check_box", "corners_of"]

MapBox: TypeAlias = tuple[float, float, float, float]
"""(x1, y1, x2, y2) with x1 < x2 and y1 < y2, in the raster's coordinates or in pixels from its top-left corner."""

SLACK_PX = 1e-6
"""A corner may lie so far outside the picture by rounding."""


def check_box(given: Any) -> MapBox:
    """Four finite numbers as a box. Raises BadClick, saying what was expected."""
    numbers = given if isinstance(given, Sequence) and not isinstance(given, str) else ()
    fine = len(numbers) == 4 and all(
        isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)
        for value in numbers
    )
    if not fine or not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):
        raise BadClick(
            f"{str(given)[:80]} was given as a box: expected four numbers x1, y1, x2, y2 with x1 < x2 and y1 < y2."
        )
    x1, y1, x2, y2 = map(float, numbers)
    return x1, y1, x2, y2


def box_on(box: MapBox, grid: Grid, pixels: bool = False) -> Box:
    """A box in pixels of a view: the upright rectangle around its four corners there.

    With `pixels` the box is in pixels from the grid's top-left corner instead of on the map.
    """
    x1, y1, x2, y2 = box
    if pixels:
        return Box(y1 - 0.5, x1 - 0.5, y2 - 0.5, x2 - 0.5)
    corners = [grid.to_click(x, y) for x in (x1, x2) for y in (y1, y2)]
    rows, cols = [corner.row for corner in corners], [corner.col for corner in corners]
    return Box(min(rows), min(cols), max(rows), max(cols))


def corners_of(box: Box, grid: Grid) -> MapBox:
    """The places on the map of the top-left and the bottom-right corner of a box of a view, as they are stored.

    They say the same box on every view of the image, turned ones included; the numbers need not be in order.
    """
    return (*grid.to_map(box.top, box.left), *grid.to_map(box.bottom, box.right))


def box_between(corners: MapBox, grid: Grid) -> Box:
    """The box of a view whose corners were stored by `corners_of`."""
    first, last = grid.to_click(*corners[:2]), grid.to_click(*corners[2:])
    rows, cols = sorted((first.row, last.row)), sorted((first.col, last.col))
    return Box(rows[0], cols[0], rows[1], cols[1])


def box_within(box: Box, shape: tuple[int, int]) -> Box | None:
    """The box, held at the edges of a picture of `shape` (H, W); None if it reaches beyond them."""
    rows, cols = shape
    least, down, across = -0.5 - SLACK_PX, rows - 0.5 + SLACK_PX, cols - 0.5 + SLACK_PX
    if box.top < least or box.left < least or box.bottom > down or box.right > across:
        return None
    return Box(max(box.top, -0.5), max(box.left, -0.5), min(box.bottom, rows - 0.5), min(box.right, cols - 0.5))
