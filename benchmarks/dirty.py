"""What recomputing only changed patches costs in accuracy and saves in work, for a trained CrossCut.

    python benchmarks/dirty.py crosscut.safetensors DATA [--epsilon 0 --epsilon 0.02] [--divisions 2,3,4] [--limit 20]

DATA is a folder of datasets (see docs/protocol.md); every class task of it is answered with the evaluation robot's
clicks, once computing every patch at every click and once per epsilon. Prints mIoU after each click, the share of
patches that went through the network, and processor seconds per click after the first, beside those of the published
order of work where `--published` asks for it (minutes per task).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from terraclick.core.masks import iou
from terraclick.core.simulate import next_click
from terraclick.networks.checkpoint import build, load_network, read_config
from terraclick.networks.recipe import EpisodeRule
from terraclick.predictors.inputs import click_points
from terraclick.train.episodes import Episode, draw_episode, reader
from terraclick.values import MASK_THRESHOLD, Click


@torch.inference_mode()
def clicked(network: Any, episodes: Sequence[Episode], clicks: int, published: bool) -> tuple[np.ndarray, float, float]:
    """(IoU (episodes, clicks), share of patches computed, processor seconds per later click)."""
    from benchmarks import published as plain

    curve, asked, computed, seconds = np.zeros((len(episodes), clicks)), 0, 0, []
    for row, episode in enumerate(episodes):
        image = torch.from_numpy(episode.image.astype(np.float32) / 255).permute(2, 0, 1)[None]
        encoded = network.encode(image)
        truth, ignore = episode.truth == 1, episode.truth == 255
        given: tuple[Click, ...] = ()
        memory = None
        previous, mask = torch.zeros_like(image[:, :1]), np.zeros(truth.shape, np.bool_)
        for step in range(clicks):
            click = next_click(mask, truth, ignore, given)
            given = given if click is None else (*given, click)
            points = torch.from_numpy(click_points(given))
            start = time.process_time()
            if published:
                parts = [plain.crosscut(network, image, previous, points, n) for n in network.divisions(encoded.size)]
                logits = torch.stack(parts).mean(dim=0)
            elif network.remembers:
                logits, memory = network.answer_after(memory, encoded, previous, points)
                asked, computed = asked + memory.asked, computed + memory.computed
            else:
                logits = network.answer(encoded, previous, points)
            if step:
                seconds.append(time.process_time() - start)
            # as a session keeps it, in steps of 1/255: far from the thing it is 0 and stays 0
            previous = torch.round(torch.sigmoid(logits) * 255) / 255
            mask = (previous[0, 0] > MASK_THRESHOLD).numpy()
            curve[row, step] = iou(mask, truth, ignore)
    return curve, computed / asked if asked else 1.0, float(np.mean(seconds))


def main() -> None:
    """Parse, draw the tasks, answer them in each mode, print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epsilon", type=float, action="append")
    parser.add_argument("--divisions", default="2")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--side", type=int, default=896)
    parser.add_argument("--clicks", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--published", action="store_true")
    words = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from terraclick.data.datasets import open_datasets

    held = open_datasets(words.data)
    rule, read = EpisodeRule("class", words.side, (1, 1), augment=False), reader(held)
    drawn = [np.random.default_rng([words.seed, number]) for number in range(words.limit)]
    episodes = [draw_episode(held, read, rule, rng) for rng in drawn]
    divisions = tuple(int(n) for n in words.divisions.split(","))
    trained = load_network("crosscut", words.weights)
    config = replace(read_config(words.weights.with_suffix(".json"), "crosscut"), divisions=divisions)
    modes: list[tuple[str, float | None, bool]] = [("every patch", None, False)]
    modes += [(f"epsilon {e:g}", e, False) for e in words.epsilon or (0.0, 0.01, 0.02, 0.05, 0.1)]
    if words.published:
        modes.append(("published order", None, True))
        config = replace(config, setting="parity")
    for name, epsilon, published in modes:
        network = build("crosscut", replace(config, dirty=epsilon))[0].eval()
        network.load_state_dict(trained.state_dict())
        curve, share, seconds = clicked(network, episodes, words.clicks, published)
        marks = " ".join(f"{value:.3f}" for value in curve.mean(axis=0))
        print(f"{name}: mIoU@1… {marks}; {share:.1%} of patches computed; {seconds:.2f} s per later click", flush=True)


if __name__ == "__main__":
    main()
