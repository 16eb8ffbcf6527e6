"""The sample town: reproducible, true to its truth, and packaged."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize
from rasterio.warp import transform_geom

import terraclick.data.synthetic as synthetic
from terraclick.data.synthetic import SAMPLE_SEED, make_square_scene, make_town, truth_features, write_sample
from terraclick.data.town.painter import CLASSES

PACKAGED = Path(synthetic.__file__).with_name("sample.tif")


@pytest.fixture(scope="module")
def small():
    return make_town(3, 512, 0.3)


def test_same_seed_same_town(small):
    again, other = make_town(3, 512, 0.3), make_town(4, 512, 0.3)
    assert (again.image == small.image).all() and (again.instances == small.instances).all()
    assert (other.image != small.image).any()


def test_classes_and_instances_agree(small):
    kinds = np.array(small.kinds)
    assert (kinds[small.instances] == small.classes).all()
    assert small.image.shape == (512, 512, 3) and small.image.dtype == np.uint8
    assert small.image.std() > 15


def test_truth_lies_on_its_pixels(small):
    features = truth_features(small)
    back = [(transform_geom(4326, small.epsg, f["geometry"]), f["properties"]["id"]) for f in features]
    drawn = rasterize(back, small.instances.shape, transform=rasterio.Affine(*small.transform), dtype="int32")
    assert (drawn == small.instances).all()


@pytest.fixture(scope="module")
def town():
    return make_town(SAMPLE_SEED)


def test_the_packaged_sample_is_what_the_generator_makes(town, tmp_path):
    with rasterio.open(PACKAGED) as file:
        pixels = file.read().transpose(1, 2, 0)
        assert file.crs.to_epsg() == 32633 and file.overviews(1) == [2, 4] and file.profile["tiled"]
        assert tuple(file.transform)[:6] == town.transform
    assert np.abs(pixels.astype(int) - town.image).mean() < 4
    _, truth = write_sample(tmp_path / "sample.tif", town)
    made, packaged = (json.loads(path.read_text()) for path in (truth, PACKAGED.with_name("sample_truth.geojson")))
    assert made == packaged


def test_the_packaged_sample_is_small_and_whole(town):
    files = [PACKAGED, PACKAGED.with_name("sample_truth.geojson")]
    assert sum(file.stat().st_size for file in files) <= 2_500_000
    found = {CLASSES[kind] for kind in town.kinds}
    assert found == set(CLASSES)
    assert town.kinds.count(CLASSES.index("building")) > 100 and town.kinds.count(CLASSES.index("car")) > 60


def test_square_scene(tmp_path):
    bounds = (500030.0, 4649950.0, 500060.0, 4649975.0)
    with rasterio.open(make_square_scene(tmp_path / "square.tif", bounds)) as file:
        bright = file.read(1) > 150
        rows, cols = np.nonzero(bright)
        left, top = file.transform @ (cols.min(), rows.min())
        right, bottom = file.transform @ (cols.max() + 1, rows.max() + 1)
    assert (left, bottom, right, top) == bounds and bright.sum() == 60 * 50
