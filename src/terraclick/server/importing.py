"""Files of polygons that a browser uploads: read in a process of its own, within limits, and killed beyond them.

A view that never ends, an archive that unpacks to everything, a parser that runs away: none of it may stop the server
or keep its memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import shapely

from terraclick import errors
from terraclick.errors import BadData
from terraclick.server.features import TooLarge
from terraclick.server.import_worker import LENGTHS, PLAIN_FIELDS
from terraclick.store.fields import MapObject, like

__all__ = ["LIMITS", "Limits", "Uploaded", "check_upload", "read_upload"]

BEGINNINGS = {".gpkg": (b"SQLite format 3\0", "a GeoPackage"), ".zip": (b"PK", "an archive")}
JSON_ENDINGS = (".geojson", ".json")


@dataclass(frozen=True)
class Limits:
    """What reading one upload may take: seconds, bytes of memory and of unpacked files, features."""

    seconds: float = 60.0
    memory_bytes: int = 1536 * 2**20
    unpacked_bytes: int = 256 * 2**20
    features: int = 20_000


LIMITS = Limits()


@dataclass(frozen=True)
class Uploaded:
    """The objects of a file, and how many of its features were left out for which reason."""

    items: list[MapObject]
    left_out: dict[str, int]


def check_upload(name: str, path: Path) -> str:
    """The ending of an upload whose content is what its name says. Raises BadData."""
    ending = PurePosixPath(name.lower()).suffix
    with open(path, "rb") as file:
        start = file.read(64)
    if ending in JSON_ENDINGS:
        if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b""):
            raise BadData("this file is not GeoJSON, whatever its name says.")
        return ending
    if ending not in BEGINNINGS:
        raise BadData(f"a file that ends in {ending[:20] or 'nothing'} was given: expected .geojson, .gpkg or .zip.")
    beginning, kind = BEGINNINGS[ending]
    if not start.startswith(beginning):
        raise BadData(f"this file is not {kind}, whatever its name says.")
    return ending


def read_upload(
    name: str,
    folder: Path,
    crs: Any,
    limits: Limits = LIMITS,
    wanted: Callable[[], None] = lambda: None,
    source: str | None = None,
    pixels: bool = False,
) -> Uploaded:
    """Polygons of the file `folder/upload`, made valid, in `crs` (None: as they are), and what was left out.

    `source` is the WKT of the file's own system where it names none, or a wrong one; `pixels` says that its numbers are
    pixels. `wanted` is called again and again, and what it raises ends the reading. The content must be what the name
    says; nothing but the given bytes is opened. Raises BadData, TooLarge.
    """
    ending = check_upload(name, folder / "upload")
    (folder / "upload").rename(folder / f"upload{ending}")
    ask = {
        "ending": ending,
        "crs": None if crs is None else crs.to_wkt(),
        "source": source,
        "pixels": pixels,
        "most": limits.features,
        "unpacked_bytes": limits.unpacked_bytes,
        "data_bytes": 2 * limits.memory_bytes,
        "file_bytes": 2 * limits.unpacked_bytes,
        "seconds": int(limits.seconds) + 1,
    }
    (folder / "ask.json").write_text(json.dumps(ask), encoding="utf-8")
    fault = _run(folder, limits, wanted)
    answer = folder / "answer.bin"
    if fault is not None or not answer.is_file():
        reason = fault or "could not be read"
        raise BadData(f"{_shown(name)} {reason}: check the file, or split it.")
    with open(answer, "rb") as file:
        head = json.loads(file.readline())
        if "error" in head:
            raise _error_of(head, name, folder)
        return Uploaded(list(_objects(file, head["count"])), head["left_out"])


def _run(folder: Path, limits: Limits, wanted: Callable[[], None]) -> str | None:
    """Run the worker; what went wrong with it, None if nothing did."""
    environ = os.environ | {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "terraclick.server.import_worker", str(folder)]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=environ, start_new_session=True, **quiet)  # type: ignore[call-overload]
    end = time.monotonic() + limits.seconds
    try:
        while True:
            try:
                code = process.wait(0.05)
                return None if code == 0 else "needs too much memory or time to be read, or ends its reader"
            except subprocess.TimeoutExpired:
                wanted()
            if time.monotonic() > end:
                return f"takes longer than {limits.seconds:.0f} s to read"
            if _resident_bytes(process.pid) > limits.memory_bytes:
                return f"needs more than {limits.memory_bytes >> 20} MiB of memory to be read"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _resident_bytes(pid: int) -> int:
    """Memory of a process; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0


def _objects(file: BinaryIO, count: int) -> Iterator[MapObject]:
    blank = MapObject(geometry=shapely.Polygon())
    told, shapes = [], []
    for _ in range(count):
        words, size = LENGTHS.unpack(file.read(LENGTHS.size))
        told.append(json.loads(file.read(words)))
        shapes.append(file.read(size))
    for values, shape in zip(told, shapely.from_wkb(shapes), strict=True):
        yield like(blank, geometry=shape, **{name: values[name] for name in PLAIN_FIELDS})


def _error_of(head: dict[str, Any], name: str, folder: Path) -> Exception:
    """What the worker raised, with the name that the file has for whoever sent it."""
    message = str(head["message"])
    for part in (*(str(folder / f"upload{ending}") for ending in (*JSON_ENDINGS, *BEGINNINGS, ".shp")), "this file"):
        message = message.replace(part, _shown(name), 1)
    message = message.replace(f"{folder}{os.sep}", "")
    kinds = {"TooLarge": TooLarge} | {kind: getattr(errors, kind) for kind in errors.__all__}
    error: Exception = kinds.get(str(head["error"]), BadData)(message)
    return error


def _shown(name: str) -> str:
    last = name.replace("\\", "/").rpartition("/")[2][:80]
    return "".join(letter if letter.isprintable() else "?" for letter in last) or "the file"
