"""One thread that answers, and what it remembers: views and their encodings, as many as fit a budget of bytes.

Tiles, lists and edits never wait for the model: they run elsewhere. Clicks go before previews, previews before
proposals, proposals before what is only fetched ahead.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from terraclick.core.predictor import Predictor
from terraclick.errors import TerraClickError
from terraclick.geo.grid import Grid
from terraclick.geo.raster import read_view
from terraclick.geo.reading import PLAIN, Reading
from terraclick.geo.view_window import MAX_VIEW_PX
from terraclick.values import Bounds, View

__all__ = ["Busy", "Cancelled", "Encoded", "Encodings", "Priority", "ViewSpec", "Worker", "memory_of", "read_spec"]

Answer = TypeVar("Answer")


class Busy(TerraClickError):
    """Too much waits for the model."""

    http_status = 503


class Cancelled(TerraClickError):
    """Whoever asked no longer wants the answer."""

    http_status = 409


class Priority(IntEnum):
    """What goes first; lower is sooner."""

    CLICK = 0
    PREVIEW = 1
    PROPOSAL = 2
    AHEAD = 3


class Worker:
    """A thread that runs jobs one at a time, the most urgent first, in the order given among equals."""

    def __init__(self, most_waiting: int = 256) -> None:
        self.most_waiting = most_waiting
        self._jobs: list[tuple[int, int, Future[Any], Callable[[], Any]]] = []
        self._latest: dict[str, Future[Any]] = {}
        self._number = count()
        self._ready = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._work, name="terraclick-model", daemon=True)
        self._thread.start()

    def submit(self, priority: Priority, job: Callable[[], Answer], key: str | None = None) -> Future[Answer]:
        """Run a job when its turn comes; one waiting under the same key is cancelled. Raises Busy."""
        future: Future[Answer] = Future()
        with self._ready:
            if not self._open or len(self._jobs) >= self.most_waiting:
                raise Busy(f"{len(self._jobs)} questions wait for the model: try again in a moment.")
            if key is not None:
                earlier = self._latest.get(key)
                if earlier is not None:
                    earlier.cancel()
                self._latest[key] = future
                future.add_done_callback(lambda done: self._forget(key, done))
            heapq.heappush(self._jobs, (int(priority), next(self._number), future, job))
            self._ready.notify()
        return future

    def close(self) -> None:
        """Finish the job at hand, cancel the rest."""
        with self._ready:
            self._open = False
            waiting, self._jobs = self._jobs, []
            self._ready.notify()
        for _, _, future, _ in waiting:
            future.cancel()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=30)

    def _forget(self, key: str, done: Future[Any]) -> None:
        if self._latest.get(key) is done:
            self._latest.pop(key, None)

    def _work(self) -> None:
        while True:
            with self._ready:
                while self._open and not self._jobs:
                    self._ready.wait()
                if not self._open:
                    return
                _, _, future, job = heapq.heappop(self._jobs)
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)


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


def read_spec(spec: ViewSpec) -> tuple[View, Grid]:
    """The view that a specification describes, and its grid."""
    bounds, gsd, bands, stretch = spec.bounds, spec.gsd, spec.bands, spec.stretch
    return read_view(spec.path, bounds, gsd, bands, stretch, MAX_VIEW_PX, spec.reading)


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
        view, grid = read_spec(spec)
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
