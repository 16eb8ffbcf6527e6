"""A session is a left fold: undo equals replay of all but the last click, nothing changes in place."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from terraclick.core.session import Session, fold, pack
from terraclick.errors import BadClick
from terraclick.values import Click, Prediction, Reference, Target, View

SHAPE = (12, 17)
VIEW = View(np.zeros((*SHAPE, 3), np.uint8))


@dataclass(frozen=True)
class Cone:
    """Adds or takes away a cone at the last click; reads the previous answer."""

    decay: float = 0.2

    def encode(self, view):
        return np.indices(view.shape)

    def predict(self, encoded, prompt, previous):
        last = prompt.clicks[-1]
        cone = np.exp(-self.decay * np.hypot(encoded[0] - last.row, encoded[1] - last.col))
        before = 0.0 if previous is None else 0.7 * previous.probs
        return Prediction(np.clip(before + (cone if last.positive else -cone), 0, 1).astype(np.float32))


CONE = Cone()
ENCODED = CONE.encode(VIEW)
FIRST = Click(3, 4)
clicks = st.lists(st.builds(Click, st.floats(0, 11), st.floats(0, 16), st.booleans()), max_size=5)


def play(later, session=None):
    session = (session or Session()).add(FIRST, CONE, ENCODED)
    for click in later:
        session = session.add(click, CONE, ENCODED)
    return session


def same(a, b):
    return a.clicks == b.clicks and np.array_equal(a.latest.probs, b.latest.probs)


@settings(max_examples=40, deadline=None)
@given(clicks)
def test_undo_is_replay_of_all_but_the_last(later):
    session = play(later)
    undone = session.add(Click(9, 9), CONE, ENCODED).undo()
    assert same(undone, session) and same(undone.replay(CONE, ENCODED), session)
    assert same(undone.redo().undo(), session) and undone.redo().clicks[-1] == Click(9, 9)


@settings(max_examples=40, deadline=None)
@given(clicks)
def test_undo_all_then_redo_all_comes_back(later):
    session = back = play(later)
    for _ in session.clicks:
        back = back.undo()
    assert back.latest is None and back.clicks == () and back.undo() is back
    for _ in session.clicks:
        back = back.redo()
    assert same(back, session) and back.redo() is back


def test_adding_forgets_what_could_be_redone():
    session = play([Click(8, 8)]).undo().add(Click(1, 1), CONE, ENCODED)
    assert session.undone == () and session.redo() is session


def test_old_sessions_never_change():
    session = play([Click(8, 8)])
    clicks, probs = session.clicks, session.latest.probs.copy()
    session.add(Click(1, 1, False), CONE, ENCODED).undo().undo().replay(Cone(0.5), ENCODED)
    session.latest.probs[:] = 0  # unpacked answers are the caller's own
    assert session.clicks == clicks and np.array_equal(session.latest.probs, probs)


def test_another_predictor_may_replay():
    session = play([Click(8, 8)])
    other = session.replay(Cone(0.5), ENCODED)
    assert other.clicks == session.clicks and not np.array_equal(other.latest.probs, session.latest.probs)


def test_a_mask_can_be_the_start():
    mask = np.zeros(SHAPE, bool)
    mask[2:5, 3:9] = True
    session = Session.from_mask(mask, Target.CLASS)
    assert np.array_equal(session.latest.mask, mask) and session.prompt.target is Target.CLASS
    cut = session.add(Click(3, 4, False), CONE, ENCODED)  # an excluding click has something to cut from
    assert not cut.latest.mask[3, 4] and np.array_equal(cut.undo().latest.mask, mask)
    assert same(cut.replay(CONE, ENCODED), cut)


@pytest.mark.parametrize("positive", [None, False])
def test_only_excluding_clicks_are_refused(positive):
    example = () if positive is None else (Reference(VIEW.image, np.ones(SHAPE, bool), positive),)
    with pytest.raises(BadClick, match="at least one click on the thing"):
        Session(references=example).add(Click(3, 4, False), CONE, ENCODED)


def test_an_example_is_enough_to_start_from():
    example = Reference(VIEW.image, np.ones(SHAPE, bool))
    session = Session(references=(example,)).add(Click(3, 4, False), CONE, ENCODED)
    assert session.prompt.references == (example,) and session.prompt.negatives == session.clicks


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32)))
def test_packing_loses_at_most_half_a_level(probs):
    packed = pack(Prediction(probs, threshold=0.3))
    found = packed.unpack()
    assert found.probs.dtype == np.float32 and np.abs(found.probs - probs).max() <= 1 / 510 + 1e-6
    assert found.threshold == 0.3 and np.array_equal(pack(found).levels, packed.levels)


def test_only_the_box_is_kept():
    probs = np.zeros(SHAPE, np.float32)
    assert pack(Prediction(probs)).levels.size == 0 and not pack(Prediction(probs)).unpack().probs.any()
    probs[4, 5] = probs[6, 9] = 1
    assert pack(Prediction(probs)).levels.shape == (3, 5)


def test_one_loop_answers_clicks_that_are_known_and_clicks_that_are_chosen():
    later = [FIRST, Click(9, 9, False), Click(5, 14)]
    steps = list(fold(Session(), later, CONE, ENCODED))
    assert [len(step.session.clicks) for step in steps] == [1, 2, 3]
    assert same(steps[-1].session, play(later[1:])) and same(Session().answer(later, CONE, ENCODED), play(later[1:]))

    def robot(session):
        return later[len(session.clicks)] if len(session.clicks) < 2 else None

    assert same(list(fold(Session(), robot, CONE, ENCODED))[-1].session, steps[1].session)


def test_the_loop_answers_no_click_before_it_is_asked_for_and_times_the_answer_alone():
    ticks = iter(range(100))
    steps = fold(Session(), [FIRST, Click(9, 9), Click(50, 50)], CONE, ENCODED, lambda: float(next(ticks)))
    assert next(steps).seconds == 1 and next(ticks) == 2
