"""The routes of classes, examples and exports."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from urllib.parse import quote

from affine import Affine
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from terraclick.errors import BadConfig, Conflict, UnknownName
from terraclick.formats.common.collection import Picture, collected, renamed
from terraclick.geo.grid import Grid
from terraclick.server import files, shaping
from terraclick.server.asking import StrictRoute
from terraclick.server.changes import Changeset, Edit, Swap
from terraclick.server.depends import CurrentWorkspace, Json, User, change_json, counted, proposals_json
from terraclick.server.routes.clicks import click_settings_of
from terraclick.server.schemas import (
    ClassBody,
    ExportBody,
    ProposalAcceptBody,
    ProposalBody,
    ProposalRefuseBody,
    ReferenceBody,
    ShownBody,
)
from terraclick.store.fields import MapObject
from terraclick.store.identity import unique_names
from terraclick.store.rows import usable_columns
from terraclick.store.values import MapClass, StoredReference
from terraclick.values import Target

__all__ = ["router"]

router = APIRouter(route_class=StrictRoute)


def _class_json(item: MapClass, objects: int) -> Json:
    return {
        "name": item.name,
        "colour": item.colour,
        "key": item.key,
        "kind": item.kind,
        "schema": usable_columns(item.schema),
        "objects": objects,
    }


@router.get("/api/classes", tags=["classes"])
def classes(workspace: CurrentWorkspace, user: User) -> Json:
    """All classes."""
    counts = workspace.objects.counts()["class"]
    return {"classes": [_class_json(item, counts.get(item.name, 0)) for item in workspace.store.classes()]}


@router.put("/api/classes/{name:path}", tags=["classes"])
def put_class(name: str, body: ClassBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Make or change a class; with another name, its objects follow."""
    _check_name(name)
    old = next((item for item in workspace.store.classes() if item.name == name), MapClass(name))
    given = body.model_dump(by_alias=True, exclude_none=True)
    new_name = given.pop("name", name)
    _check_name(new_name)
    before = next((item for item in workspace.store.classes() if item.name == name), None)
    with workspace.store.transaction():
        workspace.store.set_class(replace(old, **given))
        if new_name != name:
            workspace.store.rename_class(name, new_name)
        after = next(item for item in workspace.store.classes() if item.name == new_name)
    if before != after:
        what = f"new class {new_name}" if before is None else f"change class {name}"
        workspace.objects.record(user, Changeset(what, classes=(Swap(before, after),)))
    found = next(item for item in workspace.store.classes() if item.name == new_name)
    return _class_json(found, workspace.objects.counts()["class"].get(new_name, 0))


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > 200 or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise BadConfig("a class needs a name of 1 to 200 letters.")


@router.delete("/api/classes/{name:path}", status_code=204, tags=["classes"])
def delete_class(name: str, workspace: CurrentWorkspace, user: User, move_to: str | None = None) -> Response:
    """Take a class away; its objects move to another one."""
    known = {item.name for item in workspace.store.classes()}
    if name not in known:
        raise UnknownName(f"no class {name[:80]!r}: see /api/classes.")
    if move_to is not None and move_to not in known - {name}:
        raise UnknownName(f"no class {move_to[:80]!r} to move to: see /api/classes.")
    found = workspace.store.objects(class_name=name)
    if found and move_to is None:
        raise Conflict(f"{len(found)} objects are {name}: say with move_to which class they become.")
    edits = [Edit(replace(item, class_name=move_to or "", author=user), item.rev) for item in found]
    workspace.objects.change(user, f"delete class {name}", edits, None, lambda: workspace.store.delete_class(name))
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
def references(
    workspace: CurrentWorkspace, user: User, class_name: Annotated[str | None, Query(alias="class")] = None
) -> Json:
    """Saved examples."""
    return {"references": [_reference_json(item) for item in workspace.store.references(class_name)]}


@router.post("/api/references", status_code=201, tags=["examples"])
def add_reference(body: ReferenceBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Keep an example."""
    if body.object is not None:
        item = workspace.store.get(body.object)
        class_name = item.class_name if body.class_name is None else body.class_name
        found = workspace.examples.from_object(item, class_name, body.positive)
    elif body.image_png is not None and body.mask_png is not None:
        found = workspace.examples.from_png(body.image_png, body.mask_png, body.class_name or "", body.positive)
    else:
        raise BadConfig("an example needs object, or image_png and mask_png.")
    what = "add an example" if found.reference.positive else "add a counter-example"
    workspace.objects.record(user, Changeset(what, references=(Swap(None, found),)))
    return _reference_json(found)


@router.get("/api/references/{uuid}/picture", tags=["examples"])
def picture(uuid: str, workspace: CurrentWorkspace, user: User) -> Response:
    """An example's picture, dimmed where it is not meant."""
    for item in workspace.store.references():
        if item.uuid == uuid:
            return Response(shaping.dimmed(item.reference), media_type="image/png")
    raise UnknownName(f"no example {uuid[:80]!r}: it may have been deleted.")


@router.delete("/api/references/{uuid}", status_code=204, tags=["examples"])
def delete_reference(uuid: str, workspace: CurrentWorkspace, user: User) -> Response:
    """Take an example away."""
    known = {item.uuid: item for item in workspace.store.references()}
    workspace.store.delete_reference(uuid)
    if uuid in known:
        workspace.objects.record(user, Changeset("remove an example", references=(Swap(known[uuid], None),)))
    return Response(status_code=204)


@router.post("/api/proposals", tags=["examples"])
async def proposals(body: ProposalBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Find the rest: all that looks like the examples, best first."""
    scene = workspace.scene(body.image)
    names = await run_in_threadpool(workspace.examples.ids, body.references, body.class_name)
    rows, cols = scene.shape
    view = body.view or ShownBody(bounds=[0, 0, cols, rows])
    settings = click_settings_of(Target.CLASS, names, view)
    found = await workspace.propose(user, scene, body.class_name, settings, body.limit, body.simplify_m, body.square)
    return proposals_json(found)


@router.post("/api/proposals/{name}/accept", tags=["examples"])
def accept_proposals(name: str, body: ProposalAcceptBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Keep proposals as objects."""
    found = workspace.proposals.get(name, user)
    found.scene.check()
    class_name = found.class_name if body.class_name is None else body.class_name
    model = workspace.model
    edits, decisions = [], []
    for number in dict.fromkeys(body.items):
        shape = found.shape(number)
        geometry = workspace.objects.to_store(shape, found.scene)
        item = MapObject(
            geometry=workspace.objects.bordered(geometry, shape.pixels.area, class_name, found.scene, None),
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
        decisions.append(found.decision(number, "kept"))
    changeset = workspace.objects.change(user, f"accept {counted(len(edits), 'proposal')}", edits, decisions=decisions)
    return change_json(workspace, "accept", changeset)


@router.post("/api/proposals/{name}/refuse", tags=["examples"])
def refuse_proposals(name: str, body: ProposalRefuseBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Take proposals out of the list; undo puts them back."""
    found = workspace.proposals.get(name, user)
    decisions = [found.decision(number, "refused") for number in dict.fromkeys(body.items)]
    changeset = Changeset(f"refuse {counted(len(decisions), 'proposal')}", decisions=tuple(decisions))
    workspace.proposals.decide(decisions)
    workspace.objects.record(user, changeset)
    return change_json(workspace, "refuse", changeset)


@router.delete("/api/proposals/{name}", status_code=204, tags=["examples"])
def close_proposals(name: str, workspace: CurrentWorkspace, user: User) -> Response:
    """Show proposals no longer."""
    workspace.proposals.close(name, user)
    return Response(status_code=204)


# --- export -----------------------------------------------------------------------------------------------------------


@router.get("/api/formats", tags=["files"])
def formats(user: User) -> Json:
    """What can be written."""
    return {"formats": files.formats()}


@router.post("/api/exports", status_code=201, tags=["files"])
def export(body: ExportBody, workspace: CurrentWorkspace, user: User, request: Request) -> Json:
    """Write objects to the output folder."""
    scene = None if body.image is None else workspace.scene(body.image)
    found = workspace.store.objects(None if scene is None else scene.key, body.class_name, body.status)
    whole = collected(workspace.store, found)
    names = {image.path: files.base_name(image.path) for image in whole.images}
    names = unique_names(names | {key: one.name for key, one in workspace.by_key.items()})
    all_shown = [one for one in workspace.by_key.values() if one.key in whole.image_keys]
    shown = all_shown if scene is None else [scene]
    pixels = workspace.store.crs is None
    pictures = [
        Picture(one.key, names[one.key], Grid(Affine.identity(), None, one.shape) if pixels else one.grid, one.hash)
        for one in shown
    ]
    whole = renamed(replace(whole, pictures=tuple(pictures)), names)
    written = request.app.state.exports.write(whole, body.format, body.name, body.crs, body.overwrite)
    return _placed(request, written)


@router.get("/api/exports", tags=["files"])
def exports(user: User, request: Request) -> Json:
    """What was written since the start."""
    return {"exports": [_placed(request, one) for one in request.app.state.exports.listed()]}


def _placed(request: Request, written: Json) -> Json:
    """An export with its address below the prefix of a proxy."""
    return written | {"url": request.state.prefix + written["url"]}


@router.get("/api/exports/{name}", tags=["files"])
def download(name: str, user: User, request: Request) -> Response:
    """One of the files written since the start."""
    data, file_name, media = request.app.state.exports.read(name)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file_name)}"}
    return Response(data, media_type=media, headers=headers)
