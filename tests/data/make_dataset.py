"""Two tiny labelled pictures in the dataset layout: `python tests/data/make_dataset.py FOLDER`."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np

SHAPE = (72, 96)
CLASSES = {0: "ground", 1: "building", 2: "road"}


def make_dataset(folder: Path, name: str = "tiny") -> Path:
    """Grass with two bright roofs, a road across, and a corner nobody labelled; the second picture is mirrored."""
    for part in ("images", "masks", "instances"):
        (folder / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    classes, instances = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint16)
    for number, (kind, rows, cols) in enumerate(
        [(1, (6, 26), (8, 34)), (1, (44, 68), (58, 88)), (2, (30, 40), (0, 96))], start=1
    ):
        classes[slice(*rows), slice(*cols)], instances[slice(*rows), slice(*cols)] = kind, number
    colours = np.array([(70, 110, 60), (200, 120, 90), (130, 130, 135)], np.float32)
    image = np.clip(colours[classes] + rng.normal(0, 8, (*SHAPE, 3)), 0, 255).astype(np.uint8)
    classes[:6, 84:] = 255
    pictures = []
    for stem, step in (("a", 1), ("b", -1)):
        files = {"image": f"images/{stem}.jpg", "mask": f"masks/{stem}.png", "instances": f"instances/{stem}.png"}
        written = (image[..., ::-1], classes, instances)
        for file, array in zip(files.values(), written, strict=True):
            cv2.imwrite(str(folder / file), np.ascontiguousarray(array[:, ::step]))
        objects = [
            {"id": i, "cls": 2 if i == 3 else 1, "area": int(np.count_nonzero(instances == i))} for i in (1, 2, 3)
        ]
        pictures.append({**files, "height": SHAPE[0], "width": SHAPE[1], "gsd": 0.3, "objects": objects})
    meta = {"dataset": name, "classes": CLASSES, "true_instances": True, "images": pictures}
    (folder / "meta.json").write_text(json.dumps(meta, indent=1))
    return folder


if __name__ == "__main__":
    make_dataset(Path(sys.argv[1]))
