"""YOLO segmentation: an object a line; a data set as a folder."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from terraclick.errors import BadConfig, BadData
from terraclick.files import write_text
from terraclick.formats.common.collection import (
    Collection,
    Picture,
    class_lines,
    of_pictures,
    stem_of,
)
from terraclick.formats.common.declaration import Format, Pair, Read, Shapes
from terraclick.formats.common.pixels import MAX_BYTES
from terraclick.formats.common.texts import (
    harmless,
    restored,
)
from terraclick.geo.keyholes import from_ring, one_ring, polygons_in
from terraclick.store.fields import FIELDS, record
from terraclick.store.values import MapClass

__all__ = ["FORMAT"]


def _write(job: Collection, path: Path) -> None:
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


def _read(path: Path, shapes: Shapes) -> Read:
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
    return Read(pairs, None, True, tuple(kind for kind in classes if not re.fullmatch(r"unused_\d+", kind.name)))


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


PARTS = ("train", "val", "test")


def _write_set(whole: Collection, folder: Path, parts: Mapping[str, list[Picture]]) -> None:
    """The usual layout: data.yaml, labels/[part/]STEM.txt, and lists of the pictures, which belong into images/."""
    lists: dict[str, list[str]] = {}
    rows: list[list[Any]] = []
    for part, pictures in parts.items():
        place = folder / "labels" / part if part else folder / "labels"
        place.mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            stem = PurePosixPath(picture.name).stem
            if stem_of(stem, picture, list(whole.pictures)) != stem:
                raise BadConfig(f"two images are called {stem} but for their endings, which YOLO cannot tell apart.")
            _write(of_pictures(whole, [picture]), place / f"{stem}.txt")
            (place / f"{stem}.classes.txt").unlink()
            rows += [[picture.name, *picture.grid.shape, part or "train"]]
        lists[part or "train"] = [f"./images/{f'{part}/' if part else ''}{picture.name}" for picture in pictures]
    for part, listed in lists.items():
        write_text(folder / f"{part}.txt", "".join(f"{line}\n" for line in listed)) if listed else None
    held = [part for part in PARTS if lists.get(part)]
    lines = ["# Put the pictures into images/ (see train.txt for their places).", "path: ."]
    lines += [f"{part}: {part}.txt" for part in held]
    lines += [f"val: {held[0]}.txt  # the same pictures: no other part was asked for"] if "val" not in held else []
    lines += [
        "names:",
        *(f"  {i}: {json.dumps(name, ensure_ascii=False)}" for i, name in enumerate(class_lines(whole))),
    ]
    write_text(folder / "data.yaml", "\n".join([*lines, ""]))
    with (folder / "pictures.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [["image", "rows", "columns", "part"], *([harmless(v) for v in row] for row in rows)]
        )


FORMAT = Format(
    name="yolo",
    label="YOLO-seg",
    note="for training YOLO models",
    endings=(".txt",),
    pixels=True,
    many=False,
    beside=(".classes.txt", ".objects.csv"),
    may_be_empty=True,
    write=_write,
    write_set=_write_set,
    read=_read,
)
