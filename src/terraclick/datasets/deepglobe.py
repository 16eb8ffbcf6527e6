"""DeepGlobe roads: 6226 labelled satellite images of 1024 × 1024 pixels."""

from __future__ import annotations

from pathlib import Path

from terraclick.datasets.declaration import Declaration, Labelling, Scan, Scene, Settings
from terraclick.datasets.sources import by_stem, files_below, pairs, read_flags
from terraclick.datasets.splits import by_shares

__all__ = ["DECLARATIONS", "SHARES"]

LAYOUT = "train/ with 104_sat.jpg and 104_mask.png side by side (valid/ and test/ have no masks and are not read)"
SHARES = {"train": 4358, "test": 1868}


def scan(source: Path, settings: Settings) -> Scan:
    """Every image with a mask, dealt by the shares of the paper."""
    files = files_below(source, (".jpg", ".png"))
    masks = by_stem(files, "_mask")
    unlabelled = {"valid", "test", "val"} - ({source.name} if not masks else set())
    images = by_stem(
        (path for path in files if path.parent.name not in unlabelled or masks.get(path.stem[:-4])), "_sat"
    )
    found = pairs(images, masks, source, LAYOUT)
    splits = by_shares([name for name, _, _ in found], SHARES, settings.seed)
    return Scan(tuple(Scene(name, splits[name], image, (mask,), gsd=0.5) for name, image, mask in found))


def read(scene: Scene) -> Labelling:
    """Roads are white; the masks are not clean, half of white decides."""
    return Labelling(((read_flags(scene.labels[0]), None),))


DECLARATIONS = (
    Declaration(
        name="deepglobe",
        title="DeepGlobe roads: thin roads in satellite images",
        source="DeepGlobe road extraction, CVPR 2018 (deepglobe.org); for research and education",
        layout=LAYOUT,
        scan=scan,
        read=read,
        protocols={"crosscut": Settings()},
        classes={0: "background", 1: "road"},
        gsd="0.5 m",
        counts={("crosscut", "train pictures"): 4358, ("crosscut", "test pictures"): 1868},
        remarks=(
            "CrossCut prints 6266 images and a split of 4358 and 1868, which are 6226, the number published. Its list "
            "is not published: pictures are dealt in this ratio by `--seed`. Pictures without a road are left out "
            "unless `--keep-empty` is given. Roads of less than 0.5 % of a picture are class tasks with "
            "`benchmark --class-fill 0,80`."
        ),
    ),
)
