"""A labelled dataset of made-up towns, for training on nothing but freely licensed pictures.

    python dev/make_towns.py FOLDER [--count 40] [--seed 1000] [--side 640]

Each town has its own seed (never the packaged sample's) and ground resolution (0.15 to 0.6 m); classes as in
`data/synthetic.py`, instances true. The layout is the one `terraclick train` and `benchmark` read.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from terraclick.data.synthetic import SAMPLE_SEED, make_town
from terraclick.data.town.painter import CLASSES


def write_towns(folder: Path, count: int, seed: int, side: int) -> None:
    """Write `count` towns and their meta.json."""
    for part in ("images", "masks", "instances"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pictures = []
    for number in range(count):
        if seed + number == SAMPLE_SEED:
            continue
        gsd = round(float(0.15 * 2 ** rng.uniform(0, 2)), 3)
        town = make_town(seed + number, side, gsd)
        stem = f"{number:04d}"
        files = {"image": f"images/{stem}.jpg", "mask": f"masks/{stem}.png", "instances": f"instances/{stem}.png"}
        cv2.imwrite(str(folder / files["image"]), town.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        cv2.imwrite(str(folder / files["mask"]), town.classes)
        cv2.imwrite(str(folder / files["instances"]), town.instances.astype(np.uint16))
        ids, first, areas = np.unique(town.instances, return_index=True, return_counts=True)
        objects = [
            {"id": int(i), "cls": int(town.classes.flat[at]), "area": int(area)}
            for i, at, area in zip(ids, first, areas, strict=True)
            if i > 0
        ]
        pictures.append({**files, "height": side, "width": side, "gsd": gsd, "objects": objects})
        print(f"{number + 1}/{count} {gsd} m, {len(objects)} objects", flush=True)
    meta = {"dataset": "towns", "classes": dict(enumerate(CLASSES)), "true_instances": True, "images": pictures}
    (folder / "meta.json").write_text(json.dumps(meta, indent=1))


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("folder", type=Path)
    words.add_argument("--count", type=int, default=40)
    words.add_argument("--seed", type=int, default=1000)
    words.add_argument("--side", type=int, default=640)
    given = words.parse_args()
    write_towns(given.folder, given.count, given.seed, given.side)


if __name__ == "__main__":
    main()
