"""The session on disk: what is kept, and the store that keeps it in a GeoPackage that QGIS can open at any moment.

First the values, then `Store`, what a store promises; then `SqlStore`, all that does not hang on which database it is;
then `GeoPackageStore`, written by stdlib sqlite3 alone (`store_postgis.py` is the other one). Every change is committed
(WAL, synchronous=FULL) before the call returns; the file is checkpointed into a single plain file at close. Geometry is
kept in the file's CRS, chosen when it is created; images in another CRS are reprojected on the way in.

What is in the file: `objects` (a feature layer with a spatial index), and the attribute tables `clicks`, `views`,
`classes`, `references`, `images`, `drafts` (click sessions not yet accepted), `meta`. Rows that QGIS or OGR added or
changed are adopted: a trigger raises `rev` on every change from outside, so that a stale save is a Conflict and never a
silent loss.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, TypeVar, get_args
from uuid import uuid4

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadConfig, BadData, BadOutput, Conflict, NotGeoreferenced, UnknownName
from terraclick.files import replace_whole
from terraclick.geo.colours import palette_colour
from terraclick.geo.crs_text import crs_of_wkt
from terraclick.geo.geopackage import (
    add_what_is_new,
    as_multi,
    connect,
    create_tables,
    decode_geometries,
    decode_geometry,
    encode_geometry,
    encode_point,
    enter_wal,
    has_table,
    sqlite_errors,
)
from terraclick.geo.lonlat import WGS84, joined, wrapped
from terraclick.geo.measure import measured, measured_many
from terraclick.geo.outside import Happened, Outside, image_at, in_chunks, judged, usable
from terraclick.geo.pictures import decoded
from terraclick.geo.presence import FileGone, copy_database, is_whole, presence_of, rescue, written_at
from terraclick.geo.reading import PLAIN, Reading
from terraclick.geo.rows import (
    BadRow,
    SetAside,
    colour_of,
    columns_of,
    count_of,
    json_object,
    name_of,
    number_of,
    text_of,
)
from terraclick.geo.styles import MARK, layer_style
from terraclick.values import Reference

__all__ = [
    "STATUSES",
    "GeoPackageStore",
    "MapClass",
    "MapObject",
    "SqlStore",
    "Status",
    "Store",
    "StoredClick",
    "StoredDraft",
    "StoredImage",
    "StoredReference",
    "StoredView",
    "check_database",
    "check_geometry",
    "files_hash",
    "image_hash",
    "like",
    "new_uuid",
    "open_store",
    "remove_session",
    "reproject",
    "to_lonlat",
    "utc_now",
]

VERSION = 1
"""Layout of the session tables; a file with a higher number is refused."""

MOST_PX = 16_384
"""Longest side of the picture of an example."""

Bounds = tuple[float, float, float, float]
Stretch = str | tuple[tuple[float, float], ...]
Own = TypeVar("Own", bound="SqlStore")

_FIELDS = (
    "uuid image class label target score area_m2 perimeter_m n_clicks model model_hash status author rev created "
    "updated attributes"
).split()
_COLUMNS = ", ".join(_FIELDS)
_UNNAMED_KEY = "number_of_objects_without_class"
_MARK = "image_state "
"""Begins the key of what a person said of an image; its path follows."""
_WHOLE = "uuid IS NOT NULL AND geom IS NOT NULL"


Status = Literal["accepted", "review", "approved", "rejected", "imported", "proposed", "conflict"]
STATUSES: tuple[Status, ...] = get_args(Status)
"""What an object can be: kept by a click or by hand, to be looked at, looked at (good, bad), from a file, found by a
map model, and the losing side of two edits."""


@dataclass(frozen=True, kw_only=True)
class MapObject:
    """One accepted outline and what is known about it; geometry is a Polygon or MultiPolygon.

    The store fills empty `uuid`, `created`, `updated` and always `area_m2`, `perimeter_m` (geodesic; None where the
    file has no CRS) and `rev`, which counts the changes. `image` is the path of a StoredImage or "". `attributes` are
    the values of the class's own columns, kept as JSON.
    """

    uuid: str = ""
    image: str = ""
    class_name: str = ""
    label: str = ""
    target: str = "object"
    score: float | None = None
    geometry: BaseGeometry
    area_m2: float | None = None
    perimeter_m: float | None = None
    n_clicks: int = 0
    model: str = ""
    model_hash: str = ""
    status: str = "accepted"
    author: str = ""
    rev: int = 0
    created: str = ""
    updated: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


def like(item: MapObject, **values: Any) -> MapObject:
    """`dataclasses.replace` for objects, ten times as fast: thousands are changed at once."""
    found: MapObject = object.__new__(MapObject)
    found.__dict__.update(item.__dict__)
    found.__dict__.update(values)
    return found


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

    bounds (left, bottom, right, top) in the image's CRS; gsd in metres or None; divisions e.g. (2, 3, 4) or ().
    """

    image: str
    bounds: Bounds | None = None
    gsd: float | None = None
    bands: tuple[int, ...] | None = None
    stretch: Stretch = "auto"
    divisions: tuple[int, ...] = ()
    shape: tuple[int, int] = (0, 0)


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


class Store(Protocol):
    """Where a session lives. Every change is durable when the call returns."""

    @property
    def crs(self) -> CRS | None:
        """The CRS of every geometry that comes out; None means image pixels."""
        ...

    def add(
        self,
        item: MapObject,
        clicks: Sequence[StoredClick] = (),
        view: StoredView | None = None,
        crs: CRS | None = None,
    ) -> MapObject:
        """Keep an object with its clicks and view; its geometry is in `crs`, by default that of its image."""
        ...

    def update(
        self,
        item: MapObject,
        clicks: Sequence[StoredClick] | None = None,
        view: StoredView | None = None,
        crs: CRS | None = None,
    ) -> MapObject:
        """Save a changed object if its rev is still the stored one, else Conflict; `crs` is by default the store's."""
        ...

    def delete(self, uuid: str) -> None:
        """Remove an object, its clicks and its view."""
        ...

    def get(self, uuid: str) -> MapObject:
        """One object by its uuid."""
        ...

    def add_many(
        self,
        items: Iterable[tuple[MapObject, Sequence[StoredClick], StoredView | None]],
        crs: CRS | None = None,
    ) -> list[MapObject]:
        """`add` for many objects in one transaction."""
        ...

    def update_many(
        self,
        items: Sequence[tuple[MapObject, Sequence[StoredClick] | None, StoredView | None]],
        known: Mapping[str, MapObject] | None = None,
    ) -> list[MapObject]:
        """`update` for many objects, each once, in one transaction; `known` as they were read in it."""
        ...

    def delete_many(self, uuids: Sequence[str], known: Mapping[str, MapObject] | None = None) -> None:
        """`delete` for many objects in one transaction; `known` as they were read in it."""
        ...

    def get_many(self, uuids: Sequence[str]) -> dict[str, MapObject]:
        """Those objects that there are, by uuid."""
        ...

    def clicks_of_many(self, uuids: Sequence[str]) -> dict[str, tuple[StoredClick, ...]]:
        """The clicks of many objects; those without any are left out."""
        ...

    def views_of_many(self, uuids: Sequence[str]) -> dict[str, StoredView]:
        """What the model saw for many objects; those without a view are left out."""
        ...

    def mark_image(self, path: str, state: str) -> None:
        """Keep what a person says of an image; "" forgets it."""
        ...

    def image_marks(self) -> dict[str, str]:
        """What people said of images, by path."""
        ...

    def objects(
        self,
        image: str | None = None,
        class_name: str | None = None,
        status: str | None = None,
        bbox: Bounds | None = None,
    ) -> list[MapObject]:
        """Objects in the order they were kept; bbox is in the store's CRS."""
        ...

    def tally(self) -> list[tuple[str, str, str, int]]:
        """(image, class, status, how many objects) for all there are."""
        ...

    def clicks_of(self, uuid: str) -> tuple[StoredClick, ...]:
        """The clicks of an object in the order given."""
        ...

    def view_of(self, uuid: str) -> StoredView | None:
        """What the model saw for an object."""
        ...

    def set_class(self, item: MapClass) -> None:
        """Add a class or change the one of that name."""
        ...

    def classes(self) -> tuple[MapClass, ...]:
        """All classes in the order added."""
        ...

    def unnamed_number(self) -> int:
        """The number kept for objects without a class; 0 as long as there was none."""
        ...

    def add_reference(self, item: StoredReference) -> StoredReference:
        """Keep an example of a class."""
        ...

    def references(self, class_name: str | None = None) -> tuple[StoredReference, ...]:
        """Saved examples, of one class or of all."""
        ...

    def add_image(self, item: StoredImage) -> None:
        """Register an image, or renew the one of that path."""
        ...

    def images(self) -> tuple[StoredImage, ...]:
        """All images in the order added."""
        ...

    def rename_class(self, name: str, new: str) -> None:
        """Give a class another name; its objects and examples follow."""
        ...

    def delete_class(self, name: str) -> None:
        """Remove a class; objects keep its name."""
        ...

    def delete_reference(self, uuid: str) -> None:
        """Remove an example."""
        ...

    def save_draft(self, item: StoredDraft) -> None:
        """Keep a click session that is not accepted yet, or renew the one of that uuid."""
        ...

    def delete_draft(self, uuid: str) -> None:
        """Forget one, if it is there."""
        ...

    def drafts(self) -> tuple[StoredDraft, ...]:
        """All of them, in the order begun."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Several changes as one: all are kept when it ends, or none."""
        ...

    def look(self) -> Happened | None:
        """Take in what other programs did; the objects they changed since the last call, None if they did nothing."""
        ...

    def set_aside(self) -> tuple[SetAside, ...]:
        """Rows that cannot be used as they are: left out, or taken with a default for what is wrong."""
        ...

    def note(self, item: MapObject, reason: str) -> None:
        """Set an object aside that turned out to be of no use."""
        ...

    def image_of(self, geometry: BaseGeometry) -> str:
        """The image that holds most of a geometry; "" if none does."""
        ...

    def footprints(self) -> dict[str, BaseGeometry]:
        """Where each image lies in the store's CRS."""
        ...

    def settle(self) -> None:
        """Bring what was written lately to its final place, where that is not done already."""
        ...

    def close(self) -> None:
        """Checkpoint and close; a second call does nothing."""
        ...


def image_hash(path: str | Path) -> str:
    """SHA-256 of the size and the first and last MiB of a file: cheap on any size. Raises BadData if unreadable."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            digest = hashlib.sha256(str(size).encode())
            for start in (0, max(0, size - (1 << 20))):
                file.seek(start)
                digest.update(file.read(1 << 20))
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error.strerror}): check the path.") from None
    return digest.hexdigest()


def files_hash(paths: Sequence[str | Path]) -> str:
    """Says which files these are: the start of a hash over their `image_hash`es; "" without any. Raises BadData."""
    return hashlib.sha256("".join(image_hash(path) for path in paths).encode()).hexdigest()[:16] if paths else ""


def reproject(geometry: BaseGeometry, source: CRS | None, target: CRS | None) -> BaseGeometry:
    """The geometry in another CRS (always x east, y north); unchanged if they are equal or both None.

    In degrees it is cut at the antimeridian and closed over a pole (RFC 7946); from degrees it is joined again.
    Raises NotGeoreferenced if only one side has a CRS, BadData if a vertex has no place in the target.
    """
    if source is None or target is None:
        if source is target:
            return geometry
        side = "into pixel coordinates" if target is None else "from pixel coordinates"
        raise NotGeoreferenced(f"a geometry cannot be carried {side}: one of the two sides has no coordinate system.")
    transformer = _way(source, target)
    if transformer is None:
        return geometry
    whole = joined(geometry) if source.is_geographic else geometry
    moved: BaseGeometry = shapely.transform(whole, transformer.transform, interleaved=False)
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise BadData(f"a geometry lies outside the area where {target.name} is defined: choose another CRS.")
    if target.is_geographic:
        return wrapped(whole, source, moved, target)
    if source.is_geographic and not moved.is_valid and geometry.is_valid:  # a cap over a pole has a seam in degrees
        moved = shapely.make_valid(moved, method="structure", keep_collapsed=False)
    return moved


_WAYS: OrderedDict[tuple[int, int], tuple[CRS, CRS, Transformer | None]] = OrderedDict()
_WAYS_LOCK = threading.Lock()


def _way(source: CRS, target: CRS) -> Transformer | None:
    """What leads from one CRS to another, None where they are the same. Remembered: it takes longer than its use."""
    key = id(source), id(target)  # both are kept beside it, so that no other one gets their ids
    with _WAYS_LOCK:
        if key in _WAYS:
            _WAYS.move_to_end(key)
            return _WAYS[key][2]
    transformer = None
    if not source.equals(target, ignore_axis_order=True):
        try:
            transformer = Transformer.from_crs(source, target, always_xy=True)
        except ProjError:
            raise BadData(f"nothing leads from {source.name} to {target.name}: choose another CRS.") from None
    with _WAYS_LOCK:
        _WAYS[key] = source, target, transformer
        while len(_WAYS) > 32:
            _WAYS.popitem(last=False)
    return transformer


def to_lonlat(geometry: BaseGeometry, source: CRS) -> BaseGeometry:
    """The geometry as longitude and latitude in -180 … 180 degrees, as GeoJSON has it; else as `reproject`."""
    if source.equals(WGS84, ignore_axis_order=True):
        return wrapped(geometry, source, geometry, WGS84)
    return reproject(geometry, source, WGS84)


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(timezone.utc)


def new_uuid() -> str:
    """A random name for an object."""
    return str(uuid4())


def _png(array: NDArray[np.uint8]) -> bytes:
    """A picture (h, w[, 3] BGR) as PNG."""
    return bytes(cv2.imencode(".png", array)[1])


class SqlStore(ABC):
    """What every store in a database does alike; a subclass is the connection and the few places where SQL differs.

    Statements are written once with ? for a value. What differs in words is data: `_mark`, `_geometry_in`,
    `_geometry_out`, `_row_lock`, `_elsewhere`. Safe to share between threads.
    """

    _mark = "?"
    """What stands for a value in this database."""
    _geometry_in = "?"
    """The SQL that takes what `_pack` gives."""
    _geometry_out = "geom"
    """The SQL whose value `_unpack` takes."""
    _row_lock = ""
    """Ends a SELECT whose row nobody else may change until the transaction ends."""
    _elsewhere = "start another session file"
    """The way out for an image that cannot be kept here."""
    quiet_s: float = 0.0
    """So long after another program's last change nothing is adopted: one that saves in several steps would be refused
    its next one (SQLite lets nobody write who read before somebody else wrote)."""

    def __init__(self, crs: CRS | None, clock: Callable[[], datetime], new_uuid: Callable[[], str]) -> None:
        self._crs = crs
        self._clock = clock
        self._new_uuid = new_uuid
        self._lock = threading.RLock()
        self._image_crs: dict[str, CRS | None] = {}
        self._present: list[str] = []
        self._outside = Outside()
        self._looking = True  # until the store is whole

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def crs(self) -> CRS | None:
        """The CRS of every geometry that comes out; None means image pixels (x = column, y = row, down)."""
        return self._crs

    # -- what a subclass brings

    @property
    @abstractmethod
    def _place(self) -> str:
        """What a message calls this store."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Any]:
        """The open connection, the lock held; what the database says becomes an error of the family."""

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[Any]:
        """The same: all or nothing, and durable when it ends. May stand inside another."""

    @abstractmethod
    def _pack(self, geometry: MultiPolygon) -> bytes: ...

    @abstractmethod
    def _unpack(self, value: bytes) -> BaseGeometry: ...

    @abstractmethod
    def _meets(self, bbox: Bounds) -> tuple[str, tuple[float, ...]]:
        """The condition that an object's box meets this one (bottom and top in any order), and its values."""

    @abstractmethod
    def _insert_view(self, db: Any, uuid: str, view: StoredView) -> None: ...

    @abstractmethod
    def _put_image(self, db: Any, item: StoredImage) -> None: ...

    @abstractmethod
    def _stamp(self, db: Any) -> Any:
        """A value that is another one once another program has committed."""

    @abstractmethod
    def view_of(self, uuid: str) -> StoredView | None:
        """What the model saw for an object; None if it was not made from a view."""

    @abstractmethod
    def images(self) -> tuple[StoredImage, ...]:
        """All images in the order added."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection; a second call does nothing."""

    def _noted(self, db: Any, geometries: Sequence[BaseGeometry]) -> None:
        """Called in every transaction that changed objects, with the geometries that came in."""
        return

    def _classes_changed(self, db: Any) -> None:
        """Called in every transaction that changed the list of classes."""
        return

    def _clicks_placed(self, db: Any, uuid: str, crs: CRS | None) -> None:
        """Called when clicks of an object came in, with the CRS of their x and y."""
        return

    # -- objects

    def add(
        self,
        item: MapObject,
        clicks: Sequence[StoredClick] = (),
        view: StoredView | None = None,
        crs: CRS | None = None,
    ) -> MapObject:
        """Keep an object with its clicks and view, and give it back as stored (uuid, rev 1, area, times, store's CRS).

        `crs` is that of its geometry, by default its image's. Raises Conflict if the uuid is taken, UnknownName for an
        image that was not added, BadData for anything but a non-empty polygon.
        """
        (stored,) = self.add_many([(item, clicks, view)], crs)
        return stored

    def add_many(
        self,
        items: Iterable[tuple[MapObject, Sequence[StoredClick], StoredView | None]],
        crs: CRS | None = None,
    ) -> list[MapObject]:
        """`add` for many objects in one transaction: all are kept, or none."""
        with self._transaction() as db:
            now = self._time()
            fresh = self._prepared(db, list(items), crs, now)
            stored = [item for item, _, _, _ in fresh]
            taken = self.get_many([item.uuid for item in stored])
            twice = {uuid for uuid, number in Counter(item.uuid for item in stored).items() if number > 1}
            for item, _, _, given in fresh:
                if item.uuid in taken or item.uuid in twice:
                    theirs = taken.get(item.uuid)
                    raise Conflict(f"object {item.uuid} is already stored: update it instead.", given, theirs)
            marks = ", ".join([self._geometry_in, *"?" * len(_FIELDS)])
            query = f"INSERT INTO objects (geom, {_COLUMNS}) VALUES ({marks})"
            self._run_many(db, query, [(self._pack(check_geometry(i.geometry)), *_values(i)) for i in stored])
            self._outside.own |= {item.uuid for item in stored}
            self._registered_all(db, [item.class_name for item in stored])
            for item, clicks, view, _ in fresh:
                if clicks:
                    self._insert_clicks(db, item.uuid, clicks, now)
                    self._clicks_placed(db, item.uuid, self._crs_of_clicks(db, item.image))
                if view is not None:
                    self._insert_view(db, item.uuid, view)
            self._noted(db, [item.geometry for item in stored])
        return stored

    def update(
        self,
        item: MapObject,
        clicks: Sequence[StoredClick] | None = None,
        view: StoredView | None = None,
        crs: CRS | None = None,
    ) -> MapObject:
        """Save a changed object if its rev is still the stored one; its geometry is in `crs`, by default the store's.

        `clicks` and `view` replace the stored ones unless None. Raises Conflict (with `mine` and `theirs`, None if it
        was deleted) if somebody else saved it meanwhile.
        """
        moved = replace(item, geometry=reproject(item.geometry, crs or self._crs, self._crs))
        try:
            (stored,) = self.update_many([(moved, clicks, view)])
        except Conflict as conflict:
            raise Conflict(str(conflict), item, conflict.theirs) from None
        return stored

    def update_many(
        self,
        items: Sequence[tuple[MapObject, Sequence[StoredClick] | None, StoredView | None]],
        known: Mapping[str, MapObject] | None = None,
    ) -> list[MapObject]:
        """`update` for many objects, each once, in one transaction; their geometry is in the store's CRS.

        `known` are the objects as they were read in this transaction, where they were.
        """
        with self._transaction() as db:
            if known is None:
                known = self._find_many(db, [item.uuid for item, _, _ in items], self._row_lock)
            now = self._time()
            stored: list[MapObject] = []
            for item, _, _ in items:
                theirs = known.get(item.uuid)
                if theirs is None or theirs.rev != item.rev:
                    fate = "was deleted" if theirs is None else f"is at revision {theirs.rev}, yours is {item.rev}"
                    raise Conflict(f"object {item.uuid} {fate}: reload it and apply your change again.", item, theirs)
                fresh = {"rev": item.rev + 1, "updated": now, "created": theirs.created}
                if item.geometry is theirs.geometry or item.geometry.equals_exact(theirs.geometry, 0.0):
                    fresh |= {
                        "geometry": theirs.geometry, "area_m2": theirs.area_m2, "perimeter_m": theirs.perimeter_m,
                    }  # fmt: skip
                stored.append(like(item, **fresh))
            drawn = {item.uuid for item in stored if item.geometry is not known[item.uuid].geometry}
            reshaped = self._measured_many(
                [replace(item, geometry=check_geometry(item.geometry)) for item in stored if item.uuid in drawn]
            )
            anew = {item.uuid: item for item in reshaped}
            stored = [anew.get(item.uuid, item) for item in stored]
            names = ", ".join(f"{name} = ?" for name in _FIELDS)
            rows = [(*_values(item), item.uuid) for item in stored if item.uuid not in drawn]
            self._run_many(db, f"UPDATE objects SET {names} WHERE uuid = ?", rows)
            whole = [(self._pack(check_geometry(item.geometry)), *_values(item), item.uuid) for item in reshaped]
            self._run_many(db, f"UPDATE objects SET geom = {self._geometry_in}, {names} WHERE uuid = ?", whole)
            self._registered_all(db, [item.class_name for item in stored])
            for item, clicks, view in items:
                if clicks is not None:
                    self._run(db, "DELETE FROM clicks WHERE object = ?", (item.uuid,))
                    self._insert_clicks(db, item.uuid, clicks, now)
                    self._clicks_placed(db, item.uuid, self._crs_of_clicks(db, item.image))
                if view is not None:
                    self._run(db, "DELETE FROM views WHERE object = ?", (item.uuid,))
                    self._insert_view(db, item.uuid, view)
            self._noted(db, [item.geometry for item in reshaped])
        return stored

    def delete(self, uuid: str) -> None:
        """Remove an object, its clicks and its view. Raises UnknownName if there is none."""
        self.delete_many([uuid])

    def delete_many(self, uuids: Sequence[str], known: Mapping[str, MapObject] | None = None) -> None:
        """`delete` for many objects in one transaction. Raises UnknownName if one of them is not there."""
        if not uuids:
            return
        with self._transaction() as db:
            there = self._find_many(db, uuids) if known is None else known
            for uuid in uuids:
                if uuid not in there:
                    raise UnknownName(f"no object {uuid!r} in {self._place}: it may have been deleted.")
            for part in _parts(uuids):
                marks = ", ".join("?" * len(part))
                self._run(db, f"DELETE FROM objects WHERE uuid IN ({marks})", part)
                self._run(db, f"DELETE FROM clicks WHERE object IN ({marks})", part)
                self._run(db, f"DELETE FROM views WHERE object IN ({marks})", part)
            self._outside.own -= set(uuids)
            self._noted(db, [])

    def get(self, uuid: str) -> MapObject:
        """One object by its uuid. Raises UnknownName if there is none."""
        with self._reading() as db:
            item = self._find(db, uuid)
        if item is None:
            raise UnknownName(f"no object {uuid!r} in {self._place}: it may have been deleted.")
        return item

    def get_many(self, uuids: Sequence[str]) -> dict[str, MapObject]:
        """Those objects that there are, by uuid."""
        with self._reading() as db:
            return self._find_many(db, uuids)

    def objects(
        self,
        image: str | None = None,
        class_name: str | None = None,
        status: str | None = None,
        bbox: Bounds | None = None,
    ) -> list[MapObject]:
        """Objects in the order they were kept; bbox (left, bottom, right, top) in the store's CRS meets their boxes."""
        wanted = [("image", image), ("class", class_name), ("status", status)]
        conditions = [_WHOLE, *(f"{name} = ?" for name, value in wanted if value is not None)]
        values: list[Any] = [value for _, value in wanted if value is not None]
        if bbox is not None:
            condition, numbers = self._meets(bbox)
            conditions.append(condition)
            values += numbers
        query = f"SELECT {self._selected} FROM objects WHERE {' AND '.join(conditions)} ORDER BY fid"
        with self._reading() as db:
            return self._read_many(self._run(db, query, values).fetchall())

    def tally(self) -> list[tuple[str, str, str, int]]:
        """(image, class, status, how many objects) for all there are, without reading them."""
        names = "coalesce(image, ''), coalesce(class, ''), coalesce(status, '')"
        with self._reading() as db:
            left = ", ".join(str(fid) for fid in self._outside.bad)
            query = f"SELECT {names}, count(*) FROM objects WHERE {_WHOLE}{f' AND fid NOT IN ({left})' if left else ''}"
            rows = self._run(db, f"{query} GROUP BY 1, 2, 3").fetchall()
        return [(str(image), str(name), str(status), number) for image, name, status, number in rows]

    def clicks_of(self, uuid: str) -> tuple[StoredClick, ...]:
        """The clicks of an object in the order given; empty for one that has none."""
        return self.clicks_of_many([uuid]).get(uuid, ())

    def clicks_of_many(self, uuids: Sequence[str]) -> dict[str, tuple[StoredClick, ...]]:
        """The clicks of many objects in the order given; those without any are left out."""
        found: dict[str, list[StoredClick]] = {}
        with self._reading() as db:
            for part in _parts(uuids):
                query = (
                    'SELECT object, "row", col, x, y, positive, time FROM clicks WHERE object IN '
                    f'({", ".join("?" * len(part))}) ORDER BY object, "order"'
                )
                for uuid, *given, positive, time in self._run(db, query, part).fetchall():
                    row, col, x, y = (number_of(value) for value in given)
                    if row is not None and col is not None and x is not None and y is not None:
                        when = time if isinstance(time, str) else ""
                        found.setdefault(uuid, []).append(StoredClick(row, col, x, y, bool(positive), when))
        return {uuid: tuple(clicks) for uuid, clicks in found.items()}

    def views_of_many(self, uuids: Sequence[str]) -> dict[str, StoredView]:
        """What the model saw for many objects; those without a view are left out."""
        with self._reading() as db:
            having: list[str] = []
            for part in _parts(uuids):
                query = f"SELECT object FROM views WHERE object IN ({', '.join('?' * len(part))})"
                having += [uuid for (uuid,) in self._run(db, query, part).fetchall()]
            views = {uuid: self.view_of(uuid) for uuid in having}
        return {uuid: view for uuid, view in views.items() if view is not None}

    # -- what people say of images

    def mark_image(self, path: str, state: str) -> None:
        """Keep what a person says of an image (a state such as `done`); "" forgets it."""
        with self._transaction() as db:
            self._run(db, 'DELETE FROM meta WHERE "key" = ?', (_MARK + path,))
            if state:
                self._run(db, 'INSERT INTO meta ("key", value) VALUES (?, ?)', (_MARK + path, state))

    def image_marks(self) -> dict[str, str]:
        """What people said of images, by path."""
        with self._reading() as db:
            rows = self._run(db, 'SELECT "key", value FROM meta').fetchall()
        return {str(key)[len(_MARK) :]: str(value) for key, value in rows if str(key).startswith(_MARK) and value}

    # -- classes and examples

    def set_class(self, item: MapClass) -> None:
        """Add a class or change the one of that name, which keeps its number."""
        row = (item.colour, item.key, item.kind, json.dumps(item.schema), item.name)
        change = 'UPDATE classes SET colour = ?, "key" = ?, kind = ?, schema = ? WHERE name = ?'
        with self._transaction() as db:
            if self._run(db, change, row).rowcount == 0:
                self._insert_class(db, item)
                self._run(db, change, row)  # another server may have been quicker
            self._classes_changed(db)

    def _insert_class(self, db: Any, item: MapClass) -> None:
        row = (item.name, item.colour, item.key, item.kind, json.dumps(item.schema))
        columns = 'classes (name, colour, "key", kind, schema)'
        self._run(db, f"INSERT INTO {columns} VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING", row)

    def _registered(self, db: Any, name: str) -> None:
        """See to it that a class that objects have is in the list, so that its number stays; "" gets a number too."""
        if name:
            known = self._run(db, "SELECT 1 FROM classes WHERE name = ?", (name,)).fetchone() is not None
            if not known and len(name) <= 200 and name.isprintable():
                (count,) = self._run(db, "SELECT count(*) FROM classes").fetchone()
                self._insert_class(db, MapClass(name, palette_colour(count + 1)))
                self._classes_changed(db)
        elif self._unnamed_number(db) == 0:
            stand_in = self._new_uuid()
            self._insert_class(db, MapClass(stand_in))
            (number,) = self._run(db, "SELECT id FROM classes WHERE name = ?", (stand_in,)).fetchone()
            self._run(db, "DELETE FROM classes WHERE name = ?", (stand_in,))
            self._keep_unnamed(db, number)

    def _registered_all(self, db: Any, names: Sequence[str]) -> None:
        """The same for the classes of many objects, in the order they come."""
        for name in dict.fromkeys(names):
            self._registered(db, name)

    def _keep_unnamed(self, db: Any, number: int) -> None:
        row = (_UNNAMED_KEY, str(number))
        self._run(db, 'INSERT INTO meta ("key", value) VALUES (?, ?) ON CONFLICT ("key") DO NOTHING', row)

    def keep_unnamed_number(self, number: int) -> None:
        """Take over the number of objects without a class from another session, in a new one."""
        with self._transaction() as db:
            if self._unnamed_number(db) == 0:
                self._keep_unnamed(db, number)

    def _unnamed_number(self, db: Any) -> int:
        row = self._run(db, 'SELECT value FROM meta WHERE "key" = ?', (_UNNAMED_KEY,)).fetchone()
        return int(row[0]) if row is not None and str(row[0]).isdigit() else 0

    def unnamed_number(self) -> int:
        """The number kept for objects without a class; 0 as long as there was none."""
        with self._reading() as db:
            return self._unnamed_number(db)

    def classes(self) -> tuple[MapClass, ...]:
        """All classes in the order added."""
        with self._reading() as db:
            rows = self._run(db, 'SELECT name, colour, "key", kind, schema, id FROM classes ORDER BY id').fetchall()
        self._outside.forget("classes")
        found = [self._class(*row) for row in rows]
        return tuple(item for item in found if item is not None)

    def _class(self, name: Any, colour: Any, key: Any, kind: Any, schema: Any, number: int) -> MapClass | None:
        """A class from its row: what another program left empty or cannot be used is the default; None without name."""
        plain = MapClass("")
        try:
            name = text_of(name, "name")
            if not name.strip() or len(name) > 200 or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
                raise BadRow("its name is none")
        except BadRow as error:
            self._outside.note("classes", _shown(name), f"{error}: the class is left out")
            return None
        if kind not in (None, "", "coverage", "discrete"):
            self._outside.note("classes", name, f"its kind {_shown(kind)} is unknown: taken as {plain.kind}")
        if colour_of(colour, "") == "" and colour not in (None, ""):
            self._outside.note("classes", name, f"its colour {_shown(colour)} is not #rrggbb: another is used")
        columns = None
        try:
            columns = json_object(schema, "schema") or None
            columns_of(columns or {})
        except BadRow as error:
            self._outside.note("classes", name, f"{error}: that is not used")
        usable_key = key if isinstance(key, str) and len(key) == 1 and key.isascii() and key.isalnum() else ""
        kind = kind if kind in ("coverage", "discrete") else plain.kind
        return MapClass(name, colour_of(colour, palette_colour(number)), usable_key, kind, columns, number)

    def rename_class(self, name: str, new: str) -> None:
        """Give a class another name; its objects and examples follow, each object at a new revision.

        Raises UnknownName if there is no class of that name, Conflict if `new` is taken.
        """
        with self._transaction() as db:
            if self._run(db, "SELECT 1 FROM classes WHERE name = ?", (new,)).fetchone() is not None:
                raise Conflict(f"there is a class {new!r} already: choose another name, or move the objects to it.")
            if self._run(db, "UPDATE classes SET name = ? WHERE name = ?", (new, name)).rowcount == 0:
                raise UnknownName(f"no class {name!r} in {self._place}.")
            self._run(db, 'UPDATE "references" SET class = ? WHERE class = ?', (new, name))
            self._run(
                db,
                "UPDATE objects SET class = ?, updated = ?, rev = rev + 1 WHERE class = ?",
                (new, self._time(), name),
            )
            self._classes_changed(db)

    def delete_class(self, name: str) -> None:
        """Remove a class; objects keep its name. Raises UnknownName if there is none."""
        with self._transaction() as db:
            if self._run(db, "DELETE FROM classes WHERE name = ?", (name,)).rowcount == 0:
                raise UnknownName(f"no class {name!r} in {self._place}.")
            self._classes_changed(db)

    def add_reference(self, item: StoredReference) -> StoredReference:
        """Keep an example of a class and give it back with its uuid and time; crop and mask are stored losslessly."""
        stored = replace(item, uuid=item.uuid or self._new_uuid(), created=item.created or self._time())
        crop = _png(np.ascontiguousarray(item.reference.image[..., ::-1]))
        mask = _png(item.reference.mask.astype(np.uint8) * np.uint8(255))
        with self._transaction() as db:
            self._run(
                db,
                'INSERT INTO "references" (uuid, class, positive, crop, mask, created) VALUES (?, ?, ?, ?, ?, ?)',
                (stored.uuid, item.class_name, item.reference.positive, crop, mask, stored.created),
            )
        return stored

    def references(self, class_name: str | None = None) -> tuple[StoredReference, ...]:
        """Saved examples in the order added, of one class or of all."""
        condition, values = ("", ()) if class_name is None else (" WHERE class = ?", (class_name,))
        query = f'SELECT uuid, class, positive, crop, mask, created FROM "references"{condition} ORDER BY id'
        with self._reading() as db:
            rows = self._run(db, query, values).fetchall()
        found = []
        self._outside.forget("references")
        for row in rows:
            try:
                found.append(self._reference(*row))
            except BadRow as error:
                self._outside.note("references", _shown(row[0]), f"{error}: the example is left out")
        return tuple(found)

    def delete_reference(self, uuid: str) -> None:
        """Remove an example. Raises UnknownName if there is none."""
        with self._transaction() as db:
            if self._run(db, 'DELETE FROM "references" WHERE uuid = ?', (uuid,)).rowcount == 0:
                raise UnknownName(f"no example {uuid!r} in {self._place}: it may have been deleted.")

    # -- click sessions that are not accepted yet

    def save_draft(self, item: StoredDraft) -> None:
        """Keep a click session that is not accepted yet, or renew the one of that uuid."""
        row = (item.uuid, item.author, item.image, json.dumps(item.content), item.updated or self._time())
        with self._transaction() as db:
            self._run(
                db,
                "INSERT INTO drafts (uuid, author, image, content, updated) VALUES (?, ?, ?, ?, ?) ON CONFLICT (uuid) "
                "DO UPDATE SET author = excluded.author, image = excluded.image, content = excluded.content, "
                "updated = excluded.updated",
                row,
            )

    def delete_draft(self, uuid: str) -> None:
        """Forget a click session, if it is there."""
        with self._transaction() as db:
            self._run(db, "DELETE FROM drafts WHERE uuid = ?", (uuid,))

    def drafts(self) -> tuple[StoredDraft, ...]:
        """All click sessions that are not accepted yet, in the order begun; what is damaged in one is left out."""
        with self._reading() as db:
            rows = self._run(db, "SELECT uuid, author, image, content, updated FROM drafts ORDER BY id").fetchall()
        found = []
        self._outside.forget("drafts")
        for uuid, author, image, content, updated in rows:
            try:
                names = text_of(uuid, "uuid"), text_of(author, "author"), text_of(image, "image")
                found.append(StoredDraft(*names, json_object(content, "content"), text_of(updated, "updated")))
            except BadRow as error:
                self._outside.note("drafts", _shown(uuid), f"{error}: the click session is left out")
        return tuple(found)

    # -- images

    def add_image(self, item: StoredImage) -> None:
        """Register an image, or renew the one of that path.

        Raises NotGeoreferenced if the image has a CRS and the session keeps pixels, or the other way round.
        """
        if (item.crs is None) != (self._crs is None):
            if item.crs is None:
                way = f"has no coordinate system but {self._place} keeps {self._crs.name if self._crs else ''}"
            else:
                way = f"has a coordinate system but {self._place} keeps plain pixel coordinates"
            raise NotGeoreferenced(f"{item.path} {way}: georeference the image, or {self._elsewhere} for it.")
        with self._transaction() as db:
            self._put_image(db, item)
        with self._lock:
            self._image_crs.pop(item.path, None)
            self._present.append(item.path)
            self._outside.again = True  # rows without an image may lie on it

    def _reading_of(self, path: Any, text: Any) -> Reading:
        """How an image is read, from its column; plainly where another program left something in it."""
        try:
            return Reading.of_stored(json_object(text, "reading"))
        except (BadRow, BadConfig) as error:
            self._outside.note("images", _shown(path), f"{str(error).rstrip('.')}: the image is read as its file says")
            return PLAIN

    # -- what other programs did

    def look(self) -> Happened | None:
        """Take in what other programs did: rows drawn elsewhere get what ours have, those that cannot be used are set
        aside. Gives the objects they changed since the last call, None if no other program did anything.
        """
        self._outside.again |= self._outside.pending
        with self._reading() as db:
            self._look(db)
            return self._outside.take()

    def set_aside(self) -> tuple[SetAside, ...]:
        """Rows that cannot be used as they are: left out, or taken with a default for what is wrong."""
        with self._reading():
            return (*self._outside.bad.values(), *self._outside.other.values())

    def settle(self) -> None:
        """Bring what was written lately to its final place, where that is not done already."""
        return

    def note(self, item: MapObject, reason: str) -> None:
        """Set an object aside that turned out to be of no use."""
        with self._lock:
            fid = next((fid for fid, row in self._outside.rows.items() if row[0] == item.uuid), None)
            if fid is not None:
                self._outside.bad[fid] = SetAside("objects", item.uuid, reason)

    def _look(self, db: Any) -> None:
        """Read the rows that are new or changed since the last look, if any other program committed."""
        state = self._outside
        stamp = self._stamp(db)
        if (stamp == state.stamp and not state.again) or self._looking:
            return
        self._looking = True
        try:
            self._take_in(db, state.stamp is not None and stamp != state.stamp)
            state.stamp, state.again = stamp, False
        finally:
            self._looking = False

    def _take_in(self, db: Any, elsewhere: bool) -> None:
        state = self._outside
        rows = self._run(db, "SELECT fid, uuid, rev FROM objects").fetchall()
        fresh = state.compare({fid: (uuid, rev) for fid, uuid, rev in rows}, elsewhere)
        for fids in in_chunks(fresh):
            query = f"SELECT {self._selected} FROM objects WHERE fid IN ({fids})"
            found = self._run(db, query).fetchall()
            for fid, one in judged(((row[-2], row) for row in found), self._stored_geometry, self._crs).items():
                if one.geometry is None:
                    state.bad[fid] = SetAside("objects", self._name_of(fid), one.reason)
                elif one.crooked:
                    state.crooked.add(fid)
        for table in (self.classes, self.references, self.drafts, self.images):  # each sets aside what it must
            table()
        if elsewhere:
            state.heard = time.monotonic()
        if time.monotonic() - state.heard < self.quiet_s:
            state.pending = True
            return
        try:
            self._adopt(db)
            state.pending = False
        except BadOutput:  # somebody holds the file, or it is read-only: they are adopted at a later look
            state.pending = True

    def _name_of(self, fid: int) -> str:
        uuid = self._outside.rows.get(fid, (None, None))[0]
        return uuid[:80] if isinstance(uuid, str) and uuid.isprintable() else f"row {fid}"

    def _stored_geometry(self, row: Sequence[Any]) -> BaseGeometry:
        """The geometry of a row of `objects` as it is stored. Raises BadRow if any of the row cannot be used."""
        if row[0] is not None:
            name_of(row[0], "uuid")
        if row[-1] is None:
            raise BadRow("it has no geometry")
        try:
            return self._plain(row).geometry
        except BadData as error:
            raise BadRow(str(error).rstrip(".").replace(": the file is damaged", "")) from None

    def _adopt(self, db: Any) -> None:
        """Give rows drawn in another program what ours have: uuid, revision, status, image, area."""
        wanting = "uuid IS NULL OR uuid = '' OR rev IS NULL OR image IS NULL"
        if self._crs is not None:
            wanting += " OR area_m2 IS NULL"
        query = f"SELECT {self._selected} FROM objects WHERE geom IS NOT NULL AND ({wanting})"
        rows = [row for row in self._run(db, query).fetchall() if row[-2] not in self._outside.bad]
        if not rows:
            return
        footprints = self.footprints()
        changes = []
        for row in rows:
            fid, item = row[-2], self._object(row)
            geometry = usable(item.geometry) if fid in self._outside.crooked else item.geometry
            image = row[_FIELDS.index("image")]
            image = image_at(geometry, footprints, self._present) if image is None else image
            area, perimeter = measured(geometry, self._crs) if self._crs is not None else (None, None)
            if row[0] and row[_FIELDS.index("rev")] is not None and image is None and row[6] == area:
                continue  # nothing to be known
            changes.append((row[0] or self._new_uuid(), image, area, perimeter, fid))
        if changes:
            self._write_adopted(changes)

    def _write_adopted(self, changes: Sequence[tuple[Any, ...]]) -> None:
        with self._transaction() as db:
            now = self._time()
            for uuid, image, area, perimeter, fid in changes:
                self._run(
                    db,
                    "UPDATE objects SET uuid = ?, image = ?, area_m2 = ?, perimeter_m = ?, rev = coalesce(rev, 0) + 1, "
                    "status = coalesce(status, 'accepted'), created = coalesce(created, ?), "
                    "updated = coalesce(updated, ?) WHERE fid = ?",
                    (uuid, image, area, perimeter, now, now, fid),
                )
            for (name,) in self._run(db, "SELECT DISTINCT class FROM objects").fetchall():
                if name is None or isinstance(name, str):
                    self._registered(db, name or "")
            rows = self._run(db, "SELECT fid, uuid, rev FROM objects").fetchall()
        self._outside.changed |= {change[0] for change in changes}
        self._outside.told &= not self._outside.pending  # what was put off is news now
        self._outside.rows = {fid: (uuid, rev) for fid, uuid, rev in rows}

    def image_of(self, geometry: BaseGeometry) -> str:
        """The image (by its path) that holds most of a geometry in the store's CRS; "" if none does."""
        with self._reading():
            return image_at(geometry, self.footprints(), self._present) or ""

    def footprints(self) -> dict[str, BaseGeometry]:
        """Where each image lies in the store's CRS; in pixels, where it is the only one, everywhere."""
        images = self.images()
        if self._crs is None:
            keys = self._present or [item.path for item in images]
            return {keys[0]: shapely.box(-1e9, -1e9, 1e9, 1e9)} if len(set(keys)) == 1 else {}
        found: dict[str, BaseGeometry] = {}
        for item in images:
            if item.bounds is None or item.crs is None:
                continue
            box = shapely.box(*item.bounds)
            side = max(item.bounds[2] - item.bounds[0], item.bounds[3] - item.bounds[1])
            try:
                found[item.path] = shapely.make_valid(
                    reproject(shapely.segmentize(box, side / 16), item.crs, self._crs)
                )
            except (BadData, NotGeoreferenced, shapely.errors.GEOSException):
                continue
        return found

    # -- within

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several changes as one: all are durable when it ends, or none."""
        with self._transaction():
            yield

    def _run(self, db: Any, query: str, values: Sequence[Any] = ()) -> Any:
        """Execute a statement written with ? for its values; gives a cursor."""
        return db.execute(query.replace("?", self._mark), values)

    def _run_many(self, db: Any, query: str, rows: Sequence[Sequence[Any]]) -> None:
        """The same for many rows of values."""
        if rows:
            db.cursor().executemany(query.replace("?", self._mark), rows)

    def _time(self) -> str:
        return self._clock().astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def _crs_of_image(self, db: Any, image: str) -> CRS | None:
        if image not in self._image_crs:
            row = self._run(db, "SELECT crs FROM images WHERE path = ?", (image,)).fetchone()
            if row is None:
                raise UnknownName(f"no image {image!r} in {self._place}: add the image before its objects.")
            self._image_crs[image] = None if row[0] is None else crs_of_wkt(row[0])
        return self._image_crs[image]

    def _prepared(
        self,
        db: Any,
        items: Sequence[tuple[MapObject, Sequence[StoredClick], StoredView | None]],
        crs: CRS | None,
        now: str,
    ) -> list[tuple[MapObject, Sequence[StoredClick], StoredView | None, MapObject]]:
        """New objects as they are stored, their clicks and views, and the objects as they were given."""
        found = []
        for item, clicks, view in items:
            image_crs = self._crs_of_image(db, item.image) if item.image else self._crs
            geometry = check_geometry(reproject(item.geometry, crs or image_crs, self._crs))
            fresh = like(
                item,
                uuid=item.uuid or self._new_uuid(),
                geometry=geometry,
                n_clicks=item.n_clicks or len(clicks),
                rev=item.rev + 1,
                created=item.created or now,
                updated=item.updated or now,
            )
            found.append((fresh, clicks, view, item))
        stored = self._measured_many([fresh for fresh, _, _, _ in found])
        return [(item, *rest) for item, (_, *rest) in zip(stored, found, strict=True)]  # type: ignore[misc]

    def _crs_of_clicks(self, db: Any, image: str) -> CRS | None:
        try:
            return self._crs_of_image(db, image) if image else self._crs
        except UnknownName:
            return self._crs

    def _insert_clicks(self, db: Any, uuid: str, clicks: Sequence[StoredClick], now: str) -> None:
        query = 'INSERT INTO clicks (object, "order", "row", col, x, y, positive, time) VALUES (?, ?, ?, ?, ?, ?, ?, ?)'
        for i, c in enumerate(clicks):
            self._run(db, query, (uuid, i, c.row, c.col, c.x, c.y, c.positive, c.time or now))

    def _measured(self, item: MapObject) -> MapObject:
        return self._measured_many([item])[0]

    def _measured_many(self, items: Sequence[MapObject]) -> list[MapObject]:
        """Objects with their areas and lengths on the ground."""
        sizes = measured_many([item.geometry for item in items], self._crs)
        return [
            like(item, area_m2=area, perimeter_m=perimeter)
            for item, (area, perimeter) in zip(items, sizes, strict=True)
        ]

    def _find(self, db: Any, uuid: str, lock: str = "") -> MapObject | None:
        query = f"SELECT {self._selected} FROM objects WHERE uuid = ? AND {_WHOLE}{lock}"
        row = self._run(db, query, (uuid,)).fetchone()
        return None if row is None else self._read(row)

    def _find_many(self, db: Any, uuids: Sequence[str], lock: str = "") -> dict[str, MapObject]:
        found: dict[str, MapObject] = {}
        for part in _parts(uuids):
            query = f"SELECT {self._selected} FROM objects WHERE uuid IN ({', '.join('?' * len(part))}) AND {_WHOLE}"
            rows = self._run(db, query + lock, part).fetchall()
            found |= {item.uuid: item for item in self._read_many(rows)}
        return found

    @property
    def _selected(self) -> str:
        """The columns of an object's row: its fields, fid, geometry."""
        return f"{_COLUMNS}, fid, {self._geometry_out}"

    def _read(self, row: Sequence[Any]) -> MapObject | None:
        """An object from its row; None, and set aside, if another program left something in it that cannot be used."""
        fid = row[-2]
        if fid in self._outside.bad:
            return None
        try:
            item = self._object(row)
            return replace(item, geometry=usable(item.geometry)) if fid in self._outside.crooked else item
        except (BadRow, BadData) as error:
            self._outside.bad[fid] = SetAside("objects", self._name_of(fid), str(error).rstrip("."))
            return None

    def _read_many(self, rows: Sequence[Sequence[Any]]) -> list[MapObject]:
        """Objects from their rows, geometries decoded together; those that cannot be used are set aside."""
        odd = self._outside.bad.keys() | self._outside.crooked
        shapes = self._unpack_many([row[-1] for row in rows])
        found: list[MapObject] = []
        for row, shape in zip(rows, shapes or [None] * len(rows), strict=True):
            item: MapObject | None = None
            if shape is not None and row[-2] not in odd:
                try:
                    item = self._plain(row, shape)
                except BadRow:
                    item = None
            if item is None or item.area_m2 is None:
                item = self._read(row)
            if item is not None:
                found.append(item)
        return found

    def _unpack_many(self, values: Sequence[bytes]) -> list[BaseGeometry] | None:
        """`_unpack` for many; None where one of them needs a closer look."""
        return None

    def _object(self, row: Sequence[Any]) -> MapObject:
        """An object from its row; what another program left empty is filled with the plain default. Raises BadRow."""
        item = self._plain(row)
        return self._measured(item) if item.area_m2 is None else item

    def _plain(self, row: Sequence[Any], geometry: BaseGeometry | None = None) -> MapObject:
        """The same, with no area where none is stored; `geometry` is that of the row where it is known."""
        values = dict(zip(_FIELDS, row[:-2], strict=True))
        texts = ("image", "class", "label", "model", "model_hash", "status", "author", "created", "updated")
        found = {name: text_of(values[name], name) for name in texts}
        return MapObject(
            uuid=text_of(values["uuid"], "uuid"),
            class_name=found.pop("class"),
            target=text_of(values["target"], "target") or "object",
            score=number_of(values["score"]),
            area_m2=number_of(values["area_m2"]),
            perimeter_m=number_of(values["perimeter_m"]),
            n_clicks=count_of(values["n_clicks"], "n_clicks"),
            rev=count_of(values["rev"], "rev"),
            attributes=json_object(values["attributes"], "attributes"),
            geometry=self._unpack(row[-1]) if geometry is None else geometry,
            **found,
        )

    def _reference(
        self, uuid: str, class_name: str, positive: bool, crop: bytes, mask: bytes, created: str
    ) -> StoredReference:
        names = name_of(uuid, "uuid"), text_of(class_name, "class"), text_of(created, "created")
        image, levels = _picture(crop, cv2.IMREAD_COLOR), _picture(mask, cv2.IMREAD_GRAYSCALE)
        if image is None or levels is None or image.shape[:2] != levels.shape[:2] or not (levels > 127).any():
            raise BadRow("its picture or mask cannot be decoded")
        picture = np.ascontiguousarray(image[..., ::-1])
        return StoredReference(names[1], Reference(picture, levels > 127, bool(positive)), names[0], names[2])


def _picture(blob: Any, kind: int) -> NDArray[np.uint8] | None:
    """A stored picture; None if it is none."""
    if not isinstance(blob, bytes | memoryview) or not blob:
        return None
    found = decoded(bytes(blob), kind, MOST_PX)
    return None if found is None else np.asarray(found, dtype=np.uint8)


def _parts(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Names in parts that one statement can hold, each name once."""
    unique = list(dict.fromkeys(str(name) for name in names))
    for start in range(0, len(unique), 500):
        yield tuple(unique[start : start + 500])


def _shown(value: Any) -> str:
    """Whatever stands in a column, short and on one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value)[:60])


class GeoPackageStore(SqlStore):
    """A session in a GeoPackage; see `Store`. Safe to share between threads; several processes may write at once.

    `create` and `open` make one; `clock` and `new_uuid` can be replaced to make every byte repeatable.
    """

    def __init__(
        self,
        path: Path,
        db: sqlite3.Connection,
        clock: Callable[[], datetime] = utc_now,
        new_uuid: Callable[[], str] = new_uuid,
    ) -> None:
        super().__init__(None, clock, new_uuid)
        self.path = path
        self._db: sqlite3.Connection | None = db
        self._presence = presence_of(path)
        self._written = written_at(path)
        self._lost: FileGone | None = None
        self._torn = False
        self._unsettled = False
        self._crs, self._srs_id = self._read_crs()

    @classmethod
    def create(
        cls,
        path: str | Path,
        crs: CRS | None,
        clock: Callable[[], datetime] = utc_now,
        new_uuid: Callable[[], str] = new_uuid,
    ) -> GeoPackageStore:
        """A new session file with geometry in `crs` (None: image pixels).

        Raises BadOutput if it exists or cannot be written.
        """
        path = Path(path)
        if path.exists():
            raise BadOutput(f"{path} already exists: open it, or choose another name.")
        with replace_whole(path, overwrite=False, errors=(sqlite3.Error,), check=check_database) as part:
            db = connect(part)
            try:
                db.execute("PRAGMA application_id = 0x47504B47")
                db.execute("PRAGMA user_version = 10300")
                db.execute("BEGIN IMMEDIATE")
                create_tables(db, crs, VERSION)
                db.execute("COMMIT")
            finally:
                db.close()
        try:
            return cls._connected(path, clock, new_uuid)
        except BadOutput:
            remove_session(path)  # nothing was kept in it yet
            raise

    @classmethod
    def _connected(
        cls, path: Path, clock: Callable[[], datetime] = utc_now, new_uuid: Callable[[], str] = new_uuid
    ) -> GeoPackageStore:
        with sqlite_errors(path):
            db = connect(path)
            try:
                _check_version(db, path)
                enter_wal(db)
                store = cls(path, db, clock, new_uuid)
                with store._transaction():
                    if add_what_is_new(db):
                        store._place_all_clicks(db)
                    store._classes_changed(db)
                store._looking = False
                store.look()
            except BaseException:
                db.close()
                raise
            return store

    @classmethod
    def open(
        cls, path: str | Path, clock: Callable[[], datetime] = utc_now, new_uuid: Callable[[], str] = new_uuid
    ) -> GeoPackageStore:
        """An existing session file. Raises BadData if it is missing, damaged, no session, or of a newer version."""
        path = Path(path)
        if not path.is_file():
            raise BadData(f"{path} does not exist: check the path of the session file.")
        with open(path, "rb") as file:
            if file.read(16) != b"SQLite format 3\0":
                raise BadData(f"{path} is not a GeoPackage: expected a session file made by TerraClick.")
        return cls._connected(path, clock, new_uuid)

    def view_of(self, uuid: str) -> StoredView | None:
        """What the model saw for an object; None if it was not made from a view."""
        query = (
            'SELECT image, "left", bottom, "right", top, gsd, bands, stretch, divisions, "rows", cols FROM views '
            "WHERE object = ?"
        )
        with self._reading() as db:
            row = db.execute(query, (uuid,)).fetchone()
        if row is None:
            return None
        image, left, bottom, right, top, gsd, bands, stretch, divisions, rows, cols = row
        try:
            ranges = json.loads(stretch)
            return StoredView(
                text_of(image, "image"),
                None if left is None else (float(left), float(bottom), float(right), float(top)),
                None if gsd is None else float(gsd),
                None if bands is None else tuple(int(band) for band in json.loads(bands)),
                ranges if isinstance(ranges, str) else tuple((float(low), float(high)) for low, high in ranges),
                tuple(json.loads(divisions)),
                (int(rows), int(cols)),
            )
        except (ValueError, TypeError, RecursionError, BadRow):
            self._outside.note("views", _shown(uuid), "a value in it cannot be used: the view is left out")
            return None

    def images(self) -> tuple[StoredImage, ...]:
        """All images in the order added."""
        with self._reading() as db:
            rows = db.execute(
                'SELECT path, hash, crs, reading, "left", bottom, "right", top FROM images ORDER BY id'
            ).fetchall()
        found = []
        self._outside.forget("images")
        for path, digest, wkt, reading, *bounds in rows:
            try:
                numbers = [number_of(value) for value in bounds]
                box = None if None in numbers else (numbers[0], numbers[1], numbers[2], numbers[3])
                crs = None if wkt is None else crs_of_wkt(wkt)
                names = text_of(path, "path"), text_of(digest, "hash")
                found.append(StoredImage(*names, crs, box, self._reading_of(path, reading)))  # type: ignore[arg-type]
            except (BadRow, BadData) as error:
                self._outside.note("images", _shown(path), f"{str(error).rstrip('.')}: the image is left out")
        return tuple(found)

    # -- the file

    def add_columns(self, items: Mapping[str, MapObject], columns: Mapping[str, Sequence[Any]]) -> None:
        """Give the layer of a new file columns of its own beside `attributes`, one value for each of the objects."""
        kinds = {bool: "BOOLEAN", int: "INTEGER", float: "DOUBLE", str: "TEXT"}
        with self._transaction() as db:
            for name, values in columns.items():
                kind = next((kinds[type(value)] for value in values if value is not None), "TEXT")
                quoted = '"' + name.replace('"', '""') + '"'
                db.execute(f"ALTER TABLE objects ADD COLUMN {quoted} {kind}")
                rows = [(value, uuid) for uuid, value in zip(items, values, strict=True)]
                # the revision goes up and down again, so that nobody takes it for a change from outside
                db.executemany(f"UPDATE objects SET {quoted} = ?, rev = rev + 1 WHERE uuid = ?", rows)
                db.execute("UPDATE objects SET rev = rev - 1")

    def backup(self, path: str | Path) -> None:
        """A consistent copy while others write. Raises BadOutput if `path` exists or cannot be written."""
        with (
            self._reading() as db,
            replace_whole(path, overwrite=False, errors=(sqlite3.Error,), check=check_database) as part,
        ):
            copy_database(db, part)

    def close(self) -> None:
        """Fold everything into the one file and close; a process that still has it open will do that instead."""
        with self._lock:
            db, self._db = self._db, None
            if db is None:
                return
            try:
                if not self._is_overwritten():  # else what was kept would be mixed with another file
                    db.execute("PRAGMA busy_timeout = 100")
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                    if self._presence.fault() is None:
                        db.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.DatabaseError:
                pass  # somebody else holds the file; the log beside it is complete and theirs to fold in
            finally:
                db.close()

    # -- within

    @property
    def _place(self) -> str:
        return str(self.path)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, sqlite_errors(self.path):
            if self._db is None:
                raise BadConfig(f"{self.path} was closed: open the session again.")
            if not self._db.in_transaction:
                self._look(self._db)
            yield self._db

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and on disk, in the file of that name, when it ends. Raises FileGone if there is none."""
        with self._reading() as db:
            if db.in_transaction:  # ours: the lock is held
                yield db
                return
            self._check_presence(db)
            db = self._db or db
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            self._unsettled = True
            self._check_presence(db)

    def _check_presence(self, db: sqlite3.Connection) -> None:
        """Raises FileGone, again and again, if the file is not what it was; what was kept is rescued the first time."""
        if self._lost is not None:
            raise self._lost
        fault = self._presence.fault()
        overwritten = fault is None and self._is_overwritten()
        if overwritten:
            fault = "was overwritten by another program"
        if fault is None:
            if self._presence.log is None:
                self._presence = presence_of(self.path)
            elif self._presence.log_gone():
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what was in the log that was taken away
                self._reconnect()
            return
        kept = rescue(db, self.path, fold=not overwritten)
        way = (
            "export what you need"
            if kept is None
            else f"stop, and go on with {kept.name}, which holds all that was kept"
        )
        self._lost = FileGone(f"{self.path.name} {fault} while it was in use, so nothing more is kept in it: {way}.")
        raise self._lost

    def _is_overwritten(self) -> bool:
        """Whether something that is no database came into the file since the last look, not by way of SQLite."""
        now = written_at(self.path)
        if now is None or now == self._written:
            return self._torn
        self._written = now
        self._torn = not is_whole(self.path)
        return self._torn

    def _reconnect(self) -> None:
        """A new connection, with a new log, to the same file."""
        if self._db is not None:
            self._db.close()
        self._db = connect(self.path)
        enter_wal(self._db)
        self._presence = presence_of(self.path)
        self._outside.stamp = None

    def settle(self) -> None:
        """Fold what was written lately into the one file, so that a copy or a move of it alone is whole."""
        with self._reading() as db:
            if self._unsettled and not db.in_transaction and self._lost is None:
                self._check_presence(db)
                (busy, *_) = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                self._unsettled = bool(busy)
                self._written = written_at(self.path)

    def _read_crs(self) -> tuple[CRS | None, int]:
        with self._reading() as db:
            row = db.execute(
                "SELECT s.srs_id, s.definition_12_063, s.definition FROM gpkg_geometry_columns g "
                "JOIN gpkg_spatial_ref_sys s ON s.srs_id = g.srs_id WHERE g.table_name = 'objects'"
            ).fetchone()
        if row is None:
            raise BadData(f"{self.path} has no objects layer: the session file is damaged.")
        srs_id, wkt2, wkt1 = row
        if srs_id <= 0:
            return None, srs_id
        return crs_of_wkt(wkt2 if wkt2 and wkt2 != "undefined" else wkt1), srs_id

    def _stamp(self, db: sqlite3.Connection) -> Any:
        return db.execute("PRAGMA data_version").fetchone()[0]

    def _write_adopted(self, changes: Sequence[tuple[Any, ...]]) -> None:
        if self._db is not None:
            self._db.execute("PRAGMA busy_timeout = 200")  # another program may be at work: later, then
        try:
            super()._write_adopted(changes)
        finally:
            if self._db is not None:
                self._db.execute("PRAGMA busy_timeout = 30000")

    def _insert_class(self, db: Any, item: MapClass) -> None:
        """As in every store, but a class that brings a number which is free keeps it."""
        super()._insert_class(db, item)
        if item.number > 0 and db.execute("SELECT 1 FROM classes WHERE id = ?", (item.number,)).fetchone() is None:
            db.execute("UPDATE classes SET id = ? WHERE name = ?", (item.number, item.name))
            db.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'classes'", (item.number,))

    def _classes_changed(self, db: Any) -> None:
        """Keep the style that QGIS draws the objects with, unless somebody saved one of their own."""
        rows = db.execute("SELECT name, colour, id FROM classes ORDER BY id").fetchall()
        text = layer_style([(str(name), colour, number) for name, colour, number in rows])
        found = db.execute("SELECT id, styleQML FROM layer_styles WHERE f_table_name = 'objects'").fetchall()
        if not found:
            db.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
                "styleName, styleQML, styleSLD, useAsDefault, description, owner, ui, update_time) VALUES "
                "('', '', 'objects', 'geom', 'TerraClick', ?, '', 1, 'The classes in their colours', '', NULL, ?)",
                (text, self._time()),
            )
        for number, known in found:
            if isinstance(known, str) and MARK in known and known != text:
                db.execute(
                    "UPDATE layer_styles SET styleQML = ?, update_time = ? WHERE id = ?", (text, self._time(), number)
                )

    def _clicks_placed(self, db: Any, uuid: str, crs: CRS | None) -> None:
        """Give clicks their point in the file's CRS, so that other programs can draw them."""
        rows = db.execute("SELECT id, x, y FROM clicks WHERE object = ?", (uuid,)).fetchall()
        if not rows:
            return
        try:
            moved = reproject(shapely.MultiPoint([(x, y) for _, x, y in rows]), crs, self._crs)
        except (BadData, NotGeoreferenced, ValueError):
            return
        places = shapely.get_coordinates(moved).tolist()
        for (number, _, _), (x, y) in zip(rows, places, strict=True):
            db.execute("UPDATE clicks SET geom = ? WHERE id = ?", (encode_point(x, y, self._srs_id), number))

    def _place_all_clicks(self, db: Any) -> None:
        query = "SELECT DISTINCT c.object, coalesce(o.image, '') FROM clicks c JOIN objects o ON o.uuid = c.object"
        for uuid, image in db.execute(query).fetchall():
            self._clicks_placed(db, uuid, self._crs_of_clicks(db, image))

    def _pack(self, geometry: MultiPolygon) -> bytes:
        return encode_geometry(geometry, self._srs_id)

    def _unpack(self, value: bytes) -> BaseGeometry:
        return decode_geometry(value)

    def _unpack_many(self, values: Sequence[bytes]) -> list[BaseGeometry] | None:
        return decode_geometries(values)

    def _meets(self, bbox: Bounds) -> tuple[str, tuple[float, ...]]:
        left, bottom, right, top = bbox
        box = "SELECT id FROM rtree_objects_geom WHERE maxx >= ? AND minx <= ? AND maxy >= ? AND miny <= ?"
        return f"fid IN ({box})", (left, right, min(bottom, top), max(bottom, top))

    def _insert_view(self, db: Any, uuid: str, view: StoredView) -> None:
        left, bottom, right, top = view.bounds or (None, None, None, None)
        bands = None if view.bands is None else json.dumps(view.bands)
        stretch, divisions = json.dumps(view.stretch), json.dumps(view.divisions)
        db.execute(
            'INSERT INTO views (object, image, "left", bottom, "right", top, gsd, bands, stretch, divisions, "rows", '
            "cols) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (uuid, view.image, left, bottom, right, top, view.gsd, bands, stretch, divisions, *view.shape),
        )

    def _put_image(self, db: Any, item: StoredImage) -> None:
        left, bottom, right, top = item.bounds or (None, None, None, None)
        wkt = None if item.crs is None else item.crs.to_wkt()
        db.execute(
            'INSERT INTO images (path, hash, crs, reading, "left", bottom, "right", top) '
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET hash = excluded.hash, "
            'crs = excluded.crs, reading = excluded.reading, "left" = excluded."left", bottom = excluded.bottom, '
            '"right" = excluded."right", top = excluded.top',
            (item.path, item.hash, wkt, item.reading.to_text() or None, left, bottom, right, top),
        )

    def _noted(self, db: Any, geometries: Sequence[BaseGeometry]) -> None:
        """Keep the layer's extent and time of last change, which other programs read first."""
        if geometries:
            db.execute(
                "UPDATE gpkg_contents SET min_x = min(coalesce(min_x, ?1), ?1), min_y = min(coalesce(min_y, ?2), ?2), "
                "max_x = max(coalesce(max_x, ?3), ?3), max_y = max(coalesce(max_y, ?4), ?4) "
                "WHERE table_name = 'objects'",
                shapely.total_bounds(geometries).tolist(),
            )
        db.execute("UPDATE gpkg_contents SET last_change = ? WHERE table_name = 'objects'", (self._time(),))


def open_store(
    path: str | Path,
    crs: CRS | None = None,
    clock: Callable[[], datetime] = utc_now,
    new_uuid: Callable[[], str] = new_uuid,
) -> GeoPackageStore:
    """Open the session at `path`, or create it with geometry in `crs`. Raises what `open` and `create` raise."""
    if not Path(path).exists():
        try:
            return GeoPackageStore.create(path, crs, clock, new_uuid)
        except BadOutput:
            if not Path(path).exists():  # else another process made it meanwhile
                raise
    return GeoPackageStore.open(path, clock, new_uuid)


def remove_session(path: Path) -> None:
    """Delete a session file and the log beside it. Raises BadOutput if that is not allowed."""
    try:
        for name in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            name.unlink(missing_ok=True)
    except OSError as error:
        raise BadOutput(f"{path} cannot be replaced: {error.strerror or error}.") from error


def check_database(path: Path) -> None:
    """Read a written database through. Raises sqlite3.Error if it is not whole."""
    db = sqlite3.connect(path)
    try:
        said = db.execute("PRAGMA quick_check").fetchone()[0]
    finally:
        db.close()
    if said != "ok":
        raise sqlite3.DatabaseError(f"the written file is not whole ({said})")


_VALUES = attrgetter(*("class_name" if name == "class" else name for name in _FIELDS[:-1]))


def _values(item: MapObject) -> tuple[Any, ...]:
    """An object's fields in the order of _FIELDS, whose last is `attributes`."""
    found: tuple[Any, ...] = _VALUES(item)
    return (*found, json.dumps(item.attributes) if item.attributes else "{}")


def check_geometry(geometry: BaseGeometry) -> MultiPolygon:
    """A polygon as a store keeps it. Raises BadData for what is empty, not finite, or no polygon."""
    multi = as_multi(geometry)
    if multi.is_empty or not np.isfinite(shapely.get_coordinates(multi)).all():
        raise BadData("an empty polygon, or one with a coordinate that is not a number, was given: nothing to store.")
    return multi


def _check_version(db: sqlite3.Connection, path: Path) -> None:
    row = None
    if has_table(db, "meta") and has_table(db, "objects") and has_table(db, "gpkg_geometry_columns"):
        row = db.execute("SELECT value FROM meta WHERE \"key\" = 'terraclick_session'").fetchone()
    if row is None:
        raise BadData(f"{path} is not a session made by TerraClick: import its polygons into a session instead.")
    if not str(row[0]).isdigit() or int(row[0]) > VERSION:
        raise BadData(
            f"{path} was made by a newer TerraClick (session version {row[0]}, known {VERSION}): upgrade to open it."
        )
