"""What every route checks before it is called: no unknown parameters, no half letters, no condition left unread."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from terraclick.errors import BadInput
from terraclick.server.preconditions import refuse_conditions

__all__ = ["BadQuery", "BadText", "StrictRoute"]

SAFE = ("GET", "HEAD", "OPTIONS")


class BadQuery(BadInput):
    """A parameter of the address that is unknown or cannot be used."""

    http_status = 400


class BadText(BadInput):
    """A text that no program could write down."""


class StrictRoute(APIRoute):
    """A route that refuses what it does not understand."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with the checks before it."""
        handler = super().get_route_handler()
        known = set(_query_names(self.dependant))
        conditional = getattr(self.endpoint, "reads_conditions", False)

        async def checked(request: Request) -> Response:
            unknown = [name for name in request.query_params if name not in known]
            if unknown:
                some = ", ".join(sorted(known)) or "none"
                raise BadQuery(f"the parameter {_shown(unknown[0])} is unknown here; known: {some}.")
            for values in request.query_params.multi_items():
                if any("\0" in value for value in values):
                    raise BadQuery("a parameter with a NUL character was given: leave it out.")
            if request.method not in SAFE:
                if not conditional:
                    refuse_conditions(request)
                if _is_json(request):
                    _check_text(await request.body())
            return await handler(request)

        return checked


def _query_names(dependant: Any) -> list[str]:
    """The parameters of the address that a route and what it depends on take."""
    own = [field.alias for field in dependant.query_params]
    return own + [name for part in dependant.dependencies for name in _query_names(part)]


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _check_text(body: bytes) -> None:
    """Refuse half letters (lone surrogates), which JSON can spell and no file can hold. Raises BadText."""
    if not re.search(rb"(?i)\\ud[89a-f]", body):
        return
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadText("a text holds half a letter (a lone surrogate): send whole characters.") from None
    except (ValueError, RecursionError):
        return  # no JSON: said by the one who reads it


def _shown(name: str) -> str:
    return repr("".join(letter if letter.isprintable() else "?" for letter in name[:60]))
