"""The rows of BiCoR-Seg's Table 4 on the drone chips, several seeds each, from features encoded once.

    python dev/map_ablation.py encode DATA WORK            # a frozen encoder over all chips, about 90 CPU-seconds
    python dev/map_ablation.py run DATA WORK [--seeds 5] [--steps 150] [--rows attention,hbis,...]
    python dev/map_ablation.py table WORK

Finished runs are lines of WORK/rows.jsonl and are not run again. Every fifth training chip is held out and judged as
"same scene"; the devtest chips are another scene with other shares of classes; the Dubai pictures of another sensor,
place and resolution and share building, vegetation and water.
"""

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from terraclick.train import judging, map_features, map_network, semantic
from terraclick.train.semantic_data import read_parts
from terraclick.train.semantic_recipes import drone_map

BASE = replace(
    drone_map(), setting="paper", optimizer="adam", variants=1, heat=0.0, fisher=0.0, embed=128, batch=4, balance=0.5
)
"""E = 128: the last map has E / 16 channels, and with two of them (E = 32) no row learns anything."""
ROWS = {
    "attention": {"decoder": "attention"},
    "hbis": {},
    "hbis+fisher": {"fisher": 1.0},
    "hbis+heat": {"heat": 0.1},
    "hbis+both": {"heat": 0.1, "fisher": 1.0},
    "L=1": {"heat": 0.1, "fisher": 1.0, "layers": 1},
    "L=3": {"heat": 0.1, "fisher": 1.0, "layers": 3},
    "top-k 0.005": {"heat": 0.1, "fisher": 1.0, "top_k": 0.005},
    "top-k 0.1": {"heat": 0.1, "fisher": 1.0, "top_k": 0.1},
    "top-k 0.5": {"heat": 0.1, "fisher": 1.0, "top_k": 0.5},
    "code, both": {"heat": 0.1, "fisher": 1.0, "setting": "parity"},
}
PARTS = {"train": BASE.train_on, "devtest": BASE.judge_on, "dubai": ("devtest/dubai_tile1",)}


def encode(data, work):
    network = map_network.build_network(BASE)
    for part, folders in PARTS.items():
        features = map_features.encode_all(BASE, network, read_parts(BASE, data, folders), 1)
        arrays = {f"map{k}": np.stack([f.maps[k] for f in features]) for k in range(4)}
        np.savez(work / f"{part}.npz", labels=np.stack([f.labels for f in features]), **arrays)
        print(part, len(features), flush=True)


def load(work, part, coarse):
    """Kept features; `coarse` halves the two detail maps and the labels, so that everything costs a quarter."""
    with np.load(work / f"{part}.npz") as kept:
        maps, labels = [kept[f"map{k}"] for k in range(4)], kept["labels"]
    if coarse:
        maps[:2] = [halved(m) for m in maps[:2]]
        labels = labels[:, ::2, ::2]
    return [map_features.Features(tuple(m[i] for m in maps), labels[i]) for i in range(len(labels))]


def halved(m):
    """Means of 2 × 2 cells."""
    return sum(m[:, :, i::2, j::2].astype(np.float32) for i in (0, 1) for j in (0, 1)).astype(np.float16) / 4


def run(data, work, rows, seeds, steps, coarse):
    torch.set_num_threads(1)
    parts = {part: load(work, part, coarse) for part in PARTS}
    parts["same scene"] = parts["train"][::5]
    parts["train"] = [f for index, f in enumerate(parts["train"]) if index % 5]
    base = replace(BASE, side=168, crop=112) if coarse else BASE
    path = work / "rows.jsonl"
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    known = {(d["row"], d["seed"], d["steps"]) for d in done}
    for seed in range(seeds):
        for row in rows:
            if (row, seed, steps) in known:
                continue
            epochs = steps * BASE.batch / len(parts["train"])
            config = replace(base, seed=seed, epochs=epochs, **ROWS[row])
            started = time.process_time()
            network = semantic.train_on_features(config, map_network.build_network(config), parts["train"])
            spent = time.process_time() - started
            result = {"row": row, "seed": seed, "steps": steps, "train_seconds": round(spent, 1)}
            for part in ("same scene", "devtest", "dubai"):
                scores = judging.evaluate(config, network, parts[part])
                result[part] = scores.figures() | {"iou": scores.iou.tolist()}
            if (row, seed) == ("hbis+both", 0):
                content = {"arch": map_network.ARCH, "recipe": asdict(config), "step": steps}
                torch.save({**content, "weights": network.state_dict()}, work / "map_net.pt")
            with path.open("a") as file:
                file.write(json.dumps(result) + "\n")
            print(row, seed, *[f"{part} {result[part]['miou']:.4f}" for part in ("same scene", "devtest")], flush=True)


def table(work):
    done = [json.loads(line) for line in (work / "rows.jsonl").read_text().splitlines()]
    for steps in sorted({d["steps"] for d in done}):
        print(f"{steps} steps\n| row | seeds | same scene | devtest mIoU | OA | mean F1 | dubai mIoU | CPU s |")
        print("|---|---|---|---|---|---|---|---|")
        for row in ROWS:
            group = [d for d in done if d["row"] == row and d["steps"] == steps]
            if group:
                cells = [column(group, part, name) for part, name in COLUMNS]
                seconds = np.mean([d["train_seconds"] for d in group])
                print(f"| {row} | {len(group)} | {' | '.join(cells)} | {seconds:.0f} |")


COLUMNS = (("same scene", "miou"), ("devtest", "miou"), ("devtest", "oa"), ("devtest", "mf1"), ("dubai", "miou"))


def column(group, part, name):
    values = 100 * np.array([d[part][name] for d in group])
    return f"{values.mean():.2f} ± {values.std(ddof=1) if len(values) > 1 else 0:.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["encode", "run", "table"])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--rows", default="attention,hbis,hbis+fisher,hbis+heat,hbis+both")
    parser.add_argument("--coarse", action="store_true")
    words = parser.parse_args()
    if words.verb == "encode":
        words.folders[1].mkdir(parents=True, exist_ok=True)
        encode(*words.folders)
    elif words.verb == "run":
        run(*words.folders, words.rows.split(","), words.seeds, words.steps, words.coarse)
    else:
        table(*words.folders)
