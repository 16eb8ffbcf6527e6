"""What is written to a file: objects with their classes, their pictures and all that a session knows about them.

Class numbers are the session's own: they do not depend on which objects are written, nor on their order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import shapely
from pyproj import CRS
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from terraclick.geo.affine import through
from terraclick.geo.colours import palette_colour
from terraclick.geo.grid import Grid
from terraclick.geo.keyholes import polygons_in
from terraclick.geo.kinds import ShapeKind, as_multi, kind_of, parts_of_kind, simple
from terraclick.geo.reproject import reproject
from terraclick.store.fields import COLUMNS, FIELDS, MapObject
from terraclick.store.sql import Store
from terraclick.store.values import MapClass, StoredClick, StoredImage, StoredReference, StoredView

__all__ = [
    "UNNAMED",
    "Collection",
    "Kept",
    "Picture",
    "Sheet",
    "class_lines",
    "collected",
    "in_pixels",
    "numbered",
    "of_kind",
    "of_pictures",
    "own_columns",
    "renamed",
    "stem_of",
    "uniform",
]

UNNAMED = "object"
"""What objects without a class are called where a name is needed."""

Kept = tuple[tuple[StoredClick, ...], StoredView | None]


@dataclass(frozen=True)
class Picture:
    """An image that objects lie on: its key in the objects, the name it is written under, its pixels, hash, file."""

    key: str
    name: str
    grid: Grid
    hash: str = ""
    path: Path | None = None


@dataclass(frozen=True)
class Sheet:
    """A picture with its objects in its pixels (corner convention, cut at its edges), and how many of them were cut."""

    picture: Picture
    items: tuple[MapObject, ...]
    cut: int = 0


@dataclass(frozen=True)
class Collection:
    """Objects, all in `crs` (None: image pixels), and what belongs to them.

    classes are numbered and complete, with UNNAMED for objects without a class; `unnamed` is the number a session kept
    for those, 0 if none.
    """

    items: tuple[MapObject, ...]
    crs: CRS | None
    classes: tuple[MapClass, ...] = ()
    pictures: tuple[Picture, ...] = ()
    images: tuple[StoredImage, ...] = ()
    references: tuple[StoredReference, ...] = ()
    kept: Mapping[str, Kept] = field(default_factory=dict)
    unnamed: int = 0

    def number(self, name: str) -> int:
        """The number of a class, from 1."""
        return next(kind.number for kind in self.classes if kind.name == (name or UNNAMED))

    @property
    def image_keys(self) -> set[str]:
        """The images that the objects name."""
        return {item.image for item in self.items}

    def sheets(self) -> list[Sheet]:
        """One for every picture, each with its own objects; the one picture there is takes all of them."""
        alone = len(self.pictures) == 1
        return [
            in_pixels([i for i in self.items if alone or i.image == picture.key], self.crs, picture)
            for picture in self.pictures
        ]


def numbered(names: Iterable[str], classes: Sequence[MapClass], unnamed: int = 0) -> tuple[MapClass, ...]:
    """The classes with their numbers, then those that objects name and the list does not, in alphabetical order.

    `unnamed` is the number of objects without a class, 0 where none was kept for them.
    """
    known = [kind if kind.number else replace(kind, number=place) for place, kind in enumerate(classes, start=1)]
    taken = {kind.name for kind in known}
    last = max((kind.number for kind in known), default=0)
    missing = sorted({name for name in names if name} - taken)
    for number, name in enumerate(missing, start=max(last, unnamed) + 1):
        known.append(MapClass(name, palette_colour(number), number=number))
    if "" in set(names) and UNNAMED not in {kind.name for kind in known}:
        number = unnamed or max((kind.number for kind in known), default=0) + 1
        known.append(MapClass(UNNAMED, palette_colour(number), number=number))
    return tuple(sorted(known, key=lambda kind: kind.number))


def collected(store: Store, items: Sequence[MapObject] | None = None, work: bool = True) -> Collection:
    """Objects of a session (None: all) with its classes and images, and if `work` their clicks, views and examples."""
    chosen = store.objects() if items is None else items
    used = {name for _, name, _, _ in store.tally()} | {item.class_name for item in chosen}
    unnamed = store.unnamed_number()
    classes = numbered(used, store.classes(), unnamed)
    kept = {item.uuid: (store.clicks_of(item.uuid), store.view_of(item.uuid)) for item in chosen} if work else {}
    images = {image.path: image for image in store.images()}
    wanted = tuple(images[key] for key in dict.fromkeys(item.image for item in chosen) if key in images)
    references = store.references() if work else ()
    return Collection(tuple(chosen), store.crs, classes, (), wanted, references, kept, unnamed)


def renamed(collection: Collection, names: Mapping[str, str]) -> Collection:
    """The same with other names of images, by key; names that are not listed stay."""

    def view_of(view: StoredView | None) -> StoredView | None:
        return None if view is None else replace(view, image=names.get(view.image, view.image))

    return replace(
        collection,
        items=tuple(replace(item, image=names.get(item.image, item.image)) for item in collection.items),
        images=tuple(replace(image, path=names.get(image.path, image.path)) for image in collection.images),
        pictures=tuple(replace(picture, key=names.get(picture.key, picture.key)) for picture in collection.pictures),
        kept={uuid: (clicks, view_of(view)) for uuid, (clicks, view) in collection.kept.items()},
    )


def in_pixels(items: Sequence[MapObject], crs: CRS | None, picture: Picture) -> Sheet:
    """Objects in the pixels of a picture; what lies beyond its edges is cut off, and left out if nothing is left."""
    rows, cols = picture.grid.shape
    frame = box(0, 0, cols, rows)
    found, cut = [], 0
    for item in items:
        geometry: BaseGeometry = through(reproject(item.geometry, crs, picture.grid.crs), ~picture.grid.transform)
        left, top, right, bottom = geometry.bounds
        if left < 0 or top < 0 or right > cols or bottom > rows:
            cut += 1
            kind = kind_of(geometry)
            inside = shapely.make_valid(geometry).intersection(frame)
            parts = polygons_in(inside) if kind == "polygon" else of_kind(inside, kind)
            if not parts:
                continue
            geometry = shapely.union_all(parts) if kind != "polygon" and len(parts) > 1 else parts[0]
            if kind == "polygon" and len(parts) > 1:
                geometry = shapely.MultiPolygon(parts)
        found.append(replace(item, geometry=geometry))
    return Sheet(picture, tuple(found), cut)


TAKEN = {"fid", "id", "geom", "geometry", "wkt", "crs", "type", *(column.short for column in COLUMNS)}
"""Names that columns of formats have; an attribute of such a name is in the JSON of `attributes` alone."""


def own_columns(items: Sequence[MapObject]) -> dict[str, list[Any]]:
    """The attributes of objects as columns: all of one kind (yes or no, whole, number), else text; None where absent.

    Names that differ in capitals alone, or are those of other columns, are left to `attributes`.
    """
    names = dict.fromkeys(name for item in items for name in item.attributes)
    small = Counter(name.lower() for name in names)
    found: dict[str, list[Any]] = {}
    for name in names:
        if name.lower() in {*FIELDS, *TAKEN} or small[name.lower()] > 1 or not name.strip():
            continue
        values = [item.attributes.get(name) for item in items]
        kinds = {type(value) for value in values if value is not None}
        if kinds <= {int, float} and kinds != {int}:
            values = [None if value is None else float(value) for value in values]
        elif len(kinds) > 1 or not kinds <= {int, float, bool, str}:
            values = [
                None if value is None else value if isinstance(value, str) else json.dumps(value) for value in values
            ]
        found[name] = values
    return found


def of_kind(geometry: BaseGeometry, kind: ShapeKind | None) -> list[BaseGeometry]:
    """The parts of a geometry that are of a kind."""
    return [part for part in parts_of_kind(geometry) if kind_of(part) == kind]


def uniform(items: Sequence[MapObject]) -> list[BaseGeometry]:
    """Geometries alike in every kind: of one part if each of that kind has one, else of several."""
    whole = [as_multi(item.geometry) for item in items]
    many = {kind_of(geometry) for geometry in whole if shapely.get_num_geometries(geometry) != 1}
    return [geometry if kind_of(geometry) in many else simple(geometry) for geometry in whole]


def class_lines(job: Collection) -> list[str]:
    """Class names by their index, from 0; a number that no class has any more keeps its place."""
    names = {kind.number: " ".join(kind.name.split()) for kind in job.classes}
    return [names.get(number, f"unused_{number}") for number in range(1, max(names, default=0) + 1)]


def of_pictures(whole: Collection, pictures: Sequence[Picture]) -> Collection:
    """The part of a collection that lies on some pictures; with one picture in all, everything does."""
    if len(whole.pictures) == 1:
        return replace(whole, pictures=tuple(pictures))
    keys = {picture.key for picture in pictures}
    return replace(whole, items=tuple(i for i in whole.items if i.image in keys), pictures=tuple(pictures))


def stem_of(stem: str, picture: Picture, pictures: Sequence[Picture]) -> str:
    """The name of a picture's file without its ending; with the ending where two pictures differ in nothing else."""
    same = [other for other in pictures if PurePosixPath(other.name).stem.lower() == stem.lower()]
    return stem if len(same) == 1 else picture.name
