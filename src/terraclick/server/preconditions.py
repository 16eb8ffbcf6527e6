"""If-Match and its like: a change that is to happen only if the object still is what the sender saw.

A condition that cannot be read has failed: 412, never a change that somebody asked not to make.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from fastapi import Request

from terraclick.errors import Conflict
from terraclick.store.fields import MapObject

__all__ = ["PreconditionFailed", "check_conditions", "etag", "is_unchanged", "reads_conditions", "refuse_conditions"]

Route = TypeVar("Route", bound=Callable[..., Any])

_TAG = re.compile(r'\s*(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*|\s*(\d{1,15})\s*')
_REVISION = re.compile(r"(\d{1,15})(?:(?:--|[-;:])(?:gzip|br|zstd|deflate))?")
"""Proxies that compress mark the tag as weak (W/) or add the coding to it: both still name the revision."""


class PreconditionFailed(Conflict):
    """The object is not, or cannot be told to be, what the sender saw."""

    http_status = 412


def reads_conditions(route: Route) -> Route:
    """Marks a route that calls `check_conditions` itself."""
    route.reads_conditions = True  # type: ignore[attr-defined]
    return route


def etag(item: MapObject) -> str:
    """The tag of an object's revision."""
    return f'"{item.rev}"'


def refuse_conditions(request: Request) -> None:
    """For routes whose answers bear no tag: any condition on them has failed. Raises PreconditionFailed."""
    for name in ("if-match", "if-unmodified-since", "if-none-match"):
        if name in request.headers and request.headers[name].strip() != "*":
            raise PreconditionFailed(f"{name} was sent to a route that has no revisions: leave it out.")


def check_conditions(request: Request, item: MapObject | None) -> int | None:
    """The revision that If-Match named and the object has, None without a condition. Raises PreconditionFailed."""
    matched = None
    if "if-match" in request.headers:
        tags = _tags(request, "if-match")
        if item is None or (tags is not None and item.rev not in tags):
            fate = "was deleted" if item is None else f"is at revision {item.rev}"
            raise PreconditionFailed(f"the object {fate}, not what If-Match names: load it and try again.", None, item)
        matched = item.rev
    elif "if-unmodified-since" in request.headers and not _unmodified(request, item):
        raise PreconditionFailed("the object was changed since If-Unmodified-Since: load it and try again.", None, item)
    if "if-none-match" in request.headers and item is not None:
        tags = _tags(request, "if-none-match")
        if tags is None or item.rev in tags:
            raise PreconditionFailed("the object is there, which If-None-Match asks not to be.", None, item)
    return matched


def is_unchanged(request: Request, item: MapObject) -> bool:
    """Whether a reader has this revision already (If-None-Match). What cannot be read is no."""
    if "if-none-match" not in request.headers:
        return False
    try:
        tags = _tags(request, "if-none-match")
    except PreconditionFailed:
        return False
    return tags is None or item.rev in tags


def _tags(request: Request, name: str) -> set[int] | None:
    """The revisions a header names, None for *. Raises PreconditionFailed for what is no list of tags."""
    text = ",".join(request.headers.getlist(name))
    if text.strip() == "*":
        return None
    revisions: set[int] = set()
    at = 0
    while True:
        found = _TAG.match(text, at)
        if found is None:
            raise PreconditionFailed(f'{name} cannot be read: a list of tags such as "3" is expected.')
        revision = _REVISION.fullmatch(found[1] if found[1] is not None else found[2])
        if revision is not None:
            revisions.add(int(revision[1]))
        at = found.end()
        if at == len(text):
            return revisions
        if text[at] != ",":
            raise PreconditionFailed(f'{name} cannot be read: a list of tags such as "3" is expected.')
        at += 1


def _unmodified(request: Request, item: MapObject | None) -> bool:
    try:
        since = parsedate_to_datetime(request.headers["if-unmodified-since"])
        changed = datetime.fromisoformat("" if item is None else item.updated.replace("Z", "+00:00"))
    except (ValueError, TypeError, IndexError):
        return False
    since = since if since.tzinfo is not None else since.replace(tzinfo=UTC)
    changed = changed if changed.tzinfo is not None else changed.replace(tzinfo=UTC)
    return changed.replace(microsecond=0) <= since
