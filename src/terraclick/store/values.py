"""What a session keeps beside its objects: clicks, views, classes, examples, images, drafts."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from pyproj import CRS

from terraclick.errors import BadConfig
from terraclick.geo.reading import PLAIN, Reading
from terraclick.values import Bounds, Reference

__all__ = [
    "LARGEST_NUMBER",
    "STATUSES",
    "MapClass",
    "Status",
    "StoredClick",
    "StoredDraft",
    "StoredImage",
    "StoredReference",
    "StoredView",
    "Stretch",
    "new_uuid",
    "utc_now",
]

LARGEST_NUMBER = 65_535
"""Of a class: what a mask of 16 bits holds."""

Stretch = str | tuple[tuple[float, float], ...]

Status = Literal["accepted", "review", "approved", "rejected", "imported", "proposed", "conflict"]
STATUSES: tuple[Status, ...] = get_args(Status)
"""What an object can be: kept by a click or by hand, to be looked at, looked at (good, bad), from a file, found by a
map model, and the losing side of two edits."""


@dataclass(frozen=True)
class StoredClick:
    """One click of an object: row, col in pixels of its StoredView, x, y on the map in the image's CRS."""

    row: float
    col: float
    x: float
    y: float
    positive: bool = True
    time: str = ""


@dataclass(frozen=True)
class StoredView:
    """What the model saw: the arguments of `read_view` and the shape it gave, so that a replay is exact.

    bounds (left, bottom, right, top) in the image's CRS; gsd in metres or None; divisions e.g. (2, 3, 4) or (). box:
    the places in the image's CRS of the top-left and the bottom-right corner (x, y, x, y) of the box that was drawn.
    """

    image: str
    bounds: Bounds | None = None
    gsd: float | None = None
    bands: tuple[int, ...] | None = None
    stretch: Stretch = "auto"
    divisions: tuple[int, ...] = ()
    shape: tuple[int, int] = (0, 0)
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class MapClass:
    """A kind of thing: name, colour (#rrggbb), key (1–9 or ""), kind (discrete or coverage), schema of attributes.

    The store gives the number, from 1; a class keeps it for good, also under another name, and no other ever gets it.
    """

    name: str
    colour: str = "#e31a1c"
    key: str = ""
    kind: str = "discrete"
    schema: dict[str, Any] | None = None
    number: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in ("coverage", "discrete"):
            raise BadConfig(f"class {self.name!r} has kind {self.kind!r}; expected coverage or discrete.")


@dataclass(frozen=True)
class StoredReference:
    """A saved example of a class: the crop, its mask and its sign are those of `reference`."""

    class_name: str
    reference: Reference
    uuid: str = ""
    created: str = ""


@dataclass(frozen=True)
class StoredImage:
    """An image of the session: path (its key), cheap hash, CRS (None for pixel coordinates), bounds in that CRS.

    reading is how the user had it read, where the file alone does not say it.
    """

    path: str
    hash: str = ""
    crs: CRS | None = None
    bounds: Bounds | None = None
    reading: Reading = PLAIN


@dataclass(frozen=True)
class StoredDraft:
    """A click session that was not accepted yet: whose, on which image, and what was done so far (JSON values)."""

    uuid: str
    author: str
    image: str
    content: dict[str, Any]
    updated: str = ""


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def new_uuid() -> str:
    """A random name for an object: a UUID of version 4."""
    data = bytearray(os.urandom(16))  # `uuid.uuid4` takes four times as long, and imports need thousands
    data[6] = data[6] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    text = data.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
