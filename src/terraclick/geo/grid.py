"""Where pixels lie on the ground: a transform, a coordinate system and a shape, with exact pixel ↔ map both ways.

Two pixel conventions meet here and nowhere else. GDAL's transform counts from the CORNER of the top-left pixel;
clicks count from its CENTRE. `HALF` is the half pixel between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from affine import Affine
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError, ProjError

from terraclick.errors import BadClick, BadConfig, BadGrid
from terraclick.values import Bounds, Click, Window

__all__ = ["Grid", "horizontal", "metres_per_unit"]

HALF = 0.5


@dataclass(frozen=True)
class Grid:
    """The pixels of one view on the map: transform (corner convention, as GDAL), crs or None, shape (rows, cols).

    Without a coordinate system the map is the image itself: x = columns, y = rows downwards, from its top-left corner
    (unless the file brings a transform of its own). Raises BadGrid if the transform cannot be inverted or the shape
    holds no pixel.
    """

    transform: Affine
    crs: CRS | None
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        terms = tuple(self.transform)[:6]
        if not all(math.isfinite(term) for term in terms):
            raise BadGrid(f"the transform {terms} holds a number that is not finite; six finite numbers were expected.")
        a, b, _, d, e, _ = terms
        area, reach = abs(a * e - b * d), math.hypot(a, d) * math.hypot(b, e)
        if not (math.isfinite(reach) and area > 1e-9 * reach and area > 1e-250):
            raise BadGrid(f"the transform {terms} cannot be inverted: its pixels have no area; georeference it again.")
        if min(self.shape) < 1:
            raise BadGrid(f"a grid of {self.shape[0]} rows and {self.shape[1]} columns holds no pixel.")

    @staticmethod
    def from_bounds(bounds: Bounds, shape: tuple[int, int], crs: CRS | None) -> Grid:
        """The grid whose `shape` pixels fill `bounds` exactly: north up, or rows downwards along y without a crs.

        Raises BadGrid for bounds that are not finite or enclose nothing.
        """
        left, bottom, right, top = check_bounds(bounds)
        rows, cols = shape
        if min(rows, cols) < 1:
            raise BadGrid(f"a grid of {rows} rows and {cols} columns holds no pixel.")
        width, height = (right - left) / cols, (top - bottom) / rows
        if crs is None:
            return Grid(Affine(width, 0.0, left, 0.0, height, bottom), None, shape)
        return Grid(Affine(width, 0.0, left, 0.0, -height, top), crs, shape)

    def to_click(self, x: float, y: float, positive: bool = True) -> Click:
        """The click at map point (x, y); may lie outside the view (see `holds`). Raises BadClick if not finite."""
        if not (math.isfinite(x) and math.isfinite(y)):
            raise BadClick(f"the click ({x}, {y}) is not a point on the map: two finite numbers were expected.")
        # Relative to the origin first: subtracting large eastings before multiplying keeps the last digits.
        a, b, c, d, e, f = tuple(self.transform)[:6]
        determinant = a * e - b * d
        x, y = x - c, y - f
        col, row = (e * x - b * y) / determinant, (a * y - d * x) / determinant
        return Click(row - HALF, col - HALF, positive)

    def to_map(self, row: float, col: float) -> tuple[float, float]:
        """Map (x, y) of a point in view pixels (0, 0 = centre of the top-left pixel)."""
        a, b, c, d, e, f = tuple(self.transform)[:6]
        col, row = col + HALF, row + HALF
        return float(a * col + b * row + c), float(d * col + e * row + f)

    def holds(self, click: Click) -> bool:
        """Whether a click falls on a pixel of this grid."""
        return Window(0, 0, *self.shape).contains(click.row, click.col)

    def window(self, window: Window) -> Grid:
        """The grid of a part of this view."""
        return Grid(_placed(self.transform, window.row, window.col), self.crs, (window.rows, window.cols))

    def resized(self, shape: tuple[int, int]) -> Grid:
        """The same ground in another number of (rows, cols)."""
        if min(shape) < 1:
            raise BadGrid(f"a grid of {shape[0]} rows and {shape[1]} columns holds no pixel.")
        rows, cols = self.shape
        return Grid(_placed(self.transform, 0, 0, (rows / shape[0], cols / shape[1])), self.crs, shape)

    def coarsened(self, factor: float, window: Window) -> Grid:
        """The grid of a window counted in pixels `factor` times as large, which begin at this grid's first corner."""
        a, b, c, d, e, f = tuple(self.transform)[:6]
        scaled = Affine(a * factor, b * factor, c, d * factor, e * factor, f)
        return Grid(_placed(scaled, window.row, window.col), self.crs, (window.rows, window.cols))

    @property
    def bounds(self) -> Bounds:
        """(left, bottom, right, top) of the smallest upright map rectangle around all pixels."""
        rows, cols = self.shape
        corners = [self.to_map(r - HALF, c - HALF) for r in (0, rows) for c in (0, cols)]
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def metres_per_pixel(self) -> float | None:
        """Ground sampling distance at the centre: the square root of a pixel's true ground area; None without a crs.

        True metres on the ellipsoid, also in degrees, feet and Web Mercator. None where the projection cannot say
        (a centre outside its domain).
        """
        if self.crs is None:
            return None
        a, b, _, d, e, _ = tuple(self.transform)[:6]
        x, y = self.to_map((self.shape[0] - 1) / 2, (self.shape[1] - 1) / 2)
        (xx, xy), (yx, yy) = _ground_vectors(self.crs, x, y, (a, d), (b, e))
        area = abs(xx * yy - xy * yx)
        return math.sqrt(area) if math.isfinite(area) and area > 0 else None


def _placed(transform: Affine, row: int, col: int, scale: tuple[float, float] = (1.0, 1.0)) -> Affine:
    """The transform of pixels that begin at corner (row, col) and are `scale` (rows, cols) times as large."""
    a, b, c, d, e, f = tuple(transform)[:6]
    down, across = scale
    return Affine(a * across, b * down, a * col + b * row + c, d * across, e * down, d * col + e * row + f)


def check_bounds(bounds: Bounds) -> Bounds:
    """The bounds as floats; raises BadGrid unless finite with left < right and bottom < top."""
    left, bottom, right, top = (float(value) for value in bounds)
    if not all(math.isfinite(value) for value in (left, bottom, right, top)) or left >= right or bottom >= top:
        raise BadGrid(f"the bounds {left}, {bottom}, {right}, {top} enclose nothing: give left, bottom, right, top.")
    return left, bottom, right, top


def horizontal(crs: CRS) -> CRS:
    """The crs, if x and y of a map can be counted in it. Raises BadConfig for heights alone and for geocentric ones."""
    if crs.is_vertical and not crs.is_compound:
        raise BadConfig(f"{crs.name} counts heights, not places: give one for maps, such as EPSG:32633.")
    if crs.is_geocentric:
        raise BadConfig(f"{crs.name} counts from the middle of the Earth: give one for maps, such as EPSG:32633.")
    return crs


def metres_per_unit(crs: CRS | None, x: float, y: float, step: float = 1e-5) -> tuple[float, float]:
    """Ground metres per map unit along x and along y at a map point; (1, 1) without a crs or outside its domain.

    `step` is the length, in map units, over which it is measured when the units are degrees; 1 otherwise.
    """
    if crs is None:
        return 1.0, 1.0
    step = step if crs.is_geographic else 1.0
    east, north = _ground_vectors(crs, x, y, (step, 0.0), (0.0, step))
    scales = math.hypot(*east) / step, math.hypot(*north) / step
    return scales if all(math.isfinite(s) and s > 0 for s in scales) else (1.0, 1.0)


@lru_cache(maxsize=64)
def to_geodetic(crs: CRS) -> tuple[Transformer, Geod] | None:
    """Map → (longitude, latitude) in degrees of the crs's own datum, and its ellipsoid; None if it has none."""
    flat = crs.to_2d()
    geodetic, geod = flat.geodetic_crs, flat.get_geod()
    if geodetic is None or geod is None:
        return None
    try:
        if any(abs(axis.unit_conversion_factor - math.pi / 180) > 1e-9 for axis in geodetic.axis_info[:2]):
            # Some national systems count in grads: go through a twin in degrees.
            geodetic = CRS.from_dict({"proj": "longlat", "a": geod.a, "b": geod.b, "pm": _prime_degrees(flat)})
        return Transformer.from_crs(flat, geodetic, always_xy=True), geod
    except (CRSError, ProjError):
        return None


def _prime_degrees(crs: CRS) -> float:
    meridian = crs.prime_meridian
    if meridian is None:
        return 0.0
    return float(meridian.longitude) * float(meridian.unit_conversion_factor) * 180 / math.pi


_Vector = tuple[float, float]


def _ground_vectors(crs: CRS, x: float, y: float, first: _Vector, second: _Vector) -> tuple[_Vector, _Vector]:
    """Two map vectors at (x, y) as (east, north) metres on the ground; NaN outside the projection's domain.

    Both are measured from one point, so that they stay right at a pole.
    """
    geodetic = to_geodetic(crs)
    if geodetic is None:
        metre = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
        return (first[0] * metre, first[1] * metre), (second[0] * metre, second[1] * metre)
    transformer, geod = geodetic
    try:
        lon, lat = transformer.transform(
            [x, x + first[0] * HALF, x + second[0] * HALF], [y, y + first[1] * HALF, y + second[1] * HALF]
        )
    except ProjError:
        return (math.nan, math.nan), (math.nan, math.nan)
    if not all(math.isfinite(v) and abs(v) <= 1e6 for v in (*lon, *lat)) or any(abs(v) > 90.000001 for v in lat):
        return (math.nan, math.nan), (math.nan, math.nan)
    found = []
    for k in (1, 2):
        azimuth, _, half = geod.inv(lon[0], lat[0], lon[k], lat[k])
        found.append(
            (
                half / HALF * math.sin(math.radians(azimuth)),
                half / HALF * math.cos(math.radians(azimuth)),
            )
        )
    return found[0], found[1]
