"""Polygons read from files of other programs and from our own exports, with what the files know about them."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData, TerraClickError, UnknownName, require_extra
from terraclick.formats.export_pixels import line_hash
from terraclick.formats.texts import join_columns, restored
from terraclick.geo.crs_text import crs_of_text, crs_of_wkt
from terraclick.geo.grid import Grid, horizontal
from terraclick.geo.keyholes import from_ring, polygons_in
from terraclick.geo.lonlat import WGS84, check_lonlat
from terraclick.geo.polygonize import polygonize, rasterize
from terraclick.geo.reproject import reproject
from terraclick.geo.rings import ring_of
from terraclick.geo.tangles import made_valid
from terraclick.store.fields import COLUMNS, FIELDS, Kind, MapObject, like
from terraclick.store.values import MapClass

__all__ = ["Imported", "Labels", "check_places", "import_polygons", "import_some", "read_labels"]

MAX_BYTES = 256 << 20
MAX_VERTICES = 5_000_000
MAX_SIDE = 1 << 20
MAX_TEXT = 200
LEFT_OUT = "\0left out"
"""In the fields of a feature that cannot be read: why."""

Shapes = Mapping[str, tuple[int, int]]
Pair = tuple[BaseGeometry | None, dict[str, Any]]


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


@dataclass(frozen=True)
class _Read:
    """Geometries with their fields; images are named in the field `image`."""

    pairs: Iterable[Pair]
    crs: CRS | None = None
    pixels: bool = False
    classes: tuple[MapClass, ...] = field(default=())


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
    for item in found.items:
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
    kept = []
    for item in found.items:
        try:
            if not pixels and given is not None and horizontal(given).is_geographic:
                for ring in shapely.get_rings(item.geometry):
                    check_lonlat(shapely.get_coordinates(ring), "it")
            geometry = item.geometry if crs is None else reproject(item.geometry, given, crs)
        except BadData as error:
            left[str(error).rstrip(".")[:200]] += 1
            continue
        kept.append(like(item, geometry=geometry, uuid="", status="imported", model="import", rev=0, score=None))
    if not kept:
        raise BadData(f"{path}: no feature of it can be used ({_counted(left)}).")
    return Imported(tuple(kept), tuple(left.items()))


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
        for ring in shapely.get_rings(item.geometry):
            check_lonlat(shapely.get_coordinates(ring), f"a polygon of {path}")


def read_labels(path: str | Path, shapes: Shapes | None = None, lenient: bool = False) -> Labels:
    """Objects of a file with all that it tells: uuid, image, class, attributes, times. See Labels.

    `shapes` are (rows, columns) of images by name, for YOLO. With `lenient` features that cannot be read are left out
    and counted. Raises BadData, UnknownName, MissingExtra.
    """
    path = Path(path)
    reader = _reader_of(path)
    if not path.is_file():
        raise BadData(f"{path} does not exist: check the path of the polygon file.")
    if path.stat().st_size > MAX_BYTES:
        raise BadData(f"{path} is larger than {MAX_BYTES >> 20} MiB: split it, or import a part of it.")
    try:
        read = reader(path, shapes or {})
        return _labels(path, read, lenient)
    except TerraClickError:
        raise
    except shapely.errors.GEOSException:
        raise BadData(f"{path} holds a ring that is not a closed line of at least four points: repair it.") from None
    except (
        ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, OverflowError, CRSError, OSError,
    ) as error:  # fmt: skip
        raise BadData(f"{path} is not a file that can be read ({type(error).__name__}): check the file.") from None


def _labels(path: Path, read: _Read, lenient: bool) -> Labels:
    items: list[MapObject] = []
    vertices, seen = 0, set[str]()
    left: Counter[str] = Counter()
    for geometry, fields in read.pairs:
        parts = polygons_in(geometry) if isinstance(geometry, Polygon | MultiPolygon) else []
        if not parts:
            if LEFT_OUT in fields and not lenient and geometry is None and "ring" in fields[LEFT_OUT]:
                raise BadData(f"{path} is not a file that can be read: {fields[LEFT_OUT]}.")
            left[fields.get(LEFT_OUT) or _no_polygon(geometry)] += 1
            continue
        vertices += sum(int(shapely.get_num_coordinates(part)) for part in parts)
        if vertices > MAX_VERTICES:
            raise BadData(f"{path} holds more than {MAX_VERTICES} vertices: split it, or import a part of it.")
        flat = shapely.force_2d(parts[0] if len(parts) == 1 else MultiPolygon(parts))
        item = _item(flat, fields)
        items.append(replace(item, uuid="") if item.uuid in seen else item)
        seen.add(item.uuid)
    if not items:
        why = f" ({_counted(left)})" if left else ""
        raise BadData(f"{path} holds no polygon: expected Polygon or MultiPolygon features{why}.")
    return Labels(tuple(items), read.crs, read.pixels, read.classes, tuple(left.items()))


def _no_polygon(geometry: BaseGeometry | None) -> str:
    """Why a geometry is no object."""
    if geometry is None:
        return "it has no geometry"
    return "it is empty" if geometry.is_empty else f"it is a {geometry.geom_type}, not a polygon"


def _item(geometry: BaseGeometry, fields: dict[str, Any]) -> MapObject:
    """An object from a row; fields that are none of ours become attributes."""
    values = {column.attribute: _READ[column.kind](fields.get(column.name)) for column in COLUMNS}
    ours = bool(values["uuid"])
    attributes = values["attributes"]
    cut = {name[:10] for name in attributes}  # our own columns, as a Shapefile names them
    for name, value in fields.items():
        if ours and (name in cut or value == ""):
            continue
        if name not in FIELDS and isinstance(value, str | int | float | bool) and value == value:
            attributes.setdefault(str(name)[:MAX_TEXT], value)
    values["target"] = values["target"] if values["target"] in ("object", "class") else "object"
    values["model"] = values["model"] or ("" if ours else "import")
    values["status"] = values["status"] if ours and values["status"] else "imported"
    values["area_m2"] = values["perimeter_m"] = None  # measured when it is kept
    return MapObject(geometry=geometry, **values)


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value) or isinstance(value, dict | list):
        return ""
    return str(value)


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


def _count(value: Any) -> int:
    return max(int(_number(value) or 0), 0)


_READ: dict[Kind, Callable[[Any], Any]] = {
    "text": _text,
    "number": _number,
    "count": _count,
    "time": _text,
    "json": _attributes,
}


def _reader_of(path: Path) -> Callable[[Path, Shapes], _Read]:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UnknownName(f"no reader for the ending of {path.name}. Known: {', '.join(READERS)}.")
    return reader


# --- text formats -----------------------------------------------------------------------------------------------------


def _json(path: Path, shapes: Shapes) -> _Read:
    """GeoJSON, COCO or labelme: what stands in the file decides."""
    top = json.loads(path.read_text(encoding="utf-8-sig"))
    if isinstance(top.get("annotations"), list) and isinstance(top.get("images"), list):
        return _coco(top)
    if isinstance(top.get("shapes"), list):
        return _labelme(top)
    return _geojson(top)


def _geojson(top: dict[str, Any]) -> _Read:
    name = ((top.get("crs") or {}).get("properties") or {}).get("name")
    pixels = "crs" in top and top["crs"] is None
    source = crs_of_text(name) if name else None if pixels else WGS84
    features = top["features"] if top.get("type") == "FeatureCollection" else [top]
    pairs: list[Pair] = []
    for feature in features:
        whole = feature.get("type") == "Feature"
        shape = feature.get("geometry") if whole else feature
        fields = (feature.get("properties") or {}) if whole else {}
        pairs.append(_feature(shape, fields if isinstance(fields, dict) else {}))
    return _Read(pairs, source, pixels)


def _feature(shape: Any, fields: dict[str, Any]) -> Pair:
    """A feature's polygon and fields; why it is none where it is none."""
    if not isinstance(shape, dict):
        return None, {LEFT_OUT: "it has no geometry"}
    if shape.get("type") not in ("Polygon", "MultiPolygon"):
        return None, {LEFT_OUT: f"it is a {str(shape.get('type'))[:20]}, not a polygon"}
    try:
        return _shape(shape), fields
    except (BadData, shapely.errors.GEOSException, ValueError, TypeError, KeyError, IndexError):
        return None, {LEFT_OUT: "a ring of it is not a closed line of at least four points with finite numbers"}


def _shape(shape: dict[str, Any]) -> BaseGeometry:
    polygons = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
    rings = [[ring_of(ring) for ring in polygon] for polygon in polygons]
    return MultiPolygon([Polygon(polygon[0], polygon[1:]) for polygon in rings if polygon])


def _csv(path: Path, shapes: Shapes) -> _Read:
    """A table with an outline as WKT in the column wkt and its CRS in the column crs."""
    csv.field_size_limit(MAX_BYTES)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and "wkt" not in rows[0]:
        raise BadData(f"{path} has no column wkt: expected outlines as text in it.")
    systems = {row.get("crs") or "" for row in rows}
    if len(systems) > 1:
        raise BadData(f"{path} names several coordinate systems in its column crs: split it.")
    name = systems.pop() if systems else ""
    crs = crs_of_text(name) if name else None
    pairs: list[Pair] = [
        (
            shapely.from_wkt(row["wkt"]),
            {key: restored(value or "") for key, value in row.items() if key not in ("wkt", "crs", None)},
        )
        for row in rows
    ]
    return _Read(pairs, crs, crs is None)


# --- pixel formats ----------------------------------------------------------------------------------------------------


def _points(values: Any) -> NDArray[np.float64]:
    points = np.asarray(values, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(points).all() or np.abs(points).max(initial=0) > MAX_SIDE:
        raise ValueError("a coordinate is not a place in a picture")
    return points


def _coco(top: dict[str, Any]) -> _Read:
    images = {int(image["id"]): image for image in top["images"]}
    kinds = {int(kind["id"]): str(kind["name"]) for kind in top.get("categories", ())}
    classes = tuple(
        MapClass(str(kind["name"]), _text(kind.get("color")) or "#e31a1c", number=int(kind["id"]))
        for kind in top.get("categories", ())
        if int(kind["id"]) > 0
    )
    pairs: list[Pair] = []
    for annotation in top["annotations"]:
        image = images[int(annotation["image_id"])]
        fields = {name: annotation.get(name) for name in (*FIELDS, "attributes")}
        fields["image"] = str(image["file_name"])
        fields["class"] = kinds.get(int(annotation["category_id"]), "")
        pairs.append((_segmentation(annotation, (int(image["height"]), int(image["width"]))), fields))
    return _Read(pairs, None, True, classes)


def _segmentation(annotation: dict[str, Any], shape: tuple[int, int]) -> BaseGeometry:
    """The polygons of an annotation: as listed, or of its run lengths; rings that draw the same runs are finer."""
    value = annotation["segmentation"]
    if isinstance(value, list):
        return _joined([from_ring(_points(ring)) for ring in value if len(ring) >= 6])
    rows, cols = int(value["size"][0]), int(value["size"][1])
    if (rows, cols) != shape or not 0 < rows * cols <= MAX_SIDE * 1024:
        raise BadData(f"an annotation's mask has {rows} x {cols} pixels and its image {shape[0]} x {shape[1]}.")
    mask = decode_rle(value)
    grid = Grid(Affine.identity(), None, (rows, cols))
    if "rings" in annotation:
        fine = MultiPolygon(
            [Polygon(_points(rings[0]), [_points(hole) for hole in rings[1:]]) for rings in annotation["rings"]]
        )
        if np.array_equal(rasterize([fine], grid), mask):
            return fine
    return MultiPolygon(polygonize(mask, grid))


def _joined(geometries: Sequence[BaseGeometry]) -> BaseGeometry:
    parts = [part for geometry in geometries for part in polygons_in(geometry)]
    if len(parts) < 2:
        return parts[0] if parts else Polygon()
    return shapely.union_all([made_valid(part) for part in parts])


def decode_rle(value: dict[str, Any]) -> NDArray[np.bool_]:
    """The mask (rows, cols) of COCO's run lengths, compressed or not. Raises ValueError if they do not fill it."""
    rows, cols = int(value["size"][0]), int(value["size"][1])
    counts = value["counts"]
    runs = np.asarray(_counts(counts) if isinstance(counts, str) else counts, dtype=np.int64)
    if (runs < 0).any() or runs.sum() > rows * cols:
        raise ValueError("run lengths do not fit the picture")
    flat = np.zeros(rows * cols, dtype=np.bool_)
    ends = np.cumsum(runs)
    for start, end in zip(ends[0::2], ends[1::2], strict=False):
        flat[start:end] = True
    mask: NDArray[np.bool_] = flat.reshape(cols, rows).T
    return mask


def _counts(text: str) -> list[int]:
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        code = ord(letter) - 48
        if not 0 <= code < 64 or shift > 60:
            raise ValueError("run lengths hold a letter that is none of theirs")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts


def _labelme(top: dict[str, Any]) -> _Read:
    """Shapes of one group and label are parts of one object; rectangles and circles count too."""
    groups: dict[Any, tuple[list[BaseGeometry], dict[str, Any]]] = {}
    numbers: dict[str, int] = {}
    for place, shape in enumerate(top["shapes"]):
        outline = _labelme_outline(shape.get("shape_type") or "polygon", _points(shape["points"]))
        if outline is None:
            continue
        group = shape.get("group_id")
        fields = {name: shape.get(name) for name in FIELDS if name not in ("label", "image")}
        fields |= {"class": shape["label"], "label": shape.get("description"), "image": top.get("imagePath") or ""}
        if isinstance(shape.get("class_number"), int) and shape["class_number"] > 0:
            numbers[str(shape["label"])] = shape["class_number"]
        key = ("alone", place) if group is None else (group, shape["label"])
        groups.setdefault(key, ([], fields))[0].append(outline)
    classes = tuple(MapClass(name, number=number) for name, number in sorted(numbers.items(), key=lambda pair: pair[1]))
    return _Read([(_joined(parts), fields) for parts, fields in groups.values()], None, True, classes)


def _labelme_outline(kind: str, points: NDArray[np.float64]) -> BaseGeometry | None:
    if kind == "polygon" and len(points) >= 3:
        return from_ring(points)
    if kind == "rectangle" and len(points) == 2:
        return shapely.box(*points.min(axis=0), *points.max(axis=0))
    if kind == "circle" and len(points) == 2:
        return shapely.Point(points[0]).buffer(float(np.hypot(*(points[1] - points[0]))))
    return None


def _yolo(path: Path, shapes: Shapes) -> _Read:
    """One label file of YOLO-seg; class names lie in STEM.classes.txt, classes.txt or the data.yaml of its folder."""
    names = _yolo_names(path)
    known = _known_lines(path.with_name(f"{path.stem}.objects.csv"))
    image = next((row["image"] for row in known.values() if row.get("image")), "")
    shape = _shape_of(path, image, shapes)
    pairs: list[Pair] = []
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        cells = line.split()
        if not cells:
            continue
        if len(cells) < 7 or len(cells) % 2 == 0:
            raise BadData(f"{path} is not YOLO segmentation: expected a class and at least three points in a line.")
        points = np.asarray(cells[1:], dtype=np.float64).reshape(-1, 2)
        if not np.isfinite(points).all() or points.min() < -1 or points.max() > 2:
            raise BadData(f"{path} is not YOLO segmentation: expected shares of the picture from 0 to 1.")
        fields: dict[str, Any] = dict(known.get(line_hash(line), {}))
        index = int(cells[0])
        fields["class"] = fields.get("class", names[index] if 0 <= index < len(names) else str(index))
        fields["image"] = fields.get("image") or image or path.stem
        pairs.append((from_ring(points * (shape[1], shape[0])), fields))
    classes = tuple(MapClass(name, number=number) for number, name in enumerate(names, start=1) if name)
    return _Read(pairs, None, True, tuple(kind for kind in classes if not re.fullmatch(r"unused_\d+", kind.name)))


def _shape_of(path: Path, image: str, shapes: Shapes) -> tuple[int, int]:
    """The size of the picture that a label file is of: by its name, by the file's own, or the only one given."""
    for name, shape in shapes.items():
        if name == image or Path(name).name == Path(image).name or Path(name).stem == path.stem:
            return shape
    if len(shapes) == 1:
        return next(iter(shapes.values()))
    raise BadData(f"{path} counts in shares of its picture: give the picture with --image.")


def _known_lines(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [{key: restored(value or "") for key, value in row.items() if key} for row in csv.DictReader(file)]
    return {row.pop("line"): row for row in rows if "line" in row}


def _yolo_names(path: Path) -> list[str]:
    for file in (path.with_name(f"{path.stem}.classes.txt"), path.with_name("classes.txt")):
        if file.is_file():
            return file.read_text(encoding="utf-8-sig").splitlines()
    for folder in list(path.parents)[:3]:
        if (folder / "data.yaml").is_file():
            return _yaml_names((folder / "data.yaml").read_text(encoding="utf-8-sig"))
    return []


def _yaml_names(text: str) -> list[str]:
    """The class names of a data.yaml, in the ways in which they are usually written."""
    inline = re.search(r"^names:[ \t]*(\[.*?\])", text, re.MULTILINE | re.DOTALL)
    if inline:
        return [part.strip().strip("'\"") for part in inline.group(1).strip("[]").split(",") if part.strip()]
    block = re.search(r"^names:[ \t]*\n((?:[ \t]+.*\n?|-.*\n?)+)", text, re.MULTILINE)
    names: dict[int, str] = {}
    for line in block.group(1).splitlines() if block else ():
        keyed = re.match(r"\s*(\d+):\s*(.*?)\s*$", line)
        listed = re.match(r"\s*-\s*(.*?)\s*$", line)
        if keyed:
            names[int(keyed.group(1))] = _unquoted(keyed.group(2))
        elif listed:
            names[len(names)] = _unquoted(listed.group(1))
    return [names.get(number, "") for number in range(max(names, default=-1) + 1)]


def _unquoted(text: str) -> str:
    if text[:1] == '"':
        return str(json.loads(text))
    return text.strip("'")


# --- formats of other libraries ---------------------------------------------------------------------------------------


def _with_pyogrio(path: Path, shapes: Shapes) -> _Read:
    """Every layer that can hold polygons, in the CRS of the first."""
    with require_extra("formats"):
        import pyogrio
    try:
        layers = pyogrio.list_layers(path)
        wanted = [
            str(name)
            for name, kind in layers.tolist()
            if kind is not None and any(word in str(kind) for word in ("Polygon", "Unknown", "Surface", "Collection"))
        ]
        found = [pyogrio.raw.read(path, layer=name, datetime_as_string=True) for name in wanted]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise BadData(f"{path} cannot be read ({error}): check the file.") from None
    systems = [None if meta["crs"] is None else crs_of_text(meta["crs"]) for meta, *_ in found]
    target = systems[0] if systems else None
    return _Read(list(_rows_of(found, systems, target)), target, target is None)


def _rows_of(found: Sequence[Any], systems: Sequence[CRS | None], target: CRS | None) -> Iterator[Pair]:
    for (meta, _, blobs, columns), source in zip(found, systems, strict=True):
        names = list(meta["fields"])
        shapes = shapely.from_wkb(blobs)
        rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)] or [{}] * len(shapes)
        for shape, row in zip(shapes, rows, strict=True):
            fields = {name: value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
            for short, name in _SHORT.items():
                if short in fields:
                    fields[name] = fields.pop(short)
            fields.pop("fid", None)
            same = source is target or (source is not None and target is not None and source.equals(target))
            moved = shape if same or shape is None else reproject(shape, source, target)
            yield moved, join_columns(fields, [name for name in fields if name in FIELDS])


_SHORT = {column.short: column.name for column in COLUMNS if column.short != column.name}


def _geoparquet(path: Path, shapes: Shapes) -> _Read:
    with require_extra("formats"):
        import pyarrow
        import pyarrow.parquet
    try:
        table = pyarrow.parquet.read_table(path)
    except pyarrow.ArrowException as error:
        raise BadData(f"{path} cannot be read ({str(error)[:100]}): check the file.") from None
    geo = json.loads((table.schema.metadata or {}).get(b"geo", b"{}"))
    name = geo.get("primary_column")
    column = geo.get("columns", {}).get(name)
    if column is None or column.get("encoding") != "WKB":
        raise BadData(f"{path} is no GeoParquet with geometry as WKB: write it again with that encoding.")
    crs: CRS | None = WGS84
    if "crs" in column:
        crs = None if column["crs"] is None else crs_of_projjson(column["crs"])
    rows = table.drop_columns([name]).to_pylist()
    geometry = shapely.from_wkb(table[name].to_numpy(zero_copy_only=False))
    return _Read(list(zip(geometry, rows, strict=True)), crs, crs is None)


def crs_of_projjson(value: Any) -> CRS:
    """The coordinate system of a PROJJSON object, held to the same rules as a WKT. Raises BadData."""
    if not isinstance(value, dict):
        raise BadData("the coordinate system of the file is no PROJJSON object.")
    named = value.get("id")
    if isinstance(named, dict) and named.get("authority") in ("EPSG", "OGC", "ESRI"):
        return crs_of_text(f"{named['authority']}:{named.get('code')}")
    return crs_of_wkt(CRS.from_json_dict(value).to_wkt())


READERS: dict[str, Callable[[Path, Shapes], _Read]] = {
    ".geojson": _json,
    ".json": _json,
    ".gpkg": _with_pyogrio,
    ".shp": _with_pyogrio,
    ".csv": _csv,
    ".parquet": _geoparquet,
    ".geoparquet": _geoparquet,
    ".txt": _yolo,
}
"""Endings that can be read."""
