"""GeoJSON (RFC 7946): longitude and latitude unless another system is asked for."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiLineString, MultiPoint, MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadConfig, BadData
from terraclick.formats.common.collection import Collection, own_columns, uniform
from terraclick.formats.common.declaration import LEFT_OUT, Format, Pair, Read, expect
from terraclick.formats.common.texts import (
    dump_json,
    read_json,
)
from terraclick.geo.crs_text import crs_of_text
from terraclick.geo.keyholes import polygons_in
from terraclick.geo.kinds import KINDS, kind_of, parts_of_kind
from terraclick.geo.lonlat import WGS84
from terraclick.geo.rings import LARGEST, ring_of
from terraclick.store.fields import record

__all__ = ["FORMAT"]


def _write(job: Collection, path: Path) -> None:
    """RFC 7946: WGS 84, outer rings anticlockwise; 9 decimals of a degree (0.1 mm). One kind of geometry in a file."""
    decimals = 9 if job.crs is not None and job.crs.is_geographic else 4
    features = []
    own = own_columns(job.items)
    for place, (item, shape) in enumerate(zip(job.items, uniform(job.items), strict=True)):
        geometry = {"type": shape.geom_type, "coordinates": _coordinates(shape, decimals)}
        told = record(item) | {name: values[place] for name, values in own.items()}
        features.append({"type": "Feature", "id": item.uuid, "properties": told, "geometry": geometry})
    top: dict[str, Any] = {"type": "FeatureCollection"}
    if job.crs is None:
        top["crs"] = None  # pixels: no coordinate system may be assumed
    elif not job.crs.equals(WGS84, ignore_axis_order=True):
        code = job.crs.to_epsg()
        if code is None:
            raise BadConfig(f"{job.crs.name} has no EPSG number to name in GeoJSON: write a GeoPackage instead.")
        top["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{code}"}}
    dump_json({**top, "features": features}, path)
    expect(len(read_json(path)["features"]), job)


def _coordinates(shape: BaseGeometry, decimals: int) -> Any:
    """The coordinates of a geometry, outer rings of areas anticlockwise."""
    found: list[Any]
    kind = kind_of(shape)
    if kind == "polygon":
        parts = [shapely.orient_polygons(part) for part in polygons_in(shape)]
        found = [[_ring(ring, decimals) for ring in (part.exterior, *part.interiors)] for part in parts]
    elif kind == "line":
        found = [_ring(part, decimals) for part in parts_of_kind(shape)]
    else:
        found = _ring(shape, decimals)
    return found if shape.geom_type.startswith("Multi") else found[0]


def _ring(ring: Any, decimals: int) -> list[list[float]]:
    return [[round(x, decimals), round(y, decimals)] for x, y in shapely.get_coordinates(ring).tolist()]


def _read(top: dict[str, Any]) -> Read:
    name = ((top.get("crs") or {}).get("properties") or {}).get("name")
    pixels = "crs" in top and top["crs"] is None
    source = crs_of_text(name) if name else None if pixels else WGS84
    features = top["features"] if top.get("type") == "FeatureCollection" else [top]
    quick = _alike(features)
    if quick is not None:
        return Read(quick, source, pixels)
    pairs: list[Pair] = []
    for feature in features:
        whole = feature.get("type") == "Feature"
        shape = feature.get("geometry") if whole else feature
        fields = (feature.get("properties") or {}) if whole else {}
        pairs.append(_feature(shape, fields if isinstance(fields, dict) else {}))
    return Read(pairs, source, pixels)


def _alike(features: Any) -> list[Pair] | None:
    """The pairs of features that are all polygons of one flat closed ring, made at once; None where any is not."""
    try:
        rings = [feature["geometry"]["coordinates"] for feature in features]
        alike = all(
            feature["type"] == "Feature"
            and feature["geometry"]["type"] == "Polygon"
            and type(feature["properties"]) is dict
            and len(ring) == 1
            and len(ring[0]) > 3
            and ring[0][0] == ring[0][-1]
            for feature, ring in zip(features, rings, strict=True)
        )
        if not alike or not rings:
            return None
        flat = [point for (ring,) in rings for point in ring]
        if not set(map(type, chain.from_iterable(flat))) <= {int, float}:
            return None
        corners = np.array(flat, dtype=np.float64)
        if corners.shape != (len(flat), 2) or not (np.abs(corners) <= LARGEST).all():
            return None
        owner = np.repeat(np.arange(len(rings)), [len(ring) for (ring,) in rings])
        shapes = shapely.polygons(shapely.linearrings(corners, indices=owner))
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, shapely.errors.GEOSException):
        return None
    return [(shape, feature["properties"]) for shape, feature in zip(shapes, features, strict=True)]


def _feature(shape: Any, fields: dict[str, Any]) -> Pair:
    """A feature's polygon and fields; why it is none where it is none."""
    if not isinstance(shape, dict):
        return None, {LEFT_OUT: "it has no geometry"}
    name = str(shape.get("type"))
    if name not in ("Polygon", "MultiPolygon", "LineString", "MultiLineString", "Point", "MultiPoint"):
        return None, {LEFT_OUT: f"it is a {name[:20]}, not an area, a line or a point"}
    if not name.endswith("Polygon"):
        return _line_or_point(name, shape.get("coordinates")), fields
    try:
        return _shape(shape), fields
    except (BadData, shapely.errors.GEOSException, ValueError, TypeError, KeyError, IndexError):
        return None, {LEFT_OUT: "a ring of it is not a closed line of at least four points with finite numbers"}


def _line_or_point(name: str, coordinates: Any) -> BaseGeometry | None:
    """A line or a point of one or several parts; None for one without finite numbers."""
    try:
        if name.endswith("Point"):
            return MultiPoint(_places([coordinates] if name == "Point" else coordinates))
        return MultiLineString([_places(path) for path in ([coordinates] if name == "LineString" else coordinates)])
    except (shapely.errors.GEOSException, ValueError, TypeError, KeyError, IndexError):
        return None


def _places(points: Any) -> NDArray[np.float64]:
    found = np.array([[float(point[0]), float(point[1])] for point in points], dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError("a coordinate is not finite")
    return found


def _shape(shape: dict[str, Any]) -> BaseGeometry:
    polygons = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
    rings = [[ring_of(ring) for ring in polygon] for polygon in polygons]
    return MultiPolygon([Polygon(polygon[0], polygon[1:]) for polygon in rings if polygon])


def _is_geojson(top: dict[str, Any]) -> bool:
    return "features" in top or "geometry" in top or "coordinates" in top


FORMAT = Format(
    name="geojson",
    label="GeoJSON",
    note="longitude and latitude, for the web",
    endings=(".geojson",),
    carries=KINDS,
    write=_write,
    lonlat=True,
    of_json=_is_geojson,
    read_json=_read,
)
