"""16 bit, four bands, 300 classes, two labels a pixel: exact values through prepare, training and benchmark."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from make_sources import boxes_of, coco_json

from terraclick.core.predictor import Predictor
from terraclick.data.datasets import IGNORE, open_dataset
from terraclick.data.pictures import read_values
from terraclick.datasets.catalogue import declaration_of
from terraclick.datasets.declaration import Settings
from terraclick.datasets.preparation import prepare
from terraclick.evaluate.protocol import EvalProtocol
from terraclick.evaluate.task import asked, draw_tasks, run_task
from terraclick.geo.raster import read_view
from terraclick.values import Prediction, Target

SIDE, CROP = 96, 48


def stepped(bands):
    """(bands, H, W) uint16: every pixel and band another value, from 0 to 4000 and above 255 nearly everywhere."""
    flat = np.linspace(0, 4000, SIDE * SIDE).round().astype(np.uint16).reshape(SIDE, SIDE)
    return np.stack([np.roll(flat, 11 * band, axis=1) for band in range(bands)])


def source_of(folder, bands, kinds):
    """A COCO set of one 16-bit picture; kinds: category of each box from the left. Returns its values and labels."""
    values = stepped(bands)
    (folder / "images").mkdir(parents=True)
    place = {"crs": "EPSG:32633", "transform": Affine(2, 0, 400000, 0, -2, 5000000)}
    size = {"height": SIDE, "width": SIDE, "count": bands, "dtype": "uint16"}
    with rasterio.open(folder / "images" / "p.tif", "w", driver="GTiff", **size, **place) as file:
        file.write(values)
    classes, ids = np.zeros((SIDE, SIDE), np.uint16), np.zeros((SIDE, SIDE), np.int32)
    for number, kind in enumerate(kinds, start=1):
        box = np.s_[10:30, 24 * number - 20 : 24 * number - 4]
        classes[box], ids[box] = kind, number
    objects = boxes_of(classes, ids)
    names = {number: f"kind {number}" for number in range(1, max(kinds) + 1)}
    coco_json(folder / "annotations" / "instances_train.json", [("p.tif", 1, (SIDE, SIDE), objects)], names)
    return values, classes, objects


class Truth(Predictor):
    """A predictor that remembers what it was shown, and answers one half everywhere."""

    def __init__(self):
        self.seen = []

    def encode(self, view):
        self.seen.append(view)
        return view

    def predict(self, encoded, prompt, previous):
        return Prediction(np.full(encoded.shape, 0.5, np.float32), None, 0.49)


def prepared(folder, source, crop=CROP):
    declaration = declaration_of("sandbar")
    prepare(declaration, source, folder, Settings(crop=crop, keep_empty=True))
    return open_dataset(folder / "train" / "sandbar")


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_16_bit_and_four_bands(tmp_path, bands):
    values, classes, _ = source_of(tmp_path / "source", bands, (1, 1, 1))
    dataset = prepared(tmp_path / "data", tmp_path / "source")
    whole = read_view(tmp_path / "source" / "images" / "p.tif")[0].image  # what `segment` sees
    assert len(dataset.pictures) == 4 and whole.min() == 0 and whole.max() == 255
    for picture in dataset.pictures:
        row, col = (int(n) for n in picture.id.rsplit("_", 2)[1:])
        crop = np.s_[row : row + CROP, col : col + CROP]
        stored = read_values(picture.folder / picture.image_file)
        assert stored.dtype == np.uint16 and np.array_equal(stored, values.transpose(1, 2, 0)[crop])
        assert np.array_equal(picture.image(), whole[crop])
        assert np.array_equal(picture.classes(), classes[crop])
    trained_on(dataset, whole, classes)
    judged_on(dataset, whole, classes)


def trained_on(dataset, whole, classes):
    """An episode of training holds the pixels of a crop as `segment` sees them, and its truth."""
    pytest.importorskip("torch")
    from terraclick.networks.recipe import EpisodeRule
    from terraclick.train.episodes import draw_episode, reader

    rule = EpisodeRule("object", side=CROP, scale=(1.0, 1.0), min_area=1, augment=False)
    read, found = reader([dataset]), []
    for seed in range(12):
        episode = draw_episode([dataset], read, rule, np.random.default_rng(seed))
        image = np.asarray(episode.image)
        places = [(r, c) for r in (0, CROP) for c in (0, CROP)]
        here = [p for p in places if np.array_equal(image, whole[p[0] : p[0] + CROP, p[1] : p[1] + CROP])]
        assert len(here) == 1
        (row, col) = here[0]
        crop = classes[row : row + CROP, col : col + CROP] > 0
        assert np.count_nonzero(episode.truth == 1) == 320 and not (episode.truth == 1)[~crop].any()
        found.append(here[0])
    assert len(set(found)) > 1


def judged_on(dataset, whole, classes):
    """The benchmark shows the same pixels and counts the truth of the source."""
    predictor, protocol = Truth(), EvalProtocol(min_area=1, max_clicks=1)
    for task in draw_tasks(dataset, Target.OBJECT, protocol):
        row, col = (int(n) for n in task.image_id.rsplit("_", 2)[1:])
        result = run_task(task, predictor, protocol)
        truth = asked(task, predictor, protocol).truth
        assert np.array_equal(predictor.seen[-1].image, whole[row : row + CROP, col : col + CROP])
        assert not truth[classes[row : row + CROP, col : col + CROP] == 0].any()
        assert result.ious == (320 / CROP**2,) and result.area == 320 * predictor.seen[-1].gsd ** 2


def test_300_classes(tmp_path):
    """Numbers from 255 on need masks of 16 bit: none wraps, and none is taken for pixels that count nowhere."""
    _, classes, _ = source_of(tmp_path / "source", 3, (44, 255, 256, 300))
    dataset = prepared(tmp_path / "data", tmp_path / "source", crop=0)
    (picture,) = dataset.pictures
    stored = cv2.imread(str(picture.folder / picture.mask_files[0]), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16 and np.array_equal(stored, classes)
    assert len(dataset.classes) == 301 and dataset.classes[300] == "kind_300"
    assert np.array_equal(picture.classes(), classes)
    protocol, predictor = EvalProtocol(min_area=1, max_clicks=1), Truth()
    for target in (Target.OBJECT, Target.CLASS):
        tasks = draw_tasks(dataset, target, protocol)
        assert [task.class_id for task in tasks] == [44, 255, 256, 300]
        for task in tasks:
            assert np.array_equal(asked(task, predictor, protocol).truth, classes == task.class_id)
            assert run_task(task, predictor, protocol).ious == (320 / SIDE**2,)
    pytest.importorskip("torch")
    from terraclick.networks.recipe import EpisodeRule
    from terraclick.train.episodes import draw_episode, reader

    rule, read = EpisodeRule("class", side=SIDE, scale=(1.0, 1.0), min_area=1, augment=False), reader([dataset])
    drawn = [draw_episode([dataset], read, rule, np.random.default_rng(seed)).truth == 1 for seed in range(30)]
    asked_for = {
        number for truth in drawn for number in (44, 255, 256, 300) if np.array_equal(truth, classes == number)
    }
    assert asked_for == {44, 255, 256, 300}


def test_two_labels_a_pixel(tmp_path):
    """An object inside another: both are tasks with all of their pixels, in training too."""
    folder = tmp_path / "source"
    _, classes, objects = source_of(folder, 3, (1,))
    inside = {"category_id": 2, "segmentation": [[8, 14, 16, 14, 16, 26, 8, 26]]}
    inner = np.zeros((SIDE, SIDE), bool)
    inner[14:26, 8:16] = True
    names = {1: "barge", 2: "cabin"}
    pictures = [("p.tif", 1, (SIDE, SIDE), [*objects, inside])]
    coco_json(folder / "annotations" / "instances_train.json", pictures, names)
    dataset = prepared(tmp_path / "data", folder, crop=0)
    (picture,) = dataset.pictures
    assert picture.planes == 2 and json.loads((dataset.folder / "meta.json").read_text())["true_instances"]
    wanted = {"barge": classes == 1, "cabin": inner}
    assert (wanted["barge"] & inner).sum() == inner.sum() == 96
    protocol, predictor = EvalProtocol(min_area=1, max_clicks=1), Truth()
    for target in (Target.OBJECT, Target.CLASS):
        tasks = draw_tasks(dataset, target, protocol)
        assert {task.cls for task in tasks} == set(wanted)
        for task in tasks:
            laid = asked(task, predictor, protocol)
            assert np.array_equal(laid.truth, wanted[task.cls]) and not laid.ignore.any()
            assert run_task(task, predictor, protocol).ious == (wanted[task.cls].sum() / SIDE**2,)
    pytest.importorskip("torch")
    from terraclick.networks.recipe import EpisodeRule
    from terraclick.train.episodes import draw_episode, reader

    for kind in ("object", "class"):
        rule, read = EpisodeRule(kind, side=SIDE, scale=(1.0, 1.0), min_area=1, augment=False), reader([dataset])
        drawn = [draw_episode([dataset], read, rule, np.random.default_rng(seed)).truth == 1 for seed in range(20)]
        found = {name for truth in drawn for name, mask in wanted.items() if np.array_equal(truth, mask)}
        assert found == set(wanted), kind


def test_ignored_pixels_stay_ignored(tmp_path):
    """255 in an 8-bit mask counts nowhere, also after the crop, in the benchmark and in training."""
    values, _, _ = source_of(tmp_path / "source", 3, (1,))
    declaration = declaration_of("sandbar")

    def read(scene):
        labelling = declaration.read(scene)
        labelling.planes[0][0][40:] = IGNORE
        return labelling

    prepare(replace(declaration, read=read), tmp_path / "source", tmp_path / "data", Settings())
    dataset = open_dataset(tmp_path / "data" / "train" / "sandbar")
    (task,) = draw_tasks(dataset, Target.OBJECT, EvalProtocol())
    laid = asked(task, Truth(), EvalProtocol())
    assert laid.ignore[40:].all() and not laid.ignore[:40].any() and values.shape[0] == 3
