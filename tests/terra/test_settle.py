"""Zoom-in that settles: square windows, and a fake predictor that sees only what it is shown."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terraclick.core.click_sequence import ClickSequence
from terraclick.errors import BadClick
from terraclick.terra.settle import Settled, SettleRule, square_window
from terraclick.values import Click, Prediction, Prompt, Reference, View

SHAPE = (400, 500)
starts, sizes = st.integers(0, 150), st.integers(3, 100)


@dataclass(frozen=True)
class Bright:
    """Everything bright in the crop; remembers how large the crops were."""

    seen: list = field(default_factory=list)

    def encode(self, view):
        self.seen.append(view.shape)
        return view.image[..., 0] > 128

    def predict(self, encoded, prompt, previous):
        if not prompt.positives and not prompt.references and previous is None:
            raise BadClick("nothing to start from.")
        return Prediction(encoded.astype(np.float32), threshold=0.4)


def scene(*boxes, shape=SHAPE):
    image = np.zeros((*shape, 3), np.uint8)
    for top, left, rows, cols in boxes:
        image[top : top + rows, left : left + cols] = 255
    return View(image)


def ask(view, clicks, previous=None, rule=SettleRule(first=96, smallest=32)):  # noqa: B008 (frozen)
    return Settled(Bright(), rule).predict(view, Prompt(tuple(clicks)), previous)


@settings(deadline=None)
@given(starts, starts, sizes, sizes, st.integers(0, 60), st.integers(0, 60))
def test_a_window_holds_its_box_and_stays_in_the_view(top, left, rows, cols, down, across):
    side = 1.5 * max(rows, cols)
    window = square_window((top, left, top + rows - 1, left + cols - 1), side, (300, 280), (down, across))
    assert window.row <= top and window.row + window.rows >= top + rows
    assert window.col <= left and window.col + window.cols >= left + cols
    assert window.rows == window.cols and abs(window.rows - side) <= 0.05 * side + 1
    assert window.row >= 0 and window.col >= 0 and window.row + window.rows <= 300 and window.col + window.cols <= 280


@settings(deadline=None)
@given(starts, starts, sizes, sizes, st.integers(0, 500), st.integers(0, 500))
def test_a_shifted_view_gives_the_same_window(top, left, rows, cols, down, across):
    box = np.array([top, left, top + rows - 1, left + cols - 1]) + 300  # far from the edges: nothing is clamped
    shift = np.array([down, across])
    here = square_window(tuple(box), 150, (2000, 2000), (top + 301, left + 302))
    there = square_window(tuple(box + np.tile(shift, 2)), 150, (2000, 2000), (top + 301 + down, left + 302 + across))
    assert (there.row - here.row, there.col - here.col, there.rows) == (down, across, here.rows)


def test_small_changes_of_the_box_give_the_same_window():
    windows = {square_window((100, 100, 150 + i, 150 + j), 96, SHAPE) for i in range(3) for j in range(3)}
    assert len(windows) <= 2


def test_a_side_longer_than_the_view_hangs_over_evenly():
    window = square_window((5, 5, 20, 20), 900, (100, 300))
    assert (window.row, window.rows, window.col, window.cols) == (-100, 300, 0, 300)


def test_the_first_look_surrounds_the_click_and_moves_to_what_it_found():
    answer = ask(scene((200, 200, 130, 40)), [Click(265, 220)], rule=SettleRule(first=64))
    assert np.count_nonzero(answer.mask) == 130 * 40 and answer.threshold == 0.4
    assert answer.focus.rows >= 130 and answer.focus.contains(200, 200) and answer.focus.contains(329, 239)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 90), st.integers(0, 90))
def test_the_answer_does_not_hang_on_the_views_extent(down, across):
    whole = scene((260, 230, 90, 60), shape=(700, 700))
    cropped = View(np.ascontiguousarray(whole.image[down : 550 + down, across : 550 + across]))
    here, there = ask(whole, [Click(280, 250)]), ask(cropped, [Click(280 - down, 250 - across)])
    assert (there.focus.row + down, there.focus.col + across, there.focus.rows) == (
        here.focus.row,
        here.focus.col,
        here.focus.rows,
    )
    assert np.array_equal(there.mask, here.mask[down : 550 + down, across : 550 + across])


def test_a_window_that_fits_is_kept_and_a_far_click_moves_it():
    view, predictor = scene((200, 200, 60, 60), (300, 350, 40, 40)), Settled(Bright(), SettleRule(first=96))
    session = ClickSequence().add(Click(220, 220), predictor, view)
    second = session.add(Click(222, 221), predictor, view)
    assert second.latest.focus == session.latest.focus
    third = second.add(Click(310, 360), predictor, view)
    assert third.latest.mask[310, 360] and third.latest.mask[220, 220]
    assert np.array_equal(third.undo().replay(predictor, view).latest.probs, second.latest.probs)


def test_windows_stop_moving():
    predictor = Settled(Bright(), SettleRule(first=32, smallest=16, moves=2))
    predictor.predict(scene((0, 0, 400, 500)), Prompt((Click(200, 250),)), None)
    assert len(predictor.inner.seen) == 3


def test_without_a_positive_click_the_seed_or_the_whole_view_is_looked_at():
    view = scene((200, 200, 60, 60))
    negative = Prompt((Click(10, 10, False),))
    seeded = Settled(Bright()).predict(view, negative, Prediction.from_mask(view.image[..., 0] > 128))
    assert seeded.focus.rows < 200 and seeded.focus.contains(230, 230)
    example = Prompt(negative.clicks, references=(Reference(view.image, view.image[..., 0] > 128),))
    assert np.count_nonzero(Settled(Bright()).predict(view, example, None).mask) == 3600
    with pytest.raises(BadClick):
        Settled(Bright()).predict(view, negative, None)


def test_a_view_smaller_than_the_first_window():
    answer = ask(scene((5, 5, 10, 10), shape=(40, 60)), [Click(8, 8)], rule=SettleRule())
    assert answer.probs.shape == (40, 60) and np.count_nonzero(answer.mask) == 100


def test_a_later_click_looks_once_where_the_answer_before_was():
    view = scene((180, 200, 60, 60))
    rule = SettleRule(first=96, smallest=32, later_moves=0)
    first = ask(view, [Click(200, 230)], rule=rule)
    looked = Bright()
    Settled(looked, rule).predict(view, Prompt((Click(200, 230), Click(30, 30, False))), first)
    assert looked.seen == [(first.focus.rows, first.focus.cols)]


def test_a_later_answer_that_runs_over_the_edge_is_followed_once():
    view = scene((190, 10, 20, 480))
    rule = SettleRule(first=96, smallest=32, moves=0, later_moves=1)
    first = ask(view, [Click(200, 250)], rule=rule)
    looked = Bright()
    Settled(looked, rule).predict(view, Prompt((Click(200, 250), Click(30, 30, False))), first)
    assert len(looked.seen) == 2 and first.focus.cols < looked.seen[0][1] < looked.seen[1][1]
