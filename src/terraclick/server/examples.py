"""The examples of classes: kept from objects and pictures, and held in memory for the model."""

from __future__ import annotations

import base64
import binascii
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from terraclick.errors import BadConfig, BadData, UnknownName
from terraclick.geo.pictures import decoded
from terraclick.geo.polygonize import rasterize
from terraclick.geo.raster import read_view
from terraclick.server.clicking import to_map
from terraclick.server.features import GeometryConverter
from terraclick.store.fields import MapObject
from terraclick.store.sql import Store
from terraclick.store.values import StoredReference
from terraclick.values import Reference

__all__ = ["Examples"]

EXAMPLE_SIDE = 1024
"""The longest side of the picture that is kept with an example."""
MOST_HELD = 32
"""Choices of examples that are held in memory; the longest unused are read again."""


class Examples:
    """Examples by id, held in memory. Thread-safe."""

    def __init__(self, store: Store, converter: GeometryConverter) -> None:
        self._store = store
        self._converter = converter
        self._held: OrderedDict[tuple[str, ...], tuple[Reference, ...]] = OrderedDict()
        self._lock = threading.RLock()

    def named(self, names: Sequence[str]) -> tuple[Reference, ...]:
        """Examples by id, in the order given; those deleted meanwhile are left out."""
        key = tuple(names)
        if not key:
            return ()
        with self._lock:
            if key in self._held:
                return self._held[key]
        known = {item.uuid: item.reference for item in self._store.references()}
        found = tuple(known[name] for name in key if name in known)
        with self._lock:
            self._held[key] = found
            while len(self._held) > MOST_HELD:
                self._held.popitem(last=False)
        return found

    def forget(self) -> None:
        """Read them from the store again."""
        with self._lock:
            self._held.clear()

    def ids(self, wanted: str | Sequence[str] | None, class_name: str) -> tuple[str, ...]:
        """Ids of examples: as given (checked), or all of the class. Raises UnknownName."""
        if wanted is None:
            return ()
        known = [item.uuid for item in self._store.references(class_name if wanted == "class" else None)]
        if wanted == "class":
            return tuple(known)
        for name in wanted:
            if name not in known:
                raise UnknownName(f"no example {name[:80]!r}: it may have been deleted.")
        return tuple(wanted)

    def from_object(self, item: MapObject, class_name: str, positive: bool) -> StoredReference:
        """Keep an object, with some of the picture around it, as an example of a class."""
        scene = self._converter.scene_of(item)
        if scene is None:
            raise BadConfig("this object belongs to no image of this server: there is no picture to keep with it.")
        outline = to_map(self._converter.polygon(item, scene), scene.grid)
        pixels = self._converter.polygon(item, scene)
        left, top, right, bottom = pixels.bounds
        side = max(right - left, bottom - top, 32.0)
        margin = 0.5 * side
        rows, cols = scene.shape
        x0, y0 = max(0.0, left - margin), max(0.0, top - margin)
        x1, y1 = min(float(cols), right + margin), min(float(rows), bottom + margin)
        if x0 >= x1 or y0 >= y1:
            raise BadData("this object lies outside its image: there is no picture to keep with it.")
        corners = [scene.grid.to_map(y - 0.5, x - 0.5) for x in (x0, x1) for y in (y0, y1)]
        bounds = (
            min(c[0] for c in corners),
            min(c[1] for c in corners),
            max(c[0] for c in corners),
            max(c[1] for c in corners),
        )
        factor = max(1.0, max(x1 - x0, y1 - y0) / EXAMPLE_SIDE)
        gsd = None if factor == 1.0 else (scene.grid.metres_per_pixel or 1.0) * factor
        scene.check()
        view, grid = read_view(scene.path, bounds, gsd, reading=scene.reading)
        return self._keep(class_name, Reference(view.image, rasterize([outline], grid), positive))

    def from_png(self, image: str, mask: str, class_name: str, positive: bool) -> StoredReference:
        """Keep an imported picture and mask (base64 of PNG or JPEG) as an example. Raises BadData."""
        picture, levels = _picture(image, cv2.IMREAD_COLOR), _picture(mask, cv2.IMREAD_GRAYSCALE)
        if picture.shape[:2] != levels.shape[:2]:
            raise BadData("the picture and its mask differ in size: give both of one size.")
        return self._keep(class_name, Reference(np.ascontiguousarray(picture[..., ::-1]), levels > 127, positive))

    def _keep(self, class_name: str, reference: Reference) -> StoredReference:
        if not reference.mask.any():
            raise BadData("the mask of this example is empty: mark the thing in it.")
        return self._store.add_reference(StoredReference(class_name, reference))


def _picture(text: str, kind: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A base64 PNG or JPEG of at most 4096 px a side; its size is read before it is decoded. Raises BadData."""
    try:
        data = base64.b64decode(text.split(",", 1)[-1], validate=True)
    except (binascii.Error, ValueError):
        raise BadData("a picture was expected as base64 of a PNG or JPEG file.") from None
    image = decoded(data, kind, 4096)
    if image is None:
        raise BadData("a PNG or JPEG picture of at most 4096 px a side was expected.")
    return np.asarray(image, dtype=np.uint8)
