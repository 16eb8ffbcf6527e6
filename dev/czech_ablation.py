"""BiCoR-Seg's table 4 on Czech orthophotos, judged on map sheets that no row has seen; five seeds, paired.

    python dev/czech_ablation.py DATA WORK [--seeds 5] [--steps 200] [--pictures 80]

DATA holds train/cz_ortho. The frozen encoder sees every picture once; what it says is kept in WORK, and so are
finished runs (lines of WORK/rows.jsonl), which are not run again. The sheets VYSK303, KROM371 and OLOM88 are held out,
as they are for the shipped model. Prints mIoU of each row, and its difference to cross-attention over seeds with a t
interval of 95 %.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from map_ablation import ROWS, load

from terraclick.train import judging, map_features, map_network, semantic
from terraclick.train.semantic_data import judged_parts, training_parts
from terraclick.train.semantic_recipes import land_cover

BASE = replace(
    land_cover(),
    train_on=("train/cz_ortho",),
    judge_on=("train/cz_ortho",),
    views=(),
    crop=112,
    side=336,
    variants=1,
    setting="paper",
    optimizer="adam",
    heat=0.0,
    fisher=0.0,
    batch=4,
)
TABLE = ("attention", "hbis", "hbis+fisher", "hbis+heat", "hbis+both")
T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}


def encode(data, work, pictures):
    """Kept features of some training pictures and of all that are held out."""
    torch.set_num_threads(1)
    network = map_network.build_network(BASE)
    unseen = [s for s in judged_parts(BASE, data) if s.name.startswith(BASE.held_out)]
    known = {s.name for s in unseen}
    unseen = list({s.name: s for s in unseen}.values())
    train = [s for s in training_parts(BASE, data) if s.name not in known]
    chosen = np.random.default_rng(0).permutation(len(train))[:pictures]
    for part, samples in (("train", [train[i] for i in sorted(chosen)]), ("unseen", unseen)):
        if (work / f"{part}.npz").exists():
            continue
        features = map_features.encode_all(BASE, network, samples, 1)
        arrays = {f"map{k}": np.stack([f.maps[k] for f in features]) for k in range(4)}
        np.savez(work / f"{part}.npz", labels=np.stack([f.labels for f in features]), **arrays)
        print(part, len(features), flush=True)


def run(work, seeds, steps):
    """Every row with every seed, one seed after the other."""
    torch.set_num_threads(1)
    train, unseen = (load(work, part, True) for part in ("train", "unseen"))
    path = work / "rows.jsonl"
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    known = {(d["row"], d["seed"], d["steps"]) for d in done}
    base = replace(BASE, side=168, crop=112)
    for seed in range(seeds):
        for row in TABLE:
            if (row, seed, steps) in known:
                continue
            config = replace(base, seed=seed, epochs=steps * BASE.batch / len(train), **ROWS[row])
            network = semantic.train_on_features(config, map_network.build_network(config), train)
            found = {"row": row, "seed": seed, "steps": steps, **judging.evaluate(config, network, unseen).figures()}
            with path.open("a") as file:
                file.write(json.dumps(found) + "\n")
            print(found, flush=True)


def table(work):
    """Rows with their means, and paired differences where at least two seeds are done."""
    done = [json.loads(line) for line in (work / "rows.jsonl").read_text().splitlines()]
    of = {row: {d["seed"]: 100 * d["miou"] for d in done if d["row"] == row} for row in TABLE}
    print("| row | seeds | mIoU, unseen sheets | difference to cross-attention |\n|---|---|---|---|")
    for row, by_seed in of.items():
        if not by_seed:
            continue
        values, shared = np.array([*by_seed.values()]), sorted(set(by_seed) & set(of["attention"]))
        against = np.array([by_seed[s] - of["attention"][s] for s in shared])
        said = "–"
        if row != "attention" and len(against) > 1:
            half = T_95.get(len(against), 2.0) * against.std(ddof=1) / len(against) ** 0.5
            said = f"{against.mean():+.2f} [{against.mean() - half:+.2f}, {against.mean() + half:+.2f}]"
        print(f"| {row} | {len(values)} | {values.mean():.2f} ± {values.std(ddof=len(values) > 1):.2f} | {said} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--pictures", type=int, default=80)
    words = parser.parse_args()
    words.work.mkdir(parents=True, exist_ok=True)
    encode(words.data, words.work, words.pictures)
    run(words.work, words.seeds, words.steps)
    table(words.work)
