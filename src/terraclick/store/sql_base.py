"""What every store in a database does alike: its connection, its statements, and what a subclass brings."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TypeVar

import shapely
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from terraclick.store.outside import Outside
from terraclick.store.values import StoredImage, StoredView
from terraclick.values import Bounds

__all__ = ["SqlBase", "parts_of", "shown"]

Own = TypeVar("Own", bound="SqlBase")


class SqlBase(ABC):
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
    def _pack(self, geometry: BaseGeometry) -> bytes: ...

    def _pack_many(self, geometries: Sequence[BaseGeometry]) -> list[bytes]:
        """`_pack` for many."""
        return [self._pack(geometry) for geometry in geometries]

    def _admit(self, db: Any, geometries: Sequence[BaseGeometry]) -> None:
        """Called before geometries come in: the first that is no area makes the layer one of any kind."""
        if not (shapely.get_dimensions(geometries) == 2).all() and not self._any_kind(db):
            self._take_any_kind(db)

    @abstractmethod
    def _any_kind(self, db: Any) -> bool:
        """Whether the layer of objects takes more than areas."""

    @abstractmethod
    def _take_any_kind(self, db: Any) -> None:
        """Let it; a session of areas alone is left to be a layer of areas, which every program can draw."""

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
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def parts_of(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Names in parts that one statement can hold, each name once."""
    unique = list(dict.fromkeys(str(name) for name in names))
    for start in range(0, len(unique), 500):
        yield tuple(unique[start : start + 500])


def shown(value: Any) -> str:
    """Whatever stands in a column, short and on one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value)[:60])
