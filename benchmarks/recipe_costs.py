"""What every recipe costs at its published size: parameters, memory, seconds a step, days on one GPU and on two cores.

    python benchmarks/recipe_costs.py run FILE.jsonl [RECIPE …]     # hours of days are reckoned, minutes are spent
    python benchmarks/recipe_costs.py page FILE.jsonl > docs/results/recipe-costs.md

Each recipe runs in a process of its own with the steps of `terraclick train RECIPE --dry-run`, so that
its peak memory is its own. Seconds are processor seconds of one thread, which other programs change little; two cores
are reckoned as twice as fast.
Recipes already in FILE.jsonl are not run again, so that a run that was stopped goes on. What failed is a line too, with
the reason; take the line out to try again. A variant of `SAME` that was not run itself is reckoned from the recipe it
costs as much as.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

ENVIRON = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
"""One thread, which does not spin while it waits."""


SAME = {
    "crosscut-b": "crosscut-no-cpe crosscut-embedding",
    "isrefiner-b": "isrefiner-no-vit isrefiner-no-hq isrefiner-no-features isrefiner-theta-1 isrefiner-theta-half "
    "isrefiner-early-2 isrefiner-early-3 isrefiner-early-fixed isrefiner-mfp-modulation isrefiner-no-modulation",
    "mfp-b": "mfp-class",
    "refcut-b": "refcut-classes refcut-no-reference",
    "simpleclick-b": "simpleclick-class simpleclick-rgbir",
    "loveda-bicor": "loveda-val loveda-paper loveda-hbis loveda-hbis-fisher loveda-hbis-heat loveda-top-k-0.005 "
    "loveda-top-k-0.1 loveda-top-k-0.5",
    "terra-long": "terra-20min terra-open",
}
"""Recipe → variants of the same network at the same size: a sample costs as much or, with a part left out, less."""
BASE = {variant: base for base, variants in SAME.items() for variant in variants.split()}
LONGEST = 3600
"""Seconds after which a recipe is given up."""
AVERAGES = 12
"""Bytes of a trained number beside itself: its gradient and Adam's two averages."""


def measure(name: str) -> dict[str, object]:
    """The dry run of one recipe, in this process."""
    import torch

    from terraclick.train.dry_run import DRY_RECIPES, dry_run

    torch.set_num_threads(1)
    recipe, clock = DRY_RECIPES[name](), time.process_time
    try:
        found = asdict(dry_run(recipe, 1, clock))
    except ValueError:  # a batch norm of one number
        found = asdict(dry_run(recipe, 2, clock))
    return found | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def run(path: Path, names: list[str]) -> None:
    """Every recipe that the file lacks, each in a process of its own."""
    from terraclick.train.dry_run import DRY_RECIPES

    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    known = {json.loads(line)["recipe"] for line in lines}
    for name in names or DRY_RECIPES:
        if name in known:
            continue
        try:
            done = subprocess.run(
                [sys.executable, __file__, "one", name], capture_output=True, text=True, timeout=LONGEST, env=ENVIRON
            )
        except subprocess.TimeoutExpired:
            line = json.dumps({"recipe": name, "failed": f"two steps with one picture took more than {LONGEST} s"})
        else:
            line = (done.stdout.strip().splitlines() or [""])[-1]
            if done.returncode:
                said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
                line = json.dumps({"recipe": name, "failed": said})
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(name, flush=True)


def reckoned(row: dict[str, Any], name: str) -> dict[str, Any]:
    """A measured row for a recipe's own batch and number of steps: seconds and what is kept go with the batch."""
    from terraclick.train.dry_run import DRY_RECIPES
    from terraclick.train.semantic_recipes import SemanticConfig

    recipe = DRY_RECIPES[name]()
    if isinstance(recipe, SemanticConfig) or name.startswith("terra"):
        steps = row["steps"] if name == row["recipe"] or isinstance(recipe, SemanticConfig) else recipe.steps
        batch = 1.0
    else:
        steps, batch = recipe.steps, recipe.batch / next(iter(row["shapes"].values()))[0]
    weights = (4 * row["parameters"] + AVERAGES * row["trained"]) / 1e6
    told = {"memory_mb": weights + (row["memory_mb"] - weights) * batch, "seconds_step": row["seconds_step"] * batch}
    days = {day: row[day] * batch * steps / row["steps"] for day in ("days_gpu", "days_here")}
    return row | told | days | {"steps": steps, "recipe": name}


def page(path: Path) -> str:
    """The table in Markdown."""
    from terraclick.train.dry_run import DRY_RECIPES

    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    measured = {row["recipe"]: row for row in lines if "failed" not in row}
    failed = {row["recipe"]: row["failed"] for row in lines if "failed" in row}
    said = (
        "# What each recipe costs\n\n"
        "Measured with `benchmarks/recipe_costs.py`: real steps of each recipe at its full size, on pictures made by "
        "chance, with one thread of an AMD EPYC (Zen 5) that other work kept busy. Memory and seconds are reckoned for "
        "the recipe's batch from one picture, so that recipes whose batch does not fit in this machine have figures "
        "too; two cores count as twice as fast. "
        "Days on one GPU are a forecast from the counted arithmetic, at 40 TFLOP/s sustained; no GPU was at hand. "
        "Where the last column names another recipe, that one was measured: the same network at the same size, with "
        "this recipe's batch and number of steps. A dash is not measured yet.\n"
    )
    heads = (
        "| recipe | parameters, M | trained, M | memory, GB | s a step | steps | days, one GPU | days, two cores | as |"
    )
    table = []
    for name in DRY_RECIPES:
        source = name if name in measured else BASE.get(name, "")
        if source in measured:
            table.append(_row(reckoned(measured[source], name), "" if source == name else f"`{source}`"))
        else:
            table.append(f"| `{name}` | – | – | – | – | – | – | – | {failed.get(name, '')} |")
    return "\n".join([said, heads, "|---|---|---|---|---|---|---|---|---|", *table]) + "\n"


def _row(r: dict[str, Any], source: str) -> str:
    return (
        f"| `{r['recipe']}` | {r['parameters'] / 1e6:.2f} | {r['trained'] / 1e6:.2f} | {r['memory_mb'] / 1e3:.1f} | "
        f"{r['seconds_step']:.1f} | {r['steps']:,} | {r['days_gpu']:.2f} | {r['days_here'] / 2:.1f} | {source} |"
    )


if __name__ == "__main__":
    verb, *words = sys.argv[1:]
    if verb == "one":
        print(json.dumps(measure(words[0])))
    elif verb == "run":
        run(Path(words[0]), words[1:])
    else:
        print(page(Path(words[0])), end="")
