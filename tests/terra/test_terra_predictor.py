"""The shipped model on the CPU engine: properties of its parts and of whole answers, not their quality."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from terraclick.core.refit import colour_features
from terraclick.errors import BadClick, BadWeights
from terraclick.inference import graph as room
from terraclick.inference.graph import Graph
from terraclick.predictors.spec import WEIGHTS
from terraclick.predictors.wrappers import Cached
from terraclick.terra.inputs import click_planes, network_inputs
from terraclick.terra.models import terra_graphs
from terraclick.terra.patches import ENCODER_SIDE, GREY, PatchFeatures, cut
from terraclick.terra.predictor import TerraEncoded, TerraGraphs, TerraPredictor
from terraclick.values import Click, Prediction, Prompt, Reference, Target, View, Window

ONE = Prompt((Click(60.0, 80.0),))


@dataclass(frozen=True)
class FakeEncoder:
    """Mean colours of 24 × 24 cells and some fixed mixtures of them; counts its runs."""

    runs: list = field(default_factory=list)

    def __call__(self, inputs):
        image = inputs["image"][0]
        self.runs.append(image.shape)
        cells = image.reshape(3, 24, ENCODER_SIDE // 24, 24, ENCODER_SIDE // 24).mean(axis=(2, 4))
        mixes = np.random.default_rng(0).normal(size=(768 + 384 + 64, 3)).astype(np.float32)
        mixed = np.einsum("ck,khw->chw", mixes, cells)[None].astype(np.float32)
        return [mixed[:, :768], mixed[:, 768:1152], mixed[:, 1152:]]

    def several(self, runs, count):
        return map(self, runs)


class Similarity:
    """Logits: the mean similarity with the prompts, less that with the negative ones, at the picture's size."""

    def __call__(self, inputs):
        maps = inputs["maps"][0]
        side = inputs["image"].shape[-1]
        logits = np.kron(maps[:2].mean(axis=0) - maps[2:4].mean(axis=0), np.ones((side // 24, side // 24)))
        return [logits[None, None]]

    def several(self, runs, count):
        return map(self, runs)


def fake(division=None, examples=None):
    return TerraPredictor(TerraGraphs(FakeEncoder(), Similarity()), division, side=48, native=96, examples=examples)


@pytest.fixture(scope="module")
def view():
    image = np.random.default_rng(3).integers(0, 80, (130, 170, 3)).astype(np.uint8)
    image[40:90, 60:120] += 120
    return View(image)


def test_cut_fills_beyond_every_edge():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    piece = cut(image, Window(-1, -2, 6, 8), 8, GREY)
    whole = cut(image, Window(-1, -2, 6, 6), 6, GREY)
    assert piece.shape == (8, 8) and np.array_equal(whole[1:4, 2:6], image)
    assert np.count_nonzero(whole == GREY) == 36 - 12
    assert np.array_equal(cut(image, Window(0, 1, 3, 3), 3, GREY), image[:, 1:])
    assert not np.shares_memory(cut(image, Window(0, 1, 3, 3), 3, GREY), image)


def test_disks_lie_where_the_clicks_are():
    planes = click_planes((Click(20, 30), Click(0, 0, False), Click(500, 500)), Window(0, 0, 96, 96), 96, None)
    assert planes.shape == (3, 96, 96) and not planes[0].any()
    rows, cols = np.nonzero(planes[1])
    assert (rows.mean(), cols.mean(), rows.size) == (20, 30, 81)  # 81 pixels lie within 5 of a centre
    assert planes[2, 0, 5] == 1 and planes[2, 0, 6] == 0 and planes[2].sum() == 26


def test_a_disk_keeps_its_size_whatever_the_windows():
    planes = click_planes((Click(100.0, 200.0),), Window(50, 150, 192, 192), 96, np.ones((300, 400), np.float32))
    rows, _ = np.nonzero(planes[1])
    assert abs(rows.mean() - 24.75) < 0.5 and 70 <= rows.size <= 90 and (planes[0] == 1).all()


@pytest.mark.parametrize("target", list(Target))
def test_inputs_say_which_target(target):
    arrays = (np.zeros((channels, 6, 6), np.float32) for channels in (16, 8, 4))
    features = PatchFeatures(*arrays, np.zeros((9, 12, 12), np.float32))
    image, window = np.zeros((48, 48, 3), np.uint8), Window(0, 0, 9, 9)
    inputs = network_inputs(image, features, [], np.zeros((2, 12, 12), np.float32), Prompt((), target), window, None)
    assert inputs["target"].tolist() == ([1, 0] if target is Target.OBJECT else [0, 1])
    assert inputs["image"].shape == (3, 48, 48) and inputs["image"].dtype == np.float32


@pytest.mark.parametrize("division", [None, 1, 2, 3])
def test_an_answer_has_the_views_shape_and_range(division, view):
    predictor = fake(division)
    answer = predictor.predict(predictor.encode(view), ONE, None)
    assert answer.probs.shape == view.shape and answer.probs.dtype == np.float32
    assert 0 <= answer.probs.min() < answer.probs.max() <= 1
    assert answer.probs[50:80, 70:110].mean() > answer.probs[:30].mean() + 0.05


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (96, 96), (97, 40)])
def test_views_of_any_shape(shape):
    predictor = fake()
    small = View(np.full((*shape, 3), 90, np.uint8))
    assert predictor.predict(predictor.encode(small), Prompt((Click(0, 0),)), None).probs.shape == shape


def arrays(encoded):
    parts = [(patch.tokens, patch.shallow, patch.principal, patch.colour) for patch in encoded.features]
    return [*encoded.images, *(array for part in parts for array in part)]


def test_encoding_reads_the_view_alone_and_predicting_leaves_it_alone(view):
    predictor = fake(2)
    first, second = predictor.encode(view), predictor.encode(view)
    answers = [predictor.predict(first, ONE, None).probs for _ in range(2)]
    predictor.predict(first, Prompt((*ONE.clicks, Click(5, 5, False))), predictor.predict(first, ONE, None))
    assert np.array_equal(answers[0], answers[1])
    for a, b in zip(arrays(first), arrays(second), strict=True):
        assert np.array_equal(a, b)
    assert first.nbytes == sum(a.nbytes for a in arrays(first))


def test_what_lies_under_missing_data_is_not_seen(view):
    valid = np.ones(view.shape, bool)
    valid[:, 130:] = False
    other = view.image.copy()
    other[:, 130:] = 255
    predictor = fake()
    first, second = (predictor.encode(View(image, valid)) for image in (view.image, other))
    assert all(np.array_equal(a, b) for a, b in zip(arrays(first), arrays(second), strict=True))


def test_a_click_in_one_patch_reaches_the_others():
    image = np.full((96, 300, 3), 30, np.uint8)
    image[20:60, 10:50] = image[20:60, 250:290] = 200
    predictor = fake()
    probs = predictor.predict(predictor.encode(View(image)), Prompt((Click(40, 30),), Target.CLASS), None).probs
    assert probs[40, 270] > 0.6 > 0.5 > probs[40, 150]


def test_without_deep_prompts_the_bank_is_empty(view):
    clicked = Prompt((Click(20, 20),), Target.CLASS)
    whole = fake(division=2)
    plain = replace(whole, deep_prompts=False)
    answers = [one.predict(one.encode(view), clicked, None).probs for one in (whole, plain)]
    assert np.ptp(answers[0]) > 0 and not np.array_equal(*answers)
    assert (
        plain.predict(plain.encode(view), Prompt((Click(30, 30),), Target.CLASS), None).probs.tobytes()
        == answers[1].tobytes()
    )


def test_references_change_the_answer_and_are_encoded_once(view):
    examples = Cached(fake(1))
    predictor = fake(examples=examples)
    encoded = predictor.encode(view)
    mask = np.zeros(view.shape, bool)
    mask[:30] = True
    plain = predictor.predict(encoded, ONE, None)
    for positive in (True, False):
        prompt = Prompt(ONE.clicks, references=(Reference(view.image, mask, positive),))
        for _ in range(3):
            answer = predictor.predict(encoded, prompt, plain)
        assert not np.array_equal(answer.probs, plain.probs)
    assert len(examples.inner.graphs.encoder.runs) == 1


def test_a_reference_needs_no_click(view):
    predictor = fake()
    mask = np.zeros(view.shape, bool)
    mask[45:85, 65:115] = True
    answer = predictor.predict(predictor.encode(view), Prompt((), references=(Reference(view.image, mask),)), None)
    assert answer.probs[50:80, 70:110].mean() > answer.probs[:30].mean() + 0.05


def test_only_excluding_clicks_are_refused(view):
    predictor = fake()
    with pytest.raises(BadClick, match="at least one click"):
        predictor.predict(predictor.encode(view), Prompt((Click(5, 5, False),)), None)


def test_missing_and_damaged_files_are_refused(tmp_path):
    with pytest.raises(BadWeights, match="no model file"):
        Graph(tmp_path / "none.onnx")
    for content in (b"", b"not a graph" * 100):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(BadWeights, match=r"bad\.onnx cannot be loaded"):
            Graph(tmp_path / "bad.onnx")


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_runs_beside_each_other_answer_as_one_by_one(count, monkeypatch):
    """In order, bit for bit, whether there are more runs than threads or fewer."""
    monkeypatch.setattr(room, "WORTH", 0)
    net = Graph(WEIGHTS / "terra_encoder.onnx", threads=3)
    rng = np.random.default_rng(count)
    runs = [{"image": rng.random((1, 3, ENCODER_SIDE, ENCODER_SIDE), dtype=np.float32) * 255} for _ in range(count)]
    one_by_one = [net(inputs) for inputs in runs]
    found = list(net.several(iter(runs), count))
    assert len(found) == count and all(
        np.array_equal(outputs[0], one) for outputs, one in zip(found, one_by_one, strict=True)
    )
    assert ("_beside" in vars(net)) == (count in (3, 8))
    assert len({answer.tobytes() for answer in one_by_one}) == count


def test_a_graph_is_opened_twice_only_where_it_is_worth_it():
    net = Graph(WEIGHTS / "terra_encoder.onnx", threads=2)
    run = {"image": np.zeros((1, 3, ENCODER_SIDE, ENCODER_SIDE), np.float32)}
    for asked in range(4):
        assert "_beside" not in vars(net), asked
        list(net.several([run, run], 2))
    assert "_beside" in vars(net)


def test_an_error_among_several_runs_is_raised(monkeypatch):
    monkeypatch.setattr(room, "WORTH", 0)
    net = Graph(WEIGHTS / "terra_encoder.onnx", threads=2)
    with pytest.raises(Exception, match=r"(?i)invalid|image"):
        list(net.several(iter([{"image": np.zeros((1, 2, 3, 3), np.float32)}] * 2), 2))


def test_the_shipped_networks_answer(view):
    engine = terra_graphs(threads=1)
    predictor = TerraPredictor(engine, division=1, side=96)
    encoded = predictor.encode(view)
    assert [f.tokens.shape for f in encoded.features] == [(768, 24, 24)] and encoded.images[0].shape == (96, 96, 3)
    first = predictor.predict(encoded, ONE, None)
    assert first.probs.shape == view.shape and np.isfinite(first.probs).all()
    assert np.array_equal(predictor.predict(encoded, ONE, None).probs, first.probs)
    further = Prompt((*ONE.clicks, Click(10, 10, False)))
    assert not np.array_equal(predictor.predict(encoded, further, first).probs, first.probs)


def test_a_mirror_average_has_no_preferred_side():
    seen = Window(0, 0, 96, 96)
    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (96, 96, 3)).astype(np.uint8)
    tokens = [rng.normal(size=(channels, 24, 24)).astype(np.float16) for channels in (768, 384, 64)]
    previous = rng.random((96, 96)).astype(np.float32)
    clicks = (Click(20, 30), Click(70, 11, False))
    turned = tuple(replace(click, col=95 - click.col) for click in clicks)
    model = terra_graphs(threads=1)

    def answer(image, tokens, clicks, previous, mirror):
        image = np.ascontiguousarray(image)
        features = PatchFeatures(*map(np.ascontiguousarray, tokens), colour_features(image))
        encoded = TerraEncoded((96, 96), (seen,), (image,), (features,))
        before = Prediction(np.ascontiguousarray(previous))
        return TerraPredictor(model, 1, 96, mirror=mirror).predict(encoded, Prompt(clicks), before).probs

    given = (image, tokens, clicks, previous)
    mirrored = (image[:, ::-1], [part[..., ::-1] for part in tokens], turned, previous[:, ::-1])
    assert np.abs(answer(*given, True) - answer(*mirrored, True)[:, ::-1]).max() < 1e-3
    assert np.abs(answer(*given, False) - answer(*mirrored, False)[:, ::-1]).max() > 1e-2  # the net alone has one
