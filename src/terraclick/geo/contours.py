"""Outlines people keep: the line where a model's probabilities cross its threshold, with as few corners as it needs.

`contours` follows a mask's own outline, so rings, holes and parts are those of `polygonize`, but every point lies
between two pixel centres where the probability crosses the threshold; a certain answer (0 beside 1) is crossed half
way. With a budget, straight lines are laid through those points and neighbouring lines meet, so that a corner comes
back exactly where two straight walls end. Every step works on all rings at once.
"""

from __future__ import annotations

import numpy as np
import rasterio.features
from affine import Affine
from numpy.typing import NDArray
from shapely import Polygon

from terraclick.errors import BadGrid
from terraclick.geo.fewer_corners import fewer_corners
from terraclick.geo.grid import Grid
from terraclick.geo.polygonize import moved, polygons_within, valid_parts
from terraclick.geo.ring_arrays import Rings, following_of, polygons_of, rings_of, starts_of
from terraclick.values import Window

__all__ = ["contours"]

SURE = 0.6
"""A probability this far from the threshold to 0 or 1 counts as certain: beside its opposite it is crossed half way."""


EDGE = 0.02
"""A crossing keeps this share of a pixel from the two pixel centres it lies between."""


def contours(
    mask: NDArray[np.bool_],
    grid: Grid,
    probs: NDArray[np.float32] | None = None,
    threshold: float = 0.5,
    valid: NDArray[np.bool_] | None = None,
    within: Grid | None = None,
    budget: bool = True,
) -> list[Polygon]:
    """Outlines of a mask (H, W) as valid polygons in the grid's crs, at the place where `probs` crosses `threshold`.

    Where mask and probs disagree (a hole that was filled) the mask counts; towards pixels outside the grid or where
    `valid` is False the outline is the pixels' own edge. With `budget` an outline has as few corners as it needs: see
    `fewer_corners`. What lies beyond `within`, the image's own grid, is cut off. Raises BadGrid if the shapes
    differ.
    """
    for values in (mask, probs, valid):
        if values is not None and values.shape != grid.shape:
            raise BadGrid(f"an array of {values.shape} pixels was given for a grid of {grid.shape}: read one view.")
    traced = _traced(mask)
    if not traced:
        return []
    rings = _crossed(rings_of(traced), mask, probs, threshold, valid)
    exact = polygons_of(rings)
    found = fewer_corners(rings, exact, traced, grid.metres_per_pixel) if budget else exact
    on_map = [moved(part, grid.transform) for polygon in found for part in valid_parts(polygon)]
    return on_map if within is None else [part for polygon in on_map for part in polygons_within(polygon, within)]


def _traced(mask: NDArray[np.bool_]) -> list[Polygon]:
    """The mask's outlines along its pixels' edges, in pixels from the mask's corner."""
    box = Window.around(mask)
    if box is None:
        return []
    levels = np.ascontiguousarray(mask[box.slices], dtype=np.uint8)
    shapes = rasterio.features.shapes(
        levels, mask=levels.astype(bool), connectivity=4, transform=Affine.translation(box.col, box.row)
    )
    polygons = (Polygon(shape["coordinates"][0], shape["coordinates"][1:]) for shape, _ in shapes)
    return [part for polygon in polygons for part in valid_parts(polygon)]


def _crossed(
    rings: Rings,
    mask: NDArray[np.bool_],
    probs: NDArray[np.float32] | None,
    threshold: float,
    valid: NDArray[np.bool_] | None,
) -> Rings:
    """Rings along pixel edges as rings of crossings: one point for each pixel edge."""
    following = following_of(rings)
    step = rings.points[following] - rings.points
    lengths = np.rint(np.abs(step).sum(axis=1)).astype(np.int64)
    edge = np.repeat(np.arange(len(step)), lengths)
    along = np.arange(len(edge)) - np.repeat(starts_of(lengths)[:-1], lengths)
    direction = np.sign(step)[edge]
    middle = rings.points[edge] + (along[:, None] + 0.5) * direction
    across = direction[:, ::-1] * [1, -1]  # the normal: one of the two pixels lies half a pixel this way
    one, other = np.floor(middle + across / 2).astype(np.int64), np.floor(middle - across / 2).astype(np.int64)
    inside = _at(mask, one)
    inner, outer = np.where(inside[:, None], one, other), np.where(inside[:, None], other, one)
    rows, cols = mask.shape
    real = (outer >= 0).all(axis=1) & (outer[:, 0] < cols) & (outer[:, 1] < rows)
    if valid is not None:
        real &= _at(valid, outer)
    if probs is None:
        share = np.full(len(edge), 0.5)
    else:
        low, high = _level(probs, outer, threshold), _level(probs, inner, threshold)
        low, high = np.where(low < 0.5, low, 0.0), np.where(high > 0.5, high, 1.0)  # where the mask says otherwise
        share = np.where(real, (high - 0.5) / (high - low), 0.5)
    points = inner + 0.5 + np.clip(share, EDGE, 1 - EDGE)[:, None] * (outer - inner)
    counts = np.add.reduceat(lengths, rings.starts[:-1])
    return Rings(points, starts_of(counts), rings.owner)


def _at(values: NDArray[np.bool_], pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Values at pixels (N, 2) of column and row; False outside."""
    rows, cols = values.shape
    x, y = pixels.T
    held = (x >= 0) & (y >= 0) & (x < cols) & (y < rows)
    return np.asarray(held & values[np.clip(y, 0, rows - 1), np.clip(x, 0, cols - 1)], dtype=np.bool_)


def _level(probs: NDArray[np.float32], pixels: NDArray[np.int64], threshold: float) -> NDArray[np.float64]:
    """Probabilities at pixels, stretched so that the threshold is one half; beyond SURE on either side is certain."""
    rows, cols = probs.shape
    x, y = np.clip(pixels[:, 0], 0, cols - 1), np.clip(pixels[:, 1], 0, rows - 1)
    level = probs[y, x].astype(np.float64)
    side = np.where(level < threshold, (level - threshold) / threshold, (level - threshold) / (1 - threshold))
    return 0.5 + 0.5 * np.clip(side / SURE, -1, 1)
