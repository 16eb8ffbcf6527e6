"""What an object can be on the ground: an area, a line or a point; each is kept as a multi-geometry of its kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiLineString, MultiPoint, MultiPolygon
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData

__all__ = ["KINDS", "ShapeKind", "as_multi", "extent_of", "kind_of", "parts_of_kind", "simple"]

ShapeKind = Literal["polygon", "line", "point"]
KINDS: tuple[ShapeKind, ...] = ("polygon", "line", "point")
_KIND: dict[str, ShapeKind] = {
    "Polygon": "polygon",
    "MultiPolygon": "polygon",
    "LineString": "line",
    "LinearRing": "line",
    "MultiLineString": "line",
    "Point": "point",
    "MultiPoint": "point",
}
_MULTI: dict[ShapeKind, Any] = {"polygon": MultiPolygon, "line": MultiLineString, "point": MultiPoint}


def kind_of(geometry: BaseGeometry) -> ShapeKind | None:
    """Whether a geometry is an area, a line or a point; None for a collection."""
    return _KIND.get(geometry.geom_type)


def parts_of_kind(geometry: BaseGeometry) -> list[BaseGeometry]:
    """The parts of a geometry that are not empty."""
    return [part for part in shapely.get_parts(geometry).tolist() if not part.is_empty]


def as_multi(geometry: BaseGeometry) -> BaseGeometry:
    """An area as MultiPolygon, a line as MultiLineString, a point as MultiPoint. Raises BadData for collections."""
    kind = kind_of(geometry)
    if kind is None:
        raise BadData(
            f"a {geometry.geom_type} was given where a session keeps areas, lines or points: pass one of these."
        )
    if geometry.geom_type.startswith("Multi"):
        return geometry
    found: BaseGeometry = _MULTI[kind]([] if geometry.is_empty else [geometry])
    return found


def simple(geometry: BaseGeometry) -> BaseGeometry:
    """A geometry of one part as that part."""
    parts = shapely.get_parts(geometry)
    return cast(BaseGeometry, parts[0]) if len(parts) == 1 else geometry


def extent_of(geometries: Sequence[BaseGeometry]) -> NDArray[np.float64]:
    """What each covers: the area of areas, the length of lines, the number of points."""
    array = np.array(geometries, dtype=object)
    dimension = shapely.get_dimensions(array)
    flat = np.where(dimension == 1, shapely.length(array), shapely.get_num_geometries(array))
    return np.asarray(np.where(dimension == 2, shapely.area(array), flat), dtype=np.float64)
