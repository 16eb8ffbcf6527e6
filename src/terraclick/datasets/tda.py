"""Target Disassembly: objects and pairs of objects with consistent tags of their parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from terraclick.datasets.declaration import Declaration, Labelling, Scan, Scene, Settings
from terraclick.datasets.parts import Taken, whole_and_parts
from terraclick.datasets.sources import by_stem, files_below, in_folder, nothing_found, pairs, read_ids
from terraclick.errors import BadData

__all__ = ["DECLARATIONS"]

LAYOUT = (
    "TDA-PD/ and TDA-OD/, each with a folder an object, each with 1.jpg and 1.png: 0 is the background, the other "
    "numbers are the tags, which tags.txt may name, one a line from 1 on"
)
PARTS = ("PD", "OD")
MOST_TAGS = 254


def scan(source: Path, settings: Settings) -> Scan:
    """Pictures of the sets asked for; classes are the object (or pair) and its tags."""
    scenes, classes = [], {0: "background"}
    for part in settings.parts or PARTS:
        folder = in_folder(source, f"tda-{part.lower()}", f"tda_{part.lower()}")
        for kind in sorted(path for path in folder.iterdir() if path.is_dir()) if folder else []:
            images = by_stem(files_below(kind, (".jpg", ".jpeg")))
            masks = by_stem(files_below(kind, (".png",)))
            found = pairs(images, masks, kind, LAYOUT)
            tags = _tags(kind, [mask for _, _, mask in found])
            first = max(classes) + 1
            classes |= {first: kind.name} | {first + n: f"{kind.name} {tag}" for n, tag in enumerate(tags, start=1)}
            scenes += [
                Scene(f"{part}_{kind.name.replace(' ', '_')}_{name}", "test", image, (mask,), (first, len(tags)))
                for name, image, mask in found
            ]
    if not scenes:
        raise nothing_found(source, LAYOUT)
    return Scan(tuple(scenes), classes)


def _tags(folder: Path, masks: list[Path]) -> list[str]:
    """Names of the tags of an object: those of tags.txt, else their numbers."""
    named = folder / "tags.txt"
    if named.is_file():
        return [line.strip() for line in named.read_text(encoding="utf-8").splitlines() if line.strip()]
    known = [read_ids(mask) for mask in masks]
    most = max(int(mask[mask != MOST_TAGS + 1].max(initial=0)) for mask in known)
    if most > MOST_TAGS:
        raise BadData(f"{folder} has tags up to {most}: masks of tags from 1 on were expected ({LAYOUT}).")
    return [str(number) for number in range(1, most + 1)]


def read(scene: Scene) -> Labelling:
    """The object below, its tags above; 255 counts nowhere."""
    first, count = (int(value) for value in scene.note)
    tags = read_ids(scene.labels[0])
    unknown = tags == MOST_TAGS + 1
    if np.any((tags > count) & ~unknown):
        raise BadData(f"{scene.labels[0]} has a tag above {count}: correct tags.txt of its folder.")
    parts = [(first + number, tags == number) for number in range(1, count + 1)]
    objects: list[Taken] = [(first, None, parts)]
    return whole_and_parts((tags.shape[0], tags.shape[1]), objects, ignored=unknown)


DECLARATIONS = (
    Declaration(
        name="tda",
        title="Target Disassembly (TDA-PD, TDA-OD): everyday objects taken apart",
        source="Target Disassembly dataset of RefCut; not published when this was written",
        layout=LAYOUT,
        scan=scan,
        read=read,
        protocols={"refcut": Settings()},
        true_instances=True,
        parts=PARTS,
        counts={("refcut", "test pictures"): 400},
        remarks=(
            "The folders are our reading of the paper (50 objects and 30 pairs, five pictures each): label your own in "
            "this layout to compare. RefCut asks 1336 parts, pairs and wholes."
        ),
    ),
)
