"""A listener rides in a copy of a predictor: what it hears, and that it changes nothing else."""

from dataclasses import dataclass, field

import numpy as np

from terraclick.predictors.progress import Progress, with_progress
from terraclick.predictors.wrappers import BySize, ByTarget, Cached, Flipped, Fused
from terraclick.values import Click, Prediction, Prompt, Target, View

VIEW = View(np.zeros((6, 8, 3), np.uint8))
PROMPT = Prompt((Click(2, 3),), Target.CLASS)


@dataclass(frozen=True)
class Counting:
    """Encodes in three parts and notes how often."""

    encoded: list[int] = field(default_factory=list)
    progress: Progress | None = None

    def encode(self, view):
        self.encoded.append(1)
        for done in range(3):
            if self.progress is not None:
                self.progress(done + 1, 3)
        return view.shape

    def predict(self, encoded, prompt, previous):
        return Prediction(np.full(encoded, 0.7, np.float32))


def test_every_wrapper_passes_the_listener_on():
    for wrap in (
        Cached,
        Flipped,
        lambda inner: Fused((inner, inner)),
        lambda inner: BySize(lambda shape: inner),
        lambda inner: ByTarget({Target.CLASS: inner}),
        lambda inner: ByTarget({Target.OBJECT: inner, Target.CLASS: Cached(BySize(lambda shape: Flipped(inner)))}),
    ):
        heard = []
        predictor = wrap(Counting())
        listening = with_progress(predictor, lambda done, total, heard=heard: heard.append((done, total)))
        answer = listening.predict(listening.encode(VIEW), PROMPT, None)
        assert heard[:3] == [(1, 3), (2, 3), (3, 3)]
        told = len(heard)
        assert np.array_equal(predictor.predict(predictor.encode(VIEW), PROMPT, None).probs, answer.probs)
        silent = with_progress(listening, None)
        silent.predict(silent.encode(View(VIEW.image + 1)), PROMPT, None)
        assert len(heard) == told  # neither the original nor a copy without a listener tells


def test_copies_share_their_caches():
    inner = Counting()
    predictor = Cached(inner)
    for copy in (predictor, with_progress(predictor, lambda done, total: None)):
        copy.encode(VIEW)
    assert inner.encoded == [1]


def test_what_reports_nothing_stays_itself():
    other = object()
    assert with_progress(other, print) is other


def test_an_encoding_for_two_targets_never_changes():
    inner = Counting()
    predictor = ByTarget({Target.OBJECT: Counting(), Target.CLASS: Cached(inner)})
    encoded = predictor.encode(VIEW)
    before = dict(vars(encoded))
    for _ in range(2):
        predictor.predict(encoded, PROMPT, None)
    assert vars(encoded) == before and inner.encoded == [1]
