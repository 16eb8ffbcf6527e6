"""Outlines with as few corners as they need: straight lines laid through their points, neighbouring lines met."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from terraclick.geo.ring_arrays import Rings, closed, polygons_of, starts_of

__all__ = ["fewer_corners"]

POINTS_PER_M = 0.2
"""Corners an outline may have for every metre of its length before it is simplified further."""


POINTS_PER_PX = 0.1
"""The same without a crs, for every pixel of its length."""


FEWEST = 8
"""No outline is simplified further for having more corners than this many."""


FINEST_PX = 0.75
"""The deviation every outline may have: less is the staircase of its pixels."""


BARELY_PX = (0.05, 0.1, 0.2, 0.3, 0.4)
"""Tolerances for outlines that would lose too much by it: the largest that keeps their overlap."""


CAP_PX = 1.5


CAP_M = 0.5
"""An outline with more corners than it may have deviates by no more than the larger of these two."""


LEAST_IOU = 0.976


SPARED_PX = 2.0
"""Fewer corners are refused where the overlap with the full outline is below LEAST_IOU, or for a small outline below
that and as many pixels more."""


STEP = 1.8
"""Growth of the tolerance from one try to the next."""


MOST = 20
"""An outline of the length of a building, which may not have more than this by its length, gets a second look for
fewer corners where it has more."""


CLOSER = 1.2
"""Growth of the tolerance in that second look, which ends at MOST corners, or at FARTHEST_PX."""


FARTHEST_PX = 4.6


ENOUGH_IOU = 0.9755
"""The overlap with the full outline, or with the pixels of the mask, that the second look keeps."""


TRIANGLES_PX = (0.5, 0.7, 1.0, 1.5, 2.2, 3.3, 5.0, 8.0)
"""Where that leaves too many: corners whose triangle is smaller than the square of these go, the smallest first."""


def fewer_corners(
    rings: Rings, exact: Sequence[Polygon], pixels: Sequence[Polygon], gsd: float | None
) -> list[Polygon]:
    """Polygons with fewer corners: the tolerance grows for each until it has no more corners than it may have.

    `pixels` are the same polygons along the pixels' edges.
    """
    full, edges = np.array(exact, dtype=object), np.array(pixels, dtype=object)
    found = full.copy()
    lengths = shapely.length(found)
    allowed = np.maximum(FEWEST, lengths * (POINTS_PER_PX if gsd is None else POINTS_PER_M * gsd))
    cap = CAP_PX if gsd is None else max(CAP_PX, CAP_M / gsd)
    rings = _turned(rings)
    waiting, tolerance = np.arange(len(found)), FINEST_PX
    while waiting.size:
        whole = full[waiting]
        fitted = np.array(polygons_of(_fitted(rings.of(waiting), tolerance)), dtype=object)
        crossed = ~shapely.is_valid(fitted) | (shapely.area(fitted) == 0)  # lines that met in the wrong place
        fitted[crossed] = shapely.simplify(whole[crossed], tolerance, preserve_topology=True)
        good = _alike(fitted, whole)
        good[~good] = _alike(fitted[~good], edges[waiting[~good]])  # full outlines have no sharp corners
        found[waiting[good]] = fitted[good]
        if tolerance == FINEST_PX:
            found[waiting[~good]] = _barely(whole[~good], edges[waiting[~good]])
        if tolerance >= cap:
            break
        waiting = waiting[good & (shapely.get_num_coordinates(fitted) > allowed[waiting])]
        tolerance = min(tolerance * STEP, cap)
    return list(_few_enough(found, full, edges, rings, np.flatnonzero(allowed <= MOST)))


def _few_enough(
    found: NDArray[np.object_],
    full: NDArray[np.object_],
    edges: NDArray[np.object_],
    rings: Rings,
    waiting: NDArray[np.int64],
) -> NDArray[np.object_]:
    """Polygons, those waiting that have more than MOST corners with fewer, as far as their overlap can spare them.

    Straight lines are laid with a tolerance that grows in small steps; small triangles go where that does not do.
    """
    kept: NDArray[np.object_] = found.copy()
    waiting = waiting[_corners(kept[waiting]) > MOST]
    tolerance = FINEST_PX
    while waiting.size and tolerance <= FARTHEST_PX:
        tried = np.array(polygons_of(_fitted(rings.of(waiting), tolerance)), dtype=object)
        _take_fewer(kept, waiting, tried, (full, edges))
        waiting = waiting[_corners(kept[waiting]) > MOST]
        tolerance *= CLOSER
    for side in TRIANGLES_PX:
        if not waiting.size:
            break
        tried = np.asarray(shapely.coverage_simplify(kept[waiting], side), dtype=object)
        _take_fewer(kept, waiting, tried, (full, edges))
        waiting = waiting[_corners(kept[waiting]) > MOST]
    return kept


def _take_fewer(
    kept: NDArray[np.object_],
    at: NDArray[np.int64],
    tried: NDArray[np.object_],
    wholes: Sequence[NDArray[np.object_]],
) -> None:
    """Put into `kept` those of the tried polygons that have fewer corners, are valid and overlap one of `wholes`."""
    better = (_corners(tried) < _corners(kept[at])) & shapely.is_valid(tried) & (shapely.area(tried) > 0)
    better[better] = np.any([_overlapping(tried[better], whole[at[better]], ENOUGH_IOU) for whole in wholes], axis=0)
    kept[at[better]] = tried[better]


def _corners(polygons: NDArray[np.object_]) -> NDArray[np.int64]:
    """Vertices without the closing ones of each polygon's rings."""
    rings = 1 + shapely.get_num_interior_rings(polygons)
    return np.asarray(shapely.get_num_coordinates(polygons) - rings, dtype=np.int64)


def _barely(whole: NDArray[np.object_], pixels: NDArray[np.object_]) -> NDArray[np.object_]:
    """Small or ragged polygons with the corners dropped that their overlap does not need; a few pixels as they are."""
    found: NDArray[np.object_] = whole.copy()
    for tolerance in BARELY_PX:
        fitted = shapely.simplify(whole, tolerance, preserve_topology=True)
        good = _alike(fitted, whole) & shapely.is_valid(fitted)
        found[good] = fitted[good]
    few = shapely.get_num_coordinates(pixels) <= shapely.get_num_coordinates(found)
    found[few] = pixels[few]
    return found


def _alike(fitted: NDArray[np.object_], whole: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Which polygons overlap others enough, pair by pair: one pixel more or less counts for more in a small one."""
    least = np.minimum(LEAST_IOU + SPARED_PX / np.maximum(shapely.area(whole), 1), 1 - 1e-9)
    return _overlapping(fitted, whole, least)


def _overlapping(
    fitted: NDArray[np.object_], whole: NDArray[np.object_], least: float | NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which polygons have at least this intersection over union with others, pair by pair."""
    shared = shapely.area(shapely.intersection(fitted, whole))
    alike: NDArray[np.bool_] = shared >= least * (shapely.area(fitted) + shapely.area(whole) - shared)
    return alike


def _turned(rings: Rings) -> Rings:
    """Every ring begun at its point farthest from its middle, which is a corner where there is one."""
    counts, firsts = rings.counts, rings.starts[:-1]
    middle = np.add.reduceat(rings.points, firsts) / counts[:, None]
    far = ((rings.points - np.repeat(middle, counts, axis=0)) ** 2).sum(axis=1)
    farthest = np.repeat(np.maximum.reduceat(far, firsts), counts)
    at = np.where(far >= farthest, np.arange(len(far)), len(far))
    shift = np.minimum.reduceat(at, firsts) - firsts
    within = np.arange(len(far)) - np.repeat(firsts, counts)
    turned = np.repeat(firsts, counts) + (within + np.repeat(shift, counts)) % np.repeat(counts, counts)
    return Rings(rings.points[turned], rings.starts, rings.owner)


def _fitted(rings: Rings, tolerance: float) -> Rings:
    """Rings of the places where the straight lines through their points meet."""
    whole = closed(rings)
    ring = np.repeat(np.arange(len(rings.counts)), whole.counts)
    marked = np.column_stack([whole.points, np.arange(len(ring))])  # GEOS keeps the third coordinate
    lines = shapely.simplify(shapely.linestrings(marked, indices=ring), tolerance, preserve_topology=False)
    kept, of = shapely.get_coordinates(lines, include_z=True, return_index=True)
    at = kept[:, 2].astype(np.int64)
    begins = np.flatnonzero(of[:-1] == of[1:])
    start, end, of = at[begins], at[begins + 1], of[begins]  # runs of points, in `closed`
    middle, along = _lines(whole.points, start, end)
    counts = np.bincount(of, minlength=len(rings.counts)).astype(np.int64)
    runs = Rings(whole.points[start], starts_of(counts), rings.owner)
    before = np.arange(len(start)) - 1
    before[runs.starts[:-1]] = runs.starts[1:] - 1
    return Rings(_meeting(runs.points, middle, along, before, tolerance), runs.starts, rings.owner)


def _lines(
    points: NDArray[np.float64], start: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least squares lines through runs of points: a point on each and its direction, both (S, 2).

    A run's ends, a tenth of it at either side, belong to its corners and are left out where enough remains.
    """
    between = end - start - 1
    trim = np.where(between >= 2, 1 + between // 10, 0)
    first, last = start + trim, end - trim
    number = last - first + 1
    run = np.repeat(np.arange(len(start)), number)
    firsts = starts_of(number)[:-1]
    chosen = points[np.repeat(first, number) + np.arange(len(run)) - firsts[run]]
    middle = np.add.reduceat(chosen, firsts) / number[:, None]
    x, y = (chosen - middle[run]).T
    xx, yy, xy = (np.add.reduceat(values, firsts) for values in (x * x, y * y, x * y))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    return middle, np.column_stack([np.cos(angle), np.sin(angle)])


def _meeting(
    corners: NDArray[np.float64],
    middle: NDArray[np.float64],
    along: NDArray[np.float64],
    before: NDArray[np.int64],
    tolerance: float,
) -> NDArray[np.float64]:
    """Where each line meets the one before it; near the corner that was there where they run alike or meet far off."""
    m, d, n, e = middle[before], along[before], middle, along
    cross = d[:, 0] * e[:, 1] - d[:, 1] * e[:, 0]
    apart = n - m
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (apart[:, 0] * e[:, 1] - apart[:, 1] * e[:, 0]) / cross
        met = m + t[:, None] * d
    beside = (_projected(corners, m, d) + _projected(corners, n, e)) / 2
    far = ~(np.hypot(*(met - corners).T) <= 1 + 2 * tolerance) | (np.abs(cross) < 0.2)
    return np.where(far[:, None], beside, met)


def _projected(points: NDArray[np.float64], on: NDArray[np.float64], along: NDArray[np.float64]) -> NDArray[np.float64]:
    offset = ((points - on) * along).sum(axis=1)
    projected: NDArray[np.float64] = on + offset[:, None] * along
    return projected
