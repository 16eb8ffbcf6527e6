"""The server put together: routes, door, errors → status in one table, the page's files; and how it is started."""

from __future__ import annotations

import getpass
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

from terraclick.catalogue import NETWORKS, added_model, load, spec_of
from terraclick.errors import (
    BadConfig,
    BadOutput,
    require_extra,
)
from terraclick.geo.reading import PLAIN, Reading
from terraclick.predictors.spec import WEIGHTS
from terraclick.predictors.variants import base_name
from terraclick.server.adding import allowed_roots
from terraclick.server.address import public_address
from terraclick.server.answering import Model
from terraclick.server.application import WINDOWS, create_app
from terraclick.server.guard import Guard
from terraclick.server.images import Scene, open_scenes
from terraclick.server.opening import beside, existing_store, named, store_for
from terraclick.server.tokens import kept_file, kept_tokens, tokens_for
from terraclick.server.window_cache import WindowCache
from terraclick.server.workspace import Workspace
from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.identity import files_hash, image_hash
from terraclick.store.readings import Readings, readings_of
from terraclick.store.rows import SetAside
from terraclick.store.sql import Store
from terraclick.terra.models import OPEN_CLICK_NET_FILE

__all__ = ["QUIET_S", "Server", "lines_of", "model_of", "prepare", "run"]

QUIET_S = 1.5
"""So long must other programs be quiet before what they drew is given what our own objects have."""


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
    out = _checked(out, users)
    spec_of(model)
    public = None if public_url is None else public_address(public_url)
    given_tokens = tokens_for(users, tokens_file, environ, _me, warn)
    roots = allowed_roots(roots)
    if not images and not roots and roots_file is None:
        raise BadConfig("no image was given: name one, a folder or sample, or give --root FOLDER to add some later.")
    with ExitStack() as undo:
        known, session, scenes = _known(images, session, store_address, out, reading, warn, undo)
        sock = _listening(host, port)
        undo.callback(sock.close)
        store, session_name, scenes = store_for(known, scenes, named(images), session, store_address, out, warn)
        undo.callback(store.close)
        if isinstance(store, GeoPackageStore):
            store.quiet_s = QUIET_S
        workspace = Workspace(scenes, store, lambda: model_of(model, weights))
        undo.pop_all()
    place = store_address or str(Path(getattr(store, "path", session_name)).resolve())
    tokens = given_tokens or kept_tokens(users, kept_file(place, environ), _me)
    at = sock.getsockname()[1]
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
    base = _base(host, at) if public is None else public.base
    addresses = {user: f"{base}/?token={token}" for token, user in tokens.items()}
    return Server(app, workspace, addresses, sock)


def _base(host: str, port: int) -> str:
    """The address that a browser is given."""
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _checked(out: Path, users: Sequence[str]) -> Path:
    """The output folder as an absolute path. Raises BadOutput, and BadConfig for users without names of their own."""
    out = out.resolve()
    if not out.is_dir():
        raise BadOutput(f"the output folder {out} does not exist: make it, or give another --out.")
    if len(set(users)) != len(users) or not all(name.strip() for name in users):
        raise BadConfig("every --user needs a name of their own.")
    return out


def _known(
    images: Sequence[str],
    session: Path | None,
    store_address: str | None,
    out: Path,
    reading: Reading,
    warn: Callable[[str], None],
    undo: ExitStack,
) -> tuple[Store | None, Path | None, dict[str, Scene]]:
    """The store that is there already, the session's file, and the images.

    A session that holds other images is left alone, and one of its own beside it taken; `undo` closes what was opened.
    """
    known = existing_store(session, store_address, out)
    if known is not None:
        undo.callback(known.close)
    readings = Readings(reading) if known is None else readings_of(known, reading)
    scenes = open_scenes(images, warn, readings) if images else {}
    other = None if store_address is not None else beside(known, scenes, session, out)
    if other is None or known is None:
        return known, session, scenes
    known.close()
    warn(
        f"terraclick.gpkg holds other images: the objects of these are kept in {other.name} "
        "(--session terraclick.gpkg takes them into that one)."
    )
    return _known(images, other, None, out, reading, warn, undo)


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
