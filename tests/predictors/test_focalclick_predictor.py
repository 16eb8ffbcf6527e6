"""FocalClick on a view: the focus crop, the merge, and that it is a Predictor like any other."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.catalogue import load  # noqa: E402
from terraclick.core.click_sequence import ClickSequence  # noqa: E402
from terraclick.errors import BadClick, BadConfig  # noqa: E402
from terraclick.networks.focalclick.network import Coarse, FocalClickConfig  # noqa: E402
from terraclick.networks.focalclick.predictor import FocalClickPredictor, focus_crop  # noqa: E402
from terraclick.networks.focalclick.stages import FocalNetwork  # noqa: E402
from terraclick.values import (  # noqa: E402  # noqa: E402
    Click,
    Prediction,
    Prompt,
    View,
    Window,
)

TINY = FocalClickConfig((8, 16, 20, 24), (1, 1, 1, 1), (1, 2, 2, 2), head=16, refiner=8)


@pytest.fixture(scope="module")
def view():
    image = np.random.default_rng(0).integers(0, 80, (90, 120, 3)).astype(np.uint8)
    image[30:60, 40:90] += 120
    return View(image)


def predictor(**options):
    return load("focalclick-b0", random=0, config=TINY, side=64, **options)


def test_parity_focalclick_focus_crop(shared):
    recorded = np.load(shared / "parity" / "focalclick_focus_crop.npz")
    for coarse, before, row in zip(recorded["coarse_logit"], recorded["prev_prob"], recorded["rows"], strict=True):
        top, bottom, left, right, y, x, *result = (int(value) for value in row)
        target = Window(top, left, bottom - top, right - left)
        found = focus_crop(coarse > 0.49, before > 0.49, target, Click(y, x))  # a logit is compared, as published
        assert [found.row, found.row + found.rows, found.col, found.col + found.cols] == result


def test_a_click_beside_the_target_crop_focuses_on_the_target_crop():
    mask = np.zeros((100, 100), bool)
    mask[40:60, 40:60] = True
    moved = np.roll(mask, 1, axis=0)
    assert focus_crop(mask, moved, Window(0, 0, 5, 5), Click(50, 50)) == Window(0, 0, 5, 5)


@pytest.mark.parametrize("options", [{}, {"parity": True}, {"flip": True}, {"precision": "bfloat16"}])
def test_undo_is_replay(options, view):
    session, answers = ClickSequence(), predictor(**options)
    encoded = answers.encode(view)
    for click in (Click(45, 60), Click(10, 10, False), Click(50.5, 80)):
        session = session.add(click, answers, encoded)
    probs = session.latest.probs
    assert probs.shape == view.shape and probs.dtype == np.float32 and 0 <= probs.min() < probs.max() <= 1
    fresh = predictor(**options)
    again = session.undo().replay(fresh, fresh.encode(view))
    assert np.array_equal(again.latest.probs, session.undo().latest.probs)


class Drawn(torch.nn.Module):
    """A stand-in network: the coarse answer is a given mask, the refined one is undecided everywhere."""

    def __init__(self, mask):
        super().__init__()
        self.mask = torch.from_numpy(mask)

    def encode(self, image):
        return tuple(image.shape[-2:])

    def coarse(self, encoded, previous, points):
        logits = torch.where(self.mask, 6.0, -6.0)[None, None]
        return Coarse(torch.nn.functional.interpolate(logits, encoded, mode="nearest"), torch.zeros(1, 1, 4, 4))

    def refine(self, image, points, coarse, boxes):
        return torch.zeros(1, 1, *image.shape[-2:])


@pytest.mark.parametrize("number", [2, 11])
def test_the_focus_crop_is_refined_and_after_ten_clicks_nothing_else_changes(number):
    mask = np.zeros((64, 64), bool)
    mask[10:50, 8:50] = True
    before = mask.astype(np.float32) * 0.9
    mask[44:60, 44:60] = True  # what the last click changed
    stages = FocalNetwork(Drawn(mask), (64, 64))
    answers = FocalClickPredictor(stages, stages)
    clicks = (*(Click(30, 20 + k) for k in range(number - 1)), Click(56, 56))
    encoded = answers.encode(View(np.zeros((64, 64, 3), np.uint8)))
    answer = answers.predict(encoded, Prompt(clicks), Prediction(before, Window(0, 0, 64, 64))).probs
    refined = answer == 0.5
    rows, cols = np.flatnonzero(refined.any(1)), np.flatnonzero(refined.any(0))
    assert refined.sum() == len(rows) * len(cols) < 700 and refined[56, 56] and not refined[30, 20]
    kept = np.array_equal(answer[~refined], before[~refined])
    assert kept == (number > 10)


def test_what_it_cannot_answer(view):
    answers = predictor()
    with pytest.raises(BadClick):
        answers.predict(answers.encode(view), Prompt((Click(1, 1, False),)), None)
    with pytest.raises(BadConfig, match="square"):
        type(answers)(type(answers.stages)(answers.stages.network, (64, 96)), answers.encoder)
