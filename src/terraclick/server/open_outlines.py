"""The open outlines of all people: begun, answered by the model, saved after each interaction, kept as objects."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from terraclick.core.predictor import bands_read
from terraclick.errors import BadClick, BadConfig, UnknownName
from terraclick.server.answering import Answering
from terraclick.server.changes import Author, Changeset, Edit, Stand, Step
from terraclick.server.clicking import (
    ClickSettings,
    Hint,
    Interaction,
    PixelClick,
    Shape,
    State,
    next_hint,
    outlined,
    start,
    step,
    view_spec_for,
)
from terraclick.server.editing import find
from terraclick.server.encodings import Encoded, ViewSpec, memory_of, read_spec
from terraclick.server.features import outline_json
from terraclick.server.images import Scene
from terraclick.server.objects import Objects
from terraclick.server.open_outline import BEGINNINGS, INTERACTION_NAMES, OpenOutline, outline_of, said_of
from terraclick.server.worker import Cancelled, Priority
from terraclick.store.fields import MapObject
from terraclick.store.values import StoredDraft
from terraclick.values import Target

__all__ = ["OpenOutlines"]

Interactions: TypeAlias = tuple[Interaction, ...]
Commit: TypeAlias = Callable[[Callable[[], None]], Any]
"""Runs what saves off the event loop."""

MOST_HELD = 256
"""Open outlines held in memory; the longest unused are put away in the store until asked for."""
STATE_BYTES = 256 * 2**20
"""Bytes of earlier answers kept for undo; beyond it they are made again when needed."""
MAX_INTERACTIONS = 2000
"""Interactions with one outline."""


class OpenOutlines:
    """Open outlines, in memory and in the store. Thread-safe; whatever needs the model waits for its thread."""

    def __init__(self, by_key: Mapping[str, Scene], objects: Objects, answering: Answering) -> None:
        self._by_key = by_key
        self._objects = objects
        self._store, self._hub, self._journal = objects.store, objects.hub, objects.journal
        self._answering = answering
        self._examples = answering.examples.named
        self._held: OrderedDict[str, OpenOutline] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, name: str, user: str) -> OpenOutline:
        """An open outline of a user's own, from memory or the store. Raises UnknownName."""
        with self._lock:
            found = self._held.get(name)
            if found is not None:
                self._held.move_to_end(name)
        if found is None:
            for draft in self._store.drafts():
                if draft.uuid == name and draft.image in self._by_key:
                    found = outline_of(draft, self._by_key[draft.image])
                    if found is not None:
                        found = self._hold(found)
        if found is None or found.author != user or found.closed:
            raise UnknownName(f"no click session {name[:80]!r} of yours: it was accepted or closed.")
        found.touched = time.monotonic()
        return found

    def of(self, user: str) -> list[OpenOutline]:
        """A user's open outlines, also those of an earlier start, in the order begun."""
        with self._lock:
            held = dict(self._held)
        found = []
        for draft in self._store.drafts():
            if draft.author == user and draft.image in self._by_key:
                opened = held.pop(draft.uuid, None) or outline_of(draft, self._by_key[draft.image])
                if opened is not None:
                    found.append(opened)
        return found + [opened for opened in held.values() if opened.author == user and not opened.closed]

    def paths_in_hand(self) -> list[Path]:
        """The files of the images that open outlines lie on."""
        with self._lock:
            return [opened.scene.path for opened in self._held.values()]

    def _hold(self, opened: OpenOutline) -> OpenOutline:
        """Keep an open outline in memory; the longest unused beyond the limits are put away."""
        with self._lock:
            opened = self._held.setdefault(opened.id, opened)
            self._held.move_to_end(opened.id)
            while len(self._held) > MOST_HELD:
                self._held.popitem(last=False)
        return opened

    def open(self, user: str, scene: Scene, settings: ClickSettings, **fields: Any) -> OpenOutline:
        """Begin to outline one thing."""
        scene.check()
        window = getattr(user, "window", "")
        opened = OpenOutline(uuid4().hex[:16], user, scene, settings, touched=time.monotonic(), window=window, **fields)
        if settings.seed is not None:
            self._store.save_draft(opened.draft())
        return self._hold(opened)

    def leave(self, by: str, opened: OpenOutline) -> None:
        """Close an outline without keeping anything; in a window of the map that is an act like any other."""
        if isinstance(by, Author) and by.window and opened.position == 0 and self._journal.knows(by, opened.id):
            return  # its clicks were undone there, and can be done again
        draft = opened.draft()
        began = any(interaction.kind in BEGINNINGS for interaction in opened.interactions[: opened.position])
        self.close(opened)
        if began and isinstance(by, Author) and by.window:
            self._journal.record(by, Changeset("leave the outline", draft=draft))

    def step_done(self, by: str, opened: OpenOutline, name: str, before: Stand) -> None:
        """Remember an interaction with an open outline where it was done in a window of the map."""
        after = opened.stand()
        if getattr(by, "window", "") and not after.same(before):
            opened.window = getattr(by, "window", "")
            self._journal.record(by, Step(name, opened.id, opened.scene.key, before, after))

    def claim(self, by: Author, opened: OpenOutline) -> None:
        """Take an open outline into a window; its clicks are then that window's acts, if they were none before."""
        opened.window = by.window
        if opened.interactions:
            self._store.save_draft(opened.draft())
        if not by.window or self._journal.knows(by, opened.id):
            return
        whole = opened.stand()
        for number, interaction in enumerate(whole.interactions):
            before, after = (replace(whole, interactions=whole.interactions[:n]) for n in (number, number + 1))
            self._journal.record(
                by, Step(INTERACTION_NAMES[interaction.kind], opened.id, opened.scene.key, before, after)
            )

    def close(self, opened: OpenOutline) -> None:
        """Forget an open outline and its draft."""
        opened.closed = True
        self._store.delete_draft(opened.id)
        with self._lock:
            self._held.pop(opened.id, None)

    def reopen(self, draft: StoredDraft) -> OpenOutline | None:
        """An outline that was closed, open again."""
        scene = self._by_key.get(draft.image)
        opened = None if scene is None else outline_of(draft, scene)
        if opened is None:
            return None
        if opened.object is not None:
            item = find(self._store, opened.object)
            opened.rev = None if item is None else item.rev
        self._store.save_draft(opened.draft())
        with self._lock:
            self._held.pop(opened.id, None)
        return self._hold(opened)

    async def state(self, opened: OpenOutline) -> State:
        """Where an outline stands; interactions are answered again if that is not in memory. Raises ImageChanged."""
        opened.scene.check()
        found = opened.states.get(opened.position)
        return found if found is not None else await self._ask(opened, opened.interactions, opened.position)

    async def answer(self, opened: OpenOutline, interaction: Interaction, commit: Commit) -> State:
        """Do one more thing: answered, then saved, then true. `commit` runs the saving off the event loop."""
        if opened.position >= MAX_INTERACTIONS:
            raise BadConfig(f"one outline takes at most {MAX_INTERACTIONS} acts: accept it, or clear it.")
        interactions = (*opened.interactions[: opened.position], interaction)
        before = {position: state for position, state in opened.states.items() if position <= opened.position}
        old_states, opened.states = opened.states, before
        try:
            state = await self._ask(opened, interactions, len(interactions))
        except BaseException:
            opened.states = old_states
            raise
        await self._move(opened, interactions, len(interactions), commit)
        return state

    async def turn(self, opened: OpenOutline, by: int, commit: Commit) -> State:
        """Undo (−1) or redo (+1) an interaction; nothing happens at either end."""
        position = min(max(opened.position + by, 0), len(opened.interactions))
        state = await self._ask(opened, opened.interactions, position)
        if position != opened.position:
            await self._move(opened, opened.interactions, position, commit)
        return state

    async def stand_at(self, opened: OpenOutline, stand: Stand, commit: Commit) -> State:
        """Bring an open outline to an earlier or later stand of its own: answered, then saved, then true."""
        was = opened.stand()
        whole = opened.interactions
        opened.put(stand)
        try:
            state = await self._ask(opened, opened.interactions, opened.position)
            draft = opened.draft()
            await commit(lambda: self._store.save_draft(draft))
        except BaseException:
            opened.interactions = whole
            opened.put(was)
            raise
        return state

    async def _move(self, opened: OpenOutline, interactions: Interactions, position: int, commit: Commit) -> None:
        was = opened.interactions, opened.position
        opened.interactions, opened.position = interactions, position
        try:
            draft = opened.draft()
            await commit(lambda: self._store.save_draft(draft))
        except BaseException:
            opened.interactions, opened.position = was
            raise

    async def _ask(self, opened: OpenOutline, interactions: Interactions, position: int) -> State:
        future = self._answering.worker.submit(Priority.CLICK, lambda: self._fold(opened, interactions, position))
        opened.asked.add(future)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and getattr(task, "cancelling", lambda: 0)():
                raise
            raise Cancelled("the answer was cancelled: nothing was changed.") from None
        finally:
            opened.asked.discard(future)

    def cancel(self, opened: OpenOutline) -> bool:
        """Give up the answer that somebody waits for, waiting or begun; whether there was one. Nothing is changed."""
        asked = [future for future in list(opened.asked) if not future.done()]
        for future in asked:
            if not future.cancel():
                opened.unwanted = True
        return bool(asked)

    def _fold(self, opened: OpenOutline, interactions: Interactions, position: int) -> State:
        """The state after so many interactions, from the latest one that is still known. Runs in the model's thread."""
        opened.scene.check()
        opened.unwanted = False
        known = max((p for p in opened.states if p <= position), default=0)
        state = opened.states.get(known) or start(opened.settings)
        predictor = self._answering.telling(opened.scene, opened)
        encode = self._answering.encoder(predictor)
        for index in range(known, position):
            if index == position - 1:
                self._first_look(opened, state, interactions[index])
            state = step(state, interactions[index], opened.settings, opened.scene, predictor, encode, self._examples)
            opened.scene.check()  # an answer on a picture that was replaced meanwhile is none
            opened.states[index + 1] = state
        opened.states.setdefault(0, start(opened.settings))
        self._trim()
        return state

    def _first_look(self, opened: OpenOutline, state: State, interaction: Interaction) -> None:
        """A rough answer to a click on a class, told as an event while the fine one is made."""
        rough = self._answering.model.rough
        if rough is None or interaction.kind != "click" or state.target is not Target.CLASS:
            return
        spec = view_spec_for(opened.settings, state.target, (*state.clicks, interaction.value), opened.scene)
        if spec in self._answering.encodings:
            return

        def encode(spec: ViewSpec) -> Encoded:
            view, grid = read_spec(spec, bands_read(rough) - 3)
            return Encoded(grid, rough.encode(view), 0.0, 0.0, view.valid)

        afresh, scene = replace(state, sequence=None), opened.scene
        found = step(afresh, interaction, opened.settings, scene, rough, encode, self._examples)
        shown = outline_json(self.outline(opened, found), scene)
        self._hub.send("answer", {"session": opened.id, "outline": shown, "final": False}, opened.author)

    def _trim(self) -> None:
        """Forget earlier answers of the longest unused outlines once they take too much."""
        with self._lock:
            all_opened = list(self._held.values())
        seen: set[int] = set()
        sizes = [(one, sum(memory_of(s.sequence, seen) for s in list(one.states.values()))) for one in all_opened]
        held = sum(size for _, size in sizes)
        for opened, size in sizes[:-1]:
            if held <= STATE_BYTES:
                break
            if not opened.lock.locked():
                opened.states = {}
                held -= size

    def outline(self, opened: OpenOutline, state: State, shape: tuple[float | None, bool] | None = None) -> Any:
        """A state's outline in the outline's own shape, or in another one: (simplify_m, square)."""
        return outlined(state, opened.settings, opened.scene, *(shape or (opened.simplify_m, opened.square)))

    def hint(self, opened: OpenOutline, state: State) -> Hint | None:
        """Where to click next."""
        return next_hint(state, opened.scene)

    async def preview(self, opened: OpenOutline, click: PixelClick) -> tuple[Shape | None, float] | None:
        """The outline if one clicked there, and how long it took; None if the view is not encoded or another came."""
        state = opened.states.get(opened.position)
        if state is None:  # put away: made again when nothing else is to be done
            interactions, position = opened.interactions, opened.position
            self._answering.worker.submit(
                Priority.AHEAD, lambda: self._fold(opened, interactions, position), f"fold {opened.id}"
            )
            return None
        clicks = (*state.clicks, click)
        spec = view_spec_for(opened.settings, state.target, clicks, opened.scene, state.grown, state.box)
        if spec not in self._answering.encodings:
            return None

        def ask() -> tuple[Shape | None, float]:
            begun = time.perf_counter()
            opened.scene.check()
            interaction, predictor = Interaction("click", click), self._answering.model.predictor
            encode = self._answering.encoder(predictor)
            try:
                found = step(
                    state, interaction, opened.settings, opened.scene, predictor, encode, self._examples, grow=False
                )
            except BadClick:  # the pointer is where no click may be: there is nothing to show
                return None, 1e3 * (time.perf_counter() - begun)
            return self.outline(opened, found), 1e3 * (time.perf_counter() - begun)

        try:
            future = self._answering.worker.submit(Priority.PREVIEW, ask, f"preview {opened.author}")
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and getattr(task, "cancelling", lambda: 0)():
                raise  # the person went away, not the question
            return None

    def accept(self, user: str, opened: OpenOutline, state: State, fields: Mapping[str, Any]) -> Changeset:
        """Keep the outline as an object, close the outline; on disk when this returns.

        Raises BadClick if there is no outline, Conflict if the reopened object was saved by somebody else.
        """
        opened.scene.check()
        shape = self.outline(opened, state)
        if shape is None or shape.pixels.is_empty:
            raise BadClick("there is no outline to accept: click on the thing first.")
        theirs = None if opened.object is None else find(self._store, opened.object)
        class_name = fields.get("class", opened.class_name)
        geometry = self._objects.to_store(shape, opened.scene)
        geometry = self._objects.bordered(geometry, shape.pixels.area, class_name, opened.scene, opened.object)
        kept = opened.object
        earlier = () if kept is None else self._store.clicks_of(kept)
        clicks, view = said_of(opened.scene, state, earlier, None if kept is None else self._store.view_of(kept))
        base = theirs or MapObject(geometry=geometry, uuid=opened.object or "", image=opened.scene.key)
        model = self._answering.model
        item = replace(
            base,
            geometry=geometry,
            class_name=class_name,
            label=fields.get("label", base.label),
            status=fields.get("status", "accepted"),
            attributes=fields.get("attributes", base.attributes),
            target=state.target.value,
            score=round(shape.score, 4) if state.asks else base.score,
            author=user,
            model=model.name if state.asks else base.model or "hand",
            model_hash=model.hash if state.asks else base.model_hash,
            n_clicks=len(clicks) + (view is not None and view.box is not None) if state.asks else base.n_clicks,
        )
        kept_clicks, kept_view = (tuple(clicks), view) if state.asks else (None, None)
        if opened.object is None:
            edit = Edit(replace(item, rev=0), None, kept_clicks, kept_view, "add")
        else:
            edit = Edit(item, opened.rev if opened.rev is not None else -1, kept_clicks, kept_view)
        draft = opened.draft()

        def and_close() -> None:
            self._store.delete_draft(opened.id)

        changeset = self._objects.change(user, f"accept {class_name or 'object'}", [edit], draft, and_close)
        opened.closed = True
        with self._lock:
            self._held.pop(opened.id, None)
        return changeset
