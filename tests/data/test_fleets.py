"""The dataset of made-up aircraft, ships and tanks: true instances, many shapes, the same from the same seed."""

import runpy
import sys
from pathlib import Path

import cv2
import numpy as np

from terraclick.core.masks import iou
from terraclick.data.datasets import object_tasks, open_dataset

DEV = Path(__file__).parents[2] / "dev"
sys.path.append(str(DEV))
SCRIPT = runpy.run_path(str(DEV / "make_fleets.py"))


def test_a_folder_is_read_as_a_dataset_with_an_object_for_every_thing(tmp_path):
    SCRIPT["write_fleets"](tmp_path / "fleets", count=8, seed=2, side=256)
    dataset = open_dataset(tmp_path / "fleets")
    tasks = object_tasks(dataset)
    assert {task.cls for task in tasks} >= {"airplane", "ship"}
    for task in tasks[:8]:
        truth, ignore = task.truth()
        assert truth.any()
        assert not ignore.any()
        assert task.picture.image().shape == (256, 256, 3)


def test_a_scene_depends_on_its_seed_alone():
    first, second, other = (SCRIPT["make_scene"](np.random.default_rng(seed), 128) for seed in (3, 3, 4))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.instances, second.instances)
    assert not np.array_equal(first.image, other.image)


def test_no_two_aircraft_have_one_shape():
    shapes = []
    for seed in range(6):
        mask = np.zeros((200, 200), np.uint8)
        for layer in SCRIPT["aeroplane"](np.random.default_rng(seed)):
            cv2.fillPoly(mask, [np.rint(layer.points * 150 + 100).astype(np.int32)], 1)
        shapes.append(mask > 0)
    assert max(iou(a, b) for n, a in enumerate(shapes) for b in shapes[:n]) < 0.97


def test_a_thing_differs_from_the_ground_beside_it():
    scene = SCRIPT["make_scene"](np.random.default_rng(9), 256)
    image, instances = scene.image, scene.instances
    assert np.array_equal(instances > 0, scene.classes > 0)
    edges = [
        np.abs(image[instances == number].mean(axis=0) - image[instances == 0].mean(axis=0)).max()
        for number in np.unique(instances)[1:]
    ]
    assert np.median(edges) > 10
