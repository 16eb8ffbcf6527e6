"""Labelled folders: what is read, what can be asked of it, and what is said of folders that do not fit."""

import json

import cv2
import numpy as np
import pytest

from terraclick.data.datasets import class_tasks, object_tasks, open_dataset, open_datasets
from terraclick.errors import BadData
from terraclick.values import Target


def test_a_folder_is_read(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    assert dataset.name == "tiny" and dataset.classes == {0: "ground", 1: "building", 2: "road"}
    assert dataset.task_classes == (1, 2) and dataset.true_instances
    first, second = dataset.pictures
    assert (first.id, first.shape, first.gsd) == ("a", (72, 96), 0.3)
    assert first.image().shape == (72, 96, 3) and np.array_equal(first.classes()[:, ::-1], second.classes())
    for thing in first.objects:
        assert np.count_nonzero(first.instances() == thing.id) == thing.area


def test_pictures_are_rgb(tiny_dataset):
    picture = open_dataset(tiny_dataset).pictures[0]
    red, green, blue = picture.image()[picture.classes() == 1].mean(axis=0)
    assert red > green > blue


def test_tasks_are_the_named_things_and_kinds(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    assert len(object_tasks(dataset)) == 6 and len(object_tasks(dataset, max_area=600)) == 2
    assert {task.cls for task in class_tasks(dataset)} == {"building", "road"}
    assert not class_tasks(dataset, fill=(0.5, 0.9))
    names = [task.name for task in object_tasks(dataset) + class_tasks(dataset)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("target", list(Target))
def test_truth_and_ignore(target, tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    task = (object_tasks if target is Target.OBJECT else class_tasks)(dataset)[0]
    truth, ignore = task.truth()
    assert truth.dtype == ignore.dtype == bool and np.count_nonzero(ignore) == 72 and not (truth & ignore).any()
    assert np.count_nonzero(truth) == (520 if target is Target.OBJECT else 520 + 720)


def test_every_set_below_a_folder_is_found(tiny_dataset):
    assert [d.name for d in open_datasets(tiny_dataset.parent)] == [d.name for d in open_datasets(tiny_dataset)]
    with pytest.raises(BadData, match="name one of its datasets"):
        open_dataset(tiny_dataset.parent)


def test_an_empty_folder_is_no_dataset(tmp_path):
    for opens in (open_dataset, open_datasets):
        with pytest.raises(BadData, match=r"meta\.json"):
            opens(tmp_path)


@pytest.mark.parametrize("damage", ["not json", "[]", '{"classes": {"x": "y"}}', '{"classes": {}, "images": [3]}'])
def test_a_damaged_description_is_refused(damage, own_dataset):
    (own_dataset / "meta.json").write_text(damage)
    with pytest.raises(BadData, match="does not describe a dataset"):
        open_dataset(own_dataset)


def test_missing_and_damaged_pictures_are_refused(own_dataset):
    picture = open_dataset(own_dataset).pictures[0]
    (own_dataset / "images" / "a.jpg").unlink()
    (own_dataset / "masks" / "a.png").write_bytes(b"no picture")
    for read in (picture.image, picture.classes):
        with pytest.raises(BadData, match="missing or no picture"):
            read()


def test_sizes_and_channels_must_fit(own_dataset):
    picture = open_dataset(own_dataset).pictures[0]
    cv2.imwrite(str(own_dataset / "masks" / "a.png"), np.zeros((72, 96, 3), np.uint8))
    with pytest.raises(BadData, match="single-channel"):
        picture.classes()
    meta = json.loads((own_dataset / "meta.json").read_text())
    meta["images"][0]["width"] = 97
    (own_dataset / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(BadData, match=r"meta\.json says \(72, 97\)"):
        open_dataset(own_dataset).pictures[0].image()
