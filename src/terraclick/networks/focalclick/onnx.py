"""FocalClick as three graphs, the third its second stage, and how these are run without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terraclick.core.resample import roi_weights
from terraclick.errors import BadConfig
from terraclick.inference.graph import Graph
from terraclick.networks.exported import ExportedEncoded, ExportedNetwork
from terraclick.networks.focalclick.predictor import Box
from terraclick.networks.graphs import ClickGraphs, FurtherGraph
from terraclick.predictors.inputs import picture, sigmoid
from terraclick.values import View

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["EXPORT", "ExportedFocal"]

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
        asked: dict[str, NDArray[Any]] = {
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


class FocalGraphs(ClickGraphs):
    """A click's graph is the coarse stage; a third one refines what is cut from its answer."""

    answered: Sequence[str] = ("logits", "features")

    def check(self, size: tuple[int, int]) -> None:
        """Both stages read a square."""
        if size[0] != size[1]:
            raise BadConfig(
                f"FocalClick reads a square, not {size[0]} × {size[1]} pixels: give --size {size[0]},{size[0]}."
            )

    def click(self, network: Any, encoded: Any, given: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Coarse logits and features."""
        coarse = network.coarse(encoded, given["previous"], given["points"])
        return coarse.logits, coarse.features

    def further(self, network: Any, given: Mapping[str, Tensor], answers: Sequence[Tensor]) -> Sequence[FurtherGraph]:
        """The second stage; in the example the focus crop is the whole picture."""
        logits, features = answers
        cuts = {"image": given["image"], "points": given["points"], "features": features, "coarse": logits}
        return (FurtherGraph("refine.onnx", network.detail, cuts, "refined", {"points": {1: "slots"}}),)


EXPORT = FocalGraphs()
