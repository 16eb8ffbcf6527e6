"""PASCAL-Part: parts of the objects of PASCAL VOC 2010."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from terraclick.datasets.declaration import Declaration, Labelling, Scan, Scene, Settings
from terraclick.datasets.matlab import listed, read_mat
from terraclick.datasets.parts import Taken, whole_and_parts
from terraclick.datasets.sbd import VOC
from terraclick.datasets.sources import files_below, in_folder, nothing_found
from terraclick.datasets.splits import read_list
from terraclick.errors import BadData

__all__ = ["DECLARATIONS"]

LAYOUT = (
    "Annotations_Part/2008_000003.mat, VOCdevkit/VOC2010/ with JPEGImages/ and ImageSets/Segmentation/val.txt, and "
    "train.txt of SBD in benchmark_RELEASE/dataset/"
)
RENAMED = {"table": "diningtable", "motorbike": "motorbike"}


def scan(source: Path, settings: Settings) -> Scan:
    """VOC's validation pictures without SBD's training pictures; the others are train. Reads the names of all parts."""
    labels, images, lists = (_folder(source, name) for name in ("Annotations_Part", "JPEGImages", "Segmentation"))
    others = [path for path in files_below(source, ("train.txt",)) if path.name == "train.txt"]
    sbd = next((path for path in others if path.parent.parent != lists.parent), None)
    if sbd is None:
        raise BadData(f"{source} lacks train.txt of SBD, which says what may not be judged: get it ({LAYOUT}).")
    judged = set(read_list(lists / "val.txt")) - set(read_list(sbd))
    pictures = {path.stem: path for path in files_below(images, (".jpg",))}
    files = {path.stem: path for path in files_below(labels, (".mat",))}
    chosen = [name for name in sorted(files) if name in pictures]
    missing = sorted(judged & set(files) - set(pictures))
    if missing or not chosen:
        raise nothing_found(source, LAYOUT, f"picture {missing[0]}.jpg" if missing else "pictures with parts")
    scenes = [Scene(n, "val" if n in judged else "train", pictures[n], (files[n],)) for n in chosen]
    names = sorted({name for path in files.values() for name in _part_names(path)})
    classes = dict(enumerate(VOC)) | dict(enumerate(names, start=len(VOC)))
    table = tuple((name, number) for number, name in classes.items())
    return Scan(tuple(Scene(s.name, s.split, s.image, s.labels, table) for s in scenes), classes)


def _folder(source: Path, name: str) -> Path:
    found = in_folder(source, name)
    if found is None:
        raise nothing_found(source, LAYOUT, f"folder {name}")
    return found


def _objects(path: Path) -> list[tuple[str, np.ndarray, list[tuple[str, np.ndarray]]]]:
    """(class, mask, parts) of every object of a file; names of parts bear their class."""
    found = []
    for item in listed(read_mat(path, "anno").objects):
        kind = RENAMED.get(str(getattr(item, "class")), str(getattr(item, "class")))
        parts = [(f"{kind} {part.part_name}", np.asarray(part.mask) > 0) for part in listed(item.parts)]
        found.append((kind, np.asarray(item.mask) > 0, parts))
    return found


def _part_names(path: Path) -> set[str]:
    return {name for _, _, parts in _objects(path) for name, _ in parts}


def read(scene: Scene) -> Labelling:
    """Objects below, their parts above; an object without parts is the background's."""
    numbers = {str(name): int(number) for name, number in scene.note}
    objects: list[Taken] = []
    shape = None
    for kind, mask, parts in _objects(scene.labels[0]):
        shape = mask.shape
        if parts:
            objects.append((numbers[kind], mask, [(numbers[name], part) for name, part in parts]))
    if shape is None:
        raise BadData(f"{scene.labels[0]} holds no object: get this file again.")
    return whole_and_parts((shape[0], shape[1]), objects)


DECLARATIONS = (
    Declaration(
        name="pascal-part",
        title="PASCAL-Part: parts of the objects of PASCAL VOC",
        source="PASCAL-Part (roozbehm.info/pascal-parts) with pictures of PASCAL VOC 2010",
        layout=LAYOUT,
        scan=scan,
        read=read,
        protocols={"refcut": Settings()},
        true_instances=True,
        remarks=(
            "Judged are VOC's validation pictures that SBD does not train on, and of those all objects with parts. "
            "RefCut asks 106699 parts, pairs and wholes of them."
        ),
    ),
)
