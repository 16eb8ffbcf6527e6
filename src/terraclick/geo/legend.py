"""The names that belong to the numbers of a raster, as GDAL and QGIS read them: a small XML file beside it."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

__all__ = ["Row", "legend_xml", "raster_errors"]

Row = tuple[int, str, tuple[int, int, int], str]
"""A number, its name, its colour (RGB) and the uuid of the object it stands for ("" for a class)."""

# (name, GDAL's type: 0 integer, 2 text; GDAL's usage: 5 value, 2 name, 0 any, 6 to 8 red, green, blue)
_COLUMNS = [("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8)]
_UUID = ("uuid", 2, 0)


def raster_errors() -> tuple[type[Exception], ...]:
    """All that rasterio raises when a file is written; some of it belongs to no public family of errors."""
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    return RasterioError, CPLE_BaseError


def legend_xml(description: str, rows: Sequence[Row]) -> str:
    """The text of PATH.aux.xml: names of the numbers, and a table with their colours and, of objects, their uuids."""
    objects = any(uuid for _, _, _, uuid in rows)
    columns = [*_COLUMNS, _UUID] if objects else _COLUMNS
    names = {number: name for number, name, _, _ in rows}
    listed = [_plain(names.get(number, "")) for number in range(1, max(names, default=0) + 1)]
    lines = ["<PAMDataset>", '<PAMRasterBand band="1">', f"<Description>{_plain(description)}</Description>"]
    lines += ["<CategoryNames>", "<Category>nothing</Category>"]
    lines += [f"<Category>{name}</Category>" for name in listed]
    lines += ["</CategoryNames>", '<GDALRasterAttributeTable tableType="thematic">']
    for place, (name, kind, usage) in enumerate(columns):
        parts = f"<Name>{name}</Name><Type>{kind}</Type><Usage>{usage}</Usage>"
        lines.append(f'<FieldDefn index="{place}">{parts}</FieldDefn>')
    for place, (number, name, rgb, uuid) in enumerate(rows):
        cells = [str(number), _plain(name), *map(str, rgb), *([_plain(uuid)] if objects else [])]
        lines.append(f'<Row index="{place}">' + "".join(f"<F>{cell}</F>" for cell in cells) + "</Row>")
    lines += ["</GDALRasterAttributeTable>", "</PAMRasterBand>", "</PAMDataset>", ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text for XML: control characters, which it cannot hold, become spaces."""
    return escape("".join(letter if ord(letter) >= 32 else " " for letter in text))
