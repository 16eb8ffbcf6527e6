"""What a store promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from terraclick.store.fields import MapObject
from terraclick.store.outside import Happened
from terraclick.store.rows import (
    SetAside,
)
from terraclick.store.values import MapClass, StoredClick, StoredDraft, StoredImage, StoredReference, StoredView
from terraclick.values import Bounds

__all__ = ["Store"]


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
