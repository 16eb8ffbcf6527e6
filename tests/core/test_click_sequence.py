"""A session is a left fold: undo equals replay of all but the last click, nothing changes in place."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from terraclick.core.click_sequence import ClickSequence, fold, pack
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


def play(later, sequence=None):
    sequence = (sequence or ClickSequence()).add(FIRST, CONE, ENCODED)
    for click in later:
        sequence = sequence.add(click, CONE, ENCODED)
    return sequence


def same(a, b):
    return a.clicks == b.clicks and np.array_equal(a.latest.probs, b.latest.probs)


@settings(max_examples=40, deadline=None)
@given(clicks)
def test_undo_is_replay_of_all_but_the_last(later):
    sequence = play(later)
    undone = sequence.add(Click(9, 9), CONE, ENCODED).undo()
    assert same(undone, sequence) and same(undone.replay(CONE, ENCODED), sequence)
    assert same(undone.redo().undo(), sequence) and undone.redo().clicks[-1] == Click(9, 9)


@settings(max_examples=40, deadline=None)
@given(clicks)
def test_undo_all_then_redo_all_comes_back(later):
    sequence = back = play(later)
    for _ in sequence.clicks:
        back = back.undo()
    assert back.latest is None and back.clicks == () and back.undo() is back
    for _ in sequence.clicks:
        back = back.redo()
    assert same(back, sequence) and back.redo() is back


def test_adding_forgets_what_could_be_redone():
    sequence = play([Click(8, 8)]).undo().add(Click(1, 1), CONE, ENCODED)
    assert sequence.undone == () and sequence.redo() is sequence


def test_old_sessions_never_change():
    sequence = play([Click(8, 8)])
    clicks, probs = sequence.clicks, sequence.latest.probs.copy()
    sequence.add(Click(1, 1, False), CONE, ENCODED).undo().undo().replay(Cone(0.5), ENCODED)
    sequence.latest.probs[:] = 0  # unpacked answers are the caller's own
    assert sequence.clicks == clicks and np.array_equal(sequence.latest.probs, probs)


def test_another_predictor_may_replay():
    sequence = play([Click(8, 8)])
    other = sequence.replay(Cone(0.5), ENCODED)
    assert other.clicks == sequence.clicks and not np.array_equal(other.latest.probs, sequence.latest.probs)


def test_a_mask_can_be_the_start():
    mask = np.zeros(SHAPE, bool)
    mask[2:5, 3:9] = True
    sequence = ClickSequence.from_mask(mask, Target.CLASS)
    assert np.array_equal(sequence.latest.mask, mask) and sequence.prompt.target is Target.CLASS
    cut = sequence.add(Click(3, 4, False), CONE, ENCODED)  # an excluding click has something to cut from
    assert not cut.latest.mask[3, 4] and np.array_equal(cut.undo().latest.mask, mask)
    assert same(cut.replay(CONE, ENCODED), cut)


@pytest.mark.parametrize("positive", [None, False])
def test_only_excluding_clicks_are_refused(positive):
    example = () if positive is None else (Reference(VIEW.image, np.ones(SHAPE, bool), positive),)
    with pytest.raises(BadClick, match="at least one click on the thing"):
        ClickSequence(references=example).add(Click(3, 4, False), CONE, ENCODED)


def test_an_example_is_enough_to_start_from():
    example = Reference(VIEW.image, np.ones(SHAPE, bool))
    sequence = ClickSequence(references=(example,)).add(Click(3, 4, False), CONE, ENCODED)
    assert sequence.prompt.references == (example,) and sequence.prompt.negatives == sequence.clicks


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
    steps = list(fold(ClickSequence(), later, CONE, ENCODED))
    assert [len(step.sequence.clicks) for step in steps] == [1, 2, 3]
    assert same(steps[-1].sequence, play(later[1:])) and same(
        ClickSequence().answer(later, CONE, ENCODED), play(later[1:])
    )

    def robot(sequence):
        return later[len(sequence.clicks)] if len(sequence.clicks) < 2 else None

    assert same(list(fold(ClickSequence(), robot, CONE, ENCODED))[-1].sequence, steps[1].sequence)


def test_the_loop_answers_no_click_before_it_is_asked_for_and_times_the_answer_alone():
    ticks = iter(range(100))
    steps = fold(ClickSequence(), [FIRST, Click(9, 9), Click(50, 50)], CONE, ENCODED, lambda: float(next(ticks)))
    assert next(steps).seconds == 1 and next(ticks) == 2
