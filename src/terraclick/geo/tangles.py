"""Polygons that cross themselves: repaired where that is quick, refused where it would take for ever.

The time that a repair takes grows much faster than the number of crossings: 200 points at random can take a minute.
"""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData

__all__ = ["MOST_CROSSINGS", "made_valid"]

MOST_CROSSINGS = 400


def made_valid(geometry: BaseGeometry) -> BaseGeometry:
    """The geometry, repaired if it is not valid. Raises BadData if it crosses itself too often to be repaired."""
    if shapely.is_valid(geometry):
        return geometry
    if _is_tangled(geometry):
        raise BadData(f"this polygon crosses itself more than {MOST_CROSSINGS} times: draw it again, or split it.")
    return shapely.make_valid(geometry)


def _is_tangled(geometry: BaseGeometry) -> bool:
    """Whether more pairs of a border's segments cross each other than `MOST_CROSSINGS`."""
    xy, owner = shapely.get_coordinates(shapely.get_rings(shapely.get_parts(geometry)), return_index=True)
    same = owner[1:] == owner[:-1]
    segments = shapely.linestrings(np.stack([xy[:-1], xy[1:]], axis=1)[same])
    tree = shapely.STRtree(segments)
    found = start = 0
    step = 1  # grows where little is found: one segment of a tangle may meet thousands
    while start < len(segments) and found <= 2 * MOST_CROSSINGS:  # each crossing is met from both sides
        met = tree.query(segments[start : start + step], predicate="crosses").shape[1]
        found, start = found + met, start + step
        step = min(2 * step, 4096) if met < 32 else max(1, step // 2)
    return found > 2 * MOST_CROSSINGS
