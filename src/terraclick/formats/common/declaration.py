"""What a format declares of itself, and what a reader gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from terraclick.formats.common.collection import Collection, Picture
from terraclick.geo.kinds import ShapeKind
from terraclick.store.values import MapClass

__all__ = ["LEFT_OUT", "Format", "Pair", "Read", "Shapes", "expect"]

LEFT_OUT = "\0left out"
"""In the fields of a feature that cannot be read: why."""

Shapes = Mapping[str, tuple[int, int]]
"""(rows, columns) of pictures by name."""
Pair = tuple[BaseGeometry | None, dict[str, Any]]
"""A geometry and its fields by name."""


@dataclass(frozen=True)
class Read:
    """Geometries with their fields; images are named in the field `image`."""

    pairs: Iterable[Pair]
    crs: CRS | None = None
    pixels: bool = False
    classes: tuple[MapClass, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format: a file of `formats/` calls its own FORMAT.

    endings: the usual one first; of two formats that fit, the one with the longer ending is meant. pixels: it counts in
    pixels of a picture. many: one file can hold several pictures. carries: the kinds of shapes that it can hold;
    objects of another kind are left out and counted. needs: the package that must be installed. beside: endings, after
    the file's stem, of what is written with it. lonlat: longitude and latitude unless another system is asked for.
    may_be_empty: a file of no object is whole. names_pictures: a file says where its picture lies.

    write takes objects and a path, and reads again what it wrote (OSError). read takes a path and the sizes of
    pictures. A JSON format has `of_json`, whether the object at its top is its own, and `read_json` instead.
    write_set writes pictures by part (train, val, test) into a folder as a data set.
    """

    name: str
    label: str
    note: str
    endings: tuple[str, ...]
    write: Callable[[Collection, Path], None]
    pixels: bool = False
    many: bool = True
    carries: tuple[ShapeKind, ...] = ("polygon",)
    needs: str = ""
    beside: tuple[str, ...] = ()
    lonlat: bool = False
    may_be_empty: bool = False
    names_pictures: bool = False
    write_set: Callable[[Collection, Path, Mapping[str, list[Picture]]], None] | None = None
    read: Callable[[Path, Shapes], Read] | None = None
    of_json: Callable[[dict[str, Any]], bool] | None = None
    read_json: Callable[[dict[str, Any]], Read] | None = None

    @property
    def ending(self) -> str:
        """The usual ending."""
        return self.endings[0]

    @property
    def readable(self) -> bool:
        """Whether files of it can be imported."""
        return self.read is not None or self.read_json is not None


def expect(found: int, job: Collection) -> None:
    """Raise OSError if a written file does not hold every object."""
    if found != len(job.items):
        raise OSError(None, f"{found} of {len(job.items)} objects can be read from the written file")
