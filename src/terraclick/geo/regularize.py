"""Simpler outlines: fewer vertices, right angles, borders that stay shared. Tolerances are metres on the ground.

Work happens on a plane in metres around the shape (coordinates scaled by the true metres per map unit there), so
degrees, feet and Web Mercator need nothing special; without a crs the unit is the pixel.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadConfig
from terraclick.geo.grid import metres_per_unit

__all__ = ["simplify", "simplify_coverage", "square_corners"]

SNAP_DEGREES = 25.0
"""Edges within this angle of the building's directions are turned into them; others keep their own."""


@dataclass(frozen=True)
class _Plane:
    """A plane in metres around a map point, optionally turned."""

    x: float
    y: float
    scales: tuple[float, float]

    @staticmethod
    def around(geometry: BaseGeometry, crs: CRS | None) -> _Plane:
        left, bottom, right, top = geometry.bounds
        x, y = (left + right) / 2, (bottom + top) / 2
        return _Plane(x, y, metres_per_unit(crs, x, y))

    def lay(self, geometry: BaseGeometry) -> BaseGeometry:
        return shapely.transform(geometry, lambda xy: (xy - (self.x, self.y)) * self.scales)

    def lift(self, geometry: BaseGeometry) -> BaseGeometry:
        return shapely.transform(geometry, lambda xy: xy / self.scales + (self.x, self.y))


def simplify(polygon: Polygon, tolerance_m: float, crs: CRS | None) -> Polygon:
    """The polygon with vertices dropped that lie within `tolerance_m` (pixels without a crs) of the new outline.

    Valid, never empty, holes kept; the polygon itself if nothing simpler is. Raises BadConfig for a bad tolerance.
    """
    _check(tolerance_m)
    if tolerance_m == 0 or polygon.is_empty:
        return polygon
    plane = _Plane.around(polygon, crs)
    simple = plane.lift(shapely.simplify(plane.lay(polygon), tolerance_m, preserve_topology=True))
    return simple if _usable(simple) else polygon


def simplify_coverage(polygons: Sequence[Polygon], tolerance_m: float, crs: CRS | None) -> list[Polygon]:
    """Neighbouring polygons simplified together: borders they share stay shared, without gaps or overlaps.

    The tolerance is as in `simplify`, measured at the middle of them all. Raises BadConfig for a bad tolerance.
    """
    _check(tolerance_m)
    if tolerance_m == 0 or not polygons:
        return list(polygons)
    plane = _Plane.around(shapely.GeometryCollection(list(polygons)), crs)
    laid = [plane.lay(polygon) for polygon in polygons]
    simple = [plane.lift(p) for p in shapely.coverage_simplify(laid, tolerance_m)]
    # One bad member would open a gap to its neighbours: all or none.
    return simple if all(_usable(p) for p in simple) else list(polygons)


def square_corners(polygon: Polygon, tolerance_m: float, crs: CRS | None, min_iou: float = 0.85) -> Polygon:
    """A building-like polygon with right angles: edges turned into its main directions, area kept, holes too.

    Edges shorter than `tolerance_m` (pixels without a crs) are absorbed; walls that are clearly oblique stay oblique.
    If the squared shape would overlap the given one by less than `min_iou`, or is not valid, returns the polygon
    merely simplified. Raises BadConfig for a bad tolerance.
    """
    simple = simplify(polygon, tolerance_m, crs)
    if polygon.is_empty or not polygon.is_valid or polygon.area == 0:
        return simple
    plane = _Plane.around(polygon, crs)
    given, laid = plane.lay(polygon), plane.lay(simple)
    best, best_score = None, min_iou
    for angle in _directions(laid):
        squared = _squared(laid, angle, tolerance_m)
        if squared is None or not _usable(squared):
            continue
        squared = _with_area(squared, given.area)
        score = given.intersection(squared).area / given.union(squared).area
        if score >= best_score + (1e-3 if best is not None else 0):
            best, best_score = squared, score
    return simple if best is None else plane.lift(best)


def _check(tolerance_m: float) -> None:
    if not (math.isfinite(tolerance_m) and tolerance_m >= 0):
        raise BadConfig(f"a tolerance of {tolerance_m} m was given; zero or a positive number of metres was expected.")


def _usable(geometry: BaseGeometry) -> bool:
    return isinstance(geometry, Polygon) and geometry.is_valid and not geometry.is_empty and geometry.area > 0


def _with_area(polygon: Polygon, area: float) -> Polygon:
    """Grown or shrunk about its middle to an area, if that takes less than a tenth."""
    factor = math.sqrt(area / polygon.area)
    if abs(factor - 1) > 0.1:
        return polygon
    middle = shapely.get_coordinates(polygon.centroid)[0]
    return shapely.transform(polygon, lambda xy: (xy - middle) * factor + middle)


def _directions(polygon: Polygon) -> list[float]:
    """Candidate wall directions in radians, modulo a right angle: by long edges, and by the tightest rectangle."""
    points = shapely.get_coordinates(polygon.exterior)
    edges = np.diff(points, axis=0)
    lengths, angles = np.hypot(*edges.T), np.arctan2(edges[:, 1], edges[:, 0])
    weights = lengths**2  # long walls are seen more exactly than short ones
    by_edges = math.atan2(float((weights * np.sin(4 * angles)).sum()), float((weights * np.cos(4 * angles)).sum())) / 4
    box = shapely.get_coordinates(shapely.minimum_rotated_rectangle(polygon))
    by_box = math.atan2(box[1, 1] - box[0, 1], box[1, 0] - box[0, 0]) if len(box) > 2 else by_edges
    return [by_edges, by_box]


def _squared(polygon: Polygon, angle: float, tolerance: float) -> Polygon | None:
    rings = [_squared_ring(shapely.get_coordinates(ring), angle, tolerance) for ring in shapely.get_rings(polygon)]
    if any(len(ring) < 4 for ring in rings):
        return None
    return Polygon(rings[0], rings[1:])


@dataclass(frozen=True)
class _Wall:
    """A straight run of outline on a line through (x, y): kind 0 lies along the first axis, 1 across, 2 keeps its own.

    `length` is the outline it stands for.
    """

    kind: int
    x: float
    y: float
    dx: float
    dy: float
    length: float


def _squared_ring(points: NDArray[np.float64], angle: float, tolerance: float) -> NDArray[np.float64]:
    """A closed ring (n, 2) with its edges turned along and across `angle`; fewer than 4 points if nothing remains."""
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    local = points @ turn
    walls = [w for w in (_wall(p, q) for p, q in itertools.pairwise(local)) if w.length > 0]
    walls = _absorbed(walls, tolerance)
    if len(walls) < 3:
        return np.empty((0, 2))
    corners: list[tuple[float, float]] = []
    for before, after in zip(walls, walls[1:] + walls[:1], strict=True):
        corners.extend(_corner(before, after))
    return np.asarray(np.array([*corners, corners[0]]) @ turn.T, dtype=np.float64)


def _wall(start: NDArray[np.float64], end: NDArray[np.float64]) -> _Wall:
    dx, dy = (float(v) for v in end - start)
    length = math.hypot(dx, dy)
    x, y = (float(v) for v in (start + end) / 2)
    limit = math.sin(math.radians(SNAP_DEGREES)) * length
    if abs(dy) <= limit:
        return _Wall(0, x, y, math.copysign(1.0, dx), 0.0, length)
    if abs(dx) <= limit:
        return _Wall(1, x, y, 0.0, math.copysign(1.0, dy), length)
    return _Wall(2, x, y, dx / length, dy / length, length)


def _joined(walls: Sequence[_Wall]) -> _Wall:
    """Parallel walls as one, on the line that keeps the area: the mean by length."""
    total = sum(w.length for w in walls)
    x, y = (sum(w.length * v for w, v in zip(walls, vs, strict=True)) / total for vs in _columns(walls))
    first = max(walls, key=lambda w: w.length)
    return _Wall(first.kind, x, y, first.dx, first.dy, total)


def _columns(walls: Sequence[_Wall]) -> tuple[list[float], list[float]]:
    return [w.x for w in walls], [w.y for w in walls]


def _absorbed(walls: list[_Wall], tolerance: float) -> list[_Wall]:
    """Neighbours on one line joined, short steps and cut corners taken up by what lies around them."""
    while len(walls) > 3:
        n = len(walls)
        i = next((i for i in range(n) if _same_line(walls[i - 1], walls[i], tolerance)), None)
        if i is not None:
            walls = _replaced(walls, i - 1, 2, [_joined([walls[i - 1], walls[i]])])
            continue
        short = [i for i in range(n) if _can_go(walls[i - 1], walls[i], walls[(i + 1) % n], tolerance)]
        if not short:
            break
        i = min(short, key=lambda i: walls[i].length)
        before, after = walls[i - 1], walls[(i + 1) % n]
        parallel = before.kind == after.kind and before.dx * after.dx + before.dy * after.dy > 0
        walls = _replaced(walls, i - 1, 3, [_joined([before, after])] if parallel else [before, after])
    return walls


def _same_line(a: _Wall, b: _Wall, tolerance: float) -> bool:
    """Whether two neighbours run the same way: along one axis, within the tolerance of each other."""
    if a.kind == 2 or a.kind != b.kind or a.dx * b.dx + a.dy * b.dy <= 0:
        return False
    apart = abs(a.y - b.y) if a.kind == 0 else abs(a.x - b.x)
    return apart <= 2 * tolerance


def _can_go(before: _Wall, wall: _Wall, after: _Wall, tolerance: float) -> bool:
    """Whether a wall is a mere step between walls on one axis, or a cut corner between walls across each other."""
    if before.kind == 2 or after.kind == 2:
        return False
    if before.kind == after.kind:
        return wall.length <= 2 * tolerance and before.dx * after.dx + before.dy * after.dy > 0
    return wall.kind == 2 and wall.length <= 4 * tolerance


def _replaced(walls: list[_Wall], start: int, count: int, by: list[_Wall]) -> list[_Wall]:
    """`count` walls from `start`, around the ring, replaced."""
    turned = walls[start:] + walls[:start]
    return by + turned[count:]


def _corner(before: _Wall, after: _Wall) -> list[tuple[float, float]]:
    """Where two walls meet; parallel ones are joined by a step half way between them."""
    cross = before.dx * after.dy - before.dy * after.dx
    if abs(cross) < math.sin(math.radians(20)):
        along = (after.x - before.x) * before.dx + (after.y - before.y) * before.dy
        share = before.length / (before.length + after.length)
        x, y = before.x + before.dx * along * share, before.y + before.dy * along * share
        offset = (x - after.x) * after.dx + (y - after.y) * after.dy
        return [(x, y), (after.x + after.dx * offset, after.y + after.dy * offset)]
    t = ((after.x - before.x) * after.dy - (after.y - before.y) * after.dx) / cross
    return [(before.x + before.dx * t, before.y + before.dy * t)]
