"""A box beside clicks: read by the SAM family in its published encoding, said by clicks to every other predictor."""

import numpy as np
import pytest

from terraclick.catalogue import NETWORKS, PREDICTORS, load
from terraclick.core.box import clicks_for
from terraclick.core.click_sequence import ClickSequence
from terraclick.core.predictor import reads_box
from terraclick.errors import BadClick
from terraclick.values import Box, Click, Prediction, Prompt, Target, View

BOX = Box(19.5, 29.5, 39.5, 69.5)
SAM_KINDS = ("sam-vit-b", "sam-hq-vit-b", "sam2-hiera-tiny", "mobile-sam", "efficient-sam-ti")


class Listening:
    """A predictor that keeps the prompts it is asked, and answers with a fixed mask."""

    def __init__(self, reads=False):
        self.reads_box, self.asked = reads, []

    def encode(self, view):
        return view.shape

    def predict(self, encoded, prompt, previous):
        self.asked.append((prompt, previous))
        probs = np.zeros(encoded, np.float32)
        probs[20:40, 30:70] = 0.9
        return Prediction(probs)


@pytest.fixture(scope="module")
def view():
    image = np.random.default_rng(0).integers(0, 80, (60, 100, 3)).astype(np.uint8)
    image[20:40, 30:70] += 120
    return View(image)


def test_a_predictor_that_reads_none_is_told_the_box_by_clicks(view):
    predictor = Listening()
    sequence = (
        ClickSequence().boxed(BOX, view.shape, predictor, view.shape).add(Click(35, 60, False), predictor, view.shape)
    )
    (first, before), (second, after) = predictor.asked
    middle, *around = first.clicks
    assert (middle.row, middle.col, middle.positive) == (29.5, 49.5, True)
    assert before.mask[20:40, 30:70].all() and np.count_nonzero(before.mask) == 800 and before.probs.max() < 0.9
    assert [click.positive for click in around] == [False] * 4
    outside = [(c.row < BOX.top, c.row > BOX.bottom, c.col < BOX.left, c.col > BOX.right) for c in around]
    assert sorted(map(sum, outside)) == [1, 1, 1, 1] and {side.index(True) for side in outside} == {0, 1, 2, 3}
    assert second.clicks == (*first.clicks, Click(35, 60, False)) and np.array_equal(after.mask, sequence.latest.mask)
    assert sequence.clicks == (Click(35, 60, False),), "the clicks for the box are no clicks of the person's"
    assert sequence.undo().clicks == () and sequence.undo().box == BOX and sequence.undo().latest is not None


def test_a_predictor_that_reads_boxes_hears_the_box_alone(view):
    predictor = Listening(reads=True)
    ClickSequence().boxed(BOX, view.shape, predictor, view.shape)
    ((prompt, _),) = predictor.asked
    assert prompt == Prompt((), box=BOX)


def test_a_box_at_the_edge_of_the_view_has_no_click_beyond_it():
    clicks = clicks_for(Box(-0.5, 10, 30, 99.5), (60, 100))
    assert len(clicks) == 3 and all(-0.5 <= c.row < 59.5 and -0.5 <= c.col < 99.5 for c in clicks)


def test_another_box_answers_the_clicks_afresh_and_replay_gives_the_same(view):
    predictor = Listening(reads=True)
    sequence = ClickSequence.from_mask(np.ones(view.shape, bool))
    sequence = sequence.boxed(BOX, view.shape, predictor, None or view.shape).add(Click(30, 50), predictor, view.shape)
    other = Box(10, 10, 50, 90)
    again = sequence.boxed(other, view.shape, predictor, view.shape)
    assert again.clicks == sequence.clicks and again.box == other and len(again.predictions) == 1
    prompt, previous = predictor.asked[-2]
    assert prompt == Prompt((), box=other) and previous.mask.all(), "it starts from what was there before any box"
    told = len(predictor.asked)
    sequence.replay(predictor, view.shape)
    assert [prompt for prompt, _ in predictor.asked[told:]] == [Prompt((), box=BOX), Prompt((Click(30, 50),), box=BOX)]


def test_a_box_is_for_objects(view):
    with pytest.raises(BadClick, match="one object"):
        ClickSequence(Target.CLASS).boxed(BOX, view.shape, Listening(), view.shape)


def test_terra_is_helped_by_a_box():
    """A row of three bright houses: a click on the middle one may run on, a box says where it ends."""
    predictor = load("terra-single")
    view = View(np.random.default_rng(0).integers(60, 90, (256, 256, 3)).astype(np.uint8))
    assert not reads_box(predictor)
    sequence = ClickSequence().boxed(Box(80, 90, 140, 170), view.shape, predictor, predictor.encode(view))
    assert sequence.latest.probs.shape == view.shape and len(sequence.box_clicks) == 5


def test_what_reads_boxes_is_declared_once():
    told = {name for name, spec in (PREDICTORS | NETWORKS).items() if spec.reads_box}
    assert told == {name for name in NETWORKS if "sam" in name}


class TestSam:
    """The published encoding, with tiny random networks."""

    @pytest.fixture(autouse=True)
    def needs(self):
        pytest.importorskip("transformers", reason="needs the extra terraclick[sam]")

    @staticmethod
    def predictor(name, **options):
        from sam_sizes import tiny

        return load(name, random=0, config=tiny(name), **options)

    @pytest.mark.parametrize("name", SAM_KINDS)
    def test_the_box_is_read_moved_and_corrected(self, name, view):
        predictor = self.predictor(name)
        assert reads_box(predictor) == NETWORKS[name].reads_box is True
        encoded = predictor.encode(view)

        def ask(*clicks, box=BOX, before=None):
            return predictor.predict(encoded, Prompt(clicks, box=box), before).probs

        base = ask()
        assert base.shape == view.shape and not np.allclose(base, ask(box=Box(19.5, 29.5, 39.5, 89.5)), atol=1e-6)
        assert not np.allclose(base, ask(box=Box(9.5, 29.5, 39.5, 69.5)), atol=1e-6)
        assert not np.allclose(base, ask(Click(30, 50, False)), atol=1e-6)
        before = Prediction(base)
        assert not np.allclose(
            ask(Click(30, 50), before=before), ask(Click(30, 50), box=None, before=before), atol=1e-6
        )

    @pytest.mark.parametrize("name", ["sam-vit-b", "sam-hq-vit-b", "sam2-hiera-tiny"])
    def test_corners_are_what_transformers_makes_of_a_box(self, name, view):
        """The exported files' tokens, corner labels 2 and 3, against the library's own boxes."""
        import torch

        from terraclick.networks.sam.network import decoded
        from terraclick.networks.sam.onnx_export import with_points_alone

        predictor = self.predictor(name)
        kept = predictor.encode(view).kept.tensors
        points = torch.tensor([[[[40.0, 30.0], [20.0, 11.0], [90.0, 71.0]]]])
        labels = torch.tensor([[[1, 2, 3]]])
        with torch.inference_mode():
            for some in (slice(0, 3), slice(1, 3)):
                asked = points[:, :, some], labels[:, :, some]
                theirs = decoded(predictor.network, kept, *asked, None, False).pred_masks
                network = with_points_alone(predictor.network)
                ours = network(**kept, input_points=asked[0], input_labels=asked[1], multimask_output=False).pred_masks
                assert torch.allclose(ours, theirs, atol=1e-5) and theirs.std() > 1e-4
            left_out = decoded(predictor.network, kept, points[:, :, :1], labels[:, :, :1], None, False).pred_masks
        assert not torch.allclose(left_out, theirs, atol=1e-3)

    def test_a_box_gives_one_mask_and_a_level_one_of_three(self, view):
        several = []

        def masks(self, kept, points, labels, mask, asked):
            several.append((asked, labels.tolist()))
            return np.zeros((3 if asked else 1, 32, 32), np.float32), np.arange(3.0 if asked else 1.0)

        from terraclick.networks.sam.prompted import PromptedSam

        class Stub(PromptedSam):
            stretch, side, level = False, 128, "best"
            features = staticmethod(lambda square: square)

        Stub.masks = masks
        Stub.__abstractmethods__ = frozenset()
        stub = Stub()
        encoded = stub.encode(view)
        stub.predict(encoded, Prompt((), box=BOX), None)
        stub.predict(encoded, Prompt((Click(30, 50),), box=BOX), None)
        stub.level = "whole"
        stub.predict(encoded, Prompt((), box=BOX), None)
        stub.predict(encoded, Prompt((Click(30, 50),), box=BOX), Prediction(np.zeros(view.shape, np.float32)))
        assert several == [(False, [2, 3]), (False, [1, 2, 3]), (True, [2, 3]), (False, [1, 2, 3])]

    @pytest.mark.parametrize("name", SAM_KINDS)
    def test_exported_files_answer_a_box_as_the_network(self, name, view, tmp_path):
        pytest.importorskip("onnx", reason="needs the extra terraclick[torch]")
        from terraclick.networks.sam.onnx_export import export_sam

        theirs = self.predictor(name)
        ours = load(name, weights=export_sam(name, tmp_path / "made", theirs))
        assert reads_box(ours)
        pairs = [(predictor, predictor.encode(view)) for predictor in (ours, theirs)]
        before = None
        for clicks in ((), (Click(30, 50),), (Click(30, 50), Click(22, 65, False))):
            for box in (BOX, None)[: 1 + bool(clicks)]:
                one, two = (p.predict(kept, Prompt(clicks, box=box), before) for p, kept in pairs)
                assert np.allclose(one.probs, two.probs, atol=1e-4) and two.probs.std() > 1e-3
            before = two
