"""Which values become 0 and 255: as a file says, by percentiles of the whole image, or as given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadInput
from terraclick.geo.bands import palette_of
from terraclick.geo.opening import (
    RasterFile,
    check_budget,
    dataset,
    decode_cost,
)
from terraclick.geo.pixels import Limits, Source
from terraclick.values import Stretch, Window

__all__ = ["limits_of", "percentile_pair", "samples_of"]


def limits_of(file: RasterFile, bands: tuple[int, ...], stretch: Stretch) -> Limits:
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


def _stored(file: RasterFile, bands: tuple[int, ...], stretch: str) -> Limits:
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


def _percentiles(file: RasterFile, bands: tuple[int, ...]) -> Limits:
    """2nd and 98th percentile of each band over the whole image."""
    return tuple(percentile_pair(values) for values in samples_of(file, bands))


def samples_of(file: RasterFile, bands: tuple[int, ...]) -> list[NDArray[Any]]:
    """Known values of each band, from an overview or from patches spread evenly."""
    coarse = [i for i, ratio in enumerate(file.levels) if max(file.shape) / ratio >= 512]
    with dataset(file, coarse[-1] if coarse else None) as data:
        source = Source(file, data, bands, ())
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


def percentile_pair(values: NDArray[Any]) -> tuple[float, float]:
    """2nd and 98th percentile of stored values; around a constant one a little apart; 0 and 255 of none."""
    if values.size == 0:
        return 0.0, 255.0
    # At most a million of them.
    values = values[:: max(1, values.size // 2**20)]
    low, high = (float(v) for v in np.percentile(values.astype(np.float64), (2, 98)))
    if low == high:
        low, high = float(values.min()), float(values.max())
    return (low, high) if low < high else (low - 1.0, high + 1.0)  # a constant band is mid grey
