"""The transcription that `benchmarks/ratios.py` measures against gives the recorded answers itself."""

import importlib.util
from pathlib import Path

import pytest
import torch
from parity import close, fixture, image, previous, state

from terraclick.blocks.layers import ClickViTConfig
from terraclick.networks.checkpoint import load_published
from terraclick.networks.crosscut.config import CrossCutConfig
from terraclick.networks.simpleclick.network import SimpleClickConfig

TINY = SimpleClickConfig(ClickViTConfig(dim=32, heads=2), (8, 16, 32, 64), 16)


@pytest.fixture(scope="module")
def plain():
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "published.py"
    spec = importlib.util.spec_from_file_location("published", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inputs(arrays, points="points"):
    return image(arrays["image_u8"]), previous(arrays["prev_mask_u8"]), torch.from_numpy(arrays[points])


def test_parity_simpleclick_tiny_d12_x1_in_the_published_order(plain, shared):
    arrays, _ = fixture(shared, "simpleclick_tiny_d12_x1")
    network = load_published("simpleclick", state(arrays), TINY)
    close(plain.simpleclick(network, *inputs(arrays)), arrays["logits"])


@pytest.mark.parametrize(("n", "points", "truth"), [(2, "points", "logits_n2"), (2, "points_far", "logits_n2_far_s2")])
def test_parity_crosscut_tiny_in_the_published_order(n, points, truth, plain, shared):
    arrays, _ = fixture(shared, "crosscut_tiny")
    weights = state(fixture(shared, "simpleclick_tiny_d12_x1")[0]) | state(arrays)
    network = load_published("crosscut", weights, CrossCutConfig(TINY, "parity", (n,)))
    logits = plain.crosscut(network, *inputs(arrays, points), n)
    close(logits[..., :: 2 if truth.endswith("_s2") else 1, :: 2 if truth.endswith("_s2") else 1], arrays[truth], 2e-4)
