"""Reads a stranger's file of polygons in a process of its own, which may be killed: see `server/importing.py`.

    python -m terraclick.server.import_worker FOLDER

FOLDER holds `ask.json` and the upload; `answer.bin` is written there: a line of JSON, then for every object the lengths
of its fields and its geometry, the fields as JSON, the geometry as WKB.
"""

from __future__ import annotations

import gc
import json
import lzma
import math
import struct
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

__all__ = ["LENGTHS", "PLAIN_FIELDS", "main", "unpacked"]


class TooLarge(Exception):
    """More features or bytes than one import may have: `app.features.TooLarge`, which takes long to import."""


LENGTHS = struct.Struct("<II")
PLAIN_FIELDS = ("class_name", "label", "model", "image", "attributes")
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


def main(folder: Path) -> None:
    """Read the upload in `folder` as `ask.json` says and write the answer."""
    ask = json.loads((folder / "ask.json").read_text(encoding="utf-8"))
    gc.disable()  # this process is over before there is any garbage
    limit_resources(ask["data_bytes"], ask["file_bytes"], ask["seconds"])
    from terraclick.errors import TerraClickError

    try:
        items, left = read(folder, ask)
        head: dict[str, Any] = {"count": len(items), "left_out": left}
    except TooLarge as error:
        head, items = {"error": "TooLarge", "message": str(error)}, []
    except MemoryError:
        head, items = {"error": "BadData", "message": "this file needs too much memory to be read: split it."}, []
    except RecursionError:
        head, items = {"error": "BadData", "message": "this file is nested too deeply to be read: flatten it."}, []
    except TerraClickError as error:
        head, items = {"error": type(error).__name__, "message": str(error)}, []
    with open(folder / "answer.bin", "wb") as out:
        out.write(json.dumps(head).encode() + b"\n")
        write(out, items)


def write(out: Any, items: Sequence[Any]) -> None:
    """One object after the other."""
    import shapely

    shapes = shapely.to_wkb([item.geometry for item in items], byte_order=1, output_dimension=2) if items else []
    for item, shape in zip(items, shapes, strict=True):
        told = json.dumps({name: getattr(item, name) for name in PLAIN_FIELDS}).encode()
        out.write(LENGTHS.pack(len(told), len(shape)) + told + shape)


def read(folder: Path, ask: dict[str, Any]) -> tuple[list[Any], dict[str, int]]:
    """The objects of the upload, made valid, in the system that was asked for; why others were left out."""
    import numpy as np
    import shapely

    from terraclick.exchange.imports import import_some
    from terraclick.geo.crs_text import crs_of_wkt
    from terraclick.store.fields import like

    path = folder / ("upload" + ask["ending"])
    if ask["ending"] == ".zip":
        path = unpacked(path, folder, ask["unpacked_bytes"])
    count = count_of(path, ask["most"])
    if count > ask["most"]:
        raise TooLarge(f"this file holds {count} features: import at most {ask['most']} at a time.")
    crs, source = (None if ask[name] is None else crs_of_wkt(ask[name]) for name in ("crs", "source"))
    found = import_some(path, crs, source, ask["pixels"])
    left = dict(found.left_out)
    kept = []
    shapes = np.array([item.geometry for item in found.items], dtype=object)
    whole = shapely.is_valid(shapes) & (shapely.area(shapes) > 0)
    for item, fine in zip(found.items, whole.tolist(), strict=True):
        shape = item.geometry if fine else repaired(item.geometry)
        if shape is None:
            left["it encloses nothing"] = left.get("it encloses nothing", 0) + 1
        else:
            kept.append(like(item, geometry=shape, attributes=plain_attributes(item.attributes)))
    return kept, left


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
    main(Path(sys.argv[1]))
