"""What people do, as values: changes of objects and of what else a session keeps, and steps of an open outline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar

from terraclick.server.clicking import Interaction
from terraclick.store.fields import MapObject
from terraclick.store.values import MapClass, StoredClick, StoredDraft, StoredReference, StoredView

__all__ = [
    "Author",
    "Change",
    "Changeset",
    "Decision",
    "Edit",
    "Entry",
    "Mark",
    "Snapshot",
    "Stand",
    "Step",
    "Swap",
    "Tell",
]

Kept = TypeVar("Kept")


Tell: TypeAlias = Callable[[int, int], None]
"""Hears (done, all) during long work; what it raises ends the work and undoes it."""


class Author(str):
    """Whose act it is: the user's name, with the window it came from, what was in the hand, and the act it belongs to.

    Requests of one act are one entry of the journal.
    """

    window: str
    hand: Mapping[str, Any] | None
    act: str

    def __new__(cls, name: str, window: str = "", hand: Mapping[str, Any] | None = None, act: str = "") -> Author:
        """A user's name that knows more."""
        made = super().__new__(cls, name)
        made.window, made.hand, made.act = window, hand, act
        return made


@dataclass(frozen=True, eq=False)
class Snapshot:
    """An object as stored, with its clicks and view."""

    item: MapObject
    clicks: tuple[StoredClick, ...]
    view: StoredView | None


@dataclass(frozen=True, eq=False)
class Change:
    """One object before and after; None where it was not there."""

    uuid: str
    before: Snapshot | None
    after: Snapshot | None


@dataclass(frozen=True, eq=False)
class Swap(Generic[Kept]):
    """Something else that is kept, before and after; None where it was not there."""

    before: Kept | None
    after: Kept | None


@dataclass(frozen=True)
class Mark:
    """What a person says of an image (its key): the state `done`."""

    image: str
    state: str


@dataclass(frozen=True)
class Decision:
    """What becomes of a proposal, on an image (its key): kept, refused, or "" where it is open."""

    proposals: str
    image: str
    number: int
    fate: str


@dataclass(frozen=True, eq=False)
class Changeset:
    """Changes that belong together, named for people; draft is the open outline that an accept closed."""

    name: str
    changes: tuple[Change, ...] = ()
    draft: StoredDraft | None = None
    classes: tuple[Swap[MapClass], ...] = ()
    references: tuple[Swap[StoredReference], ...] = ()
    sketches: tuple[Swap[StoredDraft], ...] = ()
    marks: tuple[Swap[Mark], ...] = ()
    decisions: tuple[Swap[Decision], ...] = ()

    @property
    def image(self) -> str:
        """The key of the image it happened on; "" for none."""
        for change in self.changes:
            snapshot = change.after or change.before
            if snapshot is not None and snapshot.item.image:
                return snapshot.item.image
        found: list[StoredDraft | Mark | Decision | None] = [self.draft]
        found += [swap.after or swap.before for swap in self.sketches]
        found += [swap.after or swap.before for swap in self.marks]
        found += [swap.after or swap.before for swap in self.decisions]
        return next((one.image for one in found if one is not None), "")

    @property
    def renamed(self) -> bool:
        """Whether a class got another name, and its objects with it."""
        return any(s.before is not None and s.after is not None and s.before.name != s.after.name for s in self.classes)

    def joined(self, other: Changeset) -> Changeset:
        """This and what was done right after it as one act."""
        return Changeset(
            self.name,
            self.changes + other.changes,
            self.draft or other.draft,
            self.classes + other.classes,
            self.references + other.references,
            self.sketches + other.sketches,
            self.marks + other.marks,
            self.decisions + other.decisions,
        )


@dataclass(frozen=True)
class Stand:
    """How far an open outline is: the interactions that count, and its class and shape."""

    interactions: tuple[Interaction, ...]
    class_name: str
    simplify_m: float | None
    square: bool

    def same(self, other: Stand) -> bool:
        """Whether two are the same stand; interactions are compared one by one, as the objects they are."""
        return (
            len(self.interactions) == len(other.interactions)
            and all(
                mine is theirs or mine == theirs
                for mine, theirs in zip(self.interactions, other.interactions, strict=True)
            )
            and (self.class_name, self.simplify_m, self.square) == (other.class_name, other.simplify_m, other.square)
        )


@dataclass(frozen=True, eq=False)
class Step:
    """One interaction with an open outline, named by its id."""

    name: str
    outline: str
    image: str
    before: Stand
    after: Stand

    def reversed(self) -> Step:
        """The way back."""
        return replace(self, before=self.after, after=self.before)


@dataclass(frozen=True, eq=False)
class Entry:
    """One act of a window: what was done, with what in the hand."""

    what: Changeset | Step
    hand: Mapping[str, Any] | None = None
    act: str = ""

    @property
    def name(self) -> str:
        """What people read."""
        return self.what.name


@dataclass(frozen=True, eq=False)
class Edit:
    """What is to happen to one object: add (no rev yet), update (its rev is checked), or delete.

    `rev` is the revision it was read at, None for whatever is stored. Clicks and view stay where None.
    """

    item: MapObject
    rev: int | None = None
    clicks: tuple[StoredClick, ...] | None = None
    view: StoredView | None = None
    kind: str = "update"
