"""Everything a person does in one window of the map, in one order: what can be undone and what can be redone.

An entry is a Deed (objects, classes, examples, half-drawn shapes, marks of images before and after) or a Step (one act
on an outline that is still open). A deed is undone by the deed that goes the other way, which is itself a deed; so redo
is undo of an undo. Nothing is undone over somebody else's work: what no longer is what the deed left is a Conflict.
"""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeAlias, TypeVar

from terraclick.app.clicking import Act
from terraclick.errors import Conflict, UnknownName
from terraclick.store.fields import COLUMNS, MapObject, like
from terraclick.store.protocol import Store
from terraclick.store.values import MapClass, StoredClick, StoredDraft, StoredReference, StoredView

__all__ = [
    "Actor",
    "Change",
    "Decision",
    "Deed",
    "Edit",
    "Entry",
    "Journal",
    "Mark",
    "Snapshot",
    "Stand",
    "Step",
    "Swap",
    "Tell",
    "do",
    "find",
    "quiet",
    "revert",
    "swapped",
]

MOST = 2000
"""Entries of one window that can be undone."""
MOST_CHANGES = 400_000
"""Objects that all entries of one window may hold together; the oldest entries go first."""
MOST_WINDOWS = 64
"""Windows of all people whose acts are remembered; the longest unused are forgotten."""
CHUNK = 500
"""Objects between two looks at whether the work is still wanted."""

Kept = TypeVar("Kept")
Tell: TypeAlias = Callable[[int, int], None]
"""Hears (done, all) during long work; what it raises ends the work and undoes it."""


class Actor(str):
    """Whose act it is: the user's name, with the window it came from, what was in the hand, and the act it belongs to.

    Requests of one act are one entry of the journal.
    """

    window: str
    hand: Mapping[str, Any] | None
    act: str

    def __new__(cls, name: str, window: str = "", hand: Mapping[str, Any] | None = None, act: str = "") -> Actor:
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
class Deed:
    """Changes that belong together, named for people; draft is the click session an accept closed."""

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

    def joined(self, other: Deed) -> Deed:
        """This and what was done right after it as one act."""
        return Deed(
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
    """How far an open outline is: the acts that count, and its class and shape."""

    acts: tuple[Act, ...]
    class_name: str
    simplify_m: float | None
    square: bool

    def same(self, other: Stand) -> bool:
        """Whether two are the same stand; acts are compared one by one, as the objects they are."""
        return (
            len(self.acts) == len(other.acts)
            and all(mine is theirs or mine == theirs for mine, theirs in zip(self.acts, other.acts, strict=True))
            and (self.class_name, self.simplify_m, self.square) == (other.class_name, other.simplify_m, other.square)
        )


@dataclass(frozen=True, eq=False)
class Step:
    """One act on an open outline, which the click session of that id holds."""

    name: str
    session: str
    image: str
    before: Stand
    after: Stand

    def reversed(self) -> Step:
        """The way back."""
        return replace(self, before=self.after, after=self.before)


@dataclass(frozen=True, eq=False)
class Entry:
    """One act of a window: what was done, with what in the hand."""

    what: Deed | Step
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


def revert(store: Store, deed: Deed, tell: Tell = quiet) -> Deed:
    """Undo a deed in one transaction; the deed that came of it redoes. Raises Conflict where others changed things."""
    done: list[Change] = []
    back = tuple(reversed(deed.changes))
    with collecting_later(len(back)), store.transaction():
        classes = [_class_back(store, swap) for swap in reversed(deed.classes) if swap.before is not None]
        for group in _groups(back):
            tell(len(done), len(back))
            done += _revert_some(store, group)
        classes += [_class_back(store, swap) for swap in reversed(deed.classes) if swap.before is None]
        for reference in reversed(deed.references):
            _reference_back(store, reference)
        for sketch in reversed(deed.sketches):
            _sketch_back(store, sketch)
        for mark in reversed(deed.marks):
            _mark_back(store, mark)
    return Deed(
        deed.name,
        tuple(done),
        deed.draft,
        tuple(swap for swap in classes if swap is not None),
        swapped(deed.references),
        swapped(deed.sketches),
        swapped(deed.marks),
        swapped(deed.decisions),
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


@dataclass(eq=False)
class _Line:
    """The acts of one window."""

    done: list[Entry] = field(default_factory=list)
    undone: list[Entry] = field(default_factory=list)


def _size(entry: Entry) -> int:
    return len(entry.what.changes) if isinstance(entry.what, Deed) else 1


class Journal:
    """What was done in each window of each person, newest last, and what was undone there. Thread-safe."""

    def __init__(self) -> None:
        self._lines: OrderedDict[tuple[str, str], _Line] = OrderedDict()
        self._lock = threading.RLock()

    def _line(self, by: str) -> _Line:
        key = str(by), getattr(by, "window", "")
        line = self._lines.setdefault(key, _Line())
        self._lines.move_to_end(key)
        while len(self._lines) > MOST_WINDOWS:
            self._lines.popitem(last=False)
        return line

    def record(self, by: str, what: Deed | Step) -> None:
        """Remember what was done; what was undone before can no longer be redone. Requests of one act are one entry."""
        entry = Entry(what, getattr(by, "hand", None), getattr(by, "act", ""))
        with self._lock:
            line = self._line(by)
            last = line.done[-1] if line.done and not line.undone else None
            whole = None if last is None or not entry.act or last.act != entry.act else _whole(last.what, what)
            if whole is not None and last is not None:
                line.done[-1] = replace(last, what=whole)
            else:
                line.done.append(entry)
            line.undone.clear()
            line.done = line.done[-MOST:]
            held = sum(map(_size, line.done))
            while len(line.done) > 1 and held > MOST_CHANGES:
                held -= _size(line.done.pop(0))

    def names(self, by: str) -> tuple[list[str], list[str]]:
        """(what can be undone, what can be redone) in a window, newest first."""
        with self._lock:
            line = self._line(by)
            return [entry.name for entry in reversed(line.done)], [entry.name for entry in reversed(line.undone)]

    def knows(self, by: str, session: str) -> bool:
        """Whether a window has acts on an open outline."""
        with self._lock:
            line = self._line(by)
            return any(isinstance(e.what, Step) and e.what.session == session for e in (*line.done, *line.undone))

    def fold_sketch(self, by: str, uuid: str) -> None:
        """Forget the corners of a half-drawn shape that became something: that act alone is undone."""

        def of_it(entry: Entry) -> bool:
            deed = entry.what
            return (
                isinstance(deed, Deed)
                and bool(deed.sketches)
                and not (deed.changes or deed.draft or deed.classes or deed.references or deed.marks or deed.decisions)
                and all((swap.after or swap.before).uuid == uuid for swap in deed.sketches)  # type: ignore[union-attr]
            )

        with self._lock:
            line = self._line(by)
            line.done = [entry for entry in line.done if not of_it(entry)]

    def last(self, by: str, word: str) -> Entry:
        """What `undo` or `redo` takes next. Raises UnknownName if there is nothing."""
        with self._lock:
            line = self._line(by)
            entries = line.done if word == "undo" else line.undone
            if not entries:
                raise UnknownName(f"there is nothing to {word}.")
            return entries[-1]

    def turned(self, by: str, word: str, entry: Entry, what: Deed | Step) -> None:
        """Remember that an entry was undone or redone, and what leads back."""
        with self._lock:
            line = self._line(by)
            source, target = (line.done, line.undone) if word == "undo" else (line.undone, line.done)
            if entry in source:
                source.remove(entry)
            target.append(replace(entry, what=what))

    def forget(self, by: str, word: str, entry: Entry) -> None:
        """Leave out what can no longer be turned: it would stand in the way for ever."""
        with self._lock:
            line = self._line(by)
            source = line.done if word == "undo" else line.undone
            if entry in source:
                source.remove(entry)


def _whole(first: Deed | Step, second: Deed | Step) -> Deed | Step | None:
    """Two parts of one act as one; None where they are of different kinds."""
    if isinstance(first, Deed) and isinstance(second, Deed) and not (first.draft and second.draft):
        return first.joined(second)
    if isinstance(first, Step) and isinstance(second, Step) and first.session == second.session:
        return replace(first, after=second.after)
    return None
