"""The shipped map model, out of the box: its files, what it says of itself, and that it finds what the sample shows."""

import json
import subprocess
import sys

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from rasterio.features import rasterize

from terraclick.classmap.model import LAND_COVER, MAP_MODELS, load_map, map_files
from terraclick.cli import cli
from terraclick.doctor import models
from terraclick.geo.raster import SAMPLE
from terraclick.predictors.spec import WEIGHTS

BOUNDS = "500180,4649760,500330,4649880"
"""A part of the sample with houses and streets, 500 by 400 pixels."""


def truth(kind, shape, transform):
    """Where the sample has things of a kind, (H, W) bool."""
    said = json.loads((SAMPLE.parent / "sample_truth.geojson").read_text())
    project = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32633", always_xy=True).transform
    things = [f for f in said["features"] if f["properties"]["class"] == kind]
    shapes = [shapely.transform(shapely.geometry.shape(f["geometry"]), project, interleaved=False) for f in things]
    return rasterize(shapes, shape, transform=transform) > 0


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """Class numbers of the part, as `terraclick map` writes them when no model is named."""
    out = tmp_path_factory.mktemp("map") / "classes.tif"
    done = CliRunner().invoke(cli, ["map", "sample", "--bounds", BOUNDS, "--out", str(out)])
    assert done.exit_code == 0, done.output
    with rasterio.open(out) as file:
        return file.read(1), file.transform


def test_its_files_are_small_and_share_the_encoder():
    own = [path for path in map_files(LAND_COVER) if path.parent != WEIGHTS]
    assert {path.name for path in own} == {"map.json", "map_net.onnx", "map_heat.onnx"}
    assert sum(path.stat().st_size for path in own) < 30e6
    assert WEIGHTS / "terra_encoder.onnx" in map_files(LAND_COVER)


def test_it_says_what_it_is():
    spec = load_map(LAND_COVER, 1).spec
    assert [kind.name for kind in spec.classes] == ["building", "road", "vegetation", "water", "bare ground"]
    assert "ČÚZK" in spec.licence and "CC BY" in spec.licence
    (listed,) = [model for model in models() if model["name"] == LAND_COVER]
    assert listed["kind"] == "map" and listed["available"] and listed["needs"] is None and "ČÚZK" in listed["licence"]
    assert MAP_MODELS[LAND_COVER].folder.is_dir()


@pytest.mark.parametrize(("kind", "cls", "least"), [("building", 1, 0.55), ("road", 2, 0.45)])
def test_it_finds_what_the_sample_shows(mapped, kind, cls, least):
    """A made-up town, which it was never trained on."""
    found, transform = mapped
    shown = truth(kind, found.shape, transform)
    assert shown.mean() > 0.05
    assert np.count_nonzero((found == cls) & shown) / np.count_nonzero((found == cls) | shown) > least


def test_it_needs_no_torch_and_draws_heatmaps():
    code = """
import sys
for name in ("torch", "onnx", "safetensors"):
    sys.modules[name] = None
import numpy as np
from terraclick.classmap.model import load_map
model = load_map("land-cover", 1, heat=True)
logits, heat = model(np.full((336, 336, 3), 90, np.uint8))
print(logits.shape, heat.shape)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout.strip() == "(5, 336, 336) (5, 84, 84)"
