import numpy as np

from terraclick.core.simulate import chance_click, next_click, random_error_click, sample_clicks, squared_depth
from terraclick.values import Click


def blob(seed=0, side=48):
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:side, :side]
    return np.hypot(rows - rng.integers(side), cols - rng.integers(side)) < rng.integers(5, 20)


def test_clicks_agree_with_the_recorded_robot(shared):
    recorded = np.load(shared / "parity/clicker_cases.npz")
    history = {}
    for (case, _, h, w, row, col, positive, _), gt, pred in zip(
        recorded["click"], recorded["gt"], recorded["pred"], strict=True
    ):
        truth, mask, past = gt[:h, :w], pred[:h, :w] > 0, history.setdefault(case, [])
        expected = Click(row, col, bool(positive))
        if ((mask == (truth == 1)) | (truth == -1)).all():
            assert expected == Click(0, 0, False)  # the published quirk: a perfect mask is answered at (0, 0)
            assert next_click(mask, truth == 1, truth == -1, past) is None
        else:
            assert next_click(mask, truth == 1, truth == -1, past) == expected
        past.append(expected)


def test_none_when_perfect_or_all_errors_are_clicked():
    truth = np.zeros((5, 5), bool)
    assert next_click(truth, truth) is None
    truth[2, 2] = True
    assert next_click(~truth & False, truth, clicked=[Click(2, 2)]) is None


def test_depth_is_exact_on_a_large_mask():
    mask = np.ones((401, 301), bool)
    assert squared_depth(mask).max() == 151**2


def test_a_random_error_click_lies_deep_in_an_error_and_repeats():
    truth, mask = blob(1), blob(2)
    clicks = [random_error_click(mask, truth, np.random.default_rng(k)) for k in range(20)]
    assert clicks == [random_error_click(mask, truth, np.random.default_rng(k)) for k in range(20)]
    for click in clicks:
        place = int(click.row), int(click.col)
        assert truth[place] == click.positive and mask[place] != click.positive


def test_sampled_clicks_have_the_right_sign_and_avoid_ignore():
    truth, ignore = blob(3), np.zeros((48, 48), bool)
    ignore[:, ::2] = True
    for seed in range(20):
        clicks = sample_clicks(truth, np.random.default_rng(seed), ignore)
        assert clicks[0].positive and clicks == sample_clicks(truth, np.random.default_rng(seed), ignore)
        assert all(truth[int(c.row), int(c.col)] == c.positive and not ignore[int(c.row), int(c.col)] for c in clicks)


def test_no_clicks_on_nothing():
    assert sample_clicks(np.zeros((9, 9), bool), np.random.default_rng(0)) == ()


def test_a_click_by_chance_falls_on_the_deeper_error_and_more_often_where_it_is_deep():
    truth, mask = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    truth[5:30, 5:30] = True  # missing, depth 13
    mask[32:38, 40:50] = True  # too much, depth 3
    rng = np.random.default_rng(0)
    clicks = [chance_click(mask, truth, rng) for _ in range(800)]
    assert all(click.positive and truth[int(click.row), int(click.col)] for click in clicks)
    # by depth, an outer ring of 4 px holds 0.27 of the weight, though 0.54 of the area
    outer = np.mean([min(c.row - 5, 29 - c.row, c.col - 5, 29 - c.col) < 4 for c in clicks])
    assert abs(outer - 0.27) < 0.06
    assert chance_click(truth, truth, rng) is None
