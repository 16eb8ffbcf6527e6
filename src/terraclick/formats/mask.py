"""Class numbers on the grid of the image."""

from __future__ import annotations

from pathlib import Path

from terraclick.formats.common.collection import Collection
from terraclick.formats.common.declaration import Format
from terraclick.formats.common.numbers import write_numbers
from terraclick.geo.colours import rgb_of

__all__ = ["FORMAT"]


def _write(job: Collection, path: Path) -> None:
    """Class numbers (named in tags and legend), 0 = nothing; later objects lie on top."""
    (sheet,) = job.sheets()
    names = {kind.number: kind.name for kind in job.classes}
    colours = {kind.number: rgb_of(kind.colour, kind.number) for kind in job.classes}
    legend = [(number, name, colours[number], "") for number, name in sorted(names.items())]
    tags = {f"CLASS_{number}": name for number, name in names.items()}
    numbers = [job.number(item.class_name) for item in sheet.items]
    write_numbers(sheet, path, numbers, "class", tags, legend, "MODE")


FORMAT = Format(
    name="mask",
    label="Class mask",
    note="GeoTIFF on the image's grid",
    endings=(".tif", ".tiff"),
    pixels=True,
    many=False,
    write=_write,
)
