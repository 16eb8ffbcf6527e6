"""The routes of imports: files of objects from a browser."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import shapely
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from terraclick.errors import BadConfig, BadData, NotGeoreferenced
from terraclick.geo.crs_text import crs_of_text
from terraclick.server import files, importing
from terraclick.server.asking import StrictRoute
from terraclick.server.changes import Author, Edit
from terraclick.server.depends import CurrentWorkspace, Json, User, change_json, counted
from terraclick.server.editing import collecting_later
from terraclick.server.images import Scene
from terraclick.server.readers import Readers
from terraclick.server.workspace import Workspace
from terraclick.store.fields import MapObject, like
from terraclick.store.outside import image_at

__all__ = ["router"]

router = APIRouter(route_class=StrictRoute)


@router.post("/api/import", tags=["files"])
async def import_polygons(
    request: Request,
    workspace: CurrentWorkspace,
    user: User,
    name: str,
    image: str | None = None,
    class_name: Annotated[str, Query(alias="class", max_length=200)] = "",
    crs: str | None = None,
) -> Json:
    """Polygons of a file (the body) as objects to correct."""
    with tempfile.TemporaryDirectory(prefix="terraclick-") as folder:
        with open(Path(folder) / "upload", "wb") as file:
            async for part in request.stream():
                file.write(part)
        readers = request.app.state.readers
        return await run_in_threadpool(_imported, workspace, user, name, Path(folder), image, class_name, crs, readers)


@router.post("/api/import/prepare", status_code=204, tags=["files"])
def prepare_import(user: User, request: Request) -> Response:
    """Say that a file is going to be imported, so that what reads it is ready by then."""
    request.app.state.readers.ready()
    return Response(status_code=204)


def _imported(
    workspace: Workspace,
    user: Author,
    name: str,
    folder: Path,
    image: str | None,
    class_name: str,
    crs: str | None,
    readers: Readers,
) -> Json:
    scene = None if image is None else workspace.scene(image)
    source = None if crs in (None, "", "pixels") else _system(workspace, str(crs), scene)
    in_pixels = crs == "pixels" or (workspace.store.crs is None and source is None)
    if workspace.store.crs is None and source is not None:
        raise NotGeoreferenced("this session keeps pixels: its images have no place on the Earth; leave crs out.")
    if crs == "pixels" and scene is None and workspace.store.crs is not None:
        raise BadConfig("pixels of which image? Add image=ID.")
    tell = workspace.objects.telling_of(user)
    found = importing.read_upload(
        name,
        folder,
        None if in_pixels else workspace.store.crs,
        importing.LIMITS,
        lambda: tell(0, 0),
        source,
        crs == "pixels",
        readers,
    )
    with collecting_later(len(found.geometries)):
        return _kept_of(workspace, user, name, found, scene, class_name, in_pixels)


def _kept_of(
    workspace: Workspace,
    user: Author,
    name: str,
    found: importing.Uploaded,
    scene: Scene | None,
    class_name: str,
    in_pixels: bool,
) -> Json:
    """Keep what a file held as objects on their images; say what was left out. Raises BadData if nothing is left."""
    left = dict(found.left_out)
    shapes = found.geometries
    if in_pixels and workspace.store.crs is not None and scene is not None:
        shapes = workspace.converter.from_pixels(shapes, scene)
    keys = _images_of(workspace, shapes, scene)
    plain = lru_cache(maxsize=None)(files.plain)  # the same few words again and again
    blank = MapObject(geometry=shapely.Polygon(), status="imported", model="import", author=user)
    edits = []
    rows = zip(shapes, keys, found.class_names, found.labels, found.attributes, strict=True)
    for geometry, key, own_class, label, attributes in rows:
        if key is None:
            left[OFF] = left.get(OFF, 0) + 1
            continue
        item = like(
            blank,
            geometry=geometry,
            image=key,
            class_name=class_name or plain(own_class),
            label=plain(label),
            attributes=attributes,
        )
        edits.append(Edit(item, None, (), None, "add"))
    reasons = [{"reason": reason, "count": number} for reason, number in left.items()]
    if not edits:
        said = "; ".join(f"{number}: {reason}" for reason, number in left.items())
        raise BadData(f"{name[:80]} holds no object that can be kept ({said or 'it is empty'}).")
    changeset = workspace.objects.change(user, f"import {counted(len(edits))}", edits)
    answer = change_json(workspace, "import", changeset, brief=bool(user.window))
    by_image: dict[str, int] = {}
    for edit in edits:
        one = workspace.by_key.get(edit.item.image)
        by_image[one.id if one else ""] = by_image.get(one.id if one else "", 0) + 1
    return answer | {"imported": len(edits), "left_out": reasons, "by_image": by_image}


OFF = "it lies on no image of this session"


def _system(workspace: Workspace, text: str, scene: Scene | None) -> str:
    """The WKT of what a request says the file is in: session, image, EPSG:n and the like. Raises BadConfig, BadData."""
    if text == "session" and workspace.store.crs is not None:
        return str(workspace.store.crs.to_wkt())
    if text == "image" and scene is not None and scene.grid.crs is not None:
        return str(scene.grid.crs.to_wkt())
    return str(crs_of_text(text).to_wkt())


def _images_of(workspace: Workspace, shapes: Sequence[Any], scene: Scene | None) -> list[str | None]:
    """The image of each outline: the chosen one if it touches that, else the one that holds most of it, or None."""
    if workspace.store.crs is None:
        known = {key: shapely.box(0, 0, one.shape[1], one.shape[0]) for key, one in workspace.by_key.items()}
        known = known if scene is None else {scene.key: known[scene.key]}
    else:
        known = workspace.store.footprints()
    if not known:
        return [""] * len(shapes)
    own = None if scene is None else known.get(scene.key)
    touches = [False] * len(shapes) if own is None else shapely.intersects(own, np.array(shapes, dtype=object)).tolist()
    return [
        scene.key if touched and scene is not None else image_at(shape, known)
        for shape, touched in zip(shapes, touches, strict=True)
    ]
