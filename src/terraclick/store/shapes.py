"""Geometry as a session keeps it, and as GeoPackage writes it."""

from __future__ import annotations

import math
import sqlite3
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData
from terraclick.geo.kinds import as_multi

__all__ = [
    "check_geometries",
    "check_geometry",
    "decode_geometries",
    "decode_geometry",
    "encode_geometries",
    "encode_geometry",
    "encode_point",
    "register_functions",
]

_ENVELOPE_DOUBLES = {0: 0, 1: 4, 2: 6, 3: 6, 4: 8}


def encode_geometry(geometry: BaseGeometry, srs_id: int) -> bytes:
    """A geometry as GeoPackage keeps it, of several parts: header with XY envelope, little endian, then WKB."""
    min_x, min_y, max_x, max_y = geometry.bounds
    header = b"GP" + struct.pack("<BBi4d", 0, 0b011, srs_id, min_x, max_x, min_y, max_y)
    return header + bytes(shapely.to_wkb(as_multi(geometry), byte_order=1, output_dimension=2))


def encode_geometries(geometries: Sequence[BaseGeometry], srs_id: int) -> list[bytes]:
    """`encode_geometry` for many at once; they are multi-geometries already."""
    if not len(geometries):
        return []
    array = np.array(geometries, dtype=object)
    boxes = shapely.bounds(array)[:, [0, 2, 1, 3]].tolist()
    blobs = shapely.to_wkb(array, byte_order=1, output_dimension=2).tolist()
    begin = b"GP" + struct.pack("<BBi", 0, 0b011, srs_id)
    return [begin + struct.pack("<4d", *box) + blob for box, blob in zip(boxes, blobs, strict=True)]


def encode_point(x: float, y: float, srs_id: int) -> bytes:
    """A place as a GeoPackage Point."""
    return b"GP" + struct.pack("<BBi", 0, 0b001, srs_id) + struct.pack("<BI2d", 1, 1, x, y)


def _header_length(blob: bytes) -> int:
    if not isinstance(blob, bytes) or len(blob) < 8 or blob[:2] != b"GP":
        raise BadData("a geometry in the session file is not GeoPackage binary: the file is damaged.")
    doubles = _ENVELOPE_DOUBLES.get((blob[3] >> 1) & 7)
    if doubles is None:
        raise BadData("a geometry in the session file has an unknown envelope: the file is damaged.")
    return 8 + 8 * doubles


def decode_geometry(blob: bytes) -> BaseGeometry:
    """The shape in a GeoPackage geometry, height and measure left out. Raises BadData if it is damaged."""
    try:
        geometry = shapely.from_wkb(blob[_header_length(blob) :])
    except shapely.errors.GEOSException:
        raise BadData("a geometry in the session file cannot be decoded: the file is damaged.") from None
    return as_multi(shapely.force_2d(geometry))


def decode_geometries(blobs: Sequence[bytes]) -> list[BaseGeometry] | None:
    """`decode_geometry` for many at once; None where one is not flat, or not of several parts, as we write them."""
    try:
        shapes = shapely.from_wkb([blob[_header_length(blob) :] for blob in blobs])
    except (BadData, shapely.errors.GEOSException, TypeError, struct.error, IndexError):
        return None
    if len(blobs) and (
        not np.isin(shapely.get_type_id(shapes), (4, 5, 6)).all()
        or shapely.has_z(shapes).any()
        or shapely.has_m(shapes).any()
    ):
        return None
    found: list[BaseGeometry] = shapes.tolist() if len(blobs) else []
    return found


def check_geometry(geometry: BaseGeometry) -> BaseGeometry:
    """An area, a line or a point as a store keeps it. Raises BadData for what is empty, not finite, or a collection."""
    return check_geometries([geometry])[0]


def check_geometries(geometries: Sequence[BaseGeometry]) -> list[BaseGeometry]:
    """`check_geometry` for many at once."""
    array = np.array(geometries, dtype=object)
    if len(array) and (shapely.get_type_id(array) == 3).all() and not shapely.is_empty(array).any():
        array = shapely.multipolygons(array, indices=np.arange(len(array)))
    else:
        array = np.array([as_multi(geometry) for geometry in geometries], dtype=object)
    finite = np.isfinite(shapely.get_coordinates(array)).all()
    lines = array[shapely.get_dimensions(array) == 1]
    if not finite or shapely.is_empty(array).any() or (shapely.length(lines) == 0).any():
        raise BadData(
            "an empty shape, a line of no length, or a coordinate that is not a number was given: nothing to store."
        )
    found: list[BaseGeometry] = array.tolist()
    return found


def _extent(blob: bytes | None) -> tuple[float, float, float, float] | None:
    """(min x, max x, min y, max y) of a GeoPackage geometry, from its envelope if it has one; None if empty."""
    if blob is None or (blob[3] >> 4) & 1:
        return None
    start = _header_length(blob)
    if start > 8:
        order = "<" if blob[3] & 1 else ">"
        values: tuple[float, float, float, float] = struct.unpack_from(order + "4d", blob, 8)
        return None if math.isnan(values[0]) else values
    geometry = shapely.from_wkb(blob[start:])
    if geometry.is_empty:
        return None
    min_x, min_y, max_x, max_y = geometry.bounds
    return min_x, max_x, min_y, max_y


def _extent_or_none(blob: Any) -> tuple[float, float, float, float] | None:
    """The same for a trigger, which must not fail: what another program left there that is no geometry has none."""
    try:
        return _extent(blob) if isinstance(blob, bytes) else None
    except (BadData, shapely.errors.GEOSException, struct.error, IndexError):
        return None


def register_functions(db: sqlite3.Connection) -> None:
    """The ST_* functions that GeoPackage spatial index triggers call."""

    def part(index: int) -> Callable[[bytes | None], float | None]:
        def read(blob: bytes | None) -> float | None:
            extent = _extent_or_none(blob)
            return None if extent is None else extent[index]

        return read

    for index, name in enumerate(("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY")):
        db.create_function(name, 1, part(index), deterministic=True)
    db.create_function("ST_IsEmpty", 1, lambda blob: None if blob is None else int(_extent_or_none(blob) is None))
