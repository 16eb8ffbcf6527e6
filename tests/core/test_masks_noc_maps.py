import numpy as np

from terraclick.core.clickmaps import disk_maps, distance_maps
from terraclick.core.masks import boundary_iou, clicked_components, drop_specks, fill_holes, iou
from terraclick.core.noc import area_under_curve, bootstrap_interval, failures, mean_iou_at, number_of_clicks
from terraclick.values import Click


def square(first, last, side=60):
    mask = np.zeros((side, side), bool)
    mask[first:last, first:last] = True
    return mask


def test_iou_and_its_empty_union():
    assert iou(square(0, 10), square(0, 20)) == 0.25
    assert iou(square(0, 0), square(0, 0)) == 1.0
    assert iou(square(0, 10), square(0, 20), ignore=square(0, 20) & ~square(0, 10)) == 1.0


def test_boundary_iou_is_harder_than_iou():
    a, b = square(5, 55), square(6, 55)
    assert boundary_iou(a, a) == 1.0 and boundary_iou(a, b) < iou(a, b)


def test_cleaning_fills_small_holes_drops_specks_and_keeps_clicked_pieces():
    mask = square(10, 40) & ~square(20, 22)
    assert (fill_holes(mask, 4) == square(10, 40)).all() and (fill_holes(mask, 3) == mask).all()
    two = square(10, 40) | square(50, 52)
    assert (drop_specks(two, 5) == square(10, 40)).all()
    assert (clicked_components(two, [Click(50.4, 51.0)]) == square(50, 52)).all()
    assert (clicked_components(two, [Click(0, 0), Click(51, 51, False)]) == two).all()


def test_noc_agrees_with_recorded_metric(shared):
    recorded = np.load(shared / "parity/noc_metric.npz")
    rows = [row[~np.isnan(row)] for row in recorded["ious"]]
    for threshold, mean, over in zip(recorded["thr"], recorded["noc"], recorded["over_max"], strict=True):
        assert np.isclose(np.mean([number_of_clicks(row, threshold) for row in rows]), mean)
        assert failures(rows, threshold) == over


def test_noc_at_its_edges():
    assert number_of_clicks([0.9], 0.9) == 1 and number_of_clicks([], 0.9) == 20
    last = [0.0] * 19 + [0.95]
    assert number_of_clicks(last, 0.9) == 20 and failures([last], 0.9) == 1
    assert mean_iou_at([[0.2, 0.4], [0.6]], 5) == 0.5
    assert np.isclose(area_under_curve([0.0, 1.0], 4), 0.75)


def test_bootstrap_holds_the_mean_and_repeats():
    groups = [list(np.random.default_rng(k).random(30)) for k in range(3)]
    low, high = bootstrap_interval(groups, np.random.default_rng(0))
    assert low < np.mean(groups) < high and (low, high) == bootstrap_interval(groups, np.random.default_rng(0))


def test_click_maps_agree_with_recorded_ones(shared):
    recorded = np.load(shared / "parity/distmaps.npz")
    for row, points in enumerate(recorded["points"]):
        clicks = [Click(y, x, k < 3) for k, (y, x, _) in enumerate(points) if max(y, x) >= 0]
        for radius in (3, 5):
            disks, tanh = (recorded[f"maps_r{radius}_{kind}"][row] for kind in ("disk", "tanh"))
            np.testing.assert_array_equal(disk_maps(clicks, (40, 64), radius), disks)
            np.testing.assert_allclose(distance_maps(clicks, (40, 64), radius), tanh, atol=1e-5)


def test_cleaning_in_the_box_is_cleaning_in_the_whole_picture():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        mask = np.zeros((40, 50), dtype=bool)
        mask[8:30, 9:30] = rng.random((22, 21)) < 0.6
        corners = np.zeros_like(mask)
        corners[[0, 0, -1, -1], [0, -1, 0, -1]] = True  # with them the box is the whole picture
        assert np.array_equal(drop_specks(mask | corners, 4), drop_specks(mask, 4))
        assert np.array_equal(fill_holes(mask | corners, 3), fill_holes(mask, 3) | corners)
        click = [Click(*map(float, np.argwhere(mask)[0]))]
        assert np.array_equal(clicked_components(mask | corners, click), clicked_components(mask, click))
