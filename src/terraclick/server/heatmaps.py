"""What a map model saw, beside a scene: heatmaps that `terraclick map` wrote, drawn above the picture.

A file of heatmaps belongs to a scene when its tag says so. It is looked for, by a name that holds `heat`, beside the
scene and in the folder that exports go to, and one folder deeper, each time a page asks: a map that is made while the
server runs appears when the page is opened again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from terraclick.classmap.explain import heat_colours
from terraclick.errors import TerraClickError, UnknownName
from terraclick.geo.classmap import heat_classes, read_heat
from terraclick.geo.raster import read_info
from terraclick.server.images import Scene, TilePlace

__all__ = ["Heatmap", "Heatmaps"]

MOST_FILES = 200
"""So many files with a fitting name are looked at in a folder."""


@dataclass(frozen=True)
class Heatmap:
    """A class's heatmap above a scene."""

    id: str
    name: str
    path: Path
    band: int
    version: str
    """Changes when the file does."""


@dataclass(eq=False)
class Heatmaps:
    """Finds and draws the heatmaps of scenes. `folder` is looked through for every scene. Thread-safe."""

    folder: Path | None = None
    _known: dict[tuple[Path, str], tuple[str, tuple[str, ...]] | None] = field(default_factory=dict)
    _found: dict[str, dict[str, Heatmap]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, scene: Scene) -> tuple[Heatmap, ...]:
        """All heatmaps of a scene, by file and class; looks again each time."""
        found: dict[str, Heatmap] = {}
        for path, version in self._files(scene):
            for band, name in enumerate(self._classes(path, version, scene), start=1):
                base = f"{path.parent.name}-{path.stem}-{band}"
                number, key = 1, base
                while key in found:
                    number += 1
                    key = f"{base}-{number}"
                found[key] = Heatmap(key, name, path, band, version)
        with self._lock:
            self._found[scene.id] = found
        return tuple(found.values())

    def heatmap(self, scene: Scene, name: str) -> Heatmap:
        """One of them by its id, without looking again where it is known. Raises UnknownName."""
        if name in self._found.get(scene.id, {}):
            return self._found[scene.id][name]
        for heatmap in self.of(scene):
            if heatmap.id == name:
                return heatmap
        raise UnknownName(f"{scene.name} has no layer {name[:80]!r}: reload the page for the list.")

    def tile(self, scene: Scene, heatmap: Heatmap, place: TilePlace) -> bytes:
        """A tile as PNG: blue where the model saw no such class, red where it did, as `--explain` draws it.

        Raises UnknownName where there is no such tile, BadGrid, BadImage.
        """
        window, factor = scene.tile(place)
        grid = scene.grid.coarsened(factor, window)
        level = read_heat(heatmap.path, grid, heatmap.band)
        colour, strength = heat_colours(level)
        strength[level > 100] = 0
        bgra = np.dstack([colour[..., ::-1], strength * 255])
        options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
        return bytes(cv2.imencode(".png", np.rint(bgra).astype(np.uint8), options)[1])

    def _files(self, scene: Scene) -> Iterator[tuple[Path, str]]:
        """Files that may hold heatmaps, and a word that changes when they do."""
        folders = [scene.path.parent, *([] if self.folder is None else [self.folder])]
        seen: set[Path] = set()
        for folder in folders:
            for pattern in ("*heat*.tif", "*/*heat*.tif"):
                for path in islice(sorted(folder.glob(pattern)), MOST_FILES):
                    real = path.resolve()
                    if real in seen or not real.is_file():
                        continue
                    seen.add(real)
                    said = real.stat()
                    yield real, f"{said.st_mtime_ns:x}-{said.st_size:x}"

    def _classes(self, path: Path, version: str, scene: Scene) -> tuple[str, ...]:
        """The classes whose heatmaps a file holds for this scene; none for any other file."""
        key = path, version
        with self._lock:
            asked = key in self._known
            found = self._known.get(key)
        if not asked:
            found = heat_classes(path)
            with self._lock:
                self._known[key] = found
        if found is None or found[0] != scene.path.name:
            return ()
        return found[1] if _same_place(path, scene) else ()


def _same_place(path: Path, scene: Scene) -> bool:
    """Whether the file is in the scene's coordinate system and touches it."""
    try:
        grid: Any = read_info(path).grid
    except TerraClickError:
        return False
    ours, theirs = scene.grid.crs, grid.crs
    if (ours is None) != (theirs is None) or (ours is not None and not theirs.equals(ours, True)):
        return False
    a, b = scene.grid.bounds, grid.bounds
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])
