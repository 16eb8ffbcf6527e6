"""Objects in the pixels of their pictures: COCO, labelme, YOLO, and masks as cloud-optimised GeoTIFFs.

Pixels count from the corner of the top-left pixel. What lies beyond the picture is cut off before it comes here.
"""

from __future__ import annotations

import csv
import hashlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadConfig
from terraclick.formats.collection import UNNAMED, Collection, Sheet
from terraclick.formats.texts import dump_json, harmless, read_json
from terraclick.geo.colours import palette_colour, rgb_of
from terraclick.geo.grid import Grid
from terraclick.geo.keyholes import one_ring, polygons_in
from terraclick.geo.legend import Row, legend_xml
from terraclick.geo.polygonize import rasterize
from terraclick.store.fields import COLUMNS, FIELDS, record
from terraclick.values import Window

__all__ = [
    "class_lines",
    "encode_rle",
    "line_hash",
    "write_coco",
    "write_instances",
    "write_labelme",
    "write_mask",
    "write_yolo",
]

TOLD = [column.name for column in COLUMNS if column.noted]
"""What COCO and labelme tell of an object beside its outline, class and attributes."""


def encode_rle(mask: NDArray[np.bool_], window: Window, shape: tuple[int, int]) -> dict[str, Any]:
    """COCO's compressed run lengths of a mask that fills `window` of an image of `shape` (rows, cols).

    Returns {"size": [rows, cols], "counts": text}; runs go down the columns and start with zeros.
    """
    rows, cols = shape
    edges = np.diff(np.pad(mask.T.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    base = (window.col + np.arange(window.cols, dtype=np.int64)) * rows + window.row
    starts = np.concatenate([base[c] + r for c, r in _by_column(edges == 1)] or [np.zeros(0, np.int64)])
    ends = np.concatenate([base[c] + r for c, r in _by_column(edges == -1)] or [np.zeros(0, np.int64)])
    joined = np.flatnonzero(ends[:-1] == starts[1:])
    starts, ends = np.delete(starts, joined + 1), np.delete(ends, joined)
    bounds = np.concatenate([[0], np.column_stack([starts, ends]).ravel(), [rows * cols]])
    counts = [int(count) for count in np.diff(bounds)]
    if len(counts) > 1 and counts[-1] == 0:
        counts.pop()
    return {"size": [rows, cols], "counts": _rle_text(counts)}


def _by_column(flags: NDArray[np.bool_]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    columns, places = np.nonzero(flags)
    return [(columns.astype(np.int64), places.astype(np.int64))]


def _rle_text(counts: list[int]) -> str:
    letters = []
    for i, count in enumerate(counts):
        rest = count - counts[i - 2] if i > 2 else count
        more = True
        while more:
            bits = rest & 0x1F
            rest >>= 5
            more = rest != (-1 if bits & 0x10 else 0)
            letters.append(chr((bits | 0x20 if more else bits) + 48))
    return "".join(letters)


# --- COCO -------------------------------------------------------------------------------------------------------------


def write_coco(job: Collection, path: Path) -> None:
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
                "segmentation": [_flat(part.exterior) for part in parts],
                "area": item.geometry.area,
                "bbox": [left, top, right - left, bottom - top],
                "iscrowd": 0,
                "attributes": item.attributes,
                **{name: values[name] for name in TOLD},
            }
            if any(part.interiors for part in parts):
                annotation["segmentation"] = _object_rle(item.geometry, sheet.picture.grid.shape)
                annotation["rings"] = [[_flat(ring) for ring in (p.exterior, *p.interiors)] for p in parts]
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


def _object_rle(geometry: BaseGeometry, shape: tuple[int, int]) -> dict[str, Any]:
    """Only the object's own box is drawn, so a small object in a huge image costs little."""
    from affine import Affine

    left, top, right, bottom = geometry.bounds
    row, col = max(0, int(np.floor(top))), max(0, int(np.floor(left)))
    rows, cols = min(shape[0], int(np.ceil(bottom))) - row, min(shape[1], int(np.ceil(right))) - col
    if rows <= 0 or cols <= 0:
        return encode_rle(np.zeros((1, 1), dtype=np.bool_), Window(0, 0, 1, 1), shape)
    window = Window(row, col, rows, cols)
    return encode_rle(rasterize([geometry], Grid(Affine.translation(col, row), None, (rows, cols))), window, shape)


def _flat(ring: Any) -> list[float]:
    return [round(value, 3) for value in shapely.get_coordinates(ring)[:-1].ravel().tolist()]


# --- labelme ----------------------------------------------------------------------------------------------------------


def write_labelme(job: Collection, path: Path) -> None:
    """One picture's objects: each part is a shape, parts of one object share a group.

    labelme has no holes: a hole is joined to its outer ring by a line walked there and back. Further fields lie in the
    shape, where labelme keeps what it does not know.
    """
    (sheet,) = job.sheets()
    rows, cols = sheet.picture.grid.shape
    shapes = []
    for number, item in enumerate(sheet.items):
        values = record(item)
        for part in polygons_in(item.geometry):
            shapes.append(
                {
                    "label": item.class_name or UNNAMED,
                    "points": np.round(one_ring([part]), 3).tolist(),
                    "group_id": number,
                    "shape_type": "polygon",
                    "description": item.label,
                    "flags": {},
                    "class_number": job.number(item.class_name),
                    "attributes": item.attributes,
                    **{name: values[name] for name in TOLD if name != "label"},
                }
            )
    top: dict[str, Any] = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": sheet.picture.name}
    dump_json({**top, "imageData": None, "imageHeight": rows, "imageWidth": cols}, path)
    if len(read_json(path)["shapes"]) != len(shapes):
        raise OSError(None, "shapes are missing in the written file")


# --- YOLO -------------------------------------------------------------------------------------------------------------


def write_yolo(job: Collection, path: Path) -> None:
    """YOLO-seg, an object a line: parts and holes are joined by lines walked there and back.

    Beside it lie STEM.classes.txt, a class a line by number, and STEM.objects.csv, which tells what a line cannot: the
    fields of the object whose line has that hash.
    """
    (sheet,) = job.sheets()
    rows, cols = sheet.picture.grid.shape
    lines, known = [], []
    for item in sheet.items:
        points = np.clip(one_ring(polygons_in(item.geometry)) / (cols, rows), 0, 1).ravel()
        line = " ".join([str(job.number(item.class_name) - 1), *(f"{value:.6f}" for value in points)])
        lines.append(line)
        values = record(item) | {"image": sheet.picture.name}
        known.append([line_hash(line), *(harmless(values[name]) for name in FIELDS)])
    text = "".join(f"{line}\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    path.with_name(f"{path.stem}.classes.txt").write_text("\n".join([*class_lines(job), ""]), encoding="utf-8")
    with path.with_name(f"{path.stem}.objects.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["line", *FIELDS], *known])
    if path.read_text(encoding="utf-8") != text:
        raise OSError(None, "lines are missing in the written file")


def line_hash(line: str) -> str:
    """What STEM.objects.csv knows a line by, also after others were taken away."""
    return hashlib.sha256(" ".join(line.split()).encode()).hexdigest()[:16]


def class_lines(job: Collection) -> list[str]:
    """Class names by their index, from 0; a number that no class has any more keeps its place."""
    names = {kind.number: " ".join(kind.name.split()) for kind in job.classes}
    return [names.get(number, f"unused_{number}") for number in range(1, max(names, default=0) + 1)]


# --- masks ------------------------------------------------------------------------------------------------------------


def write_mask(job: Collection, path: Path) -> None:
    """Class numbers (named in tags and legend), 0 = nothing; later objects lie on top."""
    (sheet,) = job.sheets()
    names = {kind.number: kind.name for kind in job.classes}
    colours = {kind.number: rgb_of(kind.colour, kind.number) for kind in job.classes}
    legend = [(number, name, colours[number], "") for number, name in sorted(names.items())]
    tags = {f"CLASS_{number}": name for number, name in names.items()}
    numbers = [job.number(item.class_name) for item in sheet.items]
    _write_numbers(sheet, path, numbers, "class", tags, legend, "MODE")


def write_instances(job: Collection, path: Path) -> None:
    """Object numbers from 1 in the order given, 0 = nothing; later objects lie on top. uuids in tags and legend."""
    (sheet,) = job.sheets()
    numbers = list(range(1, len(sheet.items) + 1))
    legend = [
        (number, item.class_name or UNNAMED, rgb_of(palette_colour(number)), item.uuid)
        for number, item in zip(numbers, sheet.items, strict=True)
    ]
    tags = {f"OBJECT_{number}": uuid for number, _, _, uuid in legend}
    tags |= {f"CLASS_OF_{number}": name for number, name, _, _ in legend}
    _write_numbers(sheet, path, numbers, "object", tags, legend, "NEAREST")


def _write_numbers(
    sheet: Sheet,
    path: Path,
    numbers: list[int],
    what: str,
    tags: Mapping[str, str],
    legend: Sequence[Row],
    overviews: str,
) -> None:
    """A cloud-optimised GeoTIFF of numbers with colours and names; read again before it counts as written."""
    import rasterio
    import rasterio.features
    import rasterio.shutil

    grid = sheet.picture.grid
    most = max([*numbers, *(row[0] for row in legend), 0])
    if most > 65535:
        raise BadConfig(f"{most} numbers do not fit the 65535 of a mask: write fewer objects at a time.")
    kind = "uint8" if most < 256 else "uint16"
    drawn = np.zeros(grid.shape, dtype=kind)
    if numbers:
        pairs = zip((item.geometry for item in sheet.items), numbers, strict=True)
        drawn = rasterio.features.rasterize(pairs, grid.shape, dtype=kind)
    place = {"transform": grid.transform, "crs": None if grid.crs is None else grid.crs.to_wkt(), "nodata": 0}
    size = {"height": grid.shape[0], "width": grid.shape[1], "count": 1, "dtype": kind, "photometric": "palette"}
    plain = path.with_name("plain.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(plain, "w", driver="GTiff", tiled=True, compress="deflate", **size, **place) as file:
            file.write(drawn, 1)
            file.write_colormap(1, {0: (0, 0, 0, 0)} | {number: (*rgb, 255) for number, _, rgb, _ in legend})
            file.set_band_description(1, what)
            file.update_tags(**tags)
        rasterio.shutil.copy(plain, path, driver="COG", compress="DEFLATE", overview_resampling=overviews)
        plain.unlink()
        with rasterio.open(path) as file:
            if not np.array_equal(file.read(1), drawn):
                raise OSError(None, "the written file is not whole")
    beside = path.with_name(path.name + ".aux.xml")
    beside.write_text(legend_xml(what, legend), encoding="utf-8")
