"""The folder of pixels that clients sent: bounded in size and age, the longest unused go first."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["WindowCache", "WindowFile", "unwanted"]

PATTERN = "window-*.tif"


@dataclass(frozen=True)
class WindowFile:
    """A file of the folder: its size in bytes and when it was last used, in seconds since 1970."""

    path: Path
    size: int
    used: float


def unwanted(files: Iterable[WindowFile], most_bytes: int, oldest: float) -> list[WindowFile]:
    """Those last used before `oldest`, and the longest unused beyond `most_bytes`; the latest one always stays."""
    kept, found = 0, []
    for index, file in enumerate(sorted(files, key=lambda file: file.used, reverse=True)):
        kept += file.size
        if index and (file.used < oldest or kept > most_bytes):
            found.append(file)
    return found


@dataclass(frozen=True)
class WindowCache:
    """Limits of a folder of windows: bytes, and seconds since last used."""

    folder: Path
    most_bytes: int = 1000 * 2**20
    most_seconds: float = 30 * 86_400.0
    now: Callable[[], float] = time.time

    def files(self) -> list[WindowFile]:
        """What lies there."""
        found = []
        for path in self.folder.glob(PATTERN):
            try:
                told = path.stat()
            except OSError:
                continue
            found.append(WindowFile(path, told.st_size, told.st_atime))
        return found

    def touch(self, path: Path) -> None:
        """A window is used again: that is its time of access; that of its last change tells whether it is the same."""
        os.utime(path, ns=(int(self.now() * 1e9), path.stat().st_mtime_ns))

    def prune(self, in_use: Callable[[], Sequence[Path]]) -> list[Path]:
        """Remove what is too much, but nothing that is in use (asked only then); gives what is gone."""
        found = unwanted(self.files(), self.most_bytes, self.now() - self.most_seconds)
        held = {path.name for path in in_use()} if found else set()
        gone = []
        for file in found:
            if file.path.name not in held:
                try:
                    file.path.unlink()
                except OSError:
                    continue
                gone.append(file.path)
        return gone
