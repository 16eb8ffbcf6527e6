"""What to outline: clicks of many objects from a CSV or GeoJSON file."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from terraclick.api import Said
from terraclick.console import is_plain, printable
from terraclick.errors import BadClick, BadData
from terraclick.geo.box_prompt import check_box
from terraclick.geo.crs_text import crs_of_text
from terraclick.geo.lonlat import check_lonlat

__all__ = ["Request", "read_points"]


POINTS_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Request:
    """One thing to outline: its name in the points file, its class, its clicks (x, y, positive) and perhaps a box."""

    name: str
    class_name: str
    clicks: tuple[Said, ...]


def read_points(path: Path, crs: CRS | None, class_name: str = "") -> list[Request]:
    """Clicks and boxes of many objects from a CSV or GeoJSON file, in the order of their first appearance.

    CSV: columns x, y and, if wanted, x2, y2, object, positive (1/0, true/false, +/-), class; coordinates are the
    image's (or pixels). A row with x2 and y2 is a box from x, y to there. GeoJSON: points with the same properties, and
    polygons, whose extent is a box; longitude and latitude unless the file names another crs; `crs`
    is the image's, None for pixels. Without `object` every row is an object of its own. Raises BadData.
    """
    try:
        if path.stat().st_size > POINTS_BYTES:
            raise BadData(f"{path} is larger than {POINTS_BYTES >> 20} MiB: split the points over several files.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError:
        raise BadData(f"{path} is not a text file: expected a CSV or GeoJSON file of points.") from None
    rows = _geojson_rows(text, path, crs) if text.lstrip()[:1] == "{" else _csv_rows(text, path)
    groups: dict[str, tuple[str, list[Said]]] = {}
    for number, (place, fields) in enumerate(rows, 1):
        name = str(fields.get("object") or f"row {number}")
        kind = str(fields.get("class") or class_name)
        if not is_plain(kind):
            raise BadData(f"{path}, point {number}: the class {printable(kind)[:80]} holds control characters.")
        _, clicks = groups.setdefault(name, (kind, []))
        positive = _is_positive(fields.get("positive"), f"{path}, point {number}")
        clicks.append((*place, positive) if len(place) == 2 else _box(place, f"{path}, point {number}"))
    if not groups:
        raise BadData(f"{path} holds no points: expected columns x, y and, if wanted, object, positive, class.")
    for name, (_, clicks) in groups.items():
        if not any(len(said) == 4 or said[2] for said in clicks):
            raise BadData(f"{path}: object {name} has no including click; set positive to 1 on one of its points.")
        if sum(len(said) == 4 for said in clicks) > 1:
            raise BadData(f"{path}: object {name} has more than one box; give one, and clicks for the rest.")
    return [Request(name, kind, tuple(clicks)) for name, (kind, clicks) in groups.items()]


_Row = tuple[tuple[float, ...], dict[str, Any]]
"""The numbers of a click or of a box, and what else the row says."""


def _box(place: tuple[float, ...], where: str) -> Said:
    try:
        return check_box(place)
    except BadClick as error:
        raise BadData(f"{where}: {error}") from None


def _csv_rows(text: str, path: Path) -> Iterator[_Row]:
    reader = csv.DictReader(io.StringIO(text))
    names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    if not {"x", "y"} <= set(names):
        raise BadData(f"{path} has the columns {', '.join(names)[:80] or 'none'}: expected at least x and y.")
    reader.fieldnames = names
    try:
        for fields in reader:
            where = f"{path}, line {reader.line_num}"
            place: tuple[float, ...] = _place(fields["x"], fields["y"], where)
            if fields.get("x2") or fields.get("y2"):
                place += _place(fields.get("x2"), fields.get("y2"), where)
            yield place, fields
    except csv.Error as error:
        raise BadData(f"{path}, line {reader.line_num}: {error}; expected comma-separated x, y.") from None


def _geojson_rows(text: str, path: Path, crs: CRS | None) -> Iterator[_Row]:
    try:
        found = json.loads(text)
        features = found["features"] if found["type"] == "FeatureCollection" else [found]
        named = (found.get("crs") or {}).get("properties", {}).get("name")
        source = crs_of_text(named) if named else CRS.from_epsg(4326)
        move = None if crs is None else Transformer.from_crs(source, crs, always_xy=True).transform
        for number, feature in enumerate(features, 1):
            geometry, where = feature["geometry"], f"{path}, feature {number}"
            if geometry["type"] not in ("Point", "Polygon"):
                raise TypeError
            points = [geometry["coordinates"]] if geometry["type"] == "Point" else geometry["coordinates"][0]
            places = [_place(point[0], point[1], where, strict=True) for point in points]
            if move is not None and source.is_geographic:
                check_lonlat(places, where)
            moved = [move(x, y) if move else (x, y) for x, y in places]
            xs, ys = [x for x, _ in moved], [y for _, y in moved]
            box = (min(xs), min(ys), max(xs), max(ys))
            yield moved[0] if geometry["type"] == "Point" else box, dict(feature.get("properties") or {})
    except (ValueError, LookupError, TypeError, AttributeError, CRSError, RecursionError):
        raise BadData(
            f"{path} is not a GeoJSON file of points: expected features of type Point, or Polygon for boxes."
        ) from None


def _place(x: Any, y: Any, where: str, strict: bool = False) -> tuple[float, float]:
    """Two numbers; with `strict` numbers only, no texts and no booleans. Raises BadData."""
    if strict and not all(isinstance(value, int | float) and not isinstance(value, bool) for value in (x, y)):
        raise BadData(f"{where}: {x!r}, {y!r} is no place; two numbers were expected.")
    try:
        place = float(x), float(y)
    except (TypeError, ValueError):
        raise BadData(f"{where}: {x!r}, {y!r} is no place; two numbers were expected.") from None
    if not all(map(math.isfinite, place)):
        raise BadData(f"{where}: {x!r}, {y!r} is no place; two finite numbers were expected.")
    return place


def _is_positive(value: Any, where: str) -> bool:
    text = str("" if value is None else value).strip().lower()
    if text in ("", "1", "1.0", "true", "yes", "+"):
        return True
    if text in ("0", "0.0", "false", "no", "-", "-1"):
        return False
    raise BadData(f"{where}: positive is {value!r}; expected 1 (include) or 0 (exclude).")
