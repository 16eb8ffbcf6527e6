"""The routes of OGC API Features for items: objects found, drawn, changed and taken away."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import quote

import shapely
from fastapi import APIRouter, Depends, Query, Request, Response

from terraclick.errors import BadConfig, UnknownName
from terraclick.geo.kinds import kind_of
from terraclick.server.asking import StrictRoute
from terraclick.server.changes import Author, Changeset, Edit
from terraclick.server.clicking import AreaGeometry
from terraclick.server.depends import CurrentWorkspace, User, given_of, tenth, with_given
from terraclick.server.editing import find
from terraclick.server.features import EPSG_4326, shape_of
from terraclick.server.images import Scene
from terraclick.server.ogc import GEOJSON, ITEMS, boxes_of, interval_of, link, met_by, numbers_of
from terraclick.server.preconditions import check_conditions, etag, is_unchanged, reads_conditions
from terraclick.server.schemas import ItemBody, PatchItemBody, Revision
from terraclick.server.workspace import Workspace
from terraclick.store.fields import MapObject, edited

__all__ = ["bordered", "router"]

router = APIRouter(route_class=StrictRoute)


SORTS: Mapping[str, Callable[[MapObject], Any]] = {
    "created": lambda item: item.created,
    "updated": lambda item: item.updated,
    "score": lambda item: -1.0 if item.score is None else item.score,
    "area_m2": lambda item: item.geometry.area if item.area_m2 is None else item.area_m2,
    "class": lambda item: item.class_name.casefold(),
    "status": lambda item: item.status,
    "label": lambda item: item.label.casefold(),
}


@dataclass(frozen=True)
class _ItemRequest:
    """What each request for items says: who asks for it, in which coordinates, on which image."""

    request: Request
    workspace: Workspace
    user: Author
    crs: str | None
    image: str | None

    def where(self, image: str | None = None) -> tuple[str, Scene | None]:
        """The coordinates that are answered in, and the image: the one asked for, else the one given."""
        name = self.image or image
        return self.workspace.converter.mode(self.crs, "CRS84"), None if name is None else self.workspace.scene(name)

    def geometry(self, value: Any, mode: str, scene: Scene | None) -> AreaGeometry:
        """The geometry of a body in the store's coordinates."""
        converter = self.workspace.converter
        said = self.request.headers.get("content-crs")
        if said is None:
            given = _box_mode(self.workspace, None, mode)
        else:
            given = converter.mode(said.strip().removeprefix("<").removesuffix(">") or "none", "CRS84")
        north_first = given == EPSG_4326
        return converter.into(shape_of(value, north_first or given == "CRS84", north_first), given, scene)

    def one(self, item: MapObject, mode: str, scene: Scene | None, status: int = 200) -> Response:
        """An object as the answer."""
        request = self.request
        headers = {"ETag": etag(item)} | _crs_header(self.workspace, mode)
        if status == 201:
            headers["Location"] = f"{request.state.prefix}{ITEMS}/{item.uuid}"
        path = f"{ITEMS}/{quote(item.uuid, safe='')}"
        query = f"?{request.url.query}" if request.method == "GET" and request.url.query else ""
        links = [
            link(request, "self", path + query, GEOJSON),
            link(request, "collection", "/api/collections/objects"),
        ]
        body = json.dumps(self.workspace.converter.feature(item, mode, scene) | {"links": links}, allow_nan=False)
        return Response(body, status, headers, GEOJSON)


def _rev(request: Request, given: int | None, stored: MapObject | None) -> int | None:
    """The revision a change is based on, from the body or a condition in the headers. Raises PreconditionFailed."""
    matched = check_conditions(request, stored)
    return matched if given is None else given


def _item_request(
    request: Request, workspace: CurrentWorkspace, user: User, crs: str | None = None, image: str | None = None
) -> _ItemRequest:
    return _ItemRequest(request, workspace, user, crs, image)


ItemRequest = Annotated[_ItemRequest, Depends(_item_request)]


@router.get(ITEMS, tags=["objects"])
def items(
    asked: ItemRequest,
    bbox: str | None = None,
    bbox_crs: Annotated[str | None, Query(alias="bbox-crs")] = None,
    datetime: str | None = None,
    limit: Annotated[int, Query(ge=1, lt=2**53)] = 1000,
    offset: Annotated[int, Query(ge=0, lt=2**53)] = 0,
    class_name: Annotated[str | None, Query(alias="class")] = None,
    status: str | None = None,
    author: str | None = None,
    label: str | None = None,
    sort: str | None = None,
) -> Response:
    """Objects as a FeatureCollection."""
    request, workspace = asked.request, asked.workspace
    mode, scene = asked.where()
    when = None if datetime is None else interval_of(datetime)
    key = None if scene is None else scene.key
    if bbox is None:
        if bbox_crs is not None:
            workspace.converter.mode(bbox_crs, "CRS84")
        found = workspace.store.objects(key, class_name, status)
    else:
        found = _in_box(workspace, bbox, _box_mode(workspace, bbox_crs, mode), scene, (key, class_name, status))
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
        link(request, "self", f"{ITEMS}?{request.url.query}".rstrip("?"), GEOJSON),
        link(request, "collection", "/api/collections/objects"),
    ]
    if offset + len(page) < len(found):
        next_page = request.url.include_query_params(offset=offset + len(page)).query
        links.append(link(request, "next", f"{ITEMS}?{next_page}", GEOJSON))
    features = [one for item in page if (one := workspace.converter.feature_or_none(item, mode, scene)) is not None]
    answer = {
        "type": "FeatureCollection",
        "features": features,
        "numberMatched": len(found) - (len(page) - len(features)),
        "numberReturned": len(features),
        "timeStamp": workspace.now(),
        "links": links,
    }
    return Response(json.dumps(answer, allow_nan=False), headers=_crs_header(workspace, mode), media_type=GEOJSON)


def _crs_header(workspace: Workspace, mode: str) -> dict[str, str]:
    uri = workspace.converter.uri(mode)
    return {} if uri is None else {"Content-Crs": f"<{uri}>"}


def _box_mode(workspace: Workspace, bbox_crs: str | None, mode: str) -> str:
    """What a box is given in: what bbox-crs says, else ours where that is asked for, else degrees."""
    if bbox_crs is not None:
        return workspace.converter.mode(bbox_crs, "CRS84")
    return mode if mode in ("pixels", "native") else "CRS84"


def _in_box(
    workspace: Workspace, text: str, mode: str, scene: Scene | None, wanted: tuple[str | None, str | None, str | None]
) -> list[MapObject]:
    """Objects of an image, class and status whose box meets a box given as text."""
    store = workspace.store
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
        moved = workspace.converter.into(shapely.segmentize(area, max(tenth(area.bounds), 1e-9)), mode, scene)
        x0, y0, x1, y1 = moved.bounds
        found |= {item.uuid: item for item in store.objects(*wanted, (float(x0), float(y0), float(x1), float(y1)))}
    return list(found.values())


@router.post(ITEMS, status_code=201, tags=["objects"])
def create(body: ItemBody, asked: ItemRequest) -> Response:
    """An object drawn by hand."""
    mode, scene = asked.where(body.properties.image)
    geometry = asked.geometry(body.geometry, mode, scene)
    given = body.properties
    geometry = bordered(asked.workspace, geometry, given.class_name, scene, None)
    key = asked.workspace.store.image_of(geometry) if scene is None else scene.key
    item = edited(
        MapObject(geometry=geometry, image=key, model="hand"), given.model_dump(by_alias=True), author=asked.user
    )
    changeset = asked.workspace.objects.change(
        asked.user, f"draw {given.class_name or 'object'}", [Edit(item, None, (), None, "add")]
    )
    return asked.one(_after(changeset), mode, scene, 201)


def bordered(
    workspace: Workspace, geometry: AreaGeometry, class_name: str, scene: Scene | None, uuid: str | None
) -> AreaGeometry:
    """An outline in the store's coordinates as its class allows: see `Objects.bordered`."""
    if scene is None or kind_of(geometry) != "polygon":
        return geometry
    return workspace.objects.bordered(
        geometry, workspace.converter.pixels(geometry, scene).area, class_name, scene, uuid
    )


def _after(changeset: Changeset) -> MapObject:
    snapshot = changeset.changes[0].after
    if snapshot is None:
        raise UnknownName("the object is gone.")
    return snapshot.item


@router.get(ITEMS + "/{uuid}", tags=["objects"])
def item(uuid: str, asked: ItemRequest) -> Response:
    """One object."""
    mode, scene = asked.where()
    found = asked.workspace.store.get(uuid)
    if is_unchanged(asked.request, found):
        return Response(status_code=304, headers={"ETag": etag(found)})
    return asked.one(found, mode, scene)


@router.put(ITEMS + "/{uuid}", tags=["objects"])
@reads_conditions
def put(uuid: str, body: ItemBody, asked: ItemRequest) -> Response:
    """An object as it is to be."""
    theirs = find(asked.workspace.store, uuid)
    rev = _rev(asked.request, body.properties.rev, theirs)
    if theirs is None and rev is None:
        raise UnknownName(f"no object {uuid[:80]!r}: it may have been deleted.")
    mode, scene = asked.where(body.properties.image)
    own = scene or (None if theirs is None else asked.workspace.converter.scene_of(theirs))
    geometry = asked.geometry(body.geometry, mode, own)
    given = body.properties
    base = theirs or MapObject(geometry=geometry, uuid=uuid, image="" if own is None else own.key, model="hand")
    item = edited(base, given.model_dump(by_alias=True), geometry=geometry, author=asked.user)
    changeset = asked.workspace.objects.change(
        asked.user, f"change {given.class_name or 'object'}", [Edit(item, rev)], corners=True
    )
    return asked.one(_after(changeset), mode, scene)


@router.patch(ITEMS + "/{uuid}", tags=["objects"])
@reads_conditions
def patch(uuid: str, body: PatchItemBody, asked: ItemRequest) -> Response:
    """Some of an object otherwise."""
    theirs = asked.workspace.store.get(uuid)
    mode, scene = asked.where()
    given = given_of(body)
    item = with_given(theirs, given, asked.user, body.merge)
    if body.geometry is not None:
        own = scene or asked.workspace.converter.scene_of(theirs)
        geometry = asked.geometry(body.geometry, mode, own)
        item = replace(item, geometry=geometry)
    what = "reshape" if body.geometry is not None else "change"
    edit = Edit(item, _rev(asked.request, body.rev, theirs))
    changeset = asked.workspace.objects.change(
        asked.user, f"{what} {item.class_name or 'object'}", [edit], corners=True
    )
    return asked.one(_after(changeset), mode, scene)


@router.delete(ITEMS + "/{uuid}", status_code=204, tags=["objects"])
@reads_conditions
def delete(
    uuid: str,
    request: Request,
    workspace: CurrentWorkspace,
    user: User,
    rev: Annotated[Revision | None, Query()] = None,
) -> Response:
    """Take an object away."""
    theirs = workspace.store.get(uuid)
    workspace.objects.change(
        user, f"delete {theirs.class_name or 'object'}", [Edit(theirs, _rev(request, rev, theirs), kind="delete")]
    )
    return Response(status_code=204)
