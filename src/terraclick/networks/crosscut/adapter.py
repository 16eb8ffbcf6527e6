"""CrossCut as a predictor: the whole view in patches, the divisions fused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from terraclick.core.predictor import Predictor
from terraclick.errors import BadConfig, require_extra
from terraclick.networks.click import from_folder
from terraclick.networks.exported import is_exported
from terraclick.predictors.wrappers import Cached, Flipped

__all__ = ["build"]


def build(
    name: str,
    *,
    weights: str | Path | None = None,
    random: int | None = None,
    config: Any = None,
    divisions: tuple[int, ...] | None = None,
    shares: tuple[float, ...] | None = None,
    dirty: float | None = None,
    flip: bool = True,
    parity: bool = False,
    device: str = "cpu",
    precision: str = "float32",
    capacity: int = 4,
) -> Predictor:
    """CrossCut on a whole view: `divisions` (2, 3, 4) fuses them with `shares`, None keeps the view's resolution.

    `parity` squashes the view to 896² and mixes mirror images as published; `dirty` see `CrossCutConfig`. Weights and
    errors as in `click_network`; an exported folder has its own divisions.
    """
    if weights is not None and is_exported(weights):
        if (divisions, shares, dirty) != (None, None, None):
            raise BadConfig(f"{weights} was exported with divisions of its own: leave divisions, shares and dirty out.")
        exported = from_folder(name, weights, parity=parity, precision=precision, device=device)
        return Cached(Flipped(exported) if flip else exported, capacity)
    with require_extra("torch"):
        from terraclick.networks.checkpoint import config_beside, load_network, preset_of
        from terraclick.networks.predictor import Exact, NetworkPredictor
    chosen = config or config_beside(weights, name) or preset_of(name)
    setting = {"setting": "parity" if parity else "paper", "divisions": divisions, "weights": shares, "dirty": dirty}
    network = load_network(name, weights, random, replace(chosen, **setting))
    if parity:
        published = NetworkPredictor(network, (896, 896), True, device, precision, mirror=flip)
        return Exact(Cached(published, capacity))
    predictor: Predictor = NetworkPredictor(network, None, False, device, precision)
    return Cached(Flipped(predictor) if flip else predictor, capacity)
