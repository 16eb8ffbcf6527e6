"""Objects that were taken apart, as the Target Disassembly sets lie: a folder a class, a picture an object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadData
from terraclick.exchange.export_session import whole_folder
from terraclick.files import write_text
from terraclick.formats.common.collection import Picture, collected, in_pixels
from terraclick.geo.kinds import kind_of
from terraclick.geo.raster import rasterized, read_info, read_view
from terraclick.geo.reproject import reproject
from terraclick.store.fields import MapObject, parts_by_whole
from terraclick.store.identity import find_image
from terraclick.store.sql import Store
from terraclick.store.values import StoredImage

__all__ = ["TakenApart", "export_parts"]

MARGIN = 0.25
"""Of the longer side of an object: what its picture shows around it."""
KEPT = ("accepted", "approved")


@dataclass(frozen=True)
class TakenApart:
    """What was written: the tags of each class of objects, how many objects and parts, and parts without a whole."""

    folder: Path
    tags: dict[str, tuple[str, ...]]
    objects: int
    parts: int
    left_out: int


def export_parts(
    store: Store, session: Path | None, out: str | Path, images: Sequence[Path] = (), overwrite: bool = False
) -> TakenApart:
    """Write objects with parts into the folder `out` as `terraclick prepare tda` reads them.

    TDA-PD/CLASS/N.jpg is the surroundings of an object, N.png the number of the tag of each pixel's part, tags.txt the
    names of the tags from 1 on: the classes of the parts, in the session's order, the same for all objects of a class.
    Raises BadData, BadOutput.
    """
    items = [item for item in store.objects() if kind_of(item.geometry) == "polygon" and item.status in KEPT]
    found, lost = parts_by_whole(items)
    if not found:
        raise BadData(
            "no accepted object has parts: select an object in the map, press Shift T, and outline its parts."
        )
    whole = collected(store, items, work=False)
    known = {image.path: image for image in whole.images}
    wholes = {item.uuid: item for item in items if item.uuid in found}
    tags: dict[str, tuple[str, ...]] = {}
    for name in dict.fromkeys(item.class_name or "object" for item in wholes.values()):
        used = {p.class_name for u, i in wholes.items() if (i.class_name or "object") == name for p in found[u]}
        tags[name] = tuple(sorted(used, key=whole.number))
    counts = dict.fromkeys(tags, 0)
    with whole_folder(Path(out), overwrite) as scratch:
        for uuid, item in wholes.items():
            name = item.class_name or "object"
            counts[name] += 1
            folder = scratch / "TDA-PD" / _plain(name)
            folder.mkdir(parents=True, exist_ok=True)
            if item.image not in known:
                raise BadData(f"object {uuid[:8]} lies on no image of the session: set its image.")
            beside = None if session is None else session.parent
            shown, numbers = _shown(item, found[uuid], tags[name], known[item.image], images, beside, whole.crs)
            _write(folder / f"{counts[name]}.jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
            _write(folder / f"{counts[name]}.png", numbers, [])
        for name, own in tags.items():
            lines = "".join(f"{' '.join(tag.split())}\n" for tag in own)
            write_text(scratch / "TDA-PD" / _plain(name) / "tags.txt", lines)
    return TakenApart(Path(out), tags, len(wholes), sum(map(len, found.values())), lost)


def _shown(
    item: MapObject,
    parts: Sequence[MapObject],
    tags: Sequence[str],
    image: StoredImage,
    places: Sequence[Path],
    beside: Path | None,
    crs: Any,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The surroundings (H, W, 3) of an object at the image's own resolution, and the tags (H, W) of its parts there."""
    path = find_image(image, places, beside)
    placed = reproject(item.geometry, crs, read_info(path, image.reading).grid.crs)
    left, bottom, right, top = placed.bounds
    rim = MARGIN * max(right - left, top - bottom)
    view, grid = read_view(path, (left - rim, bottom - rim, right + rim, top + rim), reading=image.reading)
    numbers = np.zeros(grid.shape, np.uint8)
    for part in in_pixels(parts, crs, Picture(image.path, path.name, grid)).items:
        numbers[rasterized(part.geometry, grid.shape)] = tags.index(part.class_name) + 1
    return view.image, numbers


def _plain(name: str) -> str:
    """The name of a class as a folder's."""
    return "".join(letter if letter.isalnum() or letter in " ._-" else "_" for letter in name).strip(" .") or "object"


def _write(path: Path, picture: NDArray[np.uint8], how: list[int]) -> None:
    path.write_bytes(cv2.imencode(path.suffix, np.ascontiguousarray(picture), how)[1].tobytes())
