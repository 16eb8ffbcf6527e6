"""The one thread that answers, and what waits for it.

Tiles, lists and edits never wait for the model: they run elsewhere. Clicks go before previews, previews before
proposals, proposals before what is only fetched ahead.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from concurrent.futures import Future
from enum import IntEnum
from itertools import count
from typing import Any, TypeVar

from terraclick.errors import TerraClickError

__all__ = ["Busy", "Cancelled", "Priority", "Worker"]

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
