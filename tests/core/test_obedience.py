"""Answers follow their clicks, near them and nowhere else."""

import numpy as np
import pytest

from terraclick.core.obedience import obeyed
from terraclick.values import Click


def flat(value, shape=(80, 100)):
    return np.full(shape, value, np.float32)


def at(logits, click):
    return logits[round(click.row), round(click.col)]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_click_on_the_wrong_side_is_followed_near_it_only(sign):
    logits, click = flat(-2.0 * sign), Click(40, 50, sign > 0)
    moved = obeyed(logits, [click], reach=4, margin=1)
    assert sign * at(moved, click) == pytest.approx(1, abs=0.01)
    assert np.array_equal(moved[:20], logits[:20]) and np.array_equal(moved[:, 70:], logits[:, 70:])
    assert (sign * moved > 0).sum() < 100


def test_an_answer_that_obeys_already_is_given_back():
    logits = flat(2.0)
    assert obeyed(logits, [Click(3, 3), Click(70, 90)], 4, 1) is logits
    assert obeyed(logits, [], 4, 1) is logits


def test_clicks_beside_each_other_are_all_followed():
    """Raising one alone would take the other, a few pixels off, to the wrong side."""
    clicks = [Click(40, 50, True), Click(40, 54, False), Click(44, 50, False), Click(36, 48, True)]
    moved = obeyed(flat(-0.5), clicks, reach=4, margin=1)
    for click in clicks:
        assert (at(moved, click) > 0) == click.positive


def test_twice_the_same_place_and_places_outside_are_taken():
    moved = obeyed(flat(-1.0), [Click(10, 10), Click(10, 10), Click(500, 10), Click(79.4, 99.4)], 4, 1)
    assert np.isfinite(moved).all() and moved[10, 10] > 0 and moved[79, 99] > 0


def test_an_edge_moves_to_a_click_just_beyond_it():
    """An outline two pixels short of a click comes to it, and stays where no click was."""
    logits = np.repeat(((30 - np.arange(80)) * 0.5).astype(np.float32)[:, None], 100, axis=1)
    moved = obeyed(logits, [Click(32, 50)], reach=4, margin=0.5)
    assert moved[32, 50] > 0 and moved[31, 50] > 0
    assert np.array_equal(moved[:, :30] > 0, logits[:, :30] > 0)
