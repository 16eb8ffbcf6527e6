"""Pictures turned as viewers show them: EXIF and TIFF orientation applied to everything that is read.

`Oriented` stands where an open dataset stood: shape, blocks, windows and pixels are those of the picture as shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from terraclick.values import Window

__all__ = ["Oriented", "stored_part"]

_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
"""Orientation → rows and columns exchanged, then rows reversed, then columns reversed."""


@dataclass(frozen=True)
class Oriented:
    """An open dataset seen through an orientation (1–8); whatever has no direction is the dataset's own."""

    inner: Any
    orientation: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) as shown."""
        rows, cols = self.inner.shape
        return (cols, rows) if _TURNS[self.orientation][0] else (rows, cols)

    @property
    def block_shapes(self) -> list[tuple[int, int]]:
        """(rows, cols) of a block as shown."""
        swapped = _TURNS[self.orientation][0]
        return [(cols, rows) if swapped else (rows, cols) for rows, cols in self.inner.block_shapes]

    def read(self, bands: Any, window: RasterWindow) -> NDArray[Any]:
        """Pixels of a window as shown."""
        return self._turned(self.inner.read(bands, window=self._inner_window(window)))

    def read_masks(self, band: Any, window: RasterWindow) -> NDArray[Any]:
        """The mask of a window as shown."""
        return self._turned(self.inner.read_masks(band, window=self._inner_window(window)))

    def stored(self, window: Window) -> Window:
        """The stored pixels behind a window as shown."""
        swapped, down, across = _TURNS[self.orientation]
        rows, cols = self.shape
        row = rows - window.row - window.rows if down else window.row
        col = cols - window.col - window.cols if across else window.col
        if swapped:
            return Window(col, row, window.cols, window.rows)
        return Window(row, col, window.rows, window.cols)

    def _inner_window(self, window: RasterWindow) -> RasterWindow:
        part = self.stored(Window(int(window.row_off), int(window.col_off), int(window.height), int(window.width)))
        return RasterWindow(part.col, part.row, part.cols, part.rows)

    def _turned(self, values: NDArray[Any]) -> NDArray[Any]:
        swapped, down, across = _TURNS[self.orientation]
        if swapped:
            values = np.swapaxes(values, -1, -2)
        if down:
            values = values[..., ::-1, :]
        if across:
            values = values[..., ::-1]
        return np.ascontiguousarray(values)

    def to_stored(self) -> Affine:
        """From corners of pixels as shown to corners of stored pixels."""
        swapped, down, across = _TURNS[self.orientation]
        rows, cols = self.shape
        x = Affine(-1.0, 0.0, float(cols), 0.0, 1.0, 0.0) if across else Affine.identity()
        y = Affine(1.0, 0.0, 0.0, 0.0, -1.0, float(rows)) if down else Affine.identity()
        swap = Affine(0.0, 1.0, 0.0, 1.0, 0.0, 0.0) if swapped else Affine.identity()
        return swap @ x @ y


def stored_part(data: Any, window: Window) -> tuple[Any, Window]:
    """(the dataset itself, the window in its stored pixels) of a dataset that may be turned."""
    return (data.inner, data.stored(window)) if isinstance(data, Oriented) else (data, window)
