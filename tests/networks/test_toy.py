"""A network is one folder: every verb knows it by what the folder declares."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from click.testing import CliRunner  # noqa: E402

from terraclick import cost, load  # noqa: E402
from terraclick.cli import cli  # noqa: E402
from terraclick.core.click import Click, Prompt  # noqa: E402
from terraclick.core.predictor import View  # noqa: E402
from terraclick.networks.checkpoint import load_network  # noqa: E402
from terraclick.train.networks import NETWORK_RECIPES  # noqa: E402

VIEW = View(np.random.default_rng(0).integers(0, 255, (80, 90, 3)).astype(np.uint8))
PROMPT = Prompt((Click(30, 40), Click(5, 6, False)))


def verb(*words):
    told = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return told.output


def test_every_verb_knows_it(tmp_path):
    assert "toy-s" in verb("models") and NETWORK_RECIPES["toy-s"]().family == "toy"
    assert cost.measure("toy-s", 1, 1).side == 64
    state = load_network("toy-s", random=0).state_dict()
    torch.save(
        {"state_dict": {name.replace("stem.", "backbone."): value for name, value in state.items()}}, tmp_path / "p.pth"
    )
    verb("convert", tmp_path / "p.pth", tmp_path / "ours", "--as", "toy-s")
    answers = []
    verb("export", "toy-s", "--weights", tmp_path / "ours.safetensors", "--out", tmp_path / "made")
    for weights in (tmp_path / "p.pth", tmp_path / "ours.safetensors", tmp_path / "made"):
        predictor = load("toy-s", weights=weights)
        answers.append(predictor.predict(predictor.encode(VIEW), PROMPT, None).probs)
    assert np.array_equal(answers[0], answers[1]) and np.allclose(answers[0], answers[2], atol=1e-4)


def test_it_is_trained(tiny_dataset, tmp_path):
    verb("train", "toy-s", "--data", tiny_dataset, "--out", tmp_path / "run", "--steps", 2)
    assert load("toy-s", weights=tmp_path / "run" / "network.safetensors")
