"""The web application: routes behind their guard, errors as sentences, the map's own files."""

from __future__ import annotations

import html
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from terraclick.errors import (
    BadImage,
    Conflict,
    TerraClickError,
)
from terraclick.server.adding import Adding
from terraclick.server.address import PublicAddress
from terraclick.server.files import Exports
from terraclick.server.guard import Guard
from terraclick.server.heatmaps import Heatmaps
from terraclick.server.openapi import described
from terraclick.server.readers import Readers
from terraclick.server.routes.segmap import segmap_error
from terraclick.server.routing import ROUTERS, ROUTES
from terraclick.server.window_cache import WindowCache
from terraclick.server.workspace import Workspace
from terraclick.store.fields import MapObject

__all__ = ["WINDOWS", "allowed_on", "create_app", "status_of", "without_folders"]

STATIC = Path(__file__).parent / "static"


WINDOWS = "terraclick-windows"
"""The folder, within that of exports, for pixels that clients send."""


MEDIA = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"} | {
    ".json": "application/json",
    ".png": "image/png",
    ".txt": "text/plain",
    ".woff2": "font/woff2",
    ".map": "application/json",
    ".ico": "image/x-icon",
}


def status_of(error: Exception) -> int:
    """The HTTP status of an error: its class says it; 503 without memory, 500 for what nobody raised on purpose."""
    if isinstance(error, TerraClickError):
        return error.http_status
    return 503 if isinstance(error, MemoryError) else 500


def create_app(
    workspace: Workspace,
    tokens: Mapping[str, str],
    out: Path,
    *,
    session_name: str = "",
    cookie: str = "terraclick",
    hosts: Sequence[str] = (),
    any_address: bool = False,
    public: PublicAddress | None = None,
    roots: Sequence[Path] = (),
    roots_file: Path | None = None,
    windows: WindowCache | None = None,
) -> Guard:
    """The ASGI app of a workspace: tokens are token → user, `out` the only folder that exports go to.

    Images under `roots`, and under the folders that `roots_file` lists at that time, may be added while it runs;
    `windows` keeps what clients send as pixels.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> Any:
        yield
        app.state.readers.close()
        workspace.hub.close()

    app = FastAPI(
        title="TerraClick",
        description="Click on a thing in an aerial or satellite image, keep its georeferenced outline.",
        version=version("terraclick"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.workspace = workspace
    app.state.users = sorted(set(tokens.values()))
    app.state.session_name = session_name
    app.state.exports = Exports(out, workspace.files)
    app.state.heatmaps = Heatmaps(out)
    app.state.readers = Readers()
    app.state.folders = _folders(workspace, out)
    app.state.adding = Adding(workspace, windows or WindowCache(out / WINDOWS), tuple(roots), roots_file)
    for router in ROUTERS:
        app.include_router(router)
    server = "" if public is None else public.base

    def described_once() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = described(app, server)
        return app.openapi_schema

    app.openapi = described_once  # type: ignore[method-assign]
    app.add_api_route("/api/openapi.json", _description, include_in_schema=False)
    app.add_api_route("/", _page, include_in_schema=False)
    app.add_api_route("/docs", _docs, include_in_schema=False)
    app.add_api_route("/static/{name:path}", _static, include_in_schema=False)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(HTTPException, _http)
    for kind in (TerraClickError, MemoryError):
        app.add_exception_handler(kind, _explained)
    app.add_exception_handler(Exception, _unexpected)
    return Guard(app, tokens, cookie, tuple(hosts), any_address, public, allowed_on)


def allowed_on(path: str) -> list[str]:
    """The methods that a path answers; none for a path that is no route."""
    found = {"GET"} if path in ("/", "/docs", "/api/openapi.json") or path.startswith("/static/") else set()
    for route in ROUTES:
        if route.path_regex.fullmatch(path):
            found |= set(route.methods or ())
    return sorted(found | ({"HEAD"} if "GET" in found else set()) | {"OPTIONS"}) if found else []


def without_folders(message: str, folders: Sequence[str]) -> str:
    """A sentence that names files of this machine by their names alone."""
    for folder in sorted(folders, key=len, reverse=True):
        message = message.replace(folder + os.sep, "").replace(folder, os.path.basename(folder))
    return message


def _folders(workspace: Workspace, out: Path) -> list[str]:
    """The folders whose place on this machine no answer tells."""
    files = [scene.path for scene in workspace.scenes.values()]
    session = getattr(workspace.store, "path", None)
    files += [] if session is None else [Path(session)]
    found = {str(folder) for file in files for folder in (file.parent, file.resolve().parent)}
    found |= {str(out), str(out.resolve()), tempfile.gettempdir(), str(Path(__file__).parents[1])}
    return [folder for folder in found if len(folder) > 1]


async def _explained(request: Request, error: Exception) -> JSONResponse:
    message = without_folders(" ".join(str(error).split()), request.app.state.folders)
    message = "".join(letter if letter.isprintable() else "?" for letter in message)
    body: dict[str, Any] = {"error": type(error).__name__, "message": message}
    if isinstance(error, MemoryError):
        body = {"error": "Busy", "message": "there is not enough memory for this view now: zoom in, or try again."}
    if isinstance(error, Conflict):
        converter = request.app.state.workspace.converter
        for name in ("mine", "theirs"):
            item = getattr(error, name)
            body[name] = converter.feature_or_none(item) if isinstance(item, MapObject) else None
        body["kept"] = error.kept
    status = status_of(error)
    if status == 422 and request.method == "GET" and not isinstance(error, BadImage):
        status = 400  # without a body only the address can be wrong
    return JSONResponse(body, status)


async def _not_understood(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    loc = first.get("loc", ())
    where = ".".join(str(part) for part in loc if part not in ("body", "query", "path"))[:100]
    if request.url.path.startswith("/v1/"):
        return segmap_error("invalid_request", f"{where or 'the request'}: {first.get('msg', '')}.", 422)
    if first.get("type") == "json_invalid":
        return JSONResponse({"error": "BadRequest", "message": "the body is not JSON."}, 400)
    where = "".join(letter if letter.isprintable() else "?" for letter in where)
    status = 422 if loc[:1] == ("body",) else 400
    return JSONResponse(
        {"error": "BadRequest", "message": f"{where or 'the request'}: {first.get('msg', '')}."}, status
    )


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return JSONResponse({"error": "UnknownName", "message": "there is no such route: see /docs."}, 404)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(allowed_on(request.url.path))
    message = " ".join(str(error.detail).split())
    return JSONResponse({"error": "BadRequest", "message": message}, error.status_code, headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    sentence = f"something went wrong inside TerraClick ({type(error).__name__}): see what the server printed."
    return JSONResponse({"error": "Unexpected", "message": sentence}, 500)


async def _description(request: Request) -> JSONResponse:
    return JSONResponse(request.app.openapi(), media_type="application/vnd.oai.openapi+json;version=3.0")


async def _page() -> Any:
    page = STATIC / "index.html"
    if not page.is_file():
        return HTMLResponse("<!doctype html><title>TerraClick</title><p>The map is not built: see web/README.md.</p>")
    return FileResponse(page, media_type="text/html")


async def _static(name: str) -> Any:
    try:
        path = (STATIC / name).resolve()
        there = path.is_relative_to(STATIC) and path.is_file() and path.suffix in MEDIA
    except (OSError, ValueError):  # names that no file can have
        there = False
    if not there:
        raise HTTPException(404)
    return FileResponse(path, media_type=MEDIA[path.suffix], headers={"Cache-Control": "no-cache"})


async def _docs(request: Request) -> HTMLResponse:
    """All routes on one plain page; nothing is fetched from elsewhere."""
    schema = request.app.openapi()
    rows = []
    for path, verbs in schema["paths"].items():
        for verb, route in verbs.items():
            asked = [p["name"] for p in route.get("parameters", []) if p["in"] == "query"]
            cells = (verb.upper(), path, route.get("description", ""), ", ".join(asked))
            rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>TerraClick: routes</title>'
        "<h1>TerraClick: routes</h1><p>docs/server.md says what they take and give; "
        '<a href="api/openapi.json">/api/openapi.json</a> says it to programs.</p>'
        "<table><tr><th>verb<th>path<th>what<th>query</tr>" + "".join(rows) + "</table></html>"
    )
    return HTMLResponse(page)
