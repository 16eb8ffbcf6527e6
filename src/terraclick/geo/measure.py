"""True areas and lengths on the ground, whatever the coordinate system.

A geodesic area is a small difference of large ones: for a car it is only good to about a hundredth of a square metre.
So small shapes are laid on an equal-area plane around themselves (exact on the ellipsoid, lengths good to 1e-5 within
50 km), and only shapes wider than that are measured along geodesics.
"""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from shapely.geometry.base import BaseGeometry

from terraclick.geo.grid import to_geodetic

__all__ = ["area_m2", "measured", "perimeter_m"]

WIDE_M = 50_000.0


def area_m2(geometry: BaseGeometry, crs: CRS | None) -> float | None:
    """Ground area of a geometry in square metres, holes taken out; None without a crs or outside its domain."""
    return measured(geometry, crs)[0]


def perimeter_m(geometry: BaseGeometry, crs: CRS | None) -> float | None:
    """Ground length of a geometry's border in metres, holes included; None without a crs or outside its domain."""
    return measured(geometry, crs)[1]


def measured(geometry: BaseGeometry, crs: CRS | None) -> tuple[float | None, float | None]:
    """(`area_m2`, `perimeter_m`) at the cost of one."""
    return _measure(geometry, crs) or (None, None)


def _measure(geometry: BaseGeometry, crs: CRS | None) -> tuple[float, float] | None:
    """(square metres, metres), or None where they cannot be told."""
    if crs is None:
        return None
    if geometry.is_empty:
        return 0.0, 0.0
    geodetic = to_geodetic(crs)
    if geodetic is None:
        metre = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
        return geometry.area * metre**2, geometry.length * metre
    transformer, geod = geodetic
    try:
        degrees = shapely.transform(geometry, lambda xy: _project(transformer, xy))
        if not np.isfinite(shapely.get_coordinates(degrees)).all():
            return None
        lon, lat = _middle(shapely.get_coordinates(degrees))
        if not (math.isfinite(lon) and math.isfinite(lat)):
            return None
        plane = Transformer.from_pipeline(f"+proj=laea +lat_0={lat!r} +lon_0={lon!r} +a={geod.a!r} +b={geod.b!r}")
        local = shapely.transform(degrees, lambda xy: _project(plane, xy))
    except ProjError:
        return None
    if np.abs(shapely.get_coordinates(local)).max() <= WIDE_M:
        return float(local.area), float(local.length)
    area, _ = geod.geometry_area_perimeter(shapely.orient_polygons(degrees))
    length = float(geod.geometry_length(degrees.boundary))
    return (abs(area), length) if math.isfinite(area) else None


def _project(transformer: Transformer, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = transformer.transform(xy[:, 0], xy[:, 1], errcheck=True)
    return np.column_stack([x, y])


def _middle(lonlat: NDArray[np.float64]) -> tuple[float, float]:
    """The point in the middle of (longitude, latitude) points, right across the antimeridian and at a pole."""
    lon, lat = np.radians(lonlat).T
    x, y, z = (float(v.mean()) for v in (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)))
    return math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))
