"""References on their way into an exported RefCut, without torch: pictures through a graph, masks in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.core.click import Prompt, Reference
from terraclick.core.predictor import Prediction, View
from terraclick.errors import BadConfig
from terraclick.predictors.inputs import picture
from terraclick.predictors.wrappers import Cached

__all__ = ["ExportedReferences", "mean_under", "pooled"]

FloatArray = NDArray[np.float32]


def pooled(mask: NDArray[np.float32], size: tuple[int, int]) -> FloatArray:
    """A mask (H, W) by area on another grid (h, w): cell k of n is the mean of pixels ⌊kH/n⌋ … ⌈(k+1)H/n⌉ − 1."""
    out = mask
    for axis, cells in enumerate(size):
        length = mask.shape[axis]
        first = [k * length // cells for k in range(cells)]
        parts = [
            out.take(range(start, ceil((k + 1) * length / cells)), axis).mean(axis=axis)
            for k, start in enumerate(first)
        ]
        out = np.stack(parts, axis=axis)
    return np.asarray(out, dtype=np.float32)


def mean_under(features: FloatArray, mask: NDArray[np.bool_], resize: str) -> FloatArray:
    """features (C, h, w), mask (H, W) → mean feature (C,) under it (RefCut, equation 6); zero for an empty mask."""
    size = (features.shape[1], features.shape[2])
    share = mask.astype(np.float32)
    share = pooled(share, size) if resize == "area" else cv2.resize(share, size[::-1], interpolation=cv2.INTER_LINEAR)
    total = (features * share).sum(axis=(1, 2))
    return np.asarray(total / max(float(share.sum()), 1e-6), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Pictures:
    """A reference picture → its features (C, h, w)."""

    graph: Any
    side: int

    def encode(self, view: View) -> FloatArray:
        """The graph on the picture stretched to its square."""
        pixels = picture(view)[0].transpose(1, 2, 0).astype(np.float32) / 255
        square = cv2.resize(pixels, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        found = self.graph.outputs({"image": np.ascontiguousarray(square.transpose(2, 0, 1)[None])})
        return np.asarray(found[0][0], dtype=np.float32)

    def predict(self, encoded: Any, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Raises BadConfig: pictures of references are not clicked on."""
        raise BadConfig("a reference picture was asked for an answer: click on a view instead.")


@dataclass(frozen=True, eq=False)
class ExportedReferences:
    """A prompt's references → what `click.onnx` reads of them, (1, 2, C): positive ones, negative ones, zero for none.

    Any number; those of one sign are averaged. Pictures are remembered by their content.
    """

    graph: Any
    """`reference.onnx`."""
    side: int
    """Side in pixels that pictures are stretched to."""
    dim: int
    """C, channels of a representation."""
    mask_resize: str = "area"
    """How masks come down to the token grid: area or bilinear."""
    _pictures: Cached = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pictures", Cached(_Pictures(self.graph, self.side), 32))

    def __call__(self, prompt: Prompt) -> FloatArray:
        """Both sides' representations."""
        return np.stack([self._side(prompt.references, positive) for positive in (True, False)])[None]

    def _side(self, references: Sequence[Reference], positive: bool) -> FloatArray:
        """(C,): the mean of the representations of one sign."""
        rows = [
            mean_under(self._pictures.encode(View(one.image)), np.asarray(one.mask, np.bool_), self.mask_resize)
            for one in references
            if one.positive == positive
        ]
        return np.mean(rows, axis=0, dtype=np.float32) if rows else np.zeros(self.dim, np.float32)
