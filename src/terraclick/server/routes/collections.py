"""The routes of OGC API Features that lead to the items: landing page, conformance, the one collection."""

from __future__ import annotations

import shapely
from fastapi import APIRouter, Request

from terraclick.geo.lonlat import Box, box_of, lonlat_bounds
from terraclick.geo.reproject import to_lonlat
from terraclick.server.asking import StrictRoute
from terraclick.server.depends import CurrentWorkspace, Json, User
from terraclick.server.features import CRS84
from terraclick.server.ogc import GEOJSON, ITEMS, link, temporal_extent
from terraclick.server.workspace import Workspace

__all__ = ["router"]

router = APIRouter(route_class=StrictRoute)

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


@router.get("/api", tags=["objects"])
def landing(request: Request, user: User) -> Json:
    """The landing page of OGC API Features."""
    return {
        "title": "TerraClick",
        "description": "Objects outlined by clicks on aerial and satellite images.",
        "links": [
            link(request, "self", "/api"),
            link(request, "service-desc", "/api/openapi.json", "application/vnd.oai.openapi+json;version=3.0"),
            link(request, "service-doc", "/docs", "text/html"),
            link(request, "conformance", "/api/conformance"),
            link(request, "data", "/api/collections"),
        ],
    }


@router.get("/api/conformance", tags=["objects"])
def conformance(workspace: CurrentWorkspace, user: User) -> Json:
    """What of the standard is kept."""
    return {"conformsTo": CONFORMS if workspace.store.crs is not None else CONFORMS_IN_PIXELS}


def _collection(request: Request, workspace: Workspace) -> Json:
    found: Json = {
        "id": "objects",
        "title": "Objects",
        "itemType": "feature",
        "crs": workspace.converter.systems(),
        "links": [
            link(request, "self", "/api/collections/objects"),
            link(request, "items", ITEMS, GEOJSON, "Objects"),
        ],
    }
    storage = workspace.converter.storage()
    if storage is not None:
        found["storageCrs"] = storage
    extent: Json = {}
    box = _extent(workspace)
    times = temporal_extent(workspace.store.objects())
    if box is not None:
        extent["spatial"] = {"bbox": [list(box)], "crs": CRS84}
    if times is not None:
        extent["temporal"] = {"interval": [times], "trs": "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"}
    return found | ({"extent": extent} if extent else {})


def _extent(workspace: Workspace) -> Box | None:
    """The box around all objects in degrees; None without any, or where they have no place on the globe."""
    crs, geometries = workspace.store.crs, [item.geometry for item in workspace.store.objects()]
    if crs is None or not geometries:
        return None
    if crs.is_geographic:  # kept cut at the antimeridian: each part counts
        return box_of(to_lonlat(geometry, crs) for geometry in geometries)
    return lonlat_bounds(shapely.total_bounds(geometries), crs)


@router.get("/api/collections", tags=["objects"])
def collections(request: Request, workspace: CurrentWorkspace, user: User) -> Json:
    """There is one collection."""
    return {"links": [link(request, "self", "/api/collections")], "collections": [_collection(request, workspace)]}


@router.get("/api/collections/objects", tags=["objects"])
def collection(request: Request, workspace: CurrentWorkspace, user: User) -> Json:
    """The collection of objects."""
    return _collection(request, workspace)
