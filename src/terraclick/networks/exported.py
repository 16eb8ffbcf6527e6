"""A paper's network on the CPU inference engine, from the folder that `terraclick export NAME` wrote: no torch.

The folder holds `encode.onnx` (picture → what does not depend on clicks), `click.onnx` (that, the previous answer and
the clicks → logits) and `network.json`; RefCut's also `reference.onnx`, FocalClick's `refine.onnx`. MFP's and
RS-ISRefiner's modulation runs between the two, in numpy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.core.focus import FocusRule, crop, crop_clicks, paste
from terraclick.core.modulation import MODULATIONS
from terraclick.errors import BadClick, BadWeights
from terraclick.inference.graph import Graph
from terraclick.predictors.inputs import check_bands, click_points, picture, sigmoid
from terraclick.values import MASK_THRESHOLD, Prediction, Prompt, View, Window

__all__ = [
    "DESCRIPTION",
    "ExportedEncoded",
    "ExportedNetwork",
    "is_exported",
    "read_description",
    "read_exported",
    "side_of",
]

DESCRIPTION = "network.json"
"""The file by which an exported folder is known."""

DESCRIPTION_BYTES = 2**20
LARGEST_SIDE = 8192

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ExportedEncoded:
    """What `click.onnx` reads of a view, by name, and the view's shape."""

    kept: Mapping[str, NDArray[Any]]
    shape: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(array.nbytes for array in self.kept.values())


@dataclass(frozen=True, eq=False)
class ExportedNetwork:
    """Answer clicks with exported graphs. Raises BadClick without a positive click, a reference or an answer before."""

    encoder: Graph
    """`encode.onnx`."""
    clicks: Graph
    """`click.onnx`."""
    size: tuple[int, int]
    """Rows and cols the graphs read."""
    kept: tuple[str, ...]
    """Names of what the encoder hands to the clicks."""
    modulation: Mapping[str, Any] | None = None
    """`rule` and its settings where probabilities are modulated before a click is answered."""
    references: Callable[[Prompt], FloatArray] | None = None
    """Where the network reads references: what makes numbers of them."""
    threshold: float = MASK_THRESHOLD
    """Probability above which a pixel belongs to the mask."""
    bands: int = 3
    """How many bands of a picture the graphs read."""

    @cached_property
    def rule(self) -> FocusRule:
        """How a view comes to the graphs' size."""
        return FocusRule(size=self.size)

    def encode(self, view: View) -> ExportedEncoded:
        """The click-free graph on the view. Raises BadConfig for a view of another number of bands."""
        check_bands(view, self.bands)
        whole = Window(0, 0, *view.shape)
        image = crop(view.image, whole, self.rule)
        valid = None if view.valid is None else crop(view.valid.astype(np.float32), whole, self.rule) >= 0.5
        pixels = picture(replace(view, image=image, valid=valid)).astype(np.float32) / 255
        return ExportedEncoded(dict(zip(self.kept, self.encoder.outputs({"image": pixels}), strict=True)), view.shape)

    def predict(self, encoded: ExportedEncoded, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Probabilities of the whole view."""
        shown = self.references is not None and prompt.references
        if not shown and (not prompt.clicks or (not prompt.positives and previous is None)):
            raise BadClick("only excluding clicks were given: add at least one click on the thing you want.")
        whole = Window(0, 0, *encoded.shape)
        points = click_points(crop_clicks(prompt.clicks, whole, self.rule))
        before = np.zeros(self.size, np.float32) if previous is None else crop(previous.probs, whole, self.rule)
        if self.references is not None:
            encoded = replace(encoded, kept={**encoded.kept, "references": self.references(prompt)})
        if self.modulation is None:
            probs = self._look(encoded, before, before, points)
        else:
            if not before.any():  # as published: a first click is answered from nothing, then from its own answer
                before = self._look(encoded, before, before, points)
            probs = self._look(encoded, before, self._modulated(before, points[0]), points)
        return Prediction(paste(probs, whole, encoded.shape, self.rule), None, self.threshold)

    def _look(
        self, encoded: ExportedEncoded, before: FloatArray, modulated: FloatArray, points: FloatArray
    ) -> FloatArray:
        """One run of the click graph → probabilities (H, W) at the graphs' size."""
        asked = {"previous": before[None, None], "modulated": modulated[None, None], "points": points}
        return sigmoid(self.clicks.outputs({**encoded.kept, **asked})[0][0, 0])

    def _modulated(self, before: FloatArray, points: FloatArray) -> FloatArray:
        settings = dict(self.modulation or {})
        return MODULATIONS[settings.pop("rule")](before, points, **settings)


def is_exported(weights: object) -> bool:
    """Whether `weights` is a folder that `terraclick export` wrote."""
    return isinstance(weights, str | Path) and (Path(weights) / DESCRIPTION).is_file()


def read_description(name: str, folder: Path) -> dict[str, Any]:
    """What `network.json` of a folder says. Raises BadWeights if it is damaged or of another network than `name`."""
    try:
        if (folder / DESCRIPTION).stat().st_size > DESCRIPTION_BYTES:
            raise ValueError
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        found = described["name"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise BadWeights(f"{folder / DESCRIPTION} is damaged: export {name} again.") from None
    if found != name:
        raise BadWeights(f"{folder} holds {found}, not {name}: name the network it was exported as.")
    return dict(described)


def read_exported(name: str, folder: str | Path, threads: int | None = None) -> ExportedNetwork:
    """The predictor of an exported folder. Raises BadWeights if it is damaged or of another network."""
    folder = Path(folder)
    described = read_description(name, folder)
    try:
        kept, modulation = tuple(described["kept"]), described["modulation"]
        rows, cols = (side_of(value) for value in described["size"])
        bands = side_of(described.get("bands", 3))
        if not all(isinstance(part, str) for part in kept) or not isinstance(modulation, dict | None):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise BadWeights(f"{folder / DESCRIPTION} is damaged: export {name} again.") from None
    if modulation is not None and modulation.get("rule") not in MODULATIONS:
        raise BadWeights(f"{folder / DESCRIPTION} asks for an unknown modulation: export {name} again.")
    graphs = [Graph(folder / file, threads) for file in ("encode.onnx", "click.onnx")]
    return ExportedNetwork(graphs[0], graphs[1], (rows, cols), kept, modulation, bands=bands)


def side_of(value: Any) -> int:
    """A number of pixels or channels. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST_SIDE:
        raise ValueError
    return value
