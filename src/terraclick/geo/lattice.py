"""Resolution and bounds become a window of output pixels: for views and for class maps alike.

Output pixels lie on a lattice that starts at the image's first corner; `factor` image pixels make one of them.
"""

from __future__ import annotations

import math

from terraclick.errors import BadGrid
from terraclick.geo.grid import Grid, check_bounds
from terraclick.values import Bounds, Window

__all__ = ["SLIVER", "factor_of", "lattice_shape", "view_lattice", "window_of"]

SLIVER = 1e-3
"""A part of an output pixel that counts for nothing."""


def factor_of(gsd: float, native: float | None) -> float:
    """Image pixels per output pixel at a gsd, where the image's own is `native` metres (None: gsd is in pixels).

    Ground metres and map metres differ a little (0.04 % in UTM). Factors near whole ones become whole, which keeps
    pixels aligned and crisp. Raises BadGrid for a gsd that is not positive.
    """
    if not (math.isfinite(gsd) and gsd > 0):
        raise BadGrid(f"a gsd of {gsd} was given; a positive number of metres per pixel was expected.")
    factor = gsd / native if native is not None else gsd
    whole = max(1.0, round(factor)) if factor >= 1 else 1 / max(1.0, round(1 / factor))
    return whole if abs(factor / whole - 1) < 1e-3 else factor


def lattice_shape(shape: tuple[int, int], factor: float) -> tuple[int, int]:
    """(rows, cols) of the lattice over an image of `shape`."""
    return max(1, math.ceil(shape[0] / factor - SLIVER)), max(1, math.ceil(shape[1] / factor - SLIVER))


def window_of(grid: Grid, bounds: Bounds, factor: float, name: str) -> Window:
    """The output pixels that cover bounds in an image's own coordinates, inside it.

    Raises BadGrid where they miss the image, which is called `name`.
    """
    return _snapped(*_edges(grid, bounds, name), factor, grid.shape)


def view_lattice(
    grid: Grid, bounds: Bounds | None, gsd: float | None, max_side: int, name: str
) -> tuple[float, Window]:
    """(image pixels per output pixel, the window) of a view of at most `max_side` pixels.

    Without a gsd the least whole factor that fits is taken. Raises BadGrid.
    """
    rows, cols = grid.shape
    top, left, bottom, right = 0.0, 0.0, float(rows), float(cols)
    if bounds is not None:
        top, left, bottom, right = _edges(grid, bounds, name)
    factor = 1.0
    if gsd is not None:
        factor = factor_of(gsd, grid.metres_per_pixel)
    elif max(bottom - top, right - left) > max_side:
        factor = float(math.ceil((min(max(bottom, 0), rows) - max(top, 0)) / max_side - 1e-6))
        factor = max(factor, float(math.ceil((min(right, cols) - max(left, 0)) / max_side - 1e-6)), 1.0)
    window = _snapped(top, left, bottom, right, factor, grid.shape)
    if gsd is None and max(window.rows, window.cols) > max_side:
        factor += 1.0
        window = _snapped(top, left, bottom, right, factor, grid.shape)
    if max(window.rows, window.cols) > max_side:
        raise BadGrid(
            f"this view would have {window.cols} x {window.rows} pixels, more than {max_side} on a side: "
            "give smaller bounds or a larger gsd."
        )
    return factor, window


def _edges(grid: Grid, bounds: Bounds, name: str) -> tuple[float, float, float, float]:
    """(top, left, bottom, right) of bounds in image pixels from the first corner. Raises BadGrid where they miss it."""
    rows, cols = grid.shape
    x0, y0, x1, y1 = check_bounds(bounds)
    corners = [grid.to_click(x, y) for x in (x0, x1) for y in (y0, y1)]
    top, bottom = min(c.row for c in corners) + 0.5, max(c.row for c in corners) + 0.5
    left, right = min(c.col for c in corners) + 0.5, max(c.col for c in corners) + 0.5
    edge = 1e-6 * max(1.0, abs(top), abs(left)) if max(rows, cols) > 1 else 1e-9
    if bottom <= edge or right <= edge or top >= rows - edge or left >= cols - edge:
        near = ", ".join(f"{v:.9g}" for v in grid.bounds)
        raise BadGrid(f"the bounds {x0:.9g}, {y0:.9g}, {x1:.9g}, {y1:.9g} miss {name}, which covers {near}.")
    return top, left, bottom, right


def _snapped(top: float, left: float, bottom: float, right: float, factor: float, shape: tuple[int, int]) -> Window:
    """Image edges → whole output pixels that cover them, inside the image; a thousandth of one is forgiven."""
    lines = []
    for low, high, count in zip((top, left), (bottom, right), lattice_shape(shape, factor), strict=True):
        first = min(max(0, math.floor(low / factor + SLIVER)), count - 1)
        last = min(max(first + 1, math.ceil(high / factor - SLIVER)), count)
        lines.append((first, last - first))
    return Window(lines[0][0], lines[1][0], lines[0][1], lines[1][1])
