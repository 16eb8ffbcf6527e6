"""A session of one's own: its accepted objects become a training set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine

from terraclick.datasets.declaration import Declaration, Labelling, Scan, Scene, Settings
from terraclick.datasets.parts import whole_and_parts
from terraclick.datasets.sources import stacked
from terraclick.datasets.splits import by_shares
from terraclick.errors import BadConfig, BadData
from terraclick.formats.common.collection import Picture, collected, in_pixels
from terraclick.geo.grid import Grid
from terraclick.geo.kinds import kind_of
from terraclick.geo.raster import rasterized, read_info
from terraclick.store.fields import MapObject, parts_by_whole
from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.identity import find_image, unique_names

__all__ = ["DECLARATIONS"]

LAYOUT = "a .gpkg session of terraclick with accepted objects, and its images where the session says"
SHARES = {"train": 80, "val": 20}


def scan(source: Path, settings: Settings) -> Scan:
    """The images that accepted objects lie on, with these objects in their pixels."""
    if not source.is_file():
        raise BadConfig(f"{source} is no file: give the .gpkg of a session.")
    with GeoPackageStore.open(source) as store:
        accepted = list(store.objects(status="accepted"))
        items = [item for item in accepted if kind_of(item.geometry) == "polygon"]
        if not items:
            said = "".join(f" ({note.partition(':')[0]})" for note in _left_out(accepted))
            raise BadData(f"{source} holds no accepted area{said}: accept some in the map or with segment first.")
        whole = collected(store, items, work=False)
    images = {image.path: image for image in whole.images if any(item.image == image.path for item in items)}
    lost = sorted({item.image for item in items} - set(images))
    if lost:
        raise BadData(
            f"{source} has accepted objects on {lost[0] or 'no image'}, which it does not know: set their image."
        )
    names = unique_names({key: Path(key).stem for key in images})
    dealt = (
        by_shares(list(images), SHARES, settings.seed) if settings.deal == "seed" else dict.fromkeys(images, "train")
    )
    scenes, cut = [], 0
    for key, image in images.items():
        path = find_image(image, (), source.parent)
        info = read_info(path, image.reading)
        in_own_pixels = whole.crs is None and info.grid.crs is not None  # a session of `segment --pixels`
        grid = Grid(Affine.identity(), None, info.grid.shape) if in_own_pixels else info.grid
        picture = Picture(key, names[key], grid, image.hash, path)
        sheet = in_pixels([item for item in items if item.image == key], whole.crs, picture)
        cut += sheet.cut
        parts, _ = parts_by_whole(sheet.items)
        place = {item.uuid: at for at, item in enumerate(sheet.items)}
        owner = {part.uuid: place[uuid] for uuid, own in parts.items() for part in own}
        things = tuple(
            (shapely.to_wkb(item.geometry), whole.number(item.class_name), owner.get(item.uuid, -1))
            for item in sheet.items
        )
        note = (info.grid.shape, things)
        scenes.append(Scene(names[key], dealt[key], path, (), note, info.grid.metres_per_pixel))
    shown = {number for scene in scenes for _, number, _ in scene.note[1]}
    classes = {0: "background"} | {kind.number: kind.name for kind in whole.classes if kind.number in shown}
    reach = (f"{cut} object{'' if cut == 1 else 's'} beyond the edge of the image: cut off there.",) if cut else ()
    return Scan(tuple(scenes), classes, _left_out(accepted) + reach)


def _left_out(items: Sequence[MapObject]) -> tuple[str, ...]:
    """A sentence about the accepted objects that are no areas, if there are any."""
    kinds = [kind_of(item.geometry) or "collection" for item in items]
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds) if kind != "polygon"}
    if not counts:
        return ()
    said = " and ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items())
    return (f"{said} {'is' if sum(counts.values()) == 1 else 'are'} left out: a training set holds areas alone.",)


def read(scene: Scene) -> Labelling:
    """Objects by their outlines, in planes where they overlap; parts of an object lie above it."""
    shape, things = scene.note
    rows, cols = shape
    masks = [(number, rasterized(shapely.from_wkb(wkb), (rows, cols))) for wkb, number, _ in things]
    owners = [owner for _, _, owner in things]
    if max(owners, default=-1) >= 0:
        own: dict[int, list[Any]] = {}
        for thing, owner in zip(masks, owners, strict=True):
            own.setdefault(owner, []).append(thing)
        apart = [(*thing, own.get(at, [])) for at, thing in enumerate(masks) if owners[at] < 0 and thing[1].any()]
        return whole_and_parts((rows, cols), apart)
    planes = stacked((rows, cols), [(number, mask) for number, mask in masks if np.any(mask)])
    return Labelling(tuple(planes))


DECLARATIONS = (
    Declaration(
        name="session",
        title="a session of your own: its accepted objects",
        source="your own work; the licence of its images holds",
        layout=LAYOUT,
        scan=scan,
        read=read,
        protocols={"own": Settings(crop=1024, overlap=128)},
        true_instances=True,
        deals={
            "all": "every image is for training",
            "seed": "80 % of the images train, 20 % validate, by the seed",
        },
        remarks=(
            "What no accepted object covers counts as background: outline every object of a class on an image before "
            "you train on it."
        ),
    ),
)
