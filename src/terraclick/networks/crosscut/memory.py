"""What an answer of CrossCut leaves to the next one, so that patches that hardly changed are not computed again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from terraclick.blocks.layers import valid_points

__all__ = ["Answered", "CrossCutMemory", "clicks_in_order"]

Clicks = tuple[tuple[float, ...], ...]
"""Each (order, row, col, sign), oldest first."""


@dataclass(frozen=True, eq=False)
class Answered:
    """What a division's patches said, and the question that would leave it at that."""

    asked: Tensor
    """(patches, windows, T, C): what was added to the tokens."""
    logits: Tensor
    """(patches, 1, h, w)."""
    fresh: tuple[int, ...]
    """Patches computed for this very answer."""


@dataclass(frozen=True, eq=False)
class CrossCutMemory:
    """The clicks of an answer and what each division's patches said to them."""

    clicks: Clicks
    answered: Mapping[int, Answered]

    @property
    def asked(self) -> int:
        """Patches that the answer was made of."""
        return sum(len(division.logits) for division in self.answered.values())

    @property
    def computed(self) -> int:
        """Those of them that went through the network."""
        return sum(len(division.fresh) for division in self.answered.values())


def clicks_in_order(points: Tensor) -> Clicks:
    """The clicks of one picture: points (1, 2P, 3) → oldest first, each (order, row, col, sign)."""
    slots = points.shape[1] // 2
    rows, there = points[0].tolist(), valid_points(points)[0].tolist()
    found = [(order, row, col, float(k < slots)) for k, (row, col, order) in enumerate(rows) if there[k]]
    return tuple(sorted(found))
