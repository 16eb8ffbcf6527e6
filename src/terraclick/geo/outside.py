"""What other programs did to a session: rows drawn elsewhere are adopted, rows that cannot be used are set aside.

`Outside` is what a store remembers of its rows. It looks again whenever another program committed, and reads only the
rows whose revision is new (a trigger raises it at every change from outside).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData
from terraclick.geo.grid import to_geodetic
from terraclick.geo.rows import BadRow, SetAside
from terraclick.geo.tangles import made_valid

__all__ = [
    "Happened",
    "Judged",
    "Outside",
    "corners_lonlat",
    "image_at",
    "in_chunks",
    "judged",
    "mercator_to",
    "somewhere",
    "usable",
]

MOST_KEPT = 1000
"""Rows that are named; beyond it they are only counted."""
REACH = 1e9
"""Coordinates beyond this, in whatever unit, are no place in an image or on the Earth."""


@dataclass(frozen=True)
class Happened:
    """Objects that other programs changed or deleted since somebody asked, by uuid."""

    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


@dataclass(eq=False)
class Outside:
    """What is known of the rows of `objects`: fid → (uuid, rev), those set aside, those that cross themselves (and are
    repaired when they are read), and what happened since somebody asked.
    """

    stamp: Any = None
    rows: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    bad: dict[int, SetAside] = field(default_factory=dict)
    crooked: set[int] = field(default_factory=set)
    other: dict[tuple[str, str], SetAside] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    told: bool = True
    again: bool = False
    pending: bool = False
    heard: float = -math.inf

    def note(self, table: str, row: object, reason: str) -> None:
        """Set a row of another table than `objects` aside."""
        name = str(row)[:80]
        if len(self.other) < MOST_KEPT:
            self.other[table, name] = SetAside(table, name, reason)

    def forget(self, table: str) -> None:
        """Before a table is read again."""
        for key in [key for key in self.other if key[0] == table]:
            del self.other[key]

    def compare(self, now: Mapping[int, tuple[Any, Any]], elsewhere: bool) -> list[int]:
        """Take note of the rows as they are now, (uuid, rev) by fid; gives the fids that are new or changed.

        `elsewhere` says that another program changed them.
        """
        fresh = [fid for fid, row in now.items() if self.rows.get(fid) != row]
        if elsewhere:
            self.changed |= {str(now[fid][0]) for fid in fresh if now[fid][0]}
            gone = {str(row[0]) for fid, row in self.rows.items() if fid not in now and row[0]} | self.own
            self.deleted |= gone - {str(uuid) for uuid, _ in now.values()}
            self.told = False
        self.own = set()
        again = set(fresh)
        self.rows = dict(now)
        self.bad = {fid: row for fid, row in self.bad.items() if fid in now and fid not in again}
        self.crooked = {fid for fid in self.crooked if fid in now and fid not in again}
        return fresh

    def take(self) -> Happened | None:
        """What happened since this was asked last; None if no other program committed anything."""
        if self.told:
            return None
        found = Happened(tuple(sorted(self.changed - self.deleted)), tuple(sorted(self.deleted)))
        self.changed, self.deleted, self.told = set(), set(), True
        return found


def usable(geometry: BaseGeometry) -> MultiPolygon:
    """A polygon that another program stored, repaired where it crosses itself. Raises BadRow if it encloses nothing."""
    if geometry.is_empty or not np.isfinite(shapely.get_coordinates(geometry)).all():
        raise BadRow("its geometry is empty or has a coordinate that is no number")
    try:
        geometry = made_valid(geometry)
    except BadData as error:
        raise BadRow(str(error).rstrip(".")) from None
    parts = [part for part in shapely.get_parts(geometry) if isinstance(part, Polygon | MultiPolygon) and part.area > 0]
    polygons = [polygon for part in parts for polygon in shapely.get_parts(part)]
    if not polygons:
        raise BadRow("its geometry encloses nothing")
    return MultiPolygon(polygons)


def somewhere(boxes: NDArray[np.float64], crs: CRS | None) -> NDArray[np.bool_]:
    """Whether boxes (n, 4: left, bottom, right, top) lie where the coordinate system has places."""
    if len(boxes) == 0:
        return np.zeros(0, dtype=np.bool_)
    fine: NDArray[np.bool_] = np.asarray((np.isfinite(boxes) & (np.abs(boxes) <= REACH)).all(axis=1))
    geodetic = None if crs is None else to_geodetic(crs)
    if geodetic is None:
        return fine
    xs = np.where(fine[:, None], boxes[:, [0, 2, 0, 2]], 0.0)
    ys = np.where(fine[:, None], boxes[:, [1, 1, 3, 3]], 0.0)
    lon, lat = geodetic[0].transform(xs.ravel(), ys.ravel(), errcheck=False)
    placed = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90.000001) & (np.abs(lon) <= 720.000001)
    return np.asarray(fine & placed.reshape(-1, 4).all(axis=1))


def corners_lonlat(boxes: NDArray[np.float64], crs: CRS) -> NDArray[np.float64]:
    """Boxes (n, 4) in degrees (west, south, east, north) by their corners; NaN where that would not be right: near the
    antimeridian, near a pole, and where the coordinate system has no place.
    """
    xs, ys = boxes[:, [0, 2, 0, 2]].ravel(), boxes[:, [1, 1, 3, 3]].ravel()
    try:
        found = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform(xs, ys, errcheck=False)
    except ProjError:
        return np.full(boxes.shape, np.nan)
    lon, lat = (np.asarray(values, np.float64).reshape(-1, 4) for values in found)
    with np.errstate(invalid="ignore"):
        sure = (np.isfinite(lon) & np.isfinite(lat)).all(axis=1) & (np.abs(lon).max(axis=1) < 179.99)
        sure &= (np.ptp(lon, axis=1) < 90) & (np.abs(lat).max(axis=1) < 85)
        edges = np.column_stack([lon.min(axis=1), lat.min(axis=1), lon.max(axis=1), lat.max(axis=1)])
    edges[~sure] = np.nan
    return edges


def mercator_to(
    crs: CRS, xs: NDArray[np.float64], ys: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of Web Mercator in another system; inf where it has no place. Raises BadData if nothing leads there."""
    try:
        transformer = _from_mercator(crs.to_wkt())
    except ProjError:
        raise BadData(f"nothing leads from Web Mercator to {crs.name}.") from None
    east, north = transformer.transform(xs, ys, errcheck=False)
    return np.array(east, np.float64), np.array(north, np.float64)


@lru_cache(maxsize=32)
def _from_mercator(wkt: str) -> Transformer:
    return Transformer.from_crs("EPSG:3857", wkt, always_xy=True)


def image_at(geometry: BaseGeometry, footprints: Mapping[str, BaseGeometry], first: Iterable[str] = ()) -> str | None:
    """The image (by its key) that holds most of a geometry; among equals one of `first`. None if none does."""
    preferred = set(first)
    best: tuple[float, bool] = (0.0, False)
    found = None
    for key, footprint in footprints.items():
        shared = footprint.intersection(geometry).area if footprint.intersects(geometry) else 0.0
        rank = (round(shared / max(geometry.area, 1e-300), 6), key in preferred)
        if shared > 0 and rank > best:
            best, found = rank, key
    return found


def in_chunks(fids: Sequence[int], size: int = 500) -> Iterable[str]:
    """Row numbers as comma-separated text, so many at a time."""
    for start in range(0, len(fids), size):
        yield ", ".join(str(int(fid)) for fid in fids[start : start + size])


@dataclass(frozen=True, eq=False)
class Judged:
    """What a row of `objects` came to: its geometry and whether that had to be repaired, or why it is set aside."""

    geometry: MultiPolygon | None
    crooked: bool = False
    reason: str = ""


def judged(rows: Iterable[tuple[int, Any]], read: Callable[[Any], BaseGeometry], crs: CRS | None) -> dict[int, Judged]:
    """Each row by its fid; `read` gives the geometry of a row as it is stored, or raises BadRow."""
    found: dict[int, Judged] = {}
    for fid, row in rows:
        try:
            stored = read(row)
            found[fid] = Judged(usable(stored), not bool(shapely.is_valid(stored)))
        except BadRow as error:
            found[fid] = Judged(None, False, str(error))
    good = [(fid, one.geometry) for fid, one in found.items() if one.geometry is not None]
    boxes = np.array([geometry.bounds for _, geometry in good], dtype=np.float64).reshape(-1, 4)
    for (fid, _), placed in zip(good, somewhere(boxes, crs).tolist(), strict=True):
        if not placed:
            name = "any image" if crs is None else crs.name
            found[fid] = Judged(None, False, f"its coordinates lie outside {name}")
    return found
