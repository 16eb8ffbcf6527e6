"""What every recipe costs at its published size: parameters, memory, seconds a step, days on one GPU and on two cores.

    python benchmarks/recipe_costs.py run FILE.jsonl [RECIPE …]     # hours of days are reckoned, minutes are spent
    python benchmarks/recipe_costs.py page FILE.jsonl > docs/results/recipe-costs.md

Each recipe runs in a process of its own with the steps of `terraclick train RECIPE --dry-run`, so that
its peak memory is its own. Seconds are processor seconds of one thread, which other programs change little; two cores
are reckoned as twice as fast.
Recipes already in FILE.jsonl are not run again.
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

ENVIRON = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
"""One thread, which does not spin while it waits."""


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
        done = subprocess.run(
            [sys.executable, __file__, "one", name], capture_output=True, text=True, timeout=3600, env=ENVIRON
        )
        if done.returncode:
            print(f"{name} failed: {done.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        with path.open("a", encoding="utf-8") as file:
            file.write(done.stdout.strip().splitlines()[-1] + "\n")
        print(name, flush=True)


def page(path: Path) -> str:
    """The table in Markdown."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    said = (
        "# What each recipe costs\n\n"
        "Measured with `benchmarks/recipe_costs.py`: real steps of each recipe at its full size, on pictures made by "
        "chance, with one thread of an AMD EPYC (Zen 5) that other work kept busy. Memory and seconds are reckoned for "
        "the recipe's batch from one picture; two cores count as twice as fast. "
        "Days on one GPU are a forecast from the counted arithmetic, at 40 TFLOP/s sustained; no GPU was at hand. "
        "Variants that change no size cost what the recipe they are named after costs. A dash is not measured yet.\n"
    )
    heads = "| recipe | parameters, M | trained, M | memory, GB | s a step | steps | days, one GPU | days, two cores |"
    lines = [
        f"| `{r['recipe']}` | {r['parameters'] / 1e6:.2f} | {r['trained'] / 1e6:.2f} | {r['memory_mb'] / 1e3:.1f} | "
        f"{r['seconds_step']:.1f} | {r['steps']:,} | {r['days_gpu']:.2f} | {r['days_here'] / 2:.1f} |"
        for r in rows
    ]
    from terraclick.train.dry_run import DRY_RECIPES

    known = {row["recipe"] for row in rows}
    lines += [f"| `{name}` | – | – | – | – | – | – | – |" for name in DRY_RECIPES if name not in known]
    return "\n".join([said, heads, "|---|---|---|---|---|---|---|---|", *lines]) + "\n"


if __name__ == "__main__":
    verb, *words = sys.argv[1:]
    if verb == "one":
        print(json.dumps(measure(words[0])))
    elif verb == "run":
        run(Path(words[0]), words[1:])
    else:
        print(page(Path(words[0])), end="")
