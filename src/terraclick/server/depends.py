"""What routes ask for, and how they tell of changes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence, Set
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, Request

from terraclick.errors import BadInput
from terraclick.server.changes import Author, Change, Changeset
from terraclick.server.features import outline_json
from terraclick.server.objects import MANY
from terraclick.server.proposals import ProposalList
from terraclick.server.workspace import Workspace
from terraclick.store.fields import COLUMNS, MapObject, edited
from terraclick.store.values import StoredDraft

__all__ = [
    "CurrentWorkspace",
    "Json",
    "User",
    "change_json",
    "counted",
    "features_of",
    "given_of",
    "proposals_json",
    "sketch_json",
    "tenth",
    "with_given",
]

WINDOW, ACT, HAND = "TerraClick-Window", "TerraClick-Act", "TerraClick-Hand"
"""Headers of the map: the window a request comes from, the act it is a part of, what was in the hand."""


def _workspace(request: Request) -> Workspace:
    workspace: Workspace = request.app.state.workspace
    return workspace


def _user(request: Request) -> Author:
    """Whose request it is, with what the headers say of the window it comes from (see docs/server.md)."""
    window, act = (_name_in(request, header) for header in (WINDOW, ACT))
    return Author(str(request.state.user), window, _hand_in(request), act)


def _name_in(request: Request, header: str) -> str:
    text = request.headers.get(header, "")
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,64}", text):
        raise BadInput(f"{header} was {text[:40]!r}: up to 64 letters, digits, - and _ were expected.")
    return text


def _hand_in(request: Request) -> dict[str, str] | None:
    """Class and target that were in the hand, as percent-encoded JSON; None where nothing of use is said."""
    try:
        given = json.loads(unquote(request.headers.get(HAND, "")[:2000]) or "null")
    except (ValueError, RecursionError):
        raise BadInput(f"{HAND} is not JSON: an object with class and target was expected.") from None
    if not isinstance(given, dict):
        return None
    return {name: str(given[name])[:200] for name in ("class", "target") if isinstance(given.get(name), str)}


CurrentWorkspace = Annotated[Workspace, Depends(_workspace)]
User = Annotated[Author, Depends(_user)]
Json = dict[str, Any]


def features_of(workspace: Workspace, changeset: Changeset) -> list[Json]:
    """The objects that a changeset left, in pixels of their images."""
    return [workspace.converter.feature(change.after.item) for change in changeset.changes if change.after is not None]


def change_json(
    workspace: Workspace, act: str, changeset: Changeset, outline: Json | None = None, brief: bool = False
) -> Json:
    """What a map draws anew and takes away after a changeset.

    With `brief`, and many objects, those that only have other properties come as patches, and `reload` says whether
    there are others.
    """
    last = {change.uuid: change for change in changeset.changes}
    left = [change for change in last.values() if change.after is not None]
    brief = brief and len(last) > MANY
    patches = [patch for change in left if (patch := _patch(change)) is not None] if brief else []
    patched = {patch["id"] for patch in patches}
    scene = workspace.by_key.get(changeset.image)
    return {
        "act": act,
        "objects": [] if brief else [workspace.converter.feature(c.after.item) for c in left if c.after is not None],
        "deleted": [uuid for uuid, change in last.items() if change.after is None],
        "patches": patches,
        "reload": brief and len(patched) < len(left),
        "session": outline,
        "image": None if scene is None else scene.id,
        "classes": bool(changeset.classes),
        "renamed": changeset.renamed,
        "references": bool(changeset.references),
        "marks": bool(changeset.marks),
        "sketches": [sketch_json(workspace, swap.after, swap.before) for swap in changeset.sketches],
        "proposals": next((proposals_json(one) for one in workspace.proposals.of(changeset.decisions)), None),
    }


def proposals_json(found: ProposalList) -> Json:
    """Proposals that are open, best first, and how many were kept and refused."""
    fates = list(found.decided.values())
    return {
        "id": found.id,
        "image": found.scene.id,
        "class": found.class_name,
        "items": [
            {"item": number, "score": round(shape.score, 4), "outline": outline_json(shape, found.scene)}
            for number, shape in found.open().items()
        ],
        "kept": fates.count("kept"),
        "refused": fates.count("refused"),
        "ms": round(found.ms, 1),
    }


_PATCHED = {column.attribute: column.name for column in COLUMNS if column.editable} | {
    name: name for name in ("author", "rev", "updated")
}
"""Fields of an object that change without its outline, and their names in the interface."""


def _patch(change: Change) -> Json | None:
    """What of an object's properties is another now; None where its outline or more than that changed."""
    if change.before is None or change.after is None:
        return None
    before, after = change.before.item, change.after.item
    if before.geometry is not after.geometry or before.image != after.image:
        return None
    values = {said: getattr(after, name) for name, said in _PATCHED.items()}
    return {
        "id": change.uuid,
        "properties": {said: values[said] for name, said in _PATCHED.items() if getattr(before, name) != values[said]},
    }


def sketch_json(workspace: Workspace, sketch: StoredDraft | None, before: StoredDraft | None = None) -> Json:
    """A half-drawn shape, without points where it is gone."""
    known = sketch or before
    assert known is not None
    scene = workspace.by_key.get(known.image)
    return {
        "id": known.uuid,
        "image": None if scene is None else scene.id,
        "tool": str(known.content.get("tool", "")),
        "points": [] if sketch is None else known.content.get("points", []),
        "window": str(known.content.get("window", "")),
    }


def counted(number: int, word: str = "object") -> str:
    """1 object, 2 objects."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def given_of(body: Any, without: Set[str] = frozenset()) -> Json:
    """The fields that were given, by the names of the interface."""
    dumped = body.model_dump(by_alias=True, exclude=set(without))
    return {key: value for key, value in dumped.items() if value is not None}


def tenth(bounds: Sequence[float]) -> float:
    """A tenth of the longer side of bounds; 1 where they are a point."""
    return max(bounds[2] - bounds[0], bounds[3] - bounds[1]) / 10 or 1.0


def with_given(item: MapObject, given: Json, user: str, merge: bool = False) -> MapObject:
    """An object with what was given; `merge` takes attributes away that are null, as RFC 7386 says."""
    attributes = item.attributes | given["attributes"] if "attributes" in given else item.attributes
    if merge:
        attributes = {
            name: value for name, value in attributes.items() if given.get("attributes", {}).get(name, 0) is not None
        }
    return edited(item, {**given, "attributes": attributes}, author=user)
