"""A picture to look at: the image, the outlines on it, the clicks as green (include) and red (exclude) dots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from terraclick.files import write_bytes
from terraclick.geo.grid import Grid
from terraclick.values import Bounds, Click

__all__ = ["Drawing", "around", "draw", "write_png"]

Drawing = tuple[BaseGeometry, Sequence[tuple[float, float, bool]]]
"""An outline and its clicks (x, y, positive), both in the coordinates of the grid they are drawn on."""

LINE = (255, 225, 30)  # colours are RGB
FILL_SHARE = 0.22
INCLUDE, EXCLUDE, RIM = (40, 200, 70), (230, 40, 40), (255, 255, 255)
SUBPIXEL_BITS = 4


def draw(
    image: NDArray[np.uint8],
    grid: Grid,
    drawings: Iterable[Drawing],
    zoom: int = 1,
    boxes: Iterable[BaseGeometry] = (),
) -> NDArray[np.uint8]:
    """The image (H, W, 3) RGB, each pixel shown `zoom` times larger, with outlines, clicks and boxes drawn on it."""
    canvas = np.repeat(np.repeat(image, zoom, axis=0), zoom, axis=1).copy()
    drawings = list(drawings)
    tint = canvas.copy()
    rings = [[_points(grid, ring, zoom) for ring in _rings(geometry)] for geometry, _ in drawings]
    for group in rings:
        if group:
            cv2.fillPoly(tint, group, LINE, cv2.LINE_AA, SUBPIXEL_BITS)
    canvas = np.asarray(cv2.addWeighted(tint, FILL_SHARE, canvas, 1 - FILL_SHARE, 0), np.uint8)
    for group in rings:
        cv2.polylines(canvas, group, True, LINE, 2, cv2.LINE_AA, SUBPIXEL_BITS)
    for box in boxes:
        line = _points(grid, shapely.get_coordinates(box), zoom)
        cv2.polylines(canvas, [line], False, RIM, 1, cv2.LINE_AA, SUBPIXEL_BITS)
    for _, clicks in drawings:
        for x, y, positive in clicks:
            (place,) = _points(grid, np.array([[x, y]]), zoom)
            radius = 5 << SUBPIXEL_BITS
            cv2.circle(canvas, tuple(map(int, place)), radius + 24, RIM, -1, cv2.LINE_AA, SUBPIXEL_BITS)
            cv2.circle(
                canvas, tuple(map(int, place)), radius, INCLUDE if positive else EXCLUDE, -1, cv2.LINE_AA, SUBPIXEL_BITS
            )
    return np.asarray(canvas, dtype=np.uint8)


def around(drawings: Sequence[Drawing], grid: Grid, margin: float = 0.3, least_px: int = 256) -> Bounds:
    """The square of `grid` worth showing: all outlines and clicks with a margin, never less than `least_px`."""
    places = [np.array([click[:2] for click in clicks]).reshape(-1, 2) for _, clicks in drawings]
    places += [shapely.get_coordinates(geometry) for geometry, _ in drawings]
    at = [grid.to_click(x, y) for x, y in np.concatenate(places)]
    rows, cols = [click.row for click in at], [click.col for click in at]
    side = max(max(rows) - min(rows), max(cols) - min(cols)) * (1 + 2 * margin)
    half = max(side, least_px) / 2
    row, col = (max(rows) + min(rows)) / 2, (max(cols) + min(cols)) / 2
    corners = [grid.to_map(row + r, col + c) for r in (-half, half) for c in (-half, half)]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def write_png(image: NDArray[np.uint8], path: Path) -> None:
    """Write an RGB picture as PNG in one move. Raises BadOutput if the file cannot be written."""
    write_bytes(path, bytes(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]))


def _rings(geometry: BaseGeometry) -> list[NDArray[np.float64]]:
    polygons = [part for part in shapely.get_parts(geometry) if not part.is_empty]
    return [np.asarray(ring.coords)[:, :2] for p in polygons for ring in (p.exterior, *p.interiors)]


def _points(grid: Grid, places: NDArray[np.float64], zoom: int) -> NDArray[np.int32]:
    """Map points (n, 2) as OpenCV's (col, row) in sixteenths of a pixel, pixel centres at integers as there."""
    clicks: list[Click] = [grid.to_click(x, y) for x, y in places]
    at = np.array([[click.col, click.row] for click in clicks]) * zoom + (zoom - 1) / 2
    return np.rint(np.clip(at, -1e5, 1e5) * (1 << SUBPIXEL_BITS)).astype(np.int32)
