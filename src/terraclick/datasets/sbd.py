"""SBD: outlines of the objects of PASCAL VOC's 20 classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from terraclick.datasets.declaration import Declaration, Labelling, Scan, Scene, Settings
from terraclick.datasets.matlab import listed, read_mat
from terraclick.datasets.sources import files_below, in_folder, nothing_found
from terraclick.datasets.splits import read_list
from terraclick.errors import BadData

__all__ = ["DECLARATIONS", "VOC"]

LAYOUT = "benchmark_RELEASE/dataset/ with img/2008_000002.jpg, inst/2008_000002.mat, train.txt and val.txt"
VOC = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
).split()


def scan(source: Path, settings: Settings) -> Scan:
    """The pictures of the two lists."""
    labels = in_folder(source, "inst")
    if labels is None:
        raise nothing_found(source, LAYOUT)
    root = labels.parent
    images = {path.stem: path for path in files_below(root / "img", (".jpg",))}
    masks = {path.stem: path for path in files_below(labels, (".mat",))}
    scenes = []
    for split in ("train", "val"):
        if not (root / f"{split}.txt").is_file():
            raise BadData(f"{root / f'{split}.txt'} is missing: the download is not complete ({LAYOUT}).")
        for name in read_list(root / f"{split}.txt"):
            if name not in images or name not in masks:
                lacking = root / ("inst" if name in images else "img") / name
                raise BadData(f"{lacking} is on the list of {split} and missing: the download is not complete.")
            scenes.append(Scene(name, split, images[name], (masks[name],)))
    return Scan(tuple(scenes))


def read(scene: Scene) -> Labelling:
    """Segmentation numbers the objects, Categories names their classes."""
    truth = read_mat(scene.labels[0], "GTinst")
    instances = np.asarray(truth.Segmentation).astype(np.int32)
    kinds = [int(kind) for kind in listed(truth.Categories)]
    if instances.max(initial=0) > len(kinds):
        raise BadData(f"{scene.labels[0]} numbers more objects than it has categories: get this file again.")
    return Labelling(((np.asarray([0, *kinds], np.uint16)[instances], instances),))


DECLARATIONS = (
    Declaration(
        name="sbd",
        title="SBD: objects of the 20 classes of PASCAL VOC",
        source="Semantic Boundaries Dataset (home.bharathh.info/pubs/codes/SBD); pictures of PASCAL VOC",
        layout=LAYOUT,
        scan=scan,
        read=read,
        protocols={"simpleclick": Settings()},
        classes=dict(enumerate(VOC)),
        true_instances=True,
        counts={
            ("simpleclick", "train pictures"): 8498,
            ("simpleclick", "train objects"): 20172,
            ("simpleclick", "val pictures"): 2857,
            ("simpleclick", "val objects"): 6671,
        },
    ),
)
