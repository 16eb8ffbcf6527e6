"""The routes that move, copy and take apart several objects in one act."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from fastapi import APIRouter

from terraclick.errors import BadData
from terraclick.geo.kinds import extent_of, parts_of_kind
from terraclick.server.asking import StrictRoute
from terraclick.server.changes import Edit
from terraclick.server.depends import CurrentWorkspace, Json, User, change_json, counted
from terraclick.server.features import as_shape, shape_of
from terraclick.server.routes.objects import fetched, unlike
from terraclick.server.schemas import CopyBody, ManyBody, PlacedBody

__all__ = ["router"]

router = APIRouter(route_class=StrictRoute)


@router.post("/api/objects/place", tags=["objects"])
def place(body: PlacedBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Several objects elsewhere: moved, turned, or with other corners, which neighbours of coverage classes share."""
    edits = []
    for which in body.objects:
        item = workspace.store.get(which.id)
        geometry = workspace.converter.into(shape_of(which.geometry), "pixels", workspace.converter.scene_of(item))
        edits.append(Edit(replace(item, geometry=geometry, author=user), which.rev))
    name = f"{'edit' if body.corners else 'move'} {counted(len(edits))}"
    return change_json(workspace, "place", workspace.objects.change(user, name, edits, corners=body.corners))


@router.post("/api/objects/copy", tags=["objects"])
def copy(body: CopyBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Copies of objects, so many pixels away, on the same or another image."""
    edits = []
    for which in unlike(body.objects):
        item, scene = fetched(workspace, which.id, which.rev)
        pixels = shapely.transform(
            workspace.converter.pixels(item.geometry, scene), lambda xy: np.add(xy, (body.dx, body.dy))
        )
        target = scene if body.image is None else workspace.scene(body.image)
        fresh = replace(
            item,
            uuid="",
            rev=0,
            geometry=workspace.converter.into(as_shape(pixels), "pixels", target),
            image="" if target is None else target.key,
            author=user,
            created="",
            updated="",
        )
        edits.append(Edit(fresh, None, (), None, "add"))
    return change_json(workspace, "copy", workspace.objects.change(user, f"copy {counted(len(edits))}", edits))


@router.post("/api/objects/explode", tags=["objects"])
def explode(body: ManyBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Every part of the objects as an object of its own; the largest keeps the id."""
    edits = []
    for which in unlike(body.objects):
        item, _ = fetched(workspace, which.id, which.rev)
        parts = parts_of_kind(item.geometry)
        parts = [parts[at] for at in np.argsort(-extent_of(parts), kind="stable")]
        if len(parts) < 2:
            continue
        edits.append(Edit(replace(item, geometry=as_shape(parts[0]), author=user), item.rev))
        for part in parts[1:]:
            fresh = replace(item, geometry=as_shape(part), uuid="", rev=0, created="", updated="", author=user)
            edits.append(Edit(fresh, None, (), None, "add"))
    if not edits:
        raise BadData("none of these objects has several parts: there is nothing to take apart.")
    return change_json(workspace, "explode", workspace.objects.change(user, f"separate {counted(len(edits))}", edits))
