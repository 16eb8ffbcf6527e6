"""Every change of objects is a Deed that can be undone: what each object was before, and what it was after.

A deed is undone by the deed that goes the other way, which is itself a deed; so redo is undo of an undo. Nothing is
undone over somebody else's work: an object that no longer is what the deed left is a Conflict.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from terraclick.errors import Conflict, UnknownName
from terraclick.geo.store import MapObject, Store, StoredClick, StoredDraft, StoredView

__all__ = ["Change", "Deed", "Edit", "Journal", "Snapshot", "do", "find", "revert"]

MOST = 500
"""Deeds of one person that can be undone."""


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
class Deed:
    """Changes that belong together, named for people; draft is the click session an accept closed."""

    name: str
    changes: tuple[Change, ...]
    draft: StoredDraft | None = None


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


def find(store: Store, uuid: str) -> MapObject | None:
    """An object, or None."""
    try:
        return store.get(uuid)
    except UnknownName:
        return None


def do(store: Store, edits: Sequence[Edit]) -> tuple[Change, ...]:
    """Carry out edits in one transaction. Raises Conflict (with mine and theirs) where a revision is stale."""
    done: list[Change] = []
    with store.transaction():
        for edit in edits:
            if edit.kind == "add":
                added = store.add(edit.item, edit.clicks or (), edit.view, store.crs)
                done.append(Change(added.uuid, None, _snapshot(store, added)))
                continue
            theirs = find(store, edit.item.uuid)
            if theirs is None or (edit.rev is not None and edit.rev != theirs.rev):
                fate = "was deleted" if theirs is None else f"is at revision {theirs.rev}, yours is {edit.rev}"
                mine = None if edit.kind == "delete" else edit.item
                raise Conflict(f"object {edit.item.uuid} {fate}: reload it and apply your change again.", mine, theirs)
            before = _snapshot(store, theirs)
            if edit.kind == "delete":
                store.delete(theirs.uuid)
                done.append(Change(theirs.uuid, before, None))
                continue
            stored = store.update(replace(edit.item, rev=theirs.rev), edit.clicks, edit.view)
            done.append(Change(stored.uuid, before, _snapshot(store, stored)))
    return tuple(done)


def revert(store: Store, deed: Deed) -> Deed:
    """Undo a deed in one transaction; the deed that came of it redoes. Raises Conflict where others changed things."""
    done: list[Change] = []
    with store.transaction():
        for change in reversed(deed.changes):
            now = find(store, change.uuid)
            if not _same(now, None if change.after is None else change.after.item):
                raise Conflict(
                    f"object {change.uuid} was {'deleted' if now is None else 'changed'} since: it is left as it is.",
                    None if change.before is None else change.before.item,
                    now,
                )
            then = None if now is None else _snapshot(store, now)
            if change.before is None:
                store.delete(change.uuid)
                done.append(Change(change.uuid, then, None))
                continue
            old = change.before
            if now is None:
                back = store.add(old.item, old.clicks, old.view, store.crs)
            else:
                back = store.update(replace(old.item, rev=now.rev), old.clicks, old.view)
            done.append(Change(change.uuid, then, _snapshot(store, back)))
    return Deed(deed.name, tuple(done), deed.draft)


def _snapshot(store: Store, item: MapObject) -> Snapshot:
    return Snapshot(item, store.clicks_of(item.uuid), store.view_of(item.uuid))


def _same(now: MapObject | None, then: MapObject | None) -> bool:
    """Whether an object is what it was, revision and times aside."""
    if now is None or then is None:
        return now is then
    names = ("image", "class_name", "label", "target", "status", "attributes", "n_clicks")
    return now.geometry.equals_exact(then.geometry, 0.0) and all(
        getattr(now, name) == getattr(then, name) for name in names
    )


class Journal:
    """What each person did, newest last, and what they undid."""

    def __init__(self) -> None:
        self._done: dict[str, list[Deed]] = defaultdict(list)
        self._undone: dict[str, list[Deed]] = defaultdict(list)
        self._lock = threading.RLock()

    def record(self, user: str, deed: Deed) -> None:
        """Remember a deed; what was undone before can no longer be redone."""
        with self._lock:
            self._done[user] = [*self._done[user], deed][-MOST:]
            self._undone[user].clear()

    def undo(self, user: str, store: Store) -> Deed:
        """Undo the latest deed and give back the one that did it. Raises UnknownName if there is none, Conflict."""
        return self._turn(user, store, "undo")

    def redo(self, user: str, store: Store) -> Deed:
        """The other way round."""
        return self._turn(user, store, "redo")

    def names(self, user: str) -> tuple[list[str], list[str]]:
        """(what can be undone, what can be redone), newest first."""
        with self._lock:
            return [d.name for d in reversed(self._done[user])], [d.name for d in reversed(self._undone[user])]

    def _turn(self, user: str, store: Store, word: str) -> Deed:
        with self._lock:
            source = self._done[user] if word == "undo" else self._undone[user]
            target = self._undone[user] if word == "undo" else self._done[user]
            if not source:
                raise UnknownName(f"there is nothing to {word}.")
            try:
                turned = revert(store, source[-1])
            except Conflict:
                source.pop()  # it would stand in the way for ever
                raise
            source.pop()
            target.append(turned)
            return turned
