import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from terraclick.core.focus import FocusRule, crop, crop_clicks, next_window, paste, resize_aligned
from terraclick.values import Click, Window


def test_windows_resizing_and_clicks_agree_with_the_recorded_zoom_in(shared):
    recorded = np.load(shared / "parity/zoom_in_unit.npz")
    config = json.loads((shared / "parity/manifest.json").read_text())["fixtures"]["zoom_in_unit.npz"]["config"]
    rule = FocusRule((64, 80), 1.4, 100, 0.5, 0.5, parity=True)
    probs, window, clicks = None, None, []
    for step, entry in enumerate(config["steps"]):
        row, col, positive = entry["click"]
        clicks.append(Click(row, col, bool(positive)))
        window = next_window(probs, window, clicks, (260, 400), rule)
        assert [window.row, window.row + window.rows - 1, window.col, window.col + window.cols - 1] == entry["roi"]
        image = recorded["input"][0, :3].transpose(1, 2, 0)
        expected = recorded[f"s{step}_out"][0, :3].transpose(1, 2, 0)
        np.testing.assert_allclose(crop(image, window, rule), expected, atol=3e-5)
        mapped = [(click.row, click.col) for click in crop_clicks(clicks, window, rule)]
        np.testing.assert_allclose(mapped, recorded[f"s{step}_clicks"][:, :2])
        probs = paste(recorded[f"s{step}_pred"][0, 0], window, (260, 400), rule)
        np.testing.assert_allclose(probs, recorded[f"s{step}_back"][0, 0], atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31))
def test_the_window_holds_the_positive_clicks_and_stays_in_the_view(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 90, 2))
    places = zip(rng.integers(shape[0], size=4), rng.integers(shape[1], size=4), strict=True)
    clicks = [Click(int(row), int(col), bool(rng.random() < 0.7)) for row, col in places]
    window, rule = None, FocusRule(None, min_crop=int(rng.integers(1, 40)))
    for count in range(1, 5):
        probs = (rng.random(shape) < rng.random() ** 4).astype(np.float32)
        window = next_window(probs, window, clicks[:count], shape, rule)
        assert window.row >= 0 and window.col >= 0
        assert window.row + window.rows <= shape[0] and window.col + window.cols <= shape[1]
        assert all(window.contains(click.row, click.col) for click in clicks[:count] if click.positive)


def test_crop_then_paste_is_the_identity_at_native_size():
    probs = np.random.default_rng(0).random((40, 50), dtype=np.float32)
    window, rule = Window(3, 4, 20, 30), FocusRule(None)
    again = paste(crop(probs, window, rule), window, probs.shape, rule, around=probs)
    np.testing.assert_array_equal(again, probs)


def test_a_window_over_the_edge_is_clipped_on_both_sides():
    array, window = np.arange(30).reshape(5, 6), Window(-2, 4, 4, 9)
    inside, place = window.clipped(array.shape)
    assert (inside, place) == (Window(0, 4, 2, 2), Window(2, 0, 2, 2))
    assert array[inside.slices].tolist() == [[4, 5], [10, 11]]
    assert array[Window(-9, -9, 3, 3).clipped(array.shape)[0].slices].size == 0


def test_clicks_map_half_pixel_exactly():
    (click,) = crop_clicks([Click(9.5, 9.5)], Window(0, 0, 20, 20), FocusRule((40, 80)))
    assert (click.row, click.col) == (19.5, 39.5)


def test_aligned_resize_keeps_the_corners():
    ramp = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert resize_aligned(ramp, (5, 7))[[0, -1], [0, -1]].tolist() == [0, 11]
