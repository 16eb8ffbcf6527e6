"""The shipped model on the CPU inference engine (ONNX Runtime): no torch anywhere.

`encode` runs the frozen encoder once per patch of a division and keeps centred tokens (uint8 pictures and float16
tokens, about 1.3 MB a patch). `predict` builds the prompt bank over all patches, then runs the small click net on every
patch and blends the overlaps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.core.bank import BankRow, click_rows, reference_row
from terraclick.core.division import choose_division, patch_windows
from terraclick.core.obedience import obeyed
from terraclick.core.predictor import Predictor
from terraclick.core.refit import FIT_STRIDE
from terraclick.errors import BadClick
from terraclick.inference.graph import Graph
from terraclick.predictors.progress import Progress
from terraclick.terra.evidence import Marked, marked, marked_reference, score_maps
from terraclick.terra.inputs import mirrored, network_inputs
from terraclick.terra.patches import ENCODER_SIDE, GREY, PatchFeatures, cut, encoder_input, patch_features
from terraclick.values import MASK_THRESHOLD, Prediction, Prompt, View, Window

__all__ = ["TerraEncoded", "TerraGraphs", "TerraPredictor"]

FloatArray = NDArray[np.float32]

STRETCH = 1.1
"""How much larger than native a patch may be, to spare a row: a view of 896 px is 2 × 2 patches, not 3 × 3."""

EDGE = math.log(MASK_THRESHOLD / (1 - MASK_THRESHOLD))
"""The logit at the mask's edge."""

MARGIN = 1.0
"""How far beyond the edge, in logits, an answer is at a click that it has to obey."""


@dataclass(frozen=True, eq=False)
class TerraGraphs:
    """Both networks of the shipped model."""

    encoder: Graph
    click_net: Graph


@dataclass(frozen=True, eq=False)
class TerraEncoded:
    """A view's patches: windows, pictures (side, side, 3) uint8 and features in half precision."""

    shape: tuple[int, int]
    windows: tuple[Window, ...]
    images: tuple[NDArray[np.uint8], ...]
    features: tuple[PatchFeatures, ...]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(image.nbytes for image in self.images) + sum(patch.nbytes for patch in self.features)


@dataclass(frozen=True, eq=False)
class TerraPredictor:
    """`terra` over one division of the view.

    division n: the longer side cut in n. division None: the fewest patches of about `native` view pixels.
    """

    graphs: TerraGraphs
    division: int | None = None
    side: int = 352
    native: int = 448
    overlap: float = 0.125
    examples: Predictor | None = None
    """Encodes pictures of references; give a `Cached` one, so that an example is encoded once, not at every click."""
    deep_prompts: bool = True
    """Whether clicks and references are compared with the tokens; without it clicks are disks alone (an ablation)."""
    mirror: bool = False
    """Whether the click net also answers for the mirror image, both averaged; the encoder runs once all the same."""
    obedience: float = 0.0
    """Width, in sides of the view, of what is changed around a click that the click net did not follow; 0: nothing."""
    progress: Progress | None = None
    """Hears how many patches of a view are encoded."""

    def encode(self, view: View) -> TerraEncoded:
        """Cut the view in patches and run the encoder on each; independent of clicks."""
        image = view.image
        if view.valid is not None and not view.valid.all():
            image = np.where(view.valid[..., None], image, np.uint8(GREY))
        windows = self._windows(view.shape)
        outputs: list[list[FloatArray]] = []
        self._tell(0, len(windows))
        squares = (encoder_input(cut(image, window, ENCODER_SIDE, GREY)) for window in windows)
        for patch in self.graphs.encoder.several(squares, len(windows)):
            outputs.append(patch)
            self._tell(len(outputs), len(windows))
        images = tuple(cut(image, window, self.side, GREY) for window in windows)
        features = tuple(patch.stored() for patch in patch_features(outputs, images))
        return TerraEncoded(view.shape, windows, images, features)

    def predict(self, encoded: TerraEncoded, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Answer the prompt on every patch; the bank is shared by all of them."""
        if not prompt.positives and not prompt.references and previous is None:
            raise BadClick("only excluding clicks were given: add at least one click on the thing you want.")
        features = [patch.ready() for patch in encoded.features]
        bank = click_rows(prompt.clicks, [patch.tokens for patch in features], encoded.windows)
        before = None if previous is None else previous.probs
        evidence = [
            marked(
                patch,
                window,
                prompt.clicks,
                None if before is None else cut(before, window, self.side // FIT_STRIDE, 0.0),
            )
            for patch, window in zip(features, encoded.windows, strict=True)
        ]
        for reference in prompt.references:
            row, shown = self._reference(reference.image, reference.mask, reference.positive)
            bank.append(row)
            evidence.append(shown)
        if not self.deep_prompts:
            bank, evidence = [], []
        fits = score_maps(evidence, features)
        total = np.zeros(encoded.shape, np.float32)
        weight = np.zeros(encoded.shape, np.float32)

        def runs() -> Iterator[dict[str, NDArray[Any]]]:
            for image, feature, fit, window in zip(encoded.images, features, fits, encoded.windows, strict=True):
                inputs = network_inputs(image, feature, bank, fit, prompt, window, before)
                batch = {name: array[None] for name, array in inputs.items()}
                yield from (batch, mirrored(batch)) if self.mirror else (batch,)

        answers = self.graphs.click_net.several(runs(), len(encoded.windows) * (1 + self.mirror))
        for window in encoded.windows:
            logits = next(answers)[0][0, 0]
            if self.mirror:
                logits = (logits + next(answers)[0][0, 0, :, ::-1]) / 2
            _paste(total, weight, logits, window, self.overlap)
        logits = np.asarray(total / np.maximum(weight, 1e-6), np.float32)
        if self.obedience:
            reach = self.obedience * max(encoded.shape)
            logits = obeyed(logits - np.float32(EDGE), prompt.clicks, reach, MARGIN) + np.float32(EDGE)
        return Prediction(np.asarray(1 / (1 + np.exp(-logits)), np.float32))

    def divisions(self, shape: tuple[int, int]) -> int:
        """How many patches the longer side of a view of this shape is cut in."""
        return self.division or choose_division(shape, self.native, 1 / STRETCH)

    def _tell(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(done, total)

    def _windows(self, shape: tuple[int, int]) -> tuple[Window, ...]:
        longest, count = max(shape), self.divisions(shape)
        if count == 1:
            return patch_windows(shape, longest, 0)
        # n patches of side p overlapping by f·p cover n·p − (n − 1)·f·p
        patch = math.ceil(longest / (count - (count - 1) * self.overlap))
        return patch_windows(shape, patch, int(patch * self.overlap))

    def _reference(self, image: NDArray[np.uint8], mask: NDArray[np.bool_], positive: bool) -> tuple[BankRow, Marked]:
        """What a reference picture says, from its own view: a row of the bank, and evidence."""
        view = View(image)
        encoded = (self.examples or TerraPredictor(self.graphs, 1, self.side)).encode(view)
        window = encoded.windows[0]
        square = cut(mask.astype(np.uint8), window, window.rows, 0).astype(bool)
        features = encoded.features[0].ready()
        return reference_row(features.tokens, square, positive), marked_reference(features, square, positive)


def _ramp(length: int, overlap: float) -> FloatArray:
    """Weights along a patch's side: 1 inside, falling linearly over the overlap towards both ends."""
    position = np.arange(length, dtype=np.float32) + 0.5
    edge = np.minimum(position, length - position) / max(overlap * length, 1.0)
    return np.asarray(np.clip(edge, 0.0, 1.0), np.float32)


def _paste(total: FloatArray, weight: FloatArray, logits: FloatArray, window: Window, overlap: float) -> None:
    """Add a patch's logits, resized to its window and weighted, into the view-sized sums."""
    full = cv2.resize(logits, (window.cols, window.rows), interpolation=cv2.INTER_LINEAR)
    share = np.outer(_ramp(window.rows, overlap), _ramp(window.cols, overlap)) + np.float32(1e-4)
    inside, place = window.clipped(total.shape)
    total[inside.slices] += full[place.slices] * share[place.slices]
    weight[inside.slices] += share[place.slices]
