"""Looks every second at what other programs did to the session, and tells the maps that are open."""

from __future__ import annotations

import threading
from collections.abc import Callable

from terraclick.errors import TerraClickError
from terraclick.server.editing import find
from terraclick.server.events import Hub
from terraclick.server.features import GeometryConverter
from terraclick.store.sql import Store

__all__ = ["Watch"]

MOST_TOLD = 2000
"""More objects than this are not told one by one: the maps load them all again."""
BY = "another program"


class Watch:
    """A thread that looks at a store every `every_s` seconds until closed; `changed` is called after each find."""

    def __init__(
        self,
        store: Store,
        converter: GeometryConverter,
        hub: Hub,
        changed: Callable[[], None] = lambda: None,
        every_s: float = 1.0,
    ) -> None:
        self._store, self._converter, self._hub = store, converter, hub
        self._changed = changed
        self._every_s = every_s
        self._end = threading.Event()
        self._said = ""
        self._thread = threading.Thread(target=self._work, name="terraclick-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._end.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=10)

    def _work(self) -> None:
        while not self._end.wait(self._every_s):
            try:
                self.look()
                self._said = ""
            except TerraClickError as error:
                self._trouble(" ".join(str(error).split()))

    def look(self) -> None:
        """Once: what happened is told as `objects` and `classes`, a lost file as `trouble`."""
        happened = self._store.look()
        self._store.settle()
        if happened is None:
            return
        self._changed()
        self._hub.send("classes", {"by": BY})
        self._hub.send("references", {"by": BY})
        if len(happened.changed) + len(happened.deleted) > MOST_TOLD:
            self._hub.send("reload", {"by": BY})
            return
        found = [item for uuid in happened.changed if (item := find(self._store, uuid)) is not None]
        features = [feature for item in found if (feature := self._converter.feature_or_none(item)) is not None]
        if features or happened.deleted:
            self._hub.send("objects", {"changed": features, "deleted": list(happened.deleted), "by": BY})

    def _trouble(self, sentence: str) -> None:
        if sentence != self._said:
            self._said = sentence
            self._hub.send("trouble", {"message": sentence})
