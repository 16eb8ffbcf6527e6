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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.windows import Window as RasterWindow

from terraclick.errors import BadGrid, BadImage, BadInput
from terraclick.geo.bands import chosen_bands, hides_pixels, palette_of
from terraclick.geo.grid import Grid, check_bounds
from terraclick.geo.opening import (
    RasterFile,
    check_budget,
    dataset,
    decode_cost,
    driver_of,
    opened,
    page_names,
)
from terraclick.geo.placing import NOWHERE
from terraclick.geo.reading import PLAIN, Reading
from terraclick.values import Bounds, Stretch, View, Window

__all__ = [
    "Band",
    "RasterInfo",
    "rasterized",
    "read_bands",
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

CHUNK_SAMPLES = 2**20
SLIVER = 1e-3
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
    View.valid is None if every pixel holds data, else False at nodata, transparent, masked and non-finite pixels,
    which are black. Raises BadImage (cannot be read), BadGrid (bounds or gsd do not fit), BadInput (bands, stretch).
    """
    with opened(resolve_image(path), reading) as file:
        chosen = chosen_bands(file, bands)
        factor, lattice = _choose_lattice(file, bounds, gsd, max_side)
        level = file.level_for(factor)
        with dataset(file, level) as data:
            source = _Source(file, data, chosen, ())
            window = _source_window(source, lattice, factor)
            check_budget(file, data, window, "give smaller bounds, or add overviews with gdaladdo")
            source = _Source(file, data, chosen, _limits(file, chosen, stretch))
            image, valid = _resample(source, window, lattice, factor)
    grid = file.grid.coarsened(factor, lattice)
    return View(image, None if valid.all() else valid, grid.metres_per_pixel), grid


# --- where -----------------------------------------------------------------------------------------------------------


def _choose_lattice(file: RasterFile, bounds: Bounds | None, gsd: float | None, max_side: int) -> tuple[float, Window]:
    """(image pixels per output pixel, the window of output pixels counted from the image's first corner)."""
    rows, cols = file.shape
    top, left, bottom, right = 0.0, 0.0, float(rows), float(cols)
    if bounds is not None:
        x0, y0, x1, y1 = check_bounds(bounds)
        corners = [file.grid.to_click(x, y) for x in (x0, x1) for y in (y0, y1)]
        top, bottom = min(c.row for c in corners) + 0.5, max(c.row for c in corners) + 0.5
        left, right = min(c.col for c in corners) + 0.5, max(c.col for c in corners) + 0.5
        edge = 1e-6 * max(1.0, abs(top), abs(left)) if max(rows, cols) > 1 else 1e-9
        if bottom <= edge or right <= edge or top >= rows - edge or left >= cols - edge:
            near = ", ".join(f"{v:.9g}" for v in file.grid.bounds)
            raise BadGrid(
                f"the bounds {x0:.9g}, {y0:.9g}, {x1:.9g}, {y1:.9g} miss {file.path.name}, which covers {near}."
            )
    factor = 1.0
    if gsd is not None:
        factor = _factor(file, gsd)
    elif max(bottom - top, right - left) > max_side:
        factor = float(math.ceil((min(max(bottom, 0), rows) - max(top, 0)) / max_side - 1e-6))
        factor = max(factor, float(math.ceil((min(right, cols) - max(left, 0)) / max_side - 1e-6)), 1.0)
    window = _snap(top, left, bottom, right, factor, file.shape)
    if gsd is None and max(window.rows, window.cols) > max_side:
        factor += 1.0
        window = _snap(top, left, bottom, right, factor, file.shape)
    if max(window.rows, window.cols) > max_side:
        raise BadGrid(
            f"this view would have {window.cols} x {window.rows} pixels, more than {max_side} on a side: "
            "give smaller bounds or a larger gsd."
        )
    return factor, window


def _factor(file: RasterFile, gsd: float) -> float:
    if not (math.isfinite(gsd) and gsd > 0):
        raise BadGrid(f"a gsd of {gsd} was given; a positive number of metres per pixel was expected.")
    native = file.grid.metres_per_pixel
    factor = gsd / native if native is not None else gsd
    # Ground metres and map metres differ a little (0.04 % in UTM): whole factors keep pixels aligned and crisp.
    whole = max(1.0, round(factor)) if factor >= 1 else 1 / max(1.0, round(1 / factor))
    return whole if abs(factor / whole - 1) < 1e-3 else factor


def _snap(top: float, left: float, bottom: float, right: float, factor: float, shape: tuple[int, int]) -> Window:
    """Image edges → whole output pixels that cover them, inside the image; a thousandth of one is forgiven."""
    lines = []
    for low, high, size in ((top, bottom, shape[0]), (left, right, shape[1])):
        count = max(1, math.ceil(size / factor - SLIVER))
        first = min(max(0, math.floor(low / factor + SLIVER)), count - 1)
        last = min(max(first + 1, math.ceil(high / factor - SLIVER)), count)
        lines.append((first, last - first))
    return Window(lines[0][0], lines[1][0], lines[0][1], lines[1][1])


def _source_window(source: _Source, lattice: Window, factor: float) -> Window:
    """The stored pixels that output pixels need: those they cover, with one more around them when enlarging."""
    lines = []
    for axis, (first, count) in enumerate(((lattice.row, lattice.rows), (lattice.col, lattice.cols))):
        step, size = factor / source.ratio[axis], source.data.shape[axis]
        grow = 1 if step < 0.9 else 0
        low = min(max(0, math.floor(first * step + 1e-9) - grow), size - 1)
        high = min(max(low + 1, math.ceil((first + count) * step - 1e-9) + grow), size)
        lines.append((low, high - low))
    return Window(lines[0][0], lines[1][0], lines[0][1], lines[1][1])


# --- what ------------------------------------------------------------------------------------------------------------


_Limits = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class _Source:
    """An open dataset (full size or an overview) as uint8 RGB: which bands, and the values that become 0 and 255."""

    file: RasterFile
    data: Any
    bands: tuple[int, ...]
    limits: _Limits

    @property
    def ratio(self) -> tuple[float, float]:
        """Full-size pixels per stored pixel along (rows, cols)."""
        return self.file.shape[0] / self.data.shape[0], self.file.shape[1] / self.data.shape[1]

    @property
    def _has_alpha(self) -> bool:
        """Whether GDAL takes a band for the mask of all others; then `hides_pixels` decides, not GDAL."""
        return MaskFlags.alpha in self.file.data.mask_flag_enums[self.bands[0] - 1]

    def raw(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Values (bands, h, w) as stored, and where each band holds data."""
        area = RasterWindow(window.col, window.row, window.cols, window.rows)
        values = self.data.read(list(self.bands), window=area)
        if np.iscomplexobj(values):
            values = np.abs(values)
        valid = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=np.bool_)
        for i, band in enumerate(self.bands):
            nodata = self.file.nodatavals[band - 1]
            if nodata is not None and math.isfinite(nodata):
                valid[i] &= values[i] != _as_stored(nodata, values.dtype)
        alpha = hides_pixels(self.file, self.bands)
        if alpha is not None:
            valid &= self.data.read(alpha, window=area) > 0
        elif MaskFlags.per_dataset in self.file.data.mask_flag_enums[self.bands[0] - 1] and not self._has_alpha:
            valid &= self.data.read_masks(self.bands[0], window=area) > 0
        return values, valid

    def levels(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Image (h, w, 1 or 3) uint8, black where nothing is known, and valid (h, w): some band holds data."""
        values, known = self.raw(window)
        palette = palette_of(self.file, self.bands)
        if palette is not None:
            colours = palette[values[0]]
            valid = known[0] & (colours[..., 3] > 0)
            image = colours[..., :3].copy()
        else:
            valid = known[0] if len(known) == 1 else known.any(axis=0)
            scales = [self.file.scales[band - 1] for band in self.bands]
            planes = [_stretched(*of) for of in zip(values, known, self.limits, scales, strict=True)]
            image = np.stack(planes, axis=-1) if len(planes) > 1 else planes[0][..., None]
        if not valid.all():
            image[~valid] = 0
        return image, valid

    def chunks(self, window: Window) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.bool_]]]:
        """The window in bands of rows: (first row within the window, image, valid)."""
        block = self.data.block_shapes[0][0]
        step = max(1, CHUNK_SAMPLES // max(1, window.cols * len(self.bands)))
        step = max(1, step // block) * block if block < step else step
        row = window.row
        while row < window.row + window.rows:
            stop = min((row // step + 1) * step, window.row + window.rows)
            image, valid = self.levels(Window(row, window.col, stop - row, window.cols))
            yield row - window.row, image, valid
            row = stop


def _as_stored(nodata: float, dtype: np.dtype[Any]) -> Any:
    """A nodata value in the type of the pixels (a float32 file keeps -3.4e38 rounded); unmatched if it cannot be."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(nodata)
    return int(nodata) if nodata == int(nodata) else None


def _stretched(
    values: NDArray[Any], known: NDArray[np.bool_], limit: tuple[float, float], scaling: tuple[float, float]
) -> NDArray[np.uint8]:
    """One band (h, w) between its limits (in true values) as 0-255; 0 where unknown."""
    low, high = _stored_limits(limit, scaling)
    if values.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return values if known.all() else np.where(known, values, np.uint8(0)).astype(np.uint8)
    scale = 255.0 / (high - low) if high > low else 0.0
    real = np.where(known, values, np.asarray(low).astype(values.dtype)).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.nan_to_num((real - low) * scale)
    scaled[~known] = 0.0
    return np.rint(np.clip(scaled, 0.0, 255.0)).astype(np.uint8)


def _stored_limits(limit: tuple[float, float], scaling: tuple[float, float]) -> tuple[float, float]:
    """Limits in true values as limits of what is stored; whole numbers stay whole."""
    if scaling == (1.0, 0.0):
        return limit
    scale, offset = scaling
    low, high = ((value - offset) / scale for value in limit)
    return tuple(round(v) if abs(v - round(v)) < 1e-6 * max(1.0, abs(v)) else v for v in (low, high))  # type: ignore[return-value]


def _limits(file: RasterFile, bands: tuple[int, ...], stretch: Stretch) -> _Limits:
    """The true values that become 0 and 255, for each band read."""
    if isinstance(stretch, str):
        stored = _stored(file, bands, stretch)
        scaled = zip(stored, (file.scales[band - 1] for band in bands), strict=True)
        return tuple((low * scale + offset, high * scale + offset) for (low, high), (scale, offset) in scaled)
    try:
        pairs = np.asarray(stretch, dtype=np.float64)
        pairs = np.broadcast_to(pairs, (len(bands), 2))
    except (ValueError, TypeError):
        pairs = np.full((1, 2), np.nan)
    if not (np.isfinite(pairs).all() and (pairs[:, 0] < pairs[:, 1]).all()):
        raise BadInput(
            f"the stretch {stretch!r} was given; (min, max) with min < max, or one such pair a band, expected."
        )
    return tuple((float(low), float(high)) for low, high in pairs)


def _stored(file: RasterFile, bands: tuple[int, ...], stretch: str) -> _Limits:
    """The stored values that become 0 and 255 by the name of a stretch."""
    plain = ((0.0, 255.0),) * len(bands)
    if stretch not in ("auto", "none", "percent"):
        raise BadInput(f'no stretch {stretch!r}: give "auto", "percent", "none" or (min, max).')
    if stretch == "none" or palette_of(file, bands) is not None:
        return plain
    if stretch == "auto" and file.data.dtypes[bands[0] - 1] == "uint8":
        bits = int(file.data.tags(bands[0], ns="IMAGE_STRUCTURE").get("NBITS", 8))
        return ((0.0, float(2**bits - 1)),) * len(bands) if bits < 8 else plain
    return _percentiles(file, bands)


def _percentiles(file: RasterFile, bands: tuple[int, ...]) -> _Limits:
    """2nd and 98th percentile of each band over the whole image."""
    return tuple(_percentile_pair(values) for values in _samples(file, bands))


def _samples(file: RasterFile, bands: tuple[int, ...]) -> list[NDArray[Any]]:
    """Known values of each band, from an overview or from patches spread evenly."""
    coarse = [i for i, ratio in enumerate(file.levels) if max(file.shape) / ratio >= 512]
    with dataset(file, coarse[-1] if coarse else None) as data:
        source = _Source(file, data, bands, ())
        rows, cols = data.shape
        whole = Window(0, 0, rows, cols)
        if decode_cost(data, whole) <= 64 * 2**20:
            windows = [whole]
        else:
            windows = _spread(data, (rows, cols))
        found: list[list[NDArray[Any]]] = [[] for _ in bands]
        for window in windows:
            check_budget(file, data, window, "tile it, or add overviews with gdaladdo")
            values, known = source.raw(window)
            for i in range(len(bands)):
                found[i].append(values[i][known[i]])
    return [np.concatenate(parts) for parts in found]


def _spread(data: Any, shape: tuple[int, int], side: int = 128) -> list[Window]:
    """Patches spread evenly, at most 8 x 8 of them and no more than fit a fixed cost."""
    rows, cols = shape
    for n in (8, 4, 2, 1):
        tops = sorted({int((k + 0.5) / n * max(0, rows - side)) for k in range(n)})
        lefts = sorted({int((k + 0.5) / n * max(0, cols - side)) for k in range(n)})
        windows = [Window(t, le, min(side, rows), min(side, cols)) for t in tops for le in lefts]
        if n == 1 or sum(decode_cost(data, w) for w in windows) <= 256 * 2**20:
            break
    return windows


def _percentile_pair(values: NDArray[Any]) -> tuple[float, float]:
    if values.size == 0:
        return 0.0, 255.0
    # At most a million of them.
    values = values[:: max(1, values.size // 2**20)]
    low, high = (float(v) for v in np.percentile(values.astype(np.float64), (2, 98)))
    if low == high:
        low, high = float(values.min()), float(values.max())
    return (low, high) if low < high else (low - 1.0, high + 1.0)  # a constant band is mid grey


# --- resampling ------------------------------------------------------------------------------------------------------


def _resample(
    source: _Source, window: Window, lattice: Window, factor: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Stored pixels of `window` → the output pixels of `lattice`: image (rows, cols, 3), valid (rows, cols)."""
    steps = factor / source.ratio[0], factor / source.ratio[1]
    if steps == (1.0, 1.0) or min(steps) < 0.9:
        image = np.empty((window.rows, window.cols, 3), dtype=np.uint8)
        valid = np.empty((window.rows, window.cols), dtype=np.bool_)
        for row, part, known in source.chunks(window):
            image[row : row + len(part)], valid[row : row + len(part)] = part, known
        return (image, valid) if steps == (1.0, 1.0) else _enlarged(image, valid, window, lattice, steps)
    edges = [
        np.clip((first + np.arange(count + 1)) * step - start, 0.0, size)
        for first, count, step, start, size in (
            (lattice.row, lattice.rows, steps[0], window.row, window.rows),
            (lattice.col, lattice.cols, steps[1], window.col, window.cols),
        )
    ]
    image = np.empty((lattice.rows, lattice.cols, 3), dtype=np.uint8)
    valid = np.empty((lattice.rows, lattice.cols), dtype=np.bool_)
    for first in range(0, lattice.rows, 64):
        rows = slice(first, first + 64)
        image[rows], valid[rows] = _averaged(source, window, edges[0][first : first + 65], edges[1])
    return image, valid


def _averaged(
    source: _Source, window: Window, row_edges: NDArray[np.float64], col_edges: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Mean of the valid pixels in each box between the edges (counted from the window's corner), and where any are."""
    rows, cols = len(row_edges) - 1, len(col_edges) - 1
    start, stop = math.floor(row_edges[0]), math.ceil(row_edges[-1])
    needed = Window(window.row + start, window.col, stop - start, window.cols)
    areas = np.diff(row_edges)[:, None] * np.diff(col_edges)
    sums, weights = np.zeros((rows, cols, 3)), np.zeros((rows, cols, 1))
    for row, part, known in source.chunks(needed):
        first = max(0, int(np.searchsorted(row_edges, row + start, side="right")) - 1)
        last = min(rows, int(np.searchsorted(row_edges, row + start + len(part), side="left")))
        here = np.clip(row_edges[first : last + 1] - (row + start), 0.0, len(part))
        sums[first:last] += _box_sums(part, here, col_edges)
        if known.all():
            weights[first:last, :, 0] += np.diff(here)[:, None] * np.diff(col_edges)
        else:
            weights[first:last] += _box_sums(known.view(np.uint8)[..., None], here, col_edges)
    valid = weights[..., 0] > SLIVER * areas
    mean = sums / np.where(valid[..., None], weights, 1.0)
    # Sums carry rounding noise that depends on where the read began; ties are lifted clear of it before rounding.
    return np.where(valid[..., None], np.floor(mean + (0.5 + 1e-4)), 0).astype(np.uint8), valid


def _box_sums(
    part: NDArray[np.uint8], row_edges: NDArray[np.float64], col_edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sums of `part` (h, w, channels) over the boxes between edges: an integral image is bilinear within a pixel."""
    channels = part.shape[2]
    depth = cv2.CV_32S if part.shape[0] * part.shape[1] * 255 < 2**31 else cv2.CV_64F
    total = np.asarray(cv2.integral(part, sdepth=depth)).reshape(part.shape[0] + 1, part.shape[1] + 1, channels)
    down = np.diff(_between(total, row_edges), axis=0)
    across = np.diff(_between(down.transpose(1, 0, 2), col_edges), axis=0)
    return np.asarray(across.transpose(1, 0, 2), dtype=np.float64)


def _between(table: NDArray[Any], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of a table at fractional places, linearly."""
    low = np.minimum(places.astype(np.intp), len(table) - 2)
    share = (places - low)[:, None, None]
    return np.asarray(table[low] * (1.0 - share) + table[low + 1] * share)


def _enlarged(
    image: NDArray[np.uint8], valid: NDArray[np.bool_], window: Window, lattice: Window, steps: tuple[float, float]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Bilinear between pixel centres (among valid ones); an output pixel is valid where the pixel under it is."""
    places, under = [], []
    for axis, (first, count, start) in enumerate(
        ((lattice.row, lattice.rows, window.row), (lattice.col, lattice.cols, window.col))
    ):
        centre = (first + np.arange(count) + 0.5) * steps[axis]
        place = centre - 0.5
        low = np.floor(place)
        last = image.shape[axis] - 1
        pair = np.clip(low - start, 0, last).astype(np.intp), np.clip(low + 1 - start, 0, last).astype(np.intp)
        places.append((*pair, (place - low).astype(np.float32)))
        under.append(np.clip(np.floor(centre) - start, 0, last).astype(np.intp))
    weighted = np.dstack([image, valid.view(np.uint8)]).astype(np.float32)
    out_valid = valid[np.ix_(under[0], under[1])]
    out = np.zeros((lattice.rows, lattice.cols, 3), dtype=np.uint8)
    (up, down, v), (left, right, h) = places
    for row in range(0, lattice.rows, 256):
        s = slice(row, row + 256)
        lines = weighted[up[s]] * (1 - v[s, None, None]) + weighted[down[s]] * v[s, None, None]
        mixed = lines[:, left] * (1 - h[None, :, None]) + lines[:, right] * h[None, :, None]
        mean = mixed[..., :3] / np.maximum(mixed[..., 3:], np.float32(1e-6))
        out[s] = np.where(out_valid[s, :, None], np.clip(np.rint(mean), 0, 255), 0).astype(np.uint8)
    return out, out_valid


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


def read_stored(path: str | os.PathLike[str], reading: Reading = PLAIN) -> NDArray[Any]:
    """All bands of a whole image as stored, (bands, H, W) in the file's type, alpha included.

    Raises BadImage or BadGrid if it cannot be used.
    """
    with opened(resolve_image(path), reading) as file:
        check_budget(file, file.data, Window(0, 0, *file.shape), "cut it into tiles with gdal_retile")
        return np.asarray(file.data.read())


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


def read_placed(path: str | os.PathLike[str], reading: Reading = PLAIN) -> Placed:
    """What crops of an image carry on. Raises BadImage or BadGrid if it cannot be used."""
    with opened(resolve_image(path), reading) as file:
        data, grid = file.data, file.grid
        crs = None if grid.crs is None else grid.crs.to_wkt()
        alpha = any(meaning.name == "alpha" for meaning in file.meaning)
        shape = int(file.shape[0]), int(file.shape[1])
        place = grid.transform, crs, grid.metres_per_pixel
        return Placed(shape, data.count, str(data.dtypes[0]), file.nodata, alpha, *place, data.driver == "JPEG")


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
        return chosen, _limits(file, chosen, stretch)


def read_tile(
    path: str | os.PathLike[str],
    window: Window,
    factor: float = 1.0,
    bands: Sequence[int] | None = None,
    stretch: Stretch = "auto",
    reading: Reading = PLAIN,
) -> View:
    """Read a window of output pixels, each `factor` image pixels wide, counted from the image's first corner.

    What lies beyond the image is left out, so the View may be smaller than the window; the rest is as in `read_view`.
    Raises BadGrid where the window misses the image or has more than 4096 pixels a side, BadImage, BadInput.
    """
    if not (math.isfinite(factor) and factor > 0) or max(window.rows, window.cols) > 4096:
        raise BadGrid(f"a tile of {window.cols} x {window.rows} pixels at 1:{factor} was asked: at most 4096 a side.")
    with opened(resolve_image(path), reading) as file:
        count = [max(1, math.ceil(side / factor - SLIVER)) for side in file.shape]
        top, left = max(window.row, 0), max(window.col, 0)
        rows, cols = min(window.row + window.rows, count[0]) - top, min(window.col + window.cols, count[1]) - left
        if rows <= 0 or cols <= 0:
            raise BadGrid(f"the tile at row {window.row}, column {window.col} misses {path}.")
        chosen = chosen_bands(file, bands)
        with dataset(file, file.level_for(factor)) as data:
            lattice = Window(top, left, rows, cols)
            source = _Source(file, data, chosen, ())
            needed = _source_window(source, lattice, factor)
            check_budget(file, data, needed, "add overviews with gdaladdo to look at it from afar")
            image, valid = _resample(
                _Source(file, data, chosen, _limits(file, chosen, stretch)), needed, lattice, factor
            )
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
        for band, values in zip(chosen, _samples(file, chosen), strict=True):
            low, high = _percentile_pair(values)
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
        return chosen, tuple(_samples(file, chosen))
