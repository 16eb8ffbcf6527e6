"""Open an image file behind walls: what may be opened, by which driver, and how much of it may be decoded.

Each wall is enough for most hostile files: the first bytes choose the one GDAL driver that may open the file; GDAL
looks at no neighbouring files (those that say where the image lies are read by `sidecars.py`) and may not use the
network; one block must fit `BLOCK_BYTES` and everything that must be decoded `DECODE_BYTES` (`SEQUENTIAL_BYTES` in a
JPEG or PNG, which is decoded from its first row on but never held whole), both checked before anything is read.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from terraclick.errors import BadConfig, BadGrid, BadImage
from terraclick.geo.grid import Grid
from terraclick.geo.orientation import Oriented, stored_part
from terraclick.geo.placing import Place, place_of
from terraclick.geo.reading import PLAIN, Reading
from terraclick.geo.sidecars import AuxiliaryBand, Sidecars, read_sidecars
from terraclick.geo.tags import COMPRESSIONS, Tags, tags_of
from terraclick.values import Window

__all__ = [
    "RasterFile",
    "check_budget",
    "dataset",
    "decode_cost",
    "driver_of",
    "opened",
    "page_names",
    "stored_types",
]

BLOCK_BYTES = 256 * 2**20
DECODE_BYTES = 1200 * 2**20
SEQUENTIAL_BYTES = 6000 * 2**20
MOST_PACKED = 300
"""A JPEG or PNG that unpacks to more than so many times its size is a bomb, not a picture."""
SLOW_BYTES = 600 * 2**20
"""A JPEG or PNG larger than this (unpacked) is said to be slow."""

_GDAL: dict[str, str | int] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GTIFF_GEOREF_SOURCES": "INTERNAL",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_CACHEMAX": 320 * 2**20,
    "GDAL_MAX_DATASET_POOL_SIZE": "8",
}

_MAGIC = {b"II*\0": "GTiff", b"MM\0*": "GTiff", b"II+\0": "GTiff", b"MM\0+": "GTiff"} | {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
}


def driver_of(path: Path) -> tuple[str, bytes]:
    """(GDAL driver, first 32 bytes) by the file's content, never by its name."""
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise BadImage(f"{path.name} cannot be opened: {error.strerror or error}.") from error
    for magic, driver in _MAGIC.items():
        if head.startswith(magic):
            return driver, head
    what = "is empty" if not head else "is not a GeoTIFF, JPEG or PNG, whatever its name says"
    raise BadImage(f"{path.name} {what}: give one of these, or convert it with gdal_translate first.")


@dataclass(frozen=True)
class RasterFile:
    """An open image at full size, with what is known about it.

    nodata, scales, offsets, descriptions and meaning have one value a band; notes are what a user should hear of it;
    unplaced says why it has no coordinate system, "" where it has one; pages counts the pictures of a TIFF.
    """

    path: Path
    name: str | Path
    data: Any
    grid: Grid
    levels: tuple[int, ...]
    meaning: tuple[Any, ...]
    descriptions: tuple[str, ...]
    nodatavals: tuple[float | None, ...]
    scales: tuple[tuple[float, float], ...]
    reading: Reading
    notes: tuple[str, ...]
    unplaced: str
    orientation: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) at full size."""
        return self.grid.shape

    @property
    def nodata(self) -> float | None:
        """The value that stands for no data in the first band, if there is one."""
        return self.nodatavals[0]

    def level_for(self, factor: float) -> int | None:
        """The coarsest overview that is not coarser than `factor`; None = full size."""
        fitting = [i for i, ratio in enumerate(self.levels) if ratio <= factor * 1.01]
        return max(fitting, key=lambda i: self.levels[i]) if fitting else None


class _Reader(DatasetReader):  # type: ignore[misc]  # rasterio has no types
    """A dataset whose coordinate system may be named in Latin-1, which rasterio takes for damage."""

    crs_text = ""

    def read_crs(self) -> Any:
        try:
            return super().read_crs()
        except UnicodeDecodeError as error:
            self.crs_text = bytes(error.object).decode("latin-1")
            return None


def _why(error: BaseException) -> str:
    """The innermost reason, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(getattr(error, "errmsg", None) or error).split()).rstrip(".")
    return text[:200] or type(error).__name__


@contextmanager
def _readable(path: Path, driver: str) -> Iterator[None]:
    """GDAL's settings inside; its complaints leave as one BadImage."""
    try:
        with rasterio.Env(**_GDAL), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield
    except (RasterioError, CPLE_BaseError, OSError, MemoryError, UnicodeDecodeError) as error:
        raise BadImage(f"{path.name} {_undecoded(path, driver, error)}.") from error


def _undecoded(path: Path, driver: str, error: BaseException) -> str:
    """Why a file cannot be read: its kind of compression where that is known to be the reason, else damage."""
    tags = tags_of(path, driver)
    kind = COMPRESSIONS.get(tags.compression, f"an unknown method (number {tags.compression})")
    twelve = tags.compression == 7 and tags.bits == 12
    if tags.compression not in _COMMON or twelve:
        bits = f" of {tags.bits} bits" if twelve else ""
        return (
            f"is compressed with {kind}{bits}, which cannot be read here ({_why(error)}): where another program can "
            "open it, save it as an uncompressed, LZW or deflate GeoTIFF (gdal_translate -co COMPRESS=DEFLATE)"
        )
    return f"is damaged or of an unknown kind and cannot be read: {_why(error)}"


_RENEW = "make a copy without it (gdal_translate)"
_COMMON = {0, 1, 5, 7, 8, 32773, 32946}
"""TIFF compressions that every GDAL reads: trouble with one of them is damage."""


@contextmanager
def opened(path: Path, reading: Reading = PLAIN) -> Iterator[RasterFile]:
    """An image behind all walls but the budget of a read. Raises BadImage, also for what goes wrong inside.

    Raises BadConfig for a page that the file does not have.
    """
    driver, head = driver_of(path)
    with _readable(path, driver):
        name, directory = _page_of(path, driver, reading.page)
        with _Reader(name, driver=driver, sharing=False) as data:
            if data.tags(ns="OVERVIEWS"):  # GDAL would open whatever they name
                raise BadImage(f"{path.name} names another file as its overviews, which is not opened: {_RENEW}.")
            if data.count < 1 or min(data.shape) < 1:
                raise BadImage(f"{path.name} holds no picture: a raster with at least one band was expected.")
            if driver == "PNG" and head[28:29] == b"\1" and _bytes(data, data.shape) > BLOCK_BYTES:
                raise BadImage(f"{path.name} is interlaced and too large to read safely: save it as GeoTIFF.")
            yield _described(path, name, data, tags_of(path, driver, directory), reading)


def _described(path: Path, name: str | Path, data: Any, tags: Tags, reading: Reading) -> RasterFile:
    """An open dataset with all that its tags, what lies beside it and the user say of it."""
    beside = read_sidecars(path) if reading.page == 1 else Sidecars()
    place = place_of(path, data, tags.placed, beside, reading)
    notes = list(place.notes)
    turn = tags.orientation if data.driver != "GTiff" or place.transform is None else 1
    if turn != tags.orientation:
        notes.append("its orientation tag is left aside, as GIS programs do with an image that has a place")
    shown = data if turn == 1 else Oriented(data, turn)
    if turn != 1:
        notes.append(f"it is shown turned, as its orientation tag ({turn}) says")
    if data.driver in ("JPEG", "PNG") and _bytes(data, data.shape) > SLOW_BYTES:
        notes.append("it is a large JPEG or PNG, every look at its lower part is slow: a GeoTIFF with tiles is not")
    bands = [beside.bands.get(number, AuxiliaryBand()) for number in range(1, data.count + 1)]
    told = data.driver == "GTiff"  # GDAL takes colours from beside an image only there
    meaning = [b.colour if told and b.colour is not None else m for b, m in zip(bands, _meaning(data), strict=True)]
    named = [b.description or d or "" for b, d in zip(bands, data.descriptions, strict=True)]
    empty = [d if b.nodata is None else b.nodata for b, d in zip(bands, data.nodatavals, strict=True)]
    scaled = [
        _scaling(s if b.scale is None else b.scale, o if b.offset is None else b.offset)
        for b, s, o in zip(bands, data.scales, data.offsets, strict=True)
    ]
    return RasterFile(
        path,
        name,
        shown,
        _file_grid(path, shown, place),
        () if data.driver == "PNG" else tuple(data.overviews(1)),
        tuple(meaning),
        tuple(named),
        tuple(None if v is None else float(v) for v in map(reading.nodata_of, empty)),
        tuple(scaled),
        reading,
        tuple(notes),
        place.unplaced,
        turn,
    )


def _scaling(scale: float, offset: float) -> tuple[float, float]:
    """(scale, offset) of a band's true values; (1, 0) where what is declared makes no sense."""
    return (float(scale), float(offset)) if math.isfinite(scale) and scale > 0 and math.isfinite(offset) else (1.0, 0.0)


def page_names(data: Any) -> tuple[tuple[str, str], ...]:
    """(GDAL's name, size in words) of each picture of a TIFF of several; () where there is one."""
    if data.driver != "GTiff":
        return ()
    said = data.tags(ns="SUBDATASETS")
    found = []
    for number in range(1, len(said) // 2 + 1):
        size = re.search(r"\((\d+)P x (\d+)L x (\d+)B\)", said.get(f"SUBDATASET_{number}_DESC", ""))
        words = "of unknown size" if size is None else f"{size[1]} x {size[2]}"
        found.append((said.get(f"SUBDATASET_{number}_NAME", ""), words))
    return tuple(found)


def _page_of(path: Path, driver: str, page: int) -> tuple[str | Path, int]:
    """(what GDAL opens for a page, its directory counted from 0). Raises BadConfig if there is no such page."""
    if page == 1:
        return path, 0
    names: tuple[tuple[str, str], ...] = ()
    if driver == "GTiff":
        with _Reader(path, driver=driver, sharing=False) as data:
            names = page_names(data)
    if page > max(1, len(names)):
        raise BadConfig(f"--page {page} was given, but {path.name} holds {max(1, len(names))}: give 1 to that.")
    directory = int(names[page - 1][0].split(":")[1])
    return f"GTIFF_DIR:{directory}:{path}", directory - 1


def _meaning(data: Any) -> tuple[Any, ...]:
    """Colour meaning of each band; the first question may meet a stale complaint about some unimportant tag."""
    try:
        return tuple(data.colorinterp)
    except CPLE_BaseError:
        return tuple(data.colorinterp)


@contextmanager
def dataset(file: RasterFile, level: int | None) -> Iterator[Any]:
    """GDAL's dataset of one overview; None = full size."""
    if level is None:
        yield file.data
        return
    with _Reader(file.name, driver=file.data.driver, sharing=False, overview_level=level) as data:
        yield data if file.orientation == 1 else Oriented(data, file.orientation)


def _file_grid(path: Path, data: Any, place: Place) -> Grid:
    """The pixels of an image on the map, or on themselves where it has no place."""
    transform = place.transform
    if transform is None:
        return Grid(Affine.identity(), None, data.shape)
    if isinstance(data, Oriented):
        transform = transform @ data.to_stored()
    try:
        return Grid(transform, place.crs, data.shape)
    except BadGrid as error:
        raise BadGrid(f"{path.name}: {error}") from error


def _bytes(data: Any, shape: tuple[int, int]) -> int:
    return int(shape[0]) * int(shape[1]) * int(data.count) * max(np.dtype(t).itemsize for t in stored_types(data))


def stored_types(data: Any) -> list[str]:
    """The bands' types by numpy's names."""
    return ["complex64" if t == "complex_int16" else str(t) for t in data.dtypes]


def check_budget(file: RasterFile, data: Any, window: Window, way_out: str) -> None:
    """Raise BadImage before a read that would decode or hold too much."""
    block = data.block_shapes[0]
    if _bytes(data, block) > BLOCK_BYTES:
        size = f"{block[1]} x {block[0]}"
        raise BadImage(f"{file.path.name} is stored in blocks of {size} pixels, too large to read safely: tile it.")
    cost = decode_cost(data, window)
    size = f"{window.cols} x {window.rows}"
    if data.driver in ("JPEG", "PNG"):
        packed = file.path.stat().st_size
        if cost > min(SEQUENTIAL_BYTES, max(DECODE_BYTES, MOST_PACKED * packed)):
            raise BadImage(
                f"{file.path.name} is a {data.driver} too large to be read row by row: save it as a tiled GeoTIFF "
                f"(gdal_translate -co TILED=YES -co COMPRESS=DEFLATE)."
            )
    elif cost > DECODE_BYTES:
        raise BadImage(f"{file.path.name}: {size} stored pixels would have to be read for this view; {way_out}.")


def decode_cost(data: Any, window: Window) -> int:
    """Bytes that must be decoded to read a window: its whole blocks; in JPEG and PNG all rows above, too."""
    data, window = stored_part(data, window)
    rows, cols = (int(side) for side in data.block_shapes[0])
    row = 0 if data.driver in ("JPEG", "PNG") else window.row // rows
    down = math.ceil((window.row + window.rows) / rows) - row
    across = math.ceil((window.col + window.cols) / cols) - window.col // cols
    return _bytes(data, (rows, cols)) * int(down * across)
