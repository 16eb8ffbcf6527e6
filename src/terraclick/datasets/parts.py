"""Objects with their parts, as two planes of labels and a note of what belongs to what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from terraclick.datasets.declaration import Labelling
from terraclick.datasets.sources import IGNORE, stacked

__all__ = ["Taken", "whole_and_parts"]

Mask = NDArray[np.bool_]
Taken = tuple[int, Mask | None, Sequence[tuple[int, Mask]]]
"""An object taken apart: its class, its mask (None: the union of its parts), its parts as (class, mask)."""


def whole_and_parts(
    shape: tuple[int, int], objects: Sequence[Taken], background: int = 0, ignored: Mask | None = None
) -> Labelling:
    """Objects below, parts in the planes above; a part is a part of its object (`parts_of`)."""
    wholes, parts, owner = [], [], []
    for number, (cls, mask, own) in enumerate(objects, start=1):
        shown = [(kind, part) for kind, part in own if part.any()]
        union = np.zeros(shape, np.bool_) if mask is None else mask.copy()
        for _, part in shown:
            union |= part
        wholes.append((cls, union))
        parts += shown
        owner += [number] * len(shown)
    planes = stacked(shape, wholes, background)
    parts_of = {}
    if parts:
        for classes, instances in stacked(shape, parts, background):
            upper = np.where(instances > 0, classes, planes[0][0])
            planes.append(
                (upper.astype(np.uint16), np.where(instances > 0, instances + len(wholes), 0).astype(np.int32))
            )
        parts_of = {len(wholes) + n: whole for n, whole in enumerate(owner, start=1)}
    if ignored is not None:
        for classes, _ in planes:
            classes[ignored] = IGNORE
    return Labelling(tuple(planes), parts_of)
