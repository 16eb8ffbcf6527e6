"""Objects written for other programs: one table of formats, one way in.

A file appears whole or not at all (see `files.py`) and is read again before it takes its place. GeoJSON, GeoPackage,
CSV, masks and the pixel formats need nothing extra; Shapefile and GeoParquet need the `formats` extra. Pixel formats
(COCO, labelme, YOLO, masks) need the image's Grid and count from the corner of the top-left pixel.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import shapely
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadConfig, NotGeoreferenced
from terraclick.exchange.registry import FORMATS, format_of
from terraclick.files import check_output, replace_whole
from terraclick.formats.common.collection import Collection, Picture, numbered
from terraclick.formats.common.declaration import Format
from terraclick.geo.grid import Grid
from terraclick.geo.kinds import KINDS, kind_of
from terraclick.geo.legend import raster_errors
from terraclick.geo.lonlat import WGS84
from terraclick.geo.reproject import reproject, to_lonlat
from terraclick.store.fields import MapObject
from terraclick.store.values import MapClass, StoredImage, new_uuid, utc_now

__all__ = [
    "carried",
    "check_destination",
    "export",
    "left_out_note",
    "write_collection",
]


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
    check_destination(path, name, overwrite)
    collection, lacking = carried(collection, kind)
    if lacking and not collection.items:
        raise BadConfig(f"{name} holds {_names(kind)} alone, and there is none: choose {_carriers()}.")
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
        destination = source
    else:
        if source is None and crs is not None:
            raise NotGeoreferenced("the objects are in image pixels: georeference the image, or leave the CRS out.")
        destination = crs or (WGS84 if kind.lonlat and source is not None else source)
    items = [_identified(item) for item in collection.items]
    moved = [replace(item, geometry=_carried(item.geometry, source, destination, name)) for item in items]
    written = replace(collection, items=tuple(moved), crs=destination)
    with replace_whole(
        path, overwrite, also=kind.beside, errors=_foreign_errors(), may_be_empty=kind.may_be_empty
    ) as part:
        kind.write(written, part)
    return path


def carried(collection: Collection, kind: Format) -> tuple[Collection, int]:
    """The objects whose shapes a format can hold, and how many others there are."""
    held = tuple(item for item in collection.items if kind_of(item.geometry) in kind.carries)
    return replace(collection, items=held), len(collection.items) - len(held)


def left_out_note(name: str, number: int) -> str:
    """What to say of objects that a format cannot hold."""
    said = "1 object is" if number == 1 else f"{number} objects are"
    return f"{name} holds {_names(FORMATS[name])} alone: {said} left out"


def _names(kind: Format) -> str:
    return " and ".join({"polygon": "areas", "line": "lines", "point": "points"}[shape] for shape in kind.carries)


def _carriers() -> str:
    return " or ".join(name for name, kind in FORMATS.items() if set(kind.carries) == set(KINDS))


def _carried(geometry: BaseGeometry, source: CRS | None, destination: CRS | None, name: str) -> BaseGeometry:
    """A geometry in the file's CRS; GeoJSON's longitudes lie within -180 … 180 whatever the image's are."""
    if FORMATS[name].lonlat and source is not None and destination == WGS84:
        return to_lonlat(geometry, source)
    return reproject(geometry, source, destination)


def check_destination(path: str | Path, name: str, overwrite: bool) -> None:
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
