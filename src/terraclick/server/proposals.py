"""What “find the rest” proposed to whom, and what became of each proposal: open, kept or refused.

Lists live in memory only. One that was closed stays for a while, so that undo can open it again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from terraclick.errors import Conflict, UnknownName
from terraclick.server.changes import Decision, Swap
from terraclick.server.clicking import Shape
from terraclick.server.images import Scene
from terraclick.store.values import StoredView

__all__ = ["ProposalList", "Proposals"]

MOST = 32
"""Lists that are remembered; the oldest are forgotten."""


@dataclass(eq=False)
class ProposalList:
    """All things in a view that look like the examples of a class, best first, by number.

    `decided` holds kept or refused for those that are decided; `closed` says that it is not shown any more.
    """

    id: str
    author: str
    scene: Scene
    class_name: str
    view: StoredView
    shapes: Mapping[int, Shape]
    ms: float
    decided: dict[int, str] = field(default_factory=dict)
    closed: bool = False

    def open(self) -> dict[int, Shape]:
        """Those that are not decided."""
        return {number: shape for number, shape in self.shapes.items() if number not in self.decided}

    def shape(self, number: int) -> Shape:
        """The outline of one that is not decided. Raises UnknownName."""
        if number not in self.shapes or number in self.decided:
            raise UnknownName(f"no proposal {number}: it was kept or refused, or never made.")
        return self.shapes[number]

    def decision(self, number: int, fate: str) -> Swap[Decision]:
        """What deciding one changes. Raises UnknownName as `shape`."""
        self.shape(number)
        return Swap(Decision(self.id, self.scene.key, number, ""), Decision(self.id, self.scene.key, number, fate))


class Proposals:
    """The lists of all people. Thread-safe."""

    def __init__(self) -> None:
        self._lists: OrderedDict[str, ProposalList] = OrderedDict()
        self._lock = threading.RLock()

    def hold(self, found: ProposalList) -> None:
        """Remember a list."""
        with self._lock:
            self._lists[found.id] = found
            while len(self._lists) > MOST:
                self._lists.popitem(last=False)

    def get(self, name: str, user: str) -> ProposalList:
        """An open list by id. Raises UnknownName."""
        with self._lock:
            found = self._lists.get(name)
        if found is None or found.closed or found.author != user:
            raise UnknownName(f"no proposals {name[:80]!r} of yours: ask for them again.")
        return found

    def close(self, name: str, user: str) -> None:
        """Show a list no longer. Raises UnknownName."""
        self.get(name, user).closed = True

    def of(self, decisions: Iterable[Swap[Decision]]) -> list[ProposalList]:
        """The lists that decisions concern, as far as they are remembered."""
        names = dict.fromkeys(one.proposals for swap in decisions for one in (swap.before, swap.after) if one)
        with self._lock:
            return [self._lists[name] for name in names if name in self._lists]

    def decide(self, decisions: Sequence[Swap[Decision]]) -> None:
        """Make every `after` true, and open its list again where one becomes open."""
        with self._lock:
            for swap in decisions:
                after = swap.after
                found = None if after is None else self._lists.get(after.proposals)
                if after is None or found is None:
                    continue
                if after.fate:
                    found.decided[after.number] = after.fate
                else:
                    found.decided.pop(after.number, None)
                    found.closed = False

    def check(self, decisions: Sequence[Swap[Decision]], alone: bool) -> None:
        """Whether decisions can be turned back. Raises Conflict where one was decided otherwise since.

        Those that are an act `alone`, without objects, cannot be where their list is forgotten.
        """
        if alone and decisions and not self.of(decisions):
            raise Conflict("the proposals are no longer in memory: ask for them again.")
        with self._lock:
            for after in (swap.after for swap in decisions if swap.after is not None):
                found = self._lists.get(after.proposals)
                if found is not None and found.decided.get(after.number, "") != after.fate:
                    raise Conflict("a proposal was decided otherwise since: it is left as it is.")
