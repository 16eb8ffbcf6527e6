"""Figures show what goes on inside: prompts by the nearest click, modulation before and after, examples, steps."""

import cv2
import numpy as np
import pytest

from terraclick.core.modulation import MODULATIONS
from terraclick.evaluate.insight import CELLS, modulation_panels, prompt_panels, voronoi
from terraclick.predictors.inputs import click_points
from terraclick.values import Click, Prediction

CLICKS = (Click(10, 10), Click(10, 50), Click(30, 30, False))


def test_every_pixel_belongs_to_its_nearest_positive_click():
    cells = voronoi((40, 61), CLICKS)
    assert (cells[:, :30] == 0).all() and (cells[:, 31:] == 1).all()
    assert (voronoi((4, 4), CLICKS[2:]) == -1).all()


def test_prompts_are_drawn_in_the_colours_of_their_clicks_with_the_patches():
    grey = np.full((40, 61, 3), 100, np.uint8)
    (plain,) = prompt_panels(grey, CLICKS, None, {})
    assert plain[0] == "prompts: the nearest click"
    assert np.array_equal(plain[1][0, 0], np.rint(0.5 * 100 + 0.5 * CELLS[0]).astype(np.uint8))
    assert np.array_equal(plain[1][0, 60], np.rint(0.5 * 100 + 0.5 * CELLS[1]).astype(np.uint8))
    two, three = prompt_panels(grey, CLICKS, None, {"divisions": (2, 3)})
    assert (two[0], three[0]) == ("prompts, 2 x 2 patches", "prompts, 3 x 3 patches")
    assert (two[1][5, 30] == 255).all() and (three[1][5, 20] == 255).all() and (three[1][5, 41] == 255).all()
    assert np.array_equal(prompt_panels(grey, CLICKS[2:], None, {})[0][1], grey)


def test_modulation_is_drawn_before_and_after():
    probs = np.linspace(0, 1, 40 * 61, dtype=np.float32).reshape(40, 61)
    panels = dict(modulation_panels(np.zeros((40, 61, 3), np.uint8), CLICKS, Prediction(probs, None, 0.5), {}))
    assert list(panels) == ["before the last click", "modulated as MFP does", "modulated as RS-ISRefiner does"]
    before = panels["before the last click"]
    assert before[0, 0].tolist() == [68, 1, 84] and before[39, 60].tolist() == [253, 231, 37]  # viridis
    changed = MODULATIONS["isrefiner"](probs, click_points(CLICKS)[0]) != probs
    after = panels["modulated as RS-ISRefiner does"]
    assert changed.any() and np.array_equal(after[~changed], before[~changed])
    assert after[30, 30].tolist() == [68, 1, 84]  # what was excluded is nought there
    assert modulation_panels(np.zeros((4, 4, 3), np.uint8), CLICKS[:1], None, {}) == []


@pytest.mark.parametrize(
    ("name", "panels"), [("crosscut-b+divisions=2", 1), ("mfp-b", 3), ("isrefiner-b", 3), ("refcut-b", 0)]
)
def test_networks_show_their_inside(tmp_path, name, panels, tiny_weights, squares):
    from terraclick.data.datasets import open_dataset
    from terraclick.evaluate.figures import draw_figures
    from terraclick.evaluate.protocol import NEVER, EvalProtocol
    from terraclick.values import Target

    protocol = EvalProtocol(max_clicks=3, stop_at=NEVER, limit=1, references="both")
    weights = {name: {"weights": tiny_weights(name)}}
    found = open_dataset(squares)
    (path,) = draw_figures([name], Target.OBJECT, [found], protocol, tmp_path, weights, steps=(1, 3))
    shape = cv2.imread(str(path)).shape
    count = 1 + 1 + 2 + panels  # the example, the truth, the answers after one and three clicks
    assert shape == (386, count * 360 + (count - 1) * 6, 3)
