"""Which part of an image clicks are answered in: the one rule of command line, Python, server, map and QGIS.

An object is looked for in the 1024 px square around the first including click. A class is looked for in what is shown;
where nothing is shown (command line, Python, HTTP without a view), in the 1792 px square around that click. A smaller
image is read whole. Squares start on a coarse lattice of the image, so that neighbouring clicks share a view and its
encoding, and grow by lattice steps until every click lies 32 px inside. What is shown grows to whole cells of 64 px
that hold the clicks, and is read coarser by a power of two where it is wider than 2048 px.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from terraclick.errors import BadClick, BadGrid
from terraclick.values import Click, Target, Window

__all__ = ["COARSEST", "MAX_VIEW_PX", "view_window"]

VIEW_PX = {Target.OBJECT: 1024, Target.CLASS: 1792}
LATTICE_PX = {Target.OBJECT: 256, Target.CLASS: 448}
MAX_VIEW_PX = 4096
MARGIN_PX = 32
"""A click nearer to the edge of the square than this makes the square grow."""
SHOWN_PX = 2048
"""What is shown is read with at most so many pixels a side."""
SHOWN_LATTICE_PX = 64
COARSEST = 2**10
"""No view is read coarser than this many image pixels to one of its own."""


def view_window(
    clicks: Sequence[Click],
    shape: tuple[int, int],
    target: Target,
    factor: float = 1.0,
    *,
    shown: tuple[float, float, float, float] | None = None,
    wider: int = 1,
    coarser: bool = False,
) -> tuple[Window, float]:
    """The window of an image of `shape` that clicks (in its pixels) are answered in, and its resolution.

    The resolution is how many image pixels make one of the view: `factor`, with `coarser` doubled until a square fits
    4096 px. `shown` (left, top, right, bottom, from the image's corner) counts for a class alone; `wider` makes the
    square so many times as wide. Raises BadClick if the clicks lie too far apart, BadGrid if `shown` misses the image.
    """
    if target is Target.CLASS and shown is not None:
        return _around_shown(shown, clicks, shape)
    while True:
        try:
            return _square(clicks, shape, target, factor * wider), factor
        except BadClick:
            if not coarser or factor >= COARSEST:
                raise
            factor *= 2


def _square(clicks: Sequence[Click], shape: tuple[int, int], target: Target, factor: float) -> Window:
    """The square around the first including click, grown until all clicks lie inside."""
    first = next((click for click in clicks if click.positive), clicks[0])
    spans = []
    for along, size in (("row", shape[0]), ("col", shape[1])):
        places = [getattr(click, along) for click in clicks]
        spans.append(_span(getattr(first, along), min(places), max(places), size, target, factor))
    (row, rows), (col, cols) = spans
    if max(rows, cols) > MAX_VIEW_PX * factor:
        raise BadClick(
            f"the clicks of one target need a view of {cols / factor:.0f} × {rows / factor:.0f} px, "
            f"more than {MAX_VIEW_PX}: pass --bounds and a coarser --gsd."
        )
    return Window(row, col, rows, cols)


def _span(place: float, lowest: float, highest: float, size: int, target: Target, factor: float) -> tuple[int, int]:
    """(start, length) along one axis: lattice cells around `place`, more until lowest … highest lie inside."""
    side, step, margin = (round(px * factor) for px in (VIEW_PX[target], LATTICE_PX[target], MARGIN_PX))
    start = 0 if size <= side else min(max(round((place - side / 2) / step) * step, 0), size - 1)
    stop = start + side
    start -= max(0, math.ceil((start - lowest + margin) / step)) * step
    stop += max(0, math.ceil((highest + margin - stop) / step)) * step
    start, stop = max(start, 0), min(stop, size)
    return start, stop - start


def _around_shown(
    shown: tuple[float, float, float, float], clicks: Sequence[Click], shape: tuple[int, int]
) -> tuple[Window, float]:
    """What is shown, grown to whole cells that hold every click, and its resolution."""
    rows, cols = shape
    left = max(0.0, min([shown[0], *(click.col for click in clicks)]))
    top = max(0.0, min([shown[1], *(click.row for click in clicks)]))
    right = min(float(cols), max([shown[2], *(click.col + 1 for click in clicks)]))
    bottom = min(float(rows), max([shown[3], *(click.row + 1 for click in clicks)]))
    if left >= right or top >= bottom:
        raise BadGrid("the view misses the image: move the map over it.")
    factor = 1
    while max(right - left, bottom - top) / factor > SHOWN_PX:
        factor *= 2
    cell = SHOWN_LATTICE_PX * factor
    row, col = int(top // cell) * cell, int(left // cell) * cell
    last_row, last_col = min(rows, math.ceil(bottom / cell) * cell), min(cols, math.ceil(right / cell) * cell)
    return Window(row, col, last_row - row, last_col - col), factor
