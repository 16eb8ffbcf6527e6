"""How good the shipped map model is: on the pictures its recipe holds out, and on sets it never saw.

    python dev/land_cover_scores.py DATA MODEL [--out FILE.json]

DATA holds `train/` and `devtest/` as the recipe `land-cover` wants them; MODEL is an exported folder. Sets with one
class count the pixels of that class against all others; the others count the classes that they name.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from terraclick.classmap.model import open_map
from terraclick.classmap.scores import Scores, confusion
from terraclick.data.datasets import open_dataset
from terraclick.train.map_features import judged_squares
from terraclick.train.semantic_data import IGNORE, Labelled, judged_parts, read_parts
from terraclick.train.semantic_recipes import Views, land_cover

UNSEEN = {  # set: (classes that are called otherwise, pixels of the picture to one of the model's)
    "dronedeploy_sample": ((("ground", "bare ground"),), 3.0),
    "inria_samples": ((), 1.0),
    "hot_fair_oam": ((), 2.0),
    "cil_roads": ((), 1.0),
}


def judged(config, samples, model):
    total = np.zeros((len(config.classes), len(config.classes)), np.int64)
    for sample in samples:
        for image, truth in judged_squares(config, sample):
            logits, _ = model(image)
            total += confusion(logits.argmax(0), truth, len(config.classes))
    return Scores(total, config.names)


def one_class(config, folder, cls, model):
    """IoU of a class in a set that labels nothing else: every other known pixel is no such thing."""
    hit = union = 0
    number = next(n for n, name in open_dataset(folder).classes.items() if name == cls)
    for picture in open_dataset(folder).pictures:
        table = tuple(1 if n == number else 0 for n in range(number + 1))
        mask = picture.folder / picture.mask_files[0]
        sample = Labelled(picture.id, picture.folder / picture.image_file, mask, table, dataset=folder.name)
        for image, truth in judged_squares(config, sample):
            answer, known = model(image)[0].argmax(0) == config.names.index(cls), truth != IGNORE
            hit += np.count_nonzero(answer & (truth == 1) & known)
            union += np.count_nonzero((answer | (truth == 1)) & known)
    return hit / union


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    config, model, found = land_cover(), open_map(words.model, 1), {}
    held = judged_parts(config, words.data)
    for name in ("cz_ortho", "dubai_tile1"):
        scores = judged(config, [sample for sample in held if sample.dataset == name], model)
        found[name] = scores.figures() | scores.by_class(scores.iou)
        print(name, json.dumps({k: None if v is None else round(v, 3) for k, v in found[name].items()}), flush=True)
    for name, (merged, scale) in UNSEEN.items():
        other = replace(config, merged=merged, views=(Views(name, 1, scale, scale),))
        folder = words.data / "devtest" / name
        started = time.process_time()
        if merged:
            scores = judged(other, read_parts(other, words.data, (f"devtest/{name}",)), model)
            shown = [n for n, row in zip(config.names, scores.confusion, strict=True) if row.sum()]
            found[name] = scores.figures() | {n: v for n, v in scores.by_class(scores.iou).items() if n in shown}
        else:
            cls = "road" if "road" in name else "building"
            found[name] = {cls: one_class(other, folder, cls, model)}
        found[name]["cpu_seconds"] = time.process_time() - started
        print(name, json.dumps({k: None if v is None else round(v, 3) for k, v in found[name].items()}), flush=True)
    if words.out:
        words.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
