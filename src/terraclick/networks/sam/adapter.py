"""The SAM family as predictors, with transformers or from an exported folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from terraclick.core.predictor import Predictor
from terraclick.errors import BadConfig, require_extra
from terraclick.networks.click import check_plain
from terraclick.networks.exported import is_exported
from terraclick.networks.sam.onnx import EXPORT
from terraclick.networks.sam.prompted import BEST, LEVELS

__all__ = ["build"]


def build(
    name: str,
    *,
    weights: str | Path | None = None,
    random: int | None = None,
    config: Any = None,
    device: str = "cpu",
    precision: str = "float32",
    level: str = BEST,
) -> Predictor:
    """A network of the SAM family, nothing around it: see `load_sam`. Raises BadConfig for a level, MissingExtra.

    An exported folder as `weights` needs neither torch nor `transformers`.
    """
    if level not in LEVELS:
        raise BadConfig(f"level {level!r} was given: choose one of {', '.join(LEVELS)}.")
    if weights is not None and is_exported(weights):
        check_plain(weights, precision=precision, device=device)
        return replace(EXPORT.read(name, weights), level=level)
    with require_extra("sam"):
        from terraclick.networks.sam.network import load_sam
    return load_sam(
        name, weights=weights, random=random, config=config, device=device, precision=precision, level=level
    )
