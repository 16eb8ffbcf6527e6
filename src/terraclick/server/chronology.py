"""Undo and redo: the newest act of a window taken back, or done again, wherever it was done."""

from __future__ import annotations

import time
from typing import Any

from starlette.concurrency import run_in_threadpool

from terraclick.errors import Conflict, UnknownName
from terraclick.server.changes import Author, Changeset, Entry, Step
from terraclick.server.depends import Json, change_json
from terraclick.server.editing import revert
from terraclick.server.routes.clicks import shown
from terraclick.server.workspace import Workspace

__all__ = ["turn"]


async def turn(workspace: Workspace, by: Author, word: str) -> Json:
    """Undo or redo (`word`) the newest act of a window. Raises UnknownName if there is none.

    Raises Conflict where others changed what it changed; the act is then left out, so that the next one can be turned.
    """
    async with workspace.turning:
        entry = workspace.journal.last(by, word)
        try:
            if isinstance(entry.what, Step):
                answer = await _turn_step(workspace, by, word, entry, entry.what)
            else:
                answer = await _turn_changeset(workspace, by, word, entry, entry.what)
        except Conflict:
            workspace.journal.forget(by, word, entry)
            raise
    return answer | {"hand": None if entry.hand is None else dict(entry.hand)}


async def _turn_changeset(workspace: Workspace, by: Author, word: str, entry: Entry, changeset: Changeset) -> Json:
    began = time.perf_counter()

    def back() -> Changeset:
        workspace.proposals.check(changeset.decisions, alone=not (changeset.changes or changeset.draft))
        turned = revert(workspace.store, changeset, workspace.objects.telling_of(by))
        workspace.proposals.decide(turned.decisions)
        workspace.journal.turned(by, word, entry, turned)
        workspace.objects.tell(turned, by)
        return turned

    turned = await run_in_threadpool(back)
    outline: Json | None = None
    closed = None
    if changeset.draft is not None and (word == "undo"):
        opened = await run_in_threadpool(workspace.outlines.reopen, changeset.draft)
        if opened is not None:
            opened.window = by.window
            outline = await shown(workspace, opened, await workspace.outlines.state(opened), began)
    elif changeset.draft is not None:
        closed = changeset.draft.uuid
        await run_in_threadpool(_close, workspace, by, closed)
    answer = await run_in_threadpool(change_json, workspace, f"{word} {changeset.name}", turned, outline, True)
    return answer | {"closed": closed}


def _close(workspace: Workspace, by: Author, outline: str) -> None:
    try:
        workspace.outlines.close(workspace.outlines.get(outline, by))
    except UnknownName:
        return


async def _turn_step(workspace: Workspace, by: Author, word: str, entry: Entry, step: Step) -> Json:
    began = time.perf_counter()
    try:
        opened = await run_in_threadpool(workspace.outlines.get, step.outline, by)
    except UnknownName:
        raise Conflict(f"the outline of “{step.name}” was kept or closed elsewhere: it is left as it is.") from None
    here, there = (step.after, step.before) if word == "undo" else (step.before, step.after)
    async with opened.lock:
        if opened.closed or not opened.stand().same(here):
            raise Conflict("the open outline was changed in another window: it is left as it is there.")
        state = await workspace.outlines.stand_at(opened, there, run_in_threadpool)
        opened.window = by.window
        workspace.journal.turned(by, word, entry, step)
        outline: Any = await shown(workspace, opened, state, began)
    answer = change_json(workspace, f"{word} {step.name}", Changeset(step.name), outline)
    return answer | {"closed": None, "image": opened.scene.id}
