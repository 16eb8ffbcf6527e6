"""Polygons read from files of other programs and from our own exports, with what the files know about them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError
from shapely.geometry import MultiLineString, MultiPoint, MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData, TerraClickError, UnknownName
from terraclick.exchange.registry import FORMATS, readable_endings
from terraclick.formats.common.declaration import LEFT_OUT, Read, Shapes
from terraclick.formats.common.pixels import MAX_BYTES
from terraclick.formats.common.texts import text_in
from terraclick.geo.grid import horizontal
from terraclick.geo.keyholes import polygons_in
from terraclick.geo.kinds import as_multi, kind_of, parts_of_kind, simple
from terraclick.geo.lonlat import check_lonlat
from terraclick.geo.reproject import reproject, reproject_many
from terraclick.store.fields import COLUMNS, Kind, MapObject, like
from terraclick.store.values import LARGEST_NUMBER, MapClass

__all__ = [
    "Imported",
    "InPlace",
    "Labels",
    "check_places",
    "import_in_place",
    "import_polygons",
    "import_some",
    "read_labels",
]

MAX_VERTICES = 5_000_000
MAX_TEXT = 200


@dataclass(frozen=True)
class Labels:
    """What a file holds: objects as they stand in it, their CRS (None: unknown, or pixels), its classes.

    `pixels` says that geometry counts from the corner of the top-left pixel of the image that each object names.
    """

    items: tuple[MapObject, ...]
    crs: CRS | None
    pixels: bool = False
    classes: tuple[MapClass, ...] = ()
    left_out: tuple[tuple[str, int], ...] = ()
    """Reasons for which features of the file are no objects, and how many each."""


@dataclass(frozen=True)
class Imported:
    """Polygons of a file, and how many of its features were left out for which reason."""

    items: tuple[MapObject, ...]
    left_out: tuple[tuple[str, int], ...]


def import_polygons(path: str | Path, crs: CRS | None = None) -> list[MapObject]:
    """Polygons of a file in `crs` (None: as they are): GeoJSON, COCO, labelme, CSV, others with the `formats` extra.

    Fields named class and label are kept. COCO and labelme count in pixels: they take no `crs`, and each object names
    its image. Raises BadData for what is missing, damaged, too large or holds no polygon.
    """
    found = read_labels(path)
    if found.pixels and crs is not None:
        raise BadData(f"{path} counts in pixels of its images: say which image is meant, or use import-session.")
    if len({item.image for item in found.items}) > 1 and found.pixels:
        raise BadData(f"{path} is of several images: use import-session, or give one file for each.")
    if crs is not None:
        check_places(found, path)
    kept = []
    areas = [item for item in found.items if kind_of(item.geometry) == "polygon"]
    if not areas:
        raise BadData(f"{path} holds no polygon: expected Polygon or MultiPolygon features.")
    for item in areas:
        geometry = item.geometry if crs is None else reproject(item.geometry, found.crs, crs)
        image = item.image if found.pixels else ""
        kept.append(
            MapObject(geometry=geometry, class_name=item.class_name, label=item.label, image=image, model="import")
        )
    return kept


def import_some(path: str | Path, crs: CRS | None = None, source: CRS | None = None, pixels: bool = False) -> Imported:
    """As `import_polygons`, but a feature that cannot be used is left out and counted instead of refusing the file.

    Attributes are kept. `source` is the coordinate system of the file where it names none, or a wrong one;
    `pixels` says that its numbers are pixels, whatever it says itself. Raises BadData if no feature can be used.
    """
    found = import_in_place(path, crs, source, pixels)
    news = {"uuid": "", "status": "imported", "model": "import", "rev": 0, "score": None}
    pairs = zip(found.items, found.geometries, strict=True)
    return Imported(tuple(like(item, geometry=geometry, **news) for item, geometry in pairs), found.left_out)


@dataclass(frozen=True)
class InPlace:
    """Features of a file that can be used, where they lie in the system asked for; `items` are as they stand in it."""

    items: tuple[MapObject, ...]
    geometries: tuple[BaseGeometry, ...]
    left_out: tuple[tuple[str, int], ...]


def import_in_place(
    path: str | Path, crs: CRS | None = None, source: CRS | None = None, pixels: bool = False
) -> InPlace:
    """`import_some` without an object made anew for each feature."""
    found = read_labels(path, lenient=True)
    pixels = pixels or (found.pixels and source is None)
    if pixels and crs is not None:
        raise BadData(f"{path} counts in pixels of its images: say which image is meant, or use import-session.")
    if len({item.image for item in found.items}) > 1 and found.pixels:
        raise BadData(f"{path} is of several images: use import-session, or give one file for each.")
    if crs is None and found.crs is not None and not pixels:
        raise BadData(
            f"{path} lies on the Earth ({found.crs.name}), but this session counts in pixels of its image: import it "
            "into a session of an image with a coordinate system, or say that its numbers are pixels."
        )
    given = source or found.crs
    left = Counter(dict(found.left_out))
    degrees = not pixels and given is not None and horizontal(given).is_geographic
    kept: list[MapObject] = []
    shapes: list[BaseGeometry] = []
    moved = _moved([item.geometry for item in found.items], given, crs, degrees)
    for item, geometry in zip(found.items, moved, strict=True):
        if isinstance(geometry, BadData):
            left[str(geometry).rstrip(".")[:200]] += 1
        else:
            kept.append(item)
            shapes.append(geometry)
    if not kept:
        raise BadData(f"{path}: no feature of it can be used ({_counted(left)}).")
    return InPlace(tuple(kept), tuple(shapes), tuple(left.items()))


def _moved(
    shapes: Sequence[BaseGeometry], source: CRS | None, crs: CRS | None, degrees: bool
) -> list[BaseGeometry | BadData]:
    """Shapes in `crs` (None: as they are), all at once where that goes; for one that has no place there, why."""
    if degrees and not _plainly_placed(shapes):
        return [_moved_one(shape, source, crs, degrees) for shape in shapes]
    try:
        return [*(shapes if crs is None else reproject_many(shapes, source, crs))]
    except BadData:
        return [_moved_one(shape, source, crs, degrees) for shape in shapes]


def _moved_one(shape: BaseGeometry, source: CRS | None, crs: CRS | None, degrees: bool) -> BaseGeometry | BadData:
    try:
        for ring in _paths(shape) if degrees else ():
            check_lonlat(shapely.get_coordinates(ring), "it")
        return shape if crs is None else reproject(shape, source, crs)
    except BadData as error:
        return error


def _plainly_placed(shapes: Sequence[BaseGeometry]) -> bool:
    """Whether all coordinates are longitudes and latitudes, and no shape is so wide that it may leap."""
    boxes = shapely.bounds(np.array(shapes, dtype=object))
    within = (boxes[:, 0] >= -180) & (boxes[:, 2] <= 180) & (boxes[:, 1] >= -90) & (boxes[:, 3] <= 90)
    return bool((within & (boxes[:, 2] - boxes[:, 0] < 90)).all())


def _paths(geometry: BaseGeometry) -> list[BaseGeometry]:
    """The rings of an area, the lines of a line, the points of a point."""
    if kind_of(geometry) == "polygon":
        return [*shapely.get_rings(geometry)]
    return parts_of_kind(geometry)


def _counted(left: Mapping[str, int]) -> str:
    """Reasons with their numbers, on one line."""
    return "; ".join(f"{number}: {reason}" for reason, number in left.items()) or "it holds none"


def check_places(found: Labels, path: str | Path) -> None:
    """Raise BadData where longitudes and latitudes of a file are none, or leap over the antimeridian.

    Raises BadConfig for a coordinate system that is none for maps.
    """
    if found.pixels or found.crs is None:
        return
    if not horizontal(found.crs).is_geographic:
        return
    for item in found.items:
        for ring in _paths(item.geometry):
            check_lonlat(shapely.get_coordinates(ring), f"a polygon of {path}")


def read_labels(path: str | Path, shapes: Shapes | None = None, lenient: bool = False) -> Labels:
    """Objects of a file with all that it tells: uuid, image, class, attributes, times. See Labels.

    `shapes` are (rows, columns) of images by name, for YOLO. With `lenient` features that cannot be read are left out
    and counted. Raises BadData, UnknownName, MissingExtra.
    """
    path = Path(path)
    endings = readable_endings()
    if path.suffix.lower() not in endings:
        raise UnknownName(f"no reader for the ending of {path.name}. Known: {', '.join(endings)}.")
    if not path.is_file():
        raise BadData(f"{path} does not exist: check the path of the polygon file.")
    if path.stat().st_size > MAX_BYTES:
        raise BadData(f"{path} is larger than {MAX_BYTES >> 20} MiB: split it, or import a part of it.")
    try:
        read = _read(path, shapes or {})
        return _labels(path, read, lenient)
    except TerraClickError:
        raise
    except shapely.errors.GEOSException:
        raise BadData(f"{path} holds a ring that is not a closed line of at least four points: repair it.") from None
    except (
        ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, OverflowError, CRSError, OSError,
    ) as error:  # fmt: skip
        raise BadData(f"{path} is not a file that can be read ({type(error).__name__}): check the file.") from None


def _read(path: Path, shapes: Shapes) -> Read:
    """A file as the format of its ending reads it; of JSON what stands in it decides."""
    known = [format for format in FORMATS.values() if any(end.endswith(path.suffix.lower()) for end in format.endings)]
    plain = [format.read for format in known if format.read is not None]
    if plain:
        return plain[0](path, shapes)
    top = json.loads(path.read_text(encoding="utf-8-sig"))
    ours = [format for format in FORMATS.values() if format.of_json is not None and format.of_json(top)]
    for format in ours:
        if format.read_json is not None:
            return format.read_json(top)
    raise BadData(f"{path} is not a file that can be read: expected GeoJSON, COCO or labelme.")


def _labels(path: Path, read: Read, lenient: bool) -> Labels:
    items: list[MapObject] = []
    seen = set[str]()
    left: Counter[str] = Counter()
    pairs = list(read.pairs)
    given = np.array([geometry for geometry, _ in pairs], dtype=object)
    if len(pairs) and int(shapely.get_num_coordinates(given).sum()) > MAX_VERTICES:
        raise BadData(f"{path} holds more than {MAX_VERTICES} vertices: split it, or import a part of it.")
    plain = (shapely.get_type_id(given) == 3) & ~shapely.is_empty(given)  # polygons, as most are
    for (geometry, fields), flat, alone in zip(pairs, shapely.force_2d(given), plain.tolist(), strict=True):
        if not alone:
            parts = _parts_of(geometry)
            if not parts:
                if LEFT_OUT in fields and not lenient and geometry is None and "ring" in fields[LEFT_OUT]:
                    raise BadData(f"{path} is not a file that can be read: {fields[LEFT_OUT]}.")
                left[fields.get(LEFT_OUT) or _no_shape(geometry)] += 1
                continue
            flat = shapely.force_2d(simple(as_multi(parts[0]) if len(parts) == 1 else _joined(parts)))
        item = _item(flat, fields)
        if item.uuid:
            items.append(like(item, uuid="") if item.uuid in seen else item)
            seen.add(item.uuid)
        else:
            items.append(item)
    if not items:
        why = f" ({_counted(left)})" if left else ""
        raise BadData(f"{path} holds no object: expected features that are areas, lines or points{why}.")
    return Labels(tuple(items), read.crs, read.pixels, tuple(map(_numbered, read.classes)), tuple(left.items()))


def _numbered(kind: MapClass) -> MapClass:
    """A class without its number where no mask could hold that."""
    return kind if kind.number <= LARGEST_NUMBER else replace(kind, number=0)


def _parts_of(geometry: BaseGeometry | None) -> list[BaseGeometry]:
    """The parts of an area, a line or a point that an object can be of; none for anything else."""
    kind = None if geometry is None else kind_of(geometry)
    if geometry is None or kind is None:
        return []
    if kind == "polygon":
        return [*polygons_in(geometry)]
    return [part for part in parts_of_kind(geometry) if kind == "point" or part.length > 0]


def _joined(parts: Sequence[BaseGeometry]) -> BaseGeometry:
    """Several parts of one kind as one geometry."""
    kinds = {"Polygon": MultiPolygon, "LineString": MultiLineString, "Point": MultiPoint}
    return kinds[parts[0].geom_type](parts)


def _no_shape(geometry: BaseGeometry | None) -> str:
    """Why a geometry is no object."""
    if geometry is None:
        return "it has no geometry"
    if geometry.is_empty:
        return "it is empty"
    if kind_of(geometry) == "line":
        return "it is a line of no length"
    return f"it is a {geometry.geom_type}, not an area, a line or a point"


def _item(geometry: BaseGeometry, fields: dict[str, Any]) -> MapObject:
    """An object from a row; fields that are none of ours become attributes."""
    values = _NOTHING | {"attributes": {}}
    others = []
    for name, value in fields.items():
        known = _BY_NAME.get(name)
        if known is None:
            others.append((name, value))
        else:
            values[known[0]] = known[1](value)
    ours = bool(values["uuid"])
    attributes = values["attributes"]
    cut = {name[:10] for name in attributes}  # our own columns, as a Shapefile names them
    for name, value in others:
        if ours and (name in cut or value == ""):
            continue
        if isinstance(value, str | int | float | bool) and value == value:
            attributes.setdefault(str(name)[:MAX_TEXT], value)
    values["target"] = values["target"] if values["target"] in ("object", "class") else "object"
    values["model"] = values["model"] or ("" if ours else "import")
    values["status"] = values["status"] if ours and values["status"] else "imported"
    values["area_m2"] = values["perimeter_m"] = None  # measured when it is kept
    return like(_BLANK, geometry=geometry, **values)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None or value == "":
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found) and abs(found) < 1e15 else None


def _attributes(value: Any) -> dict[str, Any]:
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return dict(value) if isinstance(value, dict) else {}


_BLANK = MapObject(geometry=Polygon())


def _count(value: Any) -> int:
    return max(int(_number(value) or 0), 0)


_READ: dict[Kind, Callable[[Any], Any]] = {
    "text": text_in,
    "number": _number,
    "count": _count,
    "time": text_in,
    "json": _attributes,
}
_NOTHING = {column.attribute: _READ[column.kind](None) for column in COLUMNS}
"""What an object has of which its row says nothing."""
_BY_NAME = {column.name: (column.attribute, _READ[column.kind]) for column in COLUMNS}
