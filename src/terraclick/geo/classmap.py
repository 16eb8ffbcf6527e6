"""Class maps as files: rows kept raw while they are made, then a cloud-optimised GeoTIFF in colours, and polygons.

While a map is made its rows lie uncompressed in one plain file: a kill can at most leave a row unfinished, and whoever
goes on writes it again. Polygons of neighbouring classes share their borders exactly, before and after simplification.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.features
import rasterio.shutil
import shapely
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window as RasterWindow
from shapely import Polygon

from terraclick.errors import BadData, BadGrid, TerraClickError
from terraclick.files import replace_whole
from terraclick.geo.affine import apply
from terraclick.geo.grid import Grid
from terraclick.geo.legend import legend_xml, raster_errors
from terraclick.geo.opening import opened
from terraclick.geo.polygonize import moved, polygons_within
from terraclick.geo.raster import resolve_image
from terraclick.geo.regularize import simplify_coverage
from terraclick.values import Window

__all__ = [
    "ClassPatch",
    "RowFile",
    "class_patches",
    "heat_classes",
    "read_classes",
    "read_heat",
    "read_legend",
    "write_cog",
]

NO_DATA = 0
"""Value of a class map where nothing is known."""

UNKNOWN = 255
"""Value of confidence and heat where nothing is known; they are percentages otherwise."""

HEAT_OF = "heat of {}, percent"
"""Description of a band of heatmaps; the class's name goes in."""

BLOCK = 512

Levels = NDArray[np.uint8]


@dataclass
class RowFile:
    """Planes (bands, rows, cols) uint8 on disk, band by band and row by row, written in order of the rows."""

    path: Path
    bands: int
    shape: tuple[int, int]

    def create(self) -> None:
        """An empty file of the right size (its blocks are only taken when written)."""
        with self.path.open("wb") as file:
            file.truncate(self.bands * self.shape[0] * self.shape[1])

    def write(self, row: int, rows: Levels) -> None:
        """Put (bands, n, cols) at row … row + n and have it on disk before returning."""
        with self.path.open("r+b") as file:
            for band in range(self.bands):
                file.seek((band * self.shape[0] + row) * self.shape[1])
                file.write(np.ascontiguousarray(rows[band]).tobytes())
            file.flush()
            os.fsync(file.fileno())

    def read(self, row: int, count: int) -> Levels:
        """(bands, count, cols) from a row on."""
        parts = []
        with self.path.open("rb") as file:
            for band in range(self.bands):
                file.seek((band * self.shape[0] + row) * self.shape[1])
                parts.append(np.frombuffer(file.read(count * self.shape[1]), np.uint8).reshape(count, -1))
        return np.stack(parts)


def write_cog(
    source: RowFile,
    path: Path,
    grid: Grid,
    nodata: int,
    names: Sequence[str],
    colours: Mapping[int, tuple[int, int, int]] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """A cloud-optimised GeoTIFF of finished rows: tiled, deflated, with overviews; whole or not at all.

    With `colours` (value → RGB) the one band is a map of classes: it gets the colour table and overviews keep the most
    frequent value; without, overviews average. Names describe the bands, tags go into the file. Raises BadOutput.
    """
    options: dict[str, Any] = {"driver": "GTiff", "dtype": "uint8", "count": source.bands, "nodata": nodata}
    options |= {"height": grid.shape[0], "width": grid.shape[1], "transform": grid.transform, "tiled": True}
    options |= {"blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate", "zlevel": 1, "bigtiff": "if_safer"}
    if grid.crs is not None:
        options["crs"] = grid.crs.to_wkt()
    if colours is not None:
        options["photometric"] = "palette"
    with replace_whole(path, errors=raster_errors(), check=lambda part: _check_rows(part, source)) as part:
        plain = part.with_name("plain.tif")
        with rasterio.Env(GDAL_CACHEMAX=128 * 2**20, GDAL_NUM_THREADS="1"), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(plain, "w", **options) as file:
                for row in range(0, grid.shape[0], BLOCK):
                    count = min(BLOCK, grid.shape[0] - row)
                    file.write(source.read(row, count), window=RasterWindow(0, row, grid.shape[1], count))
                if colours is not None:
                    table = {NO_DATA: (0, 0, 0, 0)} | {value: (*rgb, 255) for value, rgb in colours.items()}
                    file.write_colormap(1, table)
                for band, name in enumerate(names, start=1):
                    file.set_band_description(band, name)
                file.update_tags(**(tags or {}))
            how = "MODE" if colours is not None else "AVERAGE"
            rasterio.shutil.copy(
                plain, part, driver="COG", compress="DEFLATE", overview_resampling=how, blocksize=BLOCK
            )
        plain.unlink()
        if colours is not None:
            legend = [
                (value, (tags or {}).get(f"CLASS_{value}", str(value)), rgb, "") for value, rgb in colours.items()
            ]
            beside = part.with_name(part.name + ".aux.xml")
            beside.write_text(legend_xml(names[0], sorted(legend)), encoding="utf-8")


def _check_rows(path: Path, source: RowFile) -> None:
    """Read a written file through, overviews too; GDAL does not tell what went wrong when it closed it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            for row in range(0, source.shape[0], BLOCK):
                count = min(BLOCK, source.shape[0] - row)
                found = file.read(window=RasterWindow(0, row, source.shape[1], count))
                if not np.array_equal(found, source.read(row, count)):
                    raise OSError(None, "the written file is not whole")
            levels = len(file.overviews(1))
        for level in range(levels):
            with rasterio.open(path, overview_level=level) as file:
                for _, window in file.block_windows(1):
                    file.read(window=window)


# --- reading a map again ---------------------------------------------------------------------------------------------


def read_legend(path: str | os.PathLike[str]) -> dict[int, str]:
    """Class names by value, as `terraclick map` wrote them. Raises BadData for another kind of file, BadImage."""
    real = resolve_image(path)
    with opened(real) as file:
        tags, count, kind = file.data.tags(), file.data.count, file.data.dtypes[0]
    names = {int(k.removeprefix("CLASS_")): v for k, v in tags.items() if k.removeprefix("CLASS_").isdigit()}
    if not names or count != 1 or kind != "uint8":
        raise BadData(f"{real.name} is no class map with named classes: make one with terraclick map.")
    return dict(sorted(names.items()))


def read_classes(path: str | os.PathLike[str], grid: Grid, nodata: int = NO_DATA) -> Levels:
    """Values of a class map at the pixel centres of `grid`, nearest neighbour; `nodata` beyond the map.

    Raises BadGrid where map and grid have different coordinate systems, BadImage.
    """
    return _levels(path, grid, 1, nodata, coarse=False)


def read_heat(path: str | os.PathLike[str], grid: Grid, band: int) -> Levels:
    """Percentages of a heatmap at the pixel centres of `grid`, 255 where nothing is known or the file ends.

    A coarse grid is answered from the file's overviews, so that a glance at a large scene reads little. Raises as
    `read_classes`.
    """
    return _levels(path, grid, band, UNKNOWN, coarse=True)


def heat_classes(path: str | os.PathLike[str]) -> tuple[str, tuple[str, ...]] | None:
    """(file name of the scene, names of the classes) of a file of heatmaps; None for any other file."""
    try:
        with opened(resolve_image(path)) as file:
            tags, described, kinds = file.data.tags(), file.data.descriptions, set(file.data.dtypes)
    except TerraClickError:
        return None
    before, after = HEAT_OF.split("{}")
    names = tuple((d or "").removeprefix(before).removesuffix(after) for d in described)
    if "SCENE" not in tags or kinds != {"uint8"} or described != tuple(HEAT_OF.format(name) for name in names):
        return None
    return tags["SCENE"], names


def _levels(path: str | os.PathLike[str], grid: Grid, band: int, nodata: int, coarse: bool) -> Levels:
    real = resolve_image(path)
    with opened(real) as file:
        own = file.grid
        if (own.crs is None) != (grid.crs is None) or (own.crs is not None and not own.crs.equals(grid.crs, True)):
            raise BadGrid(f"{real.name} and the image have different coordinate systems: map that image itself.")
        # affine from pixels of the view to pixels of the map
        to_own = ~own.transform @ grid.transform
        cols, rows = np.arange(grid.shape[1]) + 0.5, np.arange(grid.shape[0]) + 0.5
        col, row = (np.floor(at + 1e-6).astype(np.int64) for at in apply(to_own, cols[None, :], rows[:, None]))
        inside = (row >= 0) & (row < own.shape[0]) & (col >= 0) & (col < own.shape[1])
        found = np.full(grid.shape, nodata, np.uint8)
        if inside.any():
            step = max(1, int(np.sqrt(abs(to_own.determinant)) + 1e-6)) if coarse else 1
            top, left = (int(v[inside].min()) // step * step for v in (row, col))
            height = min(-(-(int(row[inside].max()) + 1 - top) // step) * step, own.shape[0] - top)
            width = min(-(-(int(col[inside].max()) + 1 - left) // step) * step, own.shape[1] - left)
            size = max(1, height // step), max(1, width // step)
            values = file.data.read(band, window=RasterWindow(left, top, width, height), out_shape=size)
            at = np.minimum((row[inside] - top) // step, size[0] - 1)
            found[inside] = values[at, np.minimum((col[inside] - left) // step, size[1] - 1)]
    return found


# --- polygons --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ClassPatch:
    """One connected piece of a class: class value, outline in the map's CRS, pixels, mean confidence (0–1) or None."""

    value: int
    polygon: Polygon
    pixels: int
    confidence: float | None


def class_patches(
    path: Path,
    grid: Grid,
    min_area_px: int = 64,
    tolerance_m: float = 0.0,
    confidence: Path | None = None,
    within: Grid | None = None,
) -> list[ClassPatch]:
    """Every piece of a class map as a polygon; neighbours share their borders exactly, no gap, no overlap.

    Pieces of fewer than `min_area_px` pixels first go to their largest neighbour. `tolerance_m` simplifies all
    together (metres; pixels without a crs). With a `confidence` file each piece tells its mean. What a coarse grid has
    beyond the scene, whose grid is `within`, is cut off. In order of place.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            levels = file.read(1)
    least = min(min_area_px, levels.size - 1)  # GDAL takes no more than that
    if least > 1:
        sieved = rasterio.features.sieve(levels, least, mask=levels != NO_DATA, connectivity=4)
        levels = np.where(levels == NO_DATA, NO_DATA, sieved).astype(np.uint8)
    values, outlines = [], []
    for shape, value in rasterio.features.shapes(levels, mask=levels != NO_DATA, connectivity=4):
        rings = [_noded(np.asarray(ring, np.int64), levels) for ring in shape["coordinates"]]
        values.append(int(value))
        outlines.append(Polygon(rings[0], rings[1:]))
    counts = [round(outline.area) for outline in outlines]
    sure = [None] * len(outlines) if confidence is None else list(_means(outlines, levels, values, confidence))
    placed = [moved(outline, grid.transform) for outline in outlines]
    if tolerance_m:
        placed = simplify_coverage(placed, tolerance_m, grid.crs)
    patches = [ClassPatch(*parts) for parts in zip(values, placed, counts, sure, strict=True)]
    if within is None:
        return patches
    return [replace(p, polygon=part) for p in patches for part in polygons_within(p.polygon, within)]


def _noded(ring: NDArray[np.int64], levels: Levels) -> NDArray[np.float64]:
    """A ring of pixel corners (x, y) with a vertex wherever three classes meet, so that neighbours' borders match."""
    steps = np.diff(ring, axis=0)
    lengths = np.abs(steps).sum(axis=1)
    edge = np.repeat(np.arange(len(lengths)), lengths)
    along = np.arange(len(edge)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    points = ring[edge] + np.sign(steps[edge]) * along[:, None]
    corner = along == 0
    x, y = points[:, 0], points[:, 1]
    rows, cols = levels.shape
    around = []
    for down, right in ((-1, -1), (-1, 0), (0, -1), (0, 0)):
        row, col = y + down, x + right
        inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
        value = levels[np.clip(row, 0, rows - 1), np.clip(col, 0, cols - 1)].astype(np.int16)
        around.append(np.where(inside, value, -1))
    four = np.sort(np.stack(around), axis=0)
    kinds = 1 + (four[1:] != four[:-1]).sum(axis=0)
    kept = points[corner | (kinds >= 3)]
    return np.vstack([kept, kept[:1]]).astype(np.float64)


def _means(outlines: Sequence[Polygon], levels: Levels, values: Sequence[int], path: Path) -> Iterator[float | None]:
    """Mean confidence under each outline (pixel coordinates), read piece by piece."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            for outline, value in zip(outlines, values, strict=True):
                left, top, right, bottom = (round(v) for v in outline.bounds)
                window = Window(top, left, bottom - top, right - left)
                shifted = shapely.transform(outline, lambda xy, at=(left, top): xy - at)
                shape = (window.rows, window.cols)
                under = rasterio.features.rasterize([shifted], out_shape=shape, dtype="uint8") > 0
                under &= levels[window.slices] == value
                found = file.read(1, window=RasterWindow(left, top, window.cols, window.rows))[under]
                known = found[found != UNKNOWN]
                yield round(float(known.mean()) / 100, 4) if known.size else None
