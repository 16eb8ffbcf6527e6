"""What a map does with outlines that are there: split, merge, cut, simplify. All in pixels, all pure."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import shapely
import shapely.ops
from shapely.geometry import LineString, MultiPolygon

from terraclick.errors import BadData
from terraclick.geo.drawing import shaped
from terraclick.server.clicking import AreaGeometry, Shape, parts_of, shape_of, to_map
from terraclick.server.features import as_area_geometry
from terraclick.server.images import Scene
from terraclick.values import Reference

__all__ = ["dimmed", "merged", "reshaped", "split", "without"]

CRUMB = 1e-6
"""Share of the whole below which a piece is rounding, not a part."""


def merged(polygons: Sequence[AreaGeometry]) -> AreaGeometry:
    """One polygon of several."""
    return as_area_geometry(shapely.union_all(list(polygons)))


def without(polygon: AreaGeometry, piece: AreaGeometry) -> AreaGeometry:
    """What is left beside a piece: a hole where it lies inside. Raises BadData if nothing is, or nothing changes."""
    left = polygon.difference(piece)
    if left.area >= polygon.area * (1 - CRUMB):
        raise BadData("what was cut does not meet the object: draw it over the object.")
    return as_area_geometry(left)


def split(polygon: AreaGeometry, line: LineString) -> list[AreaGeometry]:
    """The parts on either side of a line, largest first; parts it does not cross stay with the largest.

    Raises BadData if the line crosses none.
    """
    pieces: list[AreaGeometry] = []
    uncut: list[AreaGeometry] = []
    for part in parts_of(polygon):
        found = [p for p in parts_of(shapely.ops.split(part, line)) if p.area > CRUMB * polygon.area]
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


def reshaped(pixels: AreaGeometry, scene: Scene, simplify_m: float, square: bool) -> Shape:
    """A polygon with fewer vertices or right angles."""
    on_map = shaped(parts_of(to_map(pixels, scene.grid)), scene.grid, simplify_m, square)
    return shape_of(on_map, scene, 1.0)


def dimmed(reference: Reference) -> bytes:
    """PNG of an example, a third as bright where its mask is not."""
    image = np.where(reference.mask[..., None], reference.image, reference.image // 3).astype(np.uint8)
    return bytes(cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1])
