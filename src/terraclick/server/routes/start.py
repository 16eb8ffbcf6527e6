"""Routes to begin with: who you are, what answers, where it is saved; and what happens, as it happens."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from terraclick.server.asking import StrictRoute
from terraclick.server.depends import CurrentWorkspace, Json, User
from terraclick.server.features import crs_name
from terraclick.server.work import Work
from terraclick.store.rows import SetAside
from terraclick.store.values import STATUSES
from terraclick.values import Target

__all__ = ["router", "set_aside_json"]

router = APIRouter(route_class=StrictRoute)


@router.get("/api/state", tags=["start"])
def state(workspace: CurrentWorkspace, user: User, request: Request) -> Json:
    """Who you are, what answers, where it is saved, and how far the work is."""
    counts = workspace.objects.counts()
    work = Work(workspace)
    undo, redo = workspace.journal.names(user)
    crs = workspace.store.crs
    model = workspace.model
    return {
        "version": version("terraclick"),
        "user": user,
        "users": request.app.state.users,
        "model": {"name": model.name, "hash": model.hash, "summary": model.summary},
        "targets": [target.value for target in Target],
        "statuses": list(STATUSES),
        "session": {
            "name": request.app.state.session_name,
            "crs": crs_name(crs),
            "crs_name": None if crs is None else crs.name,
        },
        "set_aside": set_aside_json(workspace.store.set_aside()),
        "images": len(workspace.scenes),
        "objects": sum(counts["status"].values()),
        "counts": {name: counts[name] for name in ("status", "class")},
        "work": {
            scene.id: told for scene in workspace.scenes.values() if (told := work.of(scene))["state"] != "untouched"
        },
        "can_undo": undo[0] if undo else None,
        "can_redo": redo[0] if redo else None,
    }


def set_aside_json(rows: Sequence[SetAside]) -> Json:
    """Rows of the session that cannot be used as they are: how many, and the first hundred by name."""
    return {
        "count": len(rows),
        "rows": [{"table": row.table, "row": row.row, "reason": row.reason} for row in rows[:100]],
    }


@router.get("/api/events", tags=["start"])
async def events(
    workspace: CurrentWorkspace,
    user: User,
    window: Annotated[str, Query(max_length=64, pattern=r"^[A-Za-z0-9_-]*$")] = "",
) -> StreamingResponse:
    """What happens, as server-sent events; `window` says which window of the map listens."""
    stream = workspace.hub.listen(user, {"user": user, "version": version("terraclick")}, window)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
