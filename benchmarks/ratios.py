"""How much faster, and in how much less memory, the same answers come than in the published order of work.

    python benchmarks/ratios.py [--threads 2] [--repeats 5] [--only crosscut] [--json out.json]

Each case runs in a process of its own, so that its peak memory is its own. ViT-B, random weights (seed 0), fp32 unless
named otherwise. Seconds are wall and processor time, medians over the repeats after one run to warm up; on a busy
machine compare processor seconds. `difference` is the largest difference of a logit to the published order of work.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

SIDE = 448
VIEW = 896


def points_of(clicks: int, side: int) -> Any:
    """(1, 2P, 3): so many clicks, every second one negative."""
    import torch

    places = torch.rand(clicks, 2, generator=torch.Generator().manual_seed(1)) * (side - 1)
    half = max((clicks + 1) // 2, 1)
    points = torch.full((1, 2 * half, 3), -1.0)
    for order, place in enumerate(places):
        points[0, order // 2 + (order % 2) * half] = torch.tensor([place[0], place[1], float(order)])
    return points


def inputs(side: int) -> tuple[Any, Any, Any]:
    """A smooth picture, a blob as previous answer, an empty previous answer."""
    import torch
    from torch.nn import functional

    coarse = torch.rand(1, 3, side // 16, side // 16, generator=torch.Generator().manual_seed(0))
    image = functional.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False).clamp(0, 1)
    axis = torch.linspace(-1, 1, side)
    blob = torch.exp(-4 * (axis[:, None] ** 2 + axis[None] ** 2))[None, None]
    return image, blob, torch.zeros_like(blob)


def network(family: str, **settings: Any) -> Any:
    """ViT-B with random weights; `settings` of the config."""
    from terraclick.networks.checkpoint import load_network, preset_of

    config = replace(preset_of(f"{family}-b"), **settings)
    net = load_network(f"{family}-b", random=0, config=config)
    net.head.logits.weight.data *= 300  # logits of a few units, as trained networks have
    return net


def timed(
    act: Callable[[], Any], repeats: int, before: Callable[[], Any] = lambda: None
) -> tuple[dict[str, float], Any]:
    """Median wall and processor seconds of an act, and its last answer."""
    import torch

    walls, processor, answer = [], [], None
    with torch.inference_mode():
        for step in range(repeats + (repeats > 1)):
            before()
            start, used = time.perf_counter(), time.process_time()
            answer = act()
            if step or repeats == 1:
                walls.append(time.perf_counter() - start)
                processor.append(time.process_time() - used)
    return {"wall_s": round(statistics.median(walls), 3), "cpu_s": round(statistics.median(processor), 3)}, answer


def simpleclick(case: str, repeats: int) -> dict[str, Any]:
    """A click at 448: published order; ours with a previous answer; the first one on a warm encoding; bf16."""
    import torch

    from benchmarks import published

    net = network("simpleclick", warm=case == "ours, first click, warm")
    image, blob, empty = inputs(SIDE)
    first = "first" in case
    before, points = (empty, points_of(1, SIDE)) if first else (blob, points_of(3, SIDE))
    if case == "published":
        return timed(lambda: published.simpleclick(net, image, before, points), repeats)[0]
    kind = torch.bfloat16 if "bf16" in case else None
    with torch.autocast("cpu", dtype=kind or torch.bfloat16, enabled=kind is not None), torch.inference_mode():
        encoded = net.encode(image)
        found, logits = timed(lambda: net.answer(encoded, before, points), repeats)
    truth = published.simpleclick(net, image, before, points)
    found["difference"] = float((logits.float() - truth).abs().max())
    found["spread"] = round(float(truth.max() - truth.min()), 2)
    level = truth.median()
    both = ((logits > level) & (truth > level)).sum() / ((logits > level) | (truth > level)).sum()
    return {**found, "iou": round(float(both), 4)}


def crosscut(case: str, repeats: int) -> dict[str, Any]:
    """The second click on an 896 view cut in 2 × 2; `ours` once with all, once with the changed patches only."""
    import torch

    from benchmarks import published

    settings: dict[str, Any] = {"setting": "parity", "divisions": (2,)}
    if case == "ours, dirty 0":
        settings["dirty"] = 0.0
    net = network("crosscut", **settings)
    image, blob, empty = inputs(VIEW)
    if case == "published":
        return timed(lambda: published.crosscut(net, image, blob, points_of(2, VIEW), 2), repeats)[0]
    with torch.inference_mode():
        encoded = net.encode(image)
    before = empty if "dirty" in case else blob  # what an excluding click changes when the answer before was empty

    memory = net.answer_after(None, encoded, empty, points_of(1, VIEW))[1] if "dirty" in case else None

    def second_click() -> torch.Tensor:
        if memory is None:
            return net.answer(encoded, before, points_of(2, VIEW))
        return net.answer_after(memory, encoded, before, points_of(2, VIEW))[0]

    found, logits = timed(second_click, repeats)
    if case == "ours, checked":
        truth = published.crosscut(net, image, before, points_of(2, VIEW), 2)
        found["difference"] = float((logits - truth).abs().max())
        found["spread"] = round(float(truth.max() - truth.min()), 2)
    return found


def encoding(case: str, repeats: int) -> dict[str, Any]:
    """CrossCut's click-free work, once per view."""
    net = network("crosscut", setting="parity", divisions=(2,) if case == "ours, n = 2" else (2, 3, 4))
    image = inputs(VIEW)[0]
    return timed(lambda: net.encode(image), repeats)[0]


def fusion(case: str, repeats: int) -> dict[str, Any]:
    """A second click through 2 × 2, 3 × 3 and 4 × 4 patches; published n = 3 needs about 12 GB, n = 4 about 21 GB."""
    from benchmarks import published

    image, blob, _ = inputs(VIEW)
    points = points_of(2, VIEW)
    if case.startswith("published"):
        net = network("crosscut", setting="parity", divisions=(2,))
        n = int(case[-1])
        return timed(lambda: published.crosscut(net, image, blob, points, n), 1)[0]
    net = network("crosscut", setting="parity", divisions=(2, 3, 4))
    import torch

    with torch.inference_mode():
        encoded = net.encode(image)
    return timed(lambda: net.answer(encoded, blob, points), 1)[0]


CASES: dict[str, tuple[Callable[[str, int], dict[str, Any]], tuple[str, ...]]] = {
    "simpleclick": (
        simpleclick,
        ("published", "ours", "ours, first click", "ours, first click, warm", "ours, bf16"),
    ),
    "crosscut": (crosscut, ("published", "ours", "ours, checked", "ours, dirty 0")),
    "encoding": (encoding, ("ours, n = 2", "ours, n = 2, 3, 4")),
    "fusion": (fusion, ("published n = 2", "published n = 3", "published n = 4", "ours")),
}


def measure(group: str, case: str, threads: int, repeats: int) -> dict[str, Any]:
    """Run one case in a process of its own."""
    words = [
        sys.executable,
        __file__,
        "--case",
        f"{group}/{case}",
        "--threads",
        str(threads),
        "--repeats",
        str(repeats),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["killed: not enough memory"])[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Measure everything and print a table; or one case, as JSON, when called by itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", action="append", choices=CASES)
    parser.add_argument("--skip", action="append", default=[], help="GROUP/CASE left out, such as those too large here")
    parser.add_argument("--json", dest="file", type=Path)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    words = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    if words.case:
        import torch

        torch.set_num_threads(words.threads)
        group, case = words.case.split("/")
        found = CASES[group][0](case, words.repeats)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({**found, "peak_gb": round(peak, 2)}))
        return
    rows: dict[str, dict[str, Any]] = {}
    for group in words.only or CASES:
        for case in CASES[group][1]:
            if f"{group}/{case}" not in words.skip:
                rows[f"{group}/{case}"] = found = measure(group, case, words.threads, words.repeats)
                base = rows.get(f"{group}/published", {})
                if base.get("cpu_s") and "cpu_s" in found:
                    found["times_cpu"] = round(base["cpu_s"] / max(found["cpu_s"], 1e-9), 2)
                    found["times_wall"] = round(base["wall_s"] / max(found["wall_s"], 1e-9), 2)
                    found["times_memory"] = round(base["peak_gb"] / found["peak_gb"], 2)
                print(f"{group}/{case}: " + ", ".join(f"{key} {value}" for key, value in found.items()), flush=True)
    if words.file:
        words.file.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
