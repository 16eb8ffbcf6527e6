"""One contract for every wrapper around every classical predictor."""

import numpy as np
import pytest

from terraclick.core.click_sequence import ClickSequence
from terraclick.core.focus import FocusRule
from terraclick.errors import BadClick, BadConfig
from terraclick.methods.grabcut import GrabCut
from terraclick.methods.random_walker import RandomWalker
from terraclick.predictors.wrappers import ByTarget, Cached, Flipped, Focused, Fused, Modulated, Refined
from terraclick.values import Click, Prediction, Prompt, Target, View

RULE = FocusRule((48, 48), min_crop=24)
INNERS = {"grabcut": GrabCut(rounds=1), "randomwalk": RandomWalker(max_side=48)}
WRAPPERS = {
    "plain": lambda inner: inner,
    "focused": lambda inner: Focused(Cached(inner), RULE),
    "focused-parity": lambda inner: Focused(inner, FocusRule((48, 56), min_crop=24, parity=True), keep_outside=True),
    "flipped": Flipped,
    "refined": lambda inner: Refined(Focused(inner, RULE), 2, adaptive=True),
    "fused": lambda inner: Fused((inner, Focused(inner, RULE)), (1, 2)),
    "modulated": lambda inner: Modulated(inner, "mfp"),
    "cached": Cached,
    "by target": lambda inner: ByTarget({Target.OBJECT: Focused(inner, RULE), Target.CLASS: inner}),
}
CLICKS = (Click(22, 30), Click(5, 60, False), Click(38, 36.5), Click(45, 10, False))


@pytest.fixture(scope="module")
def view():
    rng = np.random.default_rng(0)
    image = rng.integers(60, 90, (56, 72, 3)).astype(np.uint8)
    image[15:42, 20:50] = rng.integers(170, 220, (27, 30, 3))
    return View(image, np.ones((56, 72), bool), 0.3)


@pytest.mark.parametrize("target", list(Target))
@pytest.mark.parametrize("inner", INNERS)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_contract(wrapper, inner, target, view):
    predictor = WRAPPERS[wrapper](INNERS[inner])
    encoded = predictor.encode(view)
    session = ClickSequence(target)
    for click in CLICKS:
        session = session.add(click, predictor, encoded)
    probs = session.latest.probs
    assert probs.shape == view.shape and probs.dtype == np.float32 and 0 <= probs.min() <= probs.max() <= 1
    again = session.undo().undo().replay(predictor, predictor.encode(view))
    assert same(again.latest, session.undo().undo().latest)
    assert same(session.replay(Cached(predictor), Cached(predictor).encode(view)).latest, session.latest)
    assert same(session.undo().redo().latest, session.latest)


def same(a, b):
    return np.array_equal(a.probs, b.probs) and a.focus == b.focus


@pytest.mark.parametrize("inner", INNERS.values(), ids=INNERS)
def test_flipped_is_mirror_symmetric(inner, view):
    flipped, mirrored = Flipped(inner), View(np.ascontiguousarray(view.image[:, ::-1]))
    clicks = tuple(Click(c.row, 71 - c.col, c.positive) for c in CLICKS)
    previous = Prediction(np.random.default_rng(1).random(view.shape, dtype=np.float32))
    turned = Prediction(np.ascontiguousarray(previous.probs[:, ::-1]))
    one = flipped.predict(flipped.encode(view), Prompt(CLICKS), previous).probs
    two = flipped.predict(flipped.encode(mirrored), Prompt(clicks), turned).probs
    np.testing.assert_allclose(one, two[:, ::-1], atol=1e-5)


class Spy:
    """Counts encodings and remembers the last prompt and previous answer."""

    def __init__(self):
        self.encodings, self.prompt, self.previous = 0, None, None

    def encode(self, view):
        self.encodings += 1
        return view.shape

    def predict(self, encoded, prompt, previous):
        self.prompt, self.previous = prompt, previous
        return Prediction(np.full(encoded, 0.8, np.float32))


@pytest.mark.parametrize("wrapper", WRAPPERS.values(), ids=WRAPPERS)
def test_target_and_references_pass_through(wrapper, view):
    spy, references = Spy(), ("a reference",)
    predictor = wrapper(spy)
    predictor.predict(predictor.encode(view), Prompt(CLICKS[:1], Target.CLASS, references), None)
    assert spy.prompt.target is Target.CLASS and spy.prompt.references is references


def test_an_unmoved_window_is_not_encoded_again(view):
    spy = Spy()
    predictor = Focused(Cached(spy), RULE)
    session, encoded = ClickSequence(), predictor.encode(view)
    for click in (Click(20, 20), Click(25, 25), Click(22, 28)):
        session = session.add(click, predictor, encoded)
    assert spy.encodings == 1 and session.latest.focus.rows == 56


def test_the_cache_is_bounded_and_keyed_by_content(view):
    spy = Spy()
    cached = Cached(spy, capacity=1)
    cached.encode(view)
    cached.encode(View(view.image.copy(), view.valid.copy(), view.gsd))
    assert spy.encodings == 1
    cached.encode(View(view.image, view.valid, 0.5))
    cached.encode(view)
    assert spy.encodings == 3


def test_errors_name_the_way_out(view):
    with pytest.raises(BadConfig, match="one weight each"):
        Fused((Spy(),), (1, 2))
    with pytest.raises(BadConfig, match="does not answer"):
        only = ByTarget({Target.OBJECT: Spy()})
        only.predict(only.encode(view), Prompt(CLICKS, Target.CLASS), None)
    for inner in INNERS.values():
        with pytest.raises(BadClick, match="add a positive click"):
            inner.predict(inner.encode(view), Prompt(CLICKS[1:2]), None)


def test_modulated_pulls_the_answer_before_towards_the_last_click():
    spy, before = Spy(), Prediction(np.full((40, 40), 0.4, np.float32))
    Modulated(spy).predict((40, 40), Prompt((Click(10, 10), Click(30, 30, False))), before)
    assert spy.previous.probs[30, 30] == 0 and spy.previous.probs[30, 33] < before.probs[30, 33]
    Modulated(spy).predict((40, 40), Prompt((Click(10, 10),)), None)
    assert spy.previous is None
    with pytest.raises(BadConfig, match="Known: mfp, isrefiner"):
        Modulated(spy, "more")
