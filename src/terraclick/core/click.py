"""Clicks and what surrounds them: the target, references, and the prompt a predictor answers.

Pixel convention of the whole package: row 0, col 0 is the CENTRE of the top-left pixel, so the picture covers
rows −0.5 … height − 0.5. The half pixel between this and map corners lives in `geo/grid.py` only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

__all__ = ["Click", "Prompt", "Reference", "Target"]


class Target(str, Enum):
    """What a click means: the one connected thing under it, or all pixels of that kind in the view."""

    OBJECT = "object"
    CLASS = "class"


@dataclass(frozen=True)
class Click:
    """One click in view pixels (may be fractional); positive includes, negative excludes."""

    row: float
    col: float
    positive: bool = True


@dataclass(frozen=True, eq=False)
class Reference:
    """An example from this or another picture: image (h, w, 3) uint8, mask (h, w) bool; negative: *not like this*."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    positive: bool = True


@dataclass(frozen=True)
class Prompt:
    """Everything a person has said about one target: clicks in the order given, the target kind, references."""

    clicks: tuple[Click, ...]
    target: Target = Target.OBJECT
    references: tuple[Reference, ...] = ()

    @property
    def positives(self) -> tuple[Click, ...]:
        """The clicks that include."""
        return tuple(click for click in self.clicks if click.positive)

    @property
    def negatives(self) -> tuple[Click, ...]:
        """The clicks that exclude."""
        return tuple(click for click in self.clicks if not click.positive)
