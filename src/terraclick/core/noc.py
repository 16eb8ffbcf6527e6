"""What a row of IoUs says, one IoU per click: number of clicks, failures, mean IoU, area under the curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["area_under_curve", "bootstrap_interval", "failures", "mean_iou_at", "number_of_clicks"]

MAX_CLICKS = 20


def number_of_clicks(ious: Sequence[float], threshold: float, max_clicks: int = MAX_CLICKS) -> int:
    """NoC of one task: the first click whose IoU reaches `threshold`, else `max_clicks`."""
    reached = np.flatnonzero(np.asarray(ious, dtype=np.float64)[:max_clicks] >= threshold)
    return int(reached[0]) + 1 if reached.size else max_clicks


def failures(ious_of_tasks: Sequence[Sequence[float]], threshold: float, max_clicks: int = MAX_CLICKS) -> int:
    """NoF: tasks that need `max_clicks` clicks. RITM's rule: success exactly at the last click counts as failure."""
    return sum(number_of_clicks(ious, threshold, max_clicks) >= max_clicks for ious in ious_of_tasks)


def carried(ious: Sequence[float], max_clicks: int = MAX_CLICKS) -> NDArray[np.float64]:
    """One task's IoUs (max_clicks,), the last one carried forward when clicking stopped early."""
    given = np.asarray(ious, dtype=np.float64)[:max_clicks]
    if given.size == 0:
        return np.zeros(max_clicks)
    return np.concatenate([given, np.full(max_clicks - given.size, given[-1])])


def mean_iou_at(ious_of_tasks: Sequence[Sequence[float]], clicks: int) -> float:
    """Mean over tasks of the IoU after `clicks` clicks, carried forward; nan without tasks."""
    if not ious_of_tasks:
        return float("nan")
    return float(np.mean([carried(ious, clicks)[-1] for ious in ious_of_tasks]))


def area_under_curve(ious: Sequence[float], max_clicks: int = MAX_CLICKS) -> float:
    """Mean IoU of one task over clicks 1 … max_clicks, carried forward; in [0, 1]."""
    return float(carried(ious, max_clicks).mean())


def bootstrap_interval(
    groups: Sequence[Sequence[float]], rng: np.random.Generator, draws: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the mean over groups (datasets) of the mean over their values, tasks redrawn within each group."""
    kept = [np.asarray(group, dtype=np.float64) for group in groups if len(group)]
    if not kept:
        return float("nan"), float("nan")
    means = np.mean([rng.choice(group, (draws, group.size)).mean(axis=1) for group in kept], axis=0)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
