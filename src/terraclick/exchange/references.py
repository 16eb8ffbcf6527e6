"""References from files: a picture and a mask, cut out around the thing they show."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import geometry_mask

from terraclick.errors import BadData
from terraclick.exchange.imports import import_polygons
from terraclick.geo.grid import Grid
from terraclick.geo.raster import read_info, read_view, resolve_image
from terraclick.values import Bounds, Reference, Stretch, Window

__all__ = ["read_reference"]

POLYGON_ENDINGS = (".geojson", ".json", ".gpkg", ".shp", ".parquet", ".fgb")
AROUND = 2.0
"""Side of the cut-out over the longer side of the thing."""
SMALLEST_PX = 256
LARGEST_PX = 1024
OVERVIEW_PX = 2048


def read_reference(
    image: str | os.PathLike[str],
    mask: str | os.PathLike[str],
    positive: bool = True,
    bands: Sequence[int] | None = None,
    stretch: Stretch = "auto",
) -> Reference:
    """An example: the square of `image` around what `mask` marks, at most 1024 pixels, and the mask on it.

    `mask` is a picture of the same size, not 0 where the thing is, or a file of polygons. The square is twice as long
    as the thing and at least 256 pixels, as far as the image goes. bands and stretch as in `read_view`.
    Raises BadImage, and BadData where the sizes differ or nothing is marked.
    """
    path = resolve_image(image)
    grid = read_info(path).grid
    if Path(mask).suffix.lower() in POLYGON_ENDINGS:
        shapes = [item.geometry for item in import_polygons(Path(mask), grid.crs)]
        window = _around(_box_of(shapes, grid), grid.shape)
        view, cut = read_view(path, grid.window(window).bounds, None, bands, stretch, LARGEST_PX)
        inside = ~geometry_mask(shapes, cut.shape, cut.transform, all_touched=False)
    else:
        other = read_info(resolve_image(mask)).grid
        if other.shape != grid.shape:
            sizes = [f"{g.shape[1]} × {g.shape[0]}" for g in (other, grid)]
            raise BadData(f"{Path(mask).name} has {sizes[0]} pixels, {path.name} {sizes[1]}: give a mask of its size.")
        window = _around(_box_in(mask, other), grid.shape)
        view, cut = read_view(path, grid.window(window).bounds, None, bands, stretch, LARGEST_PX)
        inside = _marked(mask, other.window(window).bounds, LARGEST_PX)[0]
    if not inside.any():
        raise BadData(f"{Path(mask).name} marks nothing on {path.name}: give a mask of the thing to look for.")
    return Reference(view.image, np.asarray(inside, dtype=np.bool_), positive)


def _marked(mask: str | os.PathLike[str], bounds: Bounds | None, side: int) -> tuple[NDArray[np.bool_], Grid]:
    """(H, W) bool and its grid; a coarser pixel counts once a part of it is marked."""
    view, grid = read_view(mask, bounds, None, None, (0, 1), side)
    marked = view.image.any(axis=2)
    if view.valid is not None:
        marked &= view.valid
    return np.asarray(marked, dtype=np.bool_), grid


def _box_in(mask: str | os.PathLike[str], grid: Grid) -> tuple[float, float, float, float] | None:
    """First row, first col, last row, last col of what is marked, in pixels of the whole mask; None if nothing is."""
    marked, seen = _marked(mask, None, OVERVIEW_PX)
    box = Window.around(marked)
    if box is None:
        return None
    down, across = (whole / part for whole, part in zip(grid.shape, seen.shape, strict=True))
    return (
        box.row * down,
        box.col * across,
        box.last_row * down + down - 1,
        box.last_col * across + across - 1,
    )


def _box_of(shapes: Sequence[shapely.Geometry], grid: Grid) -> tuple[float, float, float, float]:
    """The same of polygons on the map."""
    left, bottom, right, top = shapely.total_bounds(shapes)
    corners = [grid.to_click(x, y) for x in (left, right) for y in (bottom, top)]
    rows, cols = [corner.row for corner in corners], [corner.col for corner in corners]
    return min(rows), min(cols), max(rows), max(cols)


def _around(box: tuple[float, float, float, float] | None, shape: tuple[int, int]) -> Window:
    """The square around a box, pushed into the image; the whole image without a box."""
    if box is None:
        return Window(0, 0, *shape)
    side = round(max(AROUND * max(box[2] - box[0] + 1, box[3] - box[1] + 1), SMALLEST_PX))
    spans = []
    for first, last, size in ((box[0], box[2], shape[0]), (box[1], box[3], shape[1])):
        length = min(side, size)
        start = round((first + last + 1 - length) / 2)
        spans.append((min(max(start, 0), size - length), length))
    (row, rows), (col, cols) = spans
    return Window(row, col, rows, cols)
