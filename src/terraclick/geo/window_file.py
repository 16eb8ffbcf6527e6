"""A picture that a client sent, kept as a GeoTIFF, so that everything that reads images reads it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from terraclick.errors import BadOutput

__all__ = ["write_window"]


def write_window(path: Path, image: NDArray[np.uint8], transform: Sequence[float], crs: str | None) -> None:
    """Write RGB or RGBA pixels (H, W, 3 or 4) whole or not at all; transform is [a, b, c, d, e, f], pixel to map.

    Alpha 0 means no data. crs is WKT or AUTHORITY:CODE that was checked before. Raises BadOutput.
    """
    rows, cols, bands = image.shape
    making = path.with_name(f".{uuid4().hex}.tif")
    kind = {"driver": "GTiff", "width": cols, "height": rows, "count": bands, "dtype": "uint8"}
    layout = {"photometric": "RGB", "compress": "deflate", "tiled": True, "blockxsize": 256, "blockysize": 256}
    if bands == 4:
        layout["alpha"] = "YES"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(making, "w", transform=Affine(*transform), crs=crs, **kind, **layout) as file:
                file.write(np.moveaxis(image, 2, 0))
        making.replace(path)
    except (OSError, rasterio.errors.RasterioError) as error:
        raise BadOutput(f"the picture cannot be kept in {path.parent.name} ({error}): make room there.") from error
    finally:
        with contextlib.suppress(OSError):
            making.unlink()
