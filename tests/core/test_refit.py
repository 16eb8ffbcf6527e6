"""The refitted classifiers: what they learn from clicks, and what they leave alone."""

import numpy as np
import pytest

from terraclick.core.refit import LIMIT, colour_features, fit_maps, gather
from terraclick.values import Click, Window

WINDOW = Window(0, 0, 96, 96)


def picture():
    """Red and blue halves: (96, 96, 3)."""
    image = np.zeros((96, 96, 3), np.uint8)
    image[:, :48, 0] = image[:, 48:, 2] = 180
    return image + np.random.default_rng(0).integers(0, 20, image.shape).astype(np.uint8)


def scores(clicks, previous=None):
    features = colour_features(picture())
    return fit_maps([gather(features, WINDOW, clicks, previous)], [features])[0]


def test_a_click_finds_what_looks_alike():
    found = scores([Click(20, 20)])
    assert found.shape == (24, 24) and np.abs(found).max() <= LIMIT
    assert found[:, :11].mean() > found[:, 13:].mean() + 0.3


def test_a_negative_click_turns_it_round():
    found = scores([Click(20, 70), Click(70, 20, False)])
    assert found[:, 13:].min() > 0.5 and found[:, :11].max() < -0.5


def test_without_a_positive_mark_nothing_is_said():
    assert not scores([]).any() and not scores([Click(10, 10, False)]).any()
    assert not scores([Click(500, 500)]).any()


def test_a_sure_answer_counts_without_a_click():
    previous = np.zeros((96, 96), np.float32)
    previous[:, :48] = 1
    found = scores([], previous)
    assert found[:, :11].min() > 0.5 > -0.5 > found[:, 13:].max()
    assert not scores([], np.full((96, 96), 0.5, np.float32)).any()


def test_evidence_of_one_patch_scores_another():
    features = colour_features(picture())
    other = features[:, :, ::-1].copy()
    here, there = fit_maps([gather(features, WINDOW, [Click(20, 20)])], [features, other])
    assert np.allclose(here, there[:, ::-1], atol=1e-5)


@pytest.mark.parametrize("count", [1, 3, 20])
def test_many_clicks_of_one_sign_weigh_no_more_than_one_of_the_other(count):
    rng = np.random.default_rng(count)
    left = [Click(float(row), float(col)) for row, col in rng.integers(4, 44, (count, 2))]
    found = scores([*left, Click(50, 80, False)])
    assert found[:, :11].mean() > 0.5 and found[:, 13:].mean() < -0.5
