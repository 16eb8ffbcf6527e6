"""How good a class map is: a confusion matrix and the figures that follow from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scores", "confusion"]


@dataclass(frozen=True, eq=False)
class Scores:
    """A confusion matrix (truth, answer) and what follows from it; a class that no truth shows counts in no mean.

    Further columns than rows are answers that are right nowhere.
    """

    confusion: NDArray[np.int64]
    names: tuple[str, ...]
    uncounted: tuple[str, ...] = ()

    def _both(self) -> NDArray[np.int64]:
        """Pixels that truth or answer give a class, those of both twice."""
        return np.asarray(self.confusion[:, : len(self.names)].sum(0) + self.confusion.sum(1))

    @property
    def iou(self) -> NDArray[np.float64]:
        """Per class; NaN where a class is nowhere."""
        hit = np.diag(self.confusion).astype(np.float64)
        union = self._both() - hit
        return np.where(union > 0, hit / np.maximum(union, 1), np.nan)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Per class; NaN where a class is nowhere."""
        hit = np.diag(self.confusion).astype(np.float64)
        total = self._both()
        return np.where(total > 0, 2 * hit / np.maximum(total, 1), np.nan)

    @property
    def accuracy(self) -> float:
        """Share of pixels named right (OA)."""
        return float(np.trace(self.confusion) / max(self.confusion.sum(), 1))

    def mean(self, values: NDArray[np.float64]) -> float:
        """Mean over the classes that count and that the truth shows."""
        counted = [i for i, name in enumerate(self.names) if name not in self.uncounted and self.confusion[i].sum()]
        return float(np.mean(values[counted])) if counted else math.nan

    def figures(self) -> dict[str, float]:
        """mIoU, mean F1 and OA."""
        return {"miou": self.mean(self.iou), "mf1": self.mean(self.f1), "oa": self.accuracy}

    def by_class(self, values: NDArray[np.float64]) -> dict[str, Any]:
        """Class name → its value, None where a class is nowhere."""
        return {n: None if math.isnan(v) else v for n, v in zip(self.names, values.tolist(), strict=True)}


def confusion(answer: NDArray[Any], truth: NDArray[Any], classes: int, answers: int | None = None) -> NDArray[np.int64]:
    """Counts (truth, answer) of the pixels whose truth is a class; `answers` columns where there are more of them."""
    width = classes if answers is None else answers
    known = truth < classes
    pairs = truth[known].astype(np.int64) * width + answer[known].astype(np.int64)
    return np.bincount(pairs, minlength=classes * width).reshape(classes, width)
