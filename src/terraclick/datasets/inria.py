"""Inria aerial image labeling: buildings in 180 images of 5000 × 5000 pixels of five cities."""

from __future__ import annotations

from pathlib import Path

from terraclick.datasets.declaration import Declaration, Labelling, Scan, Scene, Settings
from terraclick.datasets.sources import by_stem, files_below, in_folder, nothing_found, pairs, read_flags
from terraclick.datasets.splits import by_shares

__all__ = ["DECLARATIONS", "SHARES"]

LAYOUT = "AerialImageDataset/train/ with images/austin1.tif and gt/austin1.tif"
SHARES = {"train": 126, "test": 54}


def scan(source: Path, settings: Settings) -> Scan:
    """Pictures with a ground truth, dealt by shares or as the challenge's authors advise."""
    truths = in_folder(source, "gt")
    if truths is None or not (truths.parent / "images").is_dir():
        raise nothing_found(source, LAYOUT)
    images, masks = (by_stem(files_below(folder, (".tif",))) for folder in (truths.parent / "images", truths))
    found = pairs(images, masks, source, LAYOUT)
    names = [name for name, _, _ in found]
    if settings.deal == "cities":
        dealt = {name: "test" if int("".join(filter(str.isdigit, name)) or 99) <= 5 else "train" for name in names}
    else:
        dealt = by_shares(names, SHARES, settings.seed)
    return Scan(tuple(Scene(name, dealt[name], image, (mask,), gsd=0.3) for name, image, mask in found))


def read(scene: Scene) -> Labelling:
    """Buildings are white."""
    return Labelling(((read_flags(scene.labels[0]), None),))


DECLARATIONS = (
    Declaration(
        name="inria",
        title="Inria aerial image labeling: buildings of five cities",
        source="Inria aerial image labeling (project.inria.fr/aerialimagelabeling); terms on that page",
        layout=LAYOUT,
        scan=scan,
        read=read,
        protocols={"crosscut": Settings(crop=1000)},
        classes={0: "background", 1: "building"},
        gsd="0.3 m",
        deals={
            "seed": "126 and 54 images by the seed",
            "cities": "the first five images of each city are the test, as the authors of the dataset advise",
        },
        counts={("crosscut", "train pictures"): 2926, ("crosscut", "test pictures"): 1246},
        remarks=(
            "CrossCut cuts 4500 patches, prints 2926 and 1246 with a building, and no list. Whole images are dealt, 70 "
            "to 30, so that no building lies in both splits; the number of patches depends on the seed a little."
        ),
    ),
)
