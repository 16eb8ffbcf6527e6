"""The routes of what is half done: shapes that are being drawn, and images that are finished or not."""

from __future__ import annotations

import re
from dataclasses import replace

from fastapi import APIRouter

from terraclick.errors import BadConfig, UnknownName
from terraclick.server.asking import StrictRoute
from terraclick.server.changes import Changeset, Mark, Swap
from terraclick.server.depends import CurrentWorkspace, Json, User, change_json, sketch_json
from terraclick.server.schemas import MarkBody, SketchBody
from terraclick.server.workspace import Workspace
from terraclick.store.values import StoredDraft

__all__ = ["router"]

router = APIRouter(route_class=StrictRoute)

MOST_SKETCHES = 200


def _sketches(workspace: Workspace, user: str) -> list[StoredDraft]:
    return [draft for draft in workspace.store.drafts() if draft.author == user and "tool" in draft.content]


@router.get("/api/sketches", tags=["click sessions"])
def sketches(workspace: CurrentWorkspace, user: User) -> Json:
    """Your half-drawn shapes, also those that a crash left."""
    held = workspace.hub.windows(user) - {user.window, ""}
    found = [sketch_json(workspace, draft) for draft in _sketches(workspace, user)]
    return {"sketches": [one | {"elsewhere": one["window"] in held} for one in found if one["image"] is not None]}


@router.put("/api/sketches/{name}", tags=["click sessions"])
def put_sketch(name: str, body: SketchBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Keep the corners of a half-drawn shape as they are now; without any it is gone."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise UnknownName(f"no half-drawn shape {name[:80]!r}: a name of letters, digits, - and _ was expected.")
    uuid = f"sketch-{name}"
    mine = _sketches(workspace, user)
    before = next((draft for draft in mine if draft.uuid == uuid), None)
    if before is None and any(draft.uuid == uuid for draft in workspace.store.drafts()):
        raise UnknownName(f"no half-drawn shape {name!r} of yours.")
    if before is None and len(mine) >= MOST_SKETCHES:
        raise BadConfig(f"{MOST_SKETCHES} shapes are half drawn: finish or clear some of them.")
    content = {"tool": body.tool, "points": body.points, "window": user.window}
    after = StoredDraft(uuid, user, workspace.scene(body.image).key, content) if body.points else None
    if after is not None:
        after = replace(after, author=str(user))
        workspace.store.save_draft(after)
    else:
        workspace.store.delete_draft(uuid)
    if body.finished and after is None:
        workspace.journal.fold_sketch(user, uuid)
        return change_json(workspace, "finish the drawing", Changeset("finish the drawing"))
    grown = len(body.points) - (0 if before is None else len(before.content["points"]))
    what = "clear the drawing" if after is None else "a corner" if grown > 0 else "a corner less"
    changeset = Changeset(what, sketches=(Swap(before, after),) if before or after else ())
    if changeset.sketches and user.window:
        workspace.objects.record(user, changeset)
    return change_json(workspace, what, changeset)


@router.put("/api/images/{image}/mark", tags=["images"])
def put_mark(image: str, body: MarkBody, workspace: CurrentWorkspace, user: User) -> Json:
    """Say that an image is done, or no longer."""
    scene = workspace.scene(image)
    state = workspace.store.image_marks().get(scene.key, "")
    before = Mark(scene.key, state) if state else None
    after = Mark(scene.key, body.state) if body.state else None
    changeset = Changeset(
        "mark the image as done" if after else "mark the image as not done", marks=(Swap(before, after),)
    )
    if before != after:
        workspace.store.mark_image(scene.key, body.state)
        workspace.objects.record(user, changeset)
    return change_json(workspace, changeset.name, changeset) | {"image": scene.id}
