"""labelme: one JSON file an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from terraclick.formats.common.collection import UNNAMED, Collection
from terraclick.formats.common.declaration import Format, Read
from terraclick.formats.common.pixels import joined, points_of
from terraclick.formats.common.texts import (
    dump_json,
    read_json,
)
from terraclick.geo.keyholes import from_ring, one_ring, polygons_in
from terraclick.geo.kinds import KINDS, kind_of, parts_of_kind
from terraclick.store.fields import COLUMNS, FIELDS, record
from terraclick.store.values import MapClass

__all__ = ["FORMAT"]


NOTED = [column.name for column in COLUMNS if column.noted]
"""What a shape tells of an object beside its outline, class and attributes."""


def _write(job: Collection, path: Path) -> None:
    """One picture's objects: each part is a shape, parts of one object share a group.

    labelme has no holes: a hole is joined to its outer ring by a line walked there and back. Further fields lie in the
    shape, where labelme keeps what it does not know.
    """
    (sheet,) = job.sheets()
    rows, cols = sheet.picture.grid.shape
    shapes = []
    for number, item in enumerate(sheet.items):
        values = record(item)
        for name, points in _drawn(item.geometry):
            shapes.append(
                {
                    "label": item.class_name or UNNAMED,
                    "points": np.round(points, 3).tolist(),
                    "group_id": number,
                    "shape_type": name,
                    "description": item.label,
                    "flags": {},
                    "class_number": job.number(item.class_name),
                    "attributes": item.attributes,
                    **{name: values[name] for name in NOTED if name != "label"},
                }
            )
    top: dict[str, Any] = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": sheet.picture.name}
    dump_json({**top, "imageData": None, "imageHeight": rows, "imageWidth": cols}, path)
    if len(read_json(path)["shapes"]) != len(shapes):
        raise OSError(None, "shapes are missing in the written file")


def _drawn(geometry: BaseGeometry) -> list[tuple[str, NDArray[np.float64]]]:
    """The shapes of an object: their type in labelme and their points (n, 2)."""
    kind = kind_of(geometry)
    if kind == "polygon":
        return [("polygon", one_ring([part])) for part in polygons_in(geometry)]
    name = "linestrip" if kind == "line" else "point"
    return [(name, shapely.get_coordinates(part)) for part in parts_of_kind(geometry)]


def _read(top: dict[str, Any]) -> Read:
    """Shapes of one group and label are parts of one object; rectangles and circles count too."""
    groups: dict[Any, tuple[list[BaseGeometry], dict[str, Any]]] = {}
    numbers: dict[str, int] = {}
    for place, shape in enumerate(top["shapes"]):
        outline = _labelme_outline(shape.get("shape_type") or "polygon", points_of(shape["points"]))
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
    return Read([(_whole(parts), fields) for parts, fields in groups.values()], None, True, classes)


def _whole(parts: list[BaseGeometry]) -> BaseGeometry:
    """The parts of a group as one shape of the kind of its first."""
    same = [part for part in parts if kind_of(part) == kind_of(parts[0])]
    if kind_of(parts[0]) == "polygon":
        return joined(same)
    return shapely.MultiLineString(same) if kind_of(parts[0]) == "line" else shapely.MultiPoint(same)


def _labelme_outline(kind: str, points: NDArray[np.float64]) -> BaseGeometry | None:
    if kind == "polygon" and len(points) >= 3:
        return from_ring(points)
    if kind == "rectangle" and len(points) == 2:
        return shapely.box(*points.min(axis=0), *points.max(axis=0))
    if kind == "circle" and len(points) == 2:
        return shapely.Point(points[0]).buffer(float(np.hypot(*(points[1] - points[0]))))
    if kind in ("line", "linestrip") and len(points) >= 2:
        return shapely.LineString(points)
    return shapely.Point(points[0]) if kind == "point" and len(points) == 1 else None


def _is_labelme(top: dict[str, Any]) -> bool:
    return isinstance(top.get("shapes"), list)


FORMAT = Format(
    name="labelme",
    label="labelme",
    note="one JSON file an image",
    endings=(".json",),
    pixels=True,
    many=False,
    names_pictures=True,
    carries=KINDS,
    write=_write,
    of_json=_is_labelme,
    read_json=_read,
)
