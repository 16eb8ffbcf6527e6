"""Read a part of any GeoTIFF, JPEG or PNG as a `View` with its `Grid`.

The name must be a regular file once links are resolved; the other walls against hostile files are in `opening.py`. A
`Reading` tells what the file does not say, or says wrongly: nodata, page, alpha, coordinate system.

Reading at another gsd lays output pixels on a lattice that starts at the image's first corner, so the same ground
read through different bounds gives the same pixels. Shrinking averages by area (from the best overview), enlarging
is bilinear; the native gsd is never resampled.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from terraclick.errors import BadGrid, BadImage, BadInput
from terraclick.geo.bands import chosen_bands
from terraclick.geo.grid import Grid
from terraclick.geo.lattice import lattice_shape, view_lattice
from terraclick.geo.opening import (
    RasterFile,
    check_budget,
    dataset,
    driver_of,
    opened,
    page_names,
)
from terraclick.geo.pixels import Source, source_window
from terraclick.geo.placing import NOWHERE
from terraclick.geo.reading import PLAIN, Reading
from terraclick.geo.resampling import resample
from terraclick.geo.stretching import limits_of, percentile_pair, samples_of
from terraclick.values import Bounds, Stretch, View, Window

__all__ = [
    "STRIP",
    "Band",
    "FurtherBand",
    "RasterInfo",
    "rasterized",
    "read_bands",
    "read_further",
    "read_info",
    "read_limits",
    "read_placed",
    "read_samples",
    "read_statistics",
    "read_stored",
    "read_tile",
    "read_view",
    "resolve_image",
]

STRIP = 512
"""Rows of a whole image that are read at once."""
SAMPLE = Path(__file__).resolve().parents[1] / "data" / "sample.tif"


@dataclass(frozen=True)
class RasterInfo:
    """What a file says about itself: bands counts all of them, dtype is the first band's, nodata None if undeclared.

    notes are sentences (without the file's name and the full stop) that a user should hear; unplaced continues "NAME …"
    where the file has no coordinate system; pages are the sizes of the pictures of a TIFF of several, in words.
    """

    path: Path
    driver: str
    grid: Grid
    bands: int
    dtype: str
    nodata: float | None
    has_overviews: bool
    notes: tuple[str, ...] = ()
    unplaced: str = ""
    pages: tuple[str, ...] = ()


def resolve_image(name: str | os.PathLike[str]) -> Path:
    """The real path of an image: `sample` is the packaged scene, anything else a file on this disk.

    Raises BadImage if it is not a regular, readable file of a known raster format.
    """
    path = SAMPLE if str(name) == "sample" else Path(name)
    try:
        real = Path(os.path.realpath(path))
        if not real.is_file():
            raise BadImage(_no_file(str(name), real))
    except ValueError as error:
        raise BadImage(f"{str(name)!r} is not the name of a file: {error}.") from error
    driver_of(real)
    return real


def _no_file(name: str, real: Path) -> str:
    if "://" in name or name.startswith("/vsi"):
        return (
            f"{name} is not a file on this disk: addresses and GDAL's virtual paths are not opened, download it first."
        )
    if real.is_dir():
        return f"{name} is a folder: give one GeoTIFF, JPEG or PNG file inside it."
    return f"{name} does not exist or is not a plain file: check the spelling and the folder."


def read_info(path: str | os.PathLike[str], reading: Reading = PLAIN) -> RasterInfo:
    """What an image file says about itself. Raises BadImage or BadGrid if it cannot be used, BadConfig for a page."""
    with opened(resolve_image(path), reading) as file:
        pages = tuple(words for _, words in page_names(file.data)) if reading.page == 1 else ()
        return RasterInfo(
            file.path,
            file.data.driver,
            file.grid,
            file.data.count,
            file.data.dtypes[0],
            file.nodata,
            bool(file.levels),
            (*file.notes, *_without_place(file.unplaced), *_of_pages(pages)),
            file.unplaced,
            pages,
        )


def _without_place(why: str) -> list[str]:
    """What to say of an image that seems to have a place and cannot be placed."""
    return [] if why in ("", NOWHERE) else [f"it {why}; until then its pixels are counted"]


def _of_pages(pages: tuple[str, ...]) -> list[str]:
    """What to say of a file that holds several pictures."""
    if len(pages) < 2:
        return []
    sizes = ", ".join(pages[:6]) + (", …" if len(pages) > 6 else "")
    return [f"it holds {len(pages)} pictures ({sizes}) and the first is read: choose another with --page"]


def read_view(
    path: str | os.PathLike[str],
    bounds: Bounds | None = None,
    gsd: float | None = None,
    bands: Sequence[int] | None = None,
    stretch: Stretch = "auto",
    max_side: int = 4096,
    reading: Reading = PLAIN,
    further: int = 0,
) -> tuple[View, Grid]:
    """Read the part of an image inside `bounds` as a View (H, W, 3) uint8 and the Grid of exactly those pixels.

    bounds: (left, bottom, right, top) in the image's own coordinates (x = columns, y = rows down if it has none);
        grown to whole pixels and clipped to the image; None = all of it.
    gsd: metres per pixel wanted (image pixels per pixel without a crs), the same factor along rows and columns;
        None = native, or the least whole factor that fits `max_side`.
    bands: one or three band numbers from 1; None = red, green, blue by their descriptions or declared meaning, else the
        first three, else the first. An alpha band that is asked for hides nothing.
    stretch: "auto" = uint8 as it is, other types between their 2nd and 98th percentile over the WHOLE image;
        "percent" = that for uint8 too; "none" = values cut to 0-255; or explicit (min, max).
    further: how many of the file's other bands come after red, green and blue, in their order, stretched alike.
    View.valid is None if every pixel holds data, else False at nodata, transparent, masked and non-finite pixels,
    which are black. Raises BadImage (cannot be read), BadGrid (bounds or gsd do not fit), BadInput (bands, stretch).
    """
    with opened(resolve_image(path), reading) as file:
        chosen = chosen_bands(file, bands)
        factor, lattice = view_lattice(file.grid, bounds, gsd, max_side, file.path.name)
        level = file.level_for(factor)
        with dataset(file, level) as data:
            source = Source(file, data, chosen, ())
            window = source_window(source, lattice, factor)
            check_budget(file, data, window, "give smaller bounds, or add overviews with gdaladdo")
            source = Source(file, data, chosen, limits_of(file, chosen, stretch))
            image, valid = resample(source, window, lattice, factor)
            for band in _further_bands(file, chosen, further):
                deeper = Source(file, data, (band,), limits_of(file, (band,), stretch))
                image = np.concatenate([image, resample(deeper, window, lattice, factor)[0][..., :1]], axis=2)
    grid = file.grid.coarsened(factor, lattice)
    return View(image, None if valid.all() else valid, grid.metres_per_pixel), grid


def _further_bands(file: RasterFile, chosen: Sequence[int], count: int) -> list[int]:
    """Bands after those chosen, alpha left out. Raises BadImage for too few."""
    left = [n for n, meaning in enumerate(file.meaning, start=1) if n not in chosen and meaning.name != "alpha"]
    if len(left) < count:
        raise BadImage(
            f"{file.path.name} has {file.data.count} bands, and the model reads {3 + count}: give an image of as many, "
            "or take a model of three bands."
        )
    return left[:count]


FurtherBand: TypeAlias = tuple[int, tuple[float, float]]
"""A band after those that are shown, and its values that become 0 and 255."""


def read_further(
    path: str | os.PathLike[str], bands: Sequence[int], count: int, reading: Reading = PLAIN
) -> tuple[FurtherBand, ...]:
    """The bands that `read_view` adds to some, for `read_tile`. Raises BadImage for too few."""
    with opened(resolve_image(path), reading) as file:
        left = _further_bands(file, bands, count)
        return tuple((band, limits_of(file, (band,), "auto")[0]) for band in left)


# --- for a map on the screen -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Band:
    """One band of a file: its number from 1, what it is called (or its colour), the type of its values."""

    number: int
    name: str
    dtype: str


def read_bands(path: str | os.PathLike[str], reading: Reading = PLAIN) -> tuple[Band, ...]:
    """All bands of an image. Raises BadImage or BadGrid if it cannot be used."""
    with opened(resolve_image(path), reading) as file:
        names = [text or meaning.name for text, meaning in zip(file.descriptions, file.meaning, strict=True)]
        return tuple(
            Band(i, name, str(t)) for i, (name, t) in enumerate(zip(names, file.data.dtypes, strict=True), start=1)
        )


def read_stored(path: str | os.PathLike[str], reading: Reading = PLAIN, window: Window | None = None) -> NDArray[Any]:
    """All bands of an image, or of a window of it, as stored: (H, W, bands) in the file's type, alpha included.

    Raises BadImage or BadGrid if it cannot be used.
    """
    with opened(resolve_image(path), reading) as file:
        part = window or Window(0, 0, *file.shape)
        check_budget(file, file.data, part, "cut it into tiles with gdal_retile")
        bands = list(range(1, file.data.count + 1))
        values: NDArray[Any] | None = None
        for row in range(0, part.rows, STRIP):  # a second copy of the whole would double what is held
            rows = min(STRIP, part.rows - row)
            strip = file.data.read(bands, window=RasterWindow(part.col, part.row + row, part.cols, rows))
            if values is None:
                values = np.empty((part.rows, part.cols, len(bands)), strip.dtype)
            values[row : row + rows] = strip.transpose(1, 2, 0)
        assert values is not None
        return values


@dataclass(frozen=True)
class Placed:
    """What a crop must carry on: size, bands, type of values, nodata, alpha, place, gsd, and whether it is a JPEG."""

    shape: tuple[int, int]
    bands: int
    dtype: str
    nodata: float | None
    alpha: bool
    transform: Any
    crs: Any
    gsd: float | None
    jpeg: bool
    block: int
    """Rows that are decoded together; all where the file is read from its top only."""


def read_placed(path: str | os.PathLike[str], reading: Reading = PLAIN) -> Placed:
    """What crops of an image carry on. Raises BadImage or BadGrid if it cannot be used."""
    with opened(resolve_image(path), reading) as file:
        data, grid = file.data, file.grid
        crs = None if grid.crs is None else grid.crs.to_wkt()
        alpha = any(meaning.name == "alpha" for meaning in file.meaning)
        shape = int(file.shape[0]), int(file.shape[1])
        place = grid.transform, crs, grid.metres_per_pixel
        block = int(data.block_shapes[0][0]) if data.driver == "GTiff" else shape[0]
        return Placed(shape, data.count, str(data.dtypes[0]), file.nodata, alpha, *place, data.driver == "JPEG", block)


def rasterized(geometry: Any, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels (H, W) whose centre lies in a geometry in pixels (corner convention: the first pixel is 0-1)."""
    from rasterio.features import rasterize

    if geometry.is_empty:
        return np.zeros(shape, np.bool_)
    return np.asarray(rasterize([(geometry, 1)], shape, dtype="uint8") > 0)


def read_limits(
    path: str | os.PathLike[str],
    bands: Sequence[int] | None = None,
    stretch: Stretch = "auto",
    reading: Reading = PLAIN,
) -> tuple[tuple[int, ...], tuple[tuple[float, float], ...]]:
    """(band numbers, the values of each that become 0 and 255) as `read_view` would choose them.

    Given back to `read_view` or `read_tile` as bands and stretch they give the same picture without a look at the whole
    image again. Raises what `read_view` raises.
    """
    with opened(resolve_image(path), reading) as file:
        chosen = chosen_bands(file, bands)
        return chosen, limits_of(file, chosen, stretch)


def read_tile(
    path: str | os.PathLike[str],
    window: Window,
    factor: float = 1.0,
    bands: Sequence[int] | None = None,
    stretch: Stretch = "auto",
    reading: Reading = PLAIN,
    further: Sequence[FurtherBand] = (),
) -> View:
    """Read a window of output pixels, each `factor` image pixels wide, counted from the image's first corner.

    What lies beyond the image is left out, so the View may be smaller than the window; `further` bands come after red,
    green and blue (see `read_further`); the rest is as in `read_view`.
    Raises BadGrid where the window misses the image or has more than 4096 pixels a side, BadImage, BadInput.
    """
    if not (math.isfinite(factor) and factor > 0) or max(window.rows, window.cols) > 4096:
        raise BadGrid(f"a tile of {window.cols} x {window.rows} pixels at 1:{factor} was asked: at most 4096 a side.")
    with opened(resolve_image(path), reading) as file:
        count = lattice_shape(file.shape, factor)
        top, left = max(window.row, 0), max(window.col, 0)
        rows, cols = min(window.row + window.rows, count[0]) - top, min(window.col + window.cols, count[1]) - left
        if rows <= 0 or cols <= 0:
            raise BadGrid(f"the tile at row {window.row}, column {window.col} misses {path}.")
        chosen = chosen_bands(file, bands)
        with dataset(file, file.level_for(factor)) as data:
            lattice = Window(top, left, rows, cols)
            source = Source(file, data, chosen, ())
            needed = source_window(source, lattice, factor)
            check_budget(file, data, needed, "add overviews with gdaladdo to look at it from afar")
            image, valid = resample(
                Source(file, data, chosen, limits_of(file, chosen, stretch)), needed, lattice, factor
            )
            for band, limits in further:
                deeper = Source(file, data, (band,), (limits,))
                image = np.concatenate([image, resample(deeper, needed, lattice, factor)[0][..., :1]], axis=2)
    return View(image, None if valid.all() else valid)


def read_statistics(
    path: str | os.PathLike[str], bands: Sequence[int] | None = None, reading: Reading = PLAIN
) -> tuple[tuple[int, float, float, float, float], ...]:
    """(band, min, max, 2nd, 98th percentile) of each band, from an overview or patches spread over the image.

    In true values, as `Stretch` takes them.
    """
    with opened(resolve_image(path), reading) as file:
        chosen = tuple(dict.fromkeys(bands)) if bands is not None else tuple(range(1, file.data.count + 1))
        if not all(1 <= band <= file.data.count for band in chosen):
            raise BadInput(f"bands {chosen} were asked of {file.path.name}; give some of 1 to {file.data.count}.")
        found = []
        for band, values in zip(chosen, samples_of(file, chosen), strict=True):
            low, high = percentile_pair(values)
            ends = (float(values.min()), float(values.max())) if values.size else (low, high)
            scale, offset = file.scales[band - 1]
            least, most, p2, p98 = (value * scale + offset for value in (*ends, low, high))
            found.append((band, least, most, p2, p98))
    return tuple(found)


def read_samples(
    path: str | os.PathLike[str], bands: Sequence[int] | None = None, reading: Reading = PLAIN
) -> tuple[tuple[int, ...], tuple[NDArray[Any], ...]]:
    """(band numbers, known stored values of each) that `read_view` would see, from an overview or spread patches."""
    with opened(resolve_image(path), reading) as file:
        chosen = chosen_bands(file, bands)
        return chosen, tuple(samples_of(file, chosen))
