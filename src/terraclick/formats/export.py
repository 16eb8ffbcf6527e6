"""Objects written for other programs: one table of formats, one way in.

A file appears whole or not at all (see `files.py`) and is read again before it takes its place. GeoJSON, GeoPackage,
CSV, masks and the pixel formats need nothing extra; Shapefile and GeoParquet need the `formats` extra. Pixel formats
(COCO, labelme, YOLO, masks) need the image's Grid and count from the corner of the top-left pixel.
"""

from __future__ import annotations

import csv
import json
import sqlite3
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadConfig, NotGeoreferenced, UnknownName, require_extra
from terraclick.files import check_output, replace_whole
from terraclick.formats.collection import UNNAMED, Collection, Picture, numbered, own_columns
from terraclick.formats.export_pixels import (
    write_coco,
    write_instances,
    write_labelme,
    write_mask,
    write_yolo,
)
from terraclick.formats.texts import dump_json, harmless, read_json, spread_columns
from terraclick.geo.grid import Grid
from terraclick.geo.keyholes import polygons_in
from terraclick.geo.legend import raster_errors
from terraclick.geo.lonlat import WGS84
from terraclick.geo.reproject import reproject, to_lonlat
from terraclick.store.fields import COLUMNS, FIELDS, Column, MapObject, record
from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.values import MapClass, StoredImage, new_uuid, utc_now

__all__ = [
    "FORMATS",
    "Format",
    "check_target",
    "export",
    "format_of",
    "write_collection",
]


class Format(NamedTuple):
    """A format: its usual ending, whether it is in pixels, its writer, other endings, files beside it, its pictures.

    The writer gets the collection and the path, and reads again what it wrote. `beside` are endings after the file's
    stem of what is written with it; `many` says that one file can hold several pictures.
    """

    ending: str
    pixels: bool
    write: Callable[[Collection, Path], None]
    others: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    many: bool = True


def export(
    features: Sequence[MapObject],
    path: str | Path,
    format: str | None = None,
    crs: CRS | None = None,
    *,
    source: CRS | None = None,
    grid: Grid | None = None,
    overwrite: bool = False,
    classes: Sequence[MapClass] = (),
) -> Path:
    """Write objects whose geometry is in `source` (a store's `crs`; None: image pixels) and return the path.

    `format` is a name in FORMATS, by default told by the ending. `crs` is that of the file: by default WGS 84 for
    GeoJSON and `source` for the rest; GeoJSON in another one carries a `crs` member. `grid` is the image's, for pixel
    formats. `classes` is the session's list, which says the numbers; classes it does not hold follow by alphabet.
    Raises UnknownName, BadOutput (exists, cannot be written), BadConfig (no grid), MissingExtra, NotGeoreferenced.
    """
    name = next((item.image for item in features if item.image), "")
    pictures = () if grid is None else (Picture(name, name or "image", grid),)
    listed = numbered({item.class_name for item in features}, classes)
    images = tuple(StoredImage(key, "", source) for key in dict.fromkeys(i.image for i in features if i.image))
    return write_collection(Collection(tuple(features), source, listed, pictures, images), path, format, crs, overwrite)


def write_collection(
    collection: Collection,
    path: str | Path,
    format: str | None = None,
    crs: CRS | None = None,
    overwrite: bool = False,
) -> Path:
    """`export` of a collection: with its classes, its pictures, and in a GeoPackage its clicks, views and examples."""
    path = Path(path)
    name = format_of(path.name, format)
    kind = FORMATS[name]
    check_target(path, name, overwrite)
    source = collection.crs
    if kind.pixels:
        if not collection.pictures:
            raise BadConfig(f"{name} is written in pixels: give the image whose pixels are meant (grid=...).")
        if len(collection.pictures) > 1 and not kind.many:
            raise BadConfig(f"a {name} file is of one image: choose one, or write a folder with export-session.")
        lost = collection.image_keys - {picture.key for picture in collection.pictures}
        if len(collection.pictures) > 1 and lost:
            raise BadConfig(
                f"objects on {min(lost) or 'no image'} have no picture among those given: give one for each."
            )
        target = source
    else:
        if source is None and crs is not None:
            raise NotGeoreferenced("the objects are in image pixels: georeference the image, or leave the CRS out.")
        target = crs or (WGS84 if name == "geojson" and source is not None else source)
    items = [_identified(item) for item in collection.items]
    moved = [replace(item, geometry=_carried(item.geometry, source, target, name)) for item in items]
    written = replace(collection, items=tuple(moved), crs=target)
    with replace_whole(
        path, overwrite, also=kind.beside, errors=_foreign_errors(), may_be_empty=name == "yolo"
    ) as part:
        kind.write(written, part)
    return path


def _carried(geometry: BaseGeometry, source: CRS | None, target: CRS | None, name: str) -> BaseGeometry:
    """A geometry in the file's CRS; GeoJSON's longitudes lie within -180 … 180 whatever the image's are."""
    if name == "geojson" and source is not None and target == WGS84:
        return to_lonlat(geometry, source)
    return reproject(geometry, source, target)


def format_of(file_name: str, name: str | None = None) -> str:
    """The format of a file: as given, else the one with the longest ending that fits. Raises UnknownName."""
    if name is None:
        endings = {end: known for known, kind in FORMATS.items() for end in (kind.ending, *kind.others)}
        fitting = [end for end in endings if file_name.lower().endswith(end)]
        if not fitting:
            raise UnknownName(f"no format for the ending of {file_name}. Known: {', '.join(FORMATS)}.")
        return endings[max(fitting, key=len)]
    if name not in FORMATS:
        raise UnknownName(f"no format {name!r}. Known: {', '.join(FORMATS)}.")
    return name


def check_target(path: str | Path, name: str, overwrite: bool) -> None:
    """Raises BadOutput if a file of this format cannot be made there, or would replace something unasked."""
    check_output(path, overwrite, FORMATS[name].beside)


def _identified(item: MapObject) -> MapObject:
    """An object as it is known elsewhere: with a uuid and a time."""
    now = utc_now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    created = item.created or now
    return replace(item, uuid=item.uuid or new_uuid(), created=created, updated=item.updated or created)


def _foreign_errors() -> tuple[type[Exception], ...]:
    """What the writing libraries raise; those that are not installed raise nothing."""
    found: list[type[Exception]] = [sqlite3.Error, *raster_errors(), shapely.errors.GEOSException]
    try:
        from pyogrio.errors import DataLayerError, DataSourceError, FieldError

        found += [DataLayerError, DataSourceError, FieldError]
    except ImportError:
        pass
    try:
        from pyarrow import ArrowException

        found.append(ArrowException)
    except ImportError:
        pass
    return tuple(found)


def _uniform(items: Sequence[MapObject]) -> list[BaseGeometry]:
    """Geometries of one kind: polygons if each has one part, else multipolygons."""
    parts = [polygons_in(item.geometry) for item in items]
    if all(len(polygons) == 1 for polygons in parts):
        return [polygons[0] for polygons in parts]
    return [MultiPolygon(polygons) for polygons in parts]


# --- map formats ----------------------------------------------------------------------------------------------------


def _geojson(job: Collection, path: Path) -> None:
    """RFC 7946: WGS 84, outer rings anticlockwise; 9 decimals of a degree (0.1 mm). One kind of geometry in a file."""
    decimals = 9 if job.crs is not None and job.crs.is_geographic else 4
    features = []
    own = own_columns(job.items)
    for place, (item, shape) in enumerate(zip(job.items, _uniform(job.items), strict=True)):
        parts = [shapely.orient_polygons(part) for part in polygons_in(shape)]
        rings = [[_ring(r, decimals) for r in (part.exterior, *part.interiors)] for part in parts]
        single = shape.geom_type == "Polygon"
        geometry = {"type": shape.geom_type, "coordinates": rings[0] if single else rings}
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
    _expect(len(read_json(path)["features"]), job)


def _ring(ring: Any, decimals: int) -> list[list[float]]:
    return [[round(x, decimals), round(y, decimals)] for x, y in shapely.get_coordinates(ring).tolist()]


def _expect(found: int, job: Collection) -> None:
    if found != len(job.items):
        raise OSError(None, f"{found} of {len(job.items)} objects can be read from the written file")


def _gpkg(job: Collection, path: Path) -> None:
    """A session like the one the objects come from: classes with numbers and colours, clicks, views, examples."""
    named = {item.class_name for item in job.items}
    with GeoPackageStore.create(path, job.crs) as store, store.transaction():
        for image in job.images:
            store.add_image(image if (image.crs is None) == (job.crs is None) else replace(image, crs=job.crs))
        for name in sorted(job.image_keys - {image.path for image in job.images} - {""}):
            store.add_image(StoredImage(name, "", job.crs))
        for kind in job.classes:
            if kind.name != UNNAMED or UNNAMED in named or "" not in named:
                store.set_class(kind)
        if job.unnamed:
            store.keep_unnamed_number(job.unnamed)
        rows = [(replace(item, rev=max(item.rev - 1, 0)), *job.kept.get(item.uuid, ((), None))) for item in job.items]
        store.add_many(rows, job.crs)
        for reference in job.references:
            store.add_reference(reference)
        store.add_columns({item.uuid: item for item in job.items}, own_columns(job.items))
    with GeoPackageStore.open(path) as store:
        _expect(len(store.objects()), job)


def _csv(job: Collection, path: Path) -> None:
    """One row per object with its outline as WKT and the CRS of it; text that a spreadsheet would run gets a quote."""
    shapes = _uniform(job.items)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        own = own_columns(job.items)
        rows.writerow([*FIELDS, *map(harmless, own), "crs", "wkt"])
        for place, (item, shape) in enumerate(zip(job.items, shapes, strict=True)):
            values = record(item)
            more = [harmless("" if column[place] is None else column[place]) for column in own.values()]
            rows.writerow([*(harmless(values[name]) for name in FIELDS), *more, _crs_text(job.crs), shape.wkt])
    with path.open(encoding="utf-8", newline="") as file:
        _expect(sum(1 for _ in csv.reader(file)) - 1, job)


def _crs_text(crs: CRS | None) -> str:
    """EPSG:n where there is a number, else WKT; "" for pixels."""
    if crs is None:
        return ""
    authority = crs.to_authority(min_confidence=100)
    return ":".join(authority) if authority else str(crs.to_wkt())


def _pyogrio() -> ModuleType:
    with require_extra("formats"):
        import pyogrio
    module: ModuleType = pyogrio
    return module


def _column(records: list[dict[str, Any]], column: Column) -> NDArray[Any]:
    values = [values[column.name] for values in records]
    if column.kind == "count":
        return np.array(values, dtype=np.int64)
    if column.kind == "number":
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return np.array(values, dtype=object)


def _shapefile(job: Collection, path: Path) -> None:
    """Field names have at most 10 letters there: perimeter_m becomes perim_m; long texts go on in further fields."""
    pyogrio = _pyogrio()
    geometry = np.array([shapely.to_wkb(item.geometry) for item in job.items], dtype=object)
    records = [record(item) for item in job.items]
    names, columns = [], []
    for told in COLUMNS:
        for part_name, part in spread_columns(told.short, _column(records, told)):
            names.append(part_name)
            columns.append(part)
    for name, values in own_columns(job.items).items():
        short = name[:10]
        if short.lower() in {known.lower() for known in names} or len(name.encode()) != len(name):
            continue
        kinds = {type(value) for value in values if value is not None}
        if kinds == {float}:
            columns.append(np.array([np.nan if value is None else value for value in values], dtype=np.float64))
        elif kinds == {int} and None not in values and max(map(abs, values)) < 2**53:
            columns.append(np.array(values, dtype=np.int64))
        else:
            texts = ["" if value is None else str(value) for value in values]
            if any(len(text.encode()) > 254 for text in texts):
                continue
            columns.append(np.array(texts, dtype=object))
        names.append(short)
    options = {"driver": "ESRI Shapefile", "geometry_type": "Polygon", "encoding": "UTF-8"}
    crs = None if job.crs is None else job.crs.to_wkt()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pixel outlines have no CRS, and that is meant
        pyogrio.raw.write(path, geometry, columns, names, crs=crs, **options)
    _, _, back, fields = pyogrio.raw.read(path)
    _expect(len(back), job)
    for name, wanted, found in zip(names, columns, fields, strict=True):
        if wanted.dtype == object and [(v or "").rstrip() for v in wanted] != [(v or "").rstrip() for v in found]:
            raise OSError(None, f"the field {name} of the written file differs from what was written")


def _geoparquet(job: Collection, path: Path) -> None:
    """GeoParquet 1.1, geometry as WKB."""
    with require_extra("formats"):
        import pyarrow
        import pyarrow.parquet
    types = {"count": pyarrow.int64(), "number": pyarrow.float64()}
    records = [record(item) for item in job.items]
    columns = {
        column.name: pyarrow.array(
            [values[column.name] for values in records], types.get(column.kind, pyarrow.string())
        )
        for column in COLUMNS
    }
    for name, values in own_columns(job.items).items():
        columns[name] = pyarrow.array(values)
    shapes = _uniform(job.items)
    columns["geometry"] = pyarrow.array([shapely.to_wkb(shape) for shape in shapes], pyarrow.binary())
    kinds = sorted({shape.geom_type for shape in shapes}) or ["Polygon"]
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": kinds}
    column["crs"] = None if job.crs is None else job.crs.to_json_dict()
    if shapes:
        column["bbox"] = list(shapely.total_bounds(shapes))
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    table = pyarrow.table(columns).replace_schema_metadata({"geo": json.dumps(geo)})
    pyarrow.parquet.write_table(table, path)
    _expect(pyarrow.parquet.read_table(path).num_rows, job)


FORMATS: dict[str, Format] = {
    "geojson": Format(".geojson", False, _geojson),
    "gpkg": Format(".gpkg", False, _gpkg),
    "csv": Format(".csv", False, _csv),
    "shapefile": Format(".shp", False, _shapefile),
    "geoparquet": Format(".parquet", False, _geoparquet, (".geoparquet",)),
    "coco": Format(".coco.json", True, write_coco),
    "labelme": Format(".json", True, write_labelme, many=False),
    "yolo": Format(".txt", True, write_yolo, beside=(".classes.txt", ".objects.csv"), many=False),
    "mask": Format(".tif", True, write_mask, (".tiff",), many=False),
    "instances": Format(".instances.tif", True, write_instances, (".instances.tiff",), many=False),
}
"""What can be written, by name."""
