"""Prompts borrowed from other crops."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.data.augment import Turn  # noqa: E402
from terraclick.terra.patches import ENCODER_SIDE  # noqa: E402
from terraclick.train.borrow import Borrowed, Lenders, lent  # noqa: E402
from terraclick.train.crops import Asked, Crop  # noqa: E402
from terraclick.train.losses import click_loss  # noqa: E402
from terraclick.values import Target  # noqa: E402

SIDE, HALF = ENCODER_SIDE, ENCODER_SIDE // 2
STRAIGHT = Turn(0, False, SIDE)


def crop(cls, picture, sheet, place=(0, 0)):
    truth = np.zeros((SIDE, SIDE), np.uint8)
    truth[:, :HALF] = 1
    tokens = np.zeros((4, 24, 24), np.float16)
    tokens[0, :, :12], tokens[1, :, 12:], tokens[2:] = 1, 1, 1
    principal = np.linspace(-1, 1, 24 * 24, dtype=np.float16).reshape(1, 24, 24)
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    asked = (Asked(Target.CLASS, truth, cls),)
    return Crop(image, tokens, tokens[:2], principal, asked, (cls,), ("set", picture), sheet, place)


CROPS = {10: crop(1, "a", 0), 11: crop(1, "b", 1), 12: crop(2, "a", 2)}


def test_clicks_are_borrowed_from_the_same_class_and_lie_on_it():
    rng = np.random.default_rng(0)
    for _ in range(20):
        for prompt in Lenders(CROPS).clicks(10, 1, rng):
            assert prompt.crop == 11 and prompt.positive == (prompt.col < HALF) and prompt.offset != (0, 0)
    assert Lenders(CROPS).clicks(12, 2, rng) == ()


def test_negative_references_show_another_class():
    rng = np.random.default_rng(1)
    drawn = [prompt for _ in range(40) for prompt in Lenders(CROPS).references(10, 1, rng)]
    assert {(prompt.crop, prompt.positive) for prompt in drawn} == {(11, True), (12, False)}


def test_an_example_is_one_thing_or_all_of_a_class_of_another_crop():
    mixed = {
        number: replace(part, asked=(*part.asked, replace(part.asked[0], target=Target.OBJECT)))
        for number, part in CROPS.items()
    }
    drawn = {Lenders(mixed).example(10, 1, np.random.default_rng(seed)) for seed in range(40)}
    assert drawn == {None, (11, 0), (11, 1)}


def test_patches_cut_together_lend_first_and_keep_their_places():
    sheet = {20: crop(1, "c", 5), 23: crop(1, "c", 5, (1, 1)), 30: crop(1, "c", 6)}
    for seed in range(20):
        prompts = Lenders(sheet).clicks(20, 1, np.random.default_rng(seed))
        assert prompts and {(prompt.crop, prompt.offset) for prompt in prompts} == {(23, (1, 1))}


def test_rows_and_evidence_of_borrowed_prompts():
    rows, evidence = lent(CROPS, [Borrowed(11, 0, True, 10.0, 5.0, (0, 2))], STRAIGHT)
    assert rows[0].place == (10.0, 5.0 + 2 * SIDE) and rows[0].feature[0] == pytest.approx(1)
    weights = evidence[0].tokens.weights
    assert weights[0].sum() > 0 and weights[0].argmax() == 0 and not weights[1:].any()
    rows, evidence = lent(CROPS, [Borrowed(11, 0, False)], STRAIGHT)
    assert rows[0].place is None and not rows[0].positive and rows[0].feature[0] == pytest.approx(1)
    weights = evidence[0].colour.weights
    assert weights[3, :, :20].all() and not weights[3, :, 40:].any() and not weights[:3].any()


@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_borrowed_place_turns_with_the_crop(quarter, mirrored):
    """A lender to the right of an upright crop lies where a mark in a larger picture turned alike comes to lie."""
    turn = Turn(quarter, mirrored, SIDE)
    rows, _ = lent(CROPS, [Borrowed(11, 0, True, 10.0, 5.0, (0, 1))], turn)
    large = np.zeros((3 * SIDE, 3 * SIDE), bool)
    large[SIDE + 10, 2 * SIDE + 5] = True
    row, col = np.argwhere(turn.picture(large))[0] - SIDE
    assert rows[0].place == (row, col)


def test_click_loss_looks_under_the_disks_only():
    logits, truth = torch.zeros(1, 4, 4), torch.ones(1, 4, 4)
    logits[0, 0, 0] = 20
    disks = torch.zeros(1, 4, 4)
    assert click_loss(logits, truth, truth > 0, disks).item() == 0
    disks[0, 0, 0] = 1
    assert click_loss(logits, truth, truth > 0, disks).item() < 1e-6
    disks[0, 1, 1] = 1
    assert click_loss(logits, truth, truth > 0, disks).item() == pytest.approx(np.log(2) / 2, rel=1e-4)
