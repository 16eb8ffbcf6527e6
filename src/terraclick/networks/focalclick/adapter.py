"""FocalClick as a predictor: both stages and its own zoom-in, with torch or from an exported folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from terraclick.core.predictor import Predictor
from terraclick.errors import require_extra
from terraclick.inference.graph import Graph
from terraclick.networks.click import from_folder
from terraclick.networks.exported import is_exported
from terraclick.networks.focalclick.onnx import ExportedFocal
from terraclick.networks.focalclick.predictor import FocalClickPredictor, FocalStages
from terraclick.predictors.wrappers import Cached, Flipped

__all__ = ["build"]


def build(
    name: str,
    *,
    weights: str | Path | None = None,
    random: int | None = None,
    config: Any = None,
    flip: bool = False,
    parity: bool = False,
    side: int = 384,
    device: str = "cpu",
    precision: str = "float32",
    capacity: int = 4,
) -> Predictor:
    """FocalClick's two stages, its own zoom-in included; `side` is the square both stages read.

    An exported folder has its own side. Raises BadWeights without weights or a seed, MissingExtra without torch.
    """
    stages: FocalStages
    if weights is not None and is_exported(weights):
        exported = from_folder(name, weights, parity=parity, precision=precision, device=device)
        stages = ExportedFocal(exported, Graph(Path(weights) / "refine.onnx"))
    else:
        with require_extra("torch"):
            from terraclick.networks.checkpoint import load_network
            from terraclick.networks.focalclick.stages import FocalNetwork
        network = load_network(name, weights, random, config)
        stages = FocalNetwork(network, (side, side), parity, device, precision)
    encoder = Cached(stages, capacity)  # type: ignore[arg-type]
    predictor = FocalClickPredictor(stages, encoder)
    return Flipped(predictor) if flip else predictor
