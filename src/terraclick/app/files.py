"""Files that come in and go out: polygons uploaded by a browser, exports into the one output folder."""

from __future__ import annotations

import io
import re
import threading
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import shapely

from terraclick.app.clicking import Surface
from terraclick.app.features import as_surface
from terraclick.errors import BadConfig, BadData, NotGeoreferenced, UnknownName
from terraclick.files import check_apart, files_beside
from terraclick.geo.collection import Collection
from terraclick.geo.crs_text import parse_crs
from terraclick.geo.export import FORMATS, write_collection

__all__ = ["Exports", "base_name", "formats", "holds_several", "plain", "repaired"]


def base_name(path: str) -> str:
    """The last part of a path of this or another system."""
    return PureWindowsPath(PurePosixPath(path).name).name


def plain(text: str) -> str:
    """Text on one line, of at most 200 letters, without control characters."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip()[:200]


def formats() -> list[dict[str, Any]]:
    """What can be written: name, usual ending, whether in pixels of one image."""
    return [{"name": name, "ending": kind.ending, "pixels": kind.pixels} for name, kind in FORMATS.items()]


def holds_several(format_name: str) -> bool:
    """Whether one file of a format can hold the objects of several images."""
    return format_name in FORMATS and FORMATS[format_name].many


# --- coming in -------------------------------------------------------------------------------------------------------


def repaired(geometry: Any) -> Surface | None:
    """An imported polygon made valid; None if it encloses nothing."""
    try:
        return as_surface(shapely.make_valid(geometry))
    except (BadData, shapely.errors.GEOSException):
        return None


# --- going out -------------------------------------------------------------------------------------------------------


class Exports:
    """The output folder, and what was written to it since the start; `in_use` must not be replaced. Thread-safe."""

    def __init__(self, folder: Path, in_use: Callable[[], Sequence[Path]] = tuple) -> None:
        self.folder = folder
        self._in_use = in_use
        self._written: dict[str, list[Path]] = {}
        self._lock = threading.Lock()

    def write(
        self,
        whole: Collection,
        format_name: str,
        name: str,
        crs_text: str | None,
        overwrite: bool,
    ) -> dict[str, Any]:
        """Write objects under a plain name. Raises UnknownName, BadConfig, BadOutput, MissingExtra."""
        if format_name not in FORMATS:
            raise UnknownName(f"no format {format_name[:40]!r}. Known: {', '.join(FORMATS)}.")
        kind = FORMATS[format_name]
        ending = kind.ending
        if not whole.items:
            raise BadConfig("no object fits: there is nothing to write.")
        stem = name[: -len(ending)] if name.lower().endswith(ending) else name
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", stem):
            raise BadConfig(f"{name[:80]!r} is no name for a file: use letters, digits, dot, dash and underscore.")
        path = self.folder / (stem + ending)
        if crs_text is not None and whole.crs is None:
            raise NotGeoreferenced("the objects are in image pixels: leave crs out.")
        crs = None if crs_text is None else parse_crs(crs_text)
        if kind.pixels and not kind.many and len(whole.pictures) != 1:
            raise BadConfig(f"{format_name} is written in pixels: say with image which ones.")
        with self._lock:
            check_apart([path], self._in_use())
            write_collection(whole, path, format_name, crs, overwrite)
            parts = [path, *files_beside(path, kind.beside)]
            self._written[path.name] = parts
        return {
            "name": path.name,
            "objects": len(whole.items),
            "bytes": sum(file.stat().st_size for file in parts),
            "url": f"/api/exports/{path.name}",
        }

    def listed(self) -> list[dict[str, Any]]:
        """What is there of what was written, in order."""
        with self._lock:
            written = {name: [file for file in parts if file.is_file()] for name, parts in self._written.items()}
        return [
            {"name": name, "bytes": sum(file.stat().st_size for file in parts), "url": f"/api/exports/{name}"}
            for name, parts in written.items()
            if parts
        ]

    def read(self, name: str) -> tuple[bytes, str, str]:
        """(content, file name, media type); several files come as one zip. Raises UnknownName."""
        with self._lock:
            parts = [file for file in self._written.get(name, []) if file.is_file()]
        if not parts:
            raise UnknownName(f"no export {name[:80]!r} of this start: see /api/exports.")
        if len(parts) == 1:
            media = "application/geo+json" if name.endswith(".geojson") else "application/octet-stream"
            return parts[0].read_bytes(), parts[0].name, media
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in parts:
                archive.write(file, file.name)
        return packed.getvalue(), f"{Path(name).stem}.zip", "application/zip"
