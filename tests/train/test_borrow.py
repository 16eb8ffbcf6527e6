"""Prompts borrowed from other crops."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.core.click import Target  # noqa: E402
from terraclick.train.borrow import Borrowed, Lenders, bank_row  # noqa: E402
from terraclick.train.config import TrainConfig  # noqa: E402
from terraclick.train.crops import Crop  # noqa: E402
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


def test_click_loss_looks_under_the_disks_only():
    logits, truth = torch.zeros(1, 4, 4), torch.ones(1, 4, 4)
    logits[0, 0, 0] = 20
    disks = torch.zeros(1, 4, 4)
    assert click_loss(logits, truth, truth > 0, disks).item() == 0
    disks[0, 0, 0] = 1
    assert click_loss(logits, truth, truth > 0, disks).item() < 1e-6
    disks[0, 1, 1] = 1
    assert click_loss(logits, truth, truth > 0, disks).item() == pytest.approx(np.log(2) / 2, rel=1e-4)
