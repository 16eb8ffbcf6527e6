"""The sample town: a small place seen from above at 0.3 m, painted by numpy and OpenCV, with its exact truth.

`python -m terraclick.data.synthetic` writes the packaged `sample.tif` and `sample_truth.geojson` again. The truth file
is WGS 84 longitude and latitude (as RFC 7946 asks) with 9 decimals, a tenth of a millimetre; its outlines follow the
pixels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.data.town.ground import paint_courts, paint_ground, paint_roads
from terraclick.data.town.houses import paint_driveway, paint_roof, plan_houses
from terraclick.data.town.painter import CLASSES, Painter
from terraclick.data.town.trees_and_cars import paint_cars, paint_shadows, paint_tree, plan_trees

__all__ = ["SAMPLE_SEED", "Town", "make_square_scene", "make_town", "truth_features", "write_sample"]

SAMPLE_SEED = 7
EPSG = 32633
ORIGIN = (500000.0, 4650000.0)


@dataclass(frozen=True, eq=False)
class Town:
    """A picture and its truth: image (H, W, 3) uint8 RGB, classes (H, W) uint8 ids of CLASSES, instances (H, W) int32.

    `kinds[i]` is the class id of instance i (0 is ground). `transform` is (a, b, c, d, e, f) with
    x = a·col + b·row + c and y = d·col + e·row + f at pixel corners, in the CRS of number `epsg`.
    """

    image: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    instances: NDArray[np.int32]
    kinds: tuple[int, ...]
    transform: tuple[float, float, float, float, float, float]
    epsg: int


def make_town(seed: int, size: int = 1536, gsd: float = 0.3) -> Town:
    """Paint a town of size × size pixels of `gsd` metres; the same seed gives the same town."""
    painter = Painter(np.random.default_rng(seed), size, gsd)
    paint_ground(painter)
    roads = paint_roads(painter)
    paint_courts(painter)
    plans = plan_houses(painter, roads)
    for plan in plans:
        paint_driveway(painter, plan)
    trees = plan_trees(painter)
    paint_shadows(painter, plans, trees)
    paint_cars(painter, plans, roads)
    for plan in plans:
        paint_roof(painter, plan)
    for tree in sorted(trees, key=lambda t: t[2]):
        paint_tree(painter, *tree)
    image, instances = painter.expose()
    kinds = np.array(painter.kinds, dtype=np.uint8)
    transform = (gsd, 0.0, ORIGIN[0], 0.0, -gsd, ORIGIN[1])
    return Town(image, kinds[instances], instances, tuple(painter.kinds), transform, EPSG)


def truth_features(town: Town) -> list[dict[str, Any]]:
    """The objects of a town as GeoJSON features in WGS 84: one per instance, along its pixels' edges, holes kept."""
    from pyproj import Transformer
    from rasterio.features import shapes
    from rasterio.transform import Affine

    to_degrees = Transformer.from_crs(town.epsg, 4326, always_xy=True)
    parts: dict[int, list[Any]] = {}
    for shape, value in shapes(town.instances, mask=town.instances > 0, transform=Affine(*town.transform)):
        rings = []
        for ring in shape["coordinates"]:
            lon, lat = to_degrees.transform(*np.array(ring).T)
            rings.append([[round(a, 9), round(b, 9)] for a, b in zip(lon, lat, strict=True)])
        parts.setdefault(int(value), []).append(rings)
    return [
        {
            "type": "Feature",
            "properties": {"id": number, "class": CLASSES[town.kinds[number]]},
            "geometry": {"type": "MultiPolygon", "coordinates": polygons},
        }
        for number, polygons in sorted(parts.items())
    ]


def write_sample(path: str | Path, town: Town | None = None) -> tuple[Path, Path]:
    """Write a town (default: the packaged one) as a tiled JPEG GeoTIFF with overviews, and its truth beside it.

    Returns (PATH, STEM_truth.geojson).
    """
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.transform import Affine

    path = Path(path)
    town = town or make_town(SAMPLE_SEED)
    rows, cols = town.instances.shape
    options = {"compress": "JPEG", "jpeg_quality": 90, "photometric": "YCBCR", "tiled": True, "interleave": "pixel"}
    size = {"height": rows, "width": cols, "count": 3, "dtype": "uint8", "blockxsize": 256, "blockysize": 256}
    place = {"crs": f"EPSG:{town.epsg}", "transform": Affine(*town.transform)}
    with rasterio.open(path, "w", driver="GTiff", **options, **size, **place) as file:
        file.write(town.image.transpose(2, 0, 1))
        file.build_overviews([2, 4], Resampling.average)
    truth = path.with_name(f"{path.stem}_truth.geojson")
    features = ",\n".join(json.dumps(feature, separators=(",", ":")) for feature in truth_features(town))
    truth.write_text(f'{{"type":"FeatureCollection","features":[\n{features}\n]}}\n', encoding="utf-8")
    return path, truth


def make_square_scene(
    path: str | Path, bounds: tuple[float, float, float, float], size: int = 256, gsd: float = 0.5, epsg: int = EPSG
) -> Path:
    """A GeoTIFF of dark ground with one bright square at map `bounds` (left, bottom, right, top), near its middle.

    The picture's corner is snapped so that bounds that are whole multiples of `gsd` fall on pixel edges exactly.
    """
    import rasterio
    from rasterio.transform import Affine

    left, bottom, right, top = bounds
    col, row = round((size - (right - left) / gsd) / 2), round((size - (top - bottom) / gsd) / 2)
    cols, rows = round((right - left) / gsd), round((top - bottom) / gsd)
    noise = np.random.default_rng(0).normal(0, 3, (size, size, 3))
    image = np.full((size, size, 3), (60, 72, 50), np.float64)
    image[row : row + rows, col : col + cols] = (214, 196, 180)
    pixels = np.clip(image + noise, 0, 255).astype(np.uint8)
    transform = Affine(gsd, 0, left - col * gsd, 0, -gsd, top + row * gsd)
    size_of = {"height": size, "width": size, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", crs=f"EPSG:{epsg}", transform=transform, **size_of) as file:
        file.write(pixels.transpose(2, 0, 1))
    return Path(path)


if __name__ == "__main__":
    write_sample(Path(__file__).with_name("sample.tif"))
