"""Predictors by name: what they promise, and that undo equals replay through every one of them."""

import numpy as np
import pytest

from terraclick.catalogue import PREDICTORS, load
from terraclick.core.click_sequence import ClickSequence
from terraclick.errors import BadWeights, UnknownName
from terraclick.predictors.progress import with_progress
from terraclick.predictors.spec import WEIGHTS
from terraclick.values import Click, Prompt, Reference, Target, View

CLICKS = (Click(100, 120), Click(20, 30, False), Click(130.5, 140))
QUICK = {"randomwalk": {"max_side": 64}, "grabcut": {"rounds": 1}, "terra-fused": {"threads": 1, "divisions": (1, 2)}}


@pytest.fixture(scope="module")
def view():
    image = np.random.default_rng(0).integers(0, 80, (200, 260, 3)).astype(np.uint8)
    image[80:150, 90:180] += 120
    return View(image, np.ones((200, 260), bool))


@pytest.mark.parametrize("target", list(Target))
@pytest.mark.parametrize("name", PREDICTORS)
def test_undo_is_replay(name, target, view):
    options = QUICK.get(name, {"threads": 1})
    predictor = load(name, **options)
    encoded = predictor.encode(view)
    session = ClickSequence(target)
    for click in CLICKS:
        session = session.add(click, predictor, encoded)
    probs = session.latest.probs
    assert probs.shape == view.shape and probs.dtype == np.float32 and 0 <= probs.min() <= probs.max() <= 1
    fresh = load(name, **options)  # another instance, whose caches are empty
    again = session.undo().replay(fresh, fresh.encode(view))
    assert np.array_equal(again.latest.probs, session.undo().latest.probs)
    assert again.latest.focus == session.undo().latest.focus


@pytest.mark.parametrize("target", list(Target))
def test_examples_change_an_answer(target, view):
    predictor = load("terra", threads=1)
    encoded = predictor.encode(view)
    mask = np.zeros(view.shape, bool)
    mask[85:145, 95:175] = True
    example = Reference(view.image, mask)
    taught = ClickSequence(target, (example,)).add(CLICKS[0], predictor, encoded)
    assert not np.array_equal(
        taught.latest.probs, ClickSequence(target).add(CLICKS[0], predictor, encoded).latest.probs
    )
    alone = ClickSequence(target, (example,)).add(CLICKS[1], predictor, encoded)  # an example and an excluding click
    assert alone.latest.probs.shape == view.shape


def test_an_example_is_encoded_once_whatever_the_predictors(view):
    example = Reference(np.full((60, 70, 3), 90, np.uint8), np.ones((60, 70), bool))
    looks = []
    for name in ("terra", "terra-single", "terra-fused"):
        predictor = load(name, **QUICK.get(name, {"threads": 1}))
        encoded = predictor.encode(view)
        predictor.predict(encoded, Prompt((CLICKS[0],), Target.CLASS), None)  # encodes the view itself
        listening = with_progress(predictor, lambda done, total: looks.append((done, total)))
        listening.predict(encoded, Prompt((CLICKS[0],), Target.CLASS, (example,)), None)
    assert looks == [(0, 1), (1, 1)]


@pytest.mark.parametrize("name", PREDICTORS)
def test_specs_tell_what_they_are(name):
    spec = PREDICTORS[name]
    assert spec.summary and spec.licence and all((WEIGHTS / file).is_file() for file in spec.files)


def test_unknown_names_and_options_are_refused():
    with pytest.raises(UnknownName, match=r"no model 'tera'\. Known: terra, "):
        load("tera")
    with pytest.raises(TypeError):
        load("grabcut", wings=2)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(BadWeights, match="no model file"):
        load("terra", weights=tmp_path)


def test_fused_tells_how_many_patches_it_has_read():
    told = []
    model = with_progress(load("terra-fused", divisions=(1, 2)), lambda done, total: told.append((done, total)))
    model.predict(model.encode(View(np.zeros((64, 64, 3), np.uint8))), Prompt((Click(3, 3),), Target.CLASS), None)
    assert told == [(0, 1), (1, 1), (0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
