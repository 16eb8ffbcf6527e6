"""Datasets whose labels are one COCO file a split: the scan and the reading that they share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from terraclick.datasets.coco import Index, index_of, masks_of, objects_at
from terraclick.datasets.declaration import Declaration, Labelling, Scan, Scene, Settings
from terraclick.datasets.sources import by_stem, files_below, nothing_found, stacked
from terraclick.errors import BadData

__all__ = ["coco_files", "coco_scan", "coco_set", "file_of", "read_coco"]


def coco_files(source: Path, layout: str) -> dict[str, Path]:
    """Split → COCO file, by the words of its name; a single file without such a word is the test. Raises BadData."""
    files = files_below(source, (".json",))
    if not files:
        raise nothing_found(source, layout, "COCO file (.json)")
    words = {"train": "train", "val": "val", "valid": "val", "test": "test"}
    found: dict[str, Path] = {}
    for path in files:
        said = f"{path.parent.name} {path.stem}".lower()
        split = next((split for word, split in words.items() if word in said), "test")
        if split in found:
            raise BadData(
                f"{found[split]} and {path} are both of split {split}: leave one COCO file a split in {source}."
            )
        found[split] = path
    return found


def file_of(named: str, images: Mapping[str, Path], index: Index) -> Path:
    """The picture of a name in a COCO file. Raises BadData where it is not there."""
    path = images.get(Path(named).stem)
    if path is None:
        raise BadData(f"{index.path.name} names {named}, which is not there: the download of pictures is not complete.")
    return path


def coco_set(name: str, layout: str, protocol: str, **said: Any) -> Declaration:
    """A declaration whose labels are COCO files and nothing else; `said` are its further fields."""
    fixed: dict[str, Any] = {"scan": partial(_scan, layout), "read": read_coco, "true_instances": True}
    return Declaration(name=name, layout=layout, protocols={protocol: Settings()}, **fixed, **said)


def _scan(layout: str, source: Path, settings: Settings) -> Scan:
    return coco_scan(source, layout)


def coco_scan(source: Path, layout: str, gsd: float | None = None) -> Scan:
    """The labelled pictures of every COCO file in a source; category ids become class numbers, 0 the background."""
    images = by_stem(files_below(source))
    scenes, classes = [], {0: "background"}
    for split, path in coco_files(source, layout).items():
        index = index_of(path)
        classes |= {number: name.replace(" ", "_") for number, name in index.categories.items()}
        for number, spans in sorted(index.spans.items()):
            if number not in index.images:
                raise BadData(f"{path} has objects of picture {number}, which it does not list: get this file again.")
            known = index.images[number]
            image = file_of(known["name"], images, index)
            scenes.append(Scene(image.stem, split, image, (path,), (known["shape"], spans), gsd))
    if 0 in index.categories:
        raise BadData(f"{path} numbers its categories from 0: number them from 1, 0 is the background.")
    return Scan(tuple(scenes), classes)


def read_coco(scene: Scene) -> Labelling:
    """Objects in the order of the file, in as many planes as they overlap; smaller ones lie above larger ones."""
    shape, spans = scene.note
    objects = objects_at(scene.labels[0], spans)
    masks = masks_of(objects, shape)
    things = [(int(item["category_id"]), mask) for item, mask in zip(objects, masks, strict=True) if mask.any()]
    return Labelling(tuple(stacked(shape, things)))
