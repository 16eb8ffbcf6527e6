"""A cold and a warm epoch of training samples: samples a second with 0, 1 and 2 workers, and peak memory.

    python benchmarks/epoch_speed.py [--side 2500] [--pictures 8] [--epochs 2] [--json FILE]

Pictures of made-up towns are written as GeoTIFF tiles. An epoch draws four episodes of `simpleclick-b` from each of
them; in the first one no tile is decoded yet, in the second all are in memory. No network is trained: what is measured
is what the workers do. Each case runs in a process of its own; memory is that of the process and its workers together.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def write_pictures(folder: Path, pictures: int, side: int) -> None:
    """A dataset of large tiles with a hundred squares each."""
    import cv2
    import numpy as np

    for part in ("images", "masks", "instances"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    entries = []
    for number in range(pictures):
        rng = np.random.default_rng(number)
        image = rng.integers(60, 160, (side // 8, side // 8, 3), dtype=np.uint8)
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
        classes, instances, objects = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint16), []
        for thing in range(1, 101):
            row, col = (int(value) for value in rng.integers(0, side - 120, 2))
            place = np.s_[row : row + int(rng.integers(40, 120)), col : col + int(rng.integers(40, 120))]
            image[place], classes[place], instances[place] = rng.integers(0, 255, 3), 1, thing
        for thing, area in zip(*np.unique(instances[instances > 0], return_counts=True), strict=True):
            objects.append({"id": int(thing), "cls": 1, "area": int(area)})
        names = {key: f"{key}s/{number}.{end}" for key, end in (("image", "tif"), ("mask", "png"), ("instance", "png"))}
        names["instances"] = names.pop("instance").replace("instances/", "instances/")
        for key, array in (("image", image), ("mask", classes), ("instances", instances)):
            cv2.imwrite(str(folder / names[key]), array)
        entries.append({**names, "height": side, "width": side, "objects": objects})
    meta = {"classes": {0: "ground", 1: "house"}, "true_instances": True, "images": entries}
    (folder / "meta.json").write_text(json.dumps({"dataset": folder.name, **meta}), encoding="utf-8")


def measure(folder: Path, workers: int, pictures: int, epochs: int) -> list[dict[str, float]]:
    """Seconds and samples of each epoch, in this process."""
    from terraclick.data.datasets import open_datasets
    from terraclick.train.networks import NETWORK_RECIPES, Drawn
    from terraclick.train.samples import made_ahead

    recipe, found = NETWORK_RECIPES["simpleclick-b"](), []
    draw = Drawn(tuple(open_datasets(folder)), recipe, 1024 // max(workers, 1))
    batch, steps = 4, pictures
    coming = made_ahead(draw, [[(step, n) for n in range(batch)] for step in range(steps * epochs)], workers)
    for _ in range(epochs):
        started = time.perf_counter()
        for _ in range(steps):
            next(coming)
        found.append({"samples_s": batch * steps / (time.perf_counter() - started)})
    coming.close()
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    return [{**one, "peak_mb": peak} for one in found]


def main() -> None:
    """Write the pictures, and run every case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=2500)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--case", nargs=2, metavar=("FOLDER", "WORKERS"))
    words = parser.parse_args()
    if words.case:
        print(json.dumps(measure(Path(words.case[0]), int(words.case[1]), words.pictures, words.epochs)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder) / "tiles", words.pictures, words.side)
        for workers in (0, 1, 2):
            case = [sys.executable, __file__, "--case", str(Path(folder) / "tiles"), str(workers)]
            case += ["--pictures", str(words.pictures), "--epochs", str(words.epochs)]
            told = subprocess.run(case, check=True, capture_output=True, text=True).stdout
            for name, one in zip(("cold", "warm"), json.loads(told), strict=False):
                rows.append({"workers": workers, "epoch": name, **one})
    print("| workers | epoch | samples/s | peak memory, MB |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['workers']} | {row['epoch']} | {row['samples_s']:.1f} | {row['peak_mb']:.0f} |")
    if words.json:
        words.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
