"""COCO instances, in pixels, several images in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData
from terraclick.formats.common.collection import Collection
from terraclick.formats.common.declaration import Format, Pair, Read
from terraclick.formats.common.pixels import MAX_SIDE, flat, joined, points_of
from terraclick.formats.common.rle import decode_rle, object_rle
from terraclick.formats.common.texts import (
    dump_json,
    read_json,
    text_in,
)
from terraclick.geo.grid import Grid
from terraclick.geo.keyholes import from_ring, polygons_in
from terraclick.geo.polygonize import polygonize, rasterize
from terraclick.store.fields import COLUMNS, FIELDS, record
from terraclick.store.values import MapClass

__all__ = ["FORMAT"]


NOTED = [column.name for column in COLUMNS if column.noted]
"""What an annotation tells of an object beside its outline, class and attributes."""


def _write(job: Collection, path: Path) -> None:
    """COCO instances of all pictures: polygons, a list of them for parts; compressed run lengths for holes.

    Beside what COCO asks for, an annotation carries uuid, times and the other fields, attributes as an object, and
    where it has holes `rings`: its parts, each as an outer ring and its holes.
    """
    annotations: list[dict[str, Any]] = []
    sheets = job.sheets()
    for image_id, sheet in enumerate(sheets, start=1):
        for item in sheet.items:
            parts = polygons_in(item.geometry)
            left, top, right, bottom = item.geometry.bounds
            values = record(item)
            annotation: dict[str, Any] = {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": job.number(item.class_name),
                "segmentation": [flat(part.exterior) for part in parts],
                "area": item.geometry.area,
                "bbox": [left, top, right - left, bottom - top],
                "iscrowd": 0,
                "attributes": item.attributes,
                **{name: values[name] for name in NOTED},
            }
            if any(part.interiors for part in parts):
                annotation["segmentation"] = object_rle(item.geometry, sheet.picture.grid.shape)
                annotation["rings"] = [[flat(ring) for ring in (p.exterior, *p.interiors)] for p in parts]
            annotations.append(annotation)
    images = [
        {"id": number, "file_name": s.picture.name, "width": s.picture.grid.shape[1], "height": s.picture.grid.shape[0]}
        for number, s in enumerate(sheets, start=1)
    ]
    categories = [{"id": c.number, "name": c.name, "supercategory": "", "color": c.colour} for c in job.classes]
    info = {"description": "outlines made with TerraClick", "version": "1.0"}
    whole = {"info": info, "images": images, "annotations": annotations, "categories": categories}
    dump_json(whole, path)
    if len(read_json(path)["annotations"]) != len(annotations):
        raise OSError(None, "annotations are missing in the written file")


def _read(top: dict[str, Any]) -> Read:
    images = {int(image["id"]): image for image in top["images"]}
    kinds = {int(kind["id"]): str(kind["name"]) for kind in top.get("categories", ())}
    classes = tuple(
        MapClass(str(kind["name"]), text_in(kind.get("color")) or "#e31a1c", number=int(kind["id"]))
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
    return Read(pairs, None, True, classes)


def _segmentation(annotation: dict[str, Any], shape: tuple[int, int]) -> BaseGeometry:
    """The polygons of an annotation: as listed, or of its run lengths; rings that draw the same runs are finer."""
    value = annotation["segmentation"]
    if isinstance(value, list):
        return joined([from_ring(points_of(ring)) for ring in value if len(ring) >= 6])
    rows, cols = int(value["size"][0]), int(value["size"][1])
    if (rows, cols) != shape or not 0 < rows * cols <= MAX_SIDE * 1024:
        raise BadData(f"an annotation's mask has {rows} x {cols} pixels and its image {shape[0]} x {shape[1]}.")
    mask = decode_rle(value)
    grid = Grid(Affine.identity(), None, (rows, cols))
    if "rings" in annotation:
        fine = MultiPolygon(
            [Polygon(points_of(rings[0]), [points_of(hole) for hole in rings[1:]]) for rings in annotation["rings"]]
        )
        if np.array_equal(rasterize([fine], grid), mask):
            return fine
    return MultiPolygon(polygonize(mask, grid))


def _is_coco(top: dict[str, Any]) -> bool:
    return isinstance(top.get("annotations"), list) and isinstance(top.get("images"), list)


FORMAT = Format(
    name="coco",
    label="COCO",
    note="for training detectors",
    endings=(".coco.json",),
    pixels=True,
    write=_write,
    of_json=_is_coco,
    read_json=_read,
)
