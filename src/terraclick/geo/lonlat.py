"""Geometries as longitude and latitude, as GeoJSON wants them: cut at the antimeridian, closed over a pole.

A polygon whose corners are moved one by one becomes nonsense where it meets the 180th meridian (RFC 7946, 3.1.9) or
holds a pole. Here its rings are followed around the globe without a leap, then cut into what lies within -180 … 180.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
import shapely.affinity
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData

__all__ = ["WGS84", "Box", "box_of", "boxes_of", "check_lonlat", "joined", "lonlat_bounds", "wrapped"]

WGS84 = CRS.from_epsg(4326)

Box = tuple[float, float, float, float]
"""(west, south, east, north) in degrees; west > east where it goes over the antimeridian (RFC 7946, 5.2)."""

WIDE = 90.0
"""Geometries wider than so many degrees are looked at with more corners."""
PIECES = 64
"""Parts into which the sides of such a geometry are cut before it is followed around the globe."""
NARROW = 10.0
"""A ring no wider than this is followed by its own corners."""
NOTHING = 1e-16
"""Square degrees that are rounding, not a part: a hundredth of a square millimetre at the equator is 8e-19."""
TOUCH = 1e-9
"""So many degrees apart is together."""

Points = NDArray[np.float64]


def wrapped(geometry: BaseGeometry, source: CRS, moved: BaseGeometry, destination: CRS) -> BaseGeometry:
    """`moved`, the corner-wise copy of a polygon from `source` in geographic `destination`, cut at the antimeridian.

    Comes back as it is where it neither meets the 180th meridian nor a pole. Raises BadData for a corner without place.
    """
    if geometry.is_empty or not _suspicious(shapely.get_coordinates(moved)):
        return moved
    continuous = source.is_geographic
    try:
        transformer = Transformer.from_crs(source, destination, always_xy=True)
    except (ProjError, CRSError):
        raise BadData(f"nothing leads from {source.name} to {destination.name}: choose another CRS.") from None

    def follow(ring: Any) -> list[Polygon]:
        lon, lat = _degrees(shapely.get_coordinates(ring), transformer, continuous)
        if np.ptp(lon) > NARROW or np.abs(lat).max() > 89:
            clear = ring if continuous else _beside_pole(ring, transformer)
            finer = shapely.segmentize(clear, max(ring.length / PIECES, 1e-12))
            lon, lat = _degrees(shapely.get_coordinates(finer), transformer, continuous)
        return _area_of(lon, lat)

    parts = []
    for polygon in _polygons(geometry):
        whole: BaseGeometry = shapely.union_all(follow(polygon.exterior))
        for hole in polygon.interiors:
            whole = whole.difference(shapely.union_all(follow(hole)))
        parts += [part for part in _polygons(whole) if part.area > NOTHING]
    if not parts:
        return moved
    together = shapely.union_all(parts) if len(parts) > 1 else parts[0]
    found = _polygons(together)
    return found[0] if len(found) == 1 else MultiPolygon(found)


def _suspicious(points: Points) -> bool:
    """Whether corners in degrees may belong to a shape that meets the antimeridian or a pole."""
    lon, lat = points[:, 0], points[:, 1]
    return bool(
        np.ptp(lon) > WIDE
        or np.abs(lon).max() > 180 - 1e-9
        or np.abs(lat).max() > 89.9
        or not np.isfinite(points).all()
    )


def _beside_pole(ring: Any, transformer: Transformer) -> Any:
    """A ring that runs through a pole, where no longitude is, moved inwards by a millionth of its size."""
    size = math.sqrt(Polygon(ring).area)
    for latitude in (90.0, -90.0):
        try:
            pole = shapely.Point(transformer.transform(0.0, latitude, direction="INVERSE"))
        except (ProjError, ValueError):
            continue
        if not all(map(math.isfinite, pole.coords[0])) or ring.distance(pole) > 1e-6 * size:
            continue
        inside = Polygon(ring).representative_point()
        step = 2e-6 * size / max(inside.distance(pole), 1e-300)
        return shapely.affinity.translate(ring, step * (inside.x - pole.x), step * (inside.y - pole.y))
    return ring


def _degrees(points: Points, transformer: Transformer, continuous: bool) -> tuple[Points, Points]:
    """A ring's corners as longitudes that do not leap (beyond ±180 if need be) and latitudes. Raises BadData.

    `continuous`: the source counts in degrees itself, so that a step from 179 to 181 is what it says.
    """
    found = transformer.transform(points[:, 0], points[:, 1])
    lon, lat = np.asarray(found[0], np.float64), np.asarray(found[1], np.float64)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise BadData("a geometry lies where longitude and latitude are not defined: choose another CRS.")
    if continuous:
        turned: Points = lon + 360 * np.rint((points[:, 0] - lon) / 360)
        return turned, lat
    steps = np.diff(lon)
    steps -= 360 * np.rint(steps / 360)
    lon = lon[0] + np.concatenate([[0.0], np.cumsum(steps)])
    lon[-1] = lon[0] + 360 * np.rint((lon[-1] - lon[0]) / 360)
    return lon, lat


def _area_of(lon: Points, lat: Points) -> list[Polygon]:
    """What a closed ring encloses, in pieces within -180 … 180."""
    if abs(lon[-1] - lon[0]) > 180:  # once around the globe: a pole lies within
        pole = math.copysign(90.0, float(lat.mean()))
        lon = np.concatenate([lon, [lon[-1], lon[0]]])
        lat = np.concatenate([lat, [pole, pole]])
    shape = shapely.make_valid(Polygon(np.column_stack([lon, lat])), method="structure", keep_collapsed=False)
    pieces = []
    first, last = math.floor((lon.min() + 180) / 360), math.ceil((lon.max() - 180) / 360)
    for turns in range(int(first), int(last) + 1):
        part = shape.intersection(shapely.box(360 * turns - 180, -90, 360 * turns + 180, 90))
        pieces += [shapely.affinity.translate(p, -360.0 * turns) for p in _polygons(part) if p.area > NOTHING]
    return pieces


def joined(geometry: BaseGeometry) -> BaseGeometry:
    """The way back from a cut at the antimeridian: parts that meet there as one, beyond 180 degrees.

    Comes back as it is where nothing meets there.
    """
    parts = _polygons(geometry)
    ends = [part.bounds for part in parts]
    if len(parts) < 2 or not (any(e[0] <= -180 + TOUCH for e in ends) and any(e[2] >= 180 - TOUCH for e in ends)):
        return geometry
    if any(e[0] < 0 < e[2] for e in ends):  # a cap over a pole, or a belt around the globe
        return geometry
    east = [shapely.affinity.translate(part, 360.0) if part.bounds[2] <= 0 else part for part in parts]
    together = shapely.union_all(east)
    found = _polygons(together)
    return found[0] if len(found) == 1 else MultiPolygon(found)


def _polygons(geometry: BaseGeometry) -> list[Polygon]:
    return [part for part in _leaves(geometry) if isinstance(part, Polygon) and not part.is_empty]


def _leaves(geometry: BaseGeometry) -> list[BaseGeometry]:
    found: list[BaseGeometry] = []
    for part in shapely.get_parts(geometry).tolist():
        found += [part] if not hasattr(part, "geoms") else _leaves(part)
    return found


# --- boxes -----------------------------------------------------------------------------------------------------------


def box_of(geometries: Iterable[BaseGeometry]) -> Box | None:
    """The smallest box around geometries in -180 … 180 degrees, over the antimeridian where that is smaller."""
    spans, south, north = [], math.inf, -math.inf
    for geometry in geometries:
        for part in _leaves(geometry):
            if part.is_empty:
                continue
            west, low, east, high = part.bounds
            spans.append((west, east))
            south, north = min(south, low), max(north, high)
    if not spans:
        return None
    merged: list[list[float]] = []
    for west, east in sorted(spans):
        if merged and west <= merged[-1][1] + TOUCH:
            merged[-1][1] = max(merged[-1][1], east)
        else:
            merged.append([west, east])
    west, east = merged[0][0], merged[-1][1]
    gaps = [(right[0] - left[1], left[1], right[0]) for left, right in pairwise(merged)]
    outer = 360 - (east - west)
    if gaps and max(gaps)[0] > outer:
        _, east, west = max(gaps)
    return west, south, east, north


def lonlat_bounds(bounds: Sequence[float], crs: CRS) -> Box | None:
    """The box of (left, bottom, right, top) in `crs`, as GeoJSON has it; None where it has no place on the globe."""
    left, bottom, right, top = bounds
    around = shapely.segmentize(shapely.box(left, bottom, right, top), max(right - left, top - bottom) / 16 or 1.0)
    try:
        transformer = Transformer.from_crs(crs, WGS84, always_xy=True)
    except (ProjError, CRSError):
        return None
    moved = shapely.transform(around, transformer.transform, interleaved=False)
    try:
        return box_of([wrapped(around, crs, moved, WGS84)])
    except BadData:
        return None


def boxes_of(box: Sequence[float]) -> list[tuple[float, float, float, float]]:
    """A box that may go over the antimeridian as one or two that do not."""
    west, south, east, north = box
    if west <= east:
        return [(west, south, east, north)]
    return [(west, south, 180.0, north), (-180.0, south, east, north)]


# --- what strangers give ---------------------------------------------------------------------------------------------


def check_lonlat(points: Any, where: str = "a geometry") -> None:
    """Raise BadData where points (n, 2) are no longitudes and latitudes, or a line between two leaps over the globe."""
    at = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    if at.size == 0:
        return
    if np.abs(at[:, 0]).max() > 180 + 1e-6 or np.abs(at[:, 1]).max() > 90 + 1e-6:
        lon, lat = at[np.argmax((np.abs(at[:, 0]) > 180 + 1e-6) | (np.abs(at[:, 1]) > 90 + 1e-6))].tolist()
        raise BadData(
            f"{where} has the point {lon:.10g}, {lat:.10g}: longitudes lie in -180 to 180, latitudes in -90 to 90; "
            "name the file's coordinate system, or correct it."
        )
    leaps = np.abs(np.diff(at[:, 0])) > 180
    over_pole = np.minimum(np.abs(at[1:, 1]), np.abs(at[:-1, 1])) > 90 - 1e-6  # the seam of a cap over a pole
    if (leaps & ~over_pole).any():
        raise BadData(
            f"{where} leaps from one side of the antimeridian to the other: cut it at longitude 180, as RFC 7946 says."
        )
