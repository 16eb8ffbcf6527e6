"""What the papers' parts are worth in `terra`: nets of several seeds, each part taken away, the same tasks for all.

    python dev/click_ablation.py train OUT --data DATA --start NET [--samples 8000] [--parts whole …] [--seeds 0 1 2]
    python dev/click_ablation.py measure OUT [--limit 5] [--seeds 0 1 2] [--only objects,classes,patches]

`train` fine-tunes a click net for every seed as `terra-long` does, whole and without one part, so that all nets of a
seed saw the same crops and numbers of steps. `measure` runs the benchmark's robot on the development test sets (setting
TERRACLICK_SHARED) and prints mean ± deviation over the seeds.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from terraclick.core.click_sequence import ClickSequence
from terraclick.core.division import divide
from terraclick.core.masks import iou
from terraclick.core.predictor import Predictor
from terraclick.core.simulate import next_click
from terraclick.data.datasets import class_tasks, open_dataset
from terraclick.data.sample import Task
from terraclick.evaluate.protocol import EvalProtocol
from terraclick.evaluate.report import Report
from terraclick.evaluate.task import draw_tasks, run_task
from terraclick.predictors.wrappers import Cached, Modulated
from terraclick.terra.models import OBJECT_SIDE, PATCH_SIDE, fused_classes, terra_graphs
from terraclick.terra.predictor import TerraGraphs, TerraPredictor
from terraclick.terra.settle import Settled
from terraclick.values import Target, View

ROOT = Path(__file__).resolve().parents[1]
DEVTEST = Path(os.environ.get("TERRACLICK_SHARED", ROOT / ".." / "shared")) / "data" / "devtest"
SETS = ("cil_roads", "dronedeploy_sample", "dubai_tile1", "hot_fair_oam", "nwpu_vhr10")
MOST = 10
"""Clicks of the robot at most."""
THREADS = 1
"""CPU threads of a network."""
DIVISION = 2
"""Division on which patches without a click are judged."""


PARTS = {
    "whole": {},
    "no-deep-prompts": {"deep_prompts": False},
    "no-shallow-tokens": {"shallow": False},
    "no-refit": {"refit": False},
    "no-regions": {"region_share": 0.0},
}
"""What a net is trained without, by the name of its folder."""


def train_all(out: Path, data: Path, start: Path, samples: int, parts: list[str], seeds: list[int]) -> None:
    """Nets `OUT/PART-SEED/terra_click_net.onnx`."""
    from terraclick.predictors.spec import WEIGHTS
    from terraclick.train.config import terra_long
    from terraclick.train.export import export
    from terraclick.train.loop import train
    from terraclick.train.trainer import RunOptions

    for seed in seeds:
        for name in parts:
            folder = out / f"{name}-{seed}"
            if (folder / "terra_click_net.onnx").exists():
                continue
            settings = {"samples": samples, "seed": seed, "start": str(start), "average": 0.99, **PARTS[name]}
            config = replace(terra_long(), name=f"ablation-{name}", **settings)
            resume = (folder / "checkpoint.pt").exists()
            net = train(config, data, folder, WEIGHTS / "terra_encoder.onnx", options=RunOptions(resume=resume))
            export(net, folder)
            print(f"{folder} done", flush=True)


def _objects(engine: TerraGraphs, deep: bool = True, mirror: bool = True, **options: str) -> Predictor:
    inner: Predictor = Cached(TerraPredictor(engine, 1, OBJECT_SIDE, deep_prompts=deep, mirror=mirror), 16)
    return Settled(Modulated(inner, **options) if options else inner)


OBJECTS: dict[str, tuple[str, Callable[[TerraGraphs], Predictor]]] = {
    "whole": ("whole", _objects),
    "without deep prompts": ("no-deep-prompts", lambda engine: _objects(engine, deep=False)),
    "without shallow tokens": ("no-shallow-tokens", _objects),
    "without refitted classifiers": ("no-refit", _objects),
    "without regions in training": ("no-regions", _objects),
    "without zoom-in": ("whole", lambda engine: TerraPredictor(engine, 1, OBJECT_SIDE, mirror=True)),
    "without the mirror": ("whole", lambda engine: _objects(engine, mirror=False)),
    "modulated (RS-ISRefiner)": ("whole", lambda engine: _objects(engine, rule="isrefiner")),
    "modulated (MFP)": ("whole", lambda engine: _objects(engine, rule="mfp")),
}
"""Rows of the object table: which net, and how it is asked."""

CLASSES: dict[str, tuple[str, Callable[[TerraGraphs], Predictor]]] = {
    "native patches": ("whole", lambda engine: TerraPredictor(engine, side=PATCH_SIDE)),
    "without deep prompts": (
        "no-deep-prompts",
        lambda engine: TerraPredictor(engine, side=PATCH_SIDE, deep_prompts=False),
    ),
    "without shallow tokens": ("no-shallow-tokens", lambda engine: TerraPredictor(engine, side=PATCH_SIDE)),
    "without refitted classifiers": ("no-refit", lambda engine: TerraPredictor(engine, side=PATCH_SIDE)),
    "one division (n = 2)": ("whole", lambda engine: TerraPredictor(engine, 2, PATCH_SIDE)),
    "fused divisions": ("whole", fused_classes),
}
"""Rows of the class table."""


def judge(predictor: Predictor, target: Target, limit: int) -> tuple[float, ...]:
    """NoC@80, NoC@90, mIoU@1, mIoU@3, mIoU@5 averaged over the sets, `limit` tasks of each."""
    protocol = EvalProtocol(limit=limit, max_clicks=MOST)
    results = [
        run_task(task, predictor, protocol)
        for name in SETS
        for task in draw_tasks(open_dataset(DEVTEST / name), target, protocol)
    ]
    average = Report("", target, protocol, tuple(results)).average()
    return (*(average["noc"][name] for name in ("80", "90")), *(average["miou"][k] for k in ("1", "3", "5")))


def _judge_net(
    engine: TerraGraphs, build: Callable[[TerraGraphs], Predictor], target: Target, limit: int
) -> tuple[float, ...]:
    """`judge` of a predictor built here, so that its cache goes with it."""
    return judge(build(engine), target, limit)


def unclicked(engine: TerraGraphs, deep: bool, limit: int) -> tuple[float, ...]:
    """Mean IoU after five clicks over the quarters of pictures that show a class and hold no click."""
    predictor = TerraPredictor(engine, DIVISION, PATCH_SIDE, deep_prompts=deep)
    per_set = []
    for name in SETS:
        tasks = class_tasks(open_dataset(DEVTEST / name))
        chosen = np.random.default_rng(0).permutation(len(tasks))[:limit]
        found = [score for index in chosen for score in _quarters(tasks[index], predictor)]
        per_set += [float(np.mean(found))] if found else []
    return (float(np.mean(per_set)),)


def _quarters(task: Task, predictor: Predictor) -> list[float]:
    """IoU of every quarter that shows the class and holds none of five clicks set in the quarter that shows most."""
    truth, ignore = task.truth()
    quarters = divide(truth.shape, DIVISION)
    home = max(quarters, key=lambda window: np.count_nonzero(truth[window.slices]))
    elsewhere = np.ones(truth.shape, bool)
    elsewhere[home.slices] = False
    encoded, session = predictor.encode(View(task.picture.image(), None, task.picture.gsd)), ClickSequence(Target.CLASS)
    for _ in range(5):
        mask = session.latest.mask if session.latest is not None else np.zeros(truth.shape, bool)
        click = next_click(mask, truth, ignore | elsewhere, session.clicks)
        if click is None:
            break
        session = session.add(click, predictor, encoded)
    if session.latest is None:
        return []
    parts = [window.slices for window in quarters if window != home]
    return [
        iou(session.latest.mask[part], truth[part], ignore[part]) for part in parts if np.mean(truth[part]) >= 0.005
    ]


def measure(out: Path, limit: int, seeds: list[int], only: list[str]) -> None:
    """Every row of the nets that were trained, for every seed, kept in `OUT/rows.jsonl` as it comes."""
    rows: list[tuple[str, str, int, Callable[[], tuple[float, ...]]]] = []
    for seed in seeds:
        folders = {name: out / f"{name}-{seed}" for name in PARTS}
        engines = {
            name: terra_graphs(folder, THREADS)
            for name, folder in folders.items()
            if (folder / "terra_click_net.onnx").exists()
        }
        for table, target, kinds in (("objects", Target.OBJECT, OBJECTS), ("classes", Target.CLASS, CLASSES)):
            for label, (net, build) in kinds.items():
                if net in engines:
                    rows.append((table, label, seed, partial(_judge_net, engines[net], build, target, limit)))
        for deep in (True, False):
            label = "deep prompts on" if deep else "deep prompts zeroed"
            rows.append(("patches", label, seed, partial(unclicked, engines["whole"], deep, limit)))
    kept = out / "rows.jsonl"
    done = {tuple(json.loads(line)[:3]) for line in kept.read_text().splitlines()} if kept.exists() else set()
    for table, label, seed, run in rows:
        if table in only and (table, label, seed) not in done:
            with kept.open("a") as file:
                file.write(json.dumps([table, label, seed, run()]) + "\n")
    found: dict[tuple[str, str], list[list[float]]] = {}
    for line in kept.read_text().splitlines():
        table, label, _, figures = json.loads(line)
        found.setdefault((table, label), []).append(figures)
    for (table, label), figures in found.items():
        mean, spread = np.mean(figures, axis=0), np.std(figures, axis=0, ddof=1 if len(figures) > 1 else 0)
        cells = " | ".join(f"{a:.3f} ± {b:.3f}" for a, b in zip(mean, spread, strict=True))
        print(f"| {table} | {label} | {len(figures)} | {cells} |")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("job", choices=("train", "measure"))
    words.add_argument("out", type=Path)
    words.add_argument("--data", type=Path)
    words.add_argument("--start", type=Path)
    words.add_argument("--samples", type=int, default=8000)
    words.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    words.add_argument("--limit", type=int, default=5)
    words.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    words.add_argument("--only", default="objects,classes,patches")
    given = words.parse_args()
    if given.job == "train":
        train_all(given.out, given.data, given.start, given.samples, given.parts, given.seeds)
    else:
        measure(given.out, given.limit, given.seeds, given.only.split(","))


if __name__ == "__main__":
    main()
