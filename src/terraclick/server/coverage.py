"""Objects of coverage classes meet without gaps or overlaps: what is done to one is done to the border it shares.

An act on one object becomes edits of its neighbours too, in the same transaction and the same step of undo: corners
that were shared move together, a corner added to or taken from a shared border is so on both sides, and where one
border ends at another, both get the corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LinearRing, MultiPolygon, Polygon

from terraclick.errors import BadData
from terraclick.geo.kinds import kind_of
from terraclick.server.changes import Edit
from terraclick.server.clicking import AreaGeometry, parts_of
from terraclick.server.editing import find
from terraclick.server.features import as_area_geometry
from terraclick.store.fields import MapObject
from terraclick.store.sql import Store

__all__ = ["following", "with_borders"]

MOST = 200
"""Acts on more objects than this leave the neighbours as they are: an import brings its own borders."""
ALIKE_PX = 2e-3
"""Pixels within which a corner that came back from a map is the one that was sent."""

Point = tuple[float, float]
Path = tuple[Point, ...]


def with_borders(edits: Sequence[Edit], store: Store, pixel: float | None = None) -> list[Edit]:
    """Edits of objects, and what they mean for the neighbours in coverage classes: one valid coverage afterwards.

    Where two lay claim to a place, what was there stays; but with `pixel`, a pixel's length in the store's coordinates,
    corners were edited, and the borders that changed are those of the neighbours as well. Raises BadData if nothing of
    an object is left then.
    """
    covering = {item.name for item in store.classes() if item.kind == "coverage"}
    acted = [
        edit
        for edit in edits
        if edit.kind != "delete" and edit.item.class_name in covering and kind_of(edit.item.geometry) == "polygon"
    ]
    if not covering or not 0 < len(acted) <= MOST:
        return list(edits)
    before = [None if edit.kind == "add" else find(store, edit.item.uuid) for edit in acted]
    changed = [
        (edit, None if old is None else old.geometry)
        for edit, old in zip(acted, before, strict=True)
        if old is None or old.class_name not in covering or not old.geometry.equals_exact(edit.item.geometry, 0)
    ]
    if not changed:
        return list(edits)
    near = _near(store, covering, {edit.item.uuid for edit in edits}, changed)
    given, moved = [], [item.geometry for item in near]
    for edit, old in changed:
        geometry = edit.item.geometry
        if old is not None and pixel is not None:
            geometry, paths = following(old, geometry, ALIKE_PX * pixel)
            moved = [_along(polygon, paths) for polygon in moved]
        given.append(geometry)
    met = _met([*moved, *given], len(moved))
    found = {id(edit): edit for edit in edits}
    for (edit, _), geometry in zip(changed, met[len(moved) :], strict=True):
        if geometry.is_empty:
            raise BadData(f"all of this is covered by other objects of {', '.join(sorted(covering))}.")
        found[id(edit)] = replace(edit, item=replace(edit.item, geometry=geometry))
    neighbours = [
        Edit(replace(item, geometry=geometry), item.rev)
        for item, geometry in zip(near, met[: len(moved)], strict=True)
        if not geometry.is_empty and not _same(item.geometry, geometry)
    ]
    return [*found.values(), *neighbours]


def _near(
    store: Store, covering: set[str], own: set[str], changed: Sequence[tuple[Edit, AreaGeometry | None]]
) -> list[MapObject]:
    """The other coverage objects of an image around what changed."""
    image = changed[0][0].item.image
    geometries = [geometry for edit, old in changed for geometry in (edit.item.geometry, old) if geometry is not None]
    left, bottom, right, top = shapely.total_bounds(geometries)
    more = 1e-6 * max(right - left, top - bottom)
    box = (left - more, bottom - more, right + more, top + more)
    near = [item for item in store.objects(image, bbox=box) if kind_of(item.geometry) == "polygon"]
    return [item for item in near if item.class_name in covering and item.uuid not in own]


def _same(one: AreaGeometry, other: AreaGeometry) -> bool:
    return bool(one.normalize().equals_exact(other.normalize(), 0))


def _met(polygons: Sequence[AreaGeometry], kept: int) -> list[AreaGeometry]:
    """Polygons as one valid coverage: of those that overlap, the earlier one keeps the place. Untouched ones stay."""
    if len(polygons) < 2 or shapely.coverage_is_valid(list(polygons)):
        return list(polygons)
    sound = [polygon if polygon.is_valid else as_area_geometry(shapely.make_valid(polygon)) for polygon in polygons]
    cleaned = shapely.coverage_clean(sound, snapping_distance=0, merge_strategy="min_index")
    found: list[AreaGeometry] = []
    for polygon, clean in zip(polygons, cleaned, strict=True):
        parts = parts_of(clean)
        whole = parts[0] if len(parts) == 1 else MultiPolygon(parts)
        found.append(polygon if _same(polygon, whole) else whole)
    return found


# --- what became of a border ------------------------------------------------------------------------------------------


def following(old: AreaGeometry, new: AreaGeometry, alike: float) -> tuple[AreaGeometry, list[tuple[Path, Path]]]:
    """A changed outline whose corners within `alike` of old ones are exactly those, and each stretch that changed.

    A stretch is (before, after), both from the same corner to the same corner.
    """
    new = _exact(old, new, alike)
    paths: list[tuple[Path, Path]] = []
    for was, now in zip(_rings(old), _rings(new), strict=False):
        paths += _stretches(_open(was), _open(now))
    return new, paths


def _exact(old: AreaGeometry, new: AreaGeometry, alike: float) -> AreaGeometry:
    """New corners that are old ones but for rounding, as the old ones exactly."""
    known = shapely.get_coordinates(old)
    tree = shapely.STRtree(shapely.points(known))

    def settle(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        moved: NDArray[np.float64] = xy.copy()
        near = tree.query_nearest(shapely.points(xy), max_distance=alike)
        moved[near[0]] = known[near[1]]
        return moved

    settled: AreaGeometry = shapely.transform(new, settle)
    return settled if settled.is_valid else new


def _rings(polygon: AreaGeometry) -> list[LinearRing]:
    return [ring for part in parts_of(polygon) for ring in (part.exterior, *part.interiors)]


def _open(ring: LinearRing) -> list[Point]:
    return [(float(x), float(y)) for x, y in shapely.get_coordinates(ring)[:-1]]


def _turned(ring: list[Point], start: Point) -> list[Point]:
    at = ring.index(start)
    return ring[at:] + ring[:at]


def _stretches(was: list[Point], now: list[Point]) -> list[tuple[Path, Path]]:
    """Where two rings differ, each with the corners on either side that stayed."""
    stayed = next((point for point in was if point in set(now)), None)
    if stayed is None:
        return [] if len(was) != len(now) else [((a,), (b,)) for a, b in zip(was, now, strict=True)]
    was, now = _turned(was, stayed), _turned(now, stayed)
    turned_round = [now[0], *now[:0:-1]]
    if SequenceMatcher(None, was, turned_round, False).ratio() > SequenceMatcher(None, was, now, False).ratio():
        now = turned_round
    found = []
    for what, a, b, c, d in SequenceMatcher(None, was, now, False).get_opcodes():
        if what != "equal":
            end = was[b % len(was)]
            found.append(((was[a - 1], *was[a:b], end), (was[a - 1], *now[c:d], end)))
    return found


def _along(polygon: AreaGeometry, paths: Sequence[tuple[Path, Path]]) -> AreaGeometry:
    """A neighbour whose border goes along with what became of the one it shares; as it was where that breaks it."""
    single = {
        before: after
        for path, new in paths
        if len(path) == len(new)
        for before, after in zip(path, new, strict=True)
        if before != after
    }
    parts = []
    for part in parts_of(polygon):
        rings = [_open(ring) for ring in (part.exterior, *part.interiors)]
        rings = [[single.get(point, point) for point in ring] for ring in rings]
        for path, new in paths:
            if len(path) != len(new):
                rings = [_replaced(_replaced(ring, path, new), path[::-1], new[::-1]) for ring in rings]
        rings = [ring for ring in rings if len(ring) >= 3]
        if rings:
            parts.append(Polygon(rings[0], rings[1:]))
    moved = parts[0] if len(parts) == 1 else MultiPolygon(parts)
    return moved if not moved.is_empty and moved.is_valid else polygon


def _replaced(ring: list[Point], path: Path, new: Path) -> list[Point]:
    """A ring with a stretch of it replaced, if it runs along all of that."""
    if path[0] not in ring or not set(path) <= set(ring):
        return ring
    turned = _turned(ring, path[0])
    if len(path) > len(turned) or tuple(turned[: len(path)]) != path:
        return ring
    return [*new, *turned[len(path) :]]
