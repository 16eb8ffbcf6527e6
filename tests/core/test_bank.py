"""The prompt bank against brute force, across patches, and at its limits."""

import numpy as np
import pytest

from terraclick.core.bank import (
    MAP_CHANNELS,
    SLOTS,
    BankRow,
    center_tokens,
    click_rows,
    prompt_maps,
    reference_row,
)
from terraclick.values import Click, Window

SIDE = 48
WINDOWS = (Window(0, 0, 48, 48), Window(0, 40, 48, 48))
POSITIVE_DISTANCE, NEGATIVE_DISTANCE = 6, 7


def tokens(seed, count=1, channels=16, grid=6):
    rng = np.random.default_rng(seed)
    return center_tokens([rng.normal(size=(channels, grid, grid)).astype(np.float32) for _ in range(count)])


def maps_of(clicks, features, patch=0):
    return prompt_maps(click_rows(clicks, features, WINDOWS[: len(features)]), features[patch], WINDOWS[patch], SIDE)


def at_token(row, col, positive=True):
    return Click(row * 8 + 3.5, col * 8 + 3.5, positive)


def test_halves_are_centred_and_of_unit_length():
    (features,) = tokens(0)
    assert np.allclose(np.sqrt((features.reshape(2, 8, 36) ** 2).sum(axis=1)), 1, atol=1e-5)


def test_a_click_agrees_wholly_with_its_own_token():
    features = tokens(1)
    maps = maps_of([at_token(2, 4)], features).maps
    assert np.allclose(maps[[0, 1, 4, 5], 2, 4], 1, atol=1e-5)
    assert maps[:6].max() <= 1 + 1e-5 and maps[:6].min() >= -1 - 1e-5
    assert maps[POSITIVE_DISTANCE, 2, 4] < 1e-6


def test_nearest_labels_and_distances_equal_brute_force():
    rng = np.random.default_rng(2)
    clicks = [Click(*rng.uniform(0, 47, 2)) for _ in range(7)]
    found = maps_of(clicks, tokens(2))
    for row, col in np.ndindex(6, 6):
        distances = [np.hypot(row * 8 + 3.5 - c.row, col * 8 + 3.5 - c.col) for c in clicks]
        assert found.labels[0, row, col] == np.argmin(distances)
        assert found.maps[POSITIVE_DISTANCE, row, col] == pytest.approx(np.tanh(min(distances) / 112), abs=1e-5)


def test_a_click_in_one_patch_speaks_to_the_other():
    features = tokens(3, count=2)
    features[1][:, 3, 5] = features[0][:, 1, 1]
    there = maps_of([at_token(1, 1)], features, patch=1)
    assert np.unravel_index(there.maps[0].argmax(), (6, 6)) == (3, 5)
    assert there.maps[0, 3, 5] == pytest.approx(1, abs=1e-5)
    assert np.allclose(there.rows[0, 0], features[0][:, 1, 1], atol=1e-5)


def test_clicks_are_sampled_from_the_patch_they_lie_deepest_in():
    features = tokens(4, count=2)
    row = click_rows([Click(3.5, 40 + 8 * 5 + 3.5)], features, WINDOWS)[0]
    assert np.allclose(row.feature, features[1][:, 0, 5], atol=1e-5)


def test_negatives_fill_their_own_channels():
    features = tokens(5)
    found = maps_of([at_token(0, 0), at_token(5, 5, False)], features)
    assert np.allclose(found.maps[[2, 3], 5, 5], 1, atol=1e-5) and found.maps[NEGATIVE_DISTANCE, 5, 5] < 1e-6
    assert np.allclose(found.rows[1, 0], features[0][:, 5, 5], atol=1e-5)
    assert np.allclose(found.maps[[0, 1, 4, 5, 6]], maps_of([at_token(0, 0)], features).maps[[0, 1, 4, 5, 6]])


@pytest.mark.parametrize("positive", [True, False])
def test_no_click_of_a_sign_is_silence_and_far_away(positive):
    found = maps_of([at_token(1, 2, not positive)], tokens(6))
    sign = 0 if positive else 1
    assert not found.rows[sign].any() and not found.labels[sign].any()
    assert not found.maps[[0, 1, 4, 5] if positive else [2, 3]].any()
    assert (found.maps[6 + sign] == 1).all() and found.maps.shape == (MAP_CHANNELS, 6, 6)


def test_beyond_the_slots_the_latest_clicks_win_and_similarity_uses_all():
    rng = np.random.default_rng(7)
    clicks = [at_token(0, 0)] + [Click(*rng.uniform(20, 47, 2)) for _ in range(SLOTS)]
    features = tokens(7)
    found = maps_of(clicks, features)
    latest = click_rows(clicks[1:], features, WINDOWS[:1])
    assert np.array_equal(found.rows[0], np.stack([row.feature for row in latest]))
    assert found.labels.max() < SLOTS and found.maps[POSITIVE_DISTANCE, 0, 0] > 0.1
    assert found.maps[0, 0, 0] == pytest.approx(1, abs=1e-5)


def test_the_order_of_clicks_of_one_sign_does_not_change_the_maps():
    clicks = [at_token(0, 3), at_token(4, 1), at_token(2, 2, False), at_token(5, 5)]
    features = tokens(8)
    assert np.allclose(maps_of(clicks, features).maps, maps_of(clicks[::-1], features).maps, atol=1e-5)


@pytest.mark.parametrize(("row", "col", "token"), [(-0.5, -0.5, (0, 0)), (47.4, 0, (5, 0)), (0, 47.4, (0, 5))])
def test_clicks_at_the_border_take_the_outermost_token(row, col, token):
    features = tokens(9)
    feature = click_rows([Click(row, col)], features, WINDOWS[:1])[0].feature
    assert np.allclose(feature, features[0][:, token[0], token[1]], atol=1e-5)


def test_a_reference_row_is_the_weighted_mean():
    (features,) = tokens(10)
    mask = np.zeros((48, 48), bool)
    mask[:8, :8] = mask[8:16, :4] = True  # one whole token and half of the one below
    mean = (features[:, 0, 0] * 64 + features[:, 1, 0] * 32) / 96
    halves = mean.reshape(2, 8)
    expected = (halves / np.linalg.norm(halves, axis=1, keepdims=True)).ravel()
    row = reference_row(features, mask, False)
    assert np.allclose(row.feature, expected, atol=1e-5) and not row.positive and row.place is None


def test_a_reference_speaks_in_similarity_but_has_no_place():
    (features,) = tokens(11)
    found = prompt_maps([BankRow(features[:, 2, 2], True, None)], features, WINDOWS[0], SIDE)
    assert found.maps[0, 2, 2] == pytest.approx(1, abs=1e-5)
    assert not found.rows.any() and (found.maps[6:] == 1).all()


def test_an_empty_reference_mask_says_nothing():
    (features,) = tokens(12)
    assert not reference_row(features, np.zeros((48, 48), bool), True).feature.any()
