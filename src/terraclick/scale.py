"""How work is spread: one function over many tiles, here, on several cores, or on a Dask cluster; answers in order.

`map_tiles` is lazy and keeps only a few tiles in flight, so memory does not grow with the scene. It yields in the order
of the tiles whatever ran where, so what is summed from its answers is the same to the last bit. A worker that dies
loses nothing: its tiles are given out again. A tile that kills its worker every time stops the run with a sentence.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from terraclick.errors import BadConfig, TerraClickError, require_extra

__all__ = ["map_tiles", "worker_count"]

Tile = TypeVar("Tile")
Answer = TypeVar("Answer")

ATTEMPTS = 3
"""How often a tile may take its worker with it before the run is given up."""

AHEAD = 3
"""Tiles in flight per worker: one computed, one waiting, one on its way back."""

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def worker_count(workers: int | None) -> int:
    """So many workers, or one per core this process may use."""
    if workers is not None:
        return workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_tiles(
    fn: Callable[[Tile], Answer], tiles: Iterable[Tile], executor: str = "local", workers: int | None = None
) -> Iterator[tuple[Tile, Answer]]:
    """(tile, fn(tile)) for every tile, in order.

    executor: `local` = in this process; `processes` = so many `workers` here (default: one per core), each with one
    numeric thread; `dask` = a Dask cluster of such workers here; `dask://host:port` = that scheduler's workers, which
    must see the same files under the same names. fn and its answers must be picklable for all but `local`; fn may be
    called twice for a tile. What fn raises is raised here.
    Raises BadConfig for another executor, MissingExtra without Dask, TerraClickError where workers keep dying.
    """
    if workers is not None and workers < 1:
        raise BadConfig(f"{workers} workers were asked for: at least one is needed.")
    if executor == "local":
        return ((tile, fn(tile)) for tile in tiles)
    if executor == "processes":
        return _on_processes(fn, tiles, worker_count(workers))
    if executor == "dask" or executor.startswith("dask://"):
        return _on_dask(fn, tiles, executor.removeprefix("dask").removeprefix("://"), worker_count(workers))
    raise BadConfig(f"no executor {executor!r}: choose local, processes, dask or dask://HOST:PORT.")


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Children born inside have one numeric thread; the engine's own threads are the function's business."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _on_processes(fn: Callable[[Tile], Answer], tiles: Iterable[Tile], workers: int) -> Iterator[tuple[Tile, Answer]]:
    """A pool that is made anew, and given what is not answered again, whenever one of its processes dies."""
    waiting = iter(tiles)
    flying: deque[tuple[Tile, Future[Answer] | None]] = deque()
    pool: ProcessPoolExecutor | None = None
    failures = 0
    try:
        while True:
            flying.extend((tile, None) for tile in islice(waiting, AHEAD * workers - len(flying)))
            if not flying:
                return
            try:
                pool = pool or ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
                with _one_thread_each():  # children are born when work is handed in
                    flying = deque((tile, future or pool.submit(fn, tile)) for tile, future in flying)
                tile, first = flying[0]
                assert first is not None
                answer = first.result()
            except BrokenProcessPool:
                failures += 1
                if failures >= ATTEMPTS:
                    raise TerraClickError(
                        f"the workers died {failures} times over tile {flying[0][0]}: there may be too little "
                        "memory for so many workers; give fewer, or look for what kills them."
                    ) from None
                if pool is not None:
                    pool.shutdown(wait=False, cancel_futures=True)
                pool = None
                flying = deque((tile, future if _answered(future) else None) for tile, future in flying)
                continue
            failures = 0
            flying.popleft()
            yield tile, answer
    finally:
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _answered(future: Future[Any] | None) -> bool:
    return future is not None and future.done() and not future.cancelled() and future.exception() is None


def _on_dask(
    fn: Callable[[Tile], Answer], tiles: Iterable[Tile], address: str, workers: int
) -> Iterator[tuple[Tile, Answer]]:
    """Dask distributed: a local cluster, or the one at `address`; lost tiles are computed again by its scheduler."""
    with require_extra("scale"):
        from distributed import Client, KilledWorker, LocalCluster
    try:
        here: Any = (
            None if address else LocalCluster(workers, threads_per_worker=1, dashboard_address=None, silence_logs=50)
        )
        client = Client(here or f"tcp://{address}", timeout="20s", set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise BadConfig(f"no Dask scheduler answers at {address}: start one, or correct dask://HOST:PORT.") from error
    waiting = iter(tiles)
    flying: deque[tuple[Tile, Any]] = deque()
    try:
        while True:
            room = AHEAD * max(1, len(client.scheduler_info(n_workers=-1)["workers"])) - len(flying)
            for tile in islice(waiting, max(room, 0)):
                flying.append((tile, client.submit(fn, tile, pure=False, retries=ATTEMPTS)))
            if not flying:
                return
            tile, future = flying.popleft()
            try:
                answer = future.result()
            except KilledWorker:
                raise TerraClickError(
                    f"the cluster's workers died over tile {tile}: there may be too little memory for so many workers; "
                    "give fewer, or look for what kills them."
                ) from None
            yield tile, answer
    finally:
        client.cancel([future for _, future in flying])
        client.close()
        if here is not None:
            here.close()
