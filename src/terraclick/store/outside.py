"""What other programs did to a session: rows drawn elsewhere are adopted, rows that cannot be used are set aside.

`Outside` is what a store remembers of its rows. It looks again whenever another program committed, and reads only the
rows whose revision is new (a trigger raises it at every change from outside).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from pyproj import CRS
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData
from terraclick.geo.boxes import somewhere
from terraclick.geo.kinds import as_multi, extent_of, kind_of
from terraclick.geo.tangles import made_valid
from terraclick.store.rows import BadRow, SetAside

__all__ = [
    "Happened",
    "Judged",
    "Outside",
    "image_at",
    "in_chunks",
    "judged",
    "usable",
]

MOST_KEPT = 1000
"""Rows that are named; beyond it they are only counted."""


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


def usable(geometry: BaseGeometry) -> BaseGeometry:
    """A shape that another program stored, an area repaired where it crosses itself.

    Raises BadRow if it encloses nothing, or is a line of no length.
    """
    if geometry.is_empty or not np.isfinite(shapely.get_coordinates(geometry)).all():
        raise BadRow("its geometry is empty or has a coordinate that is no number")
    if kind_of(geometry) in ("line", "point"):
        if kind_of(geometry) == "line" and geometry.length == 0:
            raise BadRow("its line has no length")
        return as_multi(geometry)
    try:
        geometry = made_valid(geometry)
    except BadData as error:
        raise BadRow(str(error).rstrip(".")) from None
    parts = [part for part in shapely.get_parts(geometry) if isinstance(part, Polygon | MultiPolygon) and part.area > 0]
    polygons = [polygon for part in parts for polygon in shapely.get_parts(part)]
    if not polygons:
        raise BadRow("its geometry encloses nothing")
    return MultiPolygon(polygons)


def image_at(geometry: BaseGeometry, footprints: Mapping[str, BaseGeometry], first: Iterable[str] = ()) -> str | None:
    """The image (by its key) that holds most of a geometry; among equals one of `first`. None if none does."""
    preferred = set(first)
    best: tuple[float, bool] = (0.0, False)
    found = None
    (whole,) = extent_of([geometry])
    for key, footprint in footprints.items():
        meets = footprint.intersects(geometry)
        shared = float(extent_of([_of_kind(footprint.intersection(geometry), geometry)])[0]) if meets else 0.0
        rank = (round(shared / max(whole, 1e-300), 6), key in preferred)
        if shared > 0 and rank > best:
            best, found = rank, key
    return found


def _of_kind(geometry: BaseGeometry, like: BaseGeometry) -> BaseGeometry:
    """The parts of a geometry that are of the same dimension as another one."""
    dimension = shapely.get_dimensions(like)
    parts = [part for part in shapely.get_parts(geometry).tolist() if shapely.get_dimensions(part) == dimension]
    return shapely.union_all(parts) if parts else shapely.Polygon()


def in_chunks(fids: Sequence[int], size: int = 500) -> Iterable[str]:
    """Row numbers as comma-separated text, so many at a time."""
    for start in range(0, len(fids), size):
        yield ", ".join(str(int(fid)) for fid in fids[start : start + size])


@dataclass(frozen=True, eq=False)
class Judged:
    """What a row of `objects` came to: its geometry and whether that had to be repaired, or why it is set aside."""

    geometry: BaseGeometry | None
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
