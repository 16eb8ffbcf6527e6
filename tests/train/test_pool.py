"""Episodes: truths that lie where the picture shows them at every size and turn, and what is asked how often."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.data.augment import Turn  # noqa: E402
from terraclick.terra.patches import ENCODER_SIDE  # noqa: E402
from terraclick.train.config import Source, TrainConfig  # noqa: E402
from terraclick.train.crops import Asked, Crop  # noqa: E402
from terraclick.train.pool import Episode, Pool  # noqa: E402
from terraclick.values import Click, Target  # noqa: E402

SIDE = ENCODER_SIDE


def square(extent, start=20):
    """A truth with a square of a share of the crop's side."""
    truth = np.zeros((SIDE, SIDE), np.uint8)
    end = start + round(extent * SIDE)
    truth[start:end, start:end] = 1
    return truth


def pool_of(asked, folder, **settings):
    config = TrainConfig(name="tiny", sources=(Source("tiny", 1.0),), remote_share=0.0, reference_share=0.0, **settings)
    pool = Pool(config, [], lambda image: [], folder)
    empty = np.zeros((1, 24, 24), np.float16)
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    pool.crops = {0: Crop(image, empty, empty, empty, tuple(asked), (1,), ("tiny", "a"))}
    pool._index()
    return pool


@pytest.mark.parametrize("side", [160, 192, 224, 256, 288])
def test_a_truth_turned_and_shrunk_is_one_shrunk_and_turned(tmp_path, side):
    """Truths sampled off their pixels' centres slip by up to half a pixel, to another side at every turn."""
    shape = np.random.default_rng(0).random((SIDE // 7, SIDE // 7)) > 0.5
    truth = np.kron(shape, np.ones((7, 7))).astype(np.uint8)
    upright = pool_of([Asked(Target.OBJECT, truth, 1)], tmp_path / "upright")
    for quarter in range(4):
        for mirrored in (False, True):
            turn = Turn(quarter, mirrored, SIDE)
            turned = pool_of([Asked(Target.OBJECT, turn.picture(truth), 1)], tmp_path / f"{quarter}{mirrored}")
            first = upright.truth(Episode(0, 0, turn), side)
            second = turned.truth(Episode(0, 0, Turn(0, False, SIDE)), side)
            rows, cols = (np.nonzero(first != second)[axis] for axis in (0, 1))
            # only samples that lie exactly between two pixels may differ
            between = {i for i in range(side) if ((i + 0.5) * SIDE / side) % 1 == 0}
            assert all(r in between or c in between for r, c in zip(rows, cols, strict=True))
            centre = [np.argwhere(one == 1).mean(axis=0) for one in (first, second)]
            assert np.abs(centre[0] - centre[1]).max() < 0.1


def test_objects_that_fill_their_window_are_asked_most(tmp_path):
    asked = [
        Asked(Target.OBJECT, square(0.6), 1),
        Asked(Target.OBJECT, square(0.1), 1),
        Asked(Target.CLASS, square(0.9), 1),
        Asked(None, square(0.3), -1),
    ]
    pool = pool_of(asked, tmp_path, region_share=0.1, first_looks=0.0)
    drawn = np.bincount([pool.fresh().asked for _ in range(400)], minlength=4)
    assert drawn[0] > 0.6 * 400 and 0 < drawn[1] < 0.2 * 400 and 0 < drawn[2] < 0.2 * 400 and 0 < drawn[3] < 0.2 * 400


def test_a_small_object_is_left_after_its_first_answer(tmp_path):
    """The zoom-in moves to it then: a second click never sees it small."""
    small, large = Asked(Target.OBJECT, square(0.1), 1), Asked(Target.OBJECT, square(0.6), 1)
    answer = np.zeros((SIDE, SIDE), np.float32)
    for asked, clicks in ((small, 1), (large, 2)):
        pool = pool_of([asked], tmp_path / str(clicks), go_on=1.0, region_share=0.0)
        episode = replace(pool.fresh(), clicks=(Click(30, 30, True),))
        after = pool.further(episode, answer, answer > 0.5)
        assert (after.previous is not None) == (clicks == 2)


def test_first_looks_ask_for_whole_small_objects_as_often_as_told(tmp_path):
    """A chain of clicks lasts six samples, a first look one: drawn evenly, first looks would be rare."""
    small, cut_off = square(0.1), square(0.1, start=0)
    asked = [Asked(Target.OBJECT, square(0.6), 1), Asked(Target.OBJECT, small, 1), Asked(Target.OBJECT, cut_off, 1)]
    pool = pool_of(asked, tmp_path, region_share=0.0, first_looks=0.5)
    drawn = [pool.fresh().asked for _ in range(400)]
    assert 0.4 * 400 < drawn.count(1) < 0.65 * 400 and drawn.count(2) < 0.2 * 400
