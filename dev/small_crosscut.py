"""Train a small CrossCut on one CPU core: python dev/small_crosscut.py VIT TRAIN DEVTEST OUT [STEPS STEPS].

VIT is a ViT-S/14 in DINOv2's layout. First single patches (crops of 224 px, a quarter of the work), then views of
2 × 2 patches, so that patches without a click are seen too. Stopped and started again it goes on where it was. Prints
the mIoU after 1 … 5 clicks on class tasks of DEVTEST; `benchmarks/dirty.py OUT/views/network.safetensors DEVTEST
--side 448` takes it from there.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from terraclick.data.datasets import open_datasets
from terraclick.networks.checkpoint import load_network, read_published, save_network
from terraclick.networks.crosscut.recipe import crosscut_s
from terraclick.networks.initial import initialise
from terraclick.networks.recipe import EpisodeRule
from terraclick.train.episode_loss import click_curve
from terraclick.train.episodes import draw_episode, reader
from terraclick.train.networks import train_network
from terraclick.train.trainer import RunOptions

LOUDER = 12.0


def printed(every: int = 20):
    """A report that prints the mean loss now and then."""
    recent: deque[float] = deque(maxlen=every)

    def report(kind: str, step: int, steps: int, figures: dict[str, float]) -> None:
        if kind == "train":
            recent.append(figures["loss"])
            if step % every == 0:
                print(f"step {step}/{steps} loss {np.mean(recent):.3f} cpu {time.process_time():.0f} s", flush=True)

    return report


def score(weights: Path, data: Path, tasks: int = 24) -> str:
    """mIoU after each click on class tasks of 448 px."""
    held = open_datasets(data)
    read, rule = reader(held), EpisodeRule("class", 448, (1, 1), augment=False)
    episodes = [draw_episode(held, read, rule, np.random.default_rng([0, n])) for n in range(tasks)]
    config = replace(crosscut_s().config, divisions=(2,))
    with torch.inference_mode():
        curve = click_curve(load_network("crosscut", weights, config=config), episodes, 5)
    return " ".join(f"{value:.3f}" for value in curve.mean(axis=0))


def block_of(name: str) -> int:
    """Number of the block that an array belongs to, 0 for what comes before and after the blocks."""
    return int(name.split(".")[1]) if name.startswith("blocks.") else 0


@torch.no_grad()
def loudened(network: torch.nn.Module) -> None:
    """Make the ViT's tokens LOUDER times as large; no block sees a difference, since each begins with a norm.

    This ViT's tokens deviate by .06 only, and once LayerScale is folded in, so do the weights that write to them
    (.006): Adam's steps of 1e-4 wipe them out within fifty, and clicks (.3) drown them.
    """
    for name, weight in network.backbone.named_parameters():
        if any(part in name for part in ("patch_embed.proj", "pos_embed", "attn.proj", "mlp.fc2")):
            weight *= LOUDER


def main(vit: Path, train: Path, devtest: Path, out: Path, steps: tuple[int, int]) -> None:
    """Both parts of the training, each followed by its score."""
    torch.set_num_threads(1)
    recipe = crosscut_s()
    out.mkdir(parents=True, exist_ok=True)
    start = out / "start.safetensors"
    if not start.exists():
        first = {
            key: value for key, value in read_published(vit).items() if block_of(key) < recipe.config.base.vit.depth
        }
        save_file({key: value.contiguous() for key, value in first.items()}, out / "vit.safetensors")
        network = initialise("crosscut", out / "vit.safetensors", config=recipe.config)
        for part in (network.prompt[-1].weight, network.prompt[-1].bias):
            torch.nn.init.zeros_(part)  # training begins as if there were no prompt
        loudened(network)
        save_network(network, "crosscut", recipe.config, out / "start")
    single = replace(
        recipe,
        name="patches",
        config=replace(recipe.config, divisions=(1,)),
        episodes=replace(recipe.episodes, side=224),
        steps=steps[0],
    )
    views = replace(recipe, name="views", steps=steps[1], batch=1, rate=0.4 * recipe.rate)
    for part in (single, views):
        if not (out / part.name / "network.safetensors").exists():
            start = train_network(part, train, out / part.name, start, RunOptions(resume=True, progress=printed()))
        start = out / part.name / "network.safetensors"
        print(f"{part.name}: mIoU@1-5 {score(start, devtest)}", flush=True)


if __name__ == "__main__":
    places = [Path(word) for word in sys.argv[1:5]]
    main(*places, (int(sys.argv[5]), int(sys.argv[6])) if len(sys.argv) > 5 else (500, 120))
