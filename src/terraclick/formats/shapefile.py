"""Shapefile: names of ten letters, texts of 254 bytes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from terraclick.formats.common.collection import Collection, own_columns
from terraclick.formats.common.declaration import Format, expect
from terraclick.formats.common.ogr import read_with_ogr, require_pyogrio
from terraclick.formats.common.texts import (
    spread_columns,
)
from terraclick.store.fields import COLUMNS, Column, record

__all__ = ["FORMAT"]


def _write(job: Collection, path: Path) -> None:
    """Field names have at most 10 letters there: perimeter_m becomes perim_m; long texts go on in further fields."""
    pyogrio = require_pyogrio()
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
    expect(len(back), job)
    for name, wanted, found in zip(names, columns, fields, strict=True):
        if wanted.dtype == object and [(v or "").rstrip() for v in wanted] != [(v or "").rstrip() for v in found]:
            raise OSError(None, f"the field {name} of the written file differs from what was written")


def _column(records: list[dict[str, Any]], column: Column) -> NDArray[Any]:
    values = [values[column.name] for values in records]
    if column.kind == "count":
        return np.array(values, dtype=np.int64)
    if column.kind == "number":
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return np.array(values, dtype=object)


FORMAT = Format(
    name="shapefile",
    label="Shapefile",
    note="for old programs; 10-letter names",
    endings=(".shp",),
    needs="pyogrio",
    write=_write,
    read=read_with_ogr,
)
