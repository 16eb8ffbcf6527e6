"""Files that come in and go out: polygons uploaded by a browser, exports into the one output folder."""

from __future__ import annotations

import io
import re
import threading
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import quote

from terraclick.errors import BadConfig, NotGeoreferenced, UnknownName
from terraclick.exchange.export import carried, check_destination, left_out_note, write_collection
from terraclick.exchange.registry import FORMATS, installed
from terraclick.files import check_apart, files_beside
from terraclick.formats.common.collection import Collection
from terraclick.geo.crs_text import parse_crs

__all__ = ["Exports", "base_name", "formats", "plain"]


def base_name(path: str) -> str:
    """The last part of a path of this or another system."""
    return PureWindowsPath(PurePosixPath(path).name).name


def plain(text: str) -> str:
    """Text on one line, of at most 200 letters, without control characters."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip()[:200]


RESERVED = {"con", "prn", "aux", "nul", *(f"{kind}{number}" for kind in ("com", "lpt") for number in range(1, 10))}


def check_name(stem: str, given: str) -> None:
    """Raise BadConfig for what no system has as a file name; letters of any language and blanks are fine."""
    wrong = [letter for letter in stem if not letter.isprintable() or letter in '/\\:*?"<>|']
    shown = "".join(letter if letter.isprintable() else "?" for letter in given[:80])
    if wrong or not stem.strip() or stem[0] in "." or stem != stem.strip() or stem.endswith("."):
        raise BadConfig(
            f"{shown!r} is no name for a file: use letters, digits, blanks, dots, dashes; it begins with no dot, ends "
            'with no dot or blank, and holds none of / \\ : * ? " < > |.'
        )
    if stem.split(".")[0].lower() in RESERVED or len(stem.encode()) > 200:
        raise BadConfig(f"{shown!r} is no name for a file on every system: choose a shorter or another one.")


def formats() -> list[dict[str, Any]]:
    """What can be written here: name, label, what it is for, usual ending, whether in pixels, whether one file holds
    several pictures.
    """
    return [
        {
            "name": name,
            "label": kind.label,
            "note": kind.note,
            "ending": kind.ending,
            "pixels": kind.pixels,
            "several": kind.many,
        }
        for name, kind in FORMATS.items()
        if installed(name)
    ]


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
        check_name(stem, name)
        path = self.folder / (stem + ending)
        if crs_text is not None and whole.crs is None:
            raise NotGeoreferenced("the objects are in image pixels: leave crs out.")
        crs = None if crs_text is None else parse_crs(crs_text)
        if kind.pixels and not kind.many and not whole.pictures:
            raise BadConfig(f"{format_name} is written in pixels: say with image which ones.")
        one_each = kind.pixels and not kind.many and len(whole.pictures) > 1
        held, lacking = carried(whole, kind)
        with self._lock:
            if one_each:
                name, parts = f"{stem}.zip", self._one_each(whole, stem, format_name, overwrite)
            else:
                check_apart([path], self._in_use())
                write_collection(whole, path, format_name, crs, overwrite)
                name, parts = path.name, [path, *files_beside(path, kind.beside)]
            self._written[name] = parts
        return {
            "name": name,
            "objects": len(held.items),
            "left_out": lacking,
            "note": left_out_note(format_name, lacking) if lacking else "",
            "bytes": sum(file.stat().st_size for file in parts),
            "url": f"/api/exports/{quote(name)}",
        }

    def _one_each(self, whole: Collection, stem: str, format_name: str, overwrite: bool) -> list[Path]:
        """One file for each picture that has objects, NAME-PICTURE; all with the classes of the whole."""
        kind = FORMATS[format_name]
        wanted = []
        for picture in whole.pictures:
            items = tuple(item for item in carried(whole, kind)[0].items if item.image == picture.key)
            if items:
                name = "".join(
                    letter if letter.isalnum() or letter in "._-" else "_" for letter in Path(picture.name).stem
                )
                path = self.folder / f"{stem}-{name}{kind.ending}"
                wanted.append((replace(whole, items=items, pictures=(picture,)), path))
        check_apart([path for _, path in wanted], self._in_use())
        for _, path in wanted:  # all or none
            check_destination(path, format_name, overwrite)
        parts: list[Path] = []
        for part, path in wanted:
            write_collection(part, path, format_name, None, overwrite)
            parts += [path, *files_beside(path, kind.beside)]
        return parts

    def listed(self) -> list[dict[str, Any]]:
        """What is there of what was written, in order."""
        with self._lock:
            written = {name: [file for file in parts if file.is_file()] for name, parts in self._written.items()}
        return [
            {"name": name, "bytes": sum(file.stat().st_size for file in parts), "url": f"/api/exports/{quote(name)}"}
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
