"""Polygons with holes and parts as one ring, for formats that know nothing else, and back.

A hole is joined to the ring around it, and a part to the part before it, by a line that is walked there and back. Both
ways of filling a ring (even-odd and winding) draw the same pixels from it as from the polygon.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

__all__ = ["from_ring", "one_ring", "polygons_in"]

Points = NDArray[np.float64]


def polygons_in(geometry: BaseGeometry | None) -> list[Polygon]:
    """The polygons of any geometry, empty ones left out."""
    if geometry is None:
        return []
    parts = []
    for part in shapely.get_parts(geometry):
        if isinstance(part, Polygon) and not part.is_empty:
            parts.append(part)
        elif shapely.get_num_geometries(part) > 1 or isinstance(part, MultiPolygon):
            parts += polygons_in(part)
    return parts


def one_ring(polygons: Sequence[Polygon]) -> Points:
    """One ring (n, 2), not closed, that encloses what the polygons enclose."""
    rings = [_without_holes(shapely.orient_polygons(polygon)) for polygon in polygons]
    ring = rings[0]
    for other in rings[1:]:
        ring = _joined(ring, other)
    return ring


def from_ring(points: Points) -> BaseGeometry:
    """The polygons that a ring encloses: holes and parts that `one_ring` joined come apart again."""
    loops = [Polygon(loop) for loop in _loops(np.asarray(points, dtype=np.float64)) if len(loop) > 2]
    if not loops:
        return Polygon()
    signed = [shapely.get_exterior_ring(loop).is_ccw for loop in loops]
    outward = signed[int(np.argmax([loop.area for loop in loops]))]
    valid = [loop if loop.is_valid else shapely.make_valid(loop) for loop in loops]
    whole = shapely.union_all([loop for loop, sign in zip(valid, signed, strict=True) if sign == outward])
    holes = [loop for loop, sign in zip(valid, signed, strict=True) if sign != outward]
    parts = polygons_in(whole.difference(shapely.union_all(holes)) if holes else whole)
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _loops(points: Points) -> list[list[tuple[float, float]]]:
    """The closed walks that are left of a ring once every line that is walked there and back is left out."""
    corners = [(float(x), float(y)) for x, y in points]
    edges = [(a, b) for a, b in zip(corners, corners[1:] + corners[:1], strict=True) if a != b]
    left = Counter(edges)
    for a, b in list(left):
        both = min(left[a, b], left[b, a])
        left[a, b] -= both
        left[b, a] -= both
    onward: dict[tuple[float, float], list[tuple[float, float]]] = {}
    for a, b in edges:
        if left[a, b] > 0:
            left[a, b] -= 1
            onward.setdefault(a, []).append(b)
    loops = []
    for start in list(onward):
        while onward[start]:
            loop, seen = [start], {start: 0}
            while onward[loop[-1]]:
                there = onward[loop[-1]].pop(0)
                if there in seen:  # a smaller loop on the way is one of its own
                    loops.append(loop[seen[there] :])
                    for corner in loop[seen[there] + 1 :]:
                        del seen[corner]
                    del loop[seen[there] + 1 :]
                else:
                    seen[there] = len(loop)
                    loop.append(there)
    return loops


def _open(ring: BaseGeometry) -> Points:
    points: Points = shapely.get_coordinates(ring)[:-1]
    return points


def _without_holes(polygon: Polygon) -> Points:
    """The outer ring with every hole joined to what lies to the left of the hole's leftmost corner."""
    ring = _open(polygon.exterior)
    holes = sorted((_open(hole) for hole in polygon.interiors), key=lambda hole: float(hole[:, 0].min()))
    for hole in holes:
        first = int(np.lexsort((hole[:, 1], hole[:, 0]))[0])
        hole = np.roll(hole, -first, axis=0)
        at, place = _left_of(ring, hole[0])
        ring = np.concatenate([ring[: at + 1], [place], hole, hole[:1], [place], ring[at + 1 :]])
    return ring


def _left_of(ring: Points, corner: Points) -> tuple[int, Points]:
    """(edge, place on it) of the ring that lies nearest to the left of a corner inside it."""
    x, y = corner
    ends = np.roll(ring, -1, axis=0)
    low, high = np.minimum(ring[:, 1], ends[:, 1]), np.maximum(ring[:, 1], ends[:, 1])
    rise = ends[:, 1] - ring[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(rise == 0, 0.0, (y - ring[:, 1]) / rise)
        level = np.maximum(ring[:, 0], ends[:, 0])
        at = np.where(rise == 0, np.where(level <= x, level, ring[:, 0]), ring[:, 0] + share * (ends - ring)[:, 0])
    meets = (low <= y) & (y <= high) & (at <= x + 1e-9 * max(1.0, abs(x)))
    if not meets.any():  # rounding: the nearest corner serves as well
        edge = int(np.argmin(((ring - corner) ** 2).sum(axis=1)))
        return edge, ring[edge]
    edge = int(np.argmax(np.where(meets, at, -np.inf)))
    return edge, np.array([min(at[edge], x), y])


def _joined(ring: Points, other: Points) -> Points:
    """Two rings joined between corners that lie near each other."""
    start = int(np.argmin(((ring - other.mean(axis=0)) ** 2).sum(axis=1)))
    end = int(np.argmin(((other - ring[start]) ** 2).sum(axis=1)))
    other = np.roll(other, -end, axis=0)
    return np.concatenate([ring[: start + 1], other, other[:1], ring[start:]])
