"""What a running server remembers: open click sessions, encodings within a budget, who did what.

`Workspace` is the only place with memory besides the store. Its methods are called from many threads; whatever needs
the model goes through the one worker thread, everything else runs where it is called.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import cv2
import numpy as np
import shapely

from terraclick.app.clicking import (
    Act,
    Encode,
    Hint,
    PixelClick,
    Setup,
    Shape,
    State,
    Surface,
    frame_for,
    next_hint,
    outlined,
    parts_of,
    start,
    step,
    to_map,
)
from terraclick.app.coverage import with_borders
from terraclick.app.engine import Cancelled, Encoded, Encodings, Frame, Priority, Worker, memory_of, read_frame
from terraclick.app.events import Hub
from terraclick.app.features import Places, as_surface, outline_json
from terraclick.app.images import Scene, Tiles, settled
from terraclick.app.journal import Actor, Decision, Deed, Edit, Journal, Stand, Step, Swap, Tell, do, find
from terraclick.app.proposals import ProposalList, Proposals
from terraclick.app.watching import Watch
from terraclick.core.predictor import Predictor
from terraclick.errors import BadClick, BadConfig, BadData, Conflict, UnknownName
from terraclick.geo.grid import Grid
from terraclick.geo.kinds import kind_of
from terraclick.geo.pictures import decoded
from terraclick.geo.polygonize import rasterize
from terraclick.geo.raster import read_view
from terraclick.geo.reproject import reproject
from terraclick.geo.sidecars import sidecar_files
from terraclick.predictors.progress import reporting
from terraclick.store.fields import MapObject
from terraclick.store.protocol import Store
from terraclick.store.values import StoredClick, StoredDraft, StoredReference, StoredView
from terraclick.values import Reference, Target

__all__ = ["Live", "Model", "Workspace"]

MAX_LIVE = 256
"""Click sessions held in memory; the longest unused are put away in the store and come back when asked for."""
STATE_BYTES = 256 * 2**20
"""Bytes of earlier answers kept for undo; beyond it they are made again when needed."""
EXAMPLE_SIDE = 1024
MAX_ACTS = 2000
MANY = 500
"""Objects of one act beyond which others read all of them again instead of being told each."""
NAMES = {"click": "click", "paint": "paint", "clear": "clear the clicks", "target": "this object or all alike"} | {
    "references": "examples of the outline"
}
"""What people read of an act on an open outline."""


@dataclass(frozen=True, eq=False)
class Model:
    """The predictor that answers; rough is a faster one for a first look at classes, or None."""

    name: str
    hash: str
    summary: str
    predictor: Predictor
    rough: Predictor | None = None


@dataclass(eq=False)
class Live:
    """A click session: what was done (acts, of which `position` count now) and what it came to so far (states)."""

    id: str
    author: str
    scene: Scene
    setup: Setup
    acts: tuple[Act, ...] = ()
    position: int = 0
    class_name: str = ""
    simplify_m: float | None = None
    square: bool = False
    object: str | None = None
    rev: int | None = None
    touched: float = 0.0
    states: dict[int, State] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    closed: bool = False
    asked: set[Future[Any]] = field(default_factory=set)
    window: str = ""
    """The window of the map that has it in the hand."""
    unwanted: bool = False
    """Whether the answer that is being made is no longer wanted; looked at between the patches of a view."""

    def stand(self) -> Stand:
        """What counts of it now."""
        return Stand(self.acts[: self.position], self.class_name, self.simplify_m, self.square)

    def put(self, stand: Stand) -> None:
        """Make it what it was; what can be done again stays known."""
        if not _begins(self.acts, stand.acts):
            same = sum(1 for _ in _alike(self.acts, stand.acts))
            self.states = {position: state for position, state in self.states.items() if position <= same}
            self.acts = stand.acts
        self.position = len(stand.acts)
        self.class_name, self.simplify_m, self.square = stand.class_name, stand.simplify_m, stand.square

    def draft(self) -> StoredDraft:
        """All of it but the states, as the store keeps it."""
        content = {
            "setup": {
                "target": self.setup.target.value,
                "references": list(self.setup.references),
                "view_bounds": self.setup.view_bounds,
                "resolution": self.setup.resolution,
                "bands": self.setup.bands,
                "stretch": self.setup.stretch,
                "seed": None if self.setup.seed is None else self.setup.seed.wkt,
            },
            "acts": [_act_to_json(act) for act in self.acts],
            "position": self.position,
            "class": self.class_name,
            "simplify_m": self.simplify_m,
            "square": self.square,
            "object": self.object,
            "rev": self.rev,
            "window": self.window,
        }
        return StoredDraft(self.id, self.author, self.scene.key, content)


def _alike(one: Sequence[Act], other: Sequence[Act]) -> Iterator[Act]:
    """The acts with which both begin."""
    for mine, theirs in zip(one, other, strict=False):
        if mine is not theirs:
            return
        yield mine


def _begins(acts: Sequence[Act], start: Sequence[Act]) -> bool:
    return len(start) <= len(acts) and sum(1 for _ in _alike(acts, start)) == len(start)


def _act_to_json(act: Act) -> list[Any]:
    if act.kind == "click":
        return ["click", act.value.x, act.value.y, act.value.positive, act.value.time, act.value.resolution]
    if act.kind == "paint":
        return ["paint", act.value[0].wkt, act.value[1]]
    return [act.kind, act.value]


def _act_of(value: Sequence[Any]) -> Act:
    kind = value[0]
    if kind == "click":
        resolution = float(value[5]) if len(value) > 5 and value[5] is not None else None
        return Act(kind, PixelClick(float(value[1]), float(value[2]), bool(value[3]), str(value[4]), resolution))
    if kind == "paint":
        return Act(kind, (shapely.from_wkt(value[1]), bool(value[2])))
    if kind not in ("target", "references", "clear"):
        raise ValueError(kind)
    return Act(kind, value[1])


def live_of(draft: StoredDraft, scene: Scene) -> Live | None:
    """The click session a draft describes; None if it is damaged."""
    try:
        content, setup = draft.content, draft.content["setup"]
        stretch = setup["stretch"]
        return Live(
            draft.uuid,
            draft.author,
            scene,
            Setup(
                Target(setup["target"]),
                tuple(setup["references"]),
                None if setup["view_bounds"] is None else tuple(setup["view_bounds"]),
                float(setup["resolution"]),
                None if setup["bands"] is None else tuple(setup["bands"]),
                stretch if isinstance(stretch, str) else tuple((float(low), float(high)) for low, high in stretch),
                None if setup["seed"] is None else shapely.from_wkt(setup["seed"]),
            ),
            tuple(_act_of(act) for act in content["acts"]),
            int(content["position"]),
            str(content["class"]),
            None if content["simplify_m"] is None else float(content["simplify_m"]),
            bool(content["square"]),
            content["object"],
            content["rev"],
            time.monotonic(),
            window=str(content.get("window", "")),
        )
    except (KeyError, TypeError, ValueError, IndexError, shapely.errors.GEOSException):
        return None


class Workspace:
    """Scenes, store, model and all that is going on between them; see the top of this file."""

    def __init__(
        self,
        scenes: Mapping[str, Scene],
        store: Store,
        model: Callable[[], Model],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        encoding_bytes: int = 512 * 2**20,
        watch_s: float = 1.0,
    ) -> None:
        self.scenes = settled(scenes, store)
        self.store = store
        self.by_key = {scene.key: scene for scene in self.scenes.values()}
        self.places = Places(store, self.scenes, self.by_key)
        self.tiles = Tiles()
        self.hub = Hub()
        self.journal = Journal()
        self.turning = asyncio.Lock()
        self._cancelled: set[tuple[str, str]] = set()
        for scene in self.scenes.values():  # before the model's thread begins: what is refused here must end the start
            store.add_image(scene.stored)
        self.worker = Worker()
        self.encodings = Encodings(encoding_bytes)
        self._clock = clock
        self._live: OrderedDict[str, Live] = OrderedDict()
        self.proposals = Proposals()
        self._examples: OrderedDict[tuple[str, ...], tuple[Reference, ...]] = OrderedDict()
        self._lock = threading.RLock()
        self._model: Model | None = None
        self._loading = self.worker.submit(Priority.CLICK, lambda: self._load(model))
        store.look()
        self.watch = Watch(store, self.places, self.hub, self.forget_examples, watch_s)

    def _load(self, model: Callable[[], Model]) -> None:
        self._model = model()

    @property
    def model(self) -> Model:
        """The model; waits until it is loaded. Raises what loading raised."""
        if self._model is None:
            self._loading.result()
        assert self._model is not None
        return self._model

    def close(self) -> None:
        """Stop the model's thread and the watch, close the store."""
        self.watch.close()
        self.worker.close()
        self.store.close()

    def now(self) -> str:
        """The time as it is stored."""
        return self._clock().astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def scene(self, name: str) -> Scene:
        """An image by its id. Raises UnknownName."""
        if name not in self.scenes:
            raise UnknownName(f"no image {name[:80]!r} on this server: see /api/images.")
        return self.scenes[name]

    def files(self) -> list[Path]:
        """The files that this server lives on: images, what lies beside them, the session."""
        images = [scene.path for scene in self.scenes.values()]
        session = getattr(self.store, "path", None)
        return [*images, *(file for path in images for file in sidecar_files(path)), *([session] if session else [])]

    # -- click sessions

    def live(self, name: str, user: str) -> Live:
        """An open click session of a user's own, from memory or the store. Raises UnknownName."""
        with self._lock:
            found = self._live.get(name)
            if found is not None:
                self._live.move_to_end(name)
        if found is None:
            for draft in self.store.drafts():
                if draft.uuid == name and draft.image in self.by_key:
                    found = live_of(draft, self.by_key[draft.image])
                    if found is not None:
                        found = self._hold(found)
        if found is None or found.author != user or found.closed:
            raise UnknownName(f"no click session {name[:80]!r} of yours: it was accepted or closed.")
        found.touched = time.monotonic()
        return found

    def lives(self, user: str) -> list[Live]:
        """A user's open click sessions, also those of an earlier start, in the order begun."""
        with self._lock:
            held = dict(self._live)
        found = []
        for draft in self.store.drafts():
            if draft.author == user and draft.image in self.by_key:
                live = held.pop(draft.uuid, None) or live_of(draft, self.by_key[draft.image])
                if live is not None:
                    found.append(live)
        return found + [live for live in held.values() if live.author == user and not live.closed]

    def paths_in_hand(self) -> list[Path]:
        """The files of the images that open click sessions lie on."""
        with self._lock:
            return [live.scene.path for live in self._live.values()]

    def _hold(self, live: Live) -> Live:
        """Keep a click session in memory; the longest unused beyond the limits are put away."""
        with self._lock:
            live = self._live.setdefault(live.id, live)
            self._live.move_to_end(live.id)
            while len(self._live) > MAX_LIVE:
                self._live.popitem(last=False)
        return live

    def open(self, user: str, scene: Scene, setup: Setup, **fields: Any) -> Live:
        """Begin to outline one thing."""
        scene.check()
        window = getattr(user, "window", "")
        live = Live(uuid4().hex[:16], user, scene, setup, touched=time.monotonic(), window=window, **fields)
        if setup.seed is not None:
            self.store.save_draft(live.draft())
        return self._hold(live)

    def leave(self, by: str, live: Live) -> None:
        """Close a click session without keeping anything; in a window of the map that is an act like any other."""
        draft = live.draft()
        began = any(act.kind in ("click", "paint") for act in live.acts[: live.position])
        self.close_live(live)
        if began and isinstance(by, Actor) and by.window:
            self.journal.record(by, Deed("leave the outline", draft=draft))

    def step_done(self, by: str, live: Live, name: str, before: Stand) -> None:
        """Remember an act on an open outline where it was done in a window of the map."""
        after = live.stand()
        if getattr(by, "window", "") and not after.same(before):
            live.window = getattr(by, "window", "")
            self.journal.record(by, Step(name, live.id, live.scene.key, before, after))

    def claim(self, by: Actor, live: Live) -> None:
        """Take an open outline into a window; its clicks are then that window's acts, if they were none before."""
        live.window = by.window
        if live.acts:
            self.store.save_draft(live.draft())
        if not by.window or self.journal.knows(by, live.id):
            return
        whole = live.stand()
        for number, act in enumerate(whole.acts):
            before, after = (replace(whole, acts=whole.acts[:n]) for n in (number, number + 1))
            self.journal.record(by, Step(NAMES[act.kind], live.id, live.scene.key, before, after))

    def close_live(self, live: Live) -> None:
        """Forget a click session and its draft."""
        live.closed = True
        self.store.delete_draft(live.id)
        with self._lock:
            self._live.pop(live.id, None)

    def reopen(self, draft: StoredDraft) -> Live | None:
        """A click session that was closed, open again."""
        scene = self.by_key.get(draft.image)
        live = None if scene is None else live_of(draft, scene)
        if live is None:
            return None
        if live.object is not None:
            item = find(self.store, live.object)
            live.rev = None if item is None else item.rev
        self.store.save_draft(live.draft())
        with self._lock:
            self._live.pop(live.id, None)
        return self._hold(live)

    async def state(self, live: Live) -> State:
        """Where a click session stands; its acts are answered again if that is not in memory. Raises ImageChanged."""
        live.scene.check()
        found = live.states.get(live.position)
        return found if found is not None else await self._ask(live, live.acts, live.position)

    async def act(self, live: Live, act: Act, commit: Callable[[Callable[[], None]], Any]) -> State:
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

    async def turn(self, live: Live, by: int, commit: Callable[[Callable[[], None]], Any]) -> State:
        """Undo (−1) or redo (+1) an act; nothing happens at either end."""
        position = min(max(live.position + by, 0), len(live.acts))
        state = await self._ask(live, live.acts, position)
        if position != live.position:
            await self._move(live, live.acts, position, commit)
        return state

    async def stand_at(self, live: Live, stand: Stand, commit: Callable[[Callable[[], None]], Any]) -> State:
        """Bring a click session to an earlier or later stand of its own: answered, then saved, then true."""
        was = live.stand()
        whole = live.acts
        live.put(stand)
        try:
            state = await self._ask(live, live.acts, live.position)
            draft = live.draft()
            await commit(lambda: self.store.save_draft(draft))
        except BaseException:
            live.acts = whole
            live.put(was)
            raise
        return state

    async def _move(
        self, live: Live, acts: tuple[Act, ...], position: int, commit: Callable[[Callable[[], None]], Any]
    ) -> None:
        was = live.acts, live.position
        live.acts, live.position = acts, position
        try:
            draft = live.draft()
            await commit(lambda: self.store.save_draft(draft))
        except BaseException:
            live.acts, live.position = was
            raise

    async def _ask(self, live: Live, acts: tuple[Act, ...], position: int) -> State:
        future = self.worker.submit(Priority.CLICK, lambda: self._fold(live, acts, position))
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

    def cancel(self, live: Live) -> bool:
        """Give up the answer that somebody waits for, waiting or begun; whether there was one. Nothing is changed."""
        asked = [future for future in list(live.asked) if not future.done()]
        for future in asked:
            if not future.cancel():
                live.unwanted = True
        return bool(asked)

    def _fold(self, live: Live, acts: tuple[Act, ...], position: int) -> State:
        """The state after so many acts, from the latest one that is still known. Runs in the model's thread."""
        live.scene.check()
        live.unwanted = False
        known = max((p for p in live.states if p <= position), default=0)
        state = live.states.get(known) or start(live.setup)
        predictor = self._telling(live.scene, live)
        encode = self._encoder(predictor)
        for index in range(known, position):
            if index == position - 1:
                self._first_look(live, state, acts[index])
            state = step(state, acts[index], live.setup, live.scene, predictor, encode, self.examples)
            live.scene.check()  # an answer on a picture that was replaced meanwhile is none
            live.states[index + 1] = state
        live.states.setdefault(0, start(live.setup))
        self._trim()
        return state

    def _first_look(self, live: Live, state: State, act: Act) -> None:
        """A rough answer to a click on a class, told as an event while the fine one is made."""
        rough = self.model.rough
        if rough is None or act.kind != "click" or state.target is not Target.CLASS:
            return
        frame = frame_for(live.setup, state.target, (*state.clicks, act.value), live.scene)
        if frame in self.encodings:
            return

        def encode(frame: Frame) -> Encoded:
            view, grid = read_frame(frame)
            return Encoded(grid, rough.encode(view), 0.0, 0.0, view.valid)

        found = step(replace(state, session=None), act, live.setup, live.scene, rough, encode, self.examples)
        data = {"session": live.id, "outline": outline_json(self.outline(live, found), live.scene), "final": False}
        self.hub.send("answer", data, live.author)

    def _encoder(self, predictor: Predictor) -> Encode:
        """Reads and encodes frames with a predictor, or takes them from memory."""

        def encode(frame: Frame) -> Encoded:
            fresh = frame not in self.encodings
            found = self.encodings.get(frame, predictor)
            if fresh:
                self.encodings.trim()
            return found

        return encode

    def _trim(self) -> None:
        """Forget earlier answers of the longest unused click sessions once they take too much."""
        with self._lock:
            lives = list(self._live.values())
        seen: set[int] = set()
        sizes = [(live, sum(memory_of(s.session, seen) for s in list(live.states.values()))) for live in lives]
        held = sum(size for _, size in sizes)
        for live, size in sizes[:-1]:
            if held <= STATE_BYTES:
                break
            if not live.lock.locked():
                live.states = {}
                held -= size

    def _telling(self, scene: Scene, live: Live | None) -> Predictor:
        """The model, which tells whoever waits for it how far its encoder is, as events."""

        def tell(done: int, total: int) -> None:
            if live is not None and live.unwanted:
                raise Cancelled("the answer was cancelled: nothing was changed.")
            if total > 1 or done == 0:
                data = {"session": None if live is None else live.id, "image": scene.id, "done": done, "total": total}
                self.hub.send("encode", data, None if live is None else live.author)

        return reporting(self.model.predictor, tell)

    def outline(self, live: Live, state: State, shape: tuple[float | None, bool] | None = None) -> Any:
        """A state's outline in the session's own shape, or in another one: (simplify_m, square)."""
        return outlined(state, live.setup, live.scene, *(shape or (live.simplify_m, live.square)))

    def hint(self, live: Live, state: State) -> Hint | None:
        """Where to click next."""
        return next_hint(state, live.scene)

    async def preview(self, live: Live, click: PixelClick) -> tuple[Shape | None, float] | None:
        """The outline if one clicked there, and how long it took; None if the view is not encoded or another came."""
        state = live.states.get(live.position)
        if state is None:  # put away: made again when nothing else is to be done
            acts, position = live.acts, live.position
            self.worker.submit(Priority.AHEAD, lambda: self._fold(live, acts, position), f"fold {live.id}")
            return None
        frame = frame_for(live.setup, state.target, (*state.clicks, click), live.scene, state.grown)
        if frame not in self.encodings:
            return None

        def ask() -> tuple[Shape | None, float]:
            begun = time.perf_counter()
            live.scene.check()
            act, predictor = Act("click", click), self.model.predictor
            encode = self._encoder(predictor)
            try:
                found = step(state, act, live.setup, live.scene, predictor, encode, self.examples, grow=False)
            except BadClick:  # the pointer is where no click may be: there is nothing to show
                return None, 1e3 * (time.perf_counter() - begun)
            return self.outline(live, found), 1e3 * (time.perf_counter() - begun)

        try:
            return await asyncio.wrap_future(self.worker.submit(Priority.PREVIEW, ask, f"preview {live.author}"))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and getattr(task, "cancelling", lambda: 0)():
                raise  # the person went away, not the question
            return None

    def prefetch(self, user: str, scene: Scene, setup: Setup, click: PixelClick) -> None:
        """Read and encode what a click there would need, when nothing else is to be done."""
        frame = frame_for(setup, setup.target, (click,), scene)

        def fetch() -> None:
            scene.check()
            act, predictor = Act("click", click), self._telling(scene, None)
            step(start(setup), act, setup, scene, predictor, self._encoder(predictor), self.examples)

        if frame not in self.encodings:
            self.worker.submit(Priority.AHEAD, fetch, f"prefetch {user}")

    # -- from click session to object

    def accept(self, user: str, live: Live, state: State, fields: Mapping[str, Any]) -> Deed:
        """Keep the outline as an object, close the click session; on disk when this returns.

        Raises BadClick if there is no outline, Conflict if the reopened object was saved by somebody else.
        """
        live.scene.check()
        shape = self.outline(live, state)
        if shape is None or shape.pixels.is_empty:
            raise BadClick("there is no outline to accept: click on the thing first.")
        theirs = None if live.object is None else find(self.store, live.object)
        class_name = fields.get("class", live.class_name)
        geometry = self.to_store(shape, live.scene)
        geometry = self.bordered(geometry, shape.pixels.area, class_name, live.scene, live.object)
        clicks, view = self._clicks_of(live, state)
        base = theirs or MapObject(geometry=geometry, uuid=live.object or "", image=live.scene.key)
        model = self.model
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
            self.store.delete_draft(live.id)

        deed = self.change(user, f"accept {class_name or 'object'}", [edit], draft, and_close)
        live.closed = True
        with self._lock:
            self._live.pop(live.id, None)
        return deed

    def to_store(self, shape: Shape, scene: Scene) -> Surface:
        """An outline's geometry in the store's coordinates."""
        if self.store.crs is None:
            return as_surface(shape.pixels)
        return as_surface(reproject(shape.map, scene.grid.crs, self.store.crs))

    def _clicks_of(self, live: Live, state: State) -> tuple[list[StoredClick], StoredView | None]:
        """All clicks, those of an earlier time first, in pixels of the view that the model saw last."""
        frame, grid = state.frame, state.grid
        if frame is None or grid is None:
            return [], None
        found = []
        earlier = self.store.clicks_of(live.object) if live.object is not None else ()
        for x, y, positive, when in [
            *((c.x, c.y, c.positive, c.time) for c in earlier),
            *((*live.scene.grid.to_map(c.y - 0.5, c.x - 0.5), c.positive, c.time) for c in state.clicks),
        ]:
            at = grid.to_click(x, y, positive)
            found.append(StoredClick(at.row, at.col, x, y, positive, when))
        bands, stretch = frame.bands, frame.stretch
        return found, StoredView(live.scene.key, frame.bounds, frame.gsd, bands, stretch, (), grid.shape)

    def bordered(self, geometry: Surface, area_px: float, class_name: str, scene: Scene, uuid: str | None) -> Surface:
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
            left_over = as_surface(geometry.difference(taken))
            whole = shapely.union_all([left_over, taken])
            reach = 0.51 * pixel
            closed = whole.buffer(reach, join_style="mitre").buffer(-reach, join_style="mitre")
            slivers = parts_of(closed.difference(whole))
            mine = [sliver for sliver in slivers if sliver.distance(left_over) < 1e-3 * pixel]
            return as_surface(shapely.union_all([left_over, *mine]).difference(taken))
        except BadData:
            raise BadData(f"all of this is covered by other objects of {', '.join(sorted(covering))}.") from None

    # -- objects

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
    ) -> Deed:
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
                deed = Deed(name, changes, draft, classes, decisions=tuple(decisions))
        except Conflict as conflict:
            raise self._both_kept(user, conflict, made) from None
        self.proposals.decide(deed.decisions)
        self.record(user, deed)
        return deed

    def _pixel(self, edits: Sequence[Edit]) -> float | None:
        """The length of a pixel of the first edit's image in the store's coordinates; None without an image."""
        item = edits[0].item
        scene = self.places.scene_of(item)
        if scene is None or kind_of(item.geometry) != "polygon":
            return None
        return float((item.geometry.area / max(self.places.pixels(item.geometry, scene).area, 1e-9)) ** 0.5)

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

    def record(self, by: str, deed: Deed) -> None:
        """Remember a deed for undo and tell everybody."""
        self.journal.record(by, deed)
        self.tell(deed, by)

    def _both_kept(self, user: str, conflict: Conflict, edits: Sequence[Edit]) -> Conflict:
        mine, theirs = conflict.mine, conflict.theirs
        kept = None
        if isinstance(mine, MapObject) and not (
            isinstance(theirs, MapObject) and theirs.geometry.equals_exact(mine.geometry, 0.0)
        ):
            copy = replace(mine, uuid="", rev=0, status="conflict", author=user, created="", updated="")
            given = next((edit for edit in edits if edit.item is mine), Edit(mine))
            deed = Deed("keep my version", do(self.store, [Edit(copy, None, given.clicks, given.view, "add")]))
            kept = deed.changes[0].uuid
            self.tell(deed, user)
        found = Conflict(str(conflict), mine, theirs)
        found.__dict__["kept"] = kept
        return found

    def tell(self, deed: Deed, user: str) -> None:
        """Let everybody know what a deed changed."""
        if deed.renamed or len(deed.changes) > MANY:
            self.hub.send("reload", {"by": user, "window": getattr(user, "window", "")})
        elif deed.changes:
            changed = [self.places.feature(c.after.item) for c in deed.changes if c.after is not None]
            deleted = [c.uuid for c in deed.changes if c.after is None]
            self.hub.send("objects", {"changed": changed, "deleted": deleted, "by": user})
        if deed.references or deed.renamed:
            self.forget_examples()
            self.hub.send("references", {"by": user})
        if deed.classes:
            self.hub.send("classes", {"by": user})
        if deed.marks:
            self.hub.send("images", {"by": user})

    # -- examples

    def examples(self, names: Sequence[str]) -> tuple[Reference, ...]:
        """Examples by id, in the order given; those deleted meanwhile are left out."""
        key = tuple(names)
        if not key:
            return ()
        with self._lock:
            if key in self._examples:
                return self._examples[key]
        known = {item.uuid: item.reference for item in self.store.references()}
        found = tuple(known[name] for name in key if name in known)
        with self._lock:
            self._examples[key] = found
            while len(self._examples) > 32:
                self._examples.popitem(last=False)
        return found

    def forget_examples(self) -> None:
        """Read them from the store again."""
        with self._lock:
            self._examples.clear()

    def reference_ids(self, wanted: str | Sequence[str] | None, class_name: str) -> tuple[str, ...]:
        """Ids of examples: as given (checked), or all of the class. Raises UnknownName."""
        if wanted is None:
            return ()
        known = [item.uuid for item in self.store.references(class_name if wanted == "class" else None)]
        if wanted == "class":
            return tuple(known)
        for name in wanted:
            if name not in known:
                raise UnknownName(f"no example {name[:80]!r}: it may have been deleted.")
        return tuple(wanted)

    def example_from(self, item: MapObject, class_name: str, positive: bool) -> StoredReference:
        """Keep an object, with some of the picture around it, as an example of a class."""
        scene = self.places.scene_of(item)
        if scene is None:
            raise BadConfig("this object belongs to no image of this server: there is no picture to keep with it.")
        outline = to_map(self.places.surface(item, scene), scene.grid)
        pixels = self.places.surface(item, scene)
        left, top, right, bottom = pixels.bounds
        side = max(right - left, bottom - top, 32.0)
        margin = 0.5 * side
        rows, cols = scene.shape
        x0, y0 = max(0.0, left - margin), max(0.0, top - margin)
        x1, y1 = min(float(cols), right + margin), min(float(rows), bottom + margin)
        if x0 >= x1 or y0 >= y1:
            raise BadData("this object lies outside its image: there is no picture to keep with it.")
        corners = [scene.grid.to_map(y - 0.5, x - 0.5) for x in (x0, x1) for y in (y0, y1)]
        bounds = (
            min(c[0] for c in corners),
            min(c[1] for c in corners),
            max(c[0] for c in corners),
            max(c[1] for c in corners),
        )
        factor = max(1.0, max(x1 - x0, y1 - y0) / EXAMPLE_SIDE)
        gsd = None if factor == 1.0 else (scene.grid.metres_per_pixel or 1.0) * factor
        scene.check()
        view, grid = read_view(scene.path, bounds, gsd, reading=scene.reading)
        return self._keep_example(class_name, Reference(view.image, rasterize([outline], grid), positive))

    def example_from_png(self, image: str, mask: str, class_name: str, positive: bool) -> StoredReference:
        """Keep an imported picture and mask (base64 of PNG or JPEG) as an example. Raises BadData."""
        picture, levels = _picture(image, cv2.IMREAD_COLOR), _picture(mask, cv2.IMREAD_GRAYSCALE)
        if picture.shape[:2] != levels.shape[:2]:
            raise BadData("the picture and its mask differ in size: give both of one size.")
        return self._keep_example(
            class_name, Reference(np.ascontiguousarray(picture[..., ::-1]), levels > 127, positive)
        )

    def _keep_example(self, class_name: str, reference: Reference) -> StoredReference:
        if not reference.mask.any():
            raise BadData("the mask of this example is empty: mark the thing in it.")
        return self.store.add_reference(StoredReference(class_name, reference))

    # -- find the rest

    async def propose(
        self,
        user: str,
        scene: Scene,
        class_name: str,
        setup: Setup,
        limit: int,
        simplify_m: float | None,
        square: bool,
    ) -> ProposalList:
        """Everything in a view that looks like the examples (or, without any, like the class's objects there)."""
        from terraclick.app.proposing import propose

        def ask() -> ProposalList:
            begun = time.perf_counter()
            scene.check()
            frame = frame_for(setup, Target.CLASS, (), scene)
            predictor = self._telling(scene, None)
            view = self._encoder(predictor)(frame)
            known = self._known_in(scene, view.grid)
            shapes = propose(
                predictor,
                view,
                scene,
                self.examples(setup.references),
                [surface for item, surface in known if item.class_name == class_name],
                [surface for _, surface in known],
                limit,
                simplify_m,
                square,
            )
            seen = StoredView(scene.key, frame.bounds, frame.gsd, frame.bands, frame.stretch, (), view.grid.shape)
            spent = 1e3 * (time.perf_counter() - begun)
            return ProposalList(uuid4().hex[:16], user, scene, class_name, seen, dict(enumerate(shapes)), spent)

        found = await asyncio.wrap_future(self.worker.submit(Priority.PROPOSAL, ask))
        self.proposals.hold(found)
        return found

    def _known_in(self, scene: Scene, grid: Grid) -> list[tuple[MapObject, Surface]]:
        """Objects of an image that meet a view, with their geometry in the image's own coordinates."""
        whole = shapely.box(*grid.bounds)
        found = []
        for item in self.store.objects(scene.key):
            surface = to_map(self.places.surface(item, scene), scene.grid)
            if surface.intersects(whole):
                found.append((item, surface))
        return found

    # -- counts

    def counts(self) -> dict[str, dict[str, int]]:
        """How many objects each image (by its path), class and status has."""
        found: dict[str, dict[str, int]] = {"image": {}, "class": {}, "status": {}}
        for image, class_name, status, number in self.store.tally():
            for name, value in (("image", image), ("class", class_name), ("status", status)):
                found[name][value] = found[name].get(value, 0) + number
        return found


def _picture(text: str, kind: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A base64 PNG or JPEG of at most 4096 px a side; its size is read before it is decoded. Raises BadData."""
    try:
        data = base64.b64decode(text.split(",", 1)[-1], validate=True)
    except (binascii.Error, ValueError):
        raise BadData("a picture was expected as base64 of a PNG or JPEG file.") from None
    image = decoded(data, kind, 4096)
    if image is None:
        raise BadData("a PNG or JPEG picture of at most 4096 px a side was expected.")
    return np.asarray(image, dtype=np.uint8)
