"""What a file does not declare and looks as if it should: values that stand for no data, a band wrongly called alpha.

Only said, never acted on: a value may mean what it says. The way out is a word of the user's (`Reading`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from terraclick.errors import TerraClickError
from terraclick.geo.bands import chosen_bands, hides_pixels
from terraclick.geo.opening import decode_cost, opened, stored_types
from terraclick.geo.raster import read_samples, resolve_image
from terraclick.geo.reading import PLAIN, Reading
from terraclick.values import Window

__all__ = ["suspicions"]

LEAST_SHARE = 0.01
"""Less of a picture than this that has one extreme value is not said."""
USUAL = (-9999.0, -99999.0, -999.0, -32768.0, -32767.0, -2147483648.0, 65535.0, -1e30, 1e20)
FAR = 3.0
"""A value so many times the spread of all others away from them is no brightness."""
CORNER_PX = 8
MOST_BYTES = 64 * 2**20
"""A corner for which more must be decoded is not looked at."""


def suspicions(
    path: str | os.PathLike[str], reading: Reading = PLAIN, bands: Sequence[int] | None = None
) -> tuple[str, ...]:
    """Sentences (without the file's name and the full stop) on what a file seems not to declare; never raises."""
    found = []
    try:
        chosen, kind = _bands_of(path, reading, bands)
        if reading.nodata == "":
            said = None if kind == np.uint8 else _undeclared(read_samples(path, chosen, reading)[1])
            said = said or _border(path, reading, chosen)
            if said is not None:
                value, share = said
                found.append(
                    f"{share:.0%} of it has the value {value:.10g}, which looks like no data but is not declared: "
                    f"if so, pass --nodata {value:.10g}"
                )
        if reading.alpha:
            found += _no_alpha(path, reading, chosen)
    except (TerraClickError, MemoryError):
        return tuple(found)
    return tuple(found)


def _bands_of(
    path: str | os.PathLike[str], reading: Reading, bands: Sequence[int] | None
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The bands that would be seen and the type of their values."""
    with opened(resolve_image(path), reading) as file:
        chosen = chosen_bands(file, bands)
        return chosen, np.dtype(stored_types(file.data)[chosen[0] - 1])


def _undeclared(samples: Sequence[NDArray[Any]]) -> tuple[float, float] | None:
    """(value, share of all) of an extreme value in every band that no brightness can have; None if there is none."""
    if not samples or min(len(values) for values in samples) == 0:
        return None
    for end in (0, 1):
        first = samples[0]
        value = (first.min(), first.max())[end]
        shares = [float((values == value).mean()) for values in samples]
        if min(shares) < LEAST_SHARE or max(shares) == 1.0:
            continue
        rest = first[first != value].astype(np.float64)
        low, high = (float(v) for v in np.percentile(rest[:: max(1, rest.size // 2**18)], (1, 99)))
        spread = max(high - low, 1e-12)
        away = low - float(value) if end == 0 else float(value) - high
        limits = np.finfo(first.dtype) if first.dtype.kind == "f" else np.iinfo(first.dtype)
        usual = any(abs(float(value) - u) <= 1e-6 * abs(u) for u in USUAL)
        extreme = float(value) in (float(limits.min), float(limits.max)) and value != 0
        if away > FAR * spread or ((usual or extreme) and away > 0.1 * spread):
            return float(value), min(shares)
    return None


def _border(path: str | os.PathLike[str], reading: Reading, bands: tuple[int, ...]) -> tuple[float, float] | None:
    """(value, share of all) where a corner of the picture is all 0 or all of the highest value; None if none is."""
    with opened(resolve_image(path), reading) as file:
        if any(file.nodatavals[band - 1] is not None for band in bands) or hides_pixels(file, bands) is not None:
            return None
        rows, cols = file.shape
        if min(rows, cols) < 8 * CORNER_PX:
            return None
        kind = np.dtype(file.data.dtypes[bands[0] - 1])
        if kind.kind != "u":
            return None
        from rasterio.windows import Window as RasterWindow

        for top, left in ((0, 0), (0, cols - CORNER_PX), (rows - CORNER_PX, 0), (rows - CORNER_PX, cols - CORNER_PX)):
            if decode_cost(file.data, Window(top, left, CORNER_PX, CORNER_PX)) > MOST_BYTES:
                continue
            values = file.data.read(list(bands), window=RasterWindow(left, top, CORNER_PX, CORNER_PX))
            for value in (0, int(np.iinfo(kind).max)):
                if (values == value).all():
                    return _share(path, reading, bands, value)
    return None


def _share(path: Any, reading: Reading, bands: tuple[int, ...], value: int) -> tuple[float, float] | None:
    _, samples = read_samples(path, bands, reading)
    share = min(float((values == value).mean()) for values in samples)
    return (float(value), share) if LEAST_SHARE <= share < 1 else None


def _no_alpha(path: str | os.PathLike[str], reading: Reading, bands: tuple[int, ...]) -> list[str]:
    """A band declared alpha that holds as many values as a picture."""
    with opened(resolve_image(path), reading) as file:
        alpha = hides_pixels(file, bands)
        if alpha is None or file.meaning[alpha - 1] != ColorInterp.alpha:
            return []
    _, (values,) = read_samples(path, (alpha,), reading)
    if values.size == 0:
        return []
    top = np.iinfo(values.dtype).max if values.dtype.kind in "ui" else float(values.max())
    between = float(((values > 0) & (values < top)).mean())
    if between < 0.5 or len(np.unique(values[:: max(1, values.size // 2**16)])) < 16:
        return []
    hidden = float((values == 0).mean())
    hides = f", and hides {hidden:.1%} of the picture" if hidden else ""
    return [
        f"band {alpha} is declared as alpha but holds values like near infrared{hides}: "
        "if it is no alpha, pass --no-alpha"
    ]
