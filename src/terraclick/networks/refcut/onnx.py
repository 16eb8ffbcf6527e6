"""RefCut as three graphs, one of them for reference pictures, and how these are read without torch: masks in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.core.predictor import Predictor
from terraclick.errors import BadConfig, BadWeights
from terraclick.inference.graph import Graph
from terraclick.networks.exported import DESCRIPTION, ExportedNetwork, read_description, side_of
from terraclick.networks.graphs import ClickGraphs, FurtherGraph
from terraclick.predictors.inputs import picture
from terraclick.predictors.wrappers import Cached
from terraclick.values import Prediction, Prompt, Reference, View

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["EXPORT", "ExportedReferences", "mean_under", "pooled"]

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
    full = mask.astype(np.float32)
    small = pooled(full, size) if resize == "area" else cv2.resize(full, size[::-1], interpolation=cv2.INTER_LINEAR)
    share = np.asarray(small, np.float32)
    total = (features * share).sum(axis=(1, 2))
    return np.asarray(total / max(float(share.sum()), 1e-6), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class ReferencePictures:
    """A reference picture → its features (C, h, w)."""

    graph: Graph
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

    Any number; those of one sign are averaged.
    """

    pictures: Predictor
    """Encodes pictures; give a `Cached` one, so that an example is encoded once, not at every click."""
    dim: int
    """C, channels of a representation."""
    mask_resize: str = "area"
    """How masks come down to the token grid: area or bilinear."""

    def __call__(self, prompt: Prompt) -> FloatArray:
        """Both sides' representations."""
        return np.stack([self._side(prompt.references, positive) for positive in (True, False)])[None]

    def _side(self, references: Sequence[Reference], positive: bool) -> FloatArray:
        """(C,): the mean of the representations of one sign."""
        rows = [
            mean_under(self.pictures.encode(View(one.image)), np.asarray(one.mask, np.bool_), self.mask_resize)
            for one in references
            if one.positive == positive
        ]
        return np.mean(rows, axis=0, dtype=np.float32) if rows else np.zeros(self.dim, np.float32)


class RefCutGraphs(ClickGraphs):
    """A click also reads representations of references (1, 2, C); a third graph makes features of their pictures."""

    asked: Sequence[str] = ("previous", "points", "references")

    def inputs(self, network: Any, size: tuple[int, int], slots: int, seed: int) -> dict[str, Tensor]:
        """With references."""
        import torch

        rng = torch.Generator().manual_seed(seed)
        references = torch.rand(1, 2, network.config.base.vit.dim, generator=rng)
        return super().inputs(network, size, slots, seed) | {"references": references}

    def click(self, network: Any, encoded: Any, given: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """The answer under references."""
        return (network.answer(encoded, given["previous"], given["points"], given["references"]),)

    def further(self, network: Any, given: Mapping[str, Tensor], answers: Sequence[Tensor]) -> Sequence[FurtherGraph]:
        """Features of a reference picture (1, 3, S, S)."""
        import torch

        side = network.config.reference_side
        image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
        return (FurtherGraph("reference.onnx", network.features, {"image": image}, "features"),)

    def described(self, network: Any) -> dict[str, Any]:
        """How pictures and masks are brought to the graph's size."""
        config = network.config
        settings = {"side": config.reference_side, "dim": config.base.vit.dim, "mask_resize": config.mask_resize}
        return {"references": settings}

    def read(self, name: str, folder: str | Path, threads: int | None = None) -> ExportedNetwork:
        """The network, and what it is told of references. Raises BadWeights."""
        folder = Path(folder)
        try:
            said = read_description(name, folder)["references"]
            side, dim, resize = side_of(said["side"]), side_of(said["dim"]), str(said["mask_resize"])
        except (ValueError, KeyError, TypeError):
            raise BadWeights(f"{folder / DESCRIPTION} is damaged: export {name} again.") from None
        pictures = ReferencePictures(Graph(folder / "reference.onnx", threads), side)
        references = ExportedReferences(Cached(pictures, 32), dim, resize)
        return replace(super().read(name, folder, threads), references=references)


EXPORT = RefCutGraphs()
