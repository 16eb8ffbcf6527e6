"""Torch networks as predictors: the published evaluation loop, click by click, and what every predictor promises."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from parity import close, fixture, state

from terraclick.blocks.layers import ClickViTConfig
from terraclick.catalogue import load
from terraclick.core.click_sequence import ClickSequence
from terraclick.core.focus import FocusRule, resize_aligned
from terraclick.core.masks import iou
from terraclick.core.simulate import next_click
from terraclick.errors import BadClick, BadConfig, BadWeights
from terraclick.networks.checkpoint import load_network, load_published
from terraclick.networks.crosscut.config import CrossCutConfig
from terraclick.networks.predictor import NetworkPredictor
from terraclick.networks.simpleclick.network import SimpleClick, SimpleClickConfig
from terraclick.predictors.inputs import click_points
from terraclick.predictors.wrappers import Cached, Flipped, Focused, Fused, Refined
from terraclick.values import Click, Prompt, View

TINY = SimpleClickConfig(ClickViTConfig(dim=32, heads=2), (8, 16, 32, 64), 16)
CLICKS = (Click(40, 60), Click(20, 30, False), Click(70.5, 80))


@pytest.fixture(scope="module")
def plain():
    torch.manual_seed(0)
    return NetworkPredictor(SimpleClick(TINY), (224, 224))


@pytest.fixture(scope="module")
def view():
    image = np.random.default_rng(0).integers(0, 255, (120, 150, 3)).astype(np.uint8)
    return View(image, np.ones((120, 150), bool))


def test_parity_predictor_loop_300x420(shared):
    arrays, _ = fixture(shared, "predictor_loop_300x420")
    network = load_published("simpleclick", state(fixture(shared, "simpleclick_tiny_d12_x1")[0]), TINY)
    predictor = Focused(Flipped(NetworkPredictor(network)), FocusRule(parity=True))
    encoded = predictor.encode(View(arrays["image_u8"].astype(np.float32)))
    truth, clicks, answer = arrays["gt"] == 1, (), None
    for step in range(5):
        mask = np.zeros(truth.shape, bool) if answer is None else answer.mask
        click = next_click(mask, truth, arrays["gt"] == -1, clicks)
        assert (click.row, click.col, click.positive) == tuple(arrays["clicks"][step])
        clicks = (*clicks, click)
        answer = predictor.predict(encoded, Prompt(clicks), answer)
        focus = answer.focus
        window = (focus.row, focus.row + focus.rows - 1, focus.col, focus.col + focus.cols - 1)
        assert window == tuple(arrays["rois"][step])
        close(answer.probs, arrays["probs_f16"][step], 6e-4)  # the recorded copies are float16
        found = iou(answer.mask, truth, arrays["gt"] == -1)
        assert found == pytest.approx(arrays["ious"][step], abs=2e-3)  # a few pixels
    close(answer.probs, arrays["prob_last"])


def test_clicks_become_padded_slots():
    points = click_points(CLICKS)
    assert points.shape == (1, 4, 3)
    assert points[0].tolist() == [[40, 60, 0], [70.5, 80, 2], [20, 30, 1], [-1, -1, -1]]
    assert click_points((), 3).shape == (1, 6, 3)
    with pytest.raises(BadConfig, match="2 clicks of one sign do not fit in 1 slots"):
        click_points(CLICKS, 1)


WRAPPERS = {
    "plain": lambda p: p,
    "focused": lambda p: Focused(Cached(p), FocusRule((224, 224))),
    "flipped": Flipped,
    "refined": lambda p: Refined(p, 1),
    "fused": lambda p: Fused((p, Flipped(p)), (2, 1)),
    "cached": Cached,
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_undo_is_replay_under_every_wrapper(name, plain, view):
    predictor = WRAPPERS[name](plain)
    encoded = predictor.encode(view)
    session = ClickSequence()
    for click in CLICKS:
        session = session.add(click, predictor, encoded)
    again = session.undo().replay(predictor, predictor.encode(view))
    assert np.array_equal(again.latest.probs, session.undo().latest.probs)
    assert session.latest.probs.shape == view.shape and session.latest.probs.dtype == np.float32


def test_a_mirrored_view_is_answered_mirrored(plain, view):
    predictor = Flipped(plain)
    mirror = View(np.ascontiguousarray(view.image[:, ::-1]), view.valid)
    clicks = tuple(Click(c.row, 149 - c.col, c.positive) for c in CLICKS)
    straight = predictor.predict(predictor.encode(view), Prompt(CLICKS), None)
    across = predictor.predict(predictor.encode(mirror), Prompt(clicks), None)
    close(straight.probs, across.probs[:, ::-1])


def test_pixels_without_data_do_not_matter(plain, view):
    valid = np.ones((120, 150), bool)
    valid[:, 100:] = False
    other = view.image.copy()
    other[:, 100:] = 7
    answers = [plain.predict(plain.encode(View(i, valid)), Prompt(CLICKS), None) for i in (view.image, other)]
    assert np.array_equal(answers[0].probs, answers[1].probs)


def test_bfloat16_masks_agree(shared):
    arrays, _ = fixture(shared, "simpleclick_tiny_d12_x1")
    network = load_published("simpleclick", state(arrays), TINY)
    seen = View(arrays["image_u8"][0])
    answers = []
    for precision in ("float32", "bfloat16"):
        predictor = NetworkPredictor(network, precision=precision)
        answers.append(predictor.predict(predictor.encode(seen), Prompt(CLICKS), None))
    assert 0.2 < answers[0].mask.mean() < 0.8
    assert iou(*(answer.mask for answer in answers)) >= 0.99
    assert not np.array_equal(answers[0].probs, answers[1].probs)


def test_wrong_use_is_refused(plain, view):
    with pytest.raises(BadConfig, match="precision 'int4' is not one of float32, bfloat16"):
        NetworkPredictor(plain.network, precision="int4")
    with pytest.raises(BadClick, match="only excluding clicks"):
        plain.predict(plain.encode(view), Prompt((Click(1, 1, False),)), None)


def test_a_network_is_loaded_by_name_with_weights_or_a_seed(view, tmp_path):
    with pytest.raises(BadWeights, match="simpleclick-b needs weights, which are not shipped"):
        load("simpleclick-b")
    with pytest.raises(BadWeights, match="no weights file at"):
        load("simpleclick-b", weights=tmp_path / "none.pth")
    first, again = (load("simpleclick-xt", random=3, config=TINY, parity=parity) for parity in (False, True))
    answer = first.predict(first.encode(view), Prompt(CLICKS), None)
    exact = again.predict(again.encode(view), Prompt(CLICKS), None)
    assert answer.probs.shape == view.shape
    assert 0 < np.abs(answer.probs - exact.probs).max() < 0.2  # half a pixel apart


def test_mirroring_in_one_batch_is_mirroring_outside(plain, view):
    inside = NetworkPredictor(plain.network, plain.size, mirror=True)
    outside = Flipped(plain)
    answers = [p.predict(p.encode(view), Prompt(CLICKS), None).probs for p in (inside, outside)]
    close(*answers, 1e-4)


@pytest.mark.parametrize("parity", [True, False])
def test_crosscut_by_name(parity, view):
    config = CrossCutConfig(TINY)
    predictor = load("crosscut-b", random=0, config=config, parity=parity, divisions=(1, 2))
    encoded = predictor.encode(view)
    first = predictor.predict(encoded, Prompt(CLICKS[:1]), None)
    second = predictor.predict(encoded, Prompt(CLICKS), first)
    assert second.probs.shape == view.shape and not np.array_equal(first.probs, second.probs)


def test_progressive_answers_end_in_the_whole_one(plain, view):
    small = replace(TINY, vit=ClickViTConfig(dim=32, heads=2, depth=4, size=224))
    predictor = NetworkPredictor(load_network("crosscut", random=0, config=CrossCutConfig(small, divisions=(1, 2))))
    encoded = predictor.encode(view)
    first, last = predictor.progressive(encoded, Prompt(CLICKS), None)
    assert np.array_equal(last.probs, predictor.predict(encoded, Prompt(CLICKS), None).probs)
    assert not np.array_equal(first.probs, last.probs)
    with pytest.raises(BadConfig, match="answers in one step"):
        next(plain.progressive(plain.encode(view), Prompt(CLICKS), None))


def test_crosscut_in_parity_is_stretched_fused_and_mirrored_as_published():
    """To 896² with corners aligned, divisions' logits averaged, then the mirror image's, then back."""
    small = SimpleClickConfig(ClickViTConfig(dim=16, heads=2, depth=4), (4, 8, 16, 32), 8)
    image = np.random.default_rng(0).integers(0, 255, (90, 130, 3)).astype(np.uint8)
    predictor = load("crosscut-b", random=0, config=CrossCutConfig(small), parity=True, divisions=(1, 2))
    ours = predictor.predict(predictor.encode(View(image)), Prompt(CLICKS), None)
    network = load_network("crosscut", random=0, config=CrossCutConfig(small, "parity", (1, 2)))
    picture = torch.from_numpy(resize_aligned(image, (896, 896)).transpose(2, 0, 1)[None]) / 255
    clicks = [(c.row * 896 / 90, c.col * 896 / 130, k) for k, c in enumerate(CLICKS)]
    mirror = [(row, 895 - col, k) for row, col, k in clicks]
    points = torch.tensor([[c[0], c[2], c[1], (-1, -1, -1)] for c in (clicks, mirror)])
    with torch.inference_mode():
        logits = network(torch.cat([picture, picture.flip(-1)]), torch.zeros(2, 1, 896, 896), points)
        probs = torch.sigmoid((logits[:1] + logits[1:].flip(-1)) / 2)[0, 0].numpy()
    close(ours.probs, resize_aligned(probs, (90, 130)))
