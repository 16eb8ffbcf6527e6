"""The small text files beside an image that say where it lies: world file, `.prj`, `.aux.xml`.

Read by ourselves and not by GDAL, which would follow what they name. Only files of the image's own name in the image's
own folder are looked at, up to `MOST_BYTES`; nothing they name is opened. What each of them means is what GDAL (and so
QGIS) takes it to mean; a `.prj` alone goes further, see `placing.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from affine import Affine
from pyproj import CRS
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

from terraclick.errors import BadData
from terraclick.geo.crs_text import crs_of_text

__all__ = ["AuxiliaryBand", "Sidecars", "read_sidecars", "sidecar_files", "stamp_of", "written_at"]

MOST_BYTES = 4 * 2**20
MOST_POINTS = 10_000
_UNREAD = {
    ".tab": "a MapInfo table",
    ".msk": "a mask",
    ".rpb": "RPC coefficients",
    "_rpc.txt": "RPC coefficients",
}
"""Endings of files that GDAL would read and we do not, and what they hold; they are named, not opened."""
_COLOURS = {
    "Gray": ColorInterp.gray, "Palette": ColorInterp.palette, "Red": ColorInterp.red, "Green": ColorInterp.green,
    "Blue": ColorInterp.blue, "Alpha": ColorInterp.alpha, "Undefined": ColorInterp.undefined,
}  # fmt: skip


@dataclass(frozen=True)
class AuxiliaryBand:
    """What an `.aux.xml` says of a band; None where it says nothing."""

    nodata: float | None = None
    colour: ColorInterp | None = None
    description: str | None = None
    scale: float | None = None
    offset: float | None = None


@dataclass(frozen=True)
class Sidecars:
    """What lies beside an image. `world` and `auxiliary` are transforms in the corner convention."""

    world: Affine | None = None
    world_name: str = ""
    projection: CRS | None = None
    projection_name: str = ""
    auxiliary: Affine | None = None
    auxiliary_crs: CRS | None = None
    auxiliary_name: str = ""
    points: tuple[GroundControlPoint, ...] = ()
    points_crs: CRS | None = None
    bands: dict[int, AuxiliaryBand] = field(default_factory=dict)
    complaints: tuple[str, ...] = ()
    """Sentences about sidecars that lie there and are not used."""

    @property
    def names(self) -> tuple[str, ...]:
        """The files that were understood."""
        return tuple(name for name in (self.auxiliary_name, self.world_name, self.projection_name) if name)


def read_sidecars(path: Path) -> Sidecars:
    """What lies beside the image at `path`; never raises: what cannot be used is a complaint."""
    return _read(path, stamp_of(path)[1:])


@lru_cache(maxsize=256)
def _read(path: Path, stamp: tuple[Any, ...]) -> Sidecars:
    """`read_sidecars` while the stamp of what lies there stays the same: a map reads an image tile by tile."""
    found: dict[str, Any] = {}
    complaints: list[str] = []
    world = _existing(_world_files(path))
    if world is not None:
        transform = _world_of(world)
        if transform is None:
            complaints.append(f"{world.name} beside it is no world file of six numbers: it is not used")
        else:
            found |= {"world": transform, "world_name": world.name}
    projection = _existing([path.with_suffix(".prj"), path.with_suffix(".PRJ")])
    if projection is not None:
        crs = _named(_text_of(projection) or "")
        if crs is None:
            complaints.append(
                f"{projection.name} beside it names no coordinate system that is read here: it is not used"
            )
        else:
            found |= {"projection": crs, "projection_name": projection.name}
    auxiliary = _existing([path.with_name(path.name + ".aux.xml")])
    if auxiliary is not None:
        said = _auxiliary_of(auxiliary)
        if said is None:
            complaints.append(f"{auxiliary.name} beside it cannot be read: it is not used")
        else:
            found |= said | {"auxiliary_name": auxiliary.name}
    complaints += [f"{name} beside it holds {what}, which is not read" for name, what in _unread(path)]
    return Sidecars(**found, complaints=tuple(complaints))


def sidecar_files(path: Path) -> list[Path]:
    """The files beside an image that are read with it."""
    names = [*_world_files(path), path.with_suffix(".prj"), path.with_suffix(".PRJ")]
    return [file for file in [*names, path.with_name(path.name + ".aux.xml")] if file.is_file()]


def stamp_of(path: Path) -> tuple[Any, ...]:
    """Changes when the image or one of its sidecars is replaced, written to or removed; () if the image is gone.

    The time of the last change of a file's entry counts too: tools that copy set the time of writing back.
    """
    try:
        own = path.stat()
    except OSError:
        return ()
    found: list[Any] = [(own.st_size, own.st_mtime_ns, own.st_ctime_ns, own.st_ino)]
    beside = [*_world_files(path), path.with_suffix(".prj"), path.with_suffix(".PRJ")]
    for file in [*beside, path.with_name(path.name + ".aux.xml")]:
        try:
            said = file.stat()
            found.append((file.name, said.st_size, said.st_mtime_ns, said.st_ctime_ns))
        except OSError:
            continue
    return tuple(found)


def written_at(stamp: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a stamp says of the content alone: names, sizes, times of writing."""
    return tuple((*parts[:2], parts[3]) if number == 0 else parts[:3] for number, parts in enumerate(stamp))


def _world_files(path: Path) -> list[Path]:
    """Names that GDAL looks for, in its order: first and last letter of the ending and w, the ending and w, wld."""
    ending = path.suffix[1:]
    endings = [f"{ending[0]}{ending[-1]}w", f"{ending}w", "wld"] if ending else ["wld"]
    return [path.with_suffix(f".{each}") for name in endings for each in dict.fromkeys((name.lower(), name.upper()))]


def _existing(files: list[Path]) -> Path | None:
    """The first of them that is a plain file of this folder; links that lead out of it are not followed."""
    for file in files:
        try:
            if file.is_file() and (not file.is_symlink() or file.resolve().parent == file.parent.resolve()):
                return file
        except (OSError, ValueError):
            continue
    return None


def _unread(path: Path) -> Iterator[tuple[str, str]]:
    """Sidecars that GDAL would read and we do not."""
    for ending, what in _UNREAD.items():
        base = path.name if ending == ".msk" else path.stem
        file = _existing([path.with_name(base + ending), path.with_name(base + ending.upper())])
        if file is not None:
            yield file.name, what


def _text_of(file: Path) -> str | None:
    """A small text file, UTF-8 or Latin-1; None if it is larger than a sidecar may be, or cannot be read."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError:
        return None
    if len(data) > MOST_BYTES:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _world_of(file: Path) -> Affine | None:
    """A world file's six numbers (of the middle of the first pixel) as a transform; a comma may be the decimal sign."""
    lines = [line.strip() for line in (_text_of(file) or "").splitlines() if line.strip()]
    try:
        a, d, b, e, c, f = (float(line.split()[0].replace(",", ".")) for line in lines[:6])
    except ValueError:
        return None
    if not all(map(math.isfinite, (a, b, c, d, e, f))) or a * e - b * d == 0:
        return None
    return Affine(a, b, c - 0.5 * (a + b), d, e, f - 0.5 * (d + e))


def _named(text: str) -> CRS | None:
    """A coordinate system from a sidecar's text; None for none, and for what is no plain name or WKT of one."""
    try:
        return crs_of_text(text.strip().strip("\0")) if text.strip() else None
    except BadData:
        return None


# --- .aux.xml --------------------------------------------------------------------------------------------------------


def _auxiliary_of(file: Path) -> dict[str, Any] | None:
    """What GDAL's (or ArcGIS's) auxiliary file says of the image's place and bands; None if it is no such file."""
    text = _text_of(file)
    if text is None or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError):
        return None
    if root.tag != "PAMDataset":
        return None
    found: dict[str, Any] = {}
    transform = _numbers(root.findtext("GeoTransform"), 6)
    if transform is not None:
        c, a, b, f, d, e = transform
        if a * e - b * d != 0:
            found["auxiliary"] = Affine(a, b, c, d, e, f)
    found["auxiliary_crs"] = _named(root.findtext("SRS") or "") or _arcgis_crs(root)
    points = root.find("GCPList")
    if points is not None:
        found["points"] = tuple(_points(points))
        found["points_crs"] = _named(points.get("Projection") or "")
    found["bands"] = dict(_bands(root))
    return found


def _numbers(text: str | None, count: int) -> list[float] | None:
    try:
        found = [float(part) for part in (text or "").split(",")]
    except ValueError:
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None


def _arcgis_crs(root: ElementTree.Element) -> CRS | None:
    for metadata in root.findall("Metadata"):
        if metadata.get("domain") == "xml:ESRI":
            return _named(metadata.findtext(".//SpatialReference/WKT") or "")
    return None


def _points(listed: ElementTree.Element) -> Iterator[GroundControlPoint]:
    for point in listed.findall("GCP")[:MOST_POINTS]:
        try:
            col, row, x, y = (float(point.get(name) or "nan") for name in ("Pixel", "Line", "X", "Y"))
        except ValueError:
            continue
        if all(map(math.isfinite, (col, row, x, y))):
            yield GroundControlPoint(row, col, x, y)


def _bands(root: ElementTree.Element) -> Iterator[tuple[int, AuxiliaryBand]]:
    for band in root.findall("PAMRasterBand"):
        number = band.get("band") or ""
        if not number.isdigit() or len(number) > 6:
            continue
        colour = band.findtext("ColorInterp")
        yield (
            int(number),
            AuxiliaryBand(
                _number(band.findtext("NoDataValue")),
                None if colour is None else _COLOURS.get(colour.strip(), ColorInterp.undefined),
                band.findtext("Description"),
                _number(band.findtext("Scale")),
                _number(band.findtext("Offset")),
            ),
        )


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
