"""A batch in parts and over processes: the same run as one process that computes it whole."""

import json
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.blocks.layers import ClickViTConfig  # noqa: E402
from terraclick.errors import BadConfig  # noqa: E402
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe  # noqa: E402
from terraclick.networks.simpleclick.network import SimpleClickConfig  # noqa: E402
from terraclick.train.networks import train_network  # noqa: E402
from terraclick.train.sharing import Shared, shared  # noqa: E402

BASE = SimpleClickConfig(ClickViTConfig(dim=32, depth=4, heads=4, size=224), (8, 16, 32, 64), 16)
RECIPE = NetworkRecipe("tiny", "simpleclick", BASE, EpisodeRule(side=64), steps=3, batch=4, rate=1e-3)


@pytest.fixture(autouse=True)
def no_dropout(monkeypatch):
    """Dropout draws per process; without it nothing else may differ."""
    monkeypatch.setattr(torch.nn.functional, "dropout", lambda x, *_: x)
    monkeypatch.setattr(torch.nn.functional, "dropout2d", lambda x, *_: x)


def weights(path):
    from safetensors.torch import load_file

    return load_file(path)


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_batch_in_parts_is_the_same_batch(tiny_dataset, tmp_path):
    whole = train_network(RECIPE, tiny_dataset, tmp_path / "whole")
    for parts in (2, 3, 4):
        found = train_network(replace(RECIPE, accumulate=parts), tiny_dataset, tmp_path / f"{parts}")
        assert losses(tmp_path / f"{parts}") == pytest.approx(losses(tmp_path / "whole"), rel=1e-4)
        one, two = weights(whole), weights(found)
        assert max(float((one[name] - two[name]).abs().max()) for name in one) < 2e-3


def test_half_precision_learns_nearly_the_same(tiny_dataset, tmp_path):
    train_network(RECIPE, tiny_dataset, tmp_path / "whole")
    train_network(replace(RECIPE, precision="bfloat16"), tiny_dataset, tmp_path / "half")
    assert losses(tmp_path / "half") == pytest.approx(losses(tmp_path / "whole"), rel=0.05)
    train_network(replace(RECIPE, precision="float16"), tiny_dataset, tmp_path / "float16")
    assert losses(tmp_path / "float16") == pytest.approx(losses(tmp_path / "whole"), rel=0.05)
    with pytest.raises(BadConfig, match="bfloat16 or float16"):
        replace(RECIPE, precision="float8")


def test_every_sample_is_somebodys():
    for world in (1, 2, 3):
        dealt = [Shared(world, rank).mine(7) for rank in range(world)]
        assert sorted(sample for one in dealt for sample in one) == list(range(7))
    with pytest.raises(BadConfig, match="cannot be shared by 3"), shared(2, environ={"WORLD_SIZE": "3", "RANK": "0"}):
        pass
