"""Examples and drafts of a session in a database."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.errors import UnknownName
from terraclick.store.rows import (
    BadRow,
    json_object,
    name_of,
    text_of,
)
from terraclick.store.sql_base import SqlBase, shown
from terraclick.store.values import (
    StoredDraft,
    StoredReference,
)
from terraclick.values import Reference

__all__ = ["SqlWork"]

MOST_PX = 16_384
"""Longest side of the picture of an example."""


class SqlWork(SqlBase):
    """Examples of classes, and click sessions that are not accepted yet."""

    def add_reference(self, item: StoredReference) -> StoredReference:
        """Keep an example of a class and give it back with its uuid and time; crop and mask are stored losslessly."""
        stored = replace(item, uuid=item.uuid or self._new_uuid(), created=item.created or self._time())
        crop = _png(np.ascontiguousarray(item.reference.image[..., ::-1]))
        mask = _png(item.reference.mask.astype(np.uint8) * np.uint8(255))
        with self._transaction() as db:
            self._run(
                db,
                'INSERT INTO "references" (uuid, class, positive, crop, mask, created) VALUES (?, ?, ?, ?, ?, ?)',
                (stored.uuid, item.class_name, item.reference.positive, crop, mask, stored.created),
            )
        return stored

    def references(self, class_name: str | None = None) -> tuple[StoredReference, ...]:
        """Saved examples in the order added, of one class or of all."""
        condition, values = ("", ()) if class_name is None else (" WHERE class = ?", (class_name,))
        query = f'SELECT uuid, class, positive, crop, mask, created FROM "references"{condition} ORDER BY id'
        with self._reading() as db:
            rows = self._run(db, query, values).fetchall()
        found = []
        self._outside.forget("references")
        for row in rows:
            try:
                found.append(self._reference(*row))
            except BadRow as error:
                self._outside.note("references", shown(row[0]), f"{error}: the example is left out")
        return tuple(found)

    def delete_reference(self, uuid: str) -> None:
        """Remove an example. Raises UnknownName if there is none."""
        with self._transaction() as db:
            if self._run(db, 'DELETE FROM "references" WHERE uuid = ?', (uuid,)).rowcount == 0:
                raise UnknownName(f"no example {uuid!r} in {self._place}: it may have been deleted.")

    def save_draft(self, item: StoredDraft) -> None:
        """Keep a click session that is not accepted yet, or renew the one of that uuid."""
        row = (item.uuid, item.author, item.image, json.dumps(item.content), item.updated or self._time())
        with self._transaction() as db:
            self._run(
                db,
                "INSERT INTO drafts (uuid, author, image, content, updated) VALUES (?, ?, ?, ?, ?) ON CONFLICT (uuid) "
                "DO UPDATE SET author = excluded.author, image = excluded.image, content = excluded.content, "
                "updated = excluded.updated",
                row,
            )

    def delete_draft(self, uuid: str) -> None:
        """Forget a click session, if it is there."""
        with self._transaction() as db:
            self._run(db, "DELETE FROM drafts WHERE uuid = ?", (uuid,))

    def drafts(self) -> tuple[StoredDraft, ...]:
        """All click sessions that are not accepted yet, in the order begun; what is damaged in one is left out."""
        with self._reading() as db:
            rows = self._run(db, "SELECT uuid, author, image, content, updated FROM drafts ORDER BY id").fetchall()
        found = []
        self._outside.forget("drafts")
        for uuid, author, image, content, updated in rows:
            try:
                names = text_of(uuid, "uuid"), text_of(author, "author"), text_of(image, "image")
                found.append(StoredDraft(*names, json_object(content, "content"), text_of(updated, "updated")))
            except BadRow as error:
                self._outside.note("drafts", shown(uuid), f"{error}: the click session is left out")
        return tuple(found)

    def _reference(
        self, uuid: str, class_name: str, positive: bool, crop: bytes, mask: bytes, created: str
    ) -> StoredReference:
        names = name_of(uuid, "uuid"), text_of(class_name, "class"), text_of(created, "created")
        import cv2

        image, levels = _picture(crop, cv2.IMREAD_COLOR), _picture(mask, cv2.IMREAD_GRAYSCALE)
        if image is None or levels is None or image.shape[:2] != levels.shape[:2] or not (levels > 127).any():
            raise BadRow("its picture or mask cannot be decoded")
        picture = np.ascontiguousarray(image[..., ::-1])
        return StoredReference(names[1], Reference(picture, levels > 127, bool(positive)), names[0], names[2])


def _png(array: NDArray[np.uint8]) -> bytes:
    """A picture (h, w[, 3] BGR) as PNG."""
    import cv2

    return bytes(cv2.imencode(".png", array)[1])


def _picture(blob: Any, kind: int) -> NDArray[np.uint8] | None:
    """A stored picture; None if it is none."""
    if not isinstance(blob, bytes | memoryview) or not blob:
        return None
    from terraclick.geo.pictures import decoded

    found = decoded(bytes(blob), kind, MOST_PX)
    return None if found is None else np.asarray(found, dtype=np.uint8)
