"""Files of polygons that a browser uploads: read in a process of its own, within limits, and killed beyond them.

A view that never ends, an archive that unpacks to everything, a parser that runs away: none of it may stop the server
or keep its memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from terraclick import errors
from terraclick.errors import BadData
from terraclick.server.features import TooLarge
from terraclick.server.import_worker import LENGTHS
from terraclick.server.readers import Readers

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
    """The objects of a file, a list for each of what it says of them, and how many of its features were left out for
    which reason.
    """

    geometries: list[BaseGeometry]
    class_names: list[str]
    labels: list[str]
    attributes: list[dict[str, Any]]
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
    readers: Readers | None = None,
) -> Uploaded:
    """Polygons of the file `folder/upload`, made valid, in `crs` (None: as they are), and what was left out.

    `source` is the WKT of the file's own system where it names none, or a wrong one; `pixels` says that its numbers are
    pixels. `wanted` is called again and again, and what it raises ends the reading. The content must be what the name
    says; nothing but the given bytes is opened. A process that `readers` hold ready reads it. Raises BadData, TooLarge.
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
    fault = (readers or Readers()).read(folder, limits.seconds, limits.memory_bytes, wanted)
    answer = folder / "answer.bin"
    if fault is not None or not answer.is_file():
        reason = fault or "could not be read"
        raise BadData(f"{_shown(name)} {reason}: check the file, or split it.")
    with open(answer, "rb") as file:
        head = json.loads(file.readline())
        if "error" in head:
            raise _error_of(head, name, folder)
        geometries = _geometries(file, int(head["count"]))
        columns = head["columns"]
        return Uploaded(geometries, columns["class_name"], columns["label"], columns["attributes"], head["left_out"])


def _geometries(file: BinaryIO, count: int) -> list[BaseGeometry]:
    """The geometries of an answer of the worker: see `import_worker`."""
    lengths = np.frombuffer(file.read(count * np.dtype(LENGTHS).itemsize), dtype=LENGTHS)
    ends = np.cumsum(lengths, dtype=np.int64)
    data = file.read()
    pairs = zip((ends - lengths).tolist(), ends.tolist(), strict=True)
    found: list[BaseGeometry] = shapely.from_wkb([data[start:end] for start, end in pairs]).tolist() if count else []
    return found


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
