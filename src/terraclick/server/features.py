"""Objects as GeoJSON features and back, in pixels of an image, in the session's own coordinates, or as lon/lat."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, MultiLineString, MultiPoint, MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadConfig, BadData, BadInput, NotGeoreferenced
from terraclick.geo.affine import apply
from terraclick.geo.kinds import kind_of, parts_of_kind, simple
from terraclick.geo.lonlat import WGS84, check_lonlat
from terraclick.geo.reproject import reproject, to_lonlat
from terraclick.geo.rings import ring_of
from terraclick.geo.tangles import made_valid
from terraclick.server.clicking import AreaGeometry, Hint, Shape, parts_of, to_map, to_pixels
from terraclick.server.images import Scene
from terraclick.store.fields import COLUMNS, Column, MapObject
from terraclick.store.sql import Store

__all__ = [
    "CRS84",
    "MAX_VERTICES",
    "GeometryConverter",
    "TooLarge",
    "area_geometry_of",
    "as_area_geometry",
    "as_shape",
    "hint_json",
    "line_of",
    "outline_json",
    "shape_of",
]

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG_4326 = "http://www.opengis.net/def/crs/EPSG/0/4326"
PIXELS = "urn:terraclick:crs:pixels"
"""Pixels of an image, y down: what objects without a coordinate system are in. Registered nowhere."""
MAX_VERTICES = 200_000
MAX_PARTS = 20_000


class TooLarge(BadInput):
    """More bytes, vertices or features than one request may have."""

    http_status = 413


# --- reading geometries from strangers -------------------------------------------------------------------------------


def area_geometry_of(value: Any, degrees: bool = False, north_first: bool = False) -> AreaGeometry:
    """A GeoJSON Polygon or MultiPolygon as valid geometry; self-crossing rings are repaired.

    With `degrees` it must lie in longitudes and latitudes (latitude first with `north_first`), and no ring may leap
    over the antimeridian. Raises BadData for anything else and for what encloses nothing, TooLarge beyond 200,000
    vertices.
    """
    kind, coordinates = _kind(value, ("Polygon", "MultiPolygon"))
    polygons = [coordinates] if kind == "Polygon" else coordinates
    budget = [MAX_VERTICES]
    try:
        if len(polygons) > MAX_PARTS:
            raise TooLarge(f"a geometry of {len(polygons)} parts was given: at most {MAX_PARTS} are taken.")
        rings = [[_points(ring, budget) for ring in polygon] for polygon in polygons]
        if degrees:
            for ring in (ring for polygon in rings for ring in polygon):
                check_lonlat(ring[:, ::-1] if north_first else ring)
        shapes = [Polygon(polygon[0], polygon[1:]) for polygon in rings if polygon]
    except (TypeError, ValueError, IndexError, KeyError, shapely.errors.GEOSException):
        raise BadData("a polygon was expected: rings of at least four [x, y] with finite numbers.") from None
    return as_area_geometry(made_valid(MultiPolygon(shapes)))


def as_area_geometry(geometry: BaseGeometry) -> AreaGeometry:
    """The polygons of a geometry as one Polygon or MultiPolygon. Raises BadData if it encloses nothing."""
    parts = parts_of(geometry)
    if not parts or sum(part.area for part in parts) <= 0:
        raise BadData("this geometry encloses nothing: draw an area.")
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def shape_of(value: Any, degrees: bool = False, north_first: bool = False) -> BaseGeometry:
    """A GeoJSON area, line or point, of one or several parts, as an object can have; else as `area_geometry_of`."""
    name = value.get("type") if isinstance(value, Mapping) else None
    if name in ("Polygon", "MultiPolygon"):
        return area_geometry_of(value, degrees, north_first)
    kind, coordinates = _kind(
        value, ("Polygon", "MultiPolygon", "LineString", "MultiLineString", "Point", "MultiPoint")
    )
    budget = [MAX_VERTICES]
    try:
        if kind.endswith("Point"):
            paths = [_points([coordinates] if kind == "Point" else coordinates, budget)]
        else:
            paths = [_points(path, budget) for path in ([coordinates] if kind == "LineString" else coordinates)]
        if degrees:
            for path in paths:
                check_lonlat(path[:, ::-1] if north_first else path)
        whole = (
            MultiPoint(paths[0]) if kind.endswith("Point") else MultiLineString([LineString(path) for path in paths])
        )
    except (TypeError, ValueError, IndexError, shapely.errors.GEOSException):
        raise BadData("a line or a point was expected: [x, y] with finite numbers, at least two for a line.") from None
    return as_shape(whole)


def as_shape(geometry: BaseGeometry) -> BaseGeometry:
    """An area, line or point, simple where it is of one part. Raises BadData for one without extent."""
    kind = kind_of(geometry)
    if kind not in ("line", "point"):
        return as_area_geometry(geometry)
    if geometry.is_empty or (kind == "line" and geometry.length == 0):
        raise BadData("a line of no length was given: draw from one place to another.")
    return simple(geometry)


def line_of(value: Any) -> LineString:
    """A GeoJSON LineString. Raises BadData."""
    _, coordinates = _kind(value, ("LineString",))
    try:
        line = LineString(_points(coordinates, [MAX_VERTICES]))
    except (TypeError, ValueError, IndexError, shapely.errors.GEOSException):
        raise BadData("a line was expected: at least two [x, y] with finite numbers.") from None
    if line.length == 0:
        raise BadData("a line of no length was given: draw from one place to another.")
    return line


def _kind(value: Any, kinds: tuple[str, ...]) -> tuple[str, Any]:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind not in kinds or not isinstance(value.get("coordinates"), list):
        raise BadData(f"a geometry of type {str(kind)[:40]} was given; expected {' or '.join(kinds)}.")
    return str(kind), value["coordinates"]


def _points(ring: Any, budget: list[int]) -> np.ndarray[Any, np.dtype[np.float64]]:
    budget[0] -= len(ring)
    if budget[0] < 0:
        raise TooLarge(f"a geometry of more than {MAX_VERTICES} vertices was given: simplify it first.")
    return ring_of(ring)


# --- writing them ----------------------------------------------------------------------------------------------------


def _geojson(geometry: BaseGeometry, decimals: int) -> dict[str, Any]:
    """An area with its outer rings anticlockwise in their own axes, a line or a point."""

    def placed(part: BaseGeometry) -> list[list[float]]:
        return [[round(x, decimals), round(y, decimals)] for x, y in shapely.get_coordinates(part).tolist()]

    kind = kind_of(geometry)
    parts: list[Any]
    if kind == "point":
        parts, name = placed(geometry), "Point"
    elif kind == "line":
        parts, name = [placed(part) for part in parts_of_kind(geometry)], "LineString"
    else:
        areas = [shapely.orient_polygons(part) for part in parts_of(geometry)]
        parts, name = [[placed(ring) for ring in (part.exterior, *part.interiors)] for part in areas], "Polygon"
    return (
        {"type": name, "coordinates": parts[0]} if len(parts) == 1 else {"type": f"Multi{name}", "coordinates": parts}
    )


def outline_json(shape: Shape | None, scene: Scene) -> dict[str, Any] | None:
    """An outline for the map."""
    if shape is None:
        return None
    crs = scene.grid.crs
    empty = shape.pixels.is_empty
    decimals = 9 if crs is not None and crs.is_geographic else 4
    return {
        "empty": empty,
        "geometry": None if empty else _geojson(shape.pixels, 4),
        "map": None if empty or crs is None else _geojson(shape.map, decimals),
        "crs": crs_name(crs),
        "score": round(shape.score, 4),
        "area_px": round(shape.pixels.area, 2),
        "area_m2": shape.area_m2,
        "perimeter_m": shape.perimeter_m,
        "vertices": int(shapely.get_num_coordinates(shape.pixels)),
        "parts": len(parts_of(shape.pixels)),
    }


def crs_name(crs: Any) -> str | None:
    """EPSG:n where it has a number, else its name; None for none."""
    if crs is None:
        return None
    code = crs.to_epsg()
    return str(crs.name) if code is None else f"EPSG:{code}"


def hint_json(hint: Hint | None) -> dict[str, Any] | None:
    """A hint for the map."""
    if hint is None:
        return None
    return {
        "x": round(hint.x, 3),
        "y": round(hint.y, 3),
        "inside": hint.inside,
        "uncertainty": round(hint.uncertainty, 4),
    }


@dataclass(frozen=True, eq=False)
class GeometryConverter:
    """Carries geometries between the store and what a request speaks: pixels, native or CRS84."""

    store: Store
    scenes: Mapping[str, Scene]
    by_key: Mapping[str, Scene]

    def scene_of(self, item: MapObject) -> Scene | None:
        """The image of an object, if it is one of this server's."""
        return self.by_key.get(item.image)

    def mode(self, crs: str | None, default: str) -> str:
        """pixels, native, CRS84, or the URI of another system the objects are given in, as asked. Raises BadConfig."""
        if crs in (None, ""):
            return "pixels" if self.store.crs is None and default == "CRS84" else default
        if crs in ("pixels", "native"):
            return str(crs)
        known = self.systems()
        if crs in ("CRS84", CRS84):
            if self.store.crs is None:
                raise NotGeoreferenced("the objects are in image pixels: ask with crs=pixels.")
            return "CRS84"
        if crs in known:
            return str(crs)
        some = ", ".join(["pixels", "native", *known])
        raise BadConfig(f"no coordinate system {str(crs)[:60]!r} here: give one of {some}.")

    def systems(self) -> list[str]:
        """URIs of the systems that objects are given in, CRS84 first; PIXELS alone where the store keeps pixels."""
        if self.store.crs is None:
            return [PIXELS]
        storage = self.storage()
        return list(dict.fromkeys([CRS84, EPSG_4326, *([] if storage is None else [storage])]))

    def storage(self) -> str | None:
        """The URI of the store's own system, if it has one."""
        crs = self.store.crs
        code = None if crs is None else crs.to_epsg(min_confidence=100)
        return None if code is None else f"http://www.opengis.net/def/crs/EPSG/0/{code}"

    def uri(self, mode: str) -> str | None:
        """The URI of what geometries are given in, for the Content-Crs header."""
        if mode == "pixels":
            return PIXELS if self.store.crs is None else None
        if mode == "native":
            return None if self._swapped(self.storage() or "") else self.storage()
        return CRS84 if mode == "CRS84" else mode

    def _swapped(self, mode: str) -> bool:
        """Whether a system's own order of axes is north before east, which its URI stands for."""
        if mode == EPSG_4326:
            return True
        if mode in ("pixels", "native", "CRS84", "", PIXELS) or self.store.crs is None:
            return False
        return [axis.direction for axis in self.store.crs.axis_info[:2]] == ["north", "east"]

    def out(self, geometry: BaseGeometry, mode: str, scene: Scene | None) -> dict[str, Any]:
        """Geometry in the store's crs as GeoJSON in what was asked for."""
        if mode in ("pixels", PIXELS):
            return _geojson(self.pixels(geometry, scene), 4)
        crs = self.store.crs
        if mode in ("CRS84", EPSG_4326) and crs is not None:
            geometry = to_lonlat(geometry, crs)
        degrees = mode in ("CRS84", EPSG_4326) or (crs is not None and crs.is_geographic)
        found = _geojson(geometry, 9 if degrees else 4)
        if self._swapped(mode):
            found["coordinates"] = _turned(found["coordinates"])
        return as_multi_json(found)

    def pixels(self, geometry: BaseGeometry, scene: Scene | None) -> AreaGeometry:
        """Geometry in the store's crs in pixels of an image; as it is where the store keeps pixels."""
        if self.store.crs is None:
            return as_shape(geometry)
        if scene is None:
            raise BadConfig("pixels of which image? Add image=ID.")
        return to_pixels(as_shape(reproject(geometry, self.store.crs, scene.grid.crs)), scene.grid)

    def into(self, geometry: AreaGeometry, mode: str, scene: Scene | None) -> AreaGeometry:
        """Geometry as a request gave it, in the store's crs. Raises BadConfig, NotGeoreferenced, BadData."""
        if self._swapped(mode):
            geometry = shapely.transform(geometry, lambda xy: xy[:, ::-1])
        if mode in ("CRS84", EPSG_4326):
            return as_shape(reproject(geometry, WGS84, self.store.crs))
        if mode != "pixels" or self.store.crs is None:
            return geometry
        if scene is None:
            raise BadConfig("pixels of which image? Add image=ID.")
        return as_shape(reproject(to_map(geometry, scene.grid), scene.grid.crs, self.store.crs))

    def polygon(self, item: MapObject, scene: Scene | None) -> AreaGeometry:
        """The area of an object in pixels of an image. Raises BadData for a line or a point."""
        kind = kind_of(item.geometry)
        if kind in ("line", "point"):
            raise BadData(f"the object {item.uuid[:8]} is a {kind}: this can be done to areas alone.")
        return self.pixels(item.geometry, scene)

    def from_pixels(self, geometries: Sequence[AreaGeometry], scene: Scene) -> list[AreaGeometry]:
        """Many outlines in pixels of an image in the store's crs."""
        crs = scene.grid.crs
        if self.store.crs is None:
            return list(geometries)

        def to_map(xy: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.column_stack(apply(scene.grid.transform, xy[:, 0], xy[:, 1]))

        moved = shapely.transform(np.array(geometries, dtype=object), to_map).tolist()
        if crs is not None and crs.equals(self.store.crs, ignore_axis_order=True):
            return list(moved)
        return [as_shape(reproject(geometry, crs, self.store.crs)) for geometry in moved]

    def feature_or_none(
        self, item: MapObject, mode: str = "pixels", scene: Scene | None = None
    ) -> dict[str, Any] | None:
        """The same; None, and set aside in the store, for an object that has no place in what was asked for."""
        try:
            return self.feature(item, mode, scene)
        except (BadInput, shapely.errors.GEOSException) as error:
            self.store.note(item, str(error).rstrip("."))
            return None

    def feature(self, item: MapObject, mode: str = "pixels", scene: Scene | None = None) -> dict[str, Any]:
        """An object as a GeoJSON feature, by default in pixels of its own image (of `scene` where it has none)."""
        own = self.scene_of(item)
        geometry: dict[str, Any] | None
        where = scene or own
        geometry = (
            None
            if mode == "pixels" and where is None and self.store.crs is not None
            else self.out(item.geometry, mode, where)
        )
        return {
            "type": "Feature",
            "id": item.uuid,
            "geometry": geometry,
            "properties": {column.name: _told(item, column) for column in COLUMNS}
            | {
                "image": None if own is None else own.id,
                "attributes": item.attributes if mode in ("pixels", PIXELS) else _attributes_text(item.attributes),
            },
        }


def _told(item: MapObject, column: Column) -> Any:
    """The value of a column as JSON holds it."""
    value = getattr(item, column.attribute)
    return _finite(value) if column.kind == "number" else value


def _turned(value: Any) -> Any:
    """Coordinates with y before x."""
    if value and isinstance(value[0], float | int):
        return [value[1], value[0], *value[2:]]
    return [_turned(part) for part in value]


def as_multi_json(geometry: dict[str, Any]) -> dict[str, Any]:
    """Always of several parts: readers take the first feature's kind for that of all."""
    if geometry["type"].startswith("Multi"):
        return geometry
    return {"type": f"Multi{geometry['type']}", "coordinates": [geometry["coordinates"]]}


def _attributes_text(attributes: dict[str, Any]) -> str:
    """Attributes as JSON in a text, which every program can keep in a column."""
    return json.dumps(attributes, ensure_ascii=False) if attributes else ""


def _finite(value: Any) -> float | None:
    """A number JSON can hold; whatever else another program wrote there is nothing."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
