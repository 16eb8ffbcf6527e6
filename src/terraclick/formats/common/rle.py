"""Run lengths of masks, as COCO compresses them."""

from __future__ import annotations

from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from terraclick.geo.grid import Grid
from terraclick.geo.polygonize import rasterize
from terraclick.values import Window

__all__ = ["decode_rle", "encode_rle", "object_rle"]


def encode_rle(mask: NDArray[np.bool_], window: Window, shape: tuple[int, int]) -> dict[str, Any]:
    """COCO's compressed run lengths of a mask that fills `window` of an image of `shape` (rows, cols).

    Returns {"size": [rows, cols], "counts": text}; runs go down the columns and start with zeros.
    """
    rows, cols = shape
    edges = np.diff(np.pad(mask.T.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    base = (window.col + np.arange(window.cols, dtype=np.int64)) * rows + window.row
    starts = np.concatenate([base[c] + r for c, r in _by_column(edges == 1)] or [np.zeros(0, np.int64)])
    ends = np.concatenate([base[c] + r for c, r in _by_column(edges == -1)] or [np.zeros(0, np.int64)])
    joined = np.flatnonzero(ends[:-1] == starts[1:])
    starts, ends = np.delete(starts, joined + 1), np.delete(ends, joined)
    bounds = np.concatenate([[0], np.column_stack([starts, ends]).ravel(), [rows * cols]])
    counts = [int(count) for count in np.diff(bounds)]
    if len(counts) > 1 and counts[-1] == 0:
        counts.pop()
    return {"size": [rows, cols], "counts": _rle_text(counts)}


def _by_column(flags: NDArray[np.bool_]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    columns, places = np.nonzero(flags)
    return [(columns.astype(np.int64), places.astype(np.int64))]


def _rle_text(counts: list[int]) -> str:
    letters = []
    for i, count in enumerate(counts):
        rest = count - counts[i - 2] if i > 2 else count
        more = True
        while more:
            bits = rest & 0x1F
            rest >>= 5
            more = rest != (-1 if bits & 0x10 else 0)
            letters.append(chr((bits | 0x20 if more else bits) + 48))
    return "".join(letters)


def object_rle(geometry: BaseGeometry, shape: tuple[int, int]) -> dict[str, Any]:
    """Only the object's own box is drawn, so a small object in a huge image costs little."""

    left, top, right, bottom = geometry.bounds
    row, col = max(0, int(np.floor(top))), max(0, int(np.floor(left)))
    rows, cols = min(shape[0], int(np.ceil(bottom))) - row, min(shape[1], int(np.ceil(right))) - col
    if rows <= 0 or cols <= 0:
        return encode_rle(np.zeros((1, 1), dtype=np.bool_), Window(0, 0, 1, 1), shape)
    window = Window(row, col, rows, cols)
    return encode_rle(rasterize([geometry], Grid(Affine.translation(col, row), None, (rows, cols))), window, shape)


def decode_rle(value: dict[str, Any]) -> NDArray[np.bool_]:
    """The mask (rows, cols) of COCO's run lengths, compressed or not. Raises ValueError if they do not fill it."""
    rows, cols = int(value["size"][0]), int(value["size"][1])
    counts = value["counts"]
    runs = np.asarray(_counts(counts) if isinstance(counts, str) else counts, dtype=np.int64)
    if (runs < 0).any() or runs.sum() > rows * cols:
        raise ValueError("run lengths do not fit the picture")
    flat = np.zeros(rows * cols, dtype=np.bool_)
    ends = np.cumsum(runs)
    for start, end in zip(ends[0::2], ends[1::2], strict=False):
        flat[start:end] = True
    mask: NDArray[np.bool_] = flat.reshape(cols, rows).T
    return mask


def _counts(text: str) -> list[int]:
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        code = ord(letter) - 48
        if not 0 <= code < 64 or shift > 60:
            raise ValueError("run lengths hold a letter that is none of theirs")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts
