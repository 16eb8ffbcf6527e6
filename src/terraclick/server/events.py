"""Server-sent events: what happens, told to everybody who listens, or to one person alone."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

__all__ = ["Hub", "message"]

MOST_WAITING = 512
"""Messages a slow listener may be behind; then its stream ends, and its browser connects and loads again."""
PULSE_S = 15.0


def message(event: str, data: Any) -> str:
    """One event as it goes over the wire."""
    return f"event: {event}\ndata: {json.dumps(data, allow_nan=False)}\n\n"


class Hub:
    """Passes events from any thread to the streams that are open."""

    def __init__(self) -> None:
        self._listeners: dict[int, tuple[str, asyncio.AbstractEventLoop, asyncio.Queue[str | None]]] = {}
        self._windows: dict[int, tuple[str, str]] = {}
        self._lock = threading.Lock()
        self._next = 0
        self._closed = False

    def send(self, event: str, data: Any, user: str | None = None) -> None:
        """Tell everybody, or `user` alone. Never waits."""
        with self._lock:
            listeners = list(self._listeners.items())
        if not listeners:
            return
        text = message(event, data)
        for number, (name, loop, queue) in listeners:
            if user is None or user == name:
                try:
                    loop.call_soon_threadsafe(self._put, number, queue, text)
                except RuntimeError:  # its loop has ended
                    self._drop(number)

    def _put(self, number: int, queue: asyncio.Queue[str | None], text: str | None) -> None:
        if queue.qsize() >= MOST_WAITING:
            self._drop(number)
            text = None
        queue.put_nowait(text)

    def _drop(self, number: int) -> None:
        with self._lock:
            self._listeners.pop(number, None)
            self._windows.pop(number, None)

    def windows(self, user: str) -> set[str]:
        """The windows of a person that listen now."""
        with self._lock:
            return {window for name, window in self._windows.values() if name == user}

    def close(self) -> None:
        """End all streams."""
        with self._lock:
            self._closed = True
            listeners, self._listeners = self._listeners, {}
        for _, loop, queue in listeners.values():
            try:
                loop.call_soon_threadsafe(queue.put_nowait, None)
            except RuntimeError:
                continue

    async def listen(self, user: str, hello: Any, window: str = "") -> AsyncIterator[str]:
        """A stream of events for one person's window, beginning with `hello`."""
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        with self._lock:
            number, self._next = self._next, self._next + 1
            if not self._closed:
                self._listeners[number] = user, asyncio.get_running_loop(), queue
                self._windows[number] = user, window
        try:
            yield message("hello", hello)
            while not self._closed:
                try:
                    text = await asyncio.wait_for(queue.get(), PULSE_S)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if text is None:
                    return
                yield text
        finally:
            self._drop(number)
