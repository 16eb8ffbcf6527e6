"""Whether outlines of an image can be carried into another coordinate system, and how well; told before any work."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.exceptions import CRSError, ProjError
from pyproj.transformer import TransformerGroup
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadConfig
from terraclick.geo.grid import Grid, to_geodetic
from terraclick.geo.measure import area_m2

__all__ = ["TRUE_AREA", "accuracy_note", "area_factor", "check_carried", "notes_on_carrying"]

TRUE_AREA = 0.02
"""How far areas on the plane of a coordinate system may be from those on the ground, as a share."""
WORTH_M = 0.5
"""A better transformation is missed where it is nominally so many metres better."""


def check_carried(grid: Grid, destination: CRS, name: str) -> None:
    """Raise BadConfig where places of an image, called `name`, cannot be carried into `destination` at all."""
    source = grid.crs
    if source is None or source.equals(destination, ignore_axis_order=True):
        return
    way_out = "write a GeoPackage (--out NAME.gpkg), which keeps the image's own coordinates"
    try:
        transformer = Transformer.from_crs(source, destination, always_xy=True)
    except (ProjError, CRSError):
        raise BadConfig(
            f"nothing leads from {source.name}, the coordinate system of {name}, to {destination.name}: {way_out}."
        ) from None
    places = _places(grid)
    moved = np.column_stack(transformer.transform(places[:, 0], places[:, 1]))
    if not np.isfinite(moved).all(axis=1).any():
        raise BadConfig(f"{name} lies where {destination.name} is not defined: choose another --crs, or {way_out}.")


def area_factor(grid: Grid, destination: CRS) -> float:
    """Area on the plane of `destination` for one square metre on the ground in the middle of an image.

    1 where it is the image's own system, in degrees (there is no plane), or where it cannot be told.
    """
    source = grid.crs
    if source is None or destination.is_geographic or source.equals(destination, ignore_axis_order=True):
        return 1.0
    rows, cols = grid.shape
    side = max(2.0, min(rows, cols) / 16)
    corners = [(cols / 2 + dx * side, rows / 2 + dy * side) for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    own = shapely.Polygon([grid.to_map(y - 0.5, x - 0.5) for x, y in corners])
    truth = area_m2(own, source)
    try:
        transformer = Transformer.from_crs(source, destination, always_xy=True)
        moved = shapely.transform(own, transformer.transform, interleaved=False)
    except (ProjError, CRSError):
        return 1.0
    metre = destination.axis_info[0].unit_conversion_factor if destination.axis_info else 1.0
    factor = float(moved.area) * metre**2 / truth if truth else 1.0
    return factor if np.isfinite(factor) and factor > 0 else 1.0


def _places(grid: Grid) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The middle of an image and points around its border."""
    rows, cols = grid.shape
    frame = shapely.get_coordinates(shapely.segmentize(shapely.box(0, 0, cols, rows), max(rows, cols) / 4))
    points = [(cols / 2, rows / 2), *frame.tolist()]
    return np.array([grid.to_map(row - 0.5, col - 0.5) for col, row in points])


def accuracy_note(grid: Grid, destination: CRS) -> str:
    """What to say where the best way from an image's coordinates to `destination` needs a grid that is not installed.

    "" where nothing is missed. Without a final full stop.
    """
    source = grid.crs
    if source is None or source.equals(destination, ignore_axis_order=True):
        return ""
    box = _lonlat_box(grid)
    return "" if box is None else _missed(source, destination, box)


def notes_on_carrying(geometries: Sequence[BaseGeometry], source: CRS | None, destinations: Iterable[CRS]) -> list[str]:
    """`accuracy_note` of geometries that are written in one or several other systems; each note once."""
    if source is None or not geometries:
        return []
    left, bottom, right, top = shapely.total_bounds(geometries).tolist()
    least = 1e-9 * max(1.0, *map(abs, (left, bottom, right, top)))  # a grid encloses something
    around = Grid.from_bounds((left, bottom, max(right, left + least), max(top, bottom + least)), (1, 1), source)
    return [note for note in dict.fromkeys(accuracy_note(around, destination) for destination in destinations) if note]


def _lonlat_box(grid: Grid) -> tuple[float, float, float, float] | None:
    """(west, south, east, north) of an image in degrees, to a tenth; None where it cannot be told."""
    geodetic = None if grid.crs is None else to_geodetic(grid.crs)
    if geodetic is None:
        return None
    places = _places(grid)
    try:
        lon, lat = geodetic[0].transform(places[:, 0], places[:, 1])
    except ProjError:
        return None
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()) or np.abs(lon).max() > 180 or np.abs(lat).max() > 90:
        return None
    return tuple(round(float(v), 1) for v in (lon.min(), lat.min(), lon.max(), lat.max()))  # type: ignore[return-value]


@lru_cache(maxsize=64)
def _missed(source: CRS, destination: CRS, box: tuple[float, float, float, float]) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pyproj says the same, less clearly
            area: Any = AreaOfInterest(*box)  # pyproj has two classes of that name
            ways = TransformerGroup(source, destination, always_xy=True, area_of_interest=area)
    except (ProjError, CRSError):
        return ""
    if ways.best_available or not ways.transformers or not ways.unavailable_operations:
        return ""
    used, best = ways.transformers[0].accuracy, ways.unavailable_operations[0]
    grids = [grid.short_name for grid in best.grids if not grid.available]
    if not grids or (used >= 0 and best.accuracy >= 0 and used - best.accuracy < WORTH_M):
        return ""
    off = f"{used:g} m or more" if used > 0 else "metres"
    return (
        f"carried from {source.name} to {destination.name}, outlines can be {off} off, for the grid {grids[0]} is not "
        f"installed: get it (pyproj sync --file {grids[0]}), or keep the image's own coordinates"
    )
