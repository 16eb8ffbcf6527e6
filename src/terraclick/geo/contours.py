"""Outlines people keep: the line where a model's probabilities cross its threshold, with as few corners as it needs.

`contours` follows a mask's own outline, so rings, holes and parts are those of `polygonize`, but every point lies
between two pixel centres where the probability crosses the threshold; a certain answer (0 beside 1) is crossed half
way. With a budget, straight lines are laid through those points and neighbouring lines meet, so that a corner comes
back exactly where two straight walls end. Every step works on all rings at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely import Polygon

from terraclick.errors import BadGrid
from terraclick.geo.grid import Grid
from terraclick.geo.polygonize import moved, polygons_within, valid_parts

__all__ = ["contours"]

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
SURE = 0.6
"""A probability this far from the threshold to 0 or 1 counts as certain: beside its opposite it is crossed half way."""
EDGE = 0.02
"""A crossing keeps this share of a pixel from the two pixel centres it lies between."""


@dataclass(frozen=True)
class _Rings:
    """Rings laid end to end: points (N, 2) in pixels, without the closing ones; ring k begins at starts[k], (K + 1,).

    owner (K,) is the polygon of each ring, its outer ring first.
    """

    points: NDArray[np.float64]
    starts: NDArray[np.int64]
    owner: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        return np.diff(self.starts)

    def of(self, polygons: NDArray[np.int64]) -> _Rings:
        """Only the rings of these polygons (sorted), which are numbered anew."""
        if len(polygons) == self.owner[-1] + 1:
            return self
        chosen = np.isin(self.owner, polygons)
        counts = self.counts
        kept = np.repeat(chosen, counts)
        owner = np.searchsorted(polygons, self.owner[chosen])
        return _Rings(self.points[kept], _starts(counts[chosen]), owner)


def contours(
    mask: NDArray[np.bool_],
    grid: Grid,
    probs: NDArray[np.float32] | None = None,
    threshold: float = 0.5,
    valid: NDArray[np.bool_] | None = None,
    within: Grid | None = None,
    budget: bool = True,
) -> list[Polygon]:
    """Outlines of a mask (H, W) as valid polygons in the grid's crs, at the place where `probs` crosses `threshold`.

    Where mask and probs disagree (a hole that was filled) the mask counts; towards pixels outside the grid or where
    `valid` is False the outline is the pixels' own edge. With `budget` an outline has as few corners as it needs: see
    the constants above. What lies beyond `within`, the image's own grid, is cut off. Raises BadGrid if the shapes
    differ.
    """
    for values in (mask, probs, valid):
        if values is not None and values.shape != grid.shape:
            raise BadGrid(f"an array of {values.shape} pixels was given for a grid of {grid.shape}: read one view.")
    traced = _traced(mask)
    if not traced:
        return []
    rings = _crossed(_rings_of(traced), mask, probs, threshold, valid)
    exact = _polygons(rings)
    found = _fewer(rings, exact, traced, grid.metres_per_pixel) if budget else exact
    on_map = [moved(part, grid.transform) for polygon in found for part in valid_parts(polygon)]
    return on_map if within is None else [part for polygon in on_map for part in polygons_within(polygon, within)]


def _traced(mask: NDArray[np.bool_]) -> list[Polygon]:
    """The mask's outlines along its pixels' edges, in pixels from the mask's corner."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return []
    top, left = int(rows[0]), int(cols[0])
    levels = np.ascontiguousarray(mask[top : rows[-1] + 1, left : cols[-1] + 1], dtype=np.uint8)
    shapes = rasterio.features.shapes(
        levels, mask=levels.astype(bool), connectivity=4, transform=Affine.translation(left, top)
    )
    polygons = (Polygon(shape["coordinates"][0], shape["coordinates"][1:]) for shape, _ in shapes)
    return [part for polygon in polygons for part in valid_parts(polygon)]


def _starts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _rings_of(polygons: Sequence[Polygon]) -> _Rings:
    rings, owner = shapely.get_rings(np.asarray(polygons, dtype=object), return_index=True)
    points = shapely.get_coordinates(rings)
    counts = shapely.get_num_coordinates(rings)
    kept = np.ones(len(points), dtype=np.bool_)
    kept[np.cumsum(counts) - 1] = False  # the closing points
    return _Rings(points[kept], _starts(counts - 1), owner.astype(np.int64))


def _polygons(rings: _Rings) -> list[Polygon]:
    """The polygons that rings draw; a ring of fewer than three points makes its polygon an empty one."""
    counts, number = rings.counts, int(rings.owner[-1]) + 1
    lost = np.zeros(number, dtype=np.bool_)
    lost[rings.owner[counts < 3]] = True
    rings = rings.of(np.flatnonzero(~lost))
    found = np.full(number, Polygon(), dtype=object)
    if rings.owner.size:
        closed = _closed(rings)
        drawn = shapely.linearrings(closed.points, indices=np.repeat(np.arange(len(closed.counts)), closed.counts))
        firsts = np.searchsorted(rings.owner, np.arange(int(rings.owner[-1]) + 2))
        found[~lost] = [Polygon(drawn[a], list(drawn[a + 1 : b])) for a, b in itertools.pairwise(firsts)]
    return list(found)


def _closed(rings: _Rings) -> _Rings:
    """The rings with their first points again at their ends."""
    at = np.insert(np.arange(len(rings.points)), rings.starts[1:], rings.starts[:-1])
    return _Rings(rings.points[at], _starts(rings.counts + 1), rings.owner)


# --- where the probability crosses the threshold --------------------------------------------------------------------


def _crossed(
    rings: _Rings,
    mask: NDArray[np.bool_],
    probs: NDArray[np.float32] | None,
    threshold: float,
    valid: NDArray[np.bool_] | None,
) -> _Rings:
    """Rings along pixel edges as rings of crossings: one point for each pixel edge."""
    following = _following(rings)
    step = rings.points[following] - rings.points
    lengths = np.rint(np.abs(step).sum(axis=1)).astype(np.int64)
    edge = np.repeat(np.arange(len(step)), lengths)
    along = np.arange(len(edge)) - np.repeat(_starts(lengths)[:-1], lengths)
    direction = np.sign(step)[edge]
    middle = rings.points[edge] + (along[:, None] + 0.5) * direction
    across = direction[:, ::-1] * [1, -1]  # the normal: one of the two pixels lies half a pixel this way
    one, other = np.floor(middle + across / 2).astype(np.int64), np.floor(middle - across / 2).astype(np.int64)
    inside = _at(mask, one)
    inner, outer = np.where(inside[:, None], one, other), np.where(inside[:, None], other, one)
    rows, cols = mask.shape
    real = (outer >= 0).all(axis=1) & (outer[:, 0] < cols) & (outer[:, 1] < rows)
    if valid is not None:
        real &= _at(valid, outer)
    if probs is None:
        share = np.full(len(edge), 0.5)
    else:
        low, high = _level(probs, outer, threshold), _level(probs, inner, threshold)
        low, high = np.where(low < 0.5, low, 0.0), np.where(high > 0.5, high, 1.0)  # where the mask says otherwise
        share = np.where(real, (high - 0.5) / (high - low), 0.5)
    points = inner + 0.5 + np.clip(share, EDGE, 1 - EDGE)[:, None] * (outer - inner)
    counts = np.add.reduceat(lengths, rings.starts[:-1])
    return _Rings(points, _starts(counts), rings.owner)


def _following(rings: _Rings) -> NDArray[np.int64]:
    """For each point the place of the next one of its ring."""
    following = np.arange(1, len(rings.points) + 1)
    following[rings.starts[1:] - 1] = rings.starts[:-1]
    return following


def _at(values: NDArray[np.bool_], pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Values at pixels (N, 2) of column and row; False outside."""
    rows, cols = values.shape
    x, y = pixels.T
    held = (x >= 0) & (y >= 0) & (x < cols) & (y < rows)
    return np.asarray(held & values[np.clip(y, 0, rows - 1), np.clip(x, 0, cols - 1)], dtype=np.bool_)


def _level(probs: NDArray[np.float32], pixels: NDArray[np.int64], threshold: float) -> NDArray[np.float64]:
    """Probabilities at pixels, stretched so that the threshold is one half; beyond SURE on either side is certain."""
    rows, cols = probs.shape
    x, y = np.clip(pixels[:, 0], 0, cols - 1), np.clip(pixels[:, 1], 0, rows - 1)
    level = probs[y, x].astype(np.float64)
    side = np.where(level < threshold, (level - threshold) / threshold, (level - threshold) / (1 - threshold))
    return 0.5 + 0.5 * np.clip(side / SURE, -1, 1)


# --- as few corners as it needs -------------------------------------------------------------------------------------


def _fewer(rings: _Rings, exact: Sequence[Polygon], pixels: Sequence[Polygon], gsd: float | None) -> list[Polygon]:
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
        fitted = np.array(_polygons(_fitted(rings.of(waiting), tolerance)), dtype=object)
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
    rings: _Rings,
    waiting: NDArray[np.int64],
) -> NDArray[np.object_]:
    """Polygons, those waiting that have more than MOST corners with fewer, as far as their overlap can spare them.

    Straight lines are laid with a tolerance that grows in small steps; small triangles go where that does not do.
    """
    kept: NDArray[np.object_] = found.copy()
    waiting = waiting[_corners(kept[waiting]) > MOST]
    tolerance = FINEST_PX
    while waiting.size and tolerance <= FARTHEST_PX:
        tried = np.array(_polygons(_fitted(rings.of(waiting), tolerance)), dtype=object)
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


def _turned(rings: _Rings) -> _Rings:
    """Every ring begun at its point farthest from its middle, which is a corner where there is one."""
    counts, firsts = rings.counts, rings.starts[:-1]
    middle = np.add.reduceat(rings.points, firsts) / counts[:, None]
    far = ((rings.points - np.repeat(middle, counts, axis=0)) ** 2).sum(axis=1)
    farthest = np.repeat(np.maximum.reduceat(far, firsts), counts)
    at = np.where(far >= farthest, np.arange(len(far)), len(far))
    shift = np.minimum.reduceat(at, firsts) - firsts
    within = np.arange(len(far)) - np.repeat(firsts, counts)
    turned = np.repeat(firsts, counts) + (within + np.repeat(shift, counts)) % np.repeat(counts, counts)
    return _Rings(rings.points[turned], rings.starts, rings.owner)


def _fitted(rings: _Rings, tolerance: float) -> _Rings:
    """Rings of the places where the straight lines through their points meet."""
    closed = _closed(rings)
    ring = np.repeat(np.arange(len(rings.counts)), closed.counts)
    marked = np.column_stack([closed.points, np.arange(len(ring))])  # GEOS keeps the third coordinate
    lines = shapely.simplify(shapely.linestrings(marked, indices=ring), tolerance, preserve_topology=False)
    kept, of = shapely.get_coordinates(lines, include_z=True, return_index=True)
    at = kept[:, 2].astype(np.int64)
    begins = np.flatnonzero(of[:-1] == of[1:])
    start, end, of = at[begins], at[begins + 1], of[begins]  # runs of points, in `closed`
    middle, along = _lines(closed.points, start, end)
    counts = np.bincount(of, minlength=len(rings.counts)).astype(np.int64)
    runs = _Rings(closed.points[start], _starts(counts), rings.owner)
    before = np.arange(len(start)) - 1
    before[runs.starts[:-1]] = runs.starts[1:] - 1
    return _Rings(_meeting(runs.points, middle, along, before, tolerance), runs.starts, rings.owner)


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
    firsts = _starts(number)[:-1]
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
