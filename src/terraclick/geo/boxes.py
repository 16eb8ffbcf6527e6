"""Boxes and points in longitude and latitude, and whether a coordinate system has a place for them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from terraclick.errors import BadData
from terraclick.geo.grid import to_geodetic

__all__ = ["corners_lonlat", "mercator_to", "somewhere"]

REACH = 1e9
"""Coordinates beyond this, in whatever unit, are no place in an image or on the Earth."""


def somewhere(boxes: NDArray[np.float64], crs: CRS | None) -> NDArray[np.bool_]:
    """Whether boxes (n, 4: left, bottom, right, top) lie where the coordinate system has places."""
    if len(boxes) == 0:
        return np.zeros(0, dtype=np.bool_)
    fine: NDArray[np.bool_] = np.asarray((np.isfinite(boxes) & (np.abs(boxes) <= REACH)).all(axis=1))
    geodetic = None if crs is None else to_geodetic(crs)
    if geodetic is None:
        return fine
    xs = np.where(fine[:, None], boxes[:, [0, 2, 0, 2]], 0.0)
    ys = np.where(fine[:, None], boxes[:, [1, 1, 3, 3]], 0.0)
    lon, lat = geodetic[0].transform(xs.ravel(), ys.ravel(), errcheck=False)
    placed = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90.000001) & (np.abs(lon) <= 720.000001)
    return np.asarray(fine & placed.reshape(-1, 4).all(axis=1))


def corners_lonlat(boxes: NDArray[np.float64], crs: CRS) -> NDArray[np.float64]:
    """Boxes (n, 4) in degrees (west, south, east, north) by their corners; NaN where that would not be right: near the
    antimeridian, near a pole, and where the coordinate system has no place.
    """
    xs, ys = boxes[:, [0, 2, 0, 2]].ravel(), boxes[:, [1, 1, 3, 3]].ravel()
    try:
        found = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform(xs, ys, errcheck=False)
    except ProjError:
        return np.full(boxes.shape, np.nan)
    lon, lat = (np.asarray(values, np.float64).reshape(-1, 4) for values in found)
    with np.errstate(invalid="ignore"):
        sure = (np.isfinite(lon) & np.isfinite(lat)).all(axis=1) & (np.abs(lon).max(axis=1) < 179.99)
        sure &= (np.ptp(lon, axis=1) < 90) & (np.abs(lat).max(axis=1) < 85)
        edges = np.column_stack([lon.min(axis=1), lat.min(axis=1), lon.max(axis=1), lat.max(axis=1)])
    edges[~sure] = np.nan
    return edges


def mercator_to(
    crs: CRS, xs: NDArray[np.float64], ys: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of Web Mercator in another system; inf where it has no place. Raises BadData if nothing leads there."""
    try:
        transformer = _from_mercator(crs.to_wkt())
    except ProjError:
        raise BadData(f"nothing leads from Web Mercator to {crs.name}.") from None
    east, north = transformer.transform(xs, ys, errcheck=False)
    return np.array(east, np.float64), np.array(north, np.float64)


@lru_cache(maxsize=32)
def _from_mercator(wkt: str) -> Transformer:
    return Transformer.from_crs("EPSG:3857", wkt, always_xy=True)
