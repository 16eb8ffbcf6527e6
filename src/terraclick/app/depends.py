"""What routes ask for, and how they tell of changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, Request

from terraclick.app.journal import Deed
from terraclick.app.workspace import Workspace

__all__ = ["Json", "Space", "User", "change_json", "features_of", "given_of", "tenth"]


def _workspace(request: Request) -> Workspace:
    space: Workspace = request.app.state.workspace
    return space


def _user(request: Request) -> str:
    return str(request.state.user)


Space = Annotated[Workspace, Depends(_workspace)]
User = Annotated[str, Depends(_user)]
Json = dict[str, Any]


def features_of(space: Workspace, deed: Deed) -> list[Json]:
    """The objects that a deed left, in pixels of their images."""
    return [space.places.feature(change.after.item) for change in deed.changes if change.after is not None]


def change_json(space: Workspace, act: str, deed: Deed, session: Json | None = None) -> Json:
    """What a map draws anew and takes away after a deed."""
    deleted = [change.uuid for change in deed.changes if change.after is None]
    return {"act": act, "objects": features_of(space, deed), "deleted": deleted, "session": session}


def given_of(body: Any) -> Json:
    """The fields that were given, by the names of the interface."""
    return {key: value for key, value in body.model_dump(by_alias=True).items() if value is not None}


def tenth(bounds: Sequence[float]) -> float:
    """A tenth of the longer side of bounds; 1 where they are a point."""
    return max(bounds[2] - bounds[0], bounds[3] - bounds[1]) / 10 or 1.0
