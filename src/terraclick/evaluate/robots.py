"""Who clicks: robots that see the answer and the truth, and choose the next click."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from terraclick.core.simulate import chance_click, next_click
from terraclick.values import Click

__all__ = ["CHANCE", "DEEPEST", "ROBOTS", "Mask", "Robot"]

Mask: TypeAlias = NDArray[np.bool_]
Robot: TypeAlias = Callable[[Mask, Mask, Mask, Sequence[Click], np.random.Generator], Click | None]
"""(answer, truth, ignore, clicks so far, rng) → the next click; None where the answer is perfect. Masks (H, W)."""

DEEPEST = "RITM: deepest point of the deeper error"
CHANCE = "chance: inside the deeper error, the deeper the likelier"

ROBOTS: dict[str, Robot] = {
    DEEPEST: lambda answer, truth, ignore, clicks, rng: next_click(answer, truth, ignore, clicks),
    CHANCE: lambda answer, truth, ignore, clicks, rng: chance_click(answer, truth, rng, ignore),
}
"""By what a table says of them."""
