"""Everything a person does in one window of the map, in one order: what can be undone and what can be redone.

An entry is a Changeset (objects, classes, examples, half-drawn shapes, marks of images before and after) or a Step (one
act on an outline that is still open). A changeset is undone by the one that goes the other way, which is itself a
changeset; so redo is undo of an undo. Nothing is undone over somebody else's work: what no longer is what the changeset
left is a Conflict.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from terraclick.errors import UnknownName
from terraclick.server.changes import Changeset, Entry, Step

__all__ = ["Journal"]

MOST = 2000
"""Entries of one window that can be undone."""


MOST_CHANGES = 400_000
"""Objects that all entries of one window may hold together; the oldest entries go first."""


MOST_WINDOWS = 64
"""Windows of all people whose acts are remembered; the longest unused are forgotten."""


@dataclass(eq=False)
class _Line:
    """The acts of one window."""

    done: list[Entry] = field(default_factory=list)
    undone: list[Entry] = field(default_factory=list)


def _size(entry: Entry) -> int:
    return len(entry.what.changes) if isinstance(entry.what, Changeset) else 1


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

    def record(self, by: str, what: Changeset | Step) -> None:
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

    def knows(self, by: str, outline: str) -> bool:
        """Whether a window has acts on an open outline."""
        with self._lock:
            line = self._line(by)
            return any(isinstance(e.what, Step) and e.what.outline == outline for e in (*line.done, *line.undone))

    def fold_sketch(self, by: str, uuid: str) -> None:
        """Forget the corners of a half-drawn shape that became something: that act alone is undone."""

        def of_it(entry: Entry) -> bool:
            changeset = entry.what
            return (
                isinstance(changeset, Changeset)
                and bool(changeset.sketches)
                and not (
                    changeset.changes
                    or changeset.draft
                    or changeset.classes
                    or changeset.references
                    or changeset.marks
                    or changeset.decisions
                )
                and all((swap.after or swap.before).uuid == uuid for swap in changeset.sketches)  # type: ignore[union-attr]
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

    def turned(self, by: str, word: str, entry: Entry, what: Changeset | Step) -> None:
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


def _whole(first: Changeset | Step, second: Changeset | Step) -> Changeset | Step | None:
    """Two parts of one act as one; None where they are of different kinds."""
    if isinstance(first, Changeset) and isinstance(second, Changeset) and not (first.draft and second.draft):
        return first.joined(second)
    if isinstance(first, Step) and isinstance(second, Step) and first.outline == second.outline:
        return replace(first, after=second.after)
    return None
