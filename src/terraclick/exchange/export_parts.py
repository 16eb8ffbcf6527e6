"""Objects that were taken apart, as the Target Disassembly sets lie: a folder a class, a picture an object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData
from terraclick.exchange.export_session import whole_folder
from terraclick.files import write_text
from terraclick.formats.common.collection import Picture, collected, in_pixels
from terraclick.geo.kinds import kind_of
from terraclick.geo.raster import rasterized, read_info, read_view
from terraclick.geo.reproject import reproject
from terraclick.store.fields import MapObject, parts_by_whole
from terraclick.store.identity import find_image
from terraclick.store.sql import Store
from terraclick.store.values import StoredImage

__all__ = ["TakenApart", "export_parts"]

MARGIN = 0.25
"""Of the longer side of an object: what its picture shows around it."""
KEPT = ("accepted", "approved")


@dataclass(frozen=True)
class TakenApart:
    """What was written: the tags of each folder, how many objects with parts, parts, and groups of objects that touch.

    `left_out` counts parts without a whole.
    """

    folder: Path
    tags: dict[str, tuple[str, ...]]
    objects: int
    parts: int
    left_out: int
    groups: int = 0


@dataclass(frozen=True)
class _Example:
    """One picture of a set: the folder's name, what it shows the surroundings of, and the things that are tagged."""

    part: str
    name: str
    around: BaseGeometry
    image: str
    things: tuple[MapObject, ...]


def export_parts(
    store: Store,
    session: Path | None,
    out: str | Path,
    images: Sequence[Path] = (),
    overwrite: bool = False,
    groups: bool = False,
) -> TakenApart:
    """Write objects with parts into the folder `out` as `terraclick prepare tda` reads them.

    TDA-PD/CLASS/N.jpg is the surroundings of an object, N.png the number of the tag of each pixel's part, tags.txt the
    names of the tags from 1 on: the classes of the parts, in the session's order, the same for all objects of a class.
    With `groups` TDA-OD/CLASSES holds the same of objects that touch each other and have two classes or more, whose
    classes are the tags. Raises BadData, BadOutput.
    """
    items = [item for item in store.objects() if kind_of(item.geometry) == "polygon" and item.status in KEPT]
    found, lost = parts_by_whole(items)
    whole = collected(store, items, work=False)
    source = _Source({image.path: image for image in whole.images}, images, session, whole.crs)
    wholes = {item.uuid: item for item in items if item.uuid in found}
    examples = [
        _Example("PD", item.class_name or "object", item.geometry, item.image, tuple(found[uuid]))
        for uuid, item in wholes.items()
    ]
    parts = {part.uuid for own in found.values() for part in own}
    touching = _touching([item for item in items if item.uuid not in parts], source, whole.number) if groups else []
    examples += touching
    if not examples:
        raise BadData(
            "no accepted object has parts: select an object in the map, press Shift T, and outline its parts."
            if not groups
            else "no accepted object has parts, and none of two classes touch: outline parts (Shift T) or neighbours."
        )
    tags: dict[tuple[str, str], tuple[str, ...]] = {}
    for key in dict.fromkeys((one.part, one.name) for one in examples):
        used = {thing.class_name for one in examples if (one.part, one.name) == key for thing in one.things}
        tags[key] = tuple(sorted(used, key=whole.number))
    with whole_folder(Path(out), overwrite) as scratch:
        _write_all(scratch, examples, tags, source)
    named = {name: own for (_, name), own in tags.items()}
    return TakenApart(Path(out), named, len(wholes), len(parts), lost, len(touching))


@dataclass(frozen=True)
class _Source:
    """The images of a session: where they lie, and the coordinates of its objects."""

    known: Mapping[str, StoredImage]
    places: Sequence[Path]
    session: Path | None
    crs: Any

    def path_of(self, key: str, uuid: str) -> tuple[Path, StoredImage]:
        """The file of the image of an object. Raises BadData for an object on no image."""
        if key not in self.known:
            raise BadData(f"object {uuid[:8]} lies on no image of the session: set its image.")
        image = self.known[key]
        return find_image(image, self.places, None if self.session is None else self.session.parent), image


def _touching(items: Sequence[MapObject], source: _Source, order: Callable[[str], int]) -> list[_Example]:
    """Groups of objects of two classes or more that touch, which is to lie within a pixel of the image."""
    found = []
    for key in dict.fromkeys(item.image for item in items):
        own = [item for item in items if item.image == key]
        path, image = source.path_of(key, own[0].uuid)
        seen = in_pixels(own, source.crs, Picture(image.path, path.name, read_info(path, image.reading).grid)).items
        for group in _groups([item.geometry for item in seen]):
            things = tuple(next(item for item in own if item.uuid == seen[at].uuid) for at in group)
            classes = sorted({thing.class_name for thing in things}, key=order)
            if len(classes) > 1:
                around = shapely.union_all([thing.geometry for thing in things])
                found.append(_Example("OD", " and ".join(name or "object" for name in classes), around, key, things))
    return found


def _groups(geometries: Sequence[BaseGeometry]) -> list[list[int]]:
    """Which geometries lie within a unit of each other, over any number of others: groups of places, in order."""
    first = list(range(len(geometries)))
    for left, right in zip(*shapely.STRtree(geometries).query(geometries, "dwithin", distance=1.0), strict=True):
        low, high = sorted((first[left], first[right]))
        first = [low if group == high else group for group in first]
    return [[at for at, group in enumerate(first) if group == own] for own in dict.fromkeys(first)]


def _write_all(
    scratch: Path,
    examples: Sequence[_Example],
    tags: Mapping[tuple[str, str], Sequence[str]],
    source: _Source,
) -> None:
    """The pictures, masks and tags.txt of all folders."""
    counts = dict.fromkeys(tags, 0)
    for one in examples:
        key = one.part, one.name
        counts[key] += 1
        folder = scratch / f"TDA-{one.part}" / _plain(one.name)
        folder.mkdir(parents=True, exist_ok=True)
        shown, numbers = _shown(one, tags[key], source)
        _write(folder / f"{counts[key]}.jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        _write(folder / f"{counts[key]}.png", numbers, [])
    for (part, name), own in tags.items():
        lines = "".join(f"{' '.join(tag.split()) or 'object'}\n" for tag in own)
        write_text(scratch / f"TDA-{part}" / _plain(name) / "tags.txt", lines)


def _shown(one: _Example, tags: Sequence[str], source: _Source) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The surroundings (H, W, 3) of an example at the image's own resolution, and the tags (H, W) of its things."""
    path, image = source.path_of(one.image, one.things[0].uuid)
    placed = reproject(one.around, source.crs, read_info(path, image.reading).grid.crs)
    left, bottom, right, top = placed.bounds
    rim = MARGIN * max(right - left, top - bottom)
    view, grid = read_view(path, (left - rim, bottom - rim, right + rim, top + rim), reading=image.reading)
    numbers = np.zeros(grid.shape, np.uint8)
    for thing in in_pixels(one.things, source.crs, Picture(image.path, path.name, grid)).items:
        numbers[rasterized(thing.geometry, grid.shape)] = tags.index(thing.class_name) + 1
    return view.image, numbers


def _plain(name: str) -> str:
    """The name of a class as a folder's."""
    return "".join(letter if letter.isalnum() or letter in " ._-" else "_" for letter in name).strip(" .") or "object"


def _write(path: Path, picture: NDArray[np.uint8], how: list[int]) -> None:
    path.write_bytes(cv2.imencode(path.suffix, np.ascontiguousarray(picture), how)[1].tobytes())
