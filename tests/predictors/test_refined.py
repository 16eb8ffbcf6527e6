"""CFR's repeated refinement against recorded runs, and on any click."""

import numpy as np
import pytest
from parity import close, fixture, state

from terraclick.blocks.layers import ClickViTConfig
from terraclick.core.focus import FocusRule
from terraclick.networks.checkpoint import load_published
from terraclick.networks.predictor import NetworkPredictor
from terraclick.networks.simpleclick.network import SimpleClickConfig
from terraclick.predictors.wrappers import Cached, Flipped, Focused, Refined
from terraclick.values import Click, Prediction, Prompt, View

TINY = SimpleClickConfig(ClickViTConfig(dim=32, heads=2), (8, 16, 32, 64), 16)
CLICKS = (Click(150, 200), Click(40, 300, False))
RUNS = {
    "base": {"steps": 0},
    "cfr4": {"steps": 4},
    "cfr4_2clk": {"steps": 4, "max_clicks": 2},
    "acfr12": {"steps": 12, "adaptive": True},
    "acfr4": {"steps": 4, "adaptive": True},
}


class Counted:
    """Counts the answers of a predictor."""

    def __init__(self, inner):
        self.inner, self.answers = inner, 0

    def encode(self, view):
        return self.inner.encode(view)

    def predict(self, encoded, prompt, previous):
        self.answers += 1
        return self.inner.predict(encoded, prompt, previous)


@pytest.fixture(scope="module")
def network(shared):
    return load_published("simpleclick", state(fixture(shared, "simpleclick_tiny_d12_x1")[0]), TINY)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"parity_cfr_inference-{run}")
def test_recorded_runs(run, network, shared):
    arrays, _ = fixture(shared, "cfr_inference")
    counted = Counted(Focused(Cached(Flipped(NetworkPredictor(network))), FocusRule(parity=True)))
    predictor, answer = Refined(counted, **RUNS[run]), None
    encoded = predictor.encode(View(arrays["image_u8"].astype(np.float32)))
    for step in range(2):
        before = counted.answers
        answer = predictor.predict(encoded, Prompt(CLICKS[: step + 1]), answer)
        assert counted.answers - before == arrays[f"{run}_net_calls"][step]
        close(answer.probs, arrays[f"{run}_probs_f16"][step], 6e-4)  # the recorded copies are float16


class Halving:
    """Goes half of the way from the previous answer to a certain one."""

    def encode(self, view):
        return view.shape

    def predict(self, encoded, prompt, previous):
        before = np.zeros(encoded, np.float32) if previous is None else previous.probs
        return Prediction(((before + 1) / 2).astype(np.float32))


@pytest.mark.parametrize(("max_clicks", "probs"), [(1, 0.5), (3, 0.5), (4, 0.875), (None, 0.875)])
def test_on_any_click(max_clicks, probs):
    refined = Refined(Halving(), steps=2, max_clicks=max_clicks)
    answer = refined.predict((4, 4), Prompt(CLICKS * 2), None)
    assert answer.probs[0, 0] == probs


def test_adaptive_stops_once_the_mask_is_still():
    counted = Counted(Halving())
    Refined(counted, steps=12, adaptive=True, max_clicks=None).predict((9, 9), Prompt(CLICKS), None)
    assert counted.answers == 2  # everything is inside from the first answer on


def test_adaptive_compares_answers_to_the_same_clicks_alone():
    counted = Counted(Halving())
    still = Prediction(np.full((9, 9), 0.9, np.float32))  # what the click before was answered with: the same mask
    Refined(counted, steps=12, adaptive=True, max_clicks=None).predict((9, 9), Prompt(CLICKS), still)
    assert counted.answers == 2
