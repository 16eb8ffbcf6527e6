"""Does an example help? IoU after one click with the right reference, with none, and with one of another class, paired.

    python dev/reference_gain.py --target object --count 200 [--weights FOLDER] [--seed 0]

Tasks are drawn from the development test sets that have several classes (setting TERRACLICK_SHARED). A reference is
another instance, from another picture of the same set, cut out with half its size around it. Prints the three means and
the paired differences with their 95 % bootstrap intervals.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from terraclick import load
from terraclick.core.masks import iou
from terraclick.core.simulate import next_click
from terraclick.data.datasets import class_tasks, object_tasks, open_dataset
from terraclick.data.sample import Task
from terraclick.values import Prompt, Reference, Target, View

ROOT = Path(__file__).resolve().parents[1]
DEVTEST = Path(os.environ.get("TERRACLICK_SHARED", ROOT / ".." / "shared")) / "data" / "devtest"
SETS = ("nwpu_vhr10", "dubai_tile1", "dronedeploy_sample")
KINDS = ("right", "none", "other class")


def example(task: Task) -> Reference:
    """The instance of a task cut out of its picture, with half its size around it."""
    mask = task.picture.instances() == task.instance
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    margin = max(rows[-1] - rows[0], cols[-1] - cols[0], 32) // 2
    part = (
        slice(max(rows[0] - margin, 0), rows[-1] + margin + 1),
        slice(max(cols[0] - margin, 0), cols[-1] + margin + 1),
    )
    return Reference(np.ascontiguousarray(task.picture.image()[part]), np.ascontiguousarray(mask[part]))


def lender(task: Task, tasks: list[Task], same: bool, rng: np.random.Generator) -> Task | None:
    """A task of the same set, from another picture, of the same class or of another one."""
    fitting = [
        other
        for other in tasks
        if other.dataset == task.dataset and other.image_id != task.image_id and (other.cls == task.cls) == same
    ]
    return fitting[rng.integers(len(fitting))] if fitting else None


def measure(target: Target, count: int, seed: int, weights: Path | None) -> np.ndarray:
    """IoU after one click (tasks, 3): right reference, none, another class's."""
    model = load("terra") if weights is None else load("terra", weights=weights)
    rng = np.random.default_rng(seed)
    objects = [task for name in SETS for task in object_tasks(open_dataset(DEVTEST / name))]
    tasks = objects
    if target is Target.CLASS:
        tasks = [task for name in SETS for task in class_tasks(open_dataset(DEVTEST / name))]
    found = []
    for index in rng.permutation(len(tasks)):
        task = tasks[index]
        right, wrong = lender(task, objects, True, rng), lender(task, objects, False, rng)
        truth, ignore = task.truth()
        click = next_click(np.zeros_like(truth), truth, ignore, ())
        if right is None or wrong is None or click is None:
            continue
        encoded = model.encode(View(task.picture.image(), None, task.picture.gsd))
        scores = []
        for references in ((example(right),), (), (example(wrong),)):
            answer = model.predict(encoded, Prompt((click,), target, references), None)
            scores.append(iou(answer.mask, truth, ignore))
        found.append(scores)
        if len(found) == count:
            break
    return np.array(found)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--target", choices=("object", "class"), default="object")
    words.add_argument("--count", type=int, default=200)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--weights", type=Path)
    given = words.parse_args()
    scores = measure(Target(given.target), given.count, given.seed, given.weights)
    print(f"{given.target}, {len(scores)} tasks, mean IoU after one click:")
    for name, mean in zip(KINDS, scores.mean(axis=0), strict=True):
        print(f"  {name}: {mean:.3f}")
    rng = np.random.default_rng(0)
    for a, b in ((0, 1), (1, 2), (0, 2)):
        gain = scores[:, a] - scores[:, b]
        means = gain[rng.integers(len(gain), size=(2000, len(gain)))].mean(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        print(f"  {KINDS[a]} - {KINDS[b]}: {gain.mean():+.3f} [{low:+.3f}, {high:+.3f}]")


if __name__ == "__main__":
    main()
