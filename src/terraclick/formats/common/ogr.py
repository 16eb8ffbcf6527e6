"""Files that pyogrio reads: every layer that can hold polygons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import shapely
from pyproj import CRS

from terraclick.errors import BadData, require_extra
from terraclick.formats.common.declaration import Pair, Read, Shapes
from terraclick.formats.common.texts import (
    join_columns,
)
from terraclick.geo.crs_text import crs_of_text
from terraclick.geo.reproject import reproject
from terraclick.store.fields import COLUMNS, FIELDS

__all__ = ["read_with_ogr", "require_pyogrio"]


def require_pyogrio() -> ModuleType:
    """The library. Raises MissingExtra."""
    with require_extra("formats"):
        import pyogrio
    module: ModuleType = pyogrio
    return module


_SHORT = {column.short: column.name for column in COLUMNS if column.short != column.name}


def read_with_ogr(path: Path, shapes: Shapes) -> Read:
    """Every layer that can hold polygons, in the CRS of the first."""
    with require_extra("formats"):
        import pyogrio
    try:
        layers = pyogrio.list_layers(path)
        names = {str(name) for name, _ in layers.tolist()}
        wanted = [
            str(name)
            for name, kind in layers.tolist()
            if kind is not None and not (name == "clicks" and "objects" in names)
        ]
        found = [pyogrio.raw.read(path, layer=name, datetime_as_string=True) for name in wanted]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise BadData(f"{path} cannot be read ({error}): check the file.") from None
    systems = [None if meta["crs"] is None else crs_of_text(meta["crs"]) for meta, *_ in found]
    destination = systems[0] if systems else None
    return Read(list(_rows_of(found, systems, destination)), destination, destination is None)


def _rows_of(found: Sequence[Any], systems: Sequence[CRS | None], destination: CRS | None) -> Iterator[Pair]:
    for (meta, _, blobs, columns), source in zip(found, systems, strict=True):
        names = list(meta["fields"])
        shapes = shapely.from_wkb(blobs)
        rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)] or [{}] * len(shapes)
        for shape, row in zip(shapes, rows, strict=True):
            fields = {name: value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
            for short, name in _SHORT.items():
                if short in fields:
                    fields[name] = fields.pop(short)
            fields.pop("fid", None)
            same = source is destination or (
                source is not None and destination is not None and source.equals(destination)
            )
            moved = shape if same or shape is None else reproject(shape, source, destination)
            yield moved, join_columns(fields, [name for name in fields if name in FIELDS])
