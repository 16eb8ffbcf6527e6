"""The images a server shows: chosen at its start, known by an id, cut into tiles of their own pixels.

Level `max_zoom` of a pyramid is the image itself in tiles of 256 px; every level below is twice as coarse, and level 0
is one tile. No coordinate system is needed, and none gets in the way.
"""

from __future__ import annotations

import math
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadImage, BadInput, TerraClickError, UnknownName
from terraclick.geo.carrying import accuracy_note
from terraclick.geo.classmap import heat_classes
from terraclick.geo.grid import Grid
from terraclick.geo.lonlat import WGS84
from terraclick.geo.raster import Band, RasterInfo, read_bands, read_info, read_limits, read_tile, resolve_image
from terraclick.geo.reading import PLAIN, Reading
from terraclick.geo.sidecars import stamp_of, written_at
from terraclick.geo.suspicion import suspicions
from terraclick.store.identity import image_hash, session_key
from terraclick.store.readings import AS_FILES_SAY, Readings
from terraclick.store.sql import Store
from terraclick.store.values import StoredImage
from terraclick.values import Stretch, View, Window

__all__ = [
    "TILE",
    "ImageChanged",
    "Look",
    "Scene",
    "TilePlace",
    "Tiles",
    "looked_at",
    "open_one",
    "open_scenes",
    "settled",
]

TILE = 256
COARSE_SIDE = 2048
"""Longest side of the copy from which far-away tiles of an image without overviews are cut."""
MAX_IMAGES = 10_000
MOST_LOOKED_AT = 50
"""So many images are searched at the start for values that seem to stand for no data."""

Limits = tuple[tuple[float, float], ...]


class ImageChanged(BadImage):
    """An image is not the file any more that the server opened."""

    http_status = 409


class TilePlace(NamedTuple):
    """Which tile: level, column and row, as XYZ schemes count them."""

    z: int
    x: int
    y: int


@dataclass(frozen=True, eq=False)
class Scene:
    """One image on the map; key is its path in the session file."""

    id: str
    key: str
    path: Path
    info: RasterInfo
    bands: tuple[Band, ...]
    hash: str
    reading: Reading = PLAIN
    stamp: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    """What a user should hear of how it is understood."""
    default_bands: tuple[int, ...] = (1,)
    """The bands that are shown where none are asked for."""

    def check(self) -> None:
        """Raise ImageChanged where the file is not the one that this server opened, or what lies beside it."""
        now = stamp_of(self.path)
        if now == self.stamp or (now and _same_content(self, now)):
            return
        what = "was changed on disk" if now else "is gone from disk"
        raise ImageChanged(
            f"{self.name} {what} since the server began to show it: what is drawn on the old picture may not fit the "
            "new one; put the file back, or start the server again."
        )

    @property
    def grid(self) -> Grid:
        """All its pixels."""
        return self.info.grid

    @property
    def stored(self) -> StoredImage:
        """The image as a session keeps it."""
        crs = self.grid.crs
        return StoredImage(self.key, self.hash, crs, None if crs is None else self.grid.bounds, self.reading)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.info.grid.shape

    @property
    def name(self) -> str:
        """What people call it."""
        return self.path.name

    @property
    def max_zoom(self) -> int:
        """The level at which a tile pixel is an image pixel."""
        return max(0, math.ceil(math.log2(max(self.shape) / TILE)))

    def tile(self, place: TilePlace) -> tuple[Window, int]:
        """The pixels of a tile at its level, and how many of the image's make one of them. Raises UnknownName."""
        factor = self.factor(place.z)
        rows, cols = (math.ceil(side / factor / TILE) for side in self.shape)
        if not (0 <= place.x < cols and 0 <= place.y < rows):
            raise UnknownName(
                f"{self.name} has no tile {place.x}, {place.y} at level {place.z}: it has {cols} x {rows} there."
            )
        return Window(place.y * TILE, place.x * TILE, TILE, TILE), factor

    def factor(self, z: int) -> int:
        """Image pixels per tile pixel. Raises UnknownName for a level that is not there."""
        if not 0 <= z <= self.max_zoom:
            raise UnknownName(f"{self.name} has no level {z}: give 0 to {self.max_zoom}.")
        return 1 << (self.max_zoom - z)


@lru_cache(maxsize=1024)
def _same_content(scene: Scene, now: tuple[Any, ...]) -> bool:
    """Whether of a scene's files only the entries changed: other rights, a second name, there and back again."""
    if written_at(now) != written_at(scene.stamp):
        return False
    try:
        same = image_hash(scene.path)[:16] == scene.hash
        return same and read_info(scene.path, scene.reading).grid == scene.grid
    except TerraClickError:
        return False


def settled(scenes: Mapping[str, Scene], store: Store) -> dict[str, Scene]:
    """Scenes with the keys by which a session knows them: by their hash, so that a moved session finds its objects."""
    path = getattr(store, "path", None)
    folder = None if path is None else Path(path).parent
    images = list(store.images())
    found: dict[str, Scene] = {}
    taken: set[str] = set()
    for name, scene in scenes.items():
        bounds = None if scene.grid.crs is None else scene.grid.bounds
        key = session_key(images, scene.path, scene.hash, bounds, folder)
        key = scene.key if key in taken else key
        taken.add(key)
        found[name] = replace(scene, key=key)
    return found


def open_scenes(
    names: Sequence[str], warn: Callable[[str], None] = lambda line: None, readings: Readings = AS_FILES_SAY
) -> dict[str, Scene]:
    """The images named, and those in the folders named, by id. `warn` hears of files in folders that cannot be used.

    `readings` says how each is read.

    Heatmaps in a folder are left to `server/heatmaps.py`.

    Raises BadImage for a named file that cannot be used, and where there is nothing to show.
    """
    scenes: dict[str, Scene] = {}
    seen: set[Path] = set()
    for name in names:
        folder = Path(name)
        inside = sorted(folder.iterdir()) if name != "sample" and folder.is_dir() else None
        for file in [name] if inside is None else [str(path) for path in inside if path.is_file()]:
            if inside is not None and "heat" in Path(file).name and heat_classes(file) is not None:
                continue
            try:
                scene = open_one(file, scenes, readings)
            except TerraClickError as error:
                if inside is None:
                    raise
                warn(f"left out: {error}")
                continue
            if scene.path not in seen:
                seen.add(scene.path)
                scene = looked_at(scene) if len(scenes) < MOST_LOOKED_AT else scene
                for note in scene.notes:
                    warn(f"Note on {scene.name}: {note}.")
                scenes[scene.id] = scene
            if len(scenes) > MAX_IMAGES:
                raise BadImage(f"more than {MAX_IMAGES} images were named: give fewer at a time.")
    if not scenes:
        raise BadImage(f"no image in {', '.join(names) or 'the list'}: name a GeoTIFF, JPEG or PNG, or sample.")
    return scenes


def looked_at(scene: Scene) -> Scene:
    """The scene with notes of what its pixels and its place make one suspect; part of the pixels is read."""
    accuracy = accuracy_note(scene.grid, WGS84)
    found = (*suspicions(scene.path, scene.reading), *([accuracy] if accuracy else []))
    return replace(scene, notes=(*scene.notes, *found))


def open_one(name: str, taken: Mapping[str, Scene], readings: Readings = AS_FILES_SAY) -> Scene:
    """One image, with an id that none of `taken` has. Raises BadImage."""
    path = resolve_image(name)
    stamp = stamp_of(path)  # before anything is read: a change meanwhile is one
    notes: list[str] = []
    digest = image_hash(path)[:16]
    reading = readings.of_file(path, digest, notes.append)
    info = read_info(path, reading)
    return Scene(
        _id_of("sample" if name == "sample" else Path(name).stem, taken),
        "sample" if name == "sample" else str(path),
        path,
        info,
        read_bands(path, reading),
        digest,
        reading,
        stamp,
        (*notes, *info.notes),
        read_limits(path, None, "none", reading)[0],
    )


def _id_of(stem: str, taken: Mapping[str, Scene]) -> str:
    base = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:60] or "image"
    number, found = 1, base
    while found in taken:
        number += 1
        found = f"{base}-{number}"
    return found


@dataclass(frozen=True)
class Look:
    """How a tile is to look: bands from 1, stretch (or ranges) and gamma; the image's own choice where left out."""

    bands: Sequence[int] | None = None
    stretch: Stretch = "auto"
    gamma: float = 1.0


@dataclass(eq=False)
class Tiles:
    """Tiles of scenes; remembers stretches, and a coarse copy of large images without overviews. Thread-safe."""

    capacity: int = 8
    _limits: OrderedDict[Any, Any] = field(default_factory=OrderedDict)
    _coarse: OrderedDict[Any, View] = field(default_factory=OrderedDict)
    _locks: dict[Any, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tile(self, scene: Scene, place: TilePlace, look: Look = Look(), kind: str = "") -> tuple[bytes, str]:
        """(encoded picture, media type) of a tile; kind is png, jpg, or "" for whichever fits.

        Raises UnknownName where there is no such tile, BadInput, BadImage.
        """
        scene.check()
        window, factor = scene.tile(place)
        if not (math.isfinite(look.gamma) and 0.1 <= look.gamma <= 10):
            raise BadInput(f"a gamma of {look.gamma} was given: expected 0.1 to 10.")
        chosen, limits = self.limits(scene, look.bands, look.stretch)
        view = self._view(scene, window, factor, chosen, limits)
        scene.check()
        return _encoded(view, look.gamma, kind)

    def view(self, scene: Scene, window: Window, factor: int, bands: tuple[int, ...], limits: Limits) -> View:
        """A window of a scene's pixels shrunk `factor` times."""
        return self._view(scene, window, factor, bands, limits)

    @staticmethod
    def encoded(view: View, gamma: float = 1.0, kind: str = "") -> bytes:
        """A view as a picture."""
        return _encoded(view, gamma, kind)[0]

    def limits(self, scene: Scene, bands: Sequence[int] | None, stretch: Stretch) -> tuple[tuple[int, ...], Limits]:
        """(bands, their black and white values), worked out once."""
        key = scene.id, None if bands is None else tuple(bands), repr(stretch)
        with self._lock:
            if key in self._limits:
                self._limits.move_to_end(key)
                found: tuple[tuple[int, ...], Limits] = self._limits[key]
                return found
        found = read_limits(scene.path, bands, stretch, scene.reading)
        with self._lock:
            self._limits[key] = found
            while len(self._limits) > 256:
                self._limits.popitem(last=False)
        return found

    def _view(self, scene: Scene, window: Window, factor: int, bands: tuple[int, ...], limits: Limits) -> View:
        coarse = 2 ** max(0, math.ceil(math.log2(max(scene.shape) / COARSE_SIDE)))
        if scene.info.has_overviews or coarse < 4 or factor < coarse:
            return read_tile(scene.path, window, factor, bands, limits, scene.reading)
        key = scene.id, bands, limits
        with self._lock:
            making = self._locks.setdefault(key, threading.Lock())
        with making:  # one reader makes the copy, the others wait for it
            with self._lock:
                whole = self._coarse.get(key)
            if whole is None:
                side = max(scene.shape) // coarse + 1
                whole = read_tile(scene.path, Window(0, 0, side, side), coarse, bands, limits, scene.reading)
                with self._lock:
                    self._coarse[key] = whole
                    while len(self._coarse) > self.capacity:
                        self._locks.pop(self._coarse.popitem(last=False)[0], None)
        return _cut(whole, window, factor // coarse)


def _cut(whole: View, window: Window, step: int) -> View:
    """A window of a picture shrunk `step` times, the mean of what is known in each box."""
    rows = slice(window.row * step, (window.row + window.rows) * step)
    cols = slice(window.col * step, (window.col + window.cols) * step)
    image = whole.image[rows, cols]
    valid = None if whole.valid is None else whole.valid[rows, cols]
    size = max(1, math.ceil(image.shape[1] / step)), max(1, math.ceil(image.shape[0] / step))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if valid is None:
        return View(np.asarray(small, dtype=np.uint8))
    share = cv2.resize(valid.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    bright = small.astype(np.float32) / np.maximum(share, 1e-3)[..., None]
    return View(np.clip(np.rint(bright), 0, 255).astype(np.uint8), share > 1e-3)


def _encoded(view: View, gamma: float, kind: str) -> tuple[bytes, str]:
    if kind not in ("", "png", "jpg"):
        raise BadInput(f"tiles of kind {kind!r} were asked for: png and jpg are made.")
    image = view.image
    if gamma != 1.0:
        levels = np.rint(255 * (np.arange(256) / 255) ** (1 / gamma)).astype(np.uint8)
        image = levels[image]
    full = view.shape == (TILE, TILE) and view.valid is None
    if kind == "jpg" or (kind == "" and full):
        return _written(".jpg", _framed(image, 0)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88]), "image/jpeg"
    known = np.ones(view.shape, dtype=np.bool_) if view.valid is None else view.valid
    alpha = _framed(known.astype(np.uint8) * np.uint8(255), 0)
    bgra = np.dstack([_framed(image, 0)[..., ::-1], alpha])
    return _written(".png", bgra, [cv2.IMWRITE_PNG_COMPRESSION, 1]), "image/png"


def _framed(part: NDArray[np.uint8], fill: int) -> NDArray[np.uint8]:
    """A picture at the top left of a whole tile."""
    if part.shape[:2] == (TILE, TILE):
        return part
    whole = np.full((TILE, TILE, *part.shape[2:]), fill, dtype=np.uint8)
    whole[: part.shape[0], : part.shape[1]] = part
    return whole


def _written(ending: str, image: NDArray[np.uint8], options: list[int]) -> bytes:
    return bytes(cv2.imencode(ending, np.ascontiguousarray(image), options)[1])
