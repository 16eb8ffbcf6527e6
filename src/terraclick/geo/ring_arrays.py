"""Rings of polygons laid end to end in one array, so that a step works on all of them at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

__all__ = ["Rings", "closed", "following_of", "polygons_of", "rings_of", "starts_of"]


@dataclass(frozen=True)
class Rings:
    """Rings laid end to end: points (N, 2) in pixels, without the closing ones; ring k begins at starts[k], (K + 1,).

    owner (K,) is the polygon of each ring, its outer ring first.
    """

    points: NDArray[np.float64]
    starts: NDArray[np.int64]
    owner: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Points of each ring (K,)."""
        return np.diff(self.starts)

    def of(self, polygons: NDArray[np.int64]) -> Rings:
        """Only the rings of these polygons (sorted), which are numbered anew."""
        if len(polygons) == self.owner[-1] + 1:
            return self
        chosen = np.isin(self.owner, polygons)
        counts = self.counts
        kept = np.repeat(chosen, counts)
        owner = np.searchsorted(polygons, self.owner[chosen])
        return Rings(self.points[kept], starts_of(counts[chosen]), owner)


def starts_of(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where rings of so many points begin, and where the last one ends: (K + 1,)."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def rings_of(polygons: Sequence[Polygon]) -> Rings:
    """The rings of polygons, in their order."""
    rings, owner = shapely.get_rings(np.asarray(polygons, dtype=object), return_index=True)
    points = shapely.get_coordinates(rings)
    counts = shapely.get_num_coordinates(rings)
    kept = np.ones(len(points), dtype=np.bool_)
    kept[np.cumsum(counts) - 1] = False  # the closing points
    return Rings(points[kept], starts_of(counts - 1), owner.astype(np.int64))


def polygons_of(rings: Rings) -> list[Polygon]:
    """The polygons that rings draw; a ring of fewer than three points makes its polygon an empty one."""
    counts, number = rings.counts, int(rings.owner[-1]) + 1
    lost = np.zeros(number, dtype=np.bool_)
    lost[rings.owner[counts < 3]] = True
    rings = rings.of(np.flatnonzero(~lost))
    found = np.full(number, Polygon(), dtype=object)
    if rings.owner.size:
        whole = closed(rings)
        drawn = shapely.linearrings(whole.points, indices=np.repeat(np.arange(len(whole.counts)), whole.counts))
        firsts = np.searchsorted(rings.owner, np.arange(int(rings.owner[-1]) + 2))
        found[~lost] = [Polygon(drawn[a], list(drawn[a + 1 : b])) for a, b in itertools.pairwise(firsts)]
    return list(found)


def closed(rings: Rings) -> Rings:
    """The rings with their first points again at their ends."""
    at = np.insert(np.arange(len(rings.points)), rings.starts[1:], rings.starts[:-1])
    return Rings(rings.points[at], starts_of(rings.counts + 1), rings.owner)


def following_of(rings: Rings) -> NDArray[np.int64]:
    """For each point the place of the next one of its ring."""
    following = np.arange(1, len(rings.points) + 1)
    following[rings.starts[1:] - 1] = rings.starts[:-1]
    return following
