"""The server put together: routes, door, errors → status in one table, the page's files; and how it is started."""

from __future__ import annotations

import getpass
import html
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from terraclick.app.adding import Adding, allowed_roots
from terraclick.app.address import PublicAddress, public_address
from terraclick.app.files import Exports
from terraclick.app.guard import Guard
from terraclick.app.images import Scene, open_scenes
from terraclick.app.layers import Layers
from terraclick.app.openapi import described
from terraclick.app.routes import ROUTES, router
from terraclick.app.routes_segmap import segmap_error
from terraclick.app.tokens import kept_file, kept_tokens, tokens_for
from terraclick.app.window_cache import WindowCache
from terraclick.app.workspace import Model, Workspace
from terraclick.catalogue import NETWORKS, added_model, load, spec_of
from terraclick.errors import (
    BadConfig,
    BadImage,
    BadOutput,
    Conflict,
    NotGeoreferenced,
    TerraClickError,
    UnknownName,
    require_extra,
)
from terraclick.geo.carrying import TRUE_AREA, area_factor, check_carried
from terraclick.geo.lonlat import WGS84
from terraclick.geo.raster import resolve_image
from terraclick.geo.reading import PLAIN, Reading
from terraclick.predictors.spec import WEIGHTS
from terraclick.predictors.variants import base_name
from terraclick.store.fields import MapObject
from terraclick.store.geopackage import GeoPackageStore, open_store
from terraclick.store.identity import files_hash, image_hash, session_key
from terraclick.store.protocol import Store
from terraclick.store.readings import Readings, readings_of
from terraclick.store.rows import SetAside
from terraclick.store.values import StoredImage
from terraclick.terra.models import OPEN_CLICK_NET_FILE

__all__ = ["Server", "create_app", "model_of", "prepare", "run"]

STATIC = Path(__file__).parent / "static"
WINDOWS = "terraclick-windows"
"""The folder, within that of exports, for pixels that clients send."""

QUIET_S = 1.5
"""So long must other programs be quiet before what they drew is given what our own objects have."""

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
    app.state.layers = Layers(out)
    app.state.folders = _folders(workspace, out)
    app.state.adding = Adding(workspace, windows or WindowCache(out / WINDOWS), tuple(roots), roots_file)
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
        places = request.app.state.workspace.places
        for name in ("mine", "theirs"):
            item = getattr(error, name)
            body[name] = places.feature_or_none(item) if isinstance(item, MapObject) else None
        body["kept"] = getattr(error, "kept", None)
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


# --- starting --------------------------------------------------------------------------------------------------------


class Server:
    """A server ready to run: its app, its addresses (one a user), what must be closed at the end."""

    def __init__(self, app: Guard, workspace: Workspace, addresses: dict[str, str], sock: socket.socket) -> None:
        self.app = app
        self.workspace = workspace
        self.addresses = addresses
        self.sock = sock


ROUGH: dict[str, dict[str, str]] = {"terra": {}, "terra-fused": {}, "terra-open": {"click_net": OPEN_CLICK_NET_FILE}}
"""Models whose preview under the pointer is one look at the view, and the options of `terra-single` for that."""


def model_of(name: str, weights: Path | None = None) -> Model:
    """A predictor by name with what the map says of it. Raises UnknownName, BadWeights, BadConfig, MissingExtra."""
    spec = spec_of(name)
    options: dict[str, Any] = {} if weights is None else {"weights": weights}
    rough_options = ROUGH.get(name)
    try:
        predictor = load(name, **options, **({} if rough_options is None else {"capacity": 96}))
    except TypeError:
        raise BadConfig(f"{name} has no weights: leave --weights out, or choose another --model.") from None
    rough = None if rough_options is None else load("terra-single", **options, **rough_options)
    added = None if weights is not None else added_model(name)
    if added is not None:
        digest = added.hash
    elif base_name(name) in NETWORKS:
        digest = image_hash(weights)[:16] if weights is not None and weights.is_file() else ""
    else:
        digest = files_hash([(weights or WEIGHTS) / file for file in spec.files])
    return Model(name, digest, spec.summary, predictor, rough)


def prepare(
    images: Sequence[str],
    *,
    session: Path | None = None,
    store_address: str | None = None,
    out: Path = Path("."),
    host: str = "127.0.0.1",
    port: int | None = None,
    users: Sequence[str] = (),
    model: str = "terra",
    weights: Path | None = None,
    public_url: str | None = None,
    tokens_file: Path | None = None,
    roots: Sequence[Path] = (),
    roots_file: Path | None = None,
    window_mb: float = 1000.0,
    window_days: float = 30.0,
    environ: Mapping[str, str] = MappingProxyType({}),
    reading: Reading = PLAIN,
    warn: Callable[[str], None] = lambda line: None,
) -> Server:
    """Everything that can be refused is refused here, before anything is served. Raises any TerraClickError."""
    out = out.resolve()
    if not out.is_dir():
        raise BadOutput(f"the output folder {out} does not exist: make it, or give another --out.")
    if len(set(users)) != len(users) or not all(name.strip() for name in users):
        raise BadConfig("every --user needs a name of their own.")
    spec_of(model)
    public = None if public_url is None else public_address(public_url)
    given_tokens = tokens_for(users, tokens_file, environ, _me, warn)
    roots = allowed_roots(roots)
    if not images and not roots and roots_file is None:
        raise BadConfig("no image was given: name one, a folder or sample, or give --root FOLDER to add some later.")
    with ExitStack() as undo:
        known = _existing(session, store_address, out)
        if known is not None:
            undo.callback(known.close)
        readings = Readings(reading) if known is None else readings_of(known, reading)
        scenes = open_scenes(images, warn, readings) if images else {}
        other = None if store_address is not None else _beside(known, scenes, session, out)
        if other is not None and known is not None:
            known.close()
            warn(
                f"terraclick.gpkg holds other images: the objects of these are kept in {other.name} "
                "(--session terraclick.gpkg takes them into that one)."
            )
            session = other
            known = _existing(session, None, out)
            if known is not None:
                undo.callback(known.close)
            readings = Readings(reading) if known is None else readings_of(known, reading)
            scenes = open_scenes(images, warn, readings)
        sock = _listening(host, port)
        undo.callback(sock.close)
        store, session_name, scenes = _store(known, scenes, _named(images), session, store_address, out, warn)
        undo.callback(store.close)
        if isinstance(store, GeoPackageStore):
            store.quiet_s = QUIET_S
        workspace = Workspace(scenes, store, lambda: model_of(model, weights))
        undo.pop_all()
    place = store_address or str(Path(getattr(store, "path", session_name)).resolve())
    tokens = given_tokens or kept_tokens(users, kept_file(place, environ), _me)
    at = sock.getsockname()[1]
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    shown = f"[{shown}]" if ":" in shown else shown
    app = create_app(
        workspace,
        tokens,
        out,
        session_name=session_name,
        cookie=f"terraclick_{at}",
        hosts=() if _is_loopback(host) else (host, socket.gethostname(), socket.getfqdn()),
        any_address=not _is_loopback(host),
        public=public,
        roots=roots,
        roots_file=None if roots_file is None else roots_file.resolve(),
        windows=WindowCache(out / WINDOWS, int(window_mb * 2**20), window_days * 86_400.0),
    )
    for line in lines_of(store.set_aside()):
        warn(line)
    base = f"http://{shown}:{at}" if public is None else public.base
    addresses = {user: f"{base}/?token={token}" for token, user in tokens.items()}
    return Server(app, workspace, addresses, sock)


def lines_of(rows: Sequence[SetAside]) -> list[str]:
    """What a start says of rows that cannot be used as they are."""
    some = [f"{row.table} {row.row}: {row.reason}." for row in rows[:5]]
    return [f"{len(rows)} rows of the session cannot be used as they are:", *some] if rows else []


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "me"


def _named(images: Sequence[str]) -> set[Path]:
    """The images that were named one by one, not found in a folder."""
    return {resolve_image(name) for name in images if name == "sample" or not Path(name).is_dir()}


def _existing(session: Path | None, address: str | None, out: Path) -> Store | None:
    """The session to go on with; None where a new one will be made."""
    if address is None:
        path = _session_file(session, out)
        return open_store(path) if path.exists() else None
    if session is not None:
        raise BadConfig("--session and --store contradict each other: give one of them.")
    from terraclick.store.postgis import open_postgis

    try:
        return open_postgis(address, make=False)
    except UnknownName:
        return None


def _session_file(session: Path | None, out: Path) -> Path:
    path = session or out / "terraclick.gpkg"
    if path.suffix.lower() != ".gpkg":
        raise BadConfig(f"--session {path} does not end in .gpkg: a session is a GeoPackage.")
    return path


def _store(
    known: Store | None,
    scenes: dict[str, Scene],
    named: set[Path],
    session: Path | None,
    address: str | None,
    out: Path,
    warn: Callable[[str], None],
) -> tuple[Store, str, dict[str, Scene]]:
    """(the store, its name, the scenes that can be kept in it). A new session is made last, when all else fits.

    Without a session that is there, images with a coordinate system decide it and plain pictures are left aside.
    """
    path = _session_file(session, out)
    name = path.name if address is None else "postgis"
    if known is not None:
        return known, name, _fitting(scenes, named, known.crs, name, warn)
    crs = next((scene.grid.crs for scene in scenes.values() if scene.grid.crs is not None), None)
    if not scenes or (crs is not None and any(_far_off(scene, crs) for scene in scenes.values())):
        crs = WGS84  # images from anywhere: degrees are right for all of them
    fitting = _fitting(scenes, named, crs, name, warn)
    if address is None:
        return open_store(path, crs), name, fitting
    from terraclick.store.postgis import open_postgis

    return open_postgis(address, crs), name, fitting


def _far_off(scene: Scene, crs: Any) -> bool:
    """Whether planar areas of an image's objects would be wrong in a coordinate system."""
    return abs(area_factor(scene.grid, crs) - 1) > TRUE_AREA


def _key_of(images: Sequence[StoredImage], scene: Scene, folder: Path) -> str:
    return session_key(images, scene.path, scene.hash, scene.grid.bounds if scene.grid.crs else None, folder)


def _beside(known: Store | None, scenes: Mapping[str, Scene], session: Path | None, out: Path) -> Path | None:
    """The session file for images that the one lying in the folder by chance knows none of; None where it fits."""
    if session is not None or known is None or not scenes:
        return None
    images = known.images()
    names, folder = {image.path for image in images}, Path(known.path).parent  # type: ignore[attr-defined]
    if not images or any(_key_of(images, one, folder) in names for one in scenes.values()):
        return None
    stem = "".join(c if c.isalnum() or c in "._-" else "_" for c in next(iter(scenes.values())).path.stem)
    return out / f"terraclick-{stem[:80]}.gpkg"


def _fitting(
    scenes: dict[str, Scene], named: set[Path], crs: Any, session: str, warn: Callable[[str], None]
) -> dict[str, Scene]:
    """The scenes whose objects a session in `crs` (None: pixels) can keep; `warn` hears of the others.

    Raises NotGeoreferenced or BadConfig where an image that was named does not fit, or none does.
    """
    found: dict[str, Scene] = {}
    last: TerraClickError | None = None
    for key, scene in scenes.items():
        try:
            if crs is not None and scene.grid.crs is not None:
                check_carried(scene.grid, crs, scene.name)
                if _far_off(scene, crs):
                    raise BadConfig(
                        f"{scene.name} lies where areas in {crs.name}, which the session {session} keeps, are "
                        f"{area_factor(scene.grid, crs):.3g} times those on the ground: start another --session for it."
                    )
            elif crs is not None:
                raise NotGeoreferenced(
                    f"{scene.name} {scene.info.unplaced}, but the session {session} keeps {crs.name}: georeference it, "
                    "or serve it by itself with another --session."
                )
            elif scene.grid.crs is not None:
                raise NotGeoreferenced(
                    f"{scene.name} has a coordinate system, but the session {session} keeps plain pixels: give another "
                    "--session for it."
                )
            found[key] = scene
        except TerraClickError as error:
            if scene.path in named:
                raise
            last = error
            warn(f"left out: {error}")
    if not found and last is not None:
        raise last
    return found


def _listening(host: str, port: int | None) -> socket.socket:
    """A bound socket; without a wish the first free port from 8000. Raises BadConfig."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason = "no port is free"
    for wanted in range(8000, 8100) if port is None else (port,):
        # named TCP, or asyncio leaves small answers waiting 40 ms for an acknowledgement (Nagle's algorithm)
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, wanted))
            sock.listen(128)
            return sock
        except (OSError, OverflowError) as error:
            sock.close()
            reason = str(getattr(error, "strerror", None) or error)
    where = f"{host}, port {port}" if port is not None else f"{host}, ports 8000 to 8099"
    raise BadConfig(f"nothing can listen on {where} ({reason}): give another --host or --port.")


def _stop(number: int, frame: Any) -> None:
    raise SystemExit(0)


def run(server: Server) -> None:
    """Serve until stopped (Ctrl-C or SIGTERM), then close the store."""
    with require_extra("app"):
        import uvicorn

    config = uvicorn.Config(
        server.app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=64 * 1024,
    )
    signal.signal(signal.SIGTERM, _stop)  # uvicorn hands signals back once it has shut down
    try:
        uvicorn.Server(config).run(sockets=[server.sock])
    finally:
        server.workspace.hub.close()
        server.workspace.close()
