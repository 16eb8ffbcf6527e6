"""Pixels of labelled pictures, with nothing lost: as `segment` sees them, as they are stored, and maps of numbers.

A JPEG is decoded by OpenCV, whose chroma differs by some levels from GDAL's, so that published figures stay; its pixels
are 8-bit, so nothing is lost. Every other file is read as `segment` reads it: bands by what the file says of them,
more than 8 bit stretched, pixels without data marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadData, BadInput
from terraclick.geo.raster import STRIP, read_placed, read_stored, read_view
from terraclick.values import Stretch, View, Window

__all__ = ["LARGEST_NUMBER", "read_deep", "read_numbers", "read_picture", "read_strips", "read_values", "strips"]

LARGEST_NUMBER = 65535
"""Class and instance numbers are 16-bit."""

JPEG = b"\xff\xd8\xff"
NO_LIMIT = 2**31


def read_picture(path: Path, bands: Sequence[int] | None = None, stretch: Stretch = "auto") -> View:
    """A whole picture as `segment` sees it: image (H, W, 3) uint8 RGB, valid (H, W) bool or None, gsd or None.

    `bands` and `stretch` as in `geo.raster.read_view`. Raises BadData where the file is missing or no picture.
    """
    try:
        if bands is None and stretch == "auto" and _starts_with(path, JPEG):
            pixels = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR)
            if pixels is not None:
                return View(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8))
        return read_view(path, bands=bands, stretch=stretch, max_side=NO_LIMIT)[0]
    except BadInput as error:
        raise _missing(path, str(error)) from error


def read_values(path: Path, window: Window | None = None) -> NDArray[Any]:
    """All values of a picture or a window of it, (H, W, bands) in the type that the file stores. Raises BadData."""
    try:
        return read_stored(path, window=window)
    except BadInput as error:
        raise _missing(path, str(error)) from error


def strips(rows: int) -> Iterator[slice]:
    """Rows of a picture, a few at a time, so that what is worked out of them stays small."""
    for first in range(0, rows, STRIP):
        yield slice(first, min(first + STRIP, rows))


def read_strips(path: Path) -> Iterator[tuple[slice, NDArray[Any]]]:
    """What `read_values` reads, strip by strip: (rows, (rows, W, bands)). Raises BadData.

    A file that can only be decoded as a whole is read once.
    """
    try:
        placed = read_placed(path)
    except BadInput as error:
        raise _missing(path, str(error)) from error
    whole = read_values(path) if placed.block > STRIP else None
    for rows in strips(placed.shape[0]):
        window = Window(rows.start, 0, rows.stop - rows.start, placed.shape[1])
        yield rows, read_values(path, window) if whole is None else whole[rows]


def read_deep(
    path: Path, count: int, bands: Sequence[int] | None = None, stretch: Stretch = "auto"
) -> NDArray[np.uint8]:
    """The picture (H, W, count) uint8: red, green and blue as `read_picture`, then the file's further bands in order.

    A further band that is not 8-bit is stretched between its 2nd and 98th percentile. Raises BadData for too few bands.
    """
    image = read_picture(path, bands, stretch).image
    if count == 3:
        return image
    values, shown = read_values(path), set(bands or (1, 2, 3))
    left = [number for number in range(values.shape[2]) if number + 1 not in shown][: count - 3]
    if len(left) < count - 3:
        raise BadData(
            f"{path} has {values.shape[2]} bands, and {count} are asked: prepare the dataset with a band set of as "
            "many, such as terraclick prepare potsdam --bands RGBIR."
        )
    further = values[..., left]
    if further.dtype != np.uint8:
        low, high = np.percentile(further, (2, 98), axis=(0, 1))
        further = np.clip((further - low) * (255 / np.maximum(high - low, 1e-9)), 0, 255).astype(np.uint8)
    return np.concatenate([image, further], axis=2)


def read_numbers(path: Path, what: str = "masks") -> NDArray[np.uint16]:
    """A map of class or instance numbers (H, W) uint16. Raises BadData where one does not fit: none may wrap around."""
    coded = np.fromfile(path, dtype=np.uint8) if path.is_file() else np.empty(0, dtype=np.uint8)
    pixels = cv2.imdecode(coded, cv2.IMREAD_UNCHANGED) if coded.size else None
    if pixels is None:
        raise _missing(path)
    if pixels.ndim != 2:
        raise BadData(f"{path} has {pixels.shape[2]} channels: {what} are single-channel PNG of ids.")
    if pixels.dtype not in (np.uint8, np.uint16):
        low, high = pixels.min(), pixels.max()
        if not (low >= 0 and high <= LARGEST_NUMBER and (pixels == np.rint(pixels)).all()):
            raise BadData(
                f"{path} holds values from {low} to {high}: {what} are whole numbers of 0 to {LARGEST_NUMBER}."
            )
    return pixels.astype(np.uint16)


def _starts_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False


def _missing(path: Path, why: str = "") -> BadData:
    reason = f" ({why.rstrip('.')})" if why else ""
    return BadData(f"{path} is missing or no picture{reason}: restore the file, or take it out of meta.json.")
