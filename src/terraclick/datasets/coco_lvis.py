"""COCO + LVIS: the union that interactive segmentation trains on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from terraclick.datasets.coco import Index, index_of, masks_of, objects_at
from terraclick.datasets.coco_scenes import file_of
from terraclick.datasets.declaration import Declaration, Labelling, Scan, Scene, Settings
from terraclick.datasets.sources import by_stem, files_below, nothing_found, stacked

__all__ = ["DECLARATIONS", "SAME"]

LAYOUT = (
    "train2017/ and val2017/ with 000000000009.jpg, annotations/ with lvis_v1_train.json and lvis_v1_val.json, and for "
    "the objects that only COCO has instances_train2017.json and instances_val2017.json"
)
SAME = 0.7
"""A COCO object that overlaps an LVIS object by this IoU is taken for the same."""


def scan(source: Path, settings: Settings) -> Scan:
    """Pictures with LVIS objects; COCO's objects of the same picture come along."""
    files = files_below(source, (".json",))
    images = by_stem(files_below(source, (".jpg",)))
    coco = [index_of(path) for path in files if path.stem.startswith("instances_")]
    scenes: list[Scene] = []
    classes: dict[int, str] = {0: "background"}
    for path in files:
        split = next(
            (s for s in ("train", "val") if path.stem.startswith("lvis") and path.stem.endswith(f"_{s}")), None
        )
        if split is not None:
            index = index_of(path)
            classes |= index.categories
            scenes += _scenes(index, split, images, coco)
    if not scenes:
        raise nothing_found(source, LAYOUT, "LVIS file (lvis_v1_train.json)")
    known = {name: number for number, name in classes.items()}
    for name in dict.fromkeys(name for index in coco for name in index.categories.values()):
        if _as_lvis(name) not in known:
            known[_as_lvis(name)] = max(classes) + 1
            classes[max(classes) + 1] = _as_lvis(name)
    tables = {str(i.path): tuple((n, known[_as_lvis(name)]) for n, name in i.categories.items()) for i in coco}
    scenes = [_with_table(scene, tables) for scene in scenes]
    return Scan(tuple(scenes), classes)


def _as_lvis(name: str) -> str:
    return name.replace(" ", "_")


def _scenes(index: Index, split: str, images: dict[str, Path], coco: list[Index]) -> list[Scene]:
    scenes = []
    for number, spans in sorted(index.spans.items()):
        known = index.images[number]
        image = file_of(known["name"], images, index)
        other = next((one for one in coco if number in one.spans), None)
        labels = (index.path,) if other is None else (index.path, other.path)
        more = () if other is None else other.spans[number]
        scenes.append(Scene(image.stem, split, image, labels, (known["shape"], spans, more)))
    return scenes


def _with_table(scene: Scene, tables: dict[str, tuple[tuple[int, int], ...]]) -> Scene:
    if len(scene.labels) < 2:
        return scene
    table = tables[str(scene.labels[1])]
    return Scene(scene.name, scene.split, scene.image, scene.labels, (*scene.note, table))


def read(scene: Scene) -> Labelling:
    """LVIS objects, then those of COCO that overlap none of them as the same thing; the larger lie below."""
    shape, spans, more, *table = scene.note
    objects = objects_at(scene.labels[0], spans)
    things = [(int(o["category_id"]), m) for o, m in zip(objects, masks_of(objects, shape), strict=True)]
    if table:
        numbers = dict(table[0])
        further = objects_at(scene.labels[1], more)
        for item, mask in zip(further, masks_of(further, shape), strict=True):
            if all(_overlap(mask, other) < SAME for _, other in things):
                things.append((numbers[int(item["category_id"])], mask))
    things = sorted((thing for thing in things if thing[1].any()), key=lambda thing: -int(thing[1].sum()))
    return Labelling(tuple(stacked(shape, things)))


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    either = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / either if either else 1.0


DECLARATIONS = (
    Declaration(
        name="coco-lvis",
        title="COCO + LVIS: more than 1200 classes of everyday things",
        source="COCO 2017 (cocodataset.org) and LVIS v1 (lvisdataset.org); annotations CC BY 4.0",
        layout=LAYOUT,
        scan=scan,
        read=read,
        protocols={"simpleclick": Settings()},
        true_instances=True,
        remarks=(
            "LVIS v1 lists 100170 and 19809 pictures; those without an object are left out. "
            "Objects that overlap come in planes, larger ones below. The published union is distributed as pickled "
            "files with hierarchies and background regions, which are not read here."
        ),
    ),
)
