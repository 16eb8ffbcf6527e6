"""One tiny recipe of each kind of training, and how to run it: by tests here, and by the processes that they start.

As a program: python kinds.py KIND DATA OUT PROCESSES MORE, where MORE is JSON for `train_kind`.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from terraclick.blocks.convnext import CONVNEXT, ConvNeXtConfig
from terraclick.blocks.layers import ClickViTConfig
from terraclick.networks.bicor import network as bicor
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe
from terraclick.networks.simpleclick.network import SimpleClickConfig
from terraclick.predictors.spec import WEIGHTS
from terraclick.train import loop, semantic
from terraclick.train.config import Source, TrainConfig
from terraclick.train.networks import train_network
from terraclick.train.semantic_recipes import SemanticConfig
from terraclick.train.trainer import Habits, RunOptions
from terraclick.train.validation import Validation

BASE = SimpleClickConfig(ClickViTConfig(dim=32, depth=4, heads=4, size=224), (8, 16, 32, 64), 16)


def without_chance():
    """Dropout draws for each process; without it nothing else may differ. A ConvNeXt of a few thousand weights."""
    import torch

    torch.nn.functional.dropout = torch.nn.functional.dropout2d = lambda x, *_, **__: x
    CONVNEXT["convnext-base"] = ConvNeXtConfig((1, 1, 1, 1), (8, 8, 16, 16))
    bicor.ENCODERS["convnext-base"] = (8, 8, 16, 16)


def recipe_of(kind, data, ranks=1, **settings):
    """Six steps of four samples; terra's four are two pools of two."""
    if kind == "terra":
        common = {"crops": 4, "crop_samples": 4, "samples": 24, "batch": 2, "pool": 4, "sides": (64, 96)}
        recipe = TrainConfig("tiny", (Source("tiny", 1.0),), late_sides=(96,), precision="float32", **common)
        return replace(recipe, ranks=2, rate=1e-4, backbone_rate=1e-5, **settings)
    if kind == "network":
        return replace(NetworkRecipe("tiny", "simpleclick", BASE, EpisodeRule(side=64), 6, 4, rate=1e-3), **settings)
    meta = json.loads((data / "meta.json").read_text())
    named = tuple((name, "#808080") for name in meta["classes"].values())
    recipe = SemanticConfig("tiny", "terraclick", named, (data.name,), (data.name,), crop=64, embed=32, batch=4)
    return replace(recipe, **{"epochs": 6.0, "rate": 1e-3, **settings})


def train_kind(kind, data, out, resume=False, until=None, habits=None, validation=None, **settings):
    """A run → its kept weights by name."""
    without_chance()
    recipe, habits = recipe_of(kind, data, **settings), Habits(**(habits or {}))
    measured = None if validation is None else Validation(**validation)
    options = RunOptions(resume, until, validation=measured, habits=habits)
    if kind == "terra":
        return loop.train(recipe, data.parent, out, WEIGHTS / "terra_encoder.onnx", options=options)
    if kind == "network":
        return train_network(recipe, data, out, options=options)
    return semantic.train(recipe, data.parent, out, options=options)


def weights_of(path):
    """Kept weights by name, as arrays."""
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return load_file(path)
    import torch

    return {name: value.numpy() for name, value in torch.load(path, weights_only=True)["weights"].items()}


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def furthest(one, two):
    """Largest difference of any weight."""
    assert one.keys() == two.keys()
    return max(float(np.abs(one[name].astype(float) - two[name]).max()) for name in one)


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    kind, data, out, more = sys.argv[1:]
    train_kind(kind, Path(data), Path(out), **json.loads(more))
