"""The click sessions of all people: begun, answered by the model, saved after each act, kept as objects."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from terraclick.errors import BadClick, BadConfig, UnknownName
from terraclick.server.acts import Actor, Changeset, Edit, Stand, Step
from terraclick.server.answering import Answering
from terraclick.server.click_session import ACT_NAMES, ClickSession, session_of
from terraclick.server.clicking import (
    Act,
    ClickSettings,
    Hint,
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
from terraclick.server.engine import Cancelled, Encoded, Priority, ViewSpec, memory_of, read_spec
from terraclick.server.features import outline_json
from terraclick.server.images import Scene
from terraclick.server.objects import Objects
from terraclick.store.fields import MapObject
from terraclick.store.values import StoredClick, StoredDraft, StoredView
from terraclick.values import Target

__all__ = ["ClickSessions"]

MOST_HELD = 256
"""Click sessions held in memory; the longest unused are put away in the store until asked for."""
STATE_BYTES = 256 * 2**20
"""Bytes of earlier answers kept for undo; beyond it they are made again when needed."""
MAX_ACTS = 2000
"""Acts on one outline."""


class ClickSessions:
    """Open click sessions, in memory and in the store. Thread-safe; whatever needs the model waits for its thread."""

    def __init__(self, by_key: Mapping[str, Scene], objects: Objects, answering: Answering) -> None:
        self._by_key = by_key
        self._objects = objects
        self._store, self._hub, self._journal = objects.store, objects.hub, objects.journal
        self._answering = answering
        self._examples = answering.examples.named
        self._held: OrderedDict[str, ClickSession] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, name: str, user: str) -> ClickSession:
        """An open click session of a user's own, from memory or the store. Raises UnknownName."""
        with self._lock:
            found = self._held.get(name)
            if found is not None:
                self._held.move_to_end(name)
        if found is None:
            for draft in self._store.drafts():
                if draft.uuid == name and draft.image in self._by_key:
                    found = session_of(draft, self._by_key[draft.image])
                    if found is not None:
                        found = self._hold(found)
        if found is None or found.author != user or found.closed:
            raise UnknownName(f"no click session {name[:80]!r} of yours: it was accepted or closed.")
        found.touched = time.monotonic()
        return found

    def of(self, user: str) -> list[ClickSession]:
        """A user's open click sessions, also those of an earlier start, in the order begun."""
        with self._lock:
            held = dict(self._held)
        found = []
        for draft in self._store.drafts():
            if draft.author == user and draft.image in self._by_key:
                live = held.pop(draft.uuid, None) or session_of(draft, self._by_key[draft.image])
                if live is not None:
                    found.append(live)
        return found + [live for live in held.values() if live.author == user and not live.closed]

    def paths_in_hand(self) -> list[Path]:
        """The files of the images that open click sessions lie on."""
        with self._lock:
            return [live.scene.path for live in self._held.values()]

    def _hold(self, live: ClickSession) -> ClickSession:
        """Keep a click session in memory; the longest unused beyond the limits are put away."""
        with self._lock:
            live = self._held.setdefault(live.id, live)
            self._held.move_to_end(live.id)
            while len(self._held) > MOST_HELD:
                self._held.popitem(last=False)
        return live

    def open(self, user: str, scene: Scene, settings: ClickSettings, **fields: Any) -> ClickSession:
        """Begin to outline one thing."""
        scene.check()
        window = getattr(user, "window", "")
        live = ClickSession(uuid4().hex[:16], user, scene, settings, touched=time.monotonic(), window=window, **fields)
        if settings.seed is not None:
            self._store.save_draft(live.draft())
        return self._hold(live)

    def leave(self, by: str, live: ClickSession) -> None:
        """Close a click session without keeping anything; in a window of the map that is an act like any other."""
        if isinstance(by, Actor) and by.window and live.position == 0 and self._journal.knows(by, live.id):
            return  # its clicks were undone there, and can be done again
        draft = live.draft()
        began = any(act.kind in ("click", "paint") for act in live.acts[: live.position])
        self.close(live)
        if began and isinstance(by, Actor) and by.window:
            self._journal.record(by, Changeset("leave the outline", draft=draft))

    def step_done(self, by: str, live: ClickSession, name: str, before: Stand) -> None:
        """Remember an act on an open outline where it was done in a window of the map."""
        after = live.stand()
        if getattr(by, "window", "") and not after.same(before):
            live.window = getattr(by, "window", "")
            self._journal.record(by, Step(name, live.id, live.scene.key, before, after))

    def claim(self, by: Actor, live: ClickSession) -> None:
        """Take an open outline into a window; its clicks are then that window's acts, if they were none before."""
        live.window = by.window
        if live.acts:
            self._store.save_draft(live.draft())
        if not by.window or self._journal.knows(by, live.id):
            return
        whole = live.stand()
        for number, act in enumerate(whole.acts):
            before, after = (replace(whole, acts=whole.acts[:n]) for n in (number, number + 1))
            self._journal.record(by, Step(ACT_NAMES[act.kind], live.id, live.scene.key, before, after))

    def close(self, live: ClickSession) -> None:
        """Forget a click session and its draft."""
        live.closed = True
        self._store.delete_draft(live.id)
        with self._lock:
            self._held.pop(live.id, None)

    def reopen(self, draft: StoredDraft) -> ClickSession | None:
        """A click session that was closed, open again."""
        scene = self._by_key.get(draft.image)
        live = None if scene is None else session_of(draft, scene)
        if live is None:
            return None
        if live.object is not None:
            item = find(self._store, live.object)
            live.rev = None if item is None else item.rev
        self._store.save_draft(live.draft())
        with self._lock:
            self._held.pop(live.id, None)
        return self._hold(live)

    async def state(self, live: ClickSession) -> State:
        """Where a click session stands; its acts are answered again if that is not in memory. Raises ImageChanged."""
        live.scene.check()
        found = live.states.get(live.position)
        return found if found is not None else await self._ask(live, live.acts, live.position)

    async def act(self, live: ClickSession, act: Act, commit: Callable[[Callable[[], None]], Any]) -> State:
        """Do one more thing: answered, then saved, then true. `commit` runs the saving off the event loop."""
        if live.position >= MAX_ACTS:
            raise BadConfig(f"one outline takes at most {MAX_ACTS} acts: accept it, or clear it.")
        acts = (*live.acts[: live.position], act)
        before = {position: state for position, state in live.states.items() if position <= live.position}
        old_states, live.states = live.states, before
        try:
            state = await self._ask(live, acts, len(acts))
        except BaseException:
            live.states = old_states
            raise
        await self._move(live, acts, len(acts), commit)
        return state

    async def turn(self, live: ClickSession, by: int, commit: Callable[[Callable[[], None]], Any]) -> State:
        """Undo (−1) or redo (+1) an act; nothing happens at either end."""
        position = min(max(live.position + by, 0), len(live.acts))
        state = await self._ask(live, live.acts, position)
        if position != live.position:
            await self._move(live, live.acts, position, commit)
        return state

    async def stand_at(self, live: ClickSession, stand: Stand, commit: Callable[[Callable[[], None]], Any]) -> State:
        """Bring a click session to an earlier or later stand of its own: answered, then saved, then true."""
        was = live.stand()
        whole = live.acts
        live.put(stand)
        try:
            state = await self._ask(live, live.acts, live.position)
            draft = live.draft()
            await commit(lambda: self._store.save_draft(draft))
        except BaseException:
            live.acts = whole
            live.put(was)
            raise
        return state

    async def _move(
        self, live: ClickSession, acts: tuple[Act, ...], position: int, commit: Callable[[Callable[[], None]], Any]
    ) -> None:
        was = live.acts, live.position
        live.acts, live.position = acts, position
        try:
            draft = live.draft()
            await commit(lambda: self._store.save_draft(draft))
        except BaseException:
            live.acts, live.position = was
            raise

    async def _ask(self, live: ClickSession, acts: tuple[Act, ...], position: int) -> State:
        future = self._answering.worker.submit(Priority.CLICK, lambda: self._fold(live, acts, position))
        live.asked.add(future)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and getattr(task, "cancelling", lambda: 0)():
                raise
            raise Cancelled("the answer was cancelled: nothing was changed.") from None
        finally:
            live.asked.discard(future)

    def cancel(self, live: ClickSession) -> bool:
        """Give up the answer that somebody waits for, waiting or begun; whether there was one. Nothing is changed."""
        asked = [future for future in list(live.asked) if not future.done()]
        for future in asked:
            if not future.cancel():
                live.unwanted = True
        return bool(asked)

    def _fold(self, live: ClickSession, acts: tuple[Act, ...], position: int) -> State:
        """The state after so many acts, from the latest one that is still known. Runs in the model's thread."""
        live.scene.check()
        live.unwanted = False
        known = max((p for p in live.states if p <= position), default=0)
        state = live.states.get(known) or start(live.settings)
        predictor = self._answering.telling(live.scene, live)
        encode = self._answering.encoder(predictor)
        for index in range(known, position):
            if index == position - 1:
                self._first_look(live, state, acts[index])
            state = step(state, acts[index], live.settings, live.scene, predictor, encode, self._examples)
            live.scene.check()  # an answer on a picture that was replaced meanwhile is none
            live.states[index + 1] = state
        live.states.setdefault(0, start(live.settings))
        self._trim()
        return state

    def _first_look(self, live: ClickSession, state: State, act: Act) -> None:
        """A rough answer to a click on a class, told as an event while the fine one is made."""
        rough = self._answering.model.rough
        if rough is None or act.kind != "click" or state.target is not Target.CLASS:
            return
        spec = view_spec_for(live.settings, state.target, (*state.clicks, act.value), live.scene)
        if spec in self._answering.encodings:
            return

        def encode(spec: ViewSpec) -> Encoded:
            view, grid = read_spec(spec)
            return Encoded(grid, rough.encode(view), 0.0, 0.0, view.valid)

        found = step(replace(state, session=None), act, live.settings, live.scene, rough, encode, self._examples)
        data = {"session": live.id, "outline": outline_json(self.outline(live, found), live.scene), "final": False}
        self._hub.send("answer", data, live.author)

    def _trim(self) -> None:
        """Forget earlier answers of the longest unused click sessions once they take too much."""
        with self._lock:
            lives = list(self._held.values())
        seen: set[int] = set()
        sizes = [(live, sum(memory_of(s.session, seen) for s in list(live.states.values()))) for live in lives]
        held = sum(size for _, size in sizes)
        for live, size in sizes[:-1]:
            if held <= STATE_BYTES:
                break
            if not live.lock.locked():
                live.states = {}
                held -= size

    def outline(self, live: ClickSession, state: State, shape: tuple[float | None, bool] | None = None) -> Any:
        """A state's outline in the session's own shape, or in another one: (simplify_m, square)."""
        return outlined(state, live.settings, live.scene, *(shape or (live.simplify_m, live.square)))

    def hint(self, live: ClickSession, state: State) -> Hint | None:
        """Where to click next."""
        return next_hint(state, live.scene)

    async def preview(self, live: ClickSession, click: PixelClick) -> tuple[Shape | None, float] | None:
        """The outline if one clicked there, and how long it took; None if the view is not encoded or another came."""
        state = live.states.get(live.position)
        if state is None:  # put away: made again when nothing else is to be done
            acts, position = live.acts, live.position
            self._answering.worker.submit(Priority.AHEAD, lambda: self._fold(live, acts, position), f"fold {live.id}")
            return None
        spec = view_spec_for(live.settings, state.target, (*state.clicks, click), live.scene, state.grown)
        if spec not in self._answering.encodings:
            return None

        def ask() -> tuple[Shape | None, float]:
            begun = time.perf_counter()
            live.scene.check()
            act, predictor = Act("click", click), self._answering.model.predictor
            encode = self._answering.encoder(predictor)
            try:
                found = step(state, act, live.settings, live.scene, predictor, encode, self._examples, grow=False)
            except BadClick:  # the pointer is where no click may be: there is nothing to show
                return None, 1e3 * (time.perf_counter() - begun)
            return self.outline(live, found), 1e3 * (time.perf_counter() - begun)

        try:
            future = self._answering.worker.submit(Priority.PREVIEW, ask, f"preview {live.author}")
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and getattr(task, "cancelling", lambda: 0)():
                raise  # the person went away, not the question
            return None

    def accept(self, user: str, live: ClickSession, state: State, fields: Mapping[str, Any]) -> Changeset:
        """Keep the outline as an object, close the click session; on disk when this returns.

        Raises BadClick if there is no outline, Conflict if the reopened object was saved by somebody else.
        """
        live.scene.check()
        shape = self.outline(live, state)
        if shape is None or shape.pixels.is_empty:
            raise BadClick("there is no outline to accept: click on the thing first.")
        theirs = None if live.object is None else find(self._store, live.object)
        class_name = fields.get("class", live.class_name)
        geometry = self._objects.to_store(shape, live.scene)
        geometry = self._objects.bordered(geometry, shape.pixels.area, class_name, live.scene, live.object)
        clicks, view = self._clicks_of(live, state)
        base = theirs or MapObject(geometry=geometry, uuid=live.object or "", image=live.scene.key)
        model = self._answering.model
        item = replace(
            base,
            geometry=geometry,
            class_name=class_name,
            label=fields.get("label", base.label),
            status=fields.get("status", "accepted"),
            attributes=fields.get("attributes", base.attributes),
            target=state.target.value,
            score=round(shape.score, 4) if state.clicks else base.score,
            author=user,
            model=model.name if state.clicks else base.model or "hand",
            model_hash=model.hash if state.clicks else base.model_hash,
            n_clicks=len(clicks) if state.clicks else base.n_clicks,
        )
        kept_clicks, kept_view = (tuple(clicks), view) if state.clicks else (None, None)
        if live.object is None:
            edit = Edit(replace(item, rev=0), None, kept_clicks, kept_view, "add")
        else:
            edit = Edit(item, live.rev if live.rev is not None else -1, kept_clicks, kept_view)
        draft = live.draft()

        def and_close() -> None:
            self._store.delete_draft(live.id)

        changeset = self._objects.change(user, f"accept {class_name or 'object'}", [edit], draft, and_close)
        live.closed = True
        with self._lock:
            self._held.pop(live.id, None)
        return changeset

    def _clicks_of(self, live: ClickSession, state: State) -> tuple[list[StoredClick], StoredView | None]:
        """All clicks, those of an earlier time first, in pixels of the view that the model saw last."""
        spec, grid = state.spec, state.grid
        if spec is None or grid is None:
            return [], None
        found = []
        earlier = self._store.clicks_of(live.object) if live.object is not None else ()
        for x, y, positive, when in [
            *((c.x, c.y, c.positive, c.time) for c in earlier),
            *((*live.scene.grid.to_map(c.y - 0.5, c.x - 0.5), c.positive, c.time) for c in state.clicks),
        ]:
            at = grid.to_click(x, y, positive)
            found.append(StoredClick(at.row, at.col, x, y, positive, when))
        bands, stretch = spec.bands, spec.stretch
        return found, StoredView(live.scene.key, spec.bounds, spec.gsd, bands, stretch, (), grid.shape)
