"""What the model sees of layers in a real QGIS: the pixels that QGIS displays, whatever the style and the service."""

import json
import math
import subprocess
from contextlib import contextmanager
from itertools import combinations
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


def on_pixel_200(folder, place, crs, units):
    """The packaged town moved so that a place lies on pixel 200 after a multiple of STEP: (file, that place).

    Windows that begin at multiples of STEP / 2 then begin elsewhere than those of STEP.
    """
    to_layer = Transformer.from_crs(32633, crs, always_xy=True)
    there = [(math.floor(value / (STEP * units)) * STEP + 200) * units for value in to_layer.transform(*place)]
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
        try:
            yield f"type=xyz&url={quote(address, safe='{}')}&zmax=22&zmin=0"
        finally:
            process.terminate()


@contextmanager
def service_of(raster, folder, kind, crs):
    """A WMS or WMTS layer of a raster, by QGIS Server."""
    words = [qgis_python(), str(HERE / "map_service.py"), str(raster), str(Path(folder) / "service.log")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean()) as process:
        address = process.stdout.readline().strip()
        asked = f"crs={crs}&dpiMode=7&format=image/png&layers=image"
        capabilities = quote(f"{address}?SERVICE=WMTS&REQUEST=GetCapabilities", safe="")
        tiled = f"{asked}&styles=default&tileMatrixSet={crs}&url={capabilities}"
        try:
            yield f"{asked}&styles=&url={address}" if kind == "wms" else tiled
        finally:
            process.terminate()


KINDS = ["xyz", "wms", pytest.param("wmts", marks=pytest.mark.slow)]
ZOOMS = (60, 150, 500)
"""Metres across the screen."""


@contextmanager
def online_layer(kind, raster, folder, program):
    """The address of a layer of that kind as QGIS wants it."""
    if kind != "xyz" and not Path(f"/usr/lib/qgis/server/lib{kind}.so").exists():
        pytest.skip(f"QGIS Server offers no {kind.upper()} here (Debian: qgis-server-{kind})")
    served = tiles_of(raster, folder, program) if kind == "xyz" else service_of(raster, folder, kind, LAYERS[kind][0])
    with served as uri:
        yield uri


@needs_qgis
@pytest.mark.parametrize("kind", KINDS)
def test_an_online_layer_gives_the_same_answer_at_three_zooms(qgis, program, tmp_path, kind):
    """The same place clicked at three zooms and rotations, all drawn anew: the same pixels, the same outline."""
    crs, _, project_crs = LAYERS[kind]
    places = list(Transformer.from_crs(32633, crs, always_xy=True).itransform(buildings(3)))
    visits = [(*place, metres, None) for place in places for metres in ZOOMS]
    with online_layer(kind, SAMPLE, tmp_path, program) as uri:
        found = qgis("online", uri, project_crs, visits)
    asked = found["requests"] if kind != "wmts" else found["requests"][:1]  # QGIS keeps tiles of WMTS in memory
    assert found["said"] == [] and min(asked) > 0, found
    outlines = [from_wkt(item["wkt"]) for item in found["objects"]]
    assert len(outlines) == len(visits)
    for number, place in enumerate(places):
        three = slice(3 * number, 3 * number + 3)
        assert len({tuple(window) for window in found["windows"][three]}) == 1
        assert len(set(found["pixels"][three])) == 1, "the zoom of the screen changes what the model sees"
        assert all(outline.contains(Point(place)) for outline in outlines[three])
        assert min(overlap(*pair) for pair in combinations(outlines[three], 2)) >= 0.95


@needs_qgis
@pytest.mark.parametrize("kind", KINDS)
def test_an_online_layer_gives_the_same_answer_however_its_window_is_cut(qgis, program, tmp_path, kind):
    """The same place where the corners of windows meet, in three windows of which no two hold the same ground."""
    crs, units, project_crs = LAYERS[kind]
    raster, place = on_pixel_200(tmp_path, buildings(4)[3], crs, units)
    cuts = [(STEP, 2 * STEP), (STEP // 2, 2 * STEP), (STEP, 3 * STEP)]
    visits = [(*place, metres, cut) for metres, cut in zip(ZOOMS, cuts, strict=True)]
    with online_layer(kind, raster, tmp_path, program) as uri:
        found = qgis("online", uri, project_crs, visits)
    assert found["said"] == [] and found["requests"][0] > 0, found
    assert len(set(found["pixels"])) == 3, "one window answered twice"
    outlines = [from_wkt(item["wkt"]) for item in found["objects"]]
    assert len(outlines) == 3 and outlines[0].contains(Point(place))
    same = [overlap(*pair) for pair in combinations(outlines, 2)]
    assert min(same) >= 0.95, same


@needs_qgis
def test_the_mouse_gives_the_same_answer_at_three_zooms_but_for_the_size_of_a_screen_pixel(qgis, program, tmp_path):
    """Real clicks: at 500 m across the screen one of its pixels is two of the model's, so the places differ."""
    crs, _, project_crs = LAYERS["xyz"]
    places = list(Transformer.from_crs(32633, crs, always_xy=True).itransform(buildings(3)))
    visits = [(*place, metres, None) for place in places for metres in ZOOMS]
    with online_layer("xyz", SAMPLE, tmp_path, program) as uri:
        found = qgis("online", uri, project_crs, visits, True)
    assert found["said"] == []
    outlines = [from_wkt(item["wkt"]) for item in found["objects"]]
    for number, place in enumerate(places):
        three = slice(3 * number, 3 * number + 3)
        assert len(set(found["pixels"][three])) == 1
        assert all(outline.contains(Point(place)) for outline in outlines[three])
        assert min(overlap(*pair) for pair in combinations(outlines[three], 2)) >= 0.9, place
