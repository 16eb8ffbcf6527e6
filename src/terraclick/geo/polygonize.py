"""Masks to polygons on the map and back, exactly.

Outlines are traced in whole pixel corners and only then laid on the map through the full affine, so a rotated grid is
as exact as a north-up one. Pixels that touch at a corner alone become two polygons; every hole belongs to the polygon
it lies in.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadGrid
from terraclick.geo.affine import through
from terraclick.geo.grid import Grid
from terraclick.values import Window

__all__ = ["moved", "only_real", "polygonize", "polygons_within", "rasterize", "valid_parts"]

BEYOND_PX = 1e-6
"""So far beyond an image's edge is rounding."""


def polygonize(
    mask: NDArray[np.bool_], grid: Grid, min_area_px: float = 0, within: Grid | None = None
) -> list[Polygon]:
    """Outlines of a mask (H, W) as valid polygons in the grid's crs, each with its own holes; none smaller than asked.

    The last pixels of a coarse grid may reach beyond the image: with `within`, the image's own grid, they are cut off.
    Raises BadGrid if mask and grid differ in shape.
    """
    if mask.shape != grid.shape:
        raise BadGrid(f"a mask of {mask.shape} pixels was given for a grid of {grid.shape}: read both from one view.")
    found: list[Polygon] = []
    box = Window.around(mask)
    if box is None:
        return found
    levels = np.ascontiguousarray(mask[box.slices], dtype=np.uint8)
    inside = {"connectivity": 4, "transform": Affine.translation(box.col, box.row)}
    from rasterio.features import shapes

    for shape, _ in shapes(levels, mask=levels.astype(bool), **inside):
        rings = shape["coordinates"]
        for polygon in valid_parts(Polygon(rings[0], rings[1:])):
            if polygon.area >= min_area_px:
                found.append(moved(polygon, grid.transform))
    if within is None:
        return found
    return [part for polygon in found for part in polygons_within(polygon, within)]


def _parts(geometry: BaseGeometry) -> list[Polygon]:
    return [part for part in shapely.get_parts(geometry).tolist() if isinstance(part, Polygon) and not part.is_empty]


def only_real(
    geometry: BaseGeometry, grid: Grid, valid: NDArray[np.bool_] | None, within: Grid | None = None
) -> BaseGeometry:
    """A shaped outline without what simplifying or squaring added where `grid` holds no data, or beyond `within`.

    valid is (H, W) on the grid, None = all of it. The same object comes back where nothing is to be cut.
    """
    if geometry.is_empty:
        return geometry
    cut = geometry if within is None else _within(geometry, within)
    if valid is not None:
        unreal = rasterize([cut], grid) & ~valid
        if unreal.any():
            cut = cut.difference(shapely.union_all(polygonize(unreal, grid)))
    if cut is geometry:
        return geometry
    parts = _parts(cut)
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def polygons_within(geometry: BaseGeometry, image: Grid) -> list[Polygon]:
    """The polygons of a geometry without what lies beyond an image."""
    return _parts(_within(geometry, image))


def _within(geometry: BaseGeometry, image: Grid) -> BaseGeometry:
    """A geometry without what lies beyond an image; the same object where nothing does."""
    rows, cols = image.shape
    at = shapely.get_coordinates(moved(geometry, ~image.transform))
    if (at >= -BEYOND_PX).all() and (at <= np.array([cols, rows]) + BEYOND_PX).all():
        return geometry
    return geometry.intersection(moved(shapely.box(0, 0, cols, rows), image.transform))


def rasterize(polygons: Iterable[BaseGeometry], grid: Grid) -> NDArray[np.bool_]:
    """The pixels (rows, cols) whose centres lie inside any of the polygons (grid's crs): undoes `polygonize`."""
    inverse = ~grid.transform
    local = [moved(polygon, inverse) for polygon in polygons if not polygon.is_empty]
    if not local:
        return np.zeros(grid.shape, dtype=np.bool_)
    from rasterio.features import rasterize as burn

    burnt = burn(local, out_shape=grid.shape, fill=0, default_value=1, dtype="uint8")
    return np.asarray(burnt, dtype=np.bool_)


def valid_parts(polygon: Polygon) -> list[Polygon]:
    """The polygon, or the valid ones of the same area it stands for (a hole that touches itself is two holes)."""
    if polygon.is_valid:
        return [polygon]
    repaired = shapely.make_valid(polygon, method="structure", keep_collapsed=False)
    return [part for part in shapely.get_parts(repaired) if isinstance(part, Polygon) and not part.is_empty]


def moved(geometry: BaseGeometry, transform: Affine) -> BaseGeometry:
    """A geometry through an affine, outer rings counter-clockwise."""
    return shapely.orient_polygons(through(geometry, transform))
