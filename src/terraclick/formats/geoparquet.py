"""GeoParquet 1.1, geometry as WKB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import shapely
from pyproj import CRS

from terraclick.errors import BadData, require_extra
from terraclick.formats.common.collection import Collection, own_columns, uniform
from terraclick.formats.common.declaration import Format, Read, Shapes, expect
from terraclick.geo.crs_text import crs_of_text, crs_of_wkt
from terraclick.geo.kinds import KINDS
from terraclick.geo.lonlat import WGS84
from terraclick.store.fields import COLUMNS, record

__all__ = ["FORMAT", "crs_of_projjson"]


def _write(job: Collection, path: Path) -> None:
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
    shapes = uniform(job.items)
    columns["geometry"] = pyarrow.array([shapely.to_wkb(shape) for shape in shapes], pyarrow.binary())
    kinds = sorted({shape.geom_type for shape in shapes}) or ["Polygon"]
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": kinds}
    column["crs"] = None if job.crs is None else job.crs.to_json_dict()
    if shapes:
        column["bbox"] = list(shapely.total_bounds(shapes))
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    table = pyarrow.table(columns).replace_schema_metadata({"geo": json.dumps(geo)})
    pyarrow.parquet.write_table(table, path)
    expect(pyarrow.parquet.read_table(path).num_rows, job)


def _read(path: Path, shapes: Shapes) -> Read:
    with require_extra("formats"):
        import pyarrow
        import pyarrow.parquet
    try:
        table = pyarrow.parquet.read_table(path)
    except pyarrow.ArrowException as error:
        raise BadData(f"{path} cannot be read ({str(error)[:100]}): check the file.") from None
    geo = json.loads((table.schema.metadata or {}).get(b"geo", b"{}"))
    name = geo.get("primary_column")
    column = geo.get("columns", {}).get(name)
    if column is None or column.get("encoding") != "WKB":
        raise BadData(f"{path} is no GeoParquet with geometry as WKB: write it again with that encoding.")
    crs: CRS | None = WGS84
    if "crs" in column:
        crs = None if column["crs"] is None else crs_of_projjson(column["crs"])
    rows = table.drop_columns([name]).to_pylist()
    geometry = shapely.from_wkb(table[name].to_numpy(zero_copy_only=False))
    return Read(list(zip(geometry, rows, strict=True)), crs, crs is None)


def crs_of_projjson(value: Any) -> CRS:
    """The coordinate system of a PROJJSON object, held to the same rules as a WKT. Raises BadData."""
    if not isinstance(value, dict):
        raise BadData("the coordinate system of the file is no PROJJSON object.")
    named = value.get("id")
    if isinstance(named, dict) and named.get("authority") in ("EPSG", "OGC", "ESRI"):
        return crs_of_text(f"{named['authority']}:{named.get('code')}")
    return crs_of_wkt(CRS.from_json_dict(value).to_wkt())


FORMAT = Format(
    name="geoparquet",
    label="GeoParquet",
    note="for data analysis",
    endings=(".parquet", ".geoparquet"),
    needs="pyarrow",
    carries=KINDS,
    write=_write,
    read=_read,
)
