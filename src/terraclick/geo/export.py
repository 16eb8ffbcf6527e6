"""Outlines written for other programs, and polygons read from them.

A file appears whole or not at all: everything is written into a hidden folder beside the target and moved at the end.
GeoJSON, GeoPackage, CSV and masks need nothing extra; Shapefile and GeoParquet need the `formats` extra. Pixel formats
(COCO, labelme, YOLO, masks) need the image's Grid and count from the corner of the top-left pixel.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from terraclick.core.focus import Window
from terraclick.errors import BadConfig, BadData, BadOutput, MissingExtra, NotGeoreferenced, UnknownName
from terraclick.geo.crs_text import crs_of_text
from terraclick.geo.grid import Grid
from terraclick.geo.polygonize import rasterize
from terraclick.geo.store import GeoPackageStore, MapObject, StoredImage, reproject

__all__ = ["FORMATS", "encode_rle", "export", "import_polygons"]

WGS84 = CRS.from_epsg(4326)
FIELDS = (
    "uuid image class label target score area_m2 perimeter_m n_clicks model model_hash status author rev "
    "created updated attributes"
).split()
INTEGERS, NUMBERS = ("n_clicks", "rev"), ("score", "area_m2", "perimeter_m")
MAX_BYTES = 256 << 20
MAX_VERTICES = 5_000_000


@dataclass(frozen=True)
class _Job:
    """What a writer needs: objects already in `crs` (or in pixels, corner convention), the image's grid if known."""

    items: list[MapObject]
    crs: CRS | None
    grid: Grid | None

    @property
    def names(self) -> list[str]:
        """The classes in alphabetical order."""
        return sorted({item.class_name for item in self.items})


def export(
    features: Sequence[MapObject],
    path: str | Path,
    format: str | None = None,
    crs: CRS | None = None,
    *,
    source: CRS | None = None,
    grid: Grid | None = None,
    overwrite: bool = False,
) -> Path:
    """Write objects whose geometry is in `source` (a store's `crs`; None: image pixels) and return the path.

    `format` is a name in FORMATS, by default told by the ending. `crs` is that of the file: by default WGS 84 for
    GeoJSON and `source` for the rest; GeoJSON in another one carries a `crs` member. `grid` is the image's, for pixel
    formats.
    Raises UnknownName, BadOutput (exists, cannot be written), BadConfig (no grid), MissingExtra, NotGeoreferenced.
    """
    path = Path(path)
    name = format or _by_ending(path)
    if name not in FORMATS:
        raise UnknownName(f"no format {name!r}. Known: {', '.join(FORMATS)}.")
    _, pixels, writer = FORMATS[name]
    _check_target(path, overwrite)
    if pixels:
        if grid is None:
            raise BadConfig(f"{name} is written in pixels: give the image whose pixels are meant (grid=...).")
        inverse = ~grid.transform
        moved = [_to_pixels(reproject(item.geometry, source, grid.crs), inverse) for item in features]
        job = _Job([replace(f, geometry=g) for f, g in zip(features, moved, strict=True)], None, grid)
    else:
        if source is None and crs is not None:
            raise NotGeoreferenced("the objects are in image pixels: georeference the image, or leave the CRS out.")
        target = crs or (WGS84 if name == "geojson" and source is not None else source)
        job = _Job([replace(f, geometry=reproject(f.geometry, source, target)) for f in features], target, grid)
    _write_whole(path, job, writer)
    return path


def _by_ending(path: Path) -> str:
    for name, (ending, _, _) in FORMATS.items():
        if path.name.lower().endswith(ending):
            return name
    raise UnknownName(f"no format for the ending of {path.name}. Known: {', '.join(FORMATS)}.")


def _check_target(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise BadOutput(f"{path} is a folder: give the name of a file.")
    if path.exists() and not overwrite:
        raise BadOutput(f"{path} already exists: choose another name, or allow overwriting.")
    if not path.parent.is_dir():
        raise BadOutput(f"{path} cannot be written: the folder {path.parent} does not exist.")


def _write_whole(path: Path, job: _Job, writer: Callable[[_Job, Path], None]) -> None:
    try:
        folder = Path(tempfile.mkdtemp(prefix=".terraclick-", dir=path.parent))
    except OSError as error:
        raise BadOutput(f"{path} cannot be written ({error.strerror}): check the folder and its rights.") from None
    try:
        writer(job, folder / path.name)
        others = sorted(file for file in folder.iterdir() if file.name != path.name)
        for file in [*others, folder / path.name]:
            os.replace(file, path.with_name(file.name))
    except OSError as error:
        raise BadOutput(f"{path} cannot be written ({error}): check the folder and the free space.") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _to_pixels(geometry: BaseGeometry, inverse: Any) -> BaseGeometry:
    a, b, c, d, e, f = tuple(inverse)[:6]
    turned: BaseGeometry = shapely.affinity.affine_transform(geometry, [a, b, d, e, c, f])
    return turned


def _value(item: MapObject, name: str) -> Any:
    if name == "attributes":
        return json.dumps(item.attributes, ensure_ascii=False) if item.attributes else ""
    return getattr(item, "class_name" if name == "class" else name)


def _parts(geometry: BaseGeometry) -> list[Polygon]:
    return [part for part in shapely.get_parts(geometry) if isinstance(part, Polygon) and not part.is_empty]


# --- map formats ----------------------------------------------------------------------------------------------------


def _geojson(job: _Job, path: Path) -> None:
    """RFC 7946: WGS 84, outer rings anticlockwise; 9 decimals of a degree (0.1 mm)."""
    decimals = 9 if job.crs is not None and job.crs.is_geographic else 4
    features = []
    for item in job.items:
        parts = [shapely.orient_polygons(part) for part in _parts(item.geometry)]
        rings = [[_ring(r, decimals) for r in (part.exterior, *part.interiors)] for part in parts]
        single = len(rings) == 1
        geometry = {"type": "Polygon" if single else "MultiPolygon", "coordinates": rings[0] if single else rings}
        properties = {name: _value(item, name) for name in FIELDS} | {"attributes": item.attributes}
        features.append({"type": "Feature", "id": item.uuid, "properties": properties, "geometry": geometry})
    top: dict[str, Any] = {"type": "FeatureCollection"}
    if job.crs is not None and not job.crs.equals(WGS84, ignore_axis_order=True):
        code = job.crs.to_epsg()
        if code is None:
            raise BadConfig(f"{job.crs.name} has no EPSG number to name in GeoJSON: write a GeoPackage instead.")
        top["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{code}"}}
    _dump({**top, "features": features}, path)


def _ring(ring: Any, decimals: int) -> list[list[float]]:
    return [[round(x, decimals), round(y, decimals)] for x, y in shapely.get_coordinates(ring).tolist()]


def _dump(value: Any, path: Path) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _gpkg(job: _Job, path: Path) -> None:
    with GeoPackageStore.create(path, job.crs) as store:
        for image in sorted({item.image for item in job.items if item.image}):
            store.add_image(StoredImage(image, "", job.crs))
        store.add_many([(replace(item, rev=0), (), None) for item in job.items], job.crs)


def _csv(job: _Job, path: Path) -> None:
    """One row per object with its outline as WKT; text that a spreadsheet would run gets a quote before it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*FIELDS, "wkt"])
        for item in job.items:
            rows.writerow([*(_harmless(_value(item, name)) for name in FIELDS), item.geometry.wkt])


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else value


def _pyogrio() -> ModuleType:
    try:
        import pyogrio
    except ImportError:
        raise MissingExtra("this format needs pyogrio: pip install 'terraclick[formats]'.") from None
    module: ModuleType = pyogrio
    return module


def _column(items: list[MapObject], name: str) -> NDArray[Any]:
    values = [_value(item, name) for item in items]
    if name in INTEGERS:
        return np.array(values, dtype=np.int64)
    if name in NUMBERS:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return np.array(values, dtype=object)


def _shapefile(job: _Job, path: Path) -> None:
    """Field names have at most 10 letters there: perimeter_m becomes perim_m."""
    geometry = np.array([shapely.to_wkb(item.geometry) for item in job.items], dtype=object)
    names = ["perim_m" if name == "perimeter_m" else name for name in FIELDS]
    columns = [_column(job.items, name) for name in FIELDS]
    options = {"driver": "ESRI Shapefile", "geometry_type": "Polygon", "encoding": "UTF-8"}
    crs = None if job.crs is None else job.crs.to_wkt()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pixel outlines have no CRS, and that is meant
        _pyogrio().raw.write(path, geometry, columns, names, crs=crs, **options)


def _geoparquet(job: _Job, path: Path) -> None:
    """GeoParquet 1.1, geometry as WKB."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("GeoParquet needs pyarrow: pip install 'terraclick[formats]'.") from None
    types = {name: pyarrow.int64() for name in INTEGERS} | {name: pyarrow.float64() for name in NUMBERS}
    columns = {
        name: pyarrow.array([_value(i, name) for i in job.items], types.get(name, pyarrow.string())) for name in FIELDS
    }
    columns["geometry"] = pyarrow.array([shapely.to_wkb(item.geometry) for item in job.items], pyarrow.binary())
    kinds = sorted({item.geometry.geom_type for item in job.items})
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": kinds}
    column["crs"] = None if job.crs is None else job.crs.to_json_dict()
    if job.items:
        column["bbox"] = list(shapely.total_bounds([item.geometry for item in job.items]))
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    table = pyarrow.table(columns).replace_schema_metadata({"geo": json.dumps(geo)})
    pyarrow.parquet.write_table(table, path)


# --- pixel formats --------------------------------------------------------------------------------------------------


def encode_rle(mask: NDArray[np.bool_], window: Window, shape: tuple[int, int]) -> dict[str, Any]:
    """COCO's compressed run lengths of a mask that fills `window` of an image of `shape` (rows, cols).

    Returns {"size": [rows, cols], "counts": text}; runs go down the columns and start with zeros.
    """
    rows, cols = shape
    edges = np.diff(np.pad(mask.T.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    base = (window.col + np.arange(window.cols, dtype=np.int64)) * rows + window.row
    starts = np.concatenate([base[c] + r for c, r in _by_column(edges == 1)] or [np.zeros(0, np.int64)])
    ends = np.concatenate([base[c] + r for c, r in _by_column(edges == -1)] or [np.zeros(0, np.int64)])
    joined = np.flatnonzero(ends[:-1] == starts[1:])
    starts, ends = np.delete(starts, joined + 1), np.delete(ends, joined)
    bounds = np.concatenate([[0], np.column_stack([starts, ends]).ravel(), [rows * cols]])
    counts = [int(count) for count in np.diff(bounds)]
    if len(counts) > 1 and counts[-1] == 0:
        counts.pop()
    return {"size": [rows, cols], "counts": _rle_text(counts)}


def _by_column(flags: NDArray[np.bool_]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    columns, places = np.nonzero(flags)
    return [(columns.astype(np.int64), places.astype(np.int64))]


def _rle_text(counts: list[int]) -> str:
    letters = []
    for i, count in enumerate(counts):
        rest = count - counts[i - 2] if i > 2 else count
        more = True
        while more:
            bits = rest & 0x1F
            rest >>= 5
            more = rest != (-1 if bits & 0x10 else 0)
            letters.append(chr((bits | 0x20 if more else bits) + 48))
    return "".join(letters)


def _grid_of(job: _Job) -> Grid:
    if job.grid is None:
        raise BadConfig("this format is written in pixels: give the image whose pixels are meant (grid=...).")
    return job.grid


def _coco(job: _Job, path: Path) -> None:
    """COCO instances: plain polygons where one ring says it all, compressed run lengths for parts and holes."""
    rows, cols = _grid_of(job).shape
    image = next((item.image for item in job.items if item.image), "")
    annotations = []
    for number, item in enumerate(job.items, start=1):
        parts = _parts(item.geometry)
        left, top, right, bottom = item.geometry.bounds
        if len(parts) == 1 and not parts[0].interiors:
            segmentation: Any = [_flat(parts[0].exterior)]
        else:
            segmentation = _object_rle(item.geometry, (rows, cols))
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": job.names.index(item.class_name) + 1,
                "segmentation": segmentation,
                "area": item.geometry.area,
                "bbox": [left, top, right - left, bottom - top],
                "iscrowd": 0,
                "uuid": item.uuid,
            }
        )
    images = [{"id": 1, "file_name": image, "width": cols, "height": rows}]
    categories = [{"id": i, "name": name or "object"} for i, name in enumerate(job.names, start=1)]
    _dump({"images": images, "annotations": annotations, "categories": categories}, path)


def _flat(ring: Any) -> list[float]:
    return [round(value, 3) for value in shapely.get_coordinates(ring)[:-1].ravel().tolist()]


def _object_rle(geometry: BaseGeometry, shape: tuple[int, int]) -> dict[str, Any]:
    """Only the object's own box is drawn, so a small object in a huge image costs little."""
    from affine import Affine

    left, top, right, bottom = geometry.bounds
    row, col = max(0, int(np.floor(top))), max(0, int(np.floor(left)))
    rows, cols = min(shape[0], int(np.ceil(bottom))) - row, min(shape[1], int(np.ceil(right))) - col
    if rows <= 0 or cols <= 0:
        return encode_rle(np.zeros((1, 1), dtype=np.bool_), Window(0, 0, 1, 1), shape)
    window = Window(row, col, rows, cols)
    return encode_rle(rasterize([geometry], Grid(Affine.translation(col, row), None, (rows, cols))), window, shape)


def _labelme(job: _Job, path: Path) -> None:
    """labelme has no holes: each part is its outer ring, parts of one object share a group."""
    rows, cols = _grid_of(job).shape
    shapes = [
        {
            "label": item.class_name or "object",
            "points": np.round(shapely.get_coordinates(part.exterior)[:-1], 3).tolist(),
            "group_id": number,
            "shape_type": "polygon",
            "description": item.label,
            "flags": {},
        }
        for number, item in enumerate(job.items)
        for part in _parts(item.geometry)
    ]
    image = next((item.image for item in job.items if item.image), "")
    top: dict[str, Any] = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": None}
    _dump({**top, "imageHeight": rows, "imageWidth": cols}, path)


def _yolo(job: _Job, path: Path) -> None:
    """YOLO-seg has no holes: outer rings in parts of the image's size; class names lie in STEM.classes.txt."""
    rows, cols = _grid_of(job).shape
    lines = []
    for item in job.items:
        for part in _parts(item.geometry):
            points = np.clip(shapely.get_coordinates(part.exterior)[:-1] / (cols, rows), 0, 1).ravel()
            lines.append(" ".join([str(job.names.index(item.class_name)), *(f"{value:.6f}" for value in points)]))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    classes = "".join(f"{name or 'object'}\n" for name in job.names)
    path.with_name(f"{path.stem}.classes.txt").write_text(classes, encoding="utf-8")


def _mask(job: _Job, path: Path) -> None:
    """Class numbers from 1 in alphabetical order (named in the file's tags), 0 = nothing; later objects lie on top."""
    numbers = [job.names.index(item.class_name) + 1 for item in job.items]
    _write_mask(job, path, numbers, {f"CLASS_{i}": name for i, name in enumerate(job.names, start=1)})


def _instances(job: _Job, path: Path) -> None:
    """Object numbers from 1 in the order given, 0 = nothing; later objects lie on top."""
    _write_mask(job, path, list(range(1, len(job.items) + 1)), {})


def _write_mask(job: _Job, path: Path, numbers: list[int], tags: dict[str, str]) -> None:
    import rasterio
    import rasterio.features

    grid = _grid_of(job)
    if len(numbers) > 65535:
        raise BadConfig(f"{len(numbers)} objects do not fit the 65535 numbers of a mask: write fewer at a time.")
    kind = "uint8" if max(numbers, default=0) < 256 else "uint16"
    drawn = np.zeros(grid.shape, dtype=kind)
    if numbers:
        pairs = zip((item.geometry for item in job.items), numbers, strict=True)
        drawn = rasterio.features.rasterize(pairs, grid.shape, dtype=kind)
    place = {"transform": grid.transform, "crs": None if grid.crs is None else grid.crs.to_wkt(), "nodata": 0}
    size = {"height": grid.shape[0], "width": grid.shape[1], "count": 1, "dtype": kind}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", compress="deflate", **size, **place) as file:
            file.write(drawn, 1)
            file.update_tags(**tags)


FORMATS: dict[str, tuple[str, bool, Callable[[_Job, Path], None]]] = {
    "geojson": (".geojson", False, _geojson),
    "gpkg": (".gpkg", False, _gpkg),
    "csv": (".csv", False, _csv),
    "shapefile": (".shp", False, _shapefile),
    "geoparquet": (".parquet", False, _geoparquet),
    "coco": (".coco.json", True, _coco),
    "labelme": (".json", True, _labelme),
    "yolo": (".txt", True, _yolo),
    "mask": (".tif", True, _mask),
    "instances": (".instances.tif", True, _instances),
}
"""Format name → (usual ending, whether in pixels, writer)."""


# --- reading --------------------------------------------------------------------------------------------------------


def import_polygons(path: str | Path, crs: CRS | None = None) -> list[MapObject]:
    """Polygons of a GeoJSON file, or with the `formats` extra a GeoPackage or Shapefile, in `crs` (None: as they are).

    Fields named class and label are kept. Raises BadData for what is missing, damaged, too large or holds no polygon.
    """
    path = Path(path)
    if not path.is_file():
        raise BadData(f"{path} does not exist: check the path of the polygon file.")
    if path.stat().st_size > MAX_BYTES:
        raise BadData(f"{path} is larger than {MAX_BYTES >> 20} MiB: split it, or import a part of it.")
    json_like = path.suffix.lower() in (".geojson", ".json")
    source, pairs = _read_geojson(path) if json_like else _read_with_pyogrio(path)
    items = []
    vertices = 0
    for geometry, fields in pairs:
        if geometry is None or not isinstance(geometry, Polygon | MultiPolygon) or geometry.is_empty:
            continue
        vertices += shapely.get_num_coordinates(geometry)
        if vertices > MAX_VERTICES:
            raise BadData(f"{path} holds more than {MAX_VERTICES} vertices: split it, or import a part of it.")
        moved = shapely.force_2d(geometry)
        if crs is not None:
            moved = reproject(moved, source, crs)
        texts = {key: str(fields.get(key) or "") for key in ("class", "label")}
        items.append(MapObject(geometry=moved, class_name=texts["class"], label=texts["label"], model="import"))
    if not items:
        raise BadData(f"{path} holds no polygon: expected Polygon or MultiPolygon features.")
    return items


def _read_geojson(path: Path) -> tuple[CRS | None, list[tuple[Any, dict[str, Any]]]]:
    try:
        top = json.loads(path.read_text(encoding="utf-8-sig"))
        name = ((top.get("crs") or {}).get("properties") or {}).get("name")
        source = crs_of_text(name) if name else WGS84
        features = top["features"] if top.get("type") == "FeatureCollection" else [top]
        pairs = []
        for feature in features:
            shape = feature.get("geometry") if feature.get("type") == "Feature" else feature
            fields = feature.get("properties") or {}
            if shape and shape.get("type") in ("Polygon", "MultiPolygon"):
                pairs.append((_shape(shape), fields if isinstance(fields, dict) else {}))
        return source, pairs
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, CRSError, OSError) as error:
        raise BadData(f"{path} is not GeoJSON that can be read ({type(error).__name__}): check the file.") from None
    except shapely.errors.GEOSException:
        raise BadData(f"{path} holds a ring that is not a closed line of at least four points: repair it.") from None


def _shape(shape: dict[str, Any]) -> BaseGeometry:
    polygons = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
    rings = [[np.asarray(ring, dtype=np.float64)[:, :2] for ring in polygon] for polygon in polygons]
    if not all(np.isfinite(ring).all() for polygon in rings for ring in polygon):
        raise ValueError("a coordinate is not finite")
    return MultiPolygon([Polygon(polygon[0], polygon[1:]) for polygon in rings if polygon])


def _read_with_pyogrio(path: Path) -> tuple[CRS | None, list[tuple[Any, dict[str, Any]]]]:
    if path.suffix.lower() not in (".gpkg", ".shp"):
        raise UnknownName(f"no reader for the ending of {path.name}. Known: .geojson, .json, .gpkg, .shp.")
    pyogrio = _pyogrio()
    try:
        meta, _, blobs, columns = pyogrio.raw.read(path, layer=0, datetime_as_string=True)
        geometry = shapely.from_wkb(blobs)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, shapely.errors.GEOSException) as error:
        raise BadData(f"{path} cannot be read ({error}): check the file.") from None
    names = list(meta["fields"])
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)] or [{}] * len(geometry)
    source = None if meta["crs"] is None else crs_of_text(meta["crs"])
    return source, list(zip(geometry, rows, strict=True))
