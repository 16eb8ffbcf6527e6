"""WHU Building: single buildings in aerial and satellite images of 512 × 512 pixels."""

from __future__ import annotations

from pathlib import Path

from terraclick.datasets.declaration import Declaration, Labelling, Scan, Scene, Settings
from terraclick.datasets.sources import by_stem, files_below, nothing_found, pairs, read_flags

__all__ = ["DECLARATIONS"]

LAYOUT = "folders image/ and label/ side by side with files of the same name, below train/, val/ and test/ if any"


def scan(source: Path, settings: Settings) -> Scan:
    """Every image/ with its label/; the split is that of the folders above, test where they name none."""
    kinds = ("label", "labels", "gt", "mask")
    folders = sorted({path.parent for path in files_below(source) if path.parent.name.lower() in kinds})
    found = []
    for number, labels in enumerate(folders):
        images = next((labels.parent / n for n in ("image", "images", "Image") if (labels.parent / n).is_dir()), None)
        if images is None:
            raise nothing_found(labels.parent, LAYOUT, "folder image/ beside label/")
        above = [part.lower() for part in labels.parent.relative_to(source).parts]
        split = next((part for part in reversed(above) if part in ("train", "val", "test")), "test")
        both = pairs(by_stem(files_below(images)), by_stem(files_below(labels)), labels.parent, LAYOUT)
        found += [(number, split, *pair) for pair in both]
    names = [(split, name) for _, split, name, _, _ in found]
    twice = len(set(names)) < len(names)
    scenes = [
        Scene(f"{number}_{name}" if twice else name, split, image, (label,))
        for number, split, name, image, label in found
    ]
    if not scenes:
        raise nothing_found(source, LAYOUT)
    return Scan(tuple(scenes))


def read(scene: Scene) -> Labelling:
    """Buildings are white, or 1."""
    return Labelling(((read_flags(scene.labels[0]), None),))


DECLARATIONS = (
    Declaration(
        name="whu",
        title="WHU Building: buildings from the air and from satellites",
        source="WHU Building dataset (gpcv.whu.edu.cn/data); terms on that page",
        layout=LAYOUT,
        scan=scan,
        read=read,
        protocols={"isrefiner": Settings()},
        classes={0: "background", 1: "building"},
        gsd="0.3 to 2.7 m, by subset",
        drawn={"isrefiner": 2559},
        remarks="Give SOURCE as one subset (Satellite dataset I, II, or aerial) to keep it apart from the others.",
    ),
)
