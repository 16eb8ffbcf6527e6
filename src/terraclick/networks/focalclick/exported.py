"""FocalClick's two stages on the CPU inference engine: no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terraclick.core.predictor import View
from terraclick.core.resample import roi_weights
from terraclick.inference.graph import Graph
from terraclick.networks.exported import ExportedEncoded, ExportedNetwork
from terraclick.networks.focalclick.predictor import Box
from terraclick.predictors.inputs import picture, sigmoid

__all__ = ["ExportedFocal"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ExportedFocal:
    """`click.onnx` is the coarse stage, `refine.onnx` the other; see `FocalStages`."""

    network: ExportedNetwork
    """The coarse stage's graphs; the second one also gives the features."""
    refiner: Graph
    """`refine.onnx`."""
    parity: bool = False
    """Files are made for our own way of resizing."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and cols that both stages read."""
        return self.network.size

    @property
    def threshold(self) -> float:
        """Probability above which a pixel belongs to the mask."""
        return self.network.threshold

    def encode(self, view: View) -> ExportedEncoded:
        """The click-free graph on the view."""
        return self.network.encode(view)

    def coarse(
        self, encoded: ExportedEncoded, previous: FloatArray, points: FloatArray
    ) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
        """The coarse stage: probabilities (S, S); logits (S, S) and features (C, h, w)."""
        asked = {"previous": previous[None, None], "points": points}
        logits, features = self.network.clicks.outputs({**encoded.kept, **asked})
        return sigmoid(logits[0, 0]), (logits[0, 0], features[0])

    def refine(self, coarse: tuple[FloatArray, FloatArray], crop: View, points: FloatArray, box: Box) -> FloatArray:
        """The refined stage: logits (S, S). Boxes differ at every click, so the cut is made here, not in the graph."""
        logits, features = coarse
        side = features.shape[-1]
        asked = {
            "image": picture(crop).astype(np.float32) / 255,
            "points": points,
            "features": _cut(features, box, side, side / logits.shape[-1])[None],
            "coarse": _cut(logits, box, self.size[0], 1.0)[None, None],
        }
        return np.asarray(self.refiner.outputs(asked)[0][0, 0])


def _cut(maps: FloatArray, box: Box, side: int, scale: float) -> FloatArray:
    """RoI-align of maps (…, h, w) → (…, side, side)."""
    top, left, bottom, right = (place * scale for place in box)
    rows = roi_weights(top, bottom, maps.shape[-2], side)
    cols = roi_weights(left, right, maps.shape[-1], side)
    return np.asarray(rows @ maps @ cols.T)
