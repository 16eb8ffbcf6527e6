"""The interface of the SegMap plug-in's server, version 1: a picture and its clicks in, polygons out.

Written from the published description of that interface and from what its plug-in reads of the answers. Coordinates
are pixels of the picture, x right, y down. A picture is base64 of its bytes in the order channel, row, column. Nothing
is kept but the latest encodings.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
import time
from collections import OrderedDict
from typing import Annotated, Any

import numpy as np
import shapely
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from numpy.typing import NDArray
from pydantic import BaseModel, Field, FiniteFloat
from starlette.concurrency import run_in_threadpool

from terraclick.core.cleaning import clean
from terraclick.core.click_sequence import ClickSequence
from terraclick.errors import BadClick, BadData, TerraClickError, UnknownName
from terraclick.geo.grid import Grid
from terraclick.geo.polygonize import polygonize, rasterize
from terraclick.server.asking import StrictRoute
from terraclick.server.depends import CurrentWorkspace, Json, User
from terraclick.server.features import area_geometry_of
from terraclick.server.worker import Priority
from terraclick.server.workspace import Workspace
from terraclick.values import Click, Target, View

__all__ = ["router", "segmap_error"]

router = APIRouter(route_class=StrictRoute)

SIDE = 4096
CLICKS = 200
KEPT = 4
"""So many encoded pictures are kept, for the plug-in sends the same one with every click."""


class SegmentBody(BaseModel):
    """What the SegMap plug-in sends; fields that it may add are ignored."""

    image: str
    clicks: Annotated[list[Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]], Field(max_length=CLICKS)]
    width: Annotated[int, Field(ge=1, le=SIDE)]
    height: Annotated[int, Field(ge=1, le=SIDE)]
    channel: Annotated[int, Field(ge=1, le=4)] = 3
    model_id: Annotated[str | None, Field(max_length=200)] = None
    previous_mask: Annotated[list[Any] | None, Field(max_length=1000)] = None


class Remembered:
    """The latest encoded pictures, by what they were made of."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str, make: Any) -> Any:
        """The encoding under a key, made if it is not there."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = make()
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found


def _picture(body: SegmentBody) -> NDArray[np.uint8]:
    """The picture (H, W, 3). Raises BadData."""
    try:
        data = base64.b64decode(body.image, validate=True)
    except (binascii.Error, ValueError):
        raise BadData("image is not base64.") from None
    wanted = body.channel * body.height * body.width
    if len(data) != wanted:
        raise BadData(f"image has {len(data)} bytes: channel x height x width are {wanted}.")
    planes = np.frombuffer(data, np.uint8).reshape(body.channel, body.height, body.width)
    chosen = planes[:3] if body.channel >= 3 else planes[[0, 0, 0]]
    return np.ascontiguousarray(np.moveaxis(chosen, 0, 2))


def _model_json(workspace: Workspace) -> Json:
    model = workspace.model
    return {
        "id": model.name,
        "name": model.name,
        "input_channels": 3,
        "description": model.summary,
        "version": model.hash,
    }


@router.get("/v1/models", tags=["SegMap"])
def models(workspace: CurrentWorkspace, user: User) -> list[Json]:
    """The model of this server: a list, which is what the SegMap plug-in reads."""
    return [_model_json(workspace)]


@router.post("/v1/segment", tags=["SegMap"])
async def segment(body: SegmentBody, workspace: CurrentWorkspace, user: User, request: Request) -> Any:
    """The polygons that the clicks on a picture mean, as the SegMap plug-in asks for them."""
    begun = time.perf_counter()
    state = request.app.state
    if not hasattr(state, "segmap"):
        state.segmap = Remembered()
    try:
        polygons = await run_in_threadpool(_answer, body, workspace, state.segmap)
    except TerraClickError as error:
        code = "invalid_shape" if isinstance(error, BadData) else "model_not_found"
        code = "invalid_clicks" if isinstance(error, BadClick) else code
        return segmap_error(code, str(error), 422)
    return {
        "segmentation": polygons,
        "model_used": workspace.model.name,
        "processing_time": round(time.perf_counter() - begun, 3),
        "timestamp": workspace.now(),
    }


def segmap_error(code: str, message: str, status: int) -> JSONResponse:
    """An error as that interface tells it."""
    return JSONResponse({"error": {"code": code, "message": " ".join(message.split())}}, status)


def _clicks(body: SegmentBody, rows: int, cols: int) -> list[Click]:
    """The clicks that lie on the picture; the plug-in also sends those that the map was moved away from.

    Raises BadClick where no including click is left.
    """
    inside = [click for click in body.clicks if 0 <= click[0] < cols and 0 <= click[1] < rows]
    for x, y, positive in body.clicks:
        if positive > 0 and not any(click[2] > 0 for click in inside):
            raise BadClick(f"the click {x:g}, {y:g} lies outside the picture of {cols} x {rows} pixels.")
    return [Click(float(int(y)), float(int(x)), positive > 0) for x, y, positive in inside]


def _answer(body: SegmentBody, workspace: Workspace, remembered: Remembered) -> list[Json]:
    model = workspace.model
    if body.model_id not in (None, "", model.name):
        raise UnknownName(f"no model {body.model_id!r} here: {model.name} answers.")
    picture = _picture(body)
    rows, cols = picture.shape[:2]
    clicks = _clicks(body, rows, cols)
    if not clicks:
        return []
    grid = Grid.from_bounds((0, 0, cols, rows), (rows, cols), None)
    sequence = ClickSequence(Target.OBJECT, ())
    if body.previous_mask:
        mask = rasterize([area_geometry_of(part) for part in body.previous_mask], grid)
        sequence = ClickSequence.from_mask(mask, Target.OBJECT, ()) if mask.any() else sequence
    key = hashlib.sha256(picture.tobytes() + repr(picture.shape).encode()).hexdigest()

    def work() -> ClickSequence:
        encoded = remembered.get(key, lambda: model.predictor.encode(View(picture)))
        return sequence.answer(clicks, model.predictor, encoded)

    answered = workspace.answering.worker.submit(Priority.CLICK, work).result()
    parts = polygonize(clean(answered, None), grid, within=grid)
    return [dict(shapely.geometry.mapping(part)) for part in parts]
