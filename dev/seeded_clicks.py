"""Class targets clicked with and without a class map to start from: NoC@80, mIoU after 0, 1, 3 clicks.

    python dev/seeded_clicks.py DATASET MODEL_FOLDER [--limit 40] [--clicks 20] [--json OUT]

The map names the whole picture first (resized to the side the map model was trained on); the pixels of the task's class
are the session's seed, the robot clicks on what is wrong with it. NoC counts 0 where the map alone suffices.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from terraclick.catalogue import load
from terraclick.classmap.model import load_map
from terraclick.core.click_sequence import ClickSequence
from terraclick.core.masks import iou
from terraclick.core.simulate import next_click
from terraclick.data.datasets import open_dataset
from terraclick.evaluate.protocol import EvalProtocol
from terraclick.evaluate.task import draw_tasks
from terraclick.values import Target, View


def class_map(model, image):
    """Class name index of every pixel of a picture, looked at whole."""
    side = model.spec.side
    logits, _ = model(np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR)))
    size = image.shape[1::-1]
    return np.stack([cv2.resize(part, size, interpolation=cv2.INTER_LINEAR) for part in logits]).argmax(0)


def clicked(session, task, predictor, encoded, clicks, threshold=0.8):
    """IoU after 0, 1, … clicks, carried on once the threshold is passed."""
    truth, ignore = task.truth()
    mask = np.zeros(truth.shape, bool) if session.latest is None else session.latest.mask
    found = [iou(mask, truth, ignore)]
    while len(found) <= clicks and found[-1] < threshold:
        click = next_click(mask, truth, ignore, session.clicks)
        if click is None:
            break
        session = session.add(click, predictor, encoded)
        mask = session.latest.mask
        found.append(iou(mask, truth, ignore))
    return found + [found[-1]] * (clicks + 1 - len(found))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset", type=Path)
    parser.add_argument("model")
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--clicks", type=int, default=20)
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    dataset, model, predictor = open_dataset(words.dataset), load_map(words.model, 1), load("terra", threads=1)
    names = [c.name for c in model.spec.classes]
    tasks = [t for t in draw_tasks(dataset, Target.CLASS, EvalProtocol(limit=words.limit)) if t.cls in names]
    curves = {"without": [], "with": []}
    for task in tasks:
        image = task.picture.image()
        encoded = predictor.encode(View(image, None, task.picture.gsd))
        seed = class_map(model, image) == names.index(task.cls)
        starts = {"without": ClickSequence(Target.CLASS), "with": ClickSequence.from_mask(seed, Target.CLASS)}
        for name, session in starts.items():
            curves[name].append(clicked(session, task, predictor, encoded, words.clicks))
        print(task.name, {k: [round(v, 2) for v in c[-1][:4]] for k, c in curves.items()}, flush=True)
    print("| seed | tasks | NoC@80 | mIoU@0 | mIoU@1 | mIoU@3 |\n|---|---|---|---|---|---|")
    for name, kept in curves.items():
        values = np.array(kept)
        reached = values >= 0.8
        noc = np.where(reached.any(1), reached.argmax(1), words.clicks)
        cells = " | ".join(f"{values[:, k].mean():.3f}" for k in (0, 1, 3))
        print(f"| {name} | {len(values)} | {noc.mean():.2f} | {cells} |")
    if words.json is not None:
        words.json.write_text(json.dumps({"tasks": [t.name for t in tasks], **curves}) + "\n")


if __name__ == "__main__":
    main()
