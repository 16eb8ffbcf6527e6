"""Prompts borrowed from other crops, and normalisation that folds away."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.core.click import Target  # noqa: E402
from terraclick.models.efficientnet import fold  # noqa: E402
from terraclick.models.terra import ClickNet  # noqa: E402
from terraclick.train.borrow import Borrowed, Lenders, bank_row  # noqa: E402
from terraclick.train.config import TrainConfig  # noqa: E402
from terraclick.train.crops import Crop  # noqa: E402
from terraclick.train.loop import _calibrate, _initial_net  # noqa: E402
from terraclick.train.losses import click_loss  # noqa: E402

CONFIG = TrainConfig(name="tiny", datasets=("tiny",), shares=(1.0,))


def crop(cls, picture, value):
    truth = np.zeros((64, 64), np.uint8)
    truth[:, :32] = 1
    features = np.zeros((4, 24, 24), np.float16)
    features[0, :, :12], features[1, :, 12:], features[2:] = value, value, 1
    image = np.zeros((64, 64, 3), np.uint8)
    return Crop(image, features, ((Target.CLASS, truth),), (cls,), (cls,), ("set", picture))


CROPS = [crop(1, "a", 1), crop(1, "b", 1), crop(2, "a", 1)]


def test_clicks_are_borrowed_from_the_same_class_and_lie_on_it():
    rng = np.random.default_rng(0)
    for _ in range(20):
        for prompt in Lenders(CROPS).clicks(0, 1, rng):
            assert prompt.crop == 1 and prompt.positive == (prompt.col < 32) and prompt.offset != (0, 0)
    assert Lenders(CROPS).clicks(2, 2, rng) == ()


def test_negative_references_show_another_class():
    rng = np.random.default_rng(1)
    drawn = [prompt for _ in range(40) for prompt in Lenders(CROPS).references(0, 1, rng)]
    assert {(prompt.crop, prompt.positive) for prompt in drawn} == {(1, True), (2, False)}


def test_an_example_is_one_thing_or_all_of_a_class_of_another_crop():
    thing = (Target.OBJECT, CROPS[0].tasks[0][1])
    mixed = [replace(part, tasks=(*part.tasks, thing), classes=part.classes * 2) for part in CROPS]
    drawn = {Lenders(mixed).example(0, 1, np.random.default_rng(seed)) for seed in range(40)}
    assert drawn == {None, (1, 0), (1, 1)}


def test_rows_of_borrowed_prompts():
    click = bank_row(CROPS, Borrowed(1, 0, True, 10.0, 5.0, (0, 2)))
    assert click.place == (10.0, 133.0) and click.feature[0] == pytest.approx(1) and click.feature[1] == 0
    reference = bank_row(CROPS, Borrowed(1, 0, False))
    assert reference.place is None and not reference.positive and reference.feature[0] == pytest.approx(1)


def inputs(seed=0):
    rng = torch.Generator().manual_seed(seed)
    return {
        "image": torch.rand(2, 3, 64, 64, generator=rng) * 255,
        "clicks": torch.rand(2, 3, 64, 64, generator=rng),
        "tokens": torch.randn(2, 768, 24, 24, generator=rng) / 20,
        "rows": torch.randn(2, 2, 24, 768, generator=rng) / 20,
        "labels": torch.zeros(2, 2, 24, 24, dtype=torch.long),
        "maps": torch.rand(2, 8, 24, 24, generator=rng),
        "target": torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
    }


def test_folding_changes_no_answer():
    torch.manual_seed(0)
    net = ClickNet(normalize=True)
    net(**inputs())  # moves the running statistics
    plain = ClickNet()
    plain.load_state_dict(fold(net.state_dict()))
    with torch.no_grad():
        before, after = net.eval()(**inputs(1)), plain.eval()(**inputs(1))
    assert torch.allclose(before, after, atol=1e-4) and not torch.allclose(before, torch.zeros_like(before))


def test_a_start_answers_as_before_with_normalisation_put_back(tmp_path):
    torch.manual_seed(0)
    old = ClickNet().eval()
    torch.save({"arch": "terra-click-net", "weights": old.state_dict()}, tmp_path / "start.pt")
    net = _initial_net(replace(CONFIG, normalize=True, start=str(tmp_path / "start.pt")))
    _calibrate(net, inputs())
    with torch.no_grad():
        assert torch.allclose(net.eval()(**inputs(1)), old(**inputs(1)), atol=1e-4)


def test_click_loss_looks_under_the_disks_only():
    logits, truth = torch.zeros(1, 4, 4), torch.ones(1, 4, 4)
    logits[0, 0, 0] = 20
    disks = torch.zeros(1, 4, 4)
    assert click_loss(logits, truth, truth > 0, disks).item() == 0
    disks[0, 0, 0] = 1
    assert click_loss(logits, truth, truth > 0, disks).item() < 1e-6
    disks[0, 1, 1] = 1
    assert click_loss(logits, truth, truth > 0, disks).item() == pytest.approx(np.log(2) / 2, rel=1e-4)
