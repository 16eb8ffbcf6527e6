"""Small trainings that show whether the papers' networks are wired right: python dev/network_trials.py TRIAL [SEED …].

A made-up world of red disks and blue squares on noisy ground, too easy to say anything about maps, hard enough that a
network whose prompts, references or modulation reach nobody cannot solve it. Minutes on one CPU core. Prints one line
per seed and the paired difference over all seeds with a bootstrap interval of 95 %.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from terraclick.blocks.layers import ClickViTConfig
from terraclick.blocks.tuning import tune
from terraclick.core.masks import iou
from terraclick.core.simulate import next_click
from terraclick.data.datasets import open_datasets
from terraclick.networks.checkpoint import build
from terraclick.networks.crosscut import network as crosscut
from terraclick.networks.isrefiner.config import IsRefinerConfig
from terraclick.networks.mfp.network import MfpConfig
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe
from terraclick.networks.refcut.network import RefCutConfig
from terraclick.networks.simpleclick.network import SimpleClickConfig
from terraclick.predictors.inputs import click_points
from terraclick.train.episode_loss import click_curve, training_loss
from terraclick.train.episodes import Episode, draw_episode, reader
from terraclick.values import MASK_THRESHOLD

SIDE = 224
BASE = SimpleClickConfig(ClickViTConfig(dim=64, depth=4, heads=4, size=SIDE), (16, 32, 64, 128), 32)


RED_AND_BLUE = ((185, 70, 60), (70, 80, 180))
DULL = ((128, 118, 92), (96, 116, 128))


def make_world(folder: Path, pictures: int, side: int, things: int, seed: int, colours=RED_AND_BLUE, size=(18, 40)):
    """A dataset of red disks (class 1) and blue squares (class 2), or other colours, on noisy ground."""
    rng = np.random.default_rng(seed)
    for part in ("images", "masks", "instances"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    entries = []
    for number in range(pictures):
        image = rng.normal(110, 14, (side, side, 3)) + rng.uniform(-25, 25, 3)
        classes, instances, objects = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint16), []
        for _ in range(things):
            kind, reach = int(rng.integers(1, 3)), int(rng.integers(*size))
            row, col = (int(rng.integers(reach, side - reach)) for _ in range(2))
            mask = np.zeros((side, side), np.uint8)
            if kind == 1:
                cv2.circle(mask, (col, row), reach, 1, -1)
            else:
                cv2.rectangle(mask, (col - reach, row - reach), (col + reach, row + reach), 1, -1)
            inside = mask == 1
            if (instances[inside] > 0).any():
                continue
            image[inside] = np.array(colours[kind - 1]) + rng.normal(0, 14, (inside.sum(), 3))
            classes[inside], instances[inside] = kind, len(objects) + 1
            objects.append({"id": len(objects) + 1, "cls": kind, "area": int(inside.sum())})
        files = {"image": f"images/{number}.png", "mask": f"masks/{number}.png", "instances": f"instances/{number}.png"}
        pixels = np.clip(image, 0, 255).astype(np.uint8)[..., ::-1]
        for file, array in zip(files.values(), (pixels, classes, instances), strict=True):
            cv2.imwrite(str(folder / file), np.ascontiguousarray(array))
        entries.append({**files, "height": side, "width": side, "objects": objects})
    meta = {"classes": {0: "ground", 1: "red", 2: "blue"}, "true_instances": True, "images": entries}
    (folder / "meta.json").write_text(json.dumps({"dataset": folder.name, **meta}))
    return folder


def make_aircraft(folder: Path, pictures: int, seed: int):
    """A dataset of turned aircraft (class 4) of three parts: red body (1), blue wings (2), green tail (3)."""
    rng, side = np.random.default_rng(seed), 300
    for part in ("images", "masks", "instances"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    shapes = (((-34, -9), (34, 9)), ((-12, -32), (12, 32)), ((-44, -18), (-28, 18)))
    colours = ((185, 70, 60), (70, 80, 180), (70, 150, 70))
    entries = []
    for number in range(pictures):
        image = rng.normal(110, 14, (side, side, 3)) + rng.uniform(-25, 25, 3)
        planes, objects = np.zeros((2, 2, side, side), np.uint16), []
        for half in range(2):
            centre = np.array([150, 75 + 150 * half]) + rng.uniform(-40, 40, 2) * (1, 0.2)
            angle, size, whole = rng.uniform(0, 2 * np.pi), rng.uniform(1.6, 1.9), len(objects) + 1
            turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            objects.append({"id": whole, "cls": 4, "area": 0})
            for kind in (2, 1, 3):
                (top, left), (bottom, right) = shapes[kind - 1]
                corners = np.array([(top, left), (top, right), (bottom, right), (bottom, left)]) @ turn.T + centre
                mask = (
                    cv2.fillPoly(np.zeros((side, side), np.uint8), [np.round(corners[:, ::-1]).astype(np.int32)], 1)
                    == 1
                )
                image[mask] = np.array(colours[kind - 1]) + rng.normal(0, 14, (mask.sum(), 3))
                planes[0][:, mask] = np.array([[4], [whole]])
                planes[1][:, mask] = np.array([[kind], [len(objects) + 1]])
                objects.append({"id": len(objects) + 1, "cls": kind, "area": 1, "layer": 1, "of": whole})
        for thing in objects:
            thing["area"] = int((planes[thing.get("layer", 0), 1] == thing["id"]).sum())
        masks, instances = ([f"{kind}/{number}-{plane}.png" for plane in range(2)] for kind in ("masks", "instances"))
        cv2.imwrite(str(folder / f"images/{number}.png"), np.clip(image, 0, 255).astype(np.uint8)[..., ::-1])
        for plane in range(2):
            cv2.imwrite(str(folder / masks[plane]), planes[plane, 0].astype(np.uint8))
            cv2.imwrite(str(folder / instances[plane]), planes[plane, 1])
        entries.append(
            {
                "image": f"images/{number}.png",
                "mask": masks,
                "instances": instances,
                "height": side,
                "width": side,
                "objects": objects,
            }
        )
    meta = {"classes": {0: "ground", 1: "body", 2: "wings", 3: "tail", 4: "aircraft"}, "true_instances": True}
    (folder / "meta.json").write_text(json.dumps({"dataset": folder.name, **meta, "images": entries}))
    return folder


def fit(recipe: NetworkRecipe, folder: Path, say: str, before: Callable | None = None) -> torch.nn.Module:
    """Train a network by a recipe, changed by `before` at the start; prints the loss now and then."""
    datasets = open_datasets(folder)
    read = reader(datasets)
    torch.manual_seed(recipe.seed)
    network = tune(build(recipe.family, recipe.config)[0], recipe.tuning, recipe.rank).train()
    if before is not None:
        before(network)
    optimizer = torch.optim.Adam([w for w in network.parameters() if w.requires_grad], lr=recipe.rate)
    started, losses = time.process_time(), []
    for step in range(recipe.steps):
        rng = np.random.default_rng([recipe.seed, 3, step])
        torch.manual_seed(step)
        episodes = [draw_episode(datasets, read, recipe.episodes, rng) for _ in range(recipe.batch)]
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * min(1.0, (step + 1) / 20) * (0.2 if step > 0.8 * recipe.steps else 1.0)
        loss = training_loss(network.train(), episodes, recipe, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        if (step + 1) % max(1, recipe.steps // 6) == 0:
            recent = np.mean(losses[-recipe.steps // 6 :])
            print(f"{say} step {step + 1} loss {recent:.3f} cpu {time.process_time() - started:.0f} s", flush=True)
    return network


def interval(differences: np.ndarray) -> str:
    """Mean with its 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    means = rng.choice(differences, (2000, len(differences))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{differences.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def refcut(seed: int) -> dict[str, np.ndarray]:
    """IoU after one click with the right reference, none, and another episode's: references show classes."""
    return referred(partial(make_world, side=300, things=14), "combination", (0.9, 1.1), seed, 1e-3, "last")


def pairs(seed: int) -> dict[str, np.ndarray]:
    """The same by the paper's pairs: some parts of an object, shown on another object of its category."""
    return referred(make_aircraft, "parts", (1.2, 1.4), seed, 5e-4, "dice")


def referred(
    make: Callable, asked: str, scale: tuple[float, float], seed: int, rate: float, loss: str
) -> dict[str, np.ndarray]:
    """Train a small RefCut in a made-up world and click in another one with three kinds of reference."""
    with tempfile.TemporaryDirectory() as folder:
        world = make(Path(folder) / "train", pictures=24, seed=seed)
        other = make(Path(folder) / "held", pictures=12, seed=seed + 1000)
        rule = EpisodeRule(asked, SIDE, scale, references=True, augment=False)
        config = RefCutConfig(BASE, reference_side=SIDE)
        recipe = NetworkRecipe(
            "trial", "refcut", config, rule, steps=STEPS, batch=4, rate=rate, loss=loss, next_clicks=1, seed=seed
        )
        network = fit(recipe, world, f"{asked} seed {seed}")
        held = open_datasets(other)
        read, shown = reader(held), replace(rule, no_reference=0, one_mask=0)
        episodes = [draw_episode(held, read, shown, np.random.default_rng([seed, 9, n])) for n in range(60)]
        order = np.roll(np.arange(len(episodes)), 7)
        shuffled = [replace(e, example=episodes[n].example) for e, n in zip(episodes, order, strict=True)]
        bare = [replace(e, example=None) for e in episodes]
        return {
            name: click_curve(network, given, 1)[:, 0]
            for name, given in (("right", episodes), ("none", bare), ("shuffled", shuffled))
        }


@torch.no_grad()
def elsewhere(network: torch.nn.Module, episodes: list[Episode], clicks: int) -> np.ndarray:
    """IoU in the three quarters where nobody clicked, after `clicks` clicks of the robot in the fullest quarter."""
    network.eval()
    out = []
    for episode in episodes:
        truth, half = episode.truth == 1, len(episode.truth) // 2
        quarters = [np.s_[row : row + half, col : col + half] for row in (0, half) for col in (0, half)]
        clicked = np.zeros(truth.shape, bool)
        clicked[max(quarters, key=lambda quarter: np.count_nonzero(truth[quarter]))] = True
        image = torch.from_numpy(episode.image).permute(2, 0, 1)[None].float() / 255
        encoded, given, previous = network.encode(image), (), torch.zeros(1, 1, *truth.shape)
        for _ in range(clicks):
            mask = (previous[0, 0] > MASK_THRESHOLD).numpy()
            click = next_click(mask, truth, ~clicked, given)
            given = given if click is None else (*given, click)
            previous = torch.sigmoid(network.answer(encoded, previous, torch.from_numpy(click_points(given))))
        out.append(iou((previous[0, 0] > MASK_THRESHOLD).numpy(), truth, clicked))
    return np.array(out)


def cpe(seed: int) -> dict[str, np.ndarray]:
    """CrossCut with and without its prompt: mIoU@5 in patches without clicks (patches of 224 px, to be quick)."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder) / "train", 24, 460, 26, seed)
        held = open_datasets(make_world(Path(folder) / "held", 12, 460, 26, seed + 1000))
        rule = EpisodeRule("class", 2 * SIDE, (1, 1), augment=False)
        read = reader(held)
        episodes = [draw_episode(held, read, rule, np.random.default_rng([seed, 9, n])) for n in range(30)]
        config = crosscut.CrossCutConfig(BASE, divisions=(2,), overlap=0)
        recipe = NetworkRecipe(
            "trial", "crosscut", config, rule, steps=STEPS, batch=1, rate=1e-3, next_clicks=1, seed=seed
        )
        for name, keep in (("with", True), ("without", False)):
            network = fit(recipe, world, f"crosscut {name} seed {seed}", None if keep else silence)
            found[name] = elsewhere(network, episodes, 5)
    return found


def dirty(seed: int) -> dict[str, np.ndarray]:
    """CrossCut recomputing only changed patches, mIoU@1-5 of classes in views of 2 × 2 and 4 × 4 patches of 224 px."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from benchmarks.dirty import clicked

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder) / "train", 24, 460, 26, seed)
        config = crosscut.CrossCutConfig(BASE, divisions=(2,), overlap=0)
        rule = EpisodeRule("class", 2 * SIDE, (1, 1), augment=False)
        recipe = NetworkRecipe(
            "trial", "crosscut", config, rule, steps=STEPS, batch=1, rate=1e-3, next_clicks=1, seed=seed
        )
        trained = fit(recipe, world, f"crosscut seed {seed}").state_dict()
        for n in (2, 4):
            held = open_datasets(make_world(Path(folder) / f"held{n}", 12, 230 * n, 7 * n * n, seed + 1000))
            read, wide = reader(held), replace(rule, side=n * SIDE)
            episodes = [draw_episode(held, read, wide, np.random.default_rng([seed, 9, k])) for k in range(12)]
            modes = [("every patch", None), *((f"{e:g}", e) for e in (0.0, 0.02, 0.05, 0.1, 0.2)), ("published", None)]
            for name, epsilon in modes:
                plain = name == "published"  # a second a click: timed on two tasks
                setting = replace(config, divisions=(n,), dirty=epsilon, setting="parity" if plain else "paper")
                network = build("crosscut", setting)[0].eval()
                network.load_state_dict(trained)
                curve, share, seconds = clicked(network, episodes[:2] if plain else episodes, 5, plain)
                marks = " ".join(f"{value:.3f}" for value in curve.mean(axis=0))
                print(f"seed {seed} n {n} {name}: mIoU@1-5 {marks}, patches {share:.1%}, {seconds:.3f} s", flush=True)
                if n == 2 and not plain:
                    found[name] = curve[:, -1]
    return found


def silence(network: torch.nn.Module) -> None:
    """Take the cross-patch prompt away: zeros that stay zeros."""
    for weight in network.prompt.parameters():
        torch.nn.init.zeros_(weight)
        weight.requires_grad_(False)


class Repeated:
    """A network whose answer is fed back so many times before it counts (CFR)."""

    def __init__(self, network: torch.nn.Module, times: int) -> None:
        self.network, self.times = network, times

    def eval(self) -> None:
        self.network.eval()

    def encode(self, image: torch.Tensor) -> object:
        return self.network.encode(image)

    def answer(self, encoded: object, previous: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        for _ in range(self.times):
            previous = torch.sigmoid(self.network.answer(encoded, previous, points))
        return self.network.answer(encoded, previous, points)


def cfr(seed: int) -> dict[str, np.ndarray]:
    """IoU after 1 … 5 clicks on objects, each answer fed back 0, 1 or 4 times; rows are episodes, one arm a click."""
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder) / "train", 24, 300, 14, seed)
        held = open_datasets(make_world(Path(folder) / "held", 12, 300, 14, seed + 1000))
        rule = EpisodeRule("object", SIDE, (0.9, 1.1), augment=False)
        recipe = NetworkRecipe("trial", "simpleclick", BASE, rule, steps=STEPS, batch=4, rate=1e-3, seed=seed)
        network = fit(recipe, world, f"simpleclick seed {seed}")
        read = reader(held)
        episodes = [draw_episode(held, read, rule, np.random.default_rng([seed, 9, n])) for n in range(40)]
    found = {}
    for times in (0, 1, 4):
        curve = click_curve(Repeated(network, times), episodes, 5)
        print(f"cfr seed {seed} fed back {times}: mIoU@1-5 " + " ".join(f"{v:.3f}" for v in curve.mean(axis=0)))
        found[f"fed back {times}"] = curve.mean(axis=1)
    return found


def isrefiner(seed: int) -> dict[str, np.ndarray]:
    """mIoU@1-5 on dull things: adapter, adapter without modulation, and the net it stands on, which saw others."""
    vit = BASE.vit
    with tempfile.TemporaryDirectory() as folder:
        known = make_world(Path(folder) / "known", 24, 300, 14, seed)
        world = make_world(Path(folder) / "train", 24, 300, 14, seed + 500, DULL)
        held = open_datasets(make_world(Path(folder) / "held", 12, 300, 14, seed + 1000, DULL))
        rule = EpisodeRule("object", SIDE, (0.9, 1.1), augment=False)
        recipe = NetworkRecipe(
            "trial", "mfp", MfpConfig(BASE), rule, steps=STEPS, batch=4, rate=1e-3, first="one", seed=seed
        )
        base = fit(recipe, known, f"mfp seed {seed}")
        read = reader(held)
        episodes = [draw_episode(held, read, rule, np.random.default_rng([seed, 9, n])) for n in range(40)]
        found = {"adapter": None, "no modulation": None, "no adapter": click_curve(base, episodes, 5)}
        kept = {name: value for name, value in base.state_dict().items() if not name.startswith("head.")}
        for name, rule_name in (("adapter", "isrefiner"), ("no modulation", "none")):
            config = IsRefinerConfig(vit, BASE.pyramid, heads=4, widths=(16, 16, 32, 64), modulation=rule_name)
            tuned = replace(recipe, family="isrefiner", config=config, tuning="adapter")
            start = partial(torch.nn.Module.load_state_dict, state_dict=kept, strict=False)
            found[name] = click_curve(fit(tuned, world, f"isrefiner {name} seed {seed}", start), episodes, 5)
    for name, curve in found.items():
        print(f"isrefiner seed {seed} {name}: mIoU@1-5 " + " ".join(f"{v:.3f}" for v in curve.mean(axis=0)))
    return {name: curve.mean(axis=1) for name, curve in found.items()}


def tuning(seed: int) -> dict[str, np.ndarray]:
    """mIoU@1-5 on dull things of an MFP that saw others, tuned as adapter, by LoRA-16, wholly, and not at all."""
    with tempfile.TemporaryDirectory() as folder:
        known = make_world(Path(folder) / "known", 24, 300, 14, seed)
        world = make_world(Path(folder) / "train", 24, 300, 14, seed + 500, DULL)
        held = open_datasets(make_world(Path(folder) / "held", 12, 300, 14, seed + 1000, DULL))
        rule = EpisodeRule("object", SIDE, (0.9, 1.1), augment=False)
        recipe = NetworkRecipe(
            "trial", "mfp", MfpConfig(BASE), rule, steps=STEPS, batch=4, rate=1e-3, first="one", seed=seed
        )
        base = fit(recipe, known, f"mfp seed {seed}")
        read = reader(held)
        episodes = [draw_episode(held, read, rule, np.random.default_rng([seed, 9, n])) for n in range(40)]
        found = {"adapter": np.zeros(0), "nothing": click_curve(base, episodes, 5)}
        kept = {name: value.clone() for name, value in base.state_dict().items()}
        config = IsRefinerConfig(BASE.vit, BASE.pyramid, heads=4, widths=(16, 16, 32, 64))
        arms = {
            "adapter": replace(recipe, family="isrefiner", config=config, tuning="adapter", steps=STEPS // 2),
            "LoRA-16": replace(recipe, tuning="lora", rank=16, steps=STEPS // 2),
            "full": replace(recipe, steps=STEPS // 2, rate=3e-4),
        }
        for name, arm in arms.items():
            found[name] = click_curve(fit(arm, world, f"{name} seed {seed}", partial(start_at, kept)), episodes, 5)
    for name, curve in found.items():
        print(f"tuning seed {seed} {name}: mIoU@1-5 " + " ".join(f"{v:.3f}" for v in curve.mean(axis=0)))
    return {name: curve.mean(axis=1) for name, curve in found.items()}


def start_at(kept: dict[str, torch.Tensor], network: torch.nn.Module) -> None:
    """Give a network the weights of the one it stands on, whatever its tuning renamed; its own head stays."""
    own = network.state_dict()
    for name, value in kept.items():
        for place in (name, name.replace(".weight", ".layer.weight").replace(".bias", ".layer.bias")):
            if place in own and own[place].shape == value.shape:
                own[place] = value
    network.load_state_dict(own)


STEPS = int(os.environ.get("STEPS", "200"))
TRIALS = {
    "tuning": tuning,
    "refcut": refcut,
    "pairs": pairs,
    "cpe": cpe,
    "cfr": cfr,
    "isrefiner": isrefiner,
    "dirty": dirty,
}


def main(trial: str, seeds: list[int]) -> None:
    """Run a trial over seeds and compare its arms."""
    torch.set_num_threads(1)
    every: dict[str, list[np.ndarray]] = {}
    for seed in seeds:
        found = TRIALS[trial](seed)
        print(f"{trial} seed {seed}: " + ", ".join(f"{k} {v.mean():.3f}" for k, v in found.items()), flush=True)
        for name, values in found.items():
            every.setdefault(name, []).append(values)
    arms = {name: np.concatenate(values) for name, values in every.items()}
    first, *others = arms
    for name in others:
        print(f"{first} - {name}: {interval(arms[first] - arms[name])}")


if __name__ == "__main__":
    main(sys.argv[1], [int(word) for word in sys.argv[2:]] or [0, 1, 2])
