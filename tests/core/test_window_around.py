"""The window around what is not zero: the one place that finds the first and last row and column of a mask."""

import re
from pathlib import Path

import numpy as np
import pytest

import terraclick
from terraclick.values import Window

PACKAGE = Path(terraclick.__file__).parent
BY_HAND = re.compile(r"flatnonzero\([\w.]+\.any\(axis=")


@pytest.mark.parametrize("seed", range(20))
def test_all_that_counts_lies_inside_and_touches_each_side(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((rng.integers(1, 30), rng.integers(1, 30))) > 0.97
    mask[rng.integers(mask.shape[0]), rng.integers(mask.shape[1])] = True
    box = Window.around(mask)
    inside = mask[box.slices]
    assert inside.shape == (box.rows, box.cols) and inside.sum() == mask.sum()
    assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
    assert mask[box.last_row].any() and mask[:, box.last_col].any()


def test_nothing_has_no_window():
    assert Window.around(np.zeros((3, 4), bool)) is None and Window.around(np.zeros((0, 4), np.float32)) is None
    assert Window.around(np.array([[0, 0], [0, 0.5]])) == Window(1, 1, 1, 1)


def test_nobody_finds_it_by_hand():
    by_hand = {
        path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if BY_HAND.search(path.read_text())
    }
    assert by_hand == {"values.py", "train/episodes.py"}  # the latter draws one of the rows in between
