"""The stored pixels of an open image as levels of grey or colour, and where they hold data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.windows import Window as RasterWindow

from terraclick.geo.bands import hides_pixels, palette_of
from terraclick.geo.opening import (
    RasterFile,
)
from terraclick.values import Window

__all__ = ["Limits", "Source", "source_window"]

CHUNK_SAMPLES = 2**20

Limits: TypeAlias = tuple[tuple[float, float], ...]
"""For each band the true values that become 0 and 255."""


@dataclass(frozen=True)
class Source:
    """An open dataset (full size or an overview) as uint8 RGB: which bands, and the values that become 0 and 255."""

    file: RasterFile
    data: Any
    bands: tuple[int, ...]
    limits: Limits

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
                valid[i] &= values[i] != as_stored(nodata, values.dtype)
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


def as_stored(nodata: float, dtype: np.dtype[Any]) -> Any:
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


def source_window(source: Source, lattice: Window, factor: float) -> Window:
    """The stored pixels that output pixels need: those they cover, with one more around them when enlarging."""
    lines = []
    for axis, (first, count) in enumerate(((lattice.row, lattice.rows), (lattice.col, lattice.cols))):
        step, size = factor / source.ratio[axis], source.data.shape[axis]
        grow = 1 if step < 0.9 else 0
        low = min(max(0, math.floor(first * step + 1e-9) - grow), size - 1)
        high = min(max(low + 1, math.ceil((first + count) * step - 1e-9) + grow), size)
        lines.append((low, high - low))
    return Window(lines[0][0], lines[1][0], lines[0][1], lines[1][1])
