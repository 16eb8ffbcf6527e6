"""Geometries carried from one coordinate system to another."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData, NotGeoreferenced
from terraclick.geo.lonlat import WGS84, joined, wrapped

__all__ = ["reproject", "reproject_many", "to_lonlat"]


def reproject(geometry: BaseGeometry, source: CRS | None, destination: CRS | None) -> BaseGeometry:
    """The geometry in another CRS (always x east, y north); unchanged if they are equal or both None.

    In degrees it is cut at the antimeridian and closed over a pole (RFC 7946); from degrees it is joined again.
    Raises NotGeoreferenced if only one side has a CRS, BadData if a vertex has no place in the target.
    """
    if source is None or destination is None:
        if source is destination:
            return geometry
        side = "into pixel coordinates" if destination is None else "from pixel coordinates"
        raise NotGeoreferenced(f"a geometry cannot be carried {side}: one of the two sides has no coordinate system.")
    transformer = _way(source, destination)
    if transformer is None:
        return geometry
    area = geometry.geom_type.endswith("Polygon")
    whole = joined(geometry) if source.is_geographic and area else geometry
    moved: BaseGeometry = shapely.transform(whole, transformer.transform, interleaved=False)
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise BadData(f"a geometry lies outside the area where {destination.name} is defined: choose another CRS.")
    if destination.is_geographic and area:
        return wrapped(whole, source, moved, destination)
    if (
        area and source.is_geographic and not moved.is_valid and geometry.is_valid
    ):  # a cap over a pole has a seam in degrees
        moved = shapely.make_valid(moved, method="structure", keep_collapsed=False)
    return moved


def reproject_many(
    geometries: Sequence[BaseGeometry], source: CRS | None, destination: CRS | None
) -> list[BaseGeometry]:
    """`reproject` for each of many, all vertices at once where none of them needs a closer look."""
    if not geometries:
        return []
    if source is None or destination is None or _way(source, destination) is None:
        reproject(geometries[0], source, destination)  # says what is wrong, if anything is
        return list(geometries)
    if not destination.is_geographic:
        array = np.array(geometries, dtype=object)
        transformer = _way(source, destination)
        assert transformer is not None
        moved = shapely.transform(array, transformer.transform, interleaved=False)
        seams = source.is_geographic and _may_have_seams(array, moved)
        if not seams and np.isfinite(shapely.get_coordinates(moved)).all():
            found: list[BaseGeometry] = moved.tolist()
            return found
    return [reproject(geometry, source, destination) for geometry in geometries]


def _may_have_seams(degrees: NDArray[np.object_], moved: NDArray[np.object_]) -> bool:
    """Whether any of many shapes in degrees may be cut at the antimeridian, or was closed over a pole."""
    left, _, right, _ = shapely.total_bounds(degrees)
    return bool(left < -170 or right > 170 or not shapely.is_valid(moved).all())


_WAYS: OrderedDict[tuple[int, int], tuple[CRS, CRS, Transformer | None]] = OrderedDict()
_WAYS_LOCK = threading.Lock()


def _way(source: CRS, destination: CRS) -> Transformer | None:
    """What leads from one CRS to another, None where they are the same. Remembered: it takes longer than its use."""
    key = id(source), id(destination)  # both are kept beside it, so that no other one gets their ids
    with _WAYS_LOCK:
        if key in _WAYS:
            _WAYS.move_to_end(key)
            return _WAYS[key][2]
    transformer = None
    if not source.equals(destination, ignore_axis_order=True):
        try:
            transformer = Transformer.from_crs(source, destination, always_xy=True)
        except ProjError:
            raise BadData(f"nothing leads from {source.name} to {destination.name}: choose another CRS.") from None
    with _WAYS_LOCK:
        _WAYS[key] = source, destination, transformer
        while len(_WAYS) > 32:
            _WAYS.popitem(last=False)
    return transformer


def to_lonlat(geometry: BaseGeometry, source: CRS) -> BaseGeometry:
    """The geometry as longitude and latitude in -180 … 180 degrees, as GeoJSON has it; else as `reproject`."""
    if source.equals(WGS84, ignore_axis_order=True) and geometry.geom_type.endswith("Polygon"):
        return wrapped(geometry, source, geometry, WGS84)
    return reproject(geometry, source, WGS84)
