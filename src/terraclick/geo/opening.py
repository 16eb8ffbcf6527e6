"""Open an image file behind walls: what may be opened, by which driver, and how much of it may be decoded.

Each wall is enough for most hostile files: the first bytes choose the one GDAL driver that may open the file; GDAL
looks at no neighbouring files (a world file or `.aux.xml` beside it is not read) and may not use the network; one block
must fit `BLOCK_BYTES` and everything that must be decoded `DECODE_BYTES`, both checked before anything is read.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from terraclick.core.focus import Window
from terraclick.errors import BadGrid, BadImage
from terraclick.geo.grid import Grid

__all__ = ["RasterFile", "check_budget", "dataset", "decode_cost", "driver_of", "opened", "stored_types"]

BLOCK_BYTES = 256 * 2**20
DECODE_BYTES = 1200 * 2**20

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
    """An open image at full size, with what is known about it."""

    path: Path
    data: Any
    grid: Grid
    levels: tuple[int, ...]
    meaning: tuple[Any, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) at full size."""
        return self.grid.shape

    @property
    def nodata(self) -> float | None:
        """The value that stands for no data, if there is one."""
        return None if self.data.nodata is None else float(self.data.nodata)

    def level_for(self, factor: float) -> int | None:
        """The coarsest overview that is not coarser than `factor`; None = full size."""
        fitting = [i for i, ratio in enumerate(self.levels) if ratio <= factor * 1.01]
        return max(fitting, key=lambda i: self.levels[i]) if fitting else None


def _why(error: BaseException) -> str:
    """The innermost reason, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(getattr(error, "errmsg", None) or error).split()).rstrip(".")
    return text[:200] or type(error).__name__


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """GDAL's settings inside; its complaints leave as one BadImage."""
    try:
        with rasterio.Env(**_GDAL), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield
    except (RasterioError, CPLE_BaseError, OSError, MemoryError, UnicodeDecodeError) as error:
        raise BadImage(f"{path.name} is damaged or of an unknown kind and cannot be read: {_why(error)}.") from error


@contextmanager
def opened(path: Path) -> Iterator[RasterFile]:
    """An image behind all walls but the budget of a read. Raises BadImage, also for what goes wrong inside."""
    driver, head = driver_of(path)
    with _readable(path), rasterio.open(path, driver=driver, sharing=False) as data:
        if data.count < 1 or min(data.shape) < 1:
            raise BadImage(f"{path.name} holds no picture: a raster with at least one band was expected.")
        if driver == "PNG" and head[28:29] == b"\1" and _bytes(data, data.shape) > BLOCK_BYTES:
            raise BadImage(f"{path.name} is interlaced and too large to read safely: save it as GeoTIFF.")
        levels = () if driver == "PNG" else tuple(data.overviews(1))
        yield RasterFile(path, data, _file_grid(path, data), levels, _meaning(data))


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
    with rasterio.open(file.path, driver=file.data.driver, sharing=False, overview_level=level) as data:
        yield data


def _file_grid(path: Path, data: Any) -> Grid:
    crs = None
    if data.crs:
        try:
            crs = CRS.from_wkt(data.crs.to_wkt(version="WKT2_2019"))
        except (CRSError, RasterioError, CPLE_BaseError):
            crs = None
    try:
        return Grid(data.transform, crs, data.shape)
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
    if decode_cost(data, window) > DECODE_BYTES:
        size = f"{window.cols} x {window.rows}"
        raise BadImage(f"{file.path.name}: {size} stored pixels would have to be read for this view; {way_out}.")


def decode_cost(data: Any, window: Window) -> int:
    """Bytes that must be decoded to read a window: its whole blocks; in JPEG and PNG all rows above, too."""
    rows, cols = (int(side) for side in data.block_shapes[0])
    row = 0 if data.driver in ("JPEG", "PNG") else window.row // rows
    down = math.ceil((window.row + window.rows) / rows) - row
    across = math.ceil((window.col + window.cols) / cols) - window.col // cols
    return _bytes(data, (rows, cols)) * int(down * across)
