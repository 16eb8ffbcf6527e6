"""RefCut and RS-ISRefiner by name: references reach the network, pictures are encoded once."""

import numpy as np
import pytest
import torch

from terraclick.blocks.layers import ClickViTConfig
from terraclick.catalogue import load
from terraclick.core.click_sequence import ClickSequence
from terraclick.networks.isrefiner.config import IsRefinerConfig, parity
from terraclick.networks.predictor import NetworkPredictor
from terraclick.networks.refcut.network import RefCut, RefCutConfig
from terraclick.networks.refcut.references import references_of
from terraclick.networks.simpleclick.network import SimpleClickConfig
from terraclick.predictors.wrappers import Flipped
from terraclick.values import Click, Prompt, Reference, View

VIT = ClickViTConfig(dim=32, heads=4, depth=4, size=224)
REFCUT = RefCutConfig(SimpleClickConfig(VIT, (8, 16, 32, 64), 16), reference_side=224)
ISREFINER = IsRefinerConfig(VIT, (8, 16, 32, 64), heads=4, widths=(8, 8, 16, 32))
CLICKS = (Click(40, 60), Click(20, 30, False), Click(70.5, 80))


@pytest.fixture(scope="module")
def view():
    image = np.random.default_rng(0).integers(0, 255, (120, 150, 3)).astype(np.uint8)
    return View(image, np.ones((120, 150), bool), 0.5)


def example(positive=True, seed=1):
    image = np.random.default_rng(seed).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[10:40, 20:50] = True
    return Reference(image, mask, positive)


@pytest.fixture(scope="module")
def refcut():
    """RefCut whose prompts are not zero any more."""
    torch.manual_seed(0)
    network = RefCut(REFCUT).eval()
    for part in (network.positive, network.negative):
        torch.nn.init.normal_(part.outer.weight, std=0.3)
    return network


def test_every_kind_of_reference_changes_the_answer(refcut, view):
    predictor = Flipped(NetworkPredictor(refcut, (224, 224), extra=references_of(refcut)))
    encoded = predictor.encode(view)
    given = [(), (example(),), (example(False),), (example(), example(False)), (example(), example(seed=2))]
    answers = [predictor.predict(encoded, Prompt(CLICKS[:1], references=each), None).probs for each in given]
    for i, one in enumerate(answers):
        assert all(not np.allclose(one, other, atol=1e-5) for other in answers[i + 1 :])


def test_a_picture_is_encoded_once(refcut, monkeypatch):
    seen = []
    features = RefCut.features
    monkeypatch.setattr(RefCut, "features", lambda self, image: seen.append(1) or features(self, image))
    references = references_of(refcut)
    for _ in range(3):
        references(Prompt(CLICKS, references=(example(), example(False))))
    assert len(seen) == 1  # one picture with two masks
    assert references(Prompt(CLICKS)) == {"references": None}


@pytest.mark.parametrize(
    ("name", "config"),
    [("refcut-b", REFCUT), ("isrefiner-b", ISREFINER), ("isrefiner-b-parity", parity(ISREFINER))],
)
def test_by_name_undo_is_replay(name, config, view):
    predictor = load(name, random=0, config=config, size=(224, 224))
    encoded, session = predictor.encode(view), ClickSequence(references=(example(),))
    for click in CLICKS:
        session = session.add(click, predictor, encoded)
    assert session.latest.probs.shape == view.shape and np.isfinite(session.latest.probs).all()
    fresh = load(name, random=0, config=config, size=(224, 224))
    again = session.undo().replay(fresh, fresh.encode(view))
    assert np.array_equal(again.latest.probs, session.undo().latest.probs)
