"""How an image of a session is read: as the user says now, else as it was read when the session came to know it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from terraclick.geo.reading import PLAIN, Reading
from terraclick.store.identity import image_hash, session_key
from terraclick.store.sql import Store
from terraclick.store.values import StoredImage

__all__ = ["AS_FILES_SAY", "Readings", "readings_of"]


@dataclass(frozen=True)
class Readings:
    """What was said now, and the images of a session; folder is that of the session file, None for a database."""

    said: Reading = PLAIN
    images: Sequence[StoredImage] = ()
    folder: Path | None = None

    def of_image(self, image: StoredImage, tell: Callable[[str], None] = lambda note: None) -> Reading:
        """How an image of the session is read; `tell` hears, without a full stop, where that is not what was said."""
        found = self.said.over(image.reading)
        other = self.said.differs(image.reading)
        if other:
            now = found.words or "what the file says"
            tell(f"the session has it read with {other}; it is read with {now} now")
        elif found != self.said:
            tell(f"it is read with {found.words}, as the session keeps it")
        return found

    def of_file(self, path: Path, digest: str = "", tell: Callable[[str], None] = lambda note: None) -> Reading:
        """How an image file is read; digest is its `image_hash`, worked out where it is not given. Raises BadData."""
        if all(image.reading.is_plain for image in self.images):
            return self.said
        key = session_key(self.images, path, digest or image_hash(path), None, self.folder)
        known = next((image for image in self.images if image.path == key), None)
        return self.said if known is None else self.of_image(known, tell)


AS_FILES_SAY = Readings()
"""Nothing was said, and no session is known."""


def readings_of(store: Store, said: Reading = PLAIN) -> Readings:
    """The readings that a session keeps, under what is said now."""
    path = getattr(store, "path", None)
    return Readings(said, store.images(), None if path is None else Path(path).parent)
