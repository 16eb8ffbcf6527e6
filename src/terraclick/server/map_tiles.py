"""Tiles in map coordinates (Web Mercator, XYZ) for programs that know no other: QGIS, Leaflet, MapLibre.

Every pixel of a tile is looked up in the image, so that turned images and all coordinate systems lie where they belong.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadGrid, NotGeoreferenced, UnknownName
from terraclick.geo.affine import apply
from terraclick.geo.boxes import mercator_to
from terraclick.server.images import TILE, Look, Scene, TilePlace, Tiles
from terraclick.values import View, Window

__all__ = ["MAX_ZOOM", "map_tile"]

MAX_ZOOM = 30
EDGE = 20037508.342789244
"""Web Mercator goes from -EDGE to EDGE on both axes."""


def map_tile(tiles: Tiles, scene: Scene, place: TilePlace, look: Look = Look()) -> bytes:  # noqa: B008  frozen
    """A PNG of 256 x 256 pixels, transparent where the image has nothing.

    Raises UnknownName where the image has no such tile, NotGeoreferenced.
    """
    z, x, y = place
    if scene.grid.crs is None:
        raise NotGeoreferenced(f"{scene.name} has no coordinate system: ask for tiles/pixels.")
    if not (0 <= z <= MAX_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
        raise UnknownName(f"there is no map tile {x}, {y} at level {z}.")
    scene.check()
    cols, rows = _places(scene, z, x, y)
    height, width = scene.shape
    inside = np.isfinite(cols) & (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
    if not inside.any():
        raise UnknownName(f"{scene.name} has nothing in the map tile {x}, {y} at level {z}.")
    chosen, limits = tiles.limits(scene, look.bands, look.stretch)
    view = _look(tiles, scene, (cols, rows), inside, chosen, limits)
    return tiles.encoded(view, look.gamma, "png")


def _places(scene: Scene, z: int, x: int, y: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(columns, rows) of the image under each pixel of a tile, from the corner of the first; NaN without a place."""
    side = 2 * EDGE / 2**z
    steps = (np.arange(TILE) + 0.5) / TILE * side
    xs, ys = np.meshgrid(-EDGE + x * side + steps, EDGE - y * side - steps)
    assert scene.grid.crs is not None  # `map_tile` answers for placed images alone
    east, north = mercator_to(scene.grid.crs, xs, ys)
    nowhere = ~(np.isfinite(east) & np.isfinite(north))
    east[nowhere] = north[nowhere] = np.nan
    return apply(~scene.grid.transform, east, north)


def _look(
    tiles: Tiles,
    scene: Scene,
    places: tuple[NDArray[np.float64], NDArray[np.float64]],
    inside: NDArray[np.bool_],
    bands: tuple[int, ...],
    limits: tuple[tuple[float, float], ...],
) -> View:
    """The image at the places of a tile, read at about the tile's own resolution."""
    cols, rows = places
    seen_cols, seen_rows = cols[inside], rows[inside]
    extent = max(float(np.ptp(seen_cols)), float(np.ptp(seen_rows)), 1.0) / math.sqrt(inside.mean())
    factor = 1 << max(0, math.floor(math.log2(max(extent / TILE, 1.0))))
    left, top = math.floor(seen_cols.min() / factor) - 1, math.floor(seen_rows.min() / factor) - 1
    right, bottom = math.ceil(seen_cols.max() / factor) + 2, math.ceil(seen_rows.max() / factor) + 2
    left, top = max(left, 0), max(top, 0)
    if max(right - left, bottom - top) > 4096:
        raise BadGrid(f"this map tile shows too much of {scene.name}: ask for a closer one.")
    read = tiles.view(scene, Window(top, left, bottom - top, right - left), factor, bands, limits)
    at_x = np.where(inside, cols / factor - left - 0.5, -9).astype(np.float32)
    at_y = np.where(inside, rows / factor - top - 0.5, -9).astype(np.float32)
    known = np.ones(read.shape, np.uint8) if read.valid is None else read.valid.astype(np.uint8)
    image = cv2.remap(read.image, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    nearest = np.clip(np.rint(at_x), 0, read.shape[1] - 1).astype(int), np.clip(np.rint(at_y), 0, read.shape[0] - 1)
    valid = known[nearest[1].astype(int), nearest[0]].astype(bool) & inside
    image = image.reshape(TILE, TILE, -1)
    return View(np.ascontiguousarray(image), valid)
