"""Images that join a running server: files under the folders it allows, and windows of pixels that a client sends."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadConfig, BadData, BadImage
from terraclick.geo.crs_text import crs_of_text
from terraclick.geo.pictures import decoded, size_of
from terraclick.geo.window_file import write_window
from terraclick.server.images import MAX_IMAGES, Scene, looked_at, open_one, settled
from terraclick.server.window_cache import WindowCache
from terraclick.server.workspace import Workspace
from terraclick.store.readings import readings_of

__all__ = ["WINDOW_SIDE", "Adding", "allowed_roots", "decoded_png", "listed_roots"]

WINDOW_SIDE = 4096
"""Longest side of a window of pixels."""


@dataclass(eq=False)
class Adding:
    """Adds images to a workspace; windows of pixels are written to `windows`.

    roots are the folders files may come from, `roots_file` lists more of them and may change at any time.
    """

    workspace: Workspace
    windows: WindowCache
    roots: tuple[Path, ...] = ()
    roots_file: Path | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._prune()

    def file(self, name: str) -> Scene:
        """The scene of a file on the server's disk, added if it is new.

        Raises BadConfig where no root allows it, BadImage where it cannot be read.
        """
        roots = self.roots + listed_roots(self.roots_file)
        if not roots and self.roots_file is None:
            raise BadConfig(
                "this server adds no files: start it with --root FOLDER, or give the image when it is started."
            )
        try:
            path = Path(name).resolve()
            allowed = name and any(path.is_relative_to(root) for root in roots)
        except (OSError, ValueError, RuntimeError):
            allowed = False
        if not allowed:
            raise BadConfig("this file lies outside the folders that the server allows: see its option --root.")
        with self._lock:
            for scene in self.workspace.scenes.values():
                if scene.path == path:
                    scene.check()
                    return scene
            return self._take(path)

    def window(self, name: str, picture: NDArray[np.uint8], transform: Sequence[float], crs: str | None) -> Scene:
        """The scene of a window of pixels (H, W, 3 or 4), written down if it is new.

        Raises BadData for a transform that places nothing, BadConfig for an unknown crs, BadOutput.
        """
        a, b, _, d, e, _ = transform
        if not (all(math.isfinite(value) for value in transform) and abs(a * e - b * d) > 0):
            raise BadData(f"transform {list(transform)} places no pixel: six numbers [a, b, c, d, e, f] are needed.")
        text = None if crs is None else crs_of_text(crs).to_wkt()
        said = repr((name, [float(value) for value in transform], text, picture.shape)).encode()
        digest = hashlib.sha256(said + picture.tobytes()).hexdigest()[:16]
        path = (self.windows.folder / f"window-{digest}.tif").resolve()
        with self._lock:
            for scene in self.workspace.scenes.values():
                if scene.path == path and path.is_file():
                    self.windows.touch(path)
                    return scene
            self.windows.folder.mkdir(parents=True, exist_ok=True)
            if not path.is_file():
                write_window(path, picture, transform, text)
            self.windows.touch(path)
            scene = self._take(path)
            self._prune()
            return scene

    def _prune(self) -> None:
        """Keep the folder of windows within its limits; windows that objects or open clicks lie on stay."""
        workspace = self.workspace

        def in_use() -> list[Path]:
            named = {
                workspace.by_key[item.image].path
                for item in workspace.store.objects()
                if item.image in workspace.by_key
            }
            return [
                *named,
                *(Path(item.image) for item in workspace.store.objects()),
                *workspace.outlines.paths_in_hand(),
            ]

        gone = set(self.windows.prune(in_use))
        for scene in [scene for scene in workspace.scenes.values() if scene.path in gone]:
            workspace.by_key.pop(scene.key, None)
            workspace.scenes.pop(scene.id, None)

    def _take(self, path: Path) -> Scene:
        workspace = self.workspace
        if len(workspace.scenes) >= MAX_IMAGES:
            raise BadImage(f"this server shows {MAX_IMAGES} images already: start it again.")
        scene = looked_at(open_one(str(path), workspace.scenes, readings_of(workspace.store)))
        scene = settled({scene.id: scene}, workspace.store)[scene.id]
        if (scene.grid.crs is None) == (workspace.store.crs is None):
            workspace.store.add_image(scene.stored)
        workspace.by_key[scene.key] = scene
        workspace.scenes[scene.id] = scene
        return scene


def listed_roots(path: Path | None) -> tuple[Path, ...]:
    """The real paths of the folders that a file lists, one a line.

    Lines that name no folder from its root on are passed over; a file that cannot be read lists none.
    """
    try:
        lines = [] if path is None else path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    found = []
    for line in lines:
        try:
            if line.strip() and Path(line).is_absolute() and Path(line).is_dir():
                found.append(Path(line).resolve())
        except (OSError, ValueError):
            continue
    return tuple(found)


def allowed_roots(folders: Sequence[Path]) -> tuple[Path, ...]:
    """The real paths of the folders that files may be added from. Raises BadConfig where one is no folder."""
    for folder in folders:
        if not folder.is_dir():
            raise BadConfig(f"--root {folder} is no folder: give one that exists.")
    return tuple(folder.resolve() for folder in folders)


def decoded_png(text: str, what: str) -> NDArray[np.uint8]:
    """RGB or RGBA pixels (H, W, 3 or 4) of a PNG or JPEG in base64. Raises BadData."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    size = size_of(data)
    if size is not None and max(size) > WINDOW_SIDE:
        raise BadData(f"{what} has {size[0]} x {size[1]} pixels: at most {WINDOW_SIDE} a side are taken.")
    image = decoded(data, cv2.IMREAD_UNCHANGED, WINDOW_SIDE)
    if image is None or image.dtype != np.uint8:
        raise BadData(f"{what} is no PNG or JPEG of 8 bits in base64.")
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    turned = [2, 1, 0] if image.shape[2] == 3 else [2, 1, 0, 3]
    picture: NDArray[np.uint8] = np.ascontiguousarray(image[..., turned])
    if picture.shape[2] == 4 and bool((picture[..., 3] == 255).all()):
        picture = np.ascontiguousarray(picture[..., :3])
    return picture
