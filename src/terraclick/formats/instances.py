"""Object numbers on the grid of the image."""

from __future__ import annotations

from pathlib import Path

from terraclick.formats.common.collection import UNNAMED, Collection
from terraclick.formats.common.declaration import Format
from terraclick.formats.common.numbers import write_numbers
from terraclick.geo.colours import palette_colour, rgb_of

__all__ = ["FORMAT"]


def _write(job: Collection, path: Path) -> None:
    """Object numbers from 1 in the order given, 0 = nothing; later objects lie on top. uuids in tags and legend."""
    (sheet,) = job.sheets()
    numbers = list(range(1, len(sheet.items) + 1))
    legend = [
        (number, item.class_name or UNNAMED, rgb_of(palette_colour(number)), item.uuid)
        for number, item in zip(numbers, sheet.items, strict=True)
    ]
    tags = {f"OBJECT_{number}": uuid for number, _, _, uuid in legend}
    tags |= {f"CLASS_OF_{number}": name for number, name, _, _ in legend}
    write_numbers(sheet, path, numbers, "object", tags, legend, "NEAREST")


FORMAT = Format(
    name="instances",
    label="Instance mask",
    note="GeoTIFF, a number an object",
    endings=(".instances.tif", ".instances.tiff"),
    pixels=True,
    many=False,
    write=_write,
)
