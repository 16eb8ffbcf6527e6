"""One story: a click on a known square of a GeoTIFF gives its bounds to the millimetre, through library and CLI."""

import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import CRS, Transformer

import terraclick.geo.grid as grid_module
import terraclick.geo.raster as raster_module
from terraclick import Session, Target, load, outline, outlines, read_view
from terraclick.catalogue import PREDICTORS
from terraclick.data.synthetic import make_square_scene
from terraclick.geo.grid import Grid
from terraclick.store.geopackage import GeoPackageStore
from terraclick.values import Prediction

SQUARE = (500030.0, 4649940.0, 500050.0, 4649960.0)
MIDDLE = (500041.3, 4649948.7, True)
CORNER = (500049.9, 4649940.1, True)  # a fifth of a pixel inside two edges
MILLIMETRE = 0.001


class Alike:
    """Pixels of a colour like the last including click's: a predictor small enough to see through."""

    def encode(self, view):
        return view.image.astype(np.float32)

    def predict(self, encoded, prompt, previous):
        click = prompt.positives[-1]
        difference = np.abs(encoded - encoded[round(click.row), round(click.col)]).max(axis=2)
        return Prediction(np.clip(1 - difference / 80, 0, 1).astype(np.float32))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return str(make_square_scene(tmp_path_factory.mktemp("story") / "square.tif", SQUARE))


def off_by(geometry) -> float:
    """How far the outline's bounds are from the square's, in metres."""
    return float(np.abs(np.subtract(geometry.bounds, SQUARE)).max())


@pytest.mark.parametrize("click", [MIDDLE, CORNER])
def test_library(scene, click):
    found = outline(scene, [click], model=Alike())
    assert off_by(found.geometry) < MILLIMETRE
    assert found.geometry.area == pytest.approx(400)
    assert found.crs.to_epsg() == 32633


def segment(scene, *words) -> str:
    command = [sys.executable, "-m", "terraclick.cli", "segment", scene, "--click", "500041.3,4649948.7", *words]
    command += ["--model", "grabcut"]
    return subprocess.run(command, check=True, timeout=120, capture_output=True, text=True).stdout


def test_command_line(scene, tmp_path):
    segment(scene, "--out", str(tmp_path / "square.gpkg"), "--simplify", "2")
    with GeoPackageStore.open(tmp_path / "square.gpkg") as store:
        (found,) = store.objects()
    assert off_by(found.geometry) < MILLIMETRE


def test_geojson_on_stdout_is_longitude_and_latitude(scene):
    (feature,) = json.loads(segment(scene))["features"]
    back = Transformer.from_crs(4326, 32633, always_xy=True)
    moved = shapely.transform(shapely.geometry.shape(feature["geometry"]), back.transform, interleaved=False)
    assert off_by(moved) < MILLIMETRE  # nine decimals of a degree are a tenth of one


@pytest.mark.parametrize("mistake", ["half a pixel in clicks", "half a pixel in maps", "another zone", "swapped axes"])
def test_a_deliberate_error_is_caught(scene, monkeypatch, mistake):
    if mistake == "half a pixel in clicks":
        monkeypatch.setattr(grid_module, "HALF", 0.0)
    right, wrong = (
        raster_module.read_view,
        {
            "half a pixel in clicks": lambda t, crs: (t, crs),
            "half a pixel in maps": lambda t, crs: (t @ Affine.translation(0.5, 0.5), crs),
            "another zone": lambda t, crs: (t, CRS.from_epsg(32634)),
            "swapped axes": lambda t, crs: (Affine(t.e, t.b, t.f, t.d, t.a, t.c), crs),
        }[mistake],
    )

    def read(*args):
        view, grid = right(*args)
        return view, Grid(*wrong(grid.transform, grid.crs), grid.shape)

    monkeypatch.setattr(sys.modules["terraclick.api"], "read_view", read)
    try:
        found = outline(scene, [CORNER], model=Alike())
    except Exception:
        return  # caught even earlier: the click misses the picture
    place = Transformer.from_crs(found.crs, 32633, always_xy=True)
    assert off_by(shapely.transform(found.geometry, place.transform, interleaved=False)) > MILLIMETRE


@pytest.mark.parametrize(
    "bend",
    [Affine.rotation(30, (128, 128)), Affine.translation(0, 256) @ Affine.scale(1, -1), Affine.scale(1, 0.5)],
    ids=["rotated", "south-up", "oblong pixels"],
)
def test_any_grid(scene, tmp_path, bend):
    with rasterio.open(scene) as source:
        transform = source.transform @ bend
        with rasterio.open(tmp_path / "bent.tif", "w", **{**source.profile, "transform": transform}) as copy:
            copy.write(source.read())
        x, y = transform @ (~source.transform @ MIDDLE[:2])
        corners = [transform @ (~source.transform @ p) for p in shapely.box(*SQUARE).exterior.coords]
    found = outline(str(tmp_path / "bent.tif"), [(x, y, True)], model=Alike())
    assert found.geometry.symmetric_difference(shapely.Polygon(corners)).area < 1e-3


def test_pixels_and_map_agree(scene):
    with rasterio.open(scene) as source:
        col, row = ~source.transform @ MIDDLE[:2]
        found = outline(scene, [(col, row, True)], model=Alike(), pixels=True)
        moved = shapely.transform(found.geometry, lambda xy: np.array([source.transform @ tuple(p) for p in xy]))
    assert found.crs is None
    assert off_by(moved) < MILLIMETRE


def test_neighbouring_clicks_share_one_encoding(scene):
    class Counting(Alike):
        encoded = 0

        def encode(self, view):
            self.encoded += 1
            return super().encode(view)

    model = Counting()
    many = [[MIDDLE], [(500035.0, 4649945.0, True)], [MIDDLE, (500000.0, 4649900.0, False)]]
    assert [off_by(o.geometry) < MILLIMETRE for o in outlines(scene, many, model=model)] == [True] * 3
    assert model.encoded == 1


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * name.endswith("fused")) for name in sorted(PREDICTORS)]
)
@pytest.mark.parametrize("target", list(Target))
def test_undo_equals_replay_bit_for_bit(scene, name, target):
    predictor = load(name)
    view, grid = read_view(scene, (500000.0, 4649900.0, 500096.0, 4649996.0))
    encoded = predictor.encode(view)
    session = Session(target)
    for x, y, positive in (MIDDLE, (500010.0, 4649910.0, False), CORNER):
        session = session.add(grid.to_click(x, y, positive), predictor, encoded)
    undone, again = session.undo(), session.undo().replay(predictor, predictor.encode(view))
    assert again.clicks == session.clicks[:2]
    assert np.array_equal(undone.latest.probs, again.latest.probs)
    assert undone.latest.focus == again.latest.focus
    assert np.array_equal(session.latest.probs, session.undo().redo().latest.probs)
