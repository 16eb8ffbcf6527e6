"""How a learning rate rises and falls over a run: shares of its peak."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi

__all__ = ["cosine", "held", "milestones"]


def milestones(step: int, steps: int, at: Sequence[float], warm_up: int = 0) -> float:
    """A tenth of what it was after each of some shares of the steps; it rises over `warm_up` steps. Steps from 0."""
    passed = sum(step >= share * steps for share in at)
    return float(_rise(step, warm_up) * 0.1**passed)


def cosine(step: int, steps: int, last: float = 0.0, warm_up: int = 0) -> float:
    """From the peak to the share `last` of it along half a cosine; it rises over `warm_up` steps. Steps from 0."""
    falling = 0.5 + 0.5 * cos(pi * min(step / max(steps, 1), 1.0))
    return _rise(step, warm_up) * (last + (1 - last) * falling)


def held(done: float, warm_up: float, cool_down: float, last: float = 0.01) -> float:
    """When a share `done` of a run is over: it rises, holds, and falls at the end along half a cosine to `last`."""
    if done < warm_up:
        return max(done / warm_up, 0.01)
    falling = (done - (1 - cool_down)) / cool_down if cool_down else 0.0
    return 1.0 if falling <= 0 else last + (1 - last) * 0.5 * (1 + cos(pi * min(falling, 1.0)))


def _rise(step: int, warm_up: int) -> float:
    return min(1.0, (step + 1) / max(warm_up, 1))
