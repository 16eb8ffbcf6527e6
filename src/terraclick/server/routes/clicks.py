"""The routes of click sessions: one thing being outlined."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import FiniteFloat
from starlette.concurrency import run_in_threadpool

from terraclick.errors import BadConfig, UnknownName
from terraclick.server.acts import Actor, Stand
from terraclick.server.asking import StrictRoute
from terraclick.server.click_session import ACT_NAMES, ClickSession
from terraclick.server.clicking import Act, AreaGeometry, ClickSettings, PixelClick, State
from terraclick.server.depends import CurrentWorkspace, Json, User, features_of, given_of
from terraclick.server.features import area_geometry_of, hint_json, outline_json
from terraclick.server.schemas import (
    AcceptBody,
    ClickBody,
    Coordinate,
    OpenBody,
    PaintBody,
    PatchSessionBody,
    SeedOfProposal,
    ViewBody,
)
from terraclick.server.workspace import Workspace
from terraclick.values import Target

__all__ = ["click_settings_of", "router", "shown"]

router = APIRouter(route_class=StrictRoute)

LOOK_S = 0.5
"""How often it is asked whether somebody still waits for an answer."""


def click_settings_of(
    target: Target,
    references: tuple[str, ...],
    view: ViewBody | None,
    bands: Sequence[int] | None = None,
    stretch: Any = "auto",
    seed: AreaGeometry | None = None,
) -> ClickSettings:
    """What a click session begins with, of what a request said."""
    bounds = None
    if view is not None:
        x0, y0, x1, y1 = view.bounds
        bounds = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    return ClickSettings(
        target,
        references,
        bounds,
        1.0 if view is None else view.resolution,
        None if bands is None else tuple(bands),
        stretch if isinstance(stretch, str) else tuple((float(low), float(high)) for low, high in stretch),
        seed,
    )


def _brief(live: ClickSession, elsewhere: bool = False) -> Json:
    """A click session without what must be computed."""
    acts = live.acts[: live.position]
    clear = max((i for i, act in enumerate(acts) if act.kind == "clear"), default=-1) + 1
    target, references = live.settings.target.value, list(live.settings.references)
    for act in acts:
        if act.kind == "target":
            target = act.value
        elif act.kind == "references":
            references = list(act.value)
    clicks = [act.value for act in acts[clear:] if act.kind == "click"]
    return {
        "id": live.id,
        "image": live.scene.id,
        "target": target,
        "class": live.class_name,
        "author": live.author,
        "object": live.object,
        "rev": live.rev,
        "clicks": [{"x": click.x, "y": click.y, "positive": click.positive} for click in clicks],
        "can_undo": live.position > 0,
        "can_redo": live.position < len(live.acts),
        "references": references,
        "simplify_m": live.simplify_m,
        "square": live.square,
        "saved": True,
        "begun": any(act.kind in ("click", "paint") for act in acts[clear:]),
        "window": live.window,
        "elsewhere": elsewhere,
    }


def _session_json(space: Workspace, live: ClickSession, state: State, began: float) -> Json:
    scene = live.scene
    view = None
    if state.spec is not None and state.grid is not None:
        grid = state.grid
        corners = [grid.to_map(row - 0.5, col - 0.5) for row, col in ((0, 0), grid.shape)]
        (top, left), (bottom, right) = [(c.row + 0.5, c.col + 0.5) for c in (scene.grid.to_click(*p) for p in corners)]
        view = {
            "bounds": [round(value, 3) for value in (left, top, right, bottom)],
            "shape": list(grid.shape),
            "gsd": grid.metres_per_pixel,
        }
    read, encode, predict = state.timing
    return _brief(live) | {
        "model": space.model.name,
        "view": view,
        "outline": outline_json(space.sessions.outline(live, state), scene),
        "hint": hint_json(space.sessions.hint(live, state)),
        "timing": {
            "read_ms": round(read, 1),
            "encode_ms": round(encode, 1),
            "predict_ms": round(predict, 1),
            "total_ms": round(1e3 * (time.perf_counter() - began), 1),
        },
    }


async def shown(space: Workspace, live: ClickSession, state: State, began: float) -> Json:
    """A click session as the map sees it, made off the event loop."""
    return await run_in_threadpool(_session_json, space, live, state, began)


@router.get("/api/sessions", tags=["click sessions"])
def sessions(space: CurrentWorkspace, user: User) -> Json:
    """Your open click sessions, also those that a crash left."""
    held = space.hub.windows(user) - {user.window, ""}
    return {"sessions": [_brief(live, live.window in held) for live in space.sessions.of(user)]}


@router.post("/api/sessions", status_code=201, tags=["click sessions"])
async def open_session(body: OpenBody, space: CurrentWorkspace, user: User) -> Json:
    """Begin to outline one thing."""
    began = time.perf_counter()
    live = await run_in_threadpool(_opened, body, space, user)
    return await shown(space, live, await space.sessions.state(live), began)


def _opened(body: OpenBody, space: Workspace, user: str) -> ClickSession:
    item, seed = None, None
    if body.object is not None:
        item = space.store.get(body.object)
        scene = space.converter.scene_of(item) if body.image is None else space.scene(body.image)
        if scene is None:
            raise BadConfig("this object belongs to no image of this server: give the image to look at.")
        seed = space.converter.polygon(item, scene)
    elif body.image is None:
        raise BadConfig("an image is needed: give image, or object to reopen one.")
    else:
        scene = space.scene(body.image)
    if isinstance(body.seed, SeedOfProposal):
        found = space.proposals.get(body.seed.proposal, user)
        if found.scene is not scene:
            raise UnknownName(f"no proposal {body.seed.item} on this image: ask for them again.")
        seed = found.shape(body.seed.item).pixels
    elif body.seed is not None:
        seed = area_geometry_of(body.seed)
    class_name = body.class_name if body.class_name is not None else (item.class_name if item else "")
    target = Target(body.target or (item.target if item and item.target in ("object", "class") else "object"))
    references = space.examples.ids(body.references, class_name)
    if body.bands is not None or body.stretch != "auto":
        space.tiles.limits(scene, body.bands, body.stretch if isinstance(body.stretch, str) else tuple(body.stretch))
    settings = click_settings_of(target, references, body.view, body.bands, body.stretch, seed)
    shape = {"simplify_m": body.simplify_m, "square": body.square, "class_name": class_name}
    known = {} if item is None else {"object": item.uuid, "rev": item.rev}
    return space.sessions.open(user, scene, settings, **known, **shape)


@router.get("/api/sessions/{name}", tags=["click sessions"])
async def session(name: str, space: CurrentWorkspace, user: User) -> Json:
    """One of your click sessions."""
    began = time.perf_counter()
    live = await run_in_threadpool(space.sessions.get, name, user)
    async with live.lock:
        return await shown(space, live, await space.sessions.state(live), began)


async def _act(
    request: Request, space: Workspace, name: str, user: Actor, make: Callable[[ClickSession], Act | None]
) -> Json:
    began = time.perf_counter()
    live = await run_in_threadpool(space.sessions.get, name, user)
    async with live.lock, _while_wanted(request, space, live):
        _check_open(live)
        act = await run_in_threadpool(make, live)
        before = live.stand()
        if act is None:
            found = await space.sessions.state(live)
        else:
            found = await space.sessions.act(live, act, run_in_threadpool)
            space.sessions.step_done(
                user, live, "erase" if act.kind == "paint" and not act.value[1] else ACT_NAMES[act.kind], before
            )
        return await shown(space, live, found, began)


@asynccontextmanager
async def _while_wanted(request: Request, space: Workspace, live: ClickSession) -> AsyncIterator[None]:
    """Within the block the answer is given up once whoever asked is gone."""

    async def watch() -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            if await request.is_disconnected():
                space.sessions.cancel(live)
                return

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()


@router.post("/api/sessions/{name}/cancel", tags=["click sessions"])
def cancel(name: str, space: CurrentWorkspace, user: User) -> Json:
    """Give up the answer somebody waits for; whoever does gets 409."""
    return {"cancelled": space.sessions.cancel(space.sessions.get(name, user))}


def _check_open(live: ClickSession) -> None:
    if live.closed:
        raise UnknownName(f"no click session {live.id!r} of yours: it was accepted or closed.")


@router.post("/api/sessions/{name}/clicks", tags=["click sessions"])
async def click(name: str, body: ClickBody, request: Request, space: CurrentWorkspace, user: User) -> Json:
    """One more click."""
    made = PixelClick(body.x, body.y, body.positive, space.now(), body.resolution)
    return await _act(request, space, name, user, lambda live: Act("click", made))


@router.post("/api/sessions/{name}/paint", tags=["click sessions"])
async def paint(name: str, body: PaintBody, request: Request, space: CurrentWorkspace, user: User) -> Json:
    """Paint a part on, or erase one."""
    return await _act(
        request, space, name, user, lambda live: Act("paint", (area_geometry_of(body.geometry), body.add))
    )


@router.post("/api/sessions/{name}/clear", tags=["click sessions"])
async def clear(name: str, request: Request, space: CurrentWorkspace, user: User) -> Json:
    """Begin again, with the same target and examples."""
    return await _act(request, space, name, user, lambda live: Act("clear"))


async def _turn(space: Workspace, name: str, user: Actor, by: int) -> Json:
    began = time.perf_counter()
    live = await run_in_threadpool(space.sessions.get, name, user)
    async with live.lock:
        _check_open(live)
        before = live.stand()
        found = await space.sessions.turn(live, by, run_in_threadpool)
        space.sessions.step_done(user, live, "an act less" if by < 0 else "an act again", before)
        return await shown(space, live, found, began)


@router.delete("/api/sessions/{name}/clicks/last", tags=["click sessions"])
@router.post("/api/sessions/{name}/undo", tags=["click sessions"])
async def undo_act(name: str, space: CurrentWorkspace, user: User) -> Json:
    """Without the latest act."""
    return await _turn(space, name, user, -1)


@router.post("/api/sessions/{name}/redo", tags=["click sessions"])
async def redo_act(name: str, space: CurrentWorkspace, user: User) -> Json:
    """The act undone last, again."""
    return await _turn(space, name, user, 1)


@router.patch("/api/sessions/{name}", tags=["click sessions"])
async def patch_session(
    name: str, body: PatchSessionBody, request: Request, space: CurrentWorkspace, user: User
) -> Json:
    """Another target, class, examples or shape."""
    began = time.perf_counter()
    live = await run_in_threadpool(space.sessions.get, name, user)
    async with live.lock, _while_wanted(request, space, live):
        _check_open(live)
        class_name = live.class_name if body.class_name is None else body.class_name
        references = None
        if body.references is not None:
            references = await run_in_threadpool(space.examples.ids, body.references, class_name)
        before = live.stand()
        found = await space.sessions.state(live)
        if body.target is not None and body.target != found.target.value:
            found = await space.sessions.act(live, Act("target", body.target), run_in_threadpool)
        if references is not None and references != found.references:
            found = await space.sessions.act(live, Act("references", list(references)), run_in_threadpool)
        live.class_name = class_name
        live.simplify_m = body.simplify_m if "simplify_m" in body.model_fields_set else live.simplify_m
        live.square = live.square if body.square is None else body.square
        if live.acts:
            await run_in_threadpool(space.store.save_draft, live.draft())
            space.sessions.step_done(user, live, _changed(before, live.stand()), before)
        return await shown(space, live, found, began)


def _changed(before: Stand, after: Stand) -> str:
    """What people read of a change of an open outline."""
    if len(after.acts) > len(before.acts):
        return ACT_NAMES[after.acts[-1].kind]
    return "class of the outline" if after.class_name != before.class_name else "shape of the outline"


@router.get("/api/sessions/{name}/outline", tags=["click sessions"])
async def outline_in_shape(
    name: str,
    space: CurrentWorkspace,
    user: User,
    simplify_m: Annotated[FiniteFloat | None, Query(ge=0, le=10_000)] = None,
    square: bool = False,
) -> Json | None:
    """The outline in another shape, for sliders."""
    live = await run_in_threadpool(space.sessions.get, name, user)
    found = await space.sessions.state(live)
    shape = await run_in_threadpool(space.sessions.outline, live, found, (simplify_m, square))
    return outline_json(shape, live.scene)


@router.get("/api/sessions/{name}/preview", tags=["click sessions"])
async def preview(
    name: str,
    space: CurrentWorkspace,
    user: User,
    x: Annotated[Coordinate, Query()],
    y: Annotated[Coordinate, Query()],
    positive: bool = True,
) -> Json:
    """The outline if one clicked there."""
    live = await run_in_threadpool(space.sessions.get, name, user)
    found = await space.sessions.preview(live, PixelClick(x, y, positive))
    if found is None:
        return {"ready": False, "outline": None, "ms": None}
    shape, spent = found
    return {"ready": True, "outline": outline_json(shape, live.scene), "ms": round(spent, 1)}


@router.post("/api/sessions/{name}/accept", status_code=201, tags=["click sessions"])
async def accept(name: str, body: AcceptBody, space: CurrentWorkspace, user: User) -> Json:
    """Keep the outline as an object; saved when this answers."""
    live = await run_in_threadpool(space.sessions.get, name, user)
    async with live.lock:
        _check_open(live)
        found = await space.sessions.state(live)
        fields = given_of(body)
        changeset = await run_in_threadpool(space.sessions.accept, user, live, found, fields)
    return features_of(space, changeset)[0]


@router.delete("/api/sessions/{name}", status_code=204, tags=["click sessions"])
async def close_session(name: str, space: CurrentWorkspace, user: User) -> Response:
    """Close a click session without keeping anything."""
    live = await run_in_threadpool(space.sessions.get, name, user)
    async with live.lock:
        _check_open(live)
        await run_in_threadpool(space.sessions.leave, user, live)
    return Response(status_code=204)


@router.post("/api/sessions/{name}/claim", tags=["click sessions"])
async def claim(name: str, space: CurrentWorkspace, user: User) -> Json:
    """Go on with an open outline in this window: its clicks are undone here from now on."""
    began = time.perf_counter()
    live = await run_in_threadpool(space.sessions.get, name, user)
    async with live.lock:
        _check_open(live)
        await run_in_threadpool(space.sessions.claim, user, live)
        return await shown(space, live, await space.sessions.state(live), began)
