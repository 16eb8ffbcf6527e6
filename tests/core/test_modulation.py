"""Probability-map modulation against the recorded cases, and where the published code breaks."""

import numpy as np
import pytest

from terraclick.core.modulation import MODULATIONS, modulate_isrefiner, modulate_mfp
from terraclick.errors import BadConfig

RULES = pytest.mark.parametrize("rule", MODULATIONS.values(), ids=MODULATIONS)


def recorded(shared, name, case):
    with np.load(shared / "parity" / f"{name}_modulation_cases.npz") as file:
        return [file[f"c{case}_{part}"][0] for part in ("prev", "points", "out")]


@pytest.mark.parametrize("case", range(14), ids=lambda case: f"parity_mfp_modulation_cases-c{case}")
def test_mfp(shared, case):
    probs, points, expected = recorded(shared, "mfp", case)
    found = modulate_mfp(probs[0], points)
    if case == 8:  # recorded as NaN: a uniform window
        assert not np.isfinite(expected).all() and not found.any()
    else:
        np.testing.assert_allclose(found, expected[0], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("case", range(14), ids=lambda case: f"parity_isrefiner_modulation_cases-c{case}")
def test_isrefiner(shared, case):
    probs, points, expected = recorded(shared, "isrefiner", case)
    np.testing.assert_allclose(modulate_isrefiner(probs[0], points), expected[0], atol=1e-4, rtol=1e-3)


def points(*clicks, slots=3):
    out = np.full((2 * slots, 3), -1, dtype=np.float32)
    for order, (row, col, positive) in enumerate(clicks):
        out[(0 if positive else slots) + order] = row, col, order
    return out


@RULES
@pytest.mark.parametrize("value", [0.0, 0.3, 0.995, 1.0])
@pytest.mark.parametrize("positive", [True, False])
def test_uniform_maps_stay_finite(rule, value, positive):
    found = rule(np.full((40, 30), value, np.float32), points((20, 15, True), (8.4, 29.4, positive)))
    assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1
    assert abs(found[8, 29] - positive) < 0.1


@RULES
def test_only_the_right_direction_and_only_near(rule):
    probs = np.random.default_rng(0).uniform(0.05, 0.95, (60, 60)).astype(np.float32)
    up, down = rule(probs, points((30, 30, True), slots=1)), rule(probs, points((30, 30, False), slots=1))
    assert (up >= probs - 1e-6).all() and (down <= probs + 1e-6).all() and (up > probs).any() and (down < probs).any()
    near = rule(probs, points((30, 30, False), (30, 50, True)))
    rows, cols = np.nonzero(np.abs(near - probs) > 1e-6)
    assert np.hypot(rows - 30, cols - 50).max() <= 10


@RULES
def test_no_click_or_one_off_the_map_changes_nothing(rule):
    probs = np.full((9, 9), 0.4, np.float32)
    for clicks in ((), ((4, 4, True), (400, 4, True)), ((-20, 30, False),)):
        assert np.array_equal(rule(probs, points(*clicks)), probs)
    assert rule(probs, points((8.4, 8.4, True)))[8, 8] == 1


@RULES
def test_two_clicks_of_one_order_are_answered(rule):
    tied = points((4, 4, True), (20, 20, False))
    tied[:, 2] = np.where(tied[:, 2] >= 0, 100, -1)
    assert rule(np.full((30, 30), 0.4, np.float32), tied)[4, 4] == 1


@RULES
def test_wrong_shapes_name_the_right_ones(rule):
    with pytest.raises(BadConfig, match=r"\(H, W\) and \(2P, 3\)"):
        rule(np.zeros((1, 4, 4), np.float32), points())
