"""The routes by which programs add images to a running server."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field, FiniteFloat
from starlette.concurrency import run_in_threadpool

from terraclick.server.adding import decoded_png
from terraclick.server.asking import StrictRoute
from terraclick.server.depends import CurrentWorkspace, Json, User
from terraclick.server.schemas import Body, Text
from terraclick.server.work import Work, image_json

__all__ = ["router"]

router = APIRouter(route_class=StrictRoute)


class FileBody(Body):
    """A file on the server's disk, under one of the folders it allows."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]


class PixelsBody(Body):
    """A window of pixels as a PNG or JPEG in base64, and where it lies."""

    image_png: str
    transform: Annotated[list[FiniteFloat], Field(min_length=6, max_length=6)]
    crs: Annotated[str | None, Field(max_length=40_000)] = None
    name: Text = "window"


@router.post("/api/images", status_code=201, tags=["images"])
async def add_file(body: FileBody, workspace: CurrentWorkspace, user: User, request: Request) -> Json:
    """Add an image by its path on the server's disk, under one of the folders of --root."""
    scene = await run_in_threadpool(request.app.state.adding.file, body.path)
    folders = request.app.state.folders
    folders += [folder for folder in {str(scene.path.parent)} if folder not in folders and len(folder) > 1]
    return await run_in_threadpool(image_json, workspace, scene, Work(workspace))


@router.post("/api/images/pixels", status_code=201, tags=["images"])
async def add_pixels(body: PixelsBody, workspace: CurrentWorkspace, user: User, request: Request) -> Json:
    """Add a window of pixels as an image; the same window twice is one image."""

    def take() -> Json:
        picture = decoded_png(body.image_png, "image_png")
        return image_json(
            workspace, request.app.state.adding.window(body.name, picture, body.transform, body.crs), Work(workspace)
        )

    return await run_in_threadpool(take)
