"""What a map does with outlines that are there: split, merge, cut, simplify. All in pixels, all pure."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import shapely
import shapely.ops
from shapely.geometry import LineString, MultiPolygon

from terraclick.api import shaped
from terraclick.errors import BadData
from terraclick.server.clicking import Shape, Surface, parts_of, shape_of, to_map
from terraclick.server.features import as_surface
from terraclick.server.images import Scene
from terraclick.values import Reference

__all__ = ["dimmed", "merged", "reshaped", "split", "without"]

CRUMB = 1e-6
"""Share of the whole below which a piece is rounding, not a part."""


def merged(surfaces: Sequence[Surface]) -> Surface:
    """One surface of several."""
    return as_surface(shapely.union_all(list(surfaces)))


def without(surface: Surface, piece: Surface) -> Surface:
    """What is left beside a piece: a hole where it lies inside. Raises BadData if nothing is, or nothing changes."""
    left = surface.difference(piece)
    if left.area >= surface.area * (1 - CRUMB):
        raise BadData("what was cut does not meet the object: draw it over the object.")
    return as_surface(left)


def split(surface: Surface, line: LineString) -> list[Surface]:
    """The parts on either side of a line, largest first; parts it does not cross stay with the largest.

    Raises BadData if the line crosses none.
    """
    pieces: list[Surface] = []
    uncut: list[Surface] = []
    for part in parts_of(surface):
        found = [p for p in parts_of(shapely.ops.split(part, line)) if p.area > CRUMB * surface.area]
        if len(found) > 1:
            pieces += found
        else:
            uncut.append(part)
    if not pieces:
        raise BadData("the line does not cut the object in two: draw it from one side to the other.")
    pieces.sort(key=lambda piece: -piece.area)
    if uncut:
        pieces[0] = MultiPolygon([pieces[0], *uncut])
    return pieces


def reshaped(pixels: Surface, scene: Scene, simplify_m: float, square: bool) -> Shape:
    """A surface with fewer vertices or right angles."""
    on_map = shaped(parts_of(to_map(pixels, scene.grid)), scene.grid, simplify_m, square)
    return shape_of(on_map, scene, 1.0)


def dimmed(reference: Reference) -> bytes:
    """PNG of an example, a third as bright where its mask is not."""
    image = np.where(reference.mask[..., None], reference.image, reference.image // 3).astype(np.uint8)
    return bytes(cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1])
