import numpy as np
import pytest

from terraclick.core.masks import iou
from terraclick.methods.grabcut import GrabCut
from terraclick.methods.random_walker import RandomWalker
from terraclick.values import Click, Prompt, Target, View


def two_squares():
    rng = np.random.default_rng(0)
    image = rng.integers(50, 80, (96, 128, 3)).astype(np.uint8)
    truth = np.zeros((96, 128), bool)
    truth[20:60, 15:55] = truth[30:70, 75:115] = True
    image[truth] = rng.integers(180, 210, (truth.sum(), 3))
    return View(image), truth


@pytest.mark.parametrize("predictor", [GrabCut(), RandomWalker()], ids=["grabcut", "randomwalk"])
def test_one_click_finds_the_square_and_a_class_both(predictor):
    view, truth = two_squares()
    encoded, left = predictor.encode(view), truth.copy()
    left[:, 64:] = False
    one = predictor.predict(encoded, Prompt((Click(40, 35),)), None).mask
    assert iou(one, left) > 0.9
    clicks = (Click(40, 35), Click(50, 95), Click(5, 5, False))
    assert iou(predictor.predict(encoded, Prompt(clicks, Target.CLASS), None).mask, truth) > 0.9


@pytest.mark.parametrize("predictor", [GrabCut(), RandomWalker()], ids=["grabcut", "randomwalk"])
@pytest.mark.parametrize("shape", [(1, 1), (2, 40), (30, 30)])
def test_flat_and_tiny_views_are_answered(predictor, shape):
    encoded = predictor.encode(View(np.full((*shape, 3), 99, np.uint8)))
    answer = predictor.predict(encoded, Prompt((Click(0, 0), Click(shape[0] - 1, shape[1] - 1, False))), None)
    assert answer.probs.shape == shape and np.isfinite(answer.probs).all()
