"""COCO's JSON, read in pieces: files of a gigabyte are indexed once, and each picture's objects read when asked for."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadData, MissingExtra

__all__ = ["Index", "Spans", "index_of", "masks_of", "objects_at", "records"]

CHUNK = 16 * 2**20
SPACE = " \t\r\n,"

Spans = tuple[tuple[int, int], ...]
"""(first byte, number of bytes) of each object of a picture in the JSON file."""


@dataclass(frozen=True)
class Index:
    """What a COCO file holds: pictures by id, category names by id, and where each picture's objects lie."""

    path: Path
    images: Mapping[int, dict[str, Any]]
    categories: Mapping[int, str]
    spans: Mapping[int, Spans]


def records(path: Path) -> Iterator[tuple[str, Any, int, int]]:
    """(key, record, first byte, bytes) of every record in the lists of a JSON object. Raises BadData.

    Text is taken as Latin-1 so that places are bytes; decode the bytes of a record again for other names.
    """
    decode = JSONDecoder().raw_decode
    try:
        with path.open("rb") as file:
            yield from _walk(path, _Buffer(file), decode)
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror or error}.") from error


class _Buffer:
    """A window on a file, as text: `at` is the place in the window, `base` the byte where it begins."""

    def __init__(self, file: Any) -> None:
        self.file, self.text, self.at, self.base, self.ended = file, "", 0, 0, False

    def more(self) -> bool:
        """Read on; whether there was something."""
        chunk = self.file.read(CHUNK)
        self.base += self.at
        self.text, self.at = self.text[self.at :] + chunk.decode("latin-1"), 0
        self.ended = not chunk
        return bool(chunk)

    def peek(self) -> str:
        """The next letter that is no space or comma; "" at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in SPACE:
                self.at += 1
            if self.at < len(self.text) or not self.more():
                return self.text[self.at : self.at + 1]

    def value(self, decode: Any) -> Any:
        """The next JSON value. Raises JSONDecodeError where the file ends within it."""
        self.peek()
        while True:
            try:
                found, end = decode(self.text, self.at)
            except JSONDecodeError:
                if not self.more():
                    raise
                continue
            if end == len(self.text) and self.more():  # a number may go on
                continue
            self.start, self.size = self.base + self.at, end - self.at
            self.at = end
            return found

    start = size = 0


def _walk(path: Path, buffer: _Buffer, decode: Any) -> Iterator[tuple[str, Any, int, int]]:
    try:
        if buffer.peek() != "{":
            raise BadData(
                f"{path} is no COCO file: a JSON object with images, annotations and categories was expected."
            )
        buffer.at += 1
        while buffer.peek() != "}":
            key = buffer.value(decode)
            if buffer.peek() != ":":
                raise JSONDecodeError("no colon", "", 0)
            buffer.at += 1
            if buffer.peek() != "[":
                buffer.value(decode)
                continue
            buffer.at += 1
            while buffer.peek() not in ("]", ""):
                found = buffer.value(decode)
                yield str(key), found, buffer.start, buffer.size
            if buffer.peek() == "":
                raise JSONDecodeError("ended", "", 0)
            buffer.at += 1
    except JSONDecodeError as error:
        raise BadData(f"{path} is damaged or was cut off while downloading: get this file again.") from error


def index_of(path: Path) -> Index:
    """Index a COCO file; objects with `iscrowd` are left out. Raises BadData."""
    images: dict[int, dict[str, Any]] = {}
    categories: dict[int, str] = {}
    spans: dict[int, list[tuple[int, int]]] = {}
    try:
        for key, record, start, size in records(path):
            if key == "images":
                named = record.get("file_name") or str(record["coco_url"]).rsplit("/", 1)[-1]
                images[int(record["id"])] = {
                    "name": str(named).encode("latin-1").decode("utf-8"),
                    "shape": (int(record["height"]), int(record["width"])),
                }
            elif key == "categories":
                categories[int(record["id"])] = str(record["name"]).encode("latin-1").decode("utf-8")
            elif key == "annotations" and not record.get("iscrowd"):
                spans.setdefault(int(record["image_id"]), []).append((start, size))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadData(f"{path} is no COCO file: an entry lacks {error}; get this file again.") from error
    if not (images and categories and spans):
        raise BadData(f"{path} is no COCO file: images, categories and annotations were expected in it.")
    return Index(path, images, categories, {number: tuple(places) for number, places in spans.items()})


def objects_at(path: Path, spans: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """The objects at some places of a COCO file."""
    found = []
    with path.open("rb") as file:
        for start, size in spans:
            file.seek(start)
            found.append(json.loads(file.read(size)))
    return found


def masks_of(objects: Sequence[Mapping[str, Any]], shape: tuple[int, int]) -> list[NDArray[np.bool_]]:
    """The mask (H, W) of each object, polygons or RLE, as COCO's own programs draw them.

    Raises BadData for an outline that cannot be drawn, MissingExtra without pycocotools.
    """
    try:
        from pycocotools import mask as coco
    except ModuleNotFoundError as error:
        raise MissingExtra("pycocotools is not installed: pip install 'terraclick[datasets]'.") from error
    with warnings.catch_warnings():  # the library's own use of NumPy
        warnings.simplefilter("ignore", DeprecationWarning)
        return [_drawn(coco, item, shape) for item in objects]


def _drawn(coco: Any, item: Mapping[str, Any], shape: tuple[int, int]) -> NDArray[np.bool_]:
    drawn = item.get("segmentation")
    try:
        if isinstance(drawn, Mapping):
            runs = coco.frPyObjects(drawn, *shape) if isinstance(drawn["counts"], list) else dict(drawn)
        else:
            rings = [ring for ring in drawn or () if len(ring) >= 6]
            runs = coco.merge(coco.frPyObjects(rings, *shape)) if rings else None
        mask = np.zeros(shape, np.bool_) if runs is None else coco.decode(runs).astype(np.bool_)
    except (TypeError, ValueError, KeyError) as error:
        raise BadData(
            f"the outline of object {item.get('id')} cannot be drawn ({error}): get the file anew."
        ) from error
    if mask.shape != shape:
        raise BadData(f"the outline of object {item.get('id')} is {mask.shape}, its picture {shape}: get both anew.")
    return mask
