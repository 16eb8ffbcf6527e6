"""The routes of OGC API Features: the collection of objects and its items."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote

import shapely
from fastapi import APIRouter, Query, Request, Response

from terraclick.errors import BadConfig, UnknownName
from terraclick.geo.kinds import kind_of
from terraclick.geo.lonlat import Box, box_of, lonlat_bounds
from terraclick.geo.reproject import to_lonlat
from terraclick.server.acts import Changeset, Edit
from terraclick.server.asking import StrictRoute
from terraclick.server.clicking import AreaGeometry
from terraclick.server.depends import CurrentWorkspace, Json, User, given_of, tenth, with_given
from terraclick.server.editing import find
from terraclick.server.features import CRS84, EPSG_4326, shape_of
from terraclick.server.images import Scene
from terraclick.server.ogc import boxes_of, interval_of, met_by, numbers_of, temporal_extent
from terraclick.server.preconditions import check_conditions, etag, is_unchanged, reads_conditions
from terraclick.server.schemas import ItemBody, PatchItemBody, Revision
from terraclick.server.workspace import Workspace
from terraclick.store.fields import MapObject, edited

__all__ = ["bordered", "router"]

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
def conformance(space: CurrentWorkspace, user: User) -> Json:
    """What of the standard is kept."""
    return {"conformsTo": CONFORMS if space.store.crs is not None else CONFORMS_IN_PIXELS}


def _collection(request: Request, space: Workspace) -> Json:
    found: Json = {
        "id": "objects",
        "title": "Objects",
        "itemType": "feature",
        "crs": space.converter.systems(),
        "links": [
            _link(request, "self", "/api/collections/objects"),
            _link(request, "items", _ITEMS, GEOJSON, "Objects"),
        ],
    }
    storage = space.converter.storage()
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
def collections(request: Request, space: CurrentWorkspace, user: User) -> Json:
    """There is one collection."""
    return {"links": [_link(request, "self", "/api/collections")], "collections": [_collection(request, space)]}


@router.get("/api/collections/objects", tags=["objects"])
def collection(request: Request, space: CurrentWorkspace, user: User) -> Json:
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
    return space.converter.mode(crs, "CRS84"), None if image is None else space.scene(image)


@router.get(_ITEMS, tags=["objects"])
def items(
    request: Request,
    space: CurrentWorkspace,
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
            space.converter.mode(bbox_crs, "CRS84")
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
    features = [one for item in page if (one := space.converter.feature_or_none(item, mode, scene)) is not None]
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
    uri = space.converter.uri(mode)
    return {} if uri is None else {"Content-Crs": f"<{uri}>"}


def _box_mode(space: Workspace, bbox_crs: str | None, mode: str) -> str:
    """What a box is given in: what bbox-crs says, else ours where that is asked for, else degrees."""
    if bbox_crs is not None:
        return space.converter.mode(bbox_crs, "CRS84")
    return mode if mode in ("pixels", "native") else "CRS84"


def _body_mode(request: Request, space: Workspace, mode: str) -> str:
    """What the geometry of a body is given in: what Content-Crs says, else as for boxes."""
    given = request.headers.get("content-crs")
    if given is None:
        return _box_mode(space, None, mode)
    return space.converter.mode(given.strip().removeprefix("<").removesuffix(">") or "none", "CRS84")


def _geometry_of(request: Request, space: Workspace, value: Any, mode: str, scene: Scene | None) -> AreaGeometry:
    """The geometry of a body in the store's coordinates."""
    given = _body_mode(request, space, mode)
    north_first = given == EPSG_4326
    return space.converter.into(shape_of(value, north_first or given == "CRS84", north_first), given, scene)


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
        moved = space.converter.into(shapely.segmentize(area, max(tenth(area.bounds), 1e-9)), mode, scene)
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
    body = json.dumps(space.converter.feature(item, mode, scene) | {"links": links}, allow_nan=False)
    return Response(body, status, headers, GEOJSON)


def _rev(request: Request, given: int | None, stored: MapObject | None) -> int | None:
    """The revision a change is based on, from the body or a condition in the headers. Raises PreconditionFailed."""
    matched = check_conditions(request, stored)
    return matched if given is None else given


@router.post(_ITEMS, status_code=201, tags=["objects"])
def create(
    body: ItemBody,
    request: Request,
    space: CurrentWorkspace,
    user: User,
    crs: str | None = None,
    image: str | None = None,
) -> Response:
    """An object drawn by hand."""
    mode, scene = _where(space, crs, image or body.properties.image)
    geometry = _geometry_of(request, space, body.geometry, mode, scene)
    given = body.properties
    geometry = bordered(space, geometry, given.class_name, scene, None)
    key = space.store.image_of(geometry) if scene is None else scene.key
    item = edited(MapObject(geometry=geometry, image=key, model="hand"), given.model_dump(by_alias=True), author=user)
    changeset = space.objects.change(user, f"draw {given.class_name or 'object'}", [Edit(item, None, (), None, "add")])
    return _one(request, space, _after(changeset), mode, scene, 201)


def bordered(
    space: Workspace, geometry: AreaGeometry, class_name: str, scene: Scene | None, uuid: str | None
) -> AreaGeometry:
    """An outline in the store's coordinates as its class allows: see `Objects.bordered`."""
    if scene is None or kind_of(geometry) != "polygon":
        return geometry
    return space.objects.bordered(geometry, space.converter.pixels(geometry, scene).area, class_name, scene, uuid)


def _after(changeset: Changeset) -> MapObject:
    snapshot = changeset.changes[0].after
    if snapshot is None:
        raise UnknownName("the object is gone.")
    return snapshot.item


@router.get(_ITEMS + "/{uuid}", tags=["objects"])
def item(
    uuid: str, request: Request, space: CurrentWorkspace, user: User, crs: str | None = None, image: str | None = None
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
    space: CurrentWorkspace,
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
    own = scene or (None if theirs is None else space.converter.scene_of(theirs))
    geometry = _geometry_of(request, space, body.geometry, mode, own)
    given = body.properties
    base = theirs or MapObject(geometry=geometry, uuid=uuid, image="" if own is None else own.key, model="hand")
    item = edited(base, given.model_dump(by_alias=True), geometry=geometry, author=user)
    changeset = space.objects.change(user, f"change {given.class_name or 'object'}", [Edit(item, rev)], corners=True)
    return _one(request, space, _after(changeset), mode, scene)


@router.patch(_ITEMS + "/{uuid}", tags=["objects"])
@reads_conditions
def patch(
    uuid: str,
    body: PatchItemBody,
    request: Request,
    space: CurrentWorkspace,
    user: User,
    crs: str | None = None,
    image: str | None = None,
) -> Response:
    """Some of an object otherwise."""
    theirs = space.store.get(uuid)
    mode, scene = _where(space, crs, image)
    given = given_of(body)
    item = with_given(theirs, given, user, body.merge)
    if body.geometry is not None:
        own = scene or space.converter.scene_of(theirs)
        geometry = _geometry_of(request, space, body.geometry, mode, own)
        item = replace(item, geometry=geometry)
    what = "reshape" if body.geometry is not None else "change"
    edit = Edit(item, _rev(request, body.rev, theirs))
    changeset = space.objects.change(user, f"{what} {item.class_name or 'object'}", [edit], corners=True)
    return _one(request, space, _after(changeset), mode, scene)


@router.delete(_ITEMS + "/{uuid}", status_code=204, tags=["objects"])
@reads_conditions
def delete(
    uuid: str, request: Request, space: CurrentWorkspace, user: User, rev: Annotated[Revision | None, Query()] = None
) -> Response:
    """Take an object away."""
    theirs = space.store.get(uuid)
    space.objects.change(
        user, f"delete {theirs.class_name or 'object'}", [Edit(theirs, _rev(request, rev, theirs), kind="delete")]
    )
    return Response(status_code=204)
