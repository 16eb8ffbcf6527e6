"""CSV: one row an object, its outline as well-known text."""

from __future__ import annotations

import csv
from pathlib import Path

import shapely
from pyproj import CRS

from terraclick.errors import BadData
from terraclick.formats.common.collection import Collection, own_columns, uniform
from terraclick.formats.common.declaration import Format, Pair, Read, Shapes, expect
from terraclick.formats.common.pixels import MAX_BYTES
from terraclick.formats.common.texts import (
    harmless,
    restored,
)
from terraclick.geo.crs_text import crs_of_text
from terraclick.geo.kinds import KINDS
from terraclick.store.fields import FIELDS, record

__all__ = ["FORMAT"]


def _write(job: Collection, path: Path) -> None:
    """One row per object with its outline as WKT and the CRS of it; text that a spreadsheet would run gets a quote."""
    shapes = uniform(job.items)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        own = own_columns(job.items)
        rows.writerow([*FIELDS, *map(harmless, own), "crs", "wkt"])
        for place, (item, shape) in enumerate(zip(job.items, shapes, strict=True)):
            values = record(item)
            more = [harmless("" if column[place] is None else column[place]) for column in own.values()]
            rows.writerow([*(harmless(values[name]) for name in FIELDS), *more, _crs_text(job.crs), shape.wkt])
    with path.open(encoding="utf-8", newline="") as file:
        expect(sum(1 for _ in csv.reader(file)) - 1, job)


def _crs_text(crs: CRS | None) -> str:
    """EPSG:n where there is a number, else WKT; "" for pixels."""
    if crs is None:
        return ""
    authority = crs.to_authority(min_confidence=100)
    return ":".join(authority) if authority else str(crs.to_wkt())


def _read(path: Path, shapes: Shapes) -> Read:
    """A table with an outline as WKT in the column wkt and its CRS in the column crs."""
    csv.field_size_limit(MAX_BYTES)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and "wkt" not in rows[0]:
        raise BadData(f"{path} has no column wkt: expected outlines as text in it.")
    systems = {row.get("crs") or "" for row in rows}
    if len(systems) > 1:
        raise BadData(f"{path} names several coordinate systems in its column crs: split it.")
    name = systems.pop() if systems else ""
    crs = crs_of_text(name) if name else None
    pairs: list[Pair] = [
        (
            shapely.from_wkt(row["wkt"]),
            {key: restored(value or "") for key, value in row.items() if key not in ("wkt", "crs", None)},
        )
        for row in rows
    ]
    return Read(pairs, crs, crs is None)


FORMAT = Format(
    name="csv",
    label="CSV",
    note="one row an object, geometry as text",
    endings=(".csv",),
    carries=KINDS,
    write=_write,
    read=_read,
)
