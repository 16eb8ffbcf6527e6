"""Simpler outlines: fewer vertices, right angles, wings, circles, shared borders. Tolerances are metres on the ground.

Work happens on a plane in metres around the shape (coordinates scaled by the true metres per map unit there), so
degrees, feet and Web Mercator need nothing special; without a crs the unit is the pixel.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
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
DIAGONAL_DEGREES = 10.0
"""Edges within this angle of a diagonal of the building's directions are turned into it."""
WING_DEGREES = 9.0
"""Walls of a wing differ by more than this from the building's directions, and by less from each other."""
WING_SHARE = 0.2
"""Share of the outline that walls of a wing must make up."""
ROUND_IOU = 0.955
"""Overlap with a circle of the same area from which on a thing is round (a regular octagon has .95)."""
CLEARLY = 0.01
"""A circle must fit better by this much than the shape with corners."""
HARDLY = 0.005
"""A wing with right angles may fit worse by this much than oblique walls."""
OWN = -1
"""Kind of a wall that keeps its own direction."""


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

    Diagonal walls become exact diagonals, a wing at another angle keeps it with right angles of its own, and
    what is round becomes a circle. Edges shorter than `tolerance_m` (pixels without a crs) are absorbed; walls that are
    clearly oblique stay oblique. If the squared shape would overlap the given one by less than `min_iou`, or is not
    valid, returns the polygon merely simplified. Raises BadConfig for a bad tolerance.
    """
    simple = simplify(polygon, tolerance_m, crs)
    if polygon.is_empty or not polygon.is_valid or polygon.area == 0:
        return simple
    plane = _Plane.around(polygon, crs)
    given, laid = plane.lay(polygon), plane.lay(simple)
    best, best_score, needed = None, min_iou, 0.0
    for shape, more in _candidates(given, laid, tolerance_m):
        if shape is None or not _usable(shape):
            continue
        shape = _with_area(shape, given.area)
        score = given.intersection(shape).area / given.union(shape).area
        if score >= best_score + (needed if best is None else more):
            best, best_score = shape, score
    return simple if best is None else plane.lift(best)


def _candidates(given: Polygon, laid: Polygon, tolerance: float) -> Iterator[tuple[Polygon | None, float]]:
    """Regular shapes for an outline, the plainest first, and how much better than those before each must fit."""
    for angle in _directions(laid):
        yield _squared(laid, angle, (0.0, 45.0), tolerance), 1e-3
        wing = _wing(laid, angle, tolerance)
        if wing is not None:
            yield _squared(laid, angle, (0.0, 45.0, wing), tolerance), -HARDLY
    yield _round(given, tolerance), CLEARLY


def _round(polygon: Polygon, tolerance: float) -> Polygon | None:
    """The circle of the same outer area where the outline is one, with the polygon's holes."""
    outer = Polygon(polygon.exterior)
    middle, radius = outer.centroid, math.sqrt(outer.area / math.pi)
    disk = middle.buffer(radius, quad_segs=32)
    if outer.intersection(disk).area < ROUND_IOU * outer.union(disk).area:
        return None
    sagitta = min(max(tolerance / 4, radius * 2e-3), radius / 4)
    corners = 4 * math.ceil(math.pi / math.acos(1 - sagitta / radius) / 4)
    turns = np.arange(corners) * 2 * math.pi / corners
    reach = radius * math.sqrt(2 * math.pi / corners / math.sin(2 * math.pi / corners))  # the area is the circle's
    ring = np.column_stack([middle.x + reach * np.cos(turns), middle.y + reach * np.sin(turns)])
    return Polygon(ring, [hole.coords for hole in polygon.interiors])


def _wing(polygon: Polygon, angle: float, tolerance: float) -> float | None:
    """The angle in degrees to the main direction, modulo a right angle, of walls that stand clearly otherwise."""
    points = shapely.get_coordinates(polygon.exterior)
    edges = np.diff(points, axis=0)
    lengths = np.hypot(*edges.T)
    turned = np.degrees(np.arctan2(edges[:, 1], edges[:, 0]) - angle)
    apart = np.abs((turned + 22.5) % 45 - 22.5)  # from a main direction or a diagonal
    walls = (lengths >= 3 * tolerance) & (apart > WING_DEGREES)
    if not walls.any():
        return None
    longest = turned[walls][np.argmax(lengths[walls])]
    off = (turned - longest + 45) % 90 - 45
    same = walls & (np.abs(off) < WING_DEGREES)
    if same.sum() < 2 or lengths[same].sum() < WING_SHARE * lengths.sum():
        return None
    return float((longest + np.average(off[same], weights=lengths[same] ** 2)) % 90)


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
    """Wall directions in radians, modulo a right angle: by long edges, the tightest rectangle, the longest wall."""
    points = shapely.get_coordinates(polygon.exterior)
    edges = np.diff(points, axis=0)
    lengths, angles = np.hypot(*edges.T), np.arctan2(edges[:, 1], edges[:, 0])
    weights = lengths**2  # long walls are seen more exactly than short ones
    by_edges = math.atan2(float((weights * np.sin(4 * angles)).sum()), float((weights * np.cos(4 * angles)).sum())) / 4
    box = shapely.get_coordinates(shapely.minimum_rotated_rectangle(polygon))
    by_box = math.atan2(box[1, 1] - box[0, 1], box[1, 0] - box[0, 0]) if len(box) > 2 else by_edges
    off = (angles - angles[np.argmax(lengths)] + math.pi / 4) % (math.pi / 2) - math.pi / 4
    same = np.abs(off) < math.radians(WING_DEGREES)
    by_longest = float(angles[np.argmax(lengths)] + np.average(off[same], weights=weights[same]))
    return [by_edges, by_box, by_longest]


def _squared(polygon: Polygon, angle: float, axes: Sequence[float], tolerance: float) -> Polygon | None:
    """With its walls along and across axes, given in degrees to `angle` (radians)."""
    coordinates = (shapely.get_coordinates(ring) for ring in shapely.get_rings(polygon))
    rings = [_squared_ring(points, angle, axes, tolerance) for points in coordinates]
    if any(len(ring) < 4 for ring in rings):
        return None
    return Polygon(rings[0], rings[1:])


@dataclass(frozen=True)
class _Wall:
    """A straight run of outline on a line through (x, y): kind 0 lies along the first axis, 1 across, 2 along the next.

    `length` is the outline it stands for.
    """

    kind: int
    x: float
    y: float
    dx: float
    dy: float
    length: float


def _squared_ring(
    points: NDArray[np.float64], angle: float, axes: Sequence[float], tolerance: float
) -> NDArray[np.float64]:
    """A closed ring (n, 2) with its edges turned along and across `angle`; fewer than 4 points if nothing remains."""
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    local = points @ turn
    walls = [_wall(p, q, axes) for p, q in itertools.pairwise(local) if not np.array_equal(p, q)]
    walls = _absorbed(walls, tolerance)
    if len(walls) < 3:
        return np.empty((0, 2))
    corners: list[tuple[float, float]] = []
    for before, after in zip(walls, walls[1:] + walls[:1], strict=True):
        corners.extend(_corner(before, after))
    return np.asarray(np.array([*corners, corners[0]]) @ turn.T, dtype=np.float64)


def _wall(start: NDArray[np.float64], end: NDArray[np.float64], axes: Sequence[float]) -> _Wall:
    dx, dy = (float(v) for v in end - start)
    length = math.hypot(dx, dy)
    x, y = (float(v) for v in (start + end) / 2)
    heading = math.degrees(math.atan2(dy, dx))
    near = [(abs((heading - axis + 45) % 90 - 45), index) for index, axis in enumerate(axes)]
    apart, index = min(near)
    if apart > (DIAGONAL_DEGREES if index else SNAP_DEGREES) and near[0][0] <= SNAP_DEGREES:
        apart, index = near[0]
    if apart > (DIAGONAL_DEGREES if index else SNAP_DEGREES):
        return _Wall(OWN, x, y, dx / length, dy / length, length)
    quarter = round((heading - axes[index]) / 90)
    along = math.radians(axes[index] + 90 * quarter)
    return _Wall(2 * index + quarter % 2, x, y, math.cos(along), math.sin(along), length)


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
    if a.kind == OWN or a.kind != b.kind or a.dx * b.dx + a.dy * b.dy <= 0:
        return False
    return abs((b.y - a.y) * a.dx - (b.x - a.x) * a.dy) <= 2 * tolerance


def _can_go(before: _Wall, wall: _Wall, after: _Wall, tolerance: float) -> bool:
    """Whether a wall is a mere step between walls on one axis, or a cut corner between walls across each other."""
    if OWN in (before.kind, after.kind):
        return False
    if before.kind == after.kind:
        return wall.length <= 2 * tolerance and before.dx * after.dx + before.dy * after.dy > 0
    aside = wall.kind == OWN or wall.kind // 2 not in (before.kind // 2, after.kind // 2)
    return aside and wall.length <= 4 * tolerance


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
