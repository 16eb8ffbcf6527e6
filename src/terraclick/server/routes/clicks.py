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
from terraclick.server.asking import StrictRoute
from terraclick.server.changes import Author, Stand
from terraclick.server.clicking import AreaGeometry, ClickSettings, Interaction, PixelClick, State
from terraclick.server.depends import CurrentWorkspace, Json, User, features_of, given_of
from terraclick.server.features import area_geometry_of, hint_json, outline_json
from terraclick.server.open_outline import BEGINNINGS, INTERACTION_NAMES, OpenOutline
from terraclick.server.pixel_box import PixelBox
from terraclick.server.schemas import (
    AcceptBody,
    BoxBody,
    ClickBody,
    Coordinate,
    OpenBody,
    PaintBody,
    PatchOutlineBody,
    SeedOfProposal,
    ShownBody,
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
    shown: ShownBody | None,
    bands: Sequence[int] | None = None,
    stretch: Any = "auto",
    seed: AreaGeometry | None = None,
) -> ClickSettings:
    """What an open outline begins with, of what a request said."""
    bounds = None
    if shown is not None:
        x0, y0, x1, y1 = shown.bounds
        bounds = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    return ClickSettings(
        target,
        references,
        bounds,
        1.0 if shown is None else shown.resolution,
        None if bands is None else tuple(bands),
        stretch if isinstance(stretch, str) else tuple((float(low), float(high)) for low, high in stretch),
        seed,
    )


def _brief(opened: OpenOutline, elsewhere: bool = False) -> Json:
    """A click session without what must be computed."""
    interactions = opened.interactions[: opened.position]
    clear = max((i for i, interaction in enumerate(interactions) if interaction.kind == "clear"), default=-1) + 1
    target, references = opened.settings.target.value, list(opened.settings.references)
    for interaction in interactions:
        if interaction.kind == "target":
            target = interaction.value
        elif interaction.kind == "references":
            references = list(interaction.value)
    clicks = [interaction.value for interaction in interactions[clear:] if interaction.kind == "click"]
    drawn = [interaction.value for interaction in interactions[clear:] if interaction.kind == "box"]
    around = (
        dict(zip(("x1", "y1", "x2", "y2"), drawn[-1].corners, strict=True)) if drawn and target == "object" else None
    )
    return {
        "id": opened.id,
        "image": opened.scene.id,
        "target": target,
        "class": opened.class_name,
        "author": opened.author,
        "object": opened.object,
        "rev": opened.rev,
        "clicks": [{"x": click.x, "y": click.y, "positive": click.positive} for click in clicks],
        "box": around,
        "can_undo": opened.position > 0,
        "can_redo": opened.position < len(opened.interactions),
        "references": references,
        "simplify_m": opened.simplify_m,
        "square": opened.square,
        "saved": True,
        "begun": any(interaction.kind in BEGINNINGS for interaction in interactions[clear:]),
        "window": opened.window,
        "elsewhere": elsewhere,
    }


def _outline_json(workspace: Workspace, opened: OpenOutline, state: State, began: float) -> Json:
    scene = opened.scene
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
    return _brief(opened) | {
        "model": workspace.model.name,
        "view": view,
        "outline": outline_json(workspace.outlines.outline(opened, state), scene),
        "hint": hint_json(workspace.outlines.hint(opened, state)),
        "timing": {
            "read_ms": round(read, 1),
            "encode_ms": round(encode, 1),
            "predict_ms": round(predict, 1),
            "total_ms": round(1e3 * (time.perf_counter() - began), 1),
        },
    }


async def shown(workspace: Workspace, opened: OpenOutline, state: State, began: float) -> Json:
    """A click session as the map sees it, made off the event loop."""
    return await run_in_threadpool(_outline_json, workspace, opened, state, began)


@router.get("/api/sessions", tags=["click sessions"])
def sessions(workspace: CurrentWorkspace, user: User) -> Json:
    """Your open click sessions, also those that a crash left."""
    held = workspace.hub.windows(user) - {user.window, ""}
    return {"sessions": [_brief(opened, opened.window in held) for opened in workspace.outlines.of(user)]}


@router.post("/api/sessions", status_code=201, tags=["click sessions"])
async def open_session(body: OpenBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Begin to outline one thing."""
    began = time.perf_counter()
    opened = await run_in_threadpool(_opened, body, workspace, user)
    return await shown(workspace, opened, await workspace.outlines.state(opened), began)


def _opened(body: OpenBody, workspace: Workspace, user: str) -> OpenOutline:
    item, seed = None, None
    if body.object is not None:
        item = workspace.store.get(body.object)
        scene = workspace.converter.scene_of(item) if body.image is None else workspace.scene(body.image)
        if scene is None:
            raise BadConfig("this object belongs to no image of this server: give the image to look at.")
        seed = workspace.converter.polygon(item, scene)
    elif body.image is None:
        raise BadConfig("an image is needed: give image, or object to reopen one.")
    else:
        scene = workspace.scene(body.image)
    if isinstance(body.seed, SeedOfProposal):
        found = workspace.proposals.get(body.seed.proposal, user)
        if found.scene is not scene:
            raise UnknownName(f"no proposal {body.seed.item} on this image: ask for them again.")
        seed = found.shape(body.seed.item).pixels
    elif body.seed is not None:
        seed = area_geometry_of(body.seed)
    class_name = body.class_name if body.class_name is not None else (item.class_name if item else "")
    target = Target(body.target or (item.target if item and item.target in ("object", "class") else "object"))
    references = workspace.examples.ids(body.references, class_name)
    if body.bands is not None or body.stretch != "auto":
        workspace.tiles.limits(
            scene, body.bands, body.stretch if isinstance(body.stretch, str) else tuple(body.stretch)
        )
    settings = click_settings_of(target, references, body.view, body.bands, body.stretch, seed)
    shape = {"simplify_m": body.simplify_m, "square": body.square, "class_name": class_name}
    known = {} if item is None else {"object": item.uuid, "rev": item.rev}
    return workspace.outlines.open(user, scene, settings, **known, **shape)


@router.get("/api/sessions/{name}", tags=["click sessions"])
async def session(name: str, workspace: CurrentWorkspace, user: User) -> Json:
    """One of your click sessions."""
    began = time.perf_counter()
    opened = await run_in_threadpool(workspace.outlines.get, name, user)
    async with opened.lock:
        return await shown(workspace, opened, await workspace.outlines.state(opened), began)


async def _interact(
    request: Request, workspace: Workspace, name: str, user: Author, make: Callable[[OpenOutline], Interaction | None]
) -> Json:
    began = time.perf_counter()
    opened = await run_in_threadpool(workspace.outlines.get, name, user)
    async with opened.lock, _while_wanted(request, workspace, opened):
        _check_open(opened)
        interaction = await run_in_threadpool(make, opened)
        before = opened.stand()
        if interaction is None:
            found = await workspace.outlines.state(opened)
        else:
            found = await workspace.outlines.answer(opened, interaction, run_in_threadpool)
            workspace.outlines.step_done(
                user,
                opened,
                "erase"
                if interaction.kind == "paint" and not interaction.value[1]
                else INTERACTION_NAMES[interaction.kind],
                before,
            )
        return await shown(workspace, opened, found, began)


@asynccontextmanager
async def _while_wanted(request: Request, workspace: Workspace, opened: OpenOutline) -> AsyncIterator[None]:
    """Within the block the answer is given up once whoever asked is gone."""

    async def watch() -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            if await request.is_disconnected():
                workspace.outlines.cancel(opened)
                return

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()


@router.post("/api/sessions/{name}/cancel", tags=["click sessions"])
def cancel(name: str, workspace: CurrentWorkspace, user: User) -> Json:
    """Give up the answer somebody waits for; whoever does gets 409."""
    return {"cancelled": workspace.outlines.cancel(workspace.outlines.get(name, user))}


def _check_open(opened: OpenOutline) -> None:
    if opened.closed:
        raise UnknownName(f"no click session {opened.id!r} of yours: it was accepted or closed.")


@router.post("/api/sessions/{name}/clicks", tags=["click sessions"])
async def click(name: str, body: ClickBody, request: Request, workspace: CurrentWorkspace, user: User) -> Json:
    """One more click."""
    made = PixelClick(body.x, body.y, body.positive, workspace.now(), body.resolution)
    return await _interact(request, workspace, name, user, lambda opened: Interaction("click", made))


@router.post("/api/sessions/{name}/box", tags=["click sessions"])
async def box(name: str, body: BoxBody, request: Request, workspace: CurrentWorkspace, user: User) -> Json:
    """A box around the thing, in place of the one before; the clicks are answered again with it."""
    made = PixelBox(body.x1, body.y1, body.x2, body.y2, workspace.now(), body.resolution)
    return await _interact(request, workspace, name, user, lambda opened: Interaction("box", made))


@router.post("/api/sessions/{name}/paint", tags=["click sessions"])
async def paint(name: str, body: PaintBody, request: Request, workspace: CurrentWorkspace, user: User) -> Json:
    """Paint a part on, or erase one."""
    return await _interact(
        request, workspace, name, user, lambda opened: Interaction("paint", (area_geometry_of(body.geometry), body.add))
    )


@router.post("/api/sessions/{name}/clear", tags=["click sessions"])
async def clear(name: str, request: Request, workspace: CurrentWorkspace, user: User) -> Json:
    """Begin again, with the same target and examples."""
    return await _interact(request, workspace, name, user, lambda opened: Interaction("clear"))


async def _turn(workspace: Workspace, name: str, user: Author, by: int) -> Json:
    began = time.perf_counter()
    opened = await run_in_threadpool(workspace.outlines.get, name, user)
    async with opened.lock:
        _check_open(opened)
        before = opened.stand()
        found = await workspace.outlines.turn(opened, by, run_in_threadpool)
        workspace.outlines.step_done(user, opened, "an act less" if by < 0 else "an act again", before)
        return await shown(workspace, opened, found, began)


@router.delete("/api/sessions/{name}/clicks/last", tags=["click sessions"])
@router.post("/api/sessions/{name}/undo", tags=["click sessions"])
async def undo_act(name: str, workspace: CurrentWorkspace, user: User) -> Json:
    """Without the latest act."""
    return await _turn(workspace, name, user, -1)


@router.post("/api/sessions/{name}/redo", tags=["click sessions"])
async def redo_act(name: str, workspace: CurrentWorkspace, user: User) -> Json:
    """The act undone last, again."""
    return await _turn(workspace, name, user, 1)


@router.patch("/api/sessions/{name}", tags=["click sessions"])
async def patch_session(
    name: str, body: PatchOutlineBody, request: Request, workspace: CurrentWorkspace, user: User
) -> Json:
    """Another target, class, examples or shape."""
    began = time.perf_counter()
    opened = await run_in_threadpool(workspace.outlines.get, name, user)
    async with opened.lock, _while_wanted(request, workspace, opened):
        _check_open(opened)
        class_name = opened.class_name if body.class_name is None else body.class_name
        references = None
        if body.references is not None:
            references = await run_in_threadpool(workspace.examples.ids, body.references, class_name)
        before = opened.stand()
        found = await workspace.outlines.state(opened)
        if body.target is not None and body.target != found.target.value:
            found = await workspace.outlines.answer(opened, Interaction("target", body.target), run_in_threadpool)
        if references is not None and references != found.references:
            found = await workspace.outlines.answer(
                opened, Interaction("references", list(references)), run_in_threadpool
            )
        opened.class_name = class_name
        opened.simplify_m = body.simplify_m if "simplify_m" in body.model_fields_set else opened.simplify_m
        opened.square = opened.square if body.square is None else body.square
        if opened.interactions:
            await run_in_threadpool(workspace.store.save_draft, opened.draft())
            workspace.outlines.step_done(user, opened, _changed(before, opened.stand()), before)
        return await shown(workspace, opened, found, began)


def _changed(before: Stand, after: Stand) -> str:
    """What people read of a change of an open outline."""
    if len(after.interactions) > len(before.interactions):
        return INTERACTION_NAMES[after.interactions[-1].kind]
    return "class of the outline" if after.class_name != before.class_name else "shape of the outline"


@router.get("/api/sessions/{name}/outline", tags=["click sessions"])
async def outline_in_shape(
    name: str,
    workspace: CurrentWorkspace,
    user: User,
    simplify_m: Annotated[FiniteFloat | None, Query(ge=0, le=10_000)] = None,
    square: bool = False,
) -> Json | None:
    """The outline in another shape, for sliders."""
    opened = await run_in_threadpool(workspace.outlines.get, name, user)
    found = await workspace.outlines.state(opened)
    shape = await run_in_threadpool(workspace.outlines.outline, opened, found, (simplify_m, square))
    return outline_json(shape, opened.scene)


@router.get("/api/sessions/{name}/preview", tags=["click sessions"])
async def preview(
    name: str,
    workspace: CurrentWorkspace,
    user: User,
    x: Annotated[Coordinate, Query()],
    y: Annotated[Coordinate, Query()],
    positive: bool = True,
) -> Json:
    """The outline if one clicked there."""
    opened = await run_in_threadpool(workspace.outlines.get, name, user)
    found = await workspace.outlines.preview(opened, PixelClick(x, y, positive))
    if found is None:
        return {"ready": False, "outline": None, "ms": None}
    shape, spent = found
    return {"ready": True, "outline": outline_json(shape, opened.scene), "ms": round(spent, 1)}


@router.post("/api/sessions/{name}/accept", status_code=201, tags=["click sessions"])
async def accept(name: str, body: AcceptBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Keep the outline as an object; saved when this answers."""
    opened = await run_in_threadpool(workspace.outlines.get, name, user)
    async with opened.lock:
        _check_open(opened)
        found = await workspace.outlines.state(opened)
        fields = given_of(body)
        changeset = await run_in_threadpool(workspace.outlines.accept, user, opened, found, fields)
    return features_of(workspace, changeset)[0]


@router.delete("/api/sessions/{name}", status_code=204, tags=["click sessions"])
async def close_session(name: str, workspace: CurrentWorkspace, user: User) -> Response:
    """Close a click session without keeping anything."""
    opened = await run_in_threadpool(workspace.outlines.get, name, user)
    async with opened.lock:
        _check_open(opened)
        await run_in_threadpool(workspace.outlines.leave, user, opened)
    return Response(status_code=204)


@router.post("/api/sessions/{name}/claim", tags=["click sessions"])
async def claim(name: str, workspace: CurrentWorkspace, user: User) -> Json:
    """Go on with an open outline in this window: its clicks are undone here from now on."""
    began = time.perf_counter()
    opened = await run_in_threadpool(workspace.outlines.get, name, user)
    async with opened.lock:
        _check_open(opened)
        await run_in_threadpool(workspace.outlines.claim, user, opened)
        return await shown(workspace, opened, await workspace.outlines.state(opened), began)
