"""PartImageNet: 158 categories of ImageNet, each taken apart into two to five parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from terraclick.datasets.coco import index_of, masks_of, objects_at
from terraclick.datasets.coco_scenes import coco_files, file_of
from terraclick.datasets.declaration import Declaration, Labelling, Scan, Scene, Settings
from terraclick.datasets.parts import whole_and_parts
from terraclick.datasets.sources import by_stem, files_below
from terraclick.errors import BadData

__all__ = ["DECLARATIONS"]

LAYOUT = (
    "images/train, val and test with n01440764/n01440764_10029.JPEG (or without the inner folder), and a COCO file each"
)


def scan(source: Path, settings: Settings) -> Scan:
    """Pictures of the COCO files; classes are an object's category (its synset) and each of its parts."""
    images = by_stem(files_below(source, (".jpeg", ".jpg", ".png")))
    found, names = [], set()
    for split, path in coco_files(source, LAYOUT).items():
        index = index_of(path)
        for number, spans in sorted(index.spans.items()):
            image = file_of(index.images[number]["name"], images, index)
            synset = image.stem.split("_")[0]
            kinds = {int(item["category_id"]) for item in objects_at(path, spans)}
            if not kinds <= set(index.categories):
                raise BadData(f"{path} has a part of a category it does not list: get this file again.")
            parts = {kind: f"{synset} {index.categories[kind]}" for kind in kinds}
            names |= {synset, *parts.values()}
            found.append((image, split, path, index.images[number]["shape"], spans, synset, parts))
    classes = {0: "background"} | dict(enumerate(sorted(names), start=1))
    numbers = {name: number for number, name in classes.items()}
    scenes = tuple(
        Scene(
            image.stem,
            split,
            image,
            (path,),
            (shape, spans, numbers[synset], tuple((kind, numbers[name]) for kind, name in sorted(parts.items()))),
        )
        for image, split, path, shape, spans, synset, parts in found
    )
    return Scan(scenes, classes)


def read(scene: Scene) -> Labelling:
    """The whole object below (the union of its parts), its parts above."""
    shape, spans, whole, table = scene.note
    numbers = dict(table)
    objects = objects_at(scene.labels[0], spans)
    masks = masks_of(objects, shape)
    parts: dict[int, np.ndarray] = {}
    for item, mask in zip(objects, masks, strict=True):
        cls = numbers[int(item["category_id"])]
        parts[cls] = parts[cls] | mask if cls in parts else mask
    return whole_and_parts(shape, [(int(whole), None, sorted(parts.items()))])


DECLARATIONS = (
    Declaration(
        name="partimagenet",
        title="PartImageNet: objects of 158 categories and their parts",
        source="PartImageNet (github.com/TACJu/PartImageNet) with pictures of ImageNet; for research",
        layout=LAYOUT,
        scan=scan,
        read=read,
        protocols={"refcut": Settings()},
        true_instances=True,
        counts={
            ("refcut", "train pictures"): 20466,
            ("refcut", "val pictures"): 1206,
            ("refcut", "test pictures"): 2408,
        },
        remarks=(
            "A part is a class of its category: the head of one species is not that of another. RefCut asks 14495 "
            "parts, pairs and wholes of the test pictures."
        ),
    ),
)
