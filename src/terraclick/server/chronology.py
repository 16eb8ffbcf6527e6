"""Undo and redo: the newest act of a window taken back, or done again, wherever it was done."""

from __future__ import annotations

import time
from typing import Any

from starlette.concurrency import run_in_threadpool

from terraclick.errors import Conflict, UnknownName
from terraclick.server.acts import Actor, Changeset, Entry, Step
from terraclick.server.depends import Json, change_json
from terraclick.server.editing import revert
from terraclick.server.routes.clicks import shown
from terraclick.server.workspace import Workspace

__all__ = ["turn"]


async def turn(space: Workspace, by: Actor, word: str) -> Json:
    """Undo or redo (`word`) the newest act of a window. Raises UnknownName if there is none.

    Raises Conflict where others changed what it changed; the act is then left out, so that the next one can be turned.
    """
    async with space.turning:
        entry = space.journal.last(by, word)
        try:
            if isinstance(entry.what, Step):
                answer = await _step(space, by, word, entry, entry.what)
            else:
                answer = await _deed(space, by, word, entry, entry.what)
        except Conflict:
            space.journal.forget(by, word, entry)
            raise
    return answer | {"hand": None if entry.hand is None else dict(entry.hand)}


async def _deed(space: Workspace, by: Actor, word: str, entry: Entry, changeset: Changeset) -> Json:
    began = time.perf_counter()

    def back() -> Changeset:
        space.proposals.check(changeset.decisions, alone=not (changeset.changes or changeset.draft))
        turned = revert(space.store, changeset, space.objects.telling_of(by))
        space.proposals.decide(turned.decisions)
        space.journal.turned(by, word, entry, turned)
        space.objects.tell(turned, by)
        return turned

    turned = await run_in_threadpool(back)
    session: Json | None = None
    closed = None
    if changeset.draft is not None and (word == "undo"):
        live = await run_in_threadpool(space.sessions.reopen, changeset.draft)
        if live is not None:
            live.window = by.window
            session = await shown(space, live, await space.sessions.state(live), began)
    elif changeset.draft is not None:
        closed = changeset.draft.uuid
        await run_in_threadpool(_close, space, by, closed)
    answer = await run_in_threadpool(change_json, space, f"{word} {changeset.name}", turned, session, True)
    return answer | {"closed": closed}


def _close(space: Workspace, by: Actor, session: str) -> None:
    try:
        space.sessions.close(space.sessions.get(session, by))
    except UnknownName:
        return


async def _step(space: Workspace, by: Actor, word: str, entry: Entry, step: Step) -> Json:
    began = time.perf_counter()
    try:
        live = await run_in_threadpool(space.sessions.get, step.session, by)
    except UnknownName:
        raise Conflict(f"the outline of “{step.name}” was kept or closed elsewhere: it is left as it is.") from None
    here, there = (step.after, step.before) if word == "undo" else (step.before, step.after)
    async with live.lock:
        if live.closed or not live.stand().same(here):
            raise Conflict("the open outline was changed in another window: it is left as it is there.")
        state = await space.sessions.stand_at(live, there, run_in_threadpool)
        live.window = by.window
        space.journal.turned(by, word, entry, step)
        session: Any = await shown(space, live, state, began)
    answer = change_json(space, f"{word} {step.name}", Changeset(step.name), session)
    return answer | {"closed": None, "image": live.scene.id}
