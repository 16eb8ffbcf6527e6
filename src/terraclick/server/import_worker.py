"""Reads a stranger's file of polygons in a process of its own, which may be killed: see `server/readers.py`.

    python -m terraclick.server.import_worker IDLE_SECONDS

The process loads its libraries, then waits for one line on standard input, the name of a folder, and ends without one.
The folder holds `ask.json` and the upload; `answer.bin` is written there: a line of JSON with the fields as columns,
then the lengths of all geometries (four bytes each, little endian), then the geometries as WKB.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import lzma
import math
import os
import sys
import threading
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

__all__ = ["IDLE", "LENGTHS", "PLAIN_FIELDS", "answer", "main", "unpacked"]


class TooLarge(Exception):
    """More features or bytes than one import may have: `app.features.TooLarge`, which takes long to import."""


LENGTHS = "<u4"
"""How the length of a geometry is written."""
IDLE = 75
"""What a process ends with to which no file was given."""
PLAIN_FIELDS = ("class_name", "label", "attributes")
"""What of an object is handed over besides its geometry."""
SHAPEFILE = (".shp", ".shx", ".dbf", ".prj", ".cpg")


def limit_resources(data_bytes: int, file_bytes: int, seconds: int) -> None:
    """Let the system stop this process beyond so much memory, file and time; nothing where it knows no such limits."""
    try:
        import resource
    except ImportError:
        return
    wanted = [("RLIMIT_DATA", data_bytes), ("RLIMIT_FSIZE", file_bytes), ("RLIMIT_CPU", seconds), ("RLIMIT_CORE", 0)]
    for name, value in wanted:
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (value, hard))
        except (ValueError, OSError):
            continue


def main(idle_s: float) -> None:
    """Get ready, then read the upload in the folder that a line on standard input names; end where none comes."""
    gc.disable()  # this process is over before there is any garbage
    load()
    bored = threading.Timer(idle_s, os._exit, (IDLE,))
    bored.daemon = True
    bored.start()
    line = sys.stdin.buffer.readline()
    bored.cancel()
    if not line:
        os._exit(IDLE)
    answer(Path(json.loads(line)))
    os._exit(0)  # what is in memory is not worth tidying up


def load() -> None:
    """Import what reads files, so that the one who waits for the answer does not wait for that."""
    for name in ("terraclick.exchange.imports", "terraclick.store.outside", "pyogrio"):
        with contextlib.suppress(ImportError):  # said by the one who needs it
            importlib.import_module(name)


def answer(folder: Path) -> None:
    """Read the upload in `folder` as `ask.json` says and write the answer."""
    ask = json.loads((folder / "ask.json").read_text(encoding="utf-8"))
    limit_resources(ask["data_bytes"], ask["file_bytes"], ask["seconds"])
    from terraclick.errors import TerraClickError

    shapes: Sequence[Any] = ()
    try:
        shapes, columns, left = read(folder, ask)
        head: dict[str, Any] = {"count": len(shapes), "left_out": left, "columns": columns}
    except TooLarge as error:
        head = {"error": "TooLarge", "message": str(error)}
    except MemoryError:
        head = {"error": "BadData", "message": "this file needs too much memory to be read: split it."}
    except RecursionError:
        head = {"error": "BadData", "message": "this file is nested too deeply to be read: flatten it."}
    except TerraClickError as error:
        head = {"error": type(error).__name__, "message": str(error)}
    with open(folder / "answer.bin", "wb") as out:
        out.write(json.dumps(head).encode() + b"\n")
        write(out, shapes)


def write(out: Any, geometries: Sequence[Any]) -> None:
    """The lengths of all geometries, then one geometry after the other."""
    import numpy as np
    import shapely

    shapes = shapely.to_wkb(list(geometries), byte_order=1, output_dimension=2).tolist() if geometries else []
    out.write(np.array([len(shape) for shape in shapes], dtype=LENGTHS).tobytes())
    out.write(b"".join(shapes))


def read(folder: Path, ask: dict[str, Any]) -> tuple[list[Any], dict[str, list[Any]], dict[str, int]]:
    """Geometries of the upload, made valid, in the system that was asked for, their fields, and why others were left
    out.
    """
    import numpy as np
    import shapely

    from terraclick.exchange.imports import import_in_place
    from terraclick.geo.crs_text import crs_of_wkt

    path = folder / ("upload" + ask["ending"])
    if ask["ending"] == ".zip":
        path = unpacked(path, folder, ask["unpacked_bytes"])
    count = count_of(path, ask["most"])
    if count > ask["most"]:
        raise TooLarge(f"this file holds {count} features: import at most {ask['most']} at a time.")
    crs, source = (None if ask[name] is None else crs_of_wkt(ask[name]) for name in ("crs", "source"))
    found = import_in_place(path, crs, source, ask["pixels"])
    left = dict(found.left_out)
    shapes: list[Any] = list(found.geometries)
    given = np.array(shapes, dtype=object)
    whole = shapely.is_valid(given) & (shapely.area(given) > 0)
    for at in np.flatnonzero(~whole).tolist():
        shapes[at] = repaired(shapes[at])
    lost = sum(shape is None for shape in shapes)
    if lost:
        left["it encloses nothing"] = left.get("it encloses nothing", 0) + lost
    kept = [(item, shape) for item, shape in zip(found.items, shapes, strict=True) if shape is not None]
    columns = {name: [getattr(item, name) for item, _ in kept] for name in PLAIN_FIELDS}
    columns["attributes"] = [plain_attributes(values) if values else values for values in columns["attributes"]]
    return [shape for _, shape in kept], columns, left


def repaired(geometry: Any) -> Any:
    """An imported polygon made valid; None if it encloses nothing."""
    import shapely

    from terraclick.errors import BadData
    from terraclick.store.outside import usable
    from terraclick.store.rows import BadRow

    try:
        return usable(geometry)
    except (BadRow, BadData, shapely.errors.GEOSException):
        return None


def plain_attributes(values: dict[str, Any]) -> dict[str, Any]:
    """Attributes as a session keeps them: at most 64 of a plain name, texts of one line, numbers, yes or no."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        name = "".join(letter if letter.isprintable() else " " for letter in str(name)).strip()[:200]
        if isinstance(value, str):
            value = "".join(letter if letter.isprintable() else " " for letter in value)[:2000]
        elif isinstance(value, float) and not math.isfinite(value):
            continue
        elif not isinstance(value, bool | int | float):
            continue
        if name and len(found) < 64:
            found[name] = value
    return found


def count_of(path: Path, most: int) -> int:
    """How many features a file says it holds, as far as that can be told at once."""
    if path.suffix in (".geojson", ".json"):
        data = path.read_bytes()
        if data.count(b"Feature") + data.count(b"\\u") <= most:  # as many at most, and nothing spelt otherwise
            return 0
        try:
            top = json.loads(data.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return 0  # said by the one who reads it
        features = top.get("features") if isinstance(top, dict) else None
        return len(features) if isinstance(features, list) else 1
    try:
        import pyogrio
    except ImportError:
        return 0
    try:
        layers = pyogrio.list_layers(path).tolist()
        if len(layers) > 1000:
            return most + 1
        return sum(max(0, pyogrio.read_info(path, layer=str(name))["features"]) for name, _ in layers)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError):
        return 0


def unpacked(archive_path: Path, folder: Path, most_bytes: int) -> Path:
    """The one Shapefile of a zip archive, under names of our own. Raises BadData, TooLarge."""
    from terraclick.errors import BadData

    too_large = f"this archive unpacks to more than {most_bytes >> 20} MiB: split it."
    try:
        with zipfile.ZipFile(archive_path) as archive:
            chosen: dict[str, zipfile.ZipInfo] = {}
            for entry in [entry for entry in archive.infolist() if not entry.is_dir()][:1000]:
                ending = PurePosixPath(entry.filename.lower()).suffix
                if ending in SHAPEFILE:
                    if ending in chosen:
                        raise BadData("this archive holds more than one Shapefile: give one at a time.")
                    chosen[ending] = entry
            if ".shp" not in chosen:
                raise BadData("this archive holds no Shapefile (.shp).")
            if sum(entry.file_size for entry in chosen.values()) > most_bytes:
                raise TooLarge(too_large)
            left = most_bytes
            for ending, entry in chosen.items():
                with archive.open(entry) as source, open(folder / f"upload{ending}", "wb") as out:
                    while part := source.read(1 << 20):
                        left -= len(part)
                        if left < 0:
                            raise TooLarge(too_large)
                        out.write(part)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise BadData(f"this archive is damaged or locked ({type(error).__name__}): pack it again.") from None
    path = folder / "upload.shp"
    with open(path, "rb") as file:
        if file.read(4) != b"\x00\x00\x27\x0a":
            raise BadData("the .shp in this archive is not a Shapefile, whatever its name says.")
    return path


if __name__ == "__main__":
    main(float(sys.argv[1]))
