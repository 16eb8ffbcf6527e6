"""What is said of a predictor that `load` knows by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from terraclick.core.predictor import Predictor

__all__ = ["WEIGHTS", "PredictorSpec"]

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
"""Folder of the shipped model's files."""


@dataclass(frozen=True)
class PredictorSpec:
    """What `terraclick models` tells about a predictor."""

    name: str
    """As in `load`."""
    summary: str
    """One line for people."""
    licence: str
    """Licence of its weights, or of the method where there are none."""
    build: Callable[..., Predictor]
    """Makes it; keyword options only."""
    files: tuple[str, ...] = ()
    """Weight files in `WEIGHTS`."""
    reads_references: bool = False
    """Whether references change its answers."""
    reads_box: bool = False
    """Whether it reads a box around the thing; others are told a box by clicks (`core.box`)."""
    extra: str | None = None
    """The optional dependencies of the package without which it cannot be loaded from `weights`; None = none."""
    shows: str = ""
    """What figures draw of its inside: prompts, modulation, or nothing."""
    weights: str | None = None
    """What its option `weights` must be given, in words; None if it needs none."""
