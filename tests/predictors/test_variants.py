"""Names with settings: read, composed, refused, and answered as the wrapper alone would answer."""

import numpy as np
import pytest

from terraclick.catalogue import load, spec_of
from terraclick.errors import BadConfig, UnknownName
from terraclick.predictors.variants import base_name, composed, split_name
from terraclick.predictors.wrappers import Refined
from terraclick.values import Click, Prompt, View


def test_a_name_is_taken_apart():
    text = "crosscut-b+divisions=2,3,4+cfr=adaptive+cfr-clicks=1+device=cuda+flip=no"
    name, settings = split_name(text)
    assert name == base_name(text) == "crosscut-b"
    assert settings == {"divisions": (2, 3, 4), "cfr": "adaptive", "cfr-clicks": 1, "device": "cuda", "flip": False}
    assert split_name("terra") == ("terra", {})


def test_further_settings_do_not_replace_those_that_are_there():
    assert composed("terra", {"cfr": None}) == "terra"
    assert composed("terra+cfr=2", {"cfr": "4", "device": "cpu"}) == "terra+cfr=2+device=cpu"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("terra+zoom=2", "asks for a setting 'zoom'"),
        ("terra+cfr=0", "cannot be read"),
        ("terra+cfr", "cannot be read"),
        ("crosscut-b+divisions=2;3", "cannot be read"),
        ("terra+divisions=2", "terra has no setting divisions"),
        ("simpleclick-b+cfr-clicks=1", "without cfr"),
    ],
)
def test_settings_that_cannot_be_are_refused(name, said):
    with pytest.raises(BadConfig, match=said):
        spec_of(name)


def test_an_unknown_name_is_said_without_its_settings():
    with pytest.raises(UnknownName, match=r"no model 'terrra'\. Known"):
        spec_of("terrra+cfr=2")


def test_cfr_is_the_wrapper():
    rng = np.random.default_rng(0)
    view = View(rng.integers(0, 255, (60, 80, 3), np.uint8))
    prompt = Prompt((Click(30, 40),))
    named, plain = load("grabcut+cfr=2"), Refined(load("grabcut"), 2, max_clicks=None)
    assert spec_of("grabcut+cfr=2").name == "grabcut+cfr=2" and isinstance(named, Refined)
    answers = [one.predict(one.encode(view), prompt, None).probs for one in (named, plain)]
    assert np.array_equal(*answers)


def test_divisions_reach_crosscut():
    pytest.importorskip("torch")
    from terraclick.blocks.layers import ClickViTConfig
    from terraclick.networks.crosscut.config import CrossCutConfig
    from terraclick.networks.simpleclick.network import SimpleClickConfig

    tiny = SimpleClickConfig(ClickViTConfig(dim=32, heads=2, size=224), (8, 16, 32, 64), 16)
    predictor = load("crosscut-b+divisions=2,3", random=0, config=CrossCutConfig(tiny))
    inner = predictor
    while not hasattr(inner, "network"):
        inner = inner.inner
    assert inner.network.settings.divisions == (2, 3)
