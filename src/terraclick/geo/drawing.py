"""From a mask to polygons on the map, in the shape asked for: every outline is drawn here."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon

from terraclick.geo.contours import contours
from terraclick.geo.grid import Grid
from terraclick.geo.polygonize import polygonize
from terraclick.geo.regularize import simplify, square_corners
from terraclick.values import Prediction

__all__ = ["drawn", "shaped"]

SQUARE_PX = 3
"""Walls shorter than this are absorbed when squaring without a tolerance of its own."""


def drawn(
    answer: Prediction | None,
    mask: NDArray[np.bool_],
    grid: Grid,
    simplify_m: float | None = None,
    valid: NDArray[np.bool_] | None = None,
    within: Grid | None = None,
) -> list[Polygon]:
    """The outlines of a mask (H, W) that was cleaned from `answer`, in the grid's crs: every outline is made here.

    simplify_m None gives as few corners as the outline needs, 0 the edge of every pixel, any other tolerance the
    line where the probability crosses the threshold, which `shaped` then simplifies.
    """
    if simplify_m == 0:
        return polygonize(mask, grid, within=within)
    probs, threshold = (None, 0.5) if answer is None else (answer.probs, answer.threshold)
    return contours(mask, grid, probs, threshold, valid, within, budget=simplify_m is None)


def shaped(polygons: list[Polygon], grid: Grid, simplify_m: float | None, square: bool) -> Polygon | MultiPolygon:
    """One geometry of all polygons, in the shape asked for."""
    if square:
        tolerance = simplify_m or SQUARE_PX * (grid.metres_per_pixel or 1.0)
        polygons = [square_corners(polygon, tolerance, grid.crs) for polygon in polygons]
    elif simplify_m:
        polygons = [simplify(polygon, simplify_m, grid.crs) for polygon in polygons]
    if len(polygons) == 1:
        return polygons[0]
    whole = shapely.union_all(polygons)  # parts may touch at a corner, or overlap once squared
    return whole if isinstance(whole, Polygon | MultiPolygon) else MultiPolygon()
