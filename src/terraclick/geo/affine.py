"""Geometries and points through an affine transform: the one place that takes its six numbers apart for them."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

__all__ = ["apply", "through"]

Geometry = TypeVar("Geometry", bound=BaseGeometry)


def apply(transform: Affine, x: Any, y: Any) -> tuple[Any, Any]:
    """(x, y) of points, numbers or arrays alike, after the transform."""
    a, b, c, d, e, f = tuple(transform)[:6]
    return a * x + b * y + c, d * x + e * y + f


def through(geometry: Geometry, transform: Affine) -> Geometry:
    """A geometry through a transform; rings keep the order of their corners."""

    def move(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(apply(transform, xy[:, 0], xy[:, 1]))

    moved: Geometry = shapely.transform(geometry, move)
    return moved
