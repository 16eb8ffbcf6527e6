"""The routes: parse, one call, answer. What they take and give is written down in docs/server.md."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from terraclick.app import files, shaping
from terraclick.app.clicking import Act, PixelClick, Setup, State, Surface
from terraclick.app.features import CRS84, crs_name, hint_json, line_of, outline_json, surface_of
from terraclick.app.images import TILE, Scene
from terraclick.app.journal import Deed, Edit, find
from terraclick.app.schemas import (
    AcceptBody,
    ClassBody,
    ClickBody,
    ExportBody,
    GeometryBody,
    ItemBody,
    LineBody,
    ManyBody,
    MergeBody,
    OpenBody,
    PaintBody,
    PatchItemBody,
    PatchSessionBody,
    PrefetchBody,
    ProposalAcceptBody,
    ProposalBody,
    ReferenceBody,
    SeedOfProposal,
    SetBody,
    ShapeBody,
    ViewBody,
    Which,
)
from terraclick.app.workspace import STATUSES, Live, Workspace
from terraclick.core.click import Target
from terraclick.errors import BadConfig, BadData, BadInput, Conflict, UnknownName
from terraclick.geo.export import WGS84
from terraclick.geo.raster import read_statistics
from terraclick.geo.store import MapClass, MapObject, StoredReference, reproject

__all__ = ["router"]

router = APIRouter()


def _workspace(request: Request) -> Workspace:
    space: Workspace = request.app.state.workspace
    return space


def _user(request: Request) -> str:
    return str(request.state.user)


Space = Annotated[Workspace, Depends(_workspace)]
User = Annotated[str, Depends(_user)]
Json = dict[str, Any]


# --- start -----------------------------------------------------------------------------------------------------------


@router.get("/api/state", tags=["start"])
def state(space: Space, user: User, request: Request) -> Json:
    """Who you are, what answers, where it is saved, and how far the work is."""
    counts = space.counts()
    undo, redo = space.journal.names(user)
    crs = space.store.crs
    model = space.model
    return {
        "version": version("terraclick"),
        "user": user,
        "users": request.app.state.users,
        "model": {"name": model.name, "hash": model.hash, "summary": model.summary},
        "targets": [target.value for target in Target],
        "statuses": list(STATUSES),
        "session": {
            "name": request.app.state.session_name,
            "crs": crs_name(crs),
            "crs_name": None if crs is None else crs.name,
        },
        "images": len(space.scenes),
        "objects": sum(counts["status"].values()),
        "counts": {name: counts[name] for name in ("status", "class")},
        "can_undo": undo[0] if undo else None,
        "can_redo": redo[0] if redo else None,
    }


@router.get("/api/events", tags=["start"])
async def events(space: Space, user: User) -> StreamingResponse:
    """What happens, as server-sent events."""
    stream = space.hub.listen(user, {"user": user, "version": version("terraclick")})
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


# --- images ----------------------------------------------------------------------------------------------------------


def _image_json(space: Workspace, scene: Scene, objects: int) -> Json:
    grid = scene.grid
    rows, cols = scene.shape
    lonlat = None
    if grid.crs is not None:
        try:
            import shapely

            around = reproject(shapely.segmentize(shapely.box(*grid.bounds), _tenth(grid.bounds)), grid.crs, WGS84)
            lonlat = [round(value, 7) for value in around.bounds]
        except BadInput:
            lonlat = None
    return {
        "id": scene.id,
        "name": scene.name,
        "width": cols,
        "height": rows,
        "version": scene.hash,
        "crs": crs_name(grid.crs),
        "crs_name": None if grid.crs is None else grid.crs.name,
        "gsd": grid.metres_per_pixel,
        "transform": list(tuple(grid.transform)[:6]),
        "bounds": list(grid.bounds),
        "lonlat_bounds": lonlat,
        "bands": [{"index": band.number, "name": band.name, "dtype": band.dtype} for band in scene.bands],
        "default_bands": list(space.tiles.limits(scene, None, "none")[0]),
        "nodata": scene.info.nodata if scene.info.nodata is not None and abs(scene.info.nodata) < 1e300 else None,
        "tile_size": TILE,
        "max_zoom": scene.max_zoom,
        "objects": objects,
    }


def _tenth(bounds: Sequence[float]) -> float:
    return max(bounds[2] - bounds[0], bounds[3] - bounds[1]) / 10 or 1.0


@router.get("/api/images", tags=["images"])
def images(space: Space, user: User) -> Json:
    """All images of this server."""
    counts = space.counts()["image"]
    return {"images": [_image_json(space, scene, counts.get(scene.key, 0)) for scene in space.scenes.values()]}


@router.get("/api/images/{image}", tags=["images"])
def image(image: str, space: Space, user: User) -> Json:
    """One image."""
    scene = space.scene(image)
    return _image_json(space, scene, space.counts()["image"].get(scene.key, 0))


@router.get("/api/images/{image}/statistics", tags=["images"])
def statistics(image: str, space: Space, user: User, bidx: Annotated[list[int] | None, Query()] = None) -> Json:
    """Minimum, maximum and percentiles of bands."""
    found = read_statistics(space.scene(image).path, bidx)
    names = ("index", "min", "max", "p2", "p98")
    return {"bands": [dict(zip(names, values, strict=True)) for values in found]}


@router.get("/api/images/{image}/tiles/pixels/{z}/{x}/{place}", tags=["images"])
def tile(
    image: str,
    z: int,
    x: int,
    place: str,
    space: Space,
    user: User,
    bidx: Annotated[list[int] | None, Query(max_length=3)] = None,
    rescale: Annotated[list[str] | None, Query(max_length=3)] = None,
    stretch: Literal["auto", "percent", "none"] = "auto",
    gamma: float = 1.0,
    v: str | None = None,
) -> Response:
    """A tile of the image's own pixels: y, y.png or y.jpg."""
    row, _, kind = place.partition(".")
    if not (row.isascii() and row.isdigit() and len(row) < 10):
        raise UnknownName(f"no tile {place[:40]!r}: give a number, and .png or .jpg if you wish.")
    wanted: Any = stretch if not rescale else tuple(_range_of(text) for text in rescale)
    data, media = space.tiles.tile(space.scene(image), z, x, int(row), bidx, wanted, gamma, kind)
    seconds = 604800 if v else 60
    return Response(data, media_type=media, headers={"Cache-Control": f"private, max-age={seconds}"})


def _range_of(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"rescale={text[:40]} was given; MIN,MAX was expected.") from None
    return low, high


@router.post("/api/images/{image}/prefetch", status_code=202, tags=["images"])
def prefetch(image: str, body: PrefetchBody, space: Space, user: User) -> Json:
    """Read and encode ahead what a click there will need."""
    scene = space.scene(image)
    click = PixelClick(body.x, body.y)
    if not scene.grid.holds(scene.grid.to_click(*scene.grid.to_map(body.y - 0.5, body.x - 0.5))):
        return {"wanted": False}
    space.prefetch(user, scene, _setup(Target(body.target), (), body.view), click)
    return {"wanted": True}


# --- click sessions --------------------------------------------------------------------------------------------------


def _setup(
    target: Target,
    references: tuple[str, ...],
    view: ViewBody | None,
    bands: Sequence[int] | None = None,
    stretch: Any = "auto",
    seed: Surface | None = None,
) -> Setup:
    bounds = None
    if view is not None:
        x0, y0, x1, y1 = view.bounds
        bounds = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    return Setup(
        target,
        references,
        bounds,
        1.0 if view is None else view.resolution,
        None if bands is None else tuple(bands),
        stretch if isinstance(stretch, str) else tuple((float(low), float(high)) for low, high in stretch),
        seed,
    )


def _brief(live: Live) -> Json:
    """A click session without what must be computed."""
    acts = live.acts[: live.position]
    clear = max((i for i, act in enumerate(acts) if act.kind == "clear"), default=-1) + 1
    target, references = live.setup.target.value, list(live.setup.references)
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
    }


def _session_json(space: Workspace, live: Live, state: State, began: float) -> Json:
    scene = live.scene
    view = None
    if state.frame is not None and state.grid is not None:
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
        "outline": outline_json(space.outline(live, state), scene),
        "hint": hint_json(space.hint(live, state)),
        "timing": {
            "read_ms": round(read, 1),
            "encode_ms": round(encode, 1),
            "predict_ms": round(predict, 1),
            "total_ms": round(1e3 * (time.perf_counter() - began), 1),
        },
    }


async def _shown(space: Workspace, live: Live, state: State, began: float) -> Json:
    return await run_in_threadpool(_session_json, space, live, state, began)


@router.get("/api/sessions", tags=["click sessions"])
def sessions(space: Space, user: User) -> Json:
    """Your open click sessions, also those that a crash left."""
    return {"sessions": [_brief(live) for live in space.lives(user)]}


@router.post("/api/sessions", status_code=201, tags=["click sessions"])
async def open_session(body: OpenBody, space: Space, user: User) -> Json:
    """Begin to outline one thing."""
    began = time.perf_counter()
    live = await run_in_threadpool(_opened, body, space, user)
    return await _shown(space, live, await space.state(live), began)


def _opened(body: OpenBody, space: Workspace, user: str) -> Live:
    item, seed = None, None
    if body.object is not None:
        item = space.store.get(body.object)
        scene = space.places.scene_of(item) if body.image is None else space.scene(body.image)
        if scene is None:
            raise BadConfig("this object belongs to no image of this server: give the image to look at.")
        seed = space.places.pixels(item.geometry, scene)
    elif body.image is None:
        raise BadConfig("an image is needed: give image, or object to reopen one.")
    else:
        scene = space.scene(body.image)
    if isinstance(body.seed, SeedOfProposal):
        found = space.proposals(body.seed.proposal, user)
        if found.scene is not scene or body.seed.item not in found.items:
            raise UnknownName(f"no proposal {body.seed.item} on this image: ask for them again.")
        seed = found.items[body.seed.item].shape.pixels
    elif body.seed is not None:
        seed = surface_of(body.seed)
    class_name = body.class_name if body.class_name is not None else (item.class_name if item else "")
    target = Target(body.target or (item.target if item and item.target in ("object", "class") else "object"))
    references = space.reference_ids(body.references, class_name)
    if body.bands is not None or body.stretch != "auto":
        space.tiles.limits(scene, body.bands, body.stretch if isinstance(body.stretch, str) else tuple(body.stretch))
    setup = _setup(target, references, body.view, body.bands, body.stretch, seed)
    fields = {"simplify_m": body.simplify_m, "square": body.square, "class_name": class_name}
    return space.open(user, scene, setup, object=item.uuid if item else None, rev=item.rev if item else None, **fields)


@router.get("/api/sessions/{name}", tags=["click sessions"])
async def session(name: str, space: Space, user: User) -> Json:
    """One of your click sessions."""
    began = time.perf_counter()
    live = await run_in_threadpool(space.live, name, user)
    async with live.lock:
        return await _shown(space, live, await space.state(live), began)


async def _act(space: Workspace, name: str, user: str, make: Callable[[Live], Act | None]) -> Json:
    began = time.perf_counter()
    live = await run_in_threadpool(space.live, name, user)
    async with live.lock:
        _check_open(live)
        act = await run_in_threadpool(make, live)
        found = await space.state(live) if act is None else await space.act(live, act, run_in_threadpool)
        return await _shown(space, live, found, began)


def _check_open(live: Live) -> None:
    if live.closed:
        raise UnknownName(f"no click session {live.id!r} of yours: it was accepted or closed.")


@router.post("/api/sessions/{name}/clicks", tags=["click sessions"])
async def click(name: str, body: ClickBody, space: Space, user: User) -> Json:
    """One more click."""
    return await _act(
        space, name, user, lambda live: Act("click", PixelClick(body.x, body.y, body.positive, space.now()))
    )


@router.post("/api/sessions/{name}/paint", tags=["click sessions"])
async def paint(name: str, body: PaintBody, space: Space, user: User) -> Json:
    """Paint a part on, or erase one."""
    return await _act(space, name, user, lambda live: Act("paint", (surface_of(body.geometry), body.add)))


@router.post("/api/sessions/{name}/clear", tags=["click sessions"])
async def clear(name: str, space: Space, user: User) -> Json:
    """Begin again, with the same target and examples."""
    return await _act(space, name, user, lambda live: Act("clear"))


async def _turn(space: Workspace, name: str, user: str, by: int) -> Json:
    began = time.perf_counter()
    live = await run_in_threadpool(space.live, name, user)
    async with live.lock:
        _check_open(live)
        return await _shown(space, live, await space.turn(live, by, run_in_threadpool), began)


@router.delete("/api/sessions/{name}/clicks/last", tags=["click sessions"])
@router.post("/api/sessions/{name}/undo", tags=["click sessions"])
async def undo_act(name: str, space: Space, user: User) -> Json:
    """Without the latest act."""
    return await _turn(space, name, user, -1)


@router.post("/api/sessions/{name}/redo", tags=["click sessions"])
async def redo_act(name: str, space: Space, user: User) -> Json:
    """The act undone last, again."""
    return await _turn(space, name, user, 1)


@router.patch("/api/sessions/{name}", tags=["click sessions"])
async def patch_session(name: str, body: PatchSessionBody, space: Space, user: User) -> Json:
    """Another target, class, examples or shape."""
    began = time.perf_counter()
    live = await run_in_threadpool(space.live, name, user)
    async with live.lock:
        _check_open(live)
        class_name = live.class_name if body.class_name is None else body.class_name
        references = None
        if body.references is not None:
            references = await run_in_threadpool(space.reference_ids, body.references, class_name)
        found = await space.state(live)
        if body.target is not None and body.target != found.target.value:
            found = await space.act(live, Act("target", body.target), run_in_threadpool)
        if references is not None and references != found.references:
            found = await space.act(live, Act("references", list(references)), run_in_threadpool)
        live.class_name = class_name
        live.simplify_m = live.simplify_m if body.simplify_m is None else body.simplify_m
        live.square = live.square if body.square is None else body.square
        if live.acts:
            await run_in_threadpool(space.store.save_draft, live.draft())
        return await _shown(space, live, found, began)


@router.get("/api/sessions/{name}/outline", tags=["click sessions"])
async def outline_in_shape(
    name: str,
    space: Space,
    user: User,
    simplify_m: Annotated[float, Query(ge=0, le=10_000)] = 0.0,
    square: bool = False,
) -> Json | None:
    """The outline in another shape, for sliders."""
    live = await run_in_threadpool(space.live, name, user)
    found = await space.state(live)
    shape = await run_in_threadpool(space.outline, live, found, simplify_m, square)
    return outline_json(shape, live.scene)


@router.get("/api/sessions/{name}/preview", tags=["click sessions"])
async def preview(
    name: str,
    space: Space,
    user: User,
    x: float,
    y: float,
    positive: bool = True,
) -> Json:
    """The outline if one clicked there."""
    live = await run_in_threadpool(space.live, name, user)
    found = await space.preview(live, PixelClick(x, y, positive))
    if found is None:
        return {"ready": False, "outline": None, "ms": None}
    shape, spent = found
    return {"ready": True, "outline": outline_json(shape, live.scene), "ms": round(spent, 1)}


@router.post("/api/sessions/{name}/accept", status_code=201, tags=["click sessions"])
async def accept(name: str, body: AcceptBody, space: Space, user: User) -> Json:
    """Keep the outline as an object; saved when this answers."""
    live = await run_in_threadpool(space.live, name, user)
    async with live.lock:
        _check_open(live)
        found = await space.state(live)
        fields = _given(body)
        deed = await run_in_threadpool(space.accept, user, live, found, fields)
    return _features(space, deed)[0]


@router.delete("/api/sessions/{name}", status_code=204, tags=["click sessions"])
async def close_session(name: str, space: Space, user: User) -> Response:
    """Close a click session without keeping anything."""
    live = await run_in_threadpool(space.live, name, user)
    async with live.lock:
        _check_open(live)
        await run_in_threadpool(space.close_live, live)
    return Response(status_code=204)


def _given(body: Any) -> Json:
    """The fields that were given, by the names of the interface."""
    return {key: value for key, value in body.model_dump(by_alias=True).items() if value is not None}


# --- objects: OGC API Features ---------------------------------------------------------------------------------------

_ITEMS = "/api/collections/objects/items"
CONFORMS = [
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/create-replace-delete",
]
GEOJSON = "application/geo+json"


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _link(request: Request, rel: str, path: str, media: str = "application/json", title: str = "") -> Json:
    return {"href": _base(request) + path, "rel": rel, "type": media, "title": title}


@router.get("/api", tags=["objects"])
def landing(request: Request, user: User) -> Json:
    """The landing page of OGC API Features."""
    return {
        "title": "TerraClick",
        "description": "Objects outlined by clicks on aerial and satellite images.",
        "links": [
            _link(request, "self", "/api"),
            _link(request, "service-desc", "/api/openapi.json", "application/vnd.oai.openapi+json;version=3.0"),
            _link(request, "service-doc", "/docs", "text/html"),
            _link(request, "conformance", "/api/conformance"),
            _link(request, "data", "/api/collections"),
        ],
    }


@router.get("/api/conformance", tags=["objects"])
def conformance(user: User) -> Json:
    """What of the standard is kept."""
    return {"conformsTo": CONFORMS}


def _collection(request: Request, space: Workspace) -> Json:
    found: Json = {
        "id": "objects",
        "title": "Objects",
        "itemType": "feature",
        "crs": [CRS84],
        "links": [
            _link(request, "self", "/api/collections/objects"),
            _link(request, "items", _ITEMS, GEOJSON, "Objects"),
        ],
    }
    items = space.store.objects()
    if items and space.store.crs is not None:
        import shapely

        box = shapely.box(*shapely.total_bounds([item.geometry for item in items]))
        found["extent"] = {"spatial": {"bbox": [list(reproject(box, space.store.crs, WGS84).bounds)], "crs": CRS84}}
    return found


@router.get("/api/collections", tags=["objects"])
def collections(request: Request, space: Space, user: User) -> Json:
    """There is one collection."""
    return {"links": [_link(request, "self", "/api/collections")], "collections": [_collection(request, space)]}


@router.get("/api/collections/objects", tags=["objects"])
def collection(request: Request, space: Space, user: User) -> Json:
    """The collection of objects."""
    return _collection(request, space)


SORTS: Mapping[str, Callable[[MapObject], Any]] = {
    "created": lambda item: item.created,
    "updated": lambda item: item.updated,
    "score": lambda item: -1.0 if item.score is None else item.score,
    "area_m2": lambda item: item.geometry.area if item.area_m2 is None else item.area_m2,
    "class": lambda item: item.class_name.casefold(),
    "status": lambda item: item.status,
    "label": lambda item: item.label.casefold(),
}


def _where(space: Workspace, crs: str | None, image: str | None) -> tuple[str, Scene | None]:
    return space.places.mode(crs, "CRS84"), None if image is None else space.scene(image)


@router.get(_ITEMS, tags=["objects"])
def items(
    request: Request,
    space: Space,
    user: User,
    bbox: str | None = None,
    limit: Annotated[int, Query(ge=1)] = 1000,
    offset: Annotated[int, Query(ge=0)] = 0,
    crs: str | None = None,
    image: str | None = None,
    class_name: Annotated[str | None, Query(alias="class")] = None,
    status: str | None = None,
    author: str | None = None,
    label: str | None = None,
    sort: str | None = None,
) -> Response:
    """Objects as a FeatureCollection."""
    mode, scene = _where(space, crs, image)
    box = None if bbox is None else _bbox(space, bbox, mode, scene)
    found = space.store.objects(None if scene is None else scene.key, class_name, status, box)
    found = [
        item
        for item in found
        if (author is None or item.author == author) and (label is None or label.casefold() in item.label.casefold())
    ]
    if sort is not None:
        name = sort.removeprefix("-")
        if name not in SORTS:
            raise BadConfig(f"no order {sort[:40]!r}: give one of {', '.join(SORTS)}, with - for descending.")
        found.sort(key=SORTS[name], reverse=sort.startswith("-"))
    page = found[offset : offset + min(limit, 10_000)]
    links = [_link(request, "self", f"{_ITEMS}?{request.url.query}".rstrip("?"), GEOJSON)]
    if offset + len(page) < len(found):
        next_page = request.url.include_query_params(offset=offset + len(page)).query
        links.append(_link(request, "next", f"{_ITEMS}?{next_page}", GEOJSON))
    answer = {
        "type": "FeatureCollection",
        "features": [space.places.feature(item, mode, scene) for item in page],
        "numberMatched": len(found),
        "numberReturned": len(page),
        "timeStamp": space.now(),
        "links": links,
    }
    return Response(json.dumps(answer, allow_nan=False), media_type=GEOJSON)


def _bbox(space: Workspace, text: str, mode: str, scene: Scene | None) -> tuple[float, float, float, float]:
    import shapely

    try:
        numbers = [float(part) for part in text.split(",")]
        if len(numbers) == 6:
            numbers = [*numbers[:2], *numbers[3:5]]
        left, bottom, right, top = numbers
        if not all(abs(value) < 1e12 for value in numbers) or left > right:
            raise ValueError
    except ValueError:
        raise BadInput(f"bbox={text[:80]} was given; expected four numbers LEFT,BOTTOM,RIGHT,TOP.") from None
    box = shapely.box(left, min(bottom, top), max(right, left + 1e-12), max(bottom, top, bottom + 1e-12))
    moved = space.places.into(shapely.segmentize(box, max(_tenth(box.bounds), 1e-9)), mode, scene)
    x0, y0, x1, y1 = moved.bounds
    return float(x0), float(y0), float(x1), float(y1)


def _one(space: Workspace, item: MapObject, mode: str, scene: Scene | None, status: int = 200) -> Response:
    headers = {"ETag": f'"{item.rev}"'}
    if status == 201:
        headers["Location"] = f"{_ITEMS}/{item.uuid}"
    body = json.dumps(space.places.feature(item, mode, scene), allow_nan=False)
    return Response(body, status, headers, GEOJSON)


def _rev(request: Request, given: int | None) -> int | None:
    """The revision a change is based on, from the body or the If-Match header."""
    if given is not None:
        return given
    tag = request.headers.get("if-match", "").strip().strip('"')
    return int(tag) if tag.isdigit() and len(tag) < 16 else None


@router.post(_ITEMS, status_code=201, tags=["objects"])
def create(
    body: ItemBody, request: Request, space: Space, user: User, crs: str | None = None, image: str | None = None
) -> Response:
    """An object drawn by hand."""
    mode, scene = _where(space, crs, image or body.properties.image)
    geometry = space.places.into(surface_of(body.geometry), mode, scene)
    given = body.properties
    geometry = _bordered(space, geometry, given.class_name, scene, None)
    item = MapObject(
        geometry=geometry,
        image="" if scene is None else scene.key,
        class_name=given.class_name,
        label=given.label,
        status=given.status,
        attributes=dict(given.attributes),
        author=user,
        model="hand",
    )
    deed = space.change(user, f"draw {given.class_name or 'object'}", [Edit(item, None, (), None, "add")])
    return _one(space, _after(deed), mode, scene, 201)


def _bordered(space: Workspace, geometry: Surface, class_name: str, scene: Scene | None, uuid: str | None) -> Surface:
    if scene is None:
        return geometry
    return space.bordered(geometry, space.places.pixels(geometry, scene).area, class_name, scene, uuid)


def _after(deed: Deed) -> MapObject:
    snapshot = deed.changes[0].after
    if snapshot is None:
        raise UnknownName("the object is gone.")
    return snapshot.item


@router.get(_ITEMS + "/{uuid}", tags=["objects"])
def item(uuid: str, space: Space, user: User, crs: str | None = None, image: str | None = None) -> Response:
    """One object."""
    mode, scene = _where(space, crs, image)
    return _one(space, space.store.get(uuid), mode, scene)


@router.put(_ITEMS + "/{uuid}", tags=["objects"])
def put(
    uuid: str,
    body: ItemBody,
    request: Request,
    space: Space,
    user: User,
    crs: str | None = None,
    image: str | None = None,
) -> Response:
    """An object as it is to be."""
    theirs = find(space.store, uuid)
    rev = _rev(request, body.properties.rev)
    if theirs is None and rev is None:
        raise UnknownName(f"no object {uuid[:80]!r}: it may have been deleted.")
    mode, scene = _where(space, crs, image or body.properties.image)
    own = scene or (None if theirs is None else space.places.scene_of(theirs))
    geometry = space.places.into(surface_of(body.geometry), mode, own)
    given = body.properties
    base = theirs or MapObject(geometry=geometry, uuid=uuid, image="" if own is None else own.key, model="hand")
    item = replace(
        base,
        geometry=_bordered(space, geometry, given.class_name, own, uuid),
        class_name=given.class_name,
        label=given.label,
        status=given.status,
        attributes=dict(given.attributes),
        author=user,
    )
    deed = space.change(user, f"change {given.class_name or 'object'}", [Edit(item, rev)])
    return _one(space, _after(deed), mode, scene)


@router.patch(_ITEMS + "/{uuid}", tags=["objects"])
def patch(
    uuid: str,
    body: PatchItemBody,
    request: Request,
    space: Space,
    user: User,
    crs: str | None = None,
    image: str | None = None,
) -> Response:
    """Some of an object otherwise."""
    theirs = space.store.get(uuid)
    mode, scene = _where(space, crs, image)
    given = _given(body)
    item = _set(theirs, given, user)
    if body.geometry is not None:
        own = scene or space.places.scene_of(theirs)
        geometry = space.places.into(surface_of(body.geometry), mode, own)
        item = replace(item, geometry=_bordered(space, geometry, item.class_name, own, uuid))
    what = "reshape" if body.geometry is not None else "change"
    deed = space.change(user, f"{what} {item.class_name or 'object'}", [Edit(item, _rev(request, body.rev))])
    return _one(space, _after(deed), mode, scene)


def _set(item: MapObject, given: Json, user: str) -> MapObject:
    return replace(
        item,
        class_name=given.get("class", item.class_name),
        label=given.get("label", item.label),
        status=given.get("status", item.status),
        attributes=item.attributes | given.get("attributes", {}),
        author=user,
    )


@router.delete(_ITEMS + "/{uuid}", status_code=204, tags=["objects"])
def delete(
    uuid: str, request: Request, space: Space, user: User, rev: Annotated[int | None, Query(ge=0)] = None
) -> Response:
    """Take an object away."""
    theirs = space.store.get(uuid)
    space.change(user, f"delete {theirs.class_name or 'object'}", [Edit(theirs, _rev(request, rev), kind="delete")])
    return Response(status_code=204)


# --- objects: what a map does with them ------------------------------------------------------------------------------


def _features(space: Workspace, deed: Deed) -> list[Json]:
    return [space.places.feature(change.after.item) for change in deed.changes if change.after is not None]


def _change(space: Workspace, act: str, deed: Deed, session: Json | None = None) -> Json:
    deleted = [change.uuid for change in deed.changes if change.after is None]
    return {"act": act, "objects": _features(space, deed), "deleted": deleted, "session": session}


def _fetched(space: Workspace, uuid: str, rev: int | None) -> tuple[MapObject, Scene | None]:
    """An object at the revision it was seen at. Raises Conflict, UnknownName."""
    item = space.store.get(uuid)
    if rev is not None and rev != item.rev:
        sentence = f"object {uuid} is at revision {item.rev}, yours is {rev}: reload it and apply your change again."
        raise Conflict(sentence, None, item)
    return item, space.places.scene_of(item)


@router.post("/api/objects/merge", tags=["objects"])
def merge(body: MergeBody, space: Space, user: User) -> Json:
    """One object of several."""
    found = [_fetched(space, which.id, which.rev)[0] for which in _unlike(body.objects)]
    first, *rest = found
    geometry = shaping.merged([item.geometry for item in found])
    edits = [Edit(replace(first, geometry=geometry, author=user), first.rev)]
    edits += [Edit(item, item.rev, kind="delete") for item in rest]
    return _change(space, "merge", space.change(user, f"merge {len(found)} objects", edits))


def _unlike(objects: Sequence[Which]) -> list[Which]:
    """Each object once."""
    return list({which.id: which for which in objects}.values())


@router.post("/api/objects/set", tags=["objects"])
def set_many(body: SetBody, space: Space, user: User) -> Json:
    """The same class, status, label or attributes for several."""
    given = {key: value for key, value in _given(body).items() if key != "objects"}
    if not given:
        raise BadConfig("nothing to set: give class, status, label or attributes.")
    found = [_fetched(space, which.id, which.rev)[0] for which in _unlike(body.objects)]
    edits = [Edit(_set(item, given, user), item.rev) for item in found]
    return _change(space, "set", space.change(user, f"change {len(edits)} objects", edits))


@router.post("/api/objects/delete", tags=["objects"])
def delete_many(body: ManyBody, space: Space, user: User) -> Json:
    """Several objects away."""
    found = [_fetched(space, which.id, which.rev)[0] for which in _unlike(body.objects)]
    edits = [Edit(item, item.rev, kind="delete") for item in found]
    return _change(space, "delete", space.change(user, f"delete {len(edits)} objects", edits))


@router.post("/api/objects/{uuid}/split", tags=["objects"])
def split(uuid: str, body: LineBody, space: Space, user: User) -> Json:
    """An object in parts along a line."""
    item, scene = _fetched(space, uuid, body.rev)
    parts = shaping.split(space.places.pixels(item.geometry, scene), line_of(body.line))
    first, *rest = (space.places.into(part, "pixels", scene) for part in parts)
    edits = [Edit(replace(item, geometry=first, author=user), item.rev)]
    for part in rest:
        copy = replace(item, geometry=part, uuid="", rev=0, created="", updated="", author=user)
        edits.append(Edit(copy, None, (), None, "add"))
    return _change(space, "split", space.change(user, f"split {item.class_name or 'object'}", edits))


@router.post("/api/objects/{uuid}/cut", tags=["objects"])
def cut(uuid: str, body: GeometryBody, space: Space, user: User) -> Json:
    """A hole in an object, or a piece off."""
    item, scene = _fetched(space, uuid, body.rev)
    left = shaping.without(space.places.pixels(item.geometry, scene), surface_of(body.geometry))
    return _reshaped(space, user, "cut", item, space.places.into(left, "pixels", scene))


@router.post("/api/objects/{uuid}/add", tags=["objects"])
def add(uuid: str, body: GeometryBody, space: Space, user: User) -> Json:
    """A piece painted on."""
    item, scene = _fetched(space, uuid, body.rev)
    whole = shaping.merged([space.places.pixels(item.geometry, scene), surface_of(body.geometry)])
    geometry = _bordered(space, space.places.into(whole, "pixels", scene), item.class_name, scene, uuid)
    return _reshaped(space, user, "add", item, geometry)


@router.post("/api/objects/{uuid}/shape", tags=["objects"])
def reshape(uuid: str, body: ShapeBody, space: Space, user: User) -> Json:
    """An object with fewer vertices, or right angles."""
    item, scene = _fetched(space, uuid, body.rev)
    if scene is None:
        raise BadConfig("this object belongs to no image of this server: it cannot be reshaped here.")
    pixels = space.places.pixels(item.geometry, scene)
    shape = shaping.reshaped(pixels, scene, body.simplify_m, body.square)
    return _reshaped(space, user, "shape", item, space.to_store(shape, scene))


def _reshaped(space: Workspace, user: str, act: str, item: MapObject, geometry: Surface) -> Json:
    deed = space.change(
        user, f"{act} {item.class_name or 'object'}", [Edit(replace(item, geometry=geometry, author=user), item.rev)]
    )
    return _change(space, act, deed)


@router.get("/api/undo", tags=["objects"])
def undoable(space: Space, user: User) -> Json:
    """What you can undo and redo, newest first."""
    undo, redo = space.journal.names(user)
    return {"undo": undo, "redo": redo}


@router.post("/api/undo", tags=["objects"])
async def undo(space: Space, user: User) -> Json:
    """Your latest act on objects undone; an accept gives its click session back."""
    deed = await run_in_threadpool(space.journal.undo, user, space.store)
    await run_in_threadpool(space.tell, deed, user)
    session = None
    if deed.draft is not None:
        live = await run_in_threadpool(space.reopen, deed.draft)
        if live is not None:
            session = await _shown(space, live, await space.state(live), time.perf_counter())
    return _change(space, f"undo {deed.name}", deed, session)


@router.post("/api/redo", tags=["objects"])
async def redo(space: Space, user: User) -> Json:
    """The act undone last, again."""
    deed = await run_in_threadpool(space.journal.redo, user, space.store)
    if deed.draft is not None:
        try:
            await run_in_threadpool(lambda: space.close_live(space.live(deed.draft.uuid, user)))  # type: ignore[union-attr]
        except UnknownName:
            pass
    await run_in_threadpool(space.tell, deed, user)
    return _change(space, f"redo {deed.name}", deed)


# --- classes ---------------------------------------------------------------------------------------------------------


def _class_json(item: MapClass, objects: int) -> Json:
    return {
        "name": item.name,
        "colour": item.colour,
        "key": item.key,
        "kind": item.kind,
        "schema": item.schema or {},
        "objects": objects,
    }


@router.get("/api/classes", tags=["classes"])
def classes(space: Space, user: User) -> Json:
    """All classes."""
    counts = space.counts()["class"]
    return {"classes": [_class_json(item, counts.get(item.name, 0)) for item in space.store.classes()]}


@router.put("/api/classes/{name:path}", tags=["classes"])
def put_class(name: str, body: ClassBody, space: Space, user: User) -> Json:
    """Make or change a class; with another name, its objects follow."""
    _check_name(name)
    old = next((item for item in space.store.classes() if item.name == name), MapClass(name))
    given = body.model_dump(by_alias=True, exclude_none=True)
    new_name = given.pop("name", name)
    _check_name(new_name)
    with space.store.transaction():
        space.store.set_class(replace(old, **given))
        if new_name != name:
            space.store.rename_class(name, new_name)
    space.forget_examples()
    space.hub.send("classes", {"by": user})
    if new_name != name:
        changed = [space.places.feature(item) for item in space.store.objects(class_name=new_name)]
        space.hub.send("objects", {"changed": changed, "deleted": [], "by": user})
    found = next(item for item in space.store.classes() if item.name == new_name)
    return _class_json(found, space.counts()["class"].get(new_name, 0))


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > 200 or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise BadConfig("a class needs a name of 1 to 200 letters.")


@router.delete("/api/classes/{name:path}", status_code=204, tags=["classes"])
def delete_class(name: str, space: Space, user: User, move_to: str | None = None) -> Response:
    """Take a class away; its objects move to another one."""
    known = {item.name for item in space.store.classes()}
    if name not in known:
        raise UnknownName(f"no class {name[:80]!r}: see /api/classes.")
    if move_to is not None and move_to not in known - {name}:
        raise UnknownName(f"no class {move_to[:80]!r} to move to: see /api/classes.")
    found = space.store.objects(class_name=name)
    if found and move_to is None:
        raise Conflict(f"{len(found)} objects are {name}: say with move_to which class they become.")
    if found:
        edits = [Edit(replace(item, class_name=move_to or "", author=user), item.rev) for item in found]
        space.change(
            user, f"move {len(found)} objects to {move_to}", edits, None, lambda: space.store.delete_class(name)
        )
    else:
        space.store.delete_class(name)
    space.hub.send("classes", {"by": user})
    return Response(status_code=204)


# --- examples --------------------------------------------------------------------------------------------------------


def _reference_json(item: StoredReference) -> Json:
    rows, cols = item.reference.mask.shape
    return {
        "id": item.uuid,
        "class": item.class_name,
        "positive": item.reference.positive,
        "width": cols,
        "height": rows,
        "created": item.created,
    }


@router.get("/api/references", tags=["examples"])
def references(space: Space, user: User, class_name: Annotated[str | None, Query(alias="class")] = None) -> Json:
    """Saved examples."""
    return {"references": [_reference_json(item) for item in space.store.references(class_name)]}


@router.post("/api/references", status_code=201, tags=["examples"])
def add_reference(body: ReferenceBody, space: Space, user: User) -> Json:
    """Keep an example."""
    if body.object is not None:
        item = space.store.get(body.object)
        class_name = item.class_name if body.class_name is None else body.class_name
        found = space.example_from(item, class_name, body.positive)
    elif body.image_png is not None and body.mask_png is not None:
        found = space.example_from_png(body.image_png, body.mask_png, body.class_name or "", body.positive)
    else:
        raise BadConfig("an example needs object, or image_png and mask_png.")
    space.forget_examples()
    space.hub.send("references", {"by": user})
    return _reference_json(found)


@router.get("/api/references/{uuid}/picture", tags=["examples"])
def picture(uuid: str, space: Space, user: User) -> Response:
    """An example's picture, dimmed where it is not meant."""
    for item in space.store.references():
        if item.uuid == uuid:
            return Response(shaping.dimmed(item.reference), media_type="image/png")
    raise UnknownName(f"no example {uuid[:80]!r}: it may have been deleted.")


@router.delete("/api/references/{uuid}", status_code=204, tags=["examples"])
def delete_reference(uuid: str, space: Space, user: User) -> Response:
    """Take an example away."""
    space.store.delete_reference(uuid)
    space.forget_examples()
    space.hub.send("references", {"by": user})
    return Response(status_code=204)


@router.post("/api/proposals", tags=["examples"])
async def proposals(body: ProposalBody, space: Space, user: User) -> Json:
    """Find the rest: all that looks like the examples, best first."""
    scene = space.scene(body.image)
    names = await run_in_threadpool(space.reference_ids, body.references, body.class_name)
    rows, cols = scene.shape
    view = body.view or ViewBody(bounds=[0, 0, cols, rows])
    setup = _setup(Target.CLASS, names, view)
    found = await space.propose(user, scene, body.class_name, setup, body.limit, body.simplify_m, body.square)
    entries = [
        {"item": number, "score": round(item.shape.score, 4), "outline": outline_json(item.shape, scene)}
        for number, item in found.items.items()
    ]
    return {
        "id": found.id,
        "image": scene.id,
        "class": found.class_name,
        "items": entries,
        "ms": round(found.ms, 1),
    }


@router.post("/api/proposals/{name}/accept", tags=["examples"])
def accept_proposals(name: str, body: ProposalAcceptBody, space: Space, user: User) -> Json:
    """Keep proposals as objects."""
    found = space.proposals(name, user)
    class_name = found.class_name if body.class_name is None else body.class_name
    model = space.model
    edits = []
    for number in dict.fromkeys(body.items):
        if number not in found.items:
            raise UnknownName(f"no proposal {number}: it was taken, or never made.")
        shape = found.items[number].shape
        geometry = space.to_store(shape, found.scene)
        item = MapObject(
            geometry=space.bordered(geometry, shape.pixels.area, class_name, found.scene, None),
            image=found.scene.key,
            class_name=class_name,
            target="class",
            score=round(shape.score, 4),
            status=body.status,
            author=user,
            model=model.name,
            model_hash=model.hash,
        )
        edits.append(Edit(item, None, (), found.view, "add"))
    deed = space.change(user, f"accept {len(edits)} proposals", edits)
    for number in body.items:
        found.items.pop(number, None)
    return _change(space, "accept", deed)


@router.delete("/api/proposals/{name}", status_code=204, tags=["examples"])
def drop_proposals(name: str, space: Space, user: User) -> Response:
    """Forget proposals."""
    space.proposals(name, user)
    space.drop_proposals(name)
    return Response(status_code=204)


# --- import and export -----------------------------------------------------------------------------------------------


@router.post("/api/import", tags=["files"])
async def import_polygons(
    request: Request,
    space: Space,
    user: User,
    name: str,
    image: str | None = None,
    class_name: Annotated[str, Query(alias="class", max_length=200)] = "",
    crs: str | None = None,
) -> Json:
    """Polygons of a file (the body) as objects to correct."""
    data = await request.body()
    return await run_in_threadpool(_imported, space, user, name, data, image, class_name, crs)


def _imported(
    space: Workspace, user: str, name: str, data: bytes, image: str | None, class_name: str, crs: str | None
) -> Json:
    scene = None if image is None else space.scene(image)
    if crs not in (None, "", "pixels"):
        raise BadConfig("an imported file says itself where it lies; crs may only be pixels.")
    in_pixels = crs == "pixels" or space.store.crs is None
    if in_pixels and scene is None and space.store.crs is not None:
        raise BadConfig("pixels of which image? Add image=ID.")
    found = files.read_import(name, data, None if in_pixels else space.store.crs)
    edits = []
    for item in found:
        geometry = files.repaired(item.geometry)
        if geometry is None:
            continue
        if in_pixels:
            geometry = space.places.into(geometry, "pixels", scene)
        item = replace(
            item,
            geometry=geometry,
            image="" if scene is None else scene.key,
            class_name=files.plain(item.class_name) or class_name,
            label=files.plain(item.label),
            status="imported",
            author=user,
        )
        edits.append(Edit(item, None, (), None, "add"))
    if not edits:
        raise BadData(f"{name[:80]} holds no polygon that encloses anything.")
    return _change(space, "import", space.change(user, f"import {len(edits)} objects", edits))


@router.get("/api/formats", tags=["files"])
def formats(user: User) -> Json:
    """What can be written."""
    return {"formats": files.formats()}


@router.post("/api/exports", status_code=201, tags=["files"])
def export(body: ExportBody, space: Space, user: User, request: Request) -> Json:
    """Write objects to the output folder."""
    scene = None if body.image is None else space.scene(body.image)
    found = space.store.objects(None if scene is None else scene.key, body.class_name, body.status)
    names = {key: one.name for key, one in space.by_key.items()}
    shown = [replace(item, image=names.get(item.image, files.base_name(item.image))) for item in found]
    return request.app.state.exports.write(
        shown, body.format, body.name, body.crs, space.store.crs, scene, body.overwrite
    )


@router.get("/api/exports", tags=["files"])
def exports(user: User, request: Request) -> Json:
    """What was written since the start."""
    return {"exports": request.app.state.exports.listed()}


@router.get("/api/exports/{name}", tags=["files"])
def download(name: str, user: User, request: Request) -> Response:
    """One of the files written since the start."""
    data, file_name, media = request.app.state.exports.read(name)
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    return Response(data, media_type=media, headers=headers)
