"""True areas and lengths on the ground, whatever the coordinate system.

A geodesic area is a small difference of large ones: for a car it is only good to about a hundredth of a square metre.
So small shapes are laid on an equal-area plane near them (exact on the ellipsoid, lengths good to 1e-5 within 50 km),
and only shapes wider than that are measured along geodesics. Planes lie around whole tenths of a degree, so that
thousands of neighbours share one and a shape has the same size whenever it is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import ProjError
from shapely.geometry.base import BaseGeometry

from terraclick.geo.grid import to_geodetic

__all__ = ["area_m2", "measured", "measured_many", "perimeter_m"]

WIDE_M = 50_000.0
STEPS = 128
"""So many points at least lie along the longer side of a wide geometry's border when it is measured."""


def area_m2(geometry: BaseGeometry, crs: CRS | None) -> float | None:
    """Ground area of a geometry in square metres, holes taken out; None without a crs or outside its domain."""
    return measured(geometry, crs)[0]


def perimeter_m(geometry: BaseGeometry, crs: CRS | None) -> float | None:
    """Ground length of a geometry's border in metres, holes included; None without a crs or outside its domain."""
    return measured(geometry, crs)[1]


def measured(geometry: BaseGeometry, crs: CRS | None) -> tuple[float | None, float | None]:
    """(`area_m2`, `perimeter_m`) at the cost of one."""
    return measured_many([geometry], crs)[0]


def measured_many(geometries: Sequence[BaseGeometry], crs: CRS | None) -> list[tuple[float | None, float | None]]:
    """`measured` for each of many, in much less time; the numbers are the same."""
    if crs is None or not geometries:
        return [(None, None)] * len(geometries)
    geodetic = to_geodetic(crs)
    if geodetic is None:
        metre = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
        return [_of_its_kind(g, (g.area * metre**2, g.length * metre)) for g in geometries]
    transformer, geod = geodetic
    try:
        sizes = _on_planes(list(geometries), transformer, geod)
        areas_alone = shapely.get_dimensions(np.array(geometries, dtype=object)) == 2
        if areas_alone.all():
            return sizes
        return [_of_its_kind(geometry, size) for geometry, size in zip(geometries, sizes, strict=True)]
    except ProjError:
        if len(geometries) == 1:
            return [(None, None)]
        return [measured_many([geometry], crs)[0] for geometry in geometries]  # one of them has no place there


def _of_its_kind(geometry: BaseGeometry, size: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
    """A line has a length and no area; a point has neither."""
    kind = geometry.geom_type
    if kind.endswith("Polygon") or kind == "GeometryCollection":
        return size
    return (None, None) if kind.endswith("Point") else (None, size[1])


def _on_planes(
    geometries: list[BaseGeometry], transformer: Transformer, geod: Geod
) -> list[tuple[float | None, float | None]]:
    """Sizes on planes around whole tenths of a degree, shared by neighbours; an empty geometry measures nothing."""
    degrees = shapely.transform(np.array(geometries, dtype=object), lambda xy: _project(transformer, xy))
    xy, owner = shapely.get_coordinates(degrees, return_index=True)
    middles = _middles(xy, owner, len(geometries))
    finite = np.ones(len(geometries), dtype=np.bool_)
    finite[owner[~np.isfinite(xy).all(axis=1)]] = False
    sizes: list[tuple[float | None, float | None]] = [(None, None)] * len(geometries)
    empty = shapely.is_empty(degrees)
    for place in np.flatnonzero(empty).tolist():
        sizes[place] = 0.0, 0.0
    placed = np.flatnonzero(~empty & finite & np.isfinite(middles).all(axis=1))
    tenths, group = np.unique(np.round(middles[placed], 1) + 0.0, axis=0, return_inverse=True)
    for number, (lon, lat) in enumerate(tenths.tolist()):
        places = placed[group.ravel() == number].tolist()
        plane = _plane(lon, lat, geod.a, geod.b)
        local = shapely.transform(degrees[places], lambda xy, plane=plane: _project(plane, xy, False))
        reach = np.nan_to_num(np.abs(shapely.bounds(local)).max(axis=1), nan=np.inf)  # the far side of the world
        near = np.where(reach > WIDE_M, shapely.Polygon(), local)
        found = zip(shapely.area(near).tolist(), shapely.length(near).tolist(), strict=True)
        for place, wide, size in zip(places, (reach > WIDE_M).tolist(), found, strict=True):
            sizes[place] = _along(geometries[place], transformer, geod) if wide else size
    return sizes


def _along(geometry: BaseGeometry, transformer: Transformer, geod: Geod) -> tuple[float | None, float | None]:
    """Sizes along geodesics between points on the border, which is straight on the map and not on the ground.

    Ring by ring: around a pole, and around the world, a ring's turn says nothing of what is inside.
    """
    left, bottom, right, top = geometry.bounds

    def on_ground(part: BaseGeometry) -> BaseGeometry:
        dense = shapely.segmentize(part, max(right - left, top - bottom) / STEPS)
        return shapely.transform(dense, lambda xy: _project(transformer, xy))

    whole = on_ground(geometry)
    if not geometry.geom_type.endswith("Polygon"):
        return None, float(sum(geod.line_length(*shapely.get_coordinates(part).T) for part in shapely.get_parts(whole)))
    area, length = _of_rings(whole, geod)
    if whole.bounds[2] - whole.bounds[0] > 180 and geometry.is_valid:  # what may be more than half the world
        xs, ys = np.linspace(left, right, 5), np.linspace(bottom, top, 5)
        cells = shapely.box(xs[:-1, None], ys[None, :-1], xs[1:, None], ys[None, 1:]).ravel()
        area = sum(_of_rings(on_ground(part), geod)[0] for part in shapely.intersection(geometry, cells))
    return (area, length) if math.isfinite(area) else (None, None)


def _of_rings(degrees: BaseGeometry, geod: Geod) -> tuple[float, float]:
    """(area, length) of polygons whose rings each enclose less than half the world."""
    area = length = 0.0
    for part in shapely.get_parts(degrees):
        for number, ring in enumerate(shapely.get_rings(part)):
            inside, around = geod.polygon_area_perimeter(*shapely.get_coordinates(ring).T)
            area += abs(inside) if number == 0 else -abs(inside)
            length += around
    return area, length


@lru_cache(maxsize=4096)
def _plane(lon: float, lat: float, a: float, b: float) -> Transformer:
    """Longitudes and latitudes → metres on an equal-area plane around a place."""
    return Transformer.from_pipeline(f"+proj=laea +lat_0={lat!r} +lon_0={lon!r} +a={a!r} +b={b!r}")


def _project(transformer: Transformer, xy: NDArray[np.float64], check: bool = True) -> NDArray[np.float64]:
    x, y = transformer.transform(xy[:, 0], xy[:, 1], errcheck=check)
    return np.column_stack([x, y])


def _middles(lonlat: NDArray[np.float64], owner: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """(count, 2): the points in the middle of each owner's points, right across the antimeridian and at a pole."""
    lon, lat = np.radians(lonlat).T
    sides = (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
    number = np.maximum(np.bincount(owner, minlength=count), 1)
    x, y, z = (np.bincount(owner, side, minlength=count) / number for side in sides)
    return np.column_stack([np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))])
