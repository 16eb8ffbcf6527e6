"""What a map does with objects that are there: several at once, cut, split, shaped; undo and redo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import shapely
from fastapi import APIRouter, Response
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadConfig, BadData, Conflict
from terraclick.geo.kinds import kind_of
from terraclick.server import shaping
from terraclick.server.asking import StrictRoute
from terraclick.server.changes import Edit
from terraclick.server.chronology import turn
from terraclick.server.clicking import AreaGeometry
from terraclick.server.depends import CurrentWorkspace, Json, User, change_json, counted, given_of, with_given
from terraclick.server.editing import collecting_later
from terraclick.server.features import area_geometry_of, as_shape, line_of
from terraclick.server.images import Scene
from terraclick.server.routes.items import bordered
from terraclick.server.schemas import (
    GeometryBody,
    LineBody,
    ManyBody,
    MergeBody,
    SetBody,
    ShapeBody,
    ShapeManyBody,
    Which,
)
from terraclick.server.workspace import Workspace
from terraclick.store.fields import MapObject

__all__ = ["fetched", "router", "unlike"]

router = APIRouter(route_class=StrictRoute)


def fetched(workspace: Workspace, uuid: str, rev: int | None) -> tuple[MapObject, Scene | None]:
    """An object at the revision it was seen at. Raises Conflict, UnknownName."""
    item = workspace.store.get(uuid)
    if rev is not None and rev != item.rev:
        sentence = f"object {uuid} is at revision {item.rev}, yours is {rev}: reload it and apply your change again."
        raise Conflict(sentence, None, item)
    return item, workspace.converter.scene_of(item)


def _all_fetched(workspace: Workspace, objects: Sequence[Which]) -> dict[str, MapObject]:
    """Objects at the revisions they were seen at. Raises Conflict, UnknownName."""
    wanted = unlike(objects)
    found = workspace.store.get_many([which.id for which in wanted])
    for which in wanted:
        item = found.get(which.id)
        if item is None or (which.rev is not None and which.rev != item.rev):
            fetched(workspace, which.id, which.rev)  # says what is wrong
    return {which.id: found[which.id] for which in wanted}


@router.post("/api/objects/merge", tags=["objects"])
def merge(body: MergeBody, workspace: CurrentWorkspace, user: User) -> Json:
    """One object of several."""
    found = list(_all_fetched(workspace, body.objects).values())
    first, *rest = found
    geometry = _merged([item.geometry for item in found])
    edits = [Edit(replace(first, geometry=geometry, author=user), first.rev)]
    edits += [Edit(item, item.rev, kind="delete") for item in rest]
    return change_json(workspace, "merge", workspace.objects.change(user, f"merge {counted(len(found))}", edits))


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
def set_many(body: SetBody, workspace: CurrentWorkspace, user: User) -> Json:
    """The same class, status, label or attributes for several."""
    given = given_of(body, {"objects"})
    if not given:
        raise BadConfig("nothing to set: give class, status, label or attributes.")
    known: dict[str, MapObject] = {}

    def edits() -> list[Edit]:
        known.update(_all_fetched(workspace, body.objects))
        return [Edit(with_given(item, given, user, merge=True), item.rev) for item in known.values()]

    with collecting_later(len(body.objects)):
        changeset = workspace.objects.change(user, f"change {counted(len(unlike(body.objects)))}", edits, known=known)
        return change_json(workspace, "set", changeset, brief=bool(user.window))


@router.post("/api/objects/delete", tags=["objects"])
def delete_many(body: ManyBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Several objects away."""
    edits = [Edit(item, item.rev, kind="delete") for item in _all_fetched(workspace, body.objects).values()]
    return change_json(workspace, "delete", workspace.objects.change(user, f"delete {counted(len(edits))}", edits))


@router.post("/api/objects/shape", tags=["objects"])
def reshape_many(body: ShapeManyBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Several objects with fewer vertices, or right angles."""
    edits = []
    for item in _all_fetched(workspace, body.objects).values():
        geometry = _reshaped_geometry(workspace, item, body.simplify_m, body.square)
        edits.append(Edit(replace(item, geometry=geometry, author=user), item.rev))
    return change_json(workspace, "shape", workspace.objects.change(user, f"shape {counted(len(edits))}", edits))


@router.post("/api/objects/{uuid}/split", tags=["objects"])
def split(uuid: str, body: LineBody, workspace: CurrentWorkspace, user: User) -> Json:
    """An object in parts along a line."""
    item, scene = fetched(workspace, uuid, body.rev)
    parts = shaping.split(workspace.converter.polygon(item, scene), line_of(body.line))
    first, *rest = (workspace.converter.into(part, "pixels", scene) for part in parts)
    edits = [Edit(replace(item, geometry=first, author=user), item.rev)]
    for part in rest:
        copy = replace(item, geometry=part, uuid="", rev=0, created="", updated="", author=user)
        edits.append(Edit(copy, None, (), None, "add"))
    return change_json(
        workspace, "split", workspace.objects.change(user, f"split {item.class_name or 'object'}", edits)
    )


@router.post("/api/objects/{uuid}/cut", tags=["objects"])
def cut(uuid: str, body: GeometryBody, workspace: CurrentWorkspace, user: User) -> Json:
    """A hole in an object, or a piece off."""
    item, scene = fetched(workspace, uuid, body.rev)
    left = shaping.without(workspace.converter.polygon(item, scene), area_geometry_of(body.geometry))
    return _reshaped(workspace, user, "cut", item, workspace.converter.into(left, "pixels", scene))


@router.post("/api/objects/{uuid}/add", tags=["objects"])
def add(uuid: str, body: GeometryBody, workspace: CurrentWorkspace, user: User) -> Json:
    """A piece painted on."""
    item, scene = fetched(workspace, uuid, body.rev)
    whole = shaping.merged([workspace.converter.polygon(item, scene), area_geometry_of(body.geometry)])
    geometry = bordered(workspace, workspace.converter.into(whole, "pixels", scene), item.class_name, scene, uuid)
    return _reshaped(workspace, user, "add", item, geometry)


@router.post("/api/objects/{uuid}/shape", tags=["objects"])
def reshape(uuid: str, body: ShapeBody, workspace: CurrentWorkspace, user: User) -> Json:
    """An object with fewer vertices, or right angles."""
    item, _ = fetched(workspace, uuid, body.rev)
    return _reshaped(workspace, user, "shape", item, _reshaped_geometry(workspace, item, body.simplify_m, body.square))


def _reshaped_geometry(workspace: Workspace, item: MapObject, simplify_m: float, square: bool) -> AreaGeometry:
    """An object's outline with fewer vertices, or right angles. Raises BadConfig."""
    scene = workspace.converter.scene_of(item)
    if scene is None:
        raise BadConfig("this object belongs to no image of this server: it cannot be reshaped here.")
    shape = shaping.reshaped(workspace.converter.polygon(item, scene), scene, simplify_m, square)
    return workspace.objects.to_store(shape, scene)


def _reshaped(workspace: Workspace, user: str, act: str, item: MapObject, geometry: AreaGeometry) -> Json:
    changeset = workspace.objects.change(
        user, f"{act} {item.class_name or 'object'}", [Edit(replace(item, geometry=geometry, author=user), item.rev)]
    )
    return change_json(workspace, act, changeset)


@router.post("/api/acts/{act}/cancel", status_code=204, tags=["objects"])
def cancel_act(act: str, workspace: CurrentWorkspace, user: User) -> Response:
    """Give up an act on many objects that is going on; nothing is changed then."""
    workspace.objects.cancel_act(user, act[:64])
    return Response(status_code=204)


@router.get("/api/undo", tags=["objects"])
def undoable(workspace: CurrentWorkspace, user: User) -> Json:
    """What you can undo and redo, newest first."""
    undo, redo = workspace.journal.names(user)
    return {"undo": undo, "redo": redo}


@router.post("/api/undo", tags=["objects"])
async def undo(workspace: CurrentWorkspace, user: User) -> Json:
    """Your latest act in this window undone; an accept gives its click session back."""
    return await turn(workspace, user, "undo")


@router.post("/api/redo", tags=["objects"])
async def redo(workspace: CurrentWorkspace, user: User) -> Json:
    """The act undone last, again."""
    return await turn(workspace, user, "redo")
