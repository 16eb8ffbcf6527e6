"""Outlines in pixels of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.geo.keyholes import polygons_in
from terraclick.geo.tangles import made_valid

__all__ = ["MAX_BYTES", "MAX_SIDE", "flat", "joined", "points_of"]


MAX_SIDE = 1 << 20
MAX_BYTES = 256 << 20


def flat(ring: Any) -> list[float]:
    """A ring as x, y, x, y … to a thousandth of a pixel, not closed."""
    return [round(value, 3) for value in shapely.get_coordinates(ring)[:-1].ravel().tolist()]


def points_of(values: Any) -> NDArray[np.float64]:
    """Points (n, 2) from any nesting of numbers. Raises ValueError for what is no place in a picture."""
    points = np.asarray(values, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(points).all() or np.abs(points).max(initial=0) > MAX_SIDE:
        raise ValueError("a coordinate is not a place in a picture")
    return points


def joined(geometries: Sequence[BaseGeometry]) -> BaseGeometry:
    """The polygons of several geometries as one, overlaps united."""
    parts = [part for geometry in geometries for part in polygons_in(geometry)]
    if len(parts) < 2:
        return parts[0] if parts else Polygon()
    return shapely.union_all([made_valid(part) for part in parts])
