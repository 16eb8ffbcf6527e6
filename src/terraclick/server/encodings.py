"""Views and their encodings, by specification: as many as fit a budget of bytes."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.core.predictor import Predictor, bands_read
from terraclick.geo.grid import Grid
from terraclick.geo.raster import read_view
from terraclick.geo.reading import PLAIN, Reading
from terraclick.geo.view_window import MAX_VIEW_PX
from terraclick.values import Bounds, View

__all__ = ["Encoded", "Encodings", "ViewSpec", "memory_of", "read_spec"]


@dataclass(frozen=True)
class ViewSpec:
    """The specification of a view for the model: the arguments of `read_view`."""

    path: Path
    bounds: Bounds
    gsd: float | None = None
    bands: tuple[int, ...] | None = None
    stretch: Any = "auto"
    reading: Reading = PLAIN


@dataclass(frozen=True, eq=False)
class Encoded:
    """A view on its grid, encoded, and how long that took; valid (H, W) says where there is a picture, None = all."""

    grid: Grid
    encoded: Any
    read_ms: float
    encode_ms: float
    valid: NDArray[np.bool_] | None = None


def read_spec(spec: ViewSpec, further: int = 0) -> tuple[View, Grid]:
    """The view that a specification describes, with further bands of its file, and its grid."""
    bounds, gsd, bands, stretch = spec.bounds, spec.gsd, spec.bands, spec.stretch
    return read_view(spec.path, bounds, gsd, bands, stretch, MAX_VIEW_PX, spec.reading, further)


class Encodings:
    """Views, encoded, by specification: the latest ones within `limit` bytes. May change speed, never answers."""

    def __init__(self, limit: int = 512 * 2**20) -> None:
        self.limit = limit
        self._kept: OrderedDict[ViewSpec, Encoded] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, spec: ViewSpec) -> bool:
        with self._lock:
            return spec in self._kept

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        with self._lock:
            return sum(memory_of(item.encoded) for item in self._kept.values())

    def get(self, spec: ViewSpec, predictor: Predictor) -> Encoded:
        """Read and encode a view, or take it from memory (then both times are 0)."""
        with self._lock:
            if spec in self._kept:
                self._kept.move_to_end(spec)
                found = self._kept[spec]
                return Encoded(found.grid, found.encoded, 0.0, 0.0, found.valid)
        begun = time.perf_counter()
        view, grid = read_spec(spec, bands_read(predictor) - 3)
        read = time.perf_counter()
        encoded = predictor.encode(view)
        item = Encoded(grid, encoded, 1e3 * (read - begun), 1e3 * (time.perf_counter() - read), view.valid)
        with self._lock:
            self._kept[spec] = item
        return item

    def trim(self) -> None:
        """Drop the longest unused while more than the limit is held (some encodings grow when they are used)."""
        with self._lock:
            sizes = {spec: memory_of(item.encoded) for spec, item in self._kept.items()}
            held = sum(sizes.values())
            while held > self.limit and len(self._kept) > 1:
                spec, _ = self._kept.popitem(last=False)
                held -= sizes[spec]


def memory_of(value: Any, seen: set[int] | None = None) -> int:
    """Bytes of the arrays within dataclasses, tuples, lists and dicts, each counted once."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, tuple | list):
        return sum(memory_of(part, seen) for part in value)
    if isinstance(value, dict):
        return sum(memory_of(part, seen) for part in value.values())
    if is_dataclass(value) and not isinstance(value, type):
        return sum(memory_of(getattr(value, part.name), seen) for part in fields(value))
    return 0
