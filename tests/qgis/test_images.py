"""What the model sees of layers in a real QGIS: the pixels that QGIS displays, whatever the style and the service."""

import json
import math
import subprocess
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from qgis_play import HERE, SAMPLE, buildings, clean, needs_qgis, overlap, qgis_python
from shapely import Point, from_wkt

from terraclick.geo.raster import read_view

WISH = {"bands": [4, 3, 2], "limits": [[1500, 9000], [2000, 30000], [300.5, 52000]]}
STYLES = [
    WISH,
    {"bands": [3], "limits": [[2000, 30000]]},
    {"bands": [4, 3, 2], "limits": [[500, 40000]] * 3, "how": "StretchAndClipToMinimumMaximum"},
    WISH | {"brightness": 60},
    {"bands": [1]},
]


@pytest.fixture
def sixteen_bits(tmp_path):
    """A part of the packaged town in four bands of 16 bits."""
    with rasterio.open(SAMPLE) as file:
        part, transform = (
            file.read(window=((100, 1500), (200, 1500))),
            file.transform @ rasterio.Affine.translation(200, 100),
        )
    values = part.astype(np.uint16) * 230 + 77
    bands = np.stack([values[2], values[1] // 2, values[0], values[0] // 3 + values[1] // 8])
    kind = {"driver": "GTiff", "width": 1300, "height": 1400, "count": 4, "dtype": "uint16", "crs": "EPSG:32633"}
    with rasterio.open(tmp_path / "bits.tif", "w", transform=transform, **kind) as file:
        file.write(bands)
    return tmp_path / "bits.tif"


def pictured(path):
    """The pixels of a picture (H, W, 3), and where it is opaque."""
    with rasterio.open(path) as file:
        bands = file.read()
    opaque = bands[3] == 255 if len(bands) > 3 else np.ones(bands.shape[1:], bool)
    return np.moveaxis(bands[:3], 0, 2).astype(int), opaque


@needs_qgis
@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_bands_and_stretch_as_displayed_are_the_pixels_that_qgis_draws(qgis, sixteen_bits):
    with rasterio.open(sixteen_bits) as file:
        own, size = file.transform, (file.height, file.width)
    place = next(found for found in buildings(None) if inside(own, size, found))
    found = qgis("displayed", str(sixteen_bits), STYLES, place)
    assert found["said"] == [] and len(found["objects"]) == len(STYLES)
    assert [item["kind"] for item in found["styles"]] == ["file", "file", "window", "window", "window"]
    files = Path(found["styles"][-1]["windows"]).glob("window-*.tif")
    windows = iter(sorted(files, key=lambda path: path.stat().st_mtime_ns))
    for item, style in zip(found["styles"], STYLES, strict=True):
        shown, opaque = pictured(item["picture"])
        if item["kind"] == "file":
            assert item["bands"] == style["bands"]
            seen = read_view(sixteen_bits, bands=item["bands"], stretch=item["stretch"])[0].image.astype(int)
        else:
            seen, opaque, shown = sent(next(windows), item["transform"], own, shown)
        assert opaque.mean() > 0.1 and shown[opaque].std() > 5
        assert np.abs(seen - shown)[opaque].max() <= 2, style


def sent(path, transform, own, shown):
    """The pixels of a window that was sent, where they are opaque, and the part of a picture of the file below it."""
    with rasterio.open(path) as file:
        assert np.allclose(tuple(file.transform)[:6], transform)
    seen, opaque = pictured(path)
    x, y = ~own @ (transform[2], transform[5])
    assert abs(x - round(x)) < 1e-3 and abs(y - round(y)) < 1e-3, "the window does not lie on the file's pixels"
    full = np.zeros((*seen.shape[:2], 3), int)
    there = np.zeros(seen.shape[:2], bool)
    rows, cols = shown.shape[:2]
    top, left = max(0, round(y)), max(0, round(x))
    to_row, to_col = top - round(y), left - round(x)
    height, width = min(rows - top, seen.shape[0] - to_row), min(cols - left, seen.shape[1] - to_col)
    full[to_row : to_row + height, to_col : to_col + width] = shown[top : top + height, left : left + width]
    there[to_row : to_row + height, to_col : to_col + width] = True
    return seen, opaque & there, full


def inside(transform, size, place):
    """Whether a place lies well inside an image."""
    x, y = ~transform @ tuple(place)
    return 800 < x < size[1] - 60 and 800 < y < size[0] - 60


# --- online layers ---------------------------------------------------------------------------------------------------

STEP = 512
"""Windows begin at multiples of so many pixels (terraclick_qgis/sources.py)."""
MERCATOR_19 = 2 * math.pi * 6378137 / 256 / 2**19
"""Units a pixel of the level of tiles that is nearest to 0.3 m at 42 degrees."""
LAYERS = {
    "xyz": ("EPSG:3857", MERCATOR_19, "EPSG:32633"),
    "wms": ("EPSG:32633", 0.3, "EPSG:3857"),
    "wmts": ("EPSG:3857", MERCATOR_19, "EPSG:32633"),
}
"""The layer's system, the units a pixel of its windows, the project's system."""


def on_a_corner(folder, place, crs, units):
    """The packaged town moved so that a place of it lies where four windows meet: (file, that corner in the crs)."""
    to_layer = Transformer.from_crs(32633, crs, always_xy=True)
    there = [(math.floor(value / (STEP * units)) + 0.5) * STEP * units for value in to_layer.transform(*place)]
    x, y = to_layer.transform(*there, direction="INVERSE")
    with rasterio.open(SAMPLE) as file:
        profile, pixels = file.profile, file.read()
    moved = rasterio.Affine.translation(x - place[0], y - place[1]) @ profile["transform"]
    with rasterio.open(folder / "moved.tif", "w", **profile | {"transform": moved}) as file:
        file.write(pixels)
    return folder / "moved.tif", there


@contextmanager
def tiles_of(raster, folder, program):
    """An XYZ layer of a raster, by `terraclick serve`."""
    words = [str(program), "serve", str(raster), "--no-browser", "--model", "grabcut", "--port", "0", "--out", folder]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        base, token = process.stdout.readline().strip().split("/?token=")
        image = json.loads(urlopen(f"{base}/api/images?token={token}").read())["images"][0]["id"]
        address = f"{base}/api/images/{image}/tiles/map/{{z}}/{{x}}/{{y}}.png?token={token}"
        yield f"type=xyz&url={quote(address, safe='{}')}&zmax=22&zmin=0"
        process.terminate()


@contextmanager
def service_of(raster, folder, kind, crs):
    """A WMS or WMTS layer of a raster, by QGIS Server."""
    words = [qgis_python(), str(HERE / "map_service.py"), str(raster), str(Path(folder) / "service.log")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean()) as process:
        address = process.stdout.readline().strip()
        asked = f"crs={crs}&dpiMode=7&format=image/png&layers=image"
        if kind == "wms":
            yield f"{asked}&styles=&url={address}"
        else:
            capabilities = quote(f"{address}?SERVICE=WMTS&REQUEST=GetCapabilities", safe="")
            yield f"{asked}&styles=default&tileMatrixSet={crs}&url={capabilities}"
        process.terminate()


@needs_qgis
@pytest.mark.parametrize("kind", ["xyz", "wms", pytest.param("wmts", marks=pytest.mark.slow)])
def test_an_online_layer_gives_the_same_answer_at_three_zooms_from_three_windows(qgis, program, tmp_path, kind):
    crs, units, project_crs = LAYERS[kind]
    if kind != "xyz" and not Path(f"/usr/lib/qgis/server/lib{kind}.so").exists():
        pytest.skip(f"QGIS Server offers no {kind.upper()} here (Debian: qgis-server-{kind})")
    place = buildings(4)[3]
    raster, (x, y) = on_a_corner(tmp_path, place, crs, units)
    near = 0.2 * units
    visits = [(x - near, y - near, 60), (x + near, y - near, 150), (x + near, y + near, 500)]
    served = tiles_of(raster, tmp_path, program) if kind == "xyz" else service_of(raster, tmp_path, kind, crs)
    with served as uri:
        found = qgis("online", uri, project_crs, visits)
    assert found["said"] == [] and min(found["requests"]) > 0, found
    assert len({(window[2], window[5]) for window in found["windows"]}) == 3, "one window answered twice"
    first, *others = [from_wkt(item["wkt"]) for item in found["objects"]]
    assert len(others) == 2 and first.contains(Point(x, y))
    same = [overlap(first, other) for other in others]
    assert min(same) >= 0.9 and max(same) >= 0.95, same  # the same pixels, cut at three places
