"""Pictures are read in strips: a little memory for a large picture, and the same pixels whatever lies in a file."""

import tracemalloc

import numpy as np
import pytest
import rasterio

from terraclick.data.pictures import read_values
from terraclick.datasets.catalogue import declaration_of
from terraclick.datasets.crops import write_scene
from terraclick.datasets.declaration import Labelling, Scene, Settings
from terraclick.datasets.isprs import COLOURS
from terraclick.datasets.sources import dense
from terraclick.values import Window

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def write(path, values, **how):
    """Values (H, W, bands) as a GeoTIFF, stored as `how` says."""
    rows, cols, bands = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=bands, height=rows, width=cols, dtype=values.dtype.name, **how
    ) as file:
        file.write(values.transpose(2, 0, 1))
    return path


def folders(tmp_path):
    for name in ("images", "masks", "instances"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_a_large_picture_takes_few_bytes_a_pixel(tmp_path):
    side = 2400
    rng = np.random.default_rng(1)
    image = write(tmp_path / "i.tif", rng.integers(0, 256, (side, side, 3), np.uint8))
    table = np.array(list(COLOURS), np.uint8)
    kinds = rng.integers(0, 6, (side // 100, side // 100)).repeat(100, 0).repeat(100, 1)
    label = write(tmp_path / "l.tif", table[kinds])
    scene, settings = Scene("one", "train", image, (label,)), Settings(crop=240, keep_empty=True)
    declaration = declaration_of("potsdam")
    tracemalloc.start()
    labelling = declaration.read(scene)
    entries = write_scene(scene, labelling, settings, (1, 4), folders(tmp_path), 255)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(entries) == 100
    np.testing.assert_array_equal(labelling.planes[0][0], np.array(list(COLOURS.values()))[kinds])
    assert peak < 8 * side * side  # two of them are the labels'


@pytest.mark.parametrize(
    "how",
    [{}, {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}, {"blockysize": 1300}],
    ids=["rows", "tiles", "one block"],
)
@pytest.mark.parametrize("bands", [(), (4, 1, 2)], ids=["all bands", "some bands"])
def test_crops_hold_the_pixels_of_the_file(tmp_path, how, bands):
    values = np.random.default_rng(2).integers(0, 60_000, (1300, 700, 4), np.uint16)
    scene = Scene("one", "train", write(tmp_path / "i.tif", values, **how), bands=bands)
    labelling = Labelling(((np.ones(values.shape[:2], np.uint16), None),))
    out = folders(tmp_path)
    entries = write_scene(scene, labelling, Settings(crop=400, overlap=90), (1,), out, 255)
    assert len(entries) == 8  # four rows of two
    kept = values[..., [band - 1 for band in bands or (1, 2, 3, 4)]]
    for entry in entries:
        row, col = map(int, entry["image"].removesuffix(".tif").split("_")[1:])
        np.testing.assert_array_equal(read_values(out / entry["image"]), kept[row : row + 400, col : col + 400])
        assert entry["objects"] == [{"id": 1, "cls": 1, "area": 160_000}]


def test_a_window_of_the_stored_values(tmp_path):
    values = np.random.default_rng(3).normal(size=(1100, 90, 2)).astype(np.float32)
    path = write(tmp_path / "f.tif", values)
    np.testing.assert_array_equal(read_values(path), values)
    np.testing.assert_array_equal(read_values(path, Window(500, 20, 90, 30)), values[500:590, 20:50])


def test_instances_of_a_tall_map_are_numbered_in_their_order(tmp_path):
    ids = np.zeros((1500, 60), np.int32)
    for number, row in ((9_000_000, 10), (7, 600), (40, 1400), (12, 500)):  # the last lies across two strips
        ids[row : row + 30] = number
    np.testing.assert_array_equal(dense(ids), np.searchsorted([0, 7, 12, 40, 9_000_000], ids))
    image = write(tmp_path / "i.tif", np.zeros((1500, 60, 3), np.uint8))
    classes = np.where(ids == 40, 2, 1).astype(np.uint16)
    scene = Scene("one", "train", image)
    (entry,) = write_scene(scene, Labelling(((classes, ids),)), Settings(), (1, 2), folders(tmp_path), 255)
    assert [thing["cls"] for thing in entry["objects"]] == [1, 1, 2, 1]
    assert [thing["area"] for thing in entry["objects"]] == [1800] * 4
