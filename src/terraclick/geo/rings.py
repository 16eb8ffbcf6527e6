"""Coordinates as strangers write them, taken only if they are numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "ring_of"]

LARGEST = 1e12
"""A coordinate beyond it is none of any map."""


def ring_of(points: Any) -> NDArray[np.float64]:
    """A GeoJSON list of positions as (n, 2). Raises ValueError for texts, booleans, null and what is not finite."""
    if not isinstance(points, list) or not all(isinstance(point, list) and 2 <= len(point) <= 4 for point in points):
        raise ValueError("positions are lists of two to four numbers")
    if not all(type(value) in (int, float) for point in points for value in point):
        raise ValueError("a coordinate is no number")
    try:
        found = np.array([point[:2] for point in points], dtype=np.float64).reshape(-1, 2)
    except OverflowError:
        raise ValueError("a coordinate is too large") from None
    if found.size and not (np.isfinite(found).all() and np.abs(found).max() <= LARGEST):
        raise ValueError("a coordinate is not finite")
    return found
