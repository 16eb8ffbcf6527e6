"""Edits of a session carried out in one transaction, and the way back."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from terraclick.errors import Conflict, UnknownName
from terraclick.server.changes import (
    Change,
    Changeset,
    Edit,
    Kept,
    Mark,
    Snapshot,
    Swap,
    Tell,
)
from terraclick.store.fields import COLUMNS, MapObject, like
from terraclick.store.sql import Store
from terraclick.store.values import MapClass, StoredDraft, StoredReference

__all__ = ["collecting_later", "do", "find", "quiet", "revert", "swapped"]

CHUNK = 1000
"""Objects between two looks at whether the work is still wanted."""


def find(store: Store, uuid: str) -> MapObject | None:
    """An object, or None."""
    try:
        return store.get(uuid)
    except UnknownName:
        return None


def quiet(done: int, total: int) -> None:
    """Hears and says nothing."""


@contextmanager
def collecting_later(objects: int) -> Iterator[None]:
    """Look for garbage after work on many objects, not all the time in between: it would take half of the time."""
    pause = objects > CHUNK and gc.isenabled()
    if pause:
        gc.disable()
    try:
        yield
    finally:
        if pause:
            gc.enable()


def do(
    store: Store, edits: Sequence[Edit], tell: Tell = quiet, known: Mapping[str, MapObject] | None = None
) -> tuple[Change, ...]:
    """Carry out edits in one transaction. Raises Conflict (with mine and theirs) where a revision is stale.

    What `tell` raises leaves everything as it was. `known` are the objects as they were read in this transaction.
    """
    done: list[Change] = []
    with collecting_later(len(edits)), store.transaction():
        for start in range(0, len(edits), CHUNK):
            tell(start, len(edits))
            done += _do_some(store, edits[start : start + CHUNK], known)
    return tuple(done)


def _do_some(store: Store, edits: Sequence[Edit], read: Mapping[str, MapObject] | None) -> list[Change]:
    touched = [edit.item.uuid for edit in edits if edit.kind != "add"]
    items = store.get_many(touched) if read is None else {uuid: read[uuid] for uuid in touched if uuid in read}
    known = _snapshots(store, items)
    for edit in edits:
        if edit.kind == "add":
            continue
        before = known.get(edit.item.uuid)
        theirs = None if before is None else before.item
        if theirs is None or (edit.rev is not None and edit.rev != theirs.rev):
            fate = "was deleted" if theirs is None else f"is at revision {theirs.rev}, yours is {edit.rev}"
            mine = None if edit.kind == "delete" else edit.item
            raise Conflict(f"object {edit.item.uuid} {fate}: reload it and apply your change again.", mine, theirs)
    added = [edit for edit in edits if edit.kind == "add"]
    updated = [edit for edit in edits if edit.kind == "update"]
    store.delete_many([edit.item.uuid for edit in edits if edit.kind == "delete"], items)
    news = store.add_many([(edit.item, edit.clicks or (), edit.view) for edit in added], store.crs)
    olds = store.update_many(
        [(like(edit.item, rev=items[edit.item.uuid].rev), edit.clicks, edit.view) for edit in updated], items
    )
    after = {id(edit): item for edit, item in zip((*added, *updated), (*news, *olds), strict=True)}
    return [_change_of(store, edit, known.get(edit.item.uuid), after.get(id(edit))) for edit in edits]


def _change_of(store: Store, edit: Edit, before: Snapshot | None, stored: MapObject | None) -> Change:
    if stored is None:
        return Change(edit.item.uuid, before, None)
    if edit.clicks:  # as they were stored, with their times
        return Change(stored.uuid, before, Snapshot(stored, store.clicks_of(stored.uuid), store.view_of(stored.uuid)))
    clicks = (() if before is None else before.clicks) if edit.clicks is None else ()
    view = (None if before is None else before.view) if edit.view is None else edit.view
    return Change(stored.uuid, before, Snapshot(stored, clicks, view))


def revert(store: Store, changeset: Changeset, tell: Tell = quiet) -> Changeset:
    """Undo a changeset in one transaction; gives the one that redoes it. Raises Conflict where others changed it."""
    done: list[Change] = []
    back = tuple(reversed(changeset.changes))
    with collecting_later(len(back)), store.transaction():
        classes = [_class_back(store, swap) for swap in reversed(changeset.classes) if swap.before is not None]
        for group in _groups(back):
            tell(len(done), len(back))
            done += _revert_some(store, group)
        classes += [_class_back(store, swap) for swap in reversed(changeset.classes) if swap.before is None]
        for reference in reversed(changeset.references):
            _reference_back(store, reference)
        for sketch in reversed(changeset.sketches):
            _sketch_back(store, sketch)
        for mark in reversed(changeset.marks):
            _mark_back(store, mark)
    return Changeset(
        changeset.name,
        tuple(done),
        changeset.draft,
        tuple(swap for swap in classes if swap is not None),
        swapped(changeset.references),
        swapped(changeset.sketches),
        swapped(changeset.marks),
        swapped(changeset.decisions),
    )


def _groups(changes: Sequence[Change]) -> list[list[Change]]:
    """Changes in their order, in groups in which no object comes twice."""
    groups: list[list[Change]] = [[]]
    seen: set[str] = set()
    for change in changes:
        if change.uuid in seen or len(groups[-1]) >= CHUNK:
            groups.append([])
            seen = set()
        groups[-1].append(change)
        seen.add(change.uuid)
    return [group for group in groups if group]


def _revert_some(store: Store, changes: Sequence[Change]) -> list[Change]:
    items = store.get_many([change.uuid for change in changes])
    known = _snapshots(store, items)
    for change in changes:
        then = known.get(change.uuid)
        if not _same(None if then is None else then.item, None if change.after is None else change.after.item):
            raise Conflict(
                f"object {change.uuid} was {'deleted' if then is None else 'changed'} since: it is left as it is.",
                None if change.before is None else change.before.item,
                None if then is None else then.item,
            )
    gone = [change for change in changes if change.before is None]
    new = [(change, change.before) for change in changes if change.before is not None and change.uuid not in known]
    old = [(change, change.before) for change in changes if change.before is not None and change.uuid in known]
    store.delete_many([change.uuid for change in gone], items)
    added = store.add_many([(old_one.item, old_one.clicks, old_one.view) for _, old_one in new], store.crs)
    updated = store.update_many(
        [
            (
                like(before.item, rev=items[change.uuid].rev),
                None if before.clicks == known[change.uuid].clicks else before.clicks,
                None if before.view == known[change.uuid].view else before.view,
            )
            for change, before in old
        ],
        items,
    )
    after = {
        change.uuid: Snapshot(item, before.clicks, before.view)
        for (change, before), item in zip((*new, *old), (*added, *updated), strict=True)
    }
    return [Change(change.uuid, known.get(change.uuid), after.get(change.uuid)) for change in changes]


def _snapshots(store: Store, found: Mapping[str, MapObject]) -> dict[str, Snapshot]:
    """Objects as stored, with their clicks and views."""
    clicks, views = store.clicks_of_many(list(found)), store.views_of_many(list(found))
    return {uuid: Snapshot(item, clicks.get(uuid, ()), views.get(uuid)) for uuid, item in found.items()}


def swapped(swaps: Sequence[Swap[Kept]]) -> tuple[Swap[Kept], ...]:
    """The same, the other way round."""
    return tuple(Swap(swap.after, swap.before) for swap in reversed(swaps))


def _class_back(store: Store, swap: Swap[MapClass]) -> Swap[MapClass] | None:
    """Undo what happened to a class; what was done, None for a new class that others use by now."""
    known = {item.name: item for item in store.classes()}
    name = (swap.after or swap.before).name  # type: ignore[union-attr]
    now = known.get(name)
    if swap.after is not None and now != swap.after:
        raise Conflict(f"the class {name} was {'deleted' if now is None else 'changed'} since: it is left as it is.")
    if swap.before is None:
        if store.objects(class_name=name):
            return None
        store.delete_class(name)
        return Swap(now, None)
    if now is not None and swap.before.name != name:
        store.rename_class(name, swap.before.name)
    if swap.after is None and now is not None:
        raise Conflict(f"there is a class {name} again: it is left as it is.")
    store.set_class(swap.before)
    return Swap(swap.after, swap.before)


def _reference_back(store: Store, swap: Swap[StoredReference]) -> None:
    if swap.after is not None:
        store.delete_reference(swap.after.uuid)
    if swap.before is not None:
        store.add_reference(swap.before)


def _sketch_back(store: Store, swap: Swap[StoredDraft]) -> None:
    if swap.before is not None:
        store.save_draft(swap.before)
    elif swap.after is not None:
        store.delete_draft(swap.after.uuid)


def _mark_back(store: Store, swap: Swap[Mark]) -> None:
    mark = swap.before or swap.after
    if mark is not None:
        store.mark_image(mark.image, "" if swap.before is None else mark.state)


_COMPARED = ("image", "target", "n_clicks", *(column.attribute for column in COLUMNS if column.editable))


def _same(now: MapObject | None, then: MapObject | None) -> bool:
    """Whether an object is what it was, revision and times aside."""
    if now is None or then is None:
        return now is then
    return all(getattr(now, name) == getattr(then, name) for name in _COMPARED) and now.geometry.equals_exact(
        then.geometry, 0.0
    )
