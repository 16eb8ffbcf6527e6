"""What happens to objects: changed in one transaction, remembered for undo, told to everybody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import shapely

from terraclick.errors import BadData, Conflict
from terraclick.geo.kinds import kind_of
from terraclick.geo.reproject import reproject
from terraclick.server.changes import Changeset, Decision, Edit, Swap, Tell
from terraclick.server.clicking import AreaGeometry, Shape, parts_of
from terraclick.server.coverage import with_borders
from terraclick.server.editing import do
from terraclick.server.events import Hub
from terraclick.server.examples import Examples
from terraclick.server.features import GeometryConverter, as_area_geometry
from terraclick.server.images import Scene
from terraclick.server.journal import Journal
from terraclick.server.proposals import Proposals
from terraclick.server.worker import Cancelled
from terraclick.store.fields import MapObject
from terraclick.store.sql import Store
from terraclick.store.values import StoredDraft

__all__ = ["MANY", "Objects"]

MANY = 500
"""Objects of one act beyond which others read all of them again instead of being told each."""


class Objects:
    """The objects of a session as people change them. Thread-safe."""

    def __init__(
        self,
        store: Store,
        converter: GeometryConverter,
        hub: Hub,
        journal: Journal,
        examples: Examples,
        proposals: Proposals,
    ) -> None:
        self.store = store
        self.converter = converter
        self.hub = hub
        self.journal = journal
        self.examples = examples
        self.proposals = proposals
        self._cancelled: set[tuple[str, str]] = set()
        self._lock = threading.RLock()

    def change(
        self,
        user: str,
        name: str,
        edits: Sequence[Edit] | Callable[[], Sequence[Edit]],
        draft: StoredDraft | None = None,
        also: Callable[[], None] = lambda: None,
        corners: bool = False,
        tell: Tell | None = None,
        known: Mapping[str, MapObject] | None = None,
        decisions: Sequence[Swap[Decision]] = (),
    ) -> Changeset:
        """Carry out edits in one transaction, remember them for undo, tell everybody.

        With `corners` the corners of borders were edited, and neighbours in coverage classes go along (`with_borders`).
        Classes that come with the objects are part of it. Raises Conflict for a stale revision; an outline that would
        be lost is first kept as an object of its own with status `conflict`, whose uuid is the conflict's `kept`.
        What `tell` raises leaves everything as it was. Edits may be made by a function that is called in the
        transaction, and leaves the objects that it read there in `known`. `decisions` are what proposals became by it.
        """
        made: Sequence[Edit] = ()
        try:
            with self.store.transaction():
                made = edits() if callable(edits) else edits
                listed = {item.name: item for item in self.store.classes()}
                whole = with_borders(made, self.store, self._pixel(made) if corners else None)
                changes = do(
                    self.store, whole, tell or self.telling_of(user), known if len(whole) == len(made) else None
                )
                also()
                classes = tuple(
                    Swap(listed.get(name), now.get(name))
                    for now in ({item.name: item for item in self.store.classes()},)
                    for name in dict.fromkeys((*listed, *now))
                    if listed.get(name) != now.get(name)
                )
                changeset = Changeset(name, changes, draft, classes, decisions=tuple(decisions))
        except Conflict as conflict:
            raise self._both_kept(user, conflict, made) from None
        self.proposals.decide(changeset.decisions)
        self.record(user, changeset)
        return changeset

    def _pixel(self, edits: Sequence[Edit]) -> float | None:
        """The length of a pixel of the first edit's image in the store's coordinates; None without an image."""
        item = edits[0].item
        scene = self.converter.scene_of(item)
        if scene is None or kind_of(item.geometry) != "polygon":
            return None
        return float((item.geometry.area / max(self.converter.pixels(item.geometry, scene).area, 1e-9)) ** 0.5)

    def telling_of(self, by: str) -> Tell:
        """What tells a person how far an act of theirs on many objects is, and ends it where it is cancelled."""
        act, user = getattr(by, "act", ""), str(by)
        with self._lock:
            self._cancelled.discard((user, act))

        def tell(done: int, total: int) -> None:
            if (user, act) in self._cancelled:
                self._cancelled.discard((user, act))
                raise Cancelled("the act was cancelled: nothing was changed.")
            if act and total > MANY:
                self.hub.send("progress", {"act": act, "done": done, "total": total}, user)

        return tell

    def cancel_act(self, user: str, act: str) -> None:
        """Give up an act on many objects that is going on; nothing happens where it is over."""
        with self._lock:
            if len(self._cancelled) < 1000:
                self._cancelled.add((str(user), act))

    def record(self, by: str, changeset: Changeset) -> None:
        """Remember a changeset for undo and tell everybody."""
        self.journal.record(by, changeset)
        self.tell(changeset, by)

    def _both_kept(self, user: str, conflict: Conflict, edits: Sequence[Edit]) -> Conflict:
        mine, theirs = conflict.mine, conflict.theirs
        kept = None
        if isinstance(mine, MapObject) and not (
            isinstance(theirs, MapObject) and theirs.geometry.equals_exact(mine.geometry, 0.0)
        ):
            copy = replace(mine, uuid="", rev=0, status="conflict", author=user, created="", updated="")
            given = next((edit for edit in edits if edit.item is mine), Edit(mine))
            changeset = Changeset(
                "keep my version", do(self.store, [Edit(copy, None, given.clicks, given.view, "add")])
            )
            kept = changeset.changes[0].uuid
            self.tell(changeset, user)
        return Conflict(str(conflict), mine, theirs, kept)

    def tell(self, changeset: Changeset, user: str) -> None:
        """Let everybody know what a changeset changed."""
        if changeset.renamed or len(changeset.changes) > MANY:
            self.hub.send("reload", {"by": user, "window": getattr(user, "window", "")})
        elif changeset.changes:
            changed = [self.converter.feature(c.after.item) for c in changeset.changes if c.after is not None]
            deleted = [c.uuid for c in changeset.changes if c.after is None]
            self.hub.send("objects", {"changed": changed, "deleted": deleted, "by": user})
        if changeset.references or changeset.renamed:
            self.examples.forget()
            self.hub.send("references", {"by": user})
        if changeset.classes:
            self.hub.send("classes", {"by": user})
        if changeset.marks:
            self.hub.send("images", {"by": user})

    def to_store(self, shape: Shape, scene: Scene) -> AreaGeometry:
        """An outline's geometry in the store's coordinates."""
        if self.store.crs is None:
            return as_area_geometry(shape.pixels)
        return as_area_geometry(reproject(shape.map, scene.grid.crs, self.store.crs))

    def bordered(
        self, geometry: AreaGeometry, area_px: float, class_name: str, scene: Scene, uuid: str | None
    ) -> AreaGeometry:
        """An outline of a coverage class cut where other coverage objects are, slivers of a pixel between them closed.

        Raises BadData if all of it is covered already. Other classes come back as they are.
        """
        covering = {item.name for item in self.store.classes() if item.kind == "coverage"}
        if class_name not in covering:
            return geometry
        pixel = (geometry.area / max(area_px, 1.0)) ** 0.5
        left, bottom, right, top = geometry.buffer(2 * pixel).bounds
        near = self.store.objects(scene.key, bbox=(left, bottom, right, top))
        near = [item for item in near if kind_of(item.geometry) == "polygon"]
        others = [item.geometry for item in near if item.class_name in covering and item.uuid != uuid]
        if not others:
            return geometry
        taken = shapely.union_all(others)
        try:
            left_over = as_area_geometry(geometry.difference(taken))
            whole = shapely.union_all([left_over, taken])
            reach = 0.51 * pixel
            closed = whole.buffer(reach, join_style="mitre").buffer(-reach, join_style="mitre")
            slivers = parts_of(closed.difference(whole))
            mine = [sliver for sliver in slivers if sliver.distance(left_over) < 1e-3 * pixel]
            return as_area_geometry(shapely.union_all([left_over, *mine]).difference(taken))
        except BadData:
            raise BadData(f"all of this is covered by other objects of {', '.join(sorted(covering))}.") from None

    def counts(self) -> dict[str, dict[str, int]]:
        """How many objects each image (by its path), class and status has."""
        found: dict[str, dict[str, int]] = {"image": {}, "class": {}, "status": {}}
        for image, class_name, status, number in self.store.tally():
            for name, value in (("image", image), ("class", class_name), ("status", status)):
                found[name][value] = found[name].get(value, 0) + number
        return found
