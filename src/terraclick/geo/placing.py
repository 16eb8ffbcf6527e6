"""Where an image lies: its own tags, what lies beside it, its control points, and what the user said, in that order.

The order of sources is GDAL's, which differs by format: a GeoTIFF's `.aux.xml` goes before its own tags and a world
file comes last; a PNG's world file goes before its `.aux.xml`. A `.prj`, which GDAL leaves unread, counts where nothing
else names a coordinate system. A coordinate system without a transform places nothing and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from pyproj import CRS
from rasterio._err import CPLE_BaseError
from rasterio.control import GroundControlPoint
from rasterio.errors import RasterioError

from terraclick.errors import BadConfig, BadData
from terraclick.geo.crs_text import crs_of_wkt
from terraclick.geo.grid import horizontal
from terraclick.geo.reading import Reading
from terraclick.geo.sidecars import Sidecars

__all__ = ["NOWHERE", "Place", "place_of"]

NOWHERE = "has no coordinate system"
"""Said of an image that has no place at all."""
FIT_PX = 0.5
"""Control points that a straight grid meets within so many pixels are as good as a transform."""


@dataclass(frozen=True)
class Place:
    """transform and crs, either None; notes say what they were taken from; unplaced says why crs is None, "" if not."""

    transform: Affine | None
    crs: CRS | None
    notes: tuple[str, ...]
    unplaced: str = ""


def place_of(path: Path, data: Any, own_tags: bool, beside: Sidecars, reading: Reading) -> Place:
    """Where the open image `data` lies; `own_tags` says whether the file itself holds a transform or control points."""
    own_crs, points, points_crs, rational = _told_by(data)
    own = data.transform if own_tags and not (points and data.transform == Affine.identity()) else None
    notes = list(beside.complaints)
    sources = [(beside.auxiliary, beside.auxiliary_name), (own, ""), (beside.world, beside.world_name)]
    if data.driver == "PNG":
        sources = [sources[2], sources[0]]
    transform, source = next(((t, name) for t, name in sources if t is not None), (None, ""))
    if source and not (own is not None and transform is not None and own.almost_equals(transform, 1e-9)):
        notes.append(f"it is placed by {source}" + (", not by its own tags" if own is not None else ""))
    crs, crs_source = (own_crs, "") if beside.auxiliary_crs is None else (beside.auxiliary_crs, beside.auxiliary_name)
    if crs is None and beside.projection is not None:
        crs, crs_source = beside.projection, beside.projection_name
    if transform is None and (points or beside.points):
        points, points_crs = (points, points_crs) if points else (beside.points, beside.points_crs)
        crs, crs_source = (points_crs or crs), ("" if points_crs else crs_source)
        transform = _fitted(points)
        if transform is None:
            why = f"is placed by {len(points)} control points that no straight grid fits"
            return Place(None, None, tuple(notes), f"{why}: rectify it first (gdalwarp -tps)")
        notes.append(f"it is placed by its {len(points)} control points")
    if transform is None:
        return Place(None, None, tuple(notes), _nowhere(crs, rational, reading))
    if reading.own_crs is not None:
        crs, crs_source = reading.own_crs, "--image-crs"
    if crs is None:
        why = "has map coordinates but nothing says in which coordinate system: pass --image-crs EPSG:N"
        return Place(transform, None, tuple(notes), why)
    try:
        horizontal(crs)
    except BadConfig as error:
        return Place(transform, None, tuple(notes), f"cannot be placed, for {error}".rstrip("."))
    if crs_source and crs_source != source and crs_source != "--image-crs":
        over = ", not its own" if own_crs is not None and not own_crs.equals(crs, True) else ""
        notes.append(f"its coordinate system is that of {crs_source}{over}")
    elif crs_source and crs_source == source and own_crs is not None and not own_crs.equals(crs, True):
        notes.append(f"its coordinate system is that of {crs_source}, not its own")
    return Place(transform, crs, tuple(notes))


def _nowhere(crs: CRS | None, rational: bool, reading: Reading) -> str:
    """Why an image without a transform has no place, and the way out."""
    if rational:
        return "is a raw scene placed by RPC coefficients: rectify it first (gdalwarp -rpc)"
    if crs is not None:
        name = f"names the coordinate system {crs.name}" if reading.own_crs is None else "got --image-crs"
        return f"{name} but nothing says where in it the pixels lie (no geotransform, no world file)"
    return NOWHERE


def _told_by(data: Any) -> tuple[CRS | None, Sequence[GroundControlPoint], CRS | None, bool]:
    """What the file itself says: coordinate system, control points and theirs, whether there are RPCs."""
    crs = parsed(getattr(data, "crs_text", "") or _wkt(data))
    points: Sequence[GroundControlPoint] = ()
    points_crs = None
    rational = False
    try:
        points, said = data.gcps
        points_crs = parsed(said.to_wkt(version="WKT2_2019")) if said else None
        rational = bool(data.tags(ns="RPC"))
    except (RasterioError, CPLE_BaseError, UnicodeDecodeError, ValueError):
        pass
    return crs, points, points_crs, rational


def _wkt(data: Any) -> str:
    try:
        return str(data.crs.to_wkt(version="WKT2_2019")) if data.crs else ""
    except (RasterioError, CPLE_BaseError):
        return ""


def parsed(text: str) -> CRS | None:
    """A coordinate system from the WKT that GDAL gives; None if there is none, or one that names files."""
    try:
        return crs_of_wkt(text) if text else None
    except BadData:
        return None


def _fitted(points: Sequence[GroundControlPoint]) -> Affine | None:
    """The transform that meets control points within half a pixel; None if there is none."""
    pixels = np.array([[p.col, p.row, 1.0] for p in points])
    ground = np.array([[p.x, p.y] for p in points])
    if len(points) < 3 or not (np.abs(pixels).max() < 1e9 and np.abs(ground).max() < 1e12):
        return None
    middle, centre = ground.mean(axis=0), np.array([*pixels.mean(axis=0)[:2], 0.0])
    terms = np.linalg.lstsq(pixels - centre, ground - middle, rcond=None)[0]
    size = abs(np.linalg.det(terms[:2])) ** 0.5
    if not size > 0 or np.abs((pixels - centre) @ terms + middle - ground).max() > FIT_PX * size:
        return None
    terms[2] -= centre[:2] @ terms[:2]
    (a, d), (b, e), (c, f) = terms.tolist()
    return Affine(a, b, c + float(middle[0]), d, e, f + float(middle[1]))
