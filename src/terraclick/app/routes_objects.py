"""The routes of objects: OGC API Features, then what a map does with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote

import shapely
from fastapi import APIRouter, Query, Request, Response
from shapely.geometry.base import BaseGeometry

from terraclick.app import shaping
from terraclick.app.asking import StrictRoute
from terraclick.app.chronology import turn
from terraclick.app.clicking import Surface
from terraclick.app.depends import Json, Space, User, change_json, counted, given_of, tenth
from terraclick.app.features import CRS84, EPSG_4326, as_shape, line_of, shape_of, surface_of
from terraclick.app.images import Scene
from terraclick.app.journal import Deed, Edit, collecting_later, find
from terraclick.app.ogc import (
    boxes_of,
    interval_of,
    met_by,
    numbers_of,
    temporal_extent,
)
from terraclick.app.preconditions import check_conditions, etag, is_unchanged, reads_conditions
from terraclick.app.schemas import (
    GeometryBody,
    ItemBody,
    LineBody,
    ManyBody,
    MergeBody,
    PatchItemBody,
    Revision,
    SetBody,
    ShapeBody,
    ShapeManyBody,
    Which,
)
from terraclick.app.workspace import Workspace
from terraclick.errors import BadConfig, BadData, Conflict, UnknownName
from terraclick.geo.kinds import kind_of
from terraclick.geo.lonlat import Box, box_of, lonlat_bounds
from terraclick.geo.reproject import to_lonlat
from terraclick.store.fields import MapObject, edited

__all__ = ["fetched", "router", "unlike"]

router = APIRouter(route_class=StrictRoute)


_ITEMS = "/api/collections/objects/items"
_FEATURES = "http://www.opengis.net/spec/ogcapi-features-"
CONFORMS = [
    f"{_FEATURES}1/1.0/conf/core",
    f"{_FEATURES}1/1.0/conf/oas30",
    f"{_FEATURES}1/1.0/conf/geojson",
    f"{_FEATURES}2/1.0/conf/crs",
    f"{_FEATURES}4/1.0/conf/create-replace-delete",
]
CONFORMS_IN_PIXELS = [f"{_FEATURES}1/1.0/conf/oas30"]
"""Objects in pixels have no place on the Earth, which the rest of the standard is about."""
GEOJSON = "application/geo+json"


def _base(request: Request) -> str:
    return str(request.state.base)


def _link(request: Request, rel: str, path: str, media: str = "application/json", title: str = "") -> Json:
    """A link that whoever asked can follow: a token in the address stays there."""
    token = getattr(request.state, "token", None)
    if token is not None:
        path += f"{'&' if '?' in path else '?'}token={quote(token, safe='')}"
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
def conformance(space: Space, user: User) -> Json:
    """What of the standard is kept."""
    return {"conformsTo": CONFORMS if space.store.crs is not None else CONFORMS_IN_PIXELS}


def _collection(request: Request, space: Workspace) -> Json:
    found: Json = {
        "id": "objects",
        "title": "Objects",
        "itemType": "feature",
        "crs": space.places.systems(),
        "links": [
            _link(request, "self", "/api/collections/objects"),
            _link(request, "items", _ITEMS, GEOJSON, "Objects"),
        ],
    }
    storage = space.places.storage()
    if storage is not None:
        found["storageCrs"] = storage
    extent: Json = {}
    box = _extent(space)
    times = temporal_extent(space.store.objects())
    if box is not None:
        extent["spatial"] = {"bbox": [list(box)], "crs": CRS84}
    if times is not None:
        extent["temporal"] = {"interval": [times], "trs": "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"}
    return found | ({"extent": extent} if extent else {})


def _extent(space: Workspace) -> Box | None:
    """The box around all objects in degrees; None without any, or where they have no place on the globe."""
    crs, geometries = space.store.crs, [item.geometry for item in space.store.objects()]
    if crs is None or not geometries:
        return None
    if crs.is_geographic:  # kept cut at the antimeridian: each part counts
        return box_of(to_lonlat(geometry, crs) for geometry in geometries)
    return lonlat_bounds(shapely.total_bounds(geometries), crs)


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
    bbox_crs: Annotated[str | None, Query(alias="bbox-crs")] = None,
    datetime: str | None = None,
    limit: Annotated[int, Query(ge=1, lt=2**53)] = 1000,
    offset: Annotated[int, Query(ge=0, lt=2**53)] = 0,
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
    when = None if datetime is None else interval_of(datetime)
    key = None if scene is None else scene.key
    if bbox is None:
        if bbox_crs is not None:
            space.places.mode(bbox_crs, "CRS84")
        found = space.store.objects(key, class_name, status)
    else:
        found = _in_box(space, bbox, _box_mode(space, bbox_crs, mode), scene, (key, class_name, status))
    found = [
        item
        for item in found
        if (author is None or item.author == author)
        and (label is None or label.casefold() in item.label.casefold())
        and (when is None or when.meets(item))
    ]
    if sort is not None:
        name = sort.removeprefix("-")
        if name not in SORTS:
            raise BadConfig(f"no order {sort[:40]!r}: give one of {', '.join(SORTS)}, with - for descending.")
        found.sort(key=SORTS[name], reverse=sort.startswith("-"))
    page = found[offset : offset + min(limit, 10_000)]
    links = [
        _link(request, "self", f"{_ITEMS}?{request.url.query}".rstrip("?"), GEOJSON),
        _link(request, "collection", "/api/collections/objects"),
    ]
    if offset + len(page) < len(found):
        next_page = request.url.include_query_params(offset=offset + len(page)).query
        links.append(_link(request, "next", f"{_ITEMS}?{next_page}", GEOJSON))
    features = [one for item in page if (one := space.places.feature_or_none(item, mode, scene)) is not None]
    answer = {
        "type": "FeatureCollection",
        "features": features,
        "numberMatched": len(found) - (len(page) - len(features)),
        "numberReturned": len(features),
        "timeStamp": space.now(),
        "links": links,
    }
    return Response(json.dumps(answer, allow_nan=False), headers=_crs_header(space, mode), media_type=GEOJSON)


def _crs_header(space: Workspace, mode: str) -> dict[str, str]:
    uri = space.places.uri(mode)
    return {} if uri is None else {"Content-Crs": f"<{uri}>"}


def _box_mode(space: Workspace, bbox_crs: str | None, mode: str) -> str:
    """What a box is given in: what bbox-crs says, else ours where that is asked for, else degrees."""
    if bbox_crs is not None:
        return space.places.mode(bbox_crs, "CRS84")
    return mode if mode in ("pixels", "native") else "CRS84"


def _body_mode(request: Request, space: Workspace, mode: str) -> str:
    """What the geometry of a body is given in: what Content-Crs says, else as for boxes."""
    given = request.headers.get("content-crs")
    if given is None:
        return _box_mode(space, None, mode)
    return space.places.mode(given.strip().removeprefix("<").removesuffix(">") or "none", "CRS84")


def _geometry_of(request: Request, space: Workspace, value: Any, mode: str, scene: Scene | None) -> Surface:
    """The geometry of a body in the store's coordinates."""
    given = _body_mode(request, space, mode)
    north_first = given == EPSG_4326
    return space.places.into(shape_of(value, north_first or given == "CRS84", north_first), given, scene)


def _in_box(
    space: Workspace, text: str, mode: str, scene: Scene | None, wanted: tuple[str | None, str | None, str | None]
) -> list[MapObject]:
    """Objects of an image, class and status whose box meets a box given as text."""
    store = space.store
    bounds = numbers_of(text)
    if mode == EPSG_4326:
        bounds = bounds[1], bounds[0], bounds[3], bounds[2]
    lonlat = mode in ("CRS84", EPSG_4326)
    found: dict[str, MapObject] = {}
    for box in boxes_of(bounds, lonlat):
        if lonlat:
            near = store.objects(*wanted)
            found |= {item.uuid: item for item in met_by(near, store.crs, box)}
            continue
        left, bottom, right, top = box
        area = shapely.box(left, bottom, max(right, left + 1e-12), max(top, bottom + 1e-12))
        moved = space.places.into(shapely.segmentize(area, max(tenth(area.bounds), 1e-9)), mode, scene)
        x0, y0, x1, y1 = moved.bounds
        found |= {item.uuid: item for item in store.objects(*wanted, (float(x0), float(y0), float(x1), float(y1)))}
    return list(found.values())


def _one(
    request: Request, space: Workspace, item: MapObject, mode: str, scene: Scene | None, status: int = 200
) -> Response:
    headers = {"ETag": etag(item)} | _crs_header(space, mode)
    if status == 201:
        headers["Location"] = f"{request.state.prefix}{_ITEMS}/{item.uuid}"
    path = f"{_ITEMS}/{quote(item.uuid, safe='')}"
    query = f"?{request.url.query}" if request.method == "GET" and request.url.query else ""
    links = [
        _link(request, "self", path + query, GEOJSON),
        _link(request, "collection", "/api/collections/objects"),
    ]
    body = json.dumps(space.places.feature(item, mode, scene) | {"links": links}, allow_nan=False)
    return Response(body, status, headers, GEOJSON)


def _rev(request: Request, given: int | None, stored: MapObject | None) -> int | None:
    """The revision a change is based on, from the body or a condition in the headers. Raises PreconditionFailed."""
    matched = check_conditions(request, stored)
    return matched if given is None else given


@router.post(_ITEMS, status_code=201, tags=["objects"])
def create(
    body: ItemBody, request: Request, space: Space, user: User, crs: str | None = None, image: str | None = None
) -> Response:
    """An object drawn by hand."""
    mode, scene = _where(space, crs, image or body.properties.image)
    geometry = _geometry_of(request, space, body.geometry, mode, scene)
    given = body.properties
    geometry = _bordered(space, geometry, given.class_name, scene, None)
    key = space.store.image_of(geometry) if scene is None else scene.key
    item = edited(MapObject(geometry=geometry, image=key, model="hand"), given.model_dump(by_alias=True), author=user)
    deed = space.change(user, f"draw {given.class_name or 'object'}", [Edit(item, None, (), None, "add")])
    return _one(request, space, _after(deed), mode, scene, 201)


def _bordered(space: Workspace, geometry: Surface, class_name: str, scene: Scene | None, uuid: str | None) -> Surface:
    if scene is None or kind_of(geometry) != "polygon":
        return geometry
    return space.bordered(geometry, space.places.pixels(geometry, scene).area, class_name, scene, uuid)


def _after(deed: Deed) -> MapObject:
    snapshot = deed.changes[0].after
    if snapshot is None:
        raise UnknownName("the object is gone.")
    return snapshot.item


@router.get(_ITEMS + "/{uuid}", tags=["objects"])
def item(
    uuid: str, request: Request, space: Space, user: User, crs: str | None = None, image: str | None = None
) -> Response:
    """One object."""
    mode, scene = _where(space, crs, image)
    found = space.store.get(uuid)
    if is_unchanged(request, found):
        return Response(status_code=304, headers={"ETag": etag(found)})
    return _one(request, space, found, mode, scene)


@router.put(_ITEMS + "/{uuid}", tags=["objects"])
@reads_conditions
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
    rev = _rev(request, body.properties.rev, theirs)
    if theirs is None and rev is None:
        raise UnknownName(f"no object {uuid[:80]!r}: it may have been deleted.")
    mode, scene = _where(space, crs, image or body.properties.image)
    own = scene or (None if theirs is None else space.places.scene_of(theirs))
    geometry = _geometry_of(request, space, body.geometry, mode, own)
    given = body.properties
    base = theirs or MapObject(geometry=geometry, uuid=uuid, image="" if own is None else own.key, model="hand")
    item = edited(base, given.model_dump(by_alias=True), geometry=geometry, author=user)
    deed = space.change(user, f"change {given.class_name or 'object'}", [Edit(item, rev)], corners=True)
    return _one(request, space, _after(deed), mode, scene)


@router.patch(_ITEMS + "/{uuid}", tags=["objects"])
@reads_conditions
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
    given = given_of(body)
    item = _set(theirs, given, user, body.merge)
    if body.geometry is not None:
        own = scene or space.places.scene_of(theirs)
        geometry = _geometry_of(request, space, body.geometry, mode, own)
        item = replace(item, geometry=geometry)
    what = "reshape" if body.geometry is not None else "change"
    edit = Edit(item, _rev(request, body.rev, theirs))
    deed = space.change(user, f"{what} {item.class_name or 'object'}", [edit], corners=True)
    return _one(request, space, _after(deed), mode, scene)


def _set(item: MapObject, given: Json, user: str, merge: bool = False) -> MapObject:
    """An object with what was given; `merge` takes attributes away that are null, as RFC 7386 says."""
    attributes = item.attributes | given["attributes"] if "attributes" in given else item.attributes
    if merge:
        attributes = {
            name: value for name, value in attributes.items() if given.get("attributes", {}).get(name, 0) is not None
        }
    return edited(item, {**given, "attributes": attributes}, author=user)


@router.delete(_ITEMS + "/{uuid}", status_code=204, tags=["objects"])
@reads_conditions
def delete(
    uuid: str, request: Request, space: Space, user: User, rev: Annotated[Revision | None, Query()] = None
) -> Response:
    """Take an object away."""
    theirs = space.store.get(uuid)
    space.change(
        user, f"delete {theirs.class_name or 'object'}", [Edit(theirs, _rev(request, rev, theirs), kind="delete")]
    )
    return Response(status_code=204)


# --- what a map does with them ---------------------------------------------------------------------------------------


def fetched(space: Workspace, uuid: str, rev: int | None) -> tuple[MapObject, Scene | None]:
    """An object at the revision it was seen at. Raises Conflict, UnknownName."""
    item = space.store.get(uuid)
    if rev is not None and rev != item.rev:
        sentence = f"object {uuid} is at revision {item.rev}, yours is {rev}: reload it and apply your change again."
        raise Conflict(sentence, None, item)
    return item, space.places.scene_of(item)


def _all_fetched(space: Workspace, objects: Sequence[Which]) -> dict[str, MapObject]:
    """Objects at the revisions they were seen at. Raises Conflict, UnknownName."""
    wanted = unlike(objects)
    found = space.store.get_many([which.id for which in wanted])
    for which in wanted:
        item = found.get(which.id)
        if item is None or (which.rev is not None and which.rev != item.rev):
            fetched(space, which.id, which.rev)  # says what is wrong
    return {which.id: found[which.id] for which in wanted}


@router.post("/api/objects/merge", tags=["objects"])
def merge(body: MergeBody, space: Space, user: User) -> Json:
    """One object of several."""
    found = list(_all_fetched(space, body.objects).values())
    first, *rest = found
    geometry = _merged([item.geometry for item in found])
    edits = [Edit(replace(first, geometry=geometry, author=user), first.rev)]
    edits += [Edit(item, item.rev, kind="delete") for item in rest]
    return change_json(space, "merge", space.change(user, f"merge {counted(len(found))}", edits))


def _merged(geometries: Sequence[BaseGeometry]) -> BaseGeometry:
    """One geometry of several of one kind. Raises BadData."""
    kinds = {kind_of(geometry) for geometry in geometries}
    if len(kinds) > 1:
        raise BadData("areas, lines and points cannot be one object: select objects of one kind.")
    if kinds == {"polygon"}:
        return shaping.merged(geometries)
    return as_shape(
        shapely.line_merge(shapely.union_all(geometries)) if kinds == {"line"} else shapely.union_all(geometries)
    )


def unlike(objects: Sequence[Which]) -> list[Which]:
    """Each object once."""
    return list({which.id: which for which in objects}.values())


@router.post("/api/objects/set", tags=["objects"])
def set_many(body: SetBody, space: Space, user: User) -> Json:
    """The same class, status, label or attributes for several."""
    given = given_of(body, {"objects"})
    if not given:
        raise BadConfig("nothing to set: give class, status, label or attributes.")
    known: dict[str, MapObject] = {}

    def edits() -> list[Edit]:
        known.update(_all_fetched(space, body.objects))
        return [Edit(_set(item, given, user, merge=True), item.rev) for item in known.values()]

    with collecting_later(len(body.objects)):
        deed = space.change(user, f"change {counted(len(unlike(body.objects)))}", edits, known=known)
        return change_json(space, "set", deed, brief=bool(user.window))


@router.post("/api/objects/delete", tags=["objects"])
def delete_many(body: ManyBody, space: Space, user: User) -> Json:
    """Several objects away."""
    edits = [Edit(item, item.rev, kind="delete") for item in _all_fetched(space, body.objects).values()]
    return change_json(space, "delete", space.change(user, f"delete {counted(len(edits))}", edits))


@router.post("/api/objects/shape", tags=["objects"])
def reshape_many(body: ShapeManyBody, space: Space, user: User) -> Json:
    """Several objects with fewer vertices, or right angles."""
    edits = []
    for item in _all_fetched(space, body.objects).values():
        geometry = _reshaped_geometry(space, item, body.simplify_m, body.square)
        edits.append(Edit(replace(item, geometry=geometry, author=user), item.rev))
    return change_json(space, "shape", space.change(user, f"shape {counted(len(edits))}", edits))


@router.post("/api/objects/{uuid}/split", tags=["objects"])
def split(uuid: str, body: LineBody, space: Space, user: User) -> Json:
    """An object in parts along a line."""
    item, scene = fetched(space, uuid, body.rev)
    parts = shaping.split(space.places.surface(item, scene), line_of(body.line))
    first, *rest = (space.places.into(part, "pixels", scene) for part in parts)
    edits = [Edit(replace(item, geometry=first, author=user), item.rev)]
    for part in rest:
        copy = replace(item, geometry=part, uuid="", rev=0, created="", updated="", author=user)
        edits.append(Edit(copy, None, (), None, "add"))
    return change_json(space, "split", space.change(user, f"split {item.class_name or 'object'}", edits))


@router.post("/api/objects/{uuid}/cut", tags=["objects"])
def cut(uuid: str, body: GeometryBody, space: Space, user: User) -> Json:
    """A hole in an object, or a piece off."""
    item, scene = fetched(space, uuid, body.rev)
    left = shaping.without(space.places.surface(item, scene), surface_of(body.geometry))
    return _reshaped(space, user, "cut", item, space.places.into(left, "pixels", scene))


@router.post("/api/objects/{uuid}/add", tags=["objects"])
def add(uuid: str, body: GeometryBody, space: Space, user: User) -> Json:
    """A piece painted on."""
    item, scene = fetched(space, uuid, body.rev)
    whole = shaping.merged([space.places.surface(item, scene), surface_of(body.geometry)])
    geometry = _bordered(space, space.places.into(whole, "pixels", scene), item.class_name, scene, uuid)
    return _reshaped(space, user, "add", item, geometry)


@router.post("/api/objects/{uuid}/shape", tags=["objects"])
def reshape(uuid: str, body: ShapeBody, space: Space, user: User) -> Json:
    """An object with fewer vertices, or right angles."""
    item, _ = fetched(space, uuid, body.rev)
    return _reshaped(space, user, "shape", item, _reshaped_geometry(space, item, body.simplify_m, body.square))


def _reshaped_geometry(space: Workspace, item: MapObject, simplify_m: float, square: bool) -> Surface:
    """An object's outline with fewer vertices, or right angles. Raises BadConfig."""
    scene = space.places.scene_of(item)
    if scene is None:
        raise BadConfig("this object belongs to no image of this server: it cannot be reshaped here.")
    shape = shaping.reshaped(space.places.surface(item, scene), scene, simplify_m, square)
    return space.to_store(shape, scene)


def _reshaped(space: Workspace, user: str, act: str, item: MapObject, geometry: Surface) -> Json:
    deed = space.change(
        user, f"{act} {item.class_name or 'object'}", [Edit(replace(item, geometry=geometry, author=user), item.rev)]
    )
    return change_json(space, act, deed)


@router.post("/api/acts/{act}/cancel", status_code=204, tags=["objects"])
def cancel_act(act: str, space: Space, user: User) -> Response:
    """Give up an act on many objects that is going on; nothing is changed then."""
    space.cancel_act(user, act[:64])
    return Response(status_code=204)


@router.get("/api/undo", tags=["objects"])
def undoable(space: Space, user: User) -> Json:
    """What you can undo and redo, newest first."""
    undo, redo = space.journal.names(user)
    return {"undo": undo, "redo": redo}


@router.post("/api/undo", tags=["objects"])
async def undo(space: Space, user: User) -> Json:
    """Your latest act in this window undone; an accept gives its click session back."""
    return await turn(space, user, "undo")


@router.post("/api/redo", tags=["objects"])
async def redo(space: Space, user: User) -> Json:
    """The act undone last, again."""
    return await turn(space, user, "redo")
