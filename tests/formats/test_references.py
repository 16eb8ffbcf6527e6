"""References from files, and on their way from the command line to the predictor and the session file."""

import json

import cv2
import numpy as np
import pytest

from terraclick.cli import cli
from terraclick.data.synthetic import make_square_scene
from terraclick.errors import BadConfig, BadData
from terraclick.exchange.references import read_reference
from terraclick.geo.raster import read_info, read_view
from terraclick.store.geopackage import GeoPackageStore
from terraclick.values import Prediction, Reference

SQUARE = (500030.0, 4649940.0, 500050.0, 4649960.0)
CLICK = (500041.3, 4649948.7)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(scene, its mask as a picture, the same as polygons): 40 × 40 of 700 × 700 pixels."""
    folder = tmp_path_factory.mktemp("references")
    scene = make_square_scene(folder / "scene.tif", SQUARE, size=700)
    corner = read_info(scene).grid.to_click(SQUARE[0], SQUARE[3])
    row, col = round(corner.row + 0.5), round(corner.col + 0.5)
    mask = np.zeros((700, 700), np.uint8)
    mask[row : row + 40, col : col + 40] = 1
    cv2.imwrite(str(folder / "mask.png"), mask)
    left, bottom, right, top = SQUARE
    ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
    shape = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    named = {"type": "name", "properties": {"name": "EPSG:32633"}}
    content = {"type": "FeatureCollection", "crs": named, "features": [shape]}
    (folder / "mask.geojson").write_text(json.dumps(content))
    return scene, folder / "mask.png", folder / "mask.geojson"


@pytest.mark.parametrize("kind", [1, 2], ids=["picture", "polygons"])
def test_a_reference_is_the_square_around_the_thing(files, kind):
    found = read_reference(files[0], files[kind])
    assert found.positive and found.image.shape == (256, 256, 3) and found.mask.sum() == 1600
    assert found.image[found.mask].mean() > 180 > 80 > found.image[~found.mask].mean()


def test_a_large_thing_is_read_coarser(files, tmp_path):
    cv2.imwrite(str(tmp_path / "all.png"), np.full((700, 700), 255, np.uint8))
    assert read_reference(files[0], tmp_path / "all.png", positive=False).image.shape == (700, 700, 3)
    big = make_square_scene(tmp_path / "big.tif", SQUARE, size=2500)
    marked = np.zeros((2500, 2500), np.uint8)
    marked[500:2000, 1200] = 7  # a line one pixel wide survives
    cv2.imwrite(str(tmp_path / "line.png"), marked)
    found = read_reference(big, tmp_path / "line.png")
    assert max(found.image.shape) <= 1024 and found.mask.shape == found.image.shape[:2]
    assert found.mask.any(axis=1).mean() == pytest.approx(0.6, abs=0.01)


def test_what_does_not_fit_is_named(files, tmp_path):
    cv2.imwrite(str(tmp_path / "small.png"), np.ones((20, 30), np.uint8))
    cv2.imwrite(str(tmp_path / "empty.png"), np.zeros((700, 700), np.uint8))
    with pytest.raises(BadData, match=r"small\.png has 30 × 20 pixels, scene\.tif 700 × 700"):
        read_reference(files[0], tmp_path / "small.png")
    with pytest.raises(BadData, match="marks nothing"):
        read_reference(files[0], tmp_path / "empty.png")


class Spy:
    """Answers with the centre of the view, and remembers the prompts."""

    def __init__(self):
        self.prompts = []

    def encode(self, view):
        return view.shape

    def predict(self, encoded, prompt, previous):
        self.prompts.append(prompt)
        rows, cols = encoded
        probs = np.zeros(encoded, np.float32)
        probs[rows // 3 : 2 * rows // 3, cols // 3 : 2 * cols // 3] = 0.9
        return Prediction(probs)


@pytest.fixture
def spy(monkeypatch):
    spy = Spy()
    monkeypatch.setattr("terraclick.segment.job.load", lambda model, **options: spy)
    return spy


def run(*words):
    cli.main(["segment", *map(str, words), "--click", "{},{}".format(*CLICK)], standalone_mode=False)


def test_from_the_command_line_to_the_predictor_and_back_from_the_session(files, spy, tmp_path):
    scene, mask, polygons = files
    out = tmp_path / "a.gpkg"
    both = ("--reference", scene, mask, "--not-like", scene, polygons)
    run(scene, *both, "--class", "roof", "--out", out)
    (prompt,) = spy.prompts
    assert [reference.positive for reference in prompt.references] == [True, False]
    run(scene, *both, "--class", "roof", "--out", out, "--append")  # the same references are not kept twice
    with GeoPackageStore.open(out) as store:
        held = store.references("roof")
    assert [item.reference.positive for item in held] == [True, False]
    assert np.array_equal(held[0].reference.image, prompt.references[0].image)
    run(scene, "--references", out, "--out", tmp_path / "b.gpkg")
    assert [reference.positive for reference in spy.prompts[-1].references] == [True, False]
    with pytest.raises(BadData, match="no references of class 'road'"):
        run(scene, "--references", out, "--class", "road", "--out", tmp_path / "c.gpkg")


def test_a_model_that_would_ignore_them_refuses(files, spy):
    with pytest.raises(BadConfig, match="grabcut does not read references"):
        run(files[0], "--model", "grabcut", "--reference", files[0], files[1])


def test_terra_reads_them(files):
    """The shipped model answers otherwise when it is shown what not to select."""
    from terraclick import outline

    view, grid = read_view(files[0])
    shown = Reference(view.image, view.image[..., 0] > 150, positive=False)
    how = {"clicks": [(*CLICK, True)], "model": "terra-single", "bounds": grid.bounds}
    plain, told = outline(str(files[0]), **how), outline(str(files[0]), **how, references=(shown,))
    assert not np.array_equal(plain.sequence.latest.probs, told.sequence.latest.probs)
