"""LoveDA: seven classes of land cover in urban and rural scenes of 1024 × 1024 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from terraclick.datasets.declaration import Declaration, Labelling, Scan, Scene, Settings
from terraclick.datasets.sources import IGNORE, by_stem, files_below, in_folder, nothing_found, pairs, read_ids

__all__ = ["DECLARATIONS"]

LAYOUT = "Train/ and Val/, each with Urban/ and Rural/, each with images_png/0.png and masks_png/0.png"
PARTS = ("Urban", "Rural")


def scan(source: Path, settings: Settings) -> Scan:
    """Pictures of the parts asked for; Test has no masks and is not read."""
    scenes = []
    for split in ("train", "val"):
        folder = in_folder(source, split)
        for part in settings.parts or PARTS:
            here = None if folder is None else folder / part
            if here is None or not here.is_dir():
                continue
            images, masks = (by_stem(files_below(here / name, (".png",))) for name in ("images_png", "masks_png"))
            scenes += [
                Scene(f"{part}_{name}", split, image, (mask,), gsd=0.3)
                for name, image, mask in pairs(images, masks, here, LAYOUT)
            ]
    if not scenes:
        raise nothing_found(source, LAYOUT)
    return Scan(tuple(scenes))


def read(scene: Scene) -> Labelling:
    """0 is no data; 1 to 7 are the classes."""
    values = read_ids(scene.labels[0])
    classes = np.where((values == 0) | (values > 7), np.uint16(IGNORE), values - np.uint16(1))
    return Labelling(((classes.astype(np.uint16), None),))


DECLARATIONS = (
    Declaration(
        name="loveda",
        title="LoveDA: land cover of Nanjing, Changzhou and Wuhan",
        source="LoveDA (zenodo.org/record/5706578); for academic use, CC BY-NC-SA 4.0",
        layout=LAYOUT,
        scan=scan,
        read=read,
        protocols={
            "isrefiner": Settings(parts=("Urban",), classes=("building",)),
            "bicor": Settings(keep_empty=True),
        },
        classes=dict(enumerate(("background", "building", "road", "water", "barren", "forest", "agriculture"))),
        gsd="0.3 m",
        parts=PARTS,
        counts={("bicor", "train pictures"): 2522, ("bicor", "val pictures"): 1669},
        drawn={"isrefiner": 851},
        remarks=(
            "RS-ISRefiner clicks buildings of Urban: connected parts of the class. Its text and its tables exchange "
            "the numbers of LoveDA and NWPU; the tables' are given here."
        ),
    ),
)
