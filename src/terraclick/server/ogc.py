"""What OGC API Features asks of answers and queries: links, boxes across the antimeridian, times, extents."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import numpy as np
import shapely
from fastapi import Request

from terraclick.errors import BadData, NotGeoreferenced
from terraclick.geo.boxes import corners_lonlat
from terraclick.geo.reproject import to_lonlat
from terraclick.server.asking import BadQuery
from terraclick.store.fields import MapObject
from terraclick.values import Bounds

__all__ = ["GEOJSON", "ITEMS", "Interval", "boxes_of", "interval_of", "link", "met_by", "numbers_of", "temporal_extent"]

ITEMS = "/api/collections/objects/items"
GEOJSON = "application/geo+json"

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})?")


def link(request: Request, rel: str, path: str, media: str = "application/json", title: str = "") -> dict[str, str]:
    """A link that whoever asked can follow: a token in the address stays there."""
    token = getattr(request.state, "token", None)
    if token is not None:
        path += f"{'&' if '?' in path else '?'}token={quote(token, safe='')}"
    return {"href": f"{request.state.base}{path}", "rel": rel, "type": media, "title": title}


# --- boxes -----------------------------------------------------------------------------------------------------------


def numbers_of(text: str) -> Bounds:
    """left, bottom, right, top of four numbers, or of six with heights. Raises BadQuery."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 6:
        numbers = [*numbers[:2], *numbers[3:5]]
    if len(numbers) != 4 or not all(abs(value) < 1e12 for value in numbers):
        raise BadQuery(f"bbox={text[:80]!r} was given; expected four numbers LEFT,BOTTOM,RIGHT,TOP.")
    left, bottom, right, top = numbers
    return left, bottom, right, top


def boxes_of(bounds: Bounds, lonlat: bool) -> list[Bounds]:
    """One box; two for a box of longitudes across the antimeridian. Raises BadQuery for boxes inside out."""
    left, bottom, right, top = bounds
    if not lonlat:
        if left > right:
            raise BadQuery(f"a box from {left} to {right} is inside out: give LEFT,BOTTOM,RIGHT,TOP.")
        return [(left, min(bottom, top), right, max(bottom, top))]
    if bottom > top or abs(bottom) > 90 or abs(top) > 90 or abs(left) > 180 or abs(right) > 180:
        raise BadQuery("a box of degrees goes from -180,-90 to 180,90, south before north.")
    if left > right:
        return [(left, bottom, 180.0, top), (-180.0, bottom, right, top)]
    return [(left, bottom, right, top)]


def met_by(items: Sequence[MapObject], crs: Any, box: Bounds) -> list[MapObject]:
    """The objects that meet a box of degrees: by the corners of their own boxes, and by their outlines in doubt."""
    if not items:
        return []
    west, south, east, north = corners_lonlat(shapely.bounds([item.geometry for item in items]), crs).T
    met = (west <= box[2]) & (east >= box[0]) & (south <= box[3]) & (north >= box[1])
    whole = shapely.box(*box)
    for number in np.flatnonzero(~np.isfinite(west)).tolist():
        try:
            met[number] = to_lonlat(items[number].geometry, crs).intersects(whole)
        except (BadData, NotGeoreferenced, shapely.errors.GEOSException):
            continue
    return [item for item, there in zip(items, met.tolist(), strict=True) if there]


# --- times -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interval:
    """From a time to a time, both included; None is open."""

    start: datetime | None
    end: datetime | None

    def meets(self, item: MapObject) -> bool:
        """Whether an object, from its creation to its last change, has to do with it; one without times always has."""
        created, updated = _moment_or_none(item.created), _moment_or_none(item.updated)
        if self.start is not None and (last := updated or created) is not None and last < self.start:
            return False
        return not (self.end is not None and (first := created or updated) is not None and first > self.end)


def interval_of(text: str) -> Interval:
    """A time, a day, or an interval START/END with .. for open. Raises BadQuery."""
    start_text, slash, end_text = text.partition("/")
    if not slash:
        start, end = _moment(text)
        return Interval(start, end)
    start_ = None if start_text in ("", "..") else _moment(start_text)[0]
    end_ = None if end_text in ("", "..") else _moment(end_text)[1]
    if start_ is not None and end_ is not None and start_ > end_:
        raise BadQuery(f"datetime={text[:80]!r} ends before it begins.")
    return Interval(start_, end_)


def _moment(text: str) -> tuple[datetime, datetime]:
    """The first and the last moment of a time or a day."""
    day = _DAY.fullmatch(text) is not None
    try:
        if not day and not _TIME.fullmatch(text):
            raise ValueError
        found = datetime.fromisoformat(_plain(text))
    except ValueError:
        raise BadQuery(
            f"datetime={text[:80]!r} was given; expected a time such as 2026-11-21T07:40:00Z, or START/END."
        ) from None
    found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return found, found + timedelta(days=1, microseconds=-1) if day and found.year < 9999 else found


def _plain(text: str) -> str:
    """A time as every Python reads it: microseconds, an offset in digits."""
    text = re.sub(r"[Zz]$", "+00:00", text)
    return re.sub(r"\.(\d{1,9})", lambda found: "." + found[1][:6].ljust(6, "0"), text)


def _moment_or_none(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(_plain(text))
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def temporal_extent(items: Sequence[MapObject]) -> list[str] | None:
    """The earliest creation and the latest change."""
    created = [item.created for item in items if _moment_or_none(item.created) is not None]
    updated = [item.updated for item in items if _moment_or_none(item.updated) is not None]
    return [min(created), max(updated)] if created and updated else None
