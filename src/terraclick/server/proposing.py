"""Find the rest: everything in a view that looks like the examples, as separate outlines, best first."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from shapely.geometry import Polygon

from terraclick.core.cleaning import PIN_HOLE_PX, SPECK_PX
from terraclick.core.masks import drop_specks, fill_holes
from terraclick.core.predictor import Predictor
from terraclick.errors import BadClick
from terraclick.geo.drawing import drawn, shaped
from terraclick.geo.grid import Grid
from terraclick.geo.polygonize import only_real, rasterize
from terraclick.server.clicking import AreaGeometry, Shape, shape_of
from terraclick.server.encodings import Encoded
from terraclick.server.images import Scene
from terraclick.values import Click, Prompt, Reference, Target

__all__ = ["propose"]

MOST_CLICKS = 12
"""Known objects that serve as clicks."""
SMALLEST = 0.1
"""Parts smaller than this share of the examples' median area are left out."""


def propose(
    predictor: Predictor,
    encoding: Encoded,
    scene: Scene,
    references: Sequence[Reference],
    same: Sequence[AreaGeometry],
    known: Sequence[AreaGeometry],
    limit: int,
    simplify_m: float | None = None,
    square: bool = False,
) -> list[Shape]:
    """Outlines of what looks like `references` and the objects `same`, without what is `known` (both on the map).

    Ranked by mean probability, less for parts far from the median size of `same`. Raises BadClick without examples.
    """
    grid = encoding.grid
    clicks = tuple(_middles(same, grid))[:MOST_CLICKS]
    if not clicks and not any(reference.positive for reference in references):
        raise BadClick("nothing to look for: take an object of the class as an example first.")
    answer = predictor.predict(encoding.encoded, Prompt(clicks, Target.CLASS, tuple(references)), None)
    usual = float(np.median([_area_px(polygon, grid) for polygon in same])) if same else None
    mask = answer.mask if encoding.valid is None else answer.mask & encoding.valid
    if known:
        # a pixel's rim around what is known would only be proposed as a ring
        taken = rasterize(list(known), grid).astype(np.uint8)
        mask = mask & (cv2.dilate(taken, np.ones((3, 3), np.uint8)) == 0)
    least = SPECK_PX if usual is None else max(SPECK_PX, round(SMALLEST * usual))
    mask = fill_holes(mask, PIN_HOLE_PX)
    mask = drop_specks(mask if encoding.valid is None else mask & encoding.valid, least)
    labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[1]
    areas = np.bincount(labels.ravel())
    means = np.bincount(labels.ravel(), weights=answer.probs.ravel()) / np.maximum(areas, 1)
    found: list[tuple[float, Polygon]] = []
    for polygon in drawn(answer, mask, grid, simplify_m, encoding.valid, scene.grid):
        at = polygon.representative_point()
        click = grid.to_click(at.x, at.y)
        row, col = _inside(click, grid.shape)
        label = labels[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2].max()  # a thin part's middle may miss it
        if label == 0 or areas[label] < least:
            continue
        likeness = 1.0
        if usual is not None:
            ratio = min(areas[label], usual) / max(areas[label], usual)
            likeness = 0.5 + 0.5 * float(np.sqrt(ratio))
        found.append((float(means[label]) * likeness, polygon))
    found.sort(key=lambda pair: -pair[0])
    shapes = []
    for score, polygon in found[:limit]:
        real = only_real(shaped([polygon], grid, simplify_m, square), grid, encoding.valid, scene.grid)
        if not real.is_empty:
            shapes.append(shape_of(real, scene, score))
    return shapes


def _inside(click: Click, shape: tuple[int, int]) -> tuple[int, int]:
    return min(max(round(click.row), 0), shape[0] - 1), min(max(round(click.col), 0), shape[1] - 1)


def _middles(polygons: Sequence[AreaGeometry], grid: Grid) -> list[Click]:
    """A click well inside each polygon, where that is in the view."""
    points = (polygon.representative_point() for polygon in polygons)
    clicks = (grid.to_click(point.x, point.y) for point in points)
    return [click for click in clicks if grid.holds(click)]


def _area_px(polygon: AreaGeometry, grid: Grid) -> float:
    return float(polygon.area / abs(grid.transform.determinant))
