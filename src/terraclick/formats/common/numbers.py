"""Pictures of numbers: cloud-optimised GeoTIFFs with colours and names."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from terraclick.errors import BadConfig
from terraclick.formats.common.collection import Sheet
from terraclick.geo.legend import Row, legend_xml

__all__ = ["write_numbers"]


def write_numbers(
    sheet: Sheet,
    path: Path,
    numbers: list[int],
    what: str,
    tags: Mapping[str, str],
    legend: Sequence[Row],
    overviews: str,
) -> None:
    """A cloud-optimised GeoTIFF of numbers with colours and names; read again before it counts as written."""
    import rasterio
    import rasterio.features
    import rasterio.shutil

    grid = sheet.picture.grid
    most = max([*numbers, *(row[0] for row in legend), 0])
    if most > 65535:
        raise BadConfig(f"{most} numbers do not fit the 65535 of a mask: write fewer objects at a time.")
    kind = "uint8" if most < 256 else "uint16"
    drawn = np.zeros(grid.shape, dtype=kind)
    if numbers:
        pairs = zip((item.geometry for item in sheet.items), numbers, strict=True)
        drawn = rasterio.features.rasterize(pairs, grid.shape, dtype=kind)
    place = {"transform": grid.transform, "crs": None if grid.crs is None else grid.crs.to_wkt(), "nodata": 0}
    size = {"height": grid.shape[0], "width": grid.shape[1], "count": 1, "dtype": kind, "photometric": "palette"}
    plain = path.with_name("plain.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(plain, "w", driver="GTiff", tiled=True, compress="deflate", **size, **place) as file:
            file.write(drawn, 1)
            file.write_colormap(1, {0: (0, 0, 0, 0)} | {number: (*rgb, 255) for number, _, rgb, _ in legend})
            file.set_band_description(1, what)
            file.update_tags(**tags)
        rasterio.shutil.copy(plain, path, driver="COG", compress="DEFLATE", overview_resampling=overviews)
        plain.unlink()
        with rasterio.open(path) as file:
            if not np.array_equal(file.read(1), drawn):
                raise OSError(None, "the written file is not whole")
    beside = path.with_name(path.name + ".aux.xml")
    beside.write_text(legend_xml(what, legend), encoding="utf-8")
