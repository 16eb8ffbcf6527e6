"""Nothing is lost between a labelled folder and the model: bit depth, bands, class numbers, several labels a pixel."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine

from terraclick.data.datasets import IGNORE, class_tasks, object_tasks, open_dataset
from terraclick.errors import BadData
from terraclick.geo.raster import read_limits, read_view
from terraclick.values import Target

SHAPE = (40, 60)


def write_tif(path, values, **more):
    """(bands, H, W) → GeoTIFF of half a metre."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=values.shape[1],
        width=values.shape[2],
        count=len(values),
        dtype=values.dtype,
        crs="EPSG:32633",
        transform=Affine(0.5, 0, 500000, 0, -0.5, 5000000),
        **more,
    ) as file:
        file.write(values)


def folder_of(path, image, masks, instances, objects, classes, **more):
    """A dataset of one picture; masks and instances are lists of arrays, one a layer."""
    for part in ("images", "masks", "instances"):
        (path / part).mkdir(parents=True)
    write_tif(path / "images" / "a.tif", image, **more.pop("tif", {}))
    files = {"mask": masks, "instances": instances}
    for key, layers in files.items():
        names = [f"{'masks' if key == 'mask' else key}/a{n or ''}.png" for n in range(len(layers))]
        for name, array in zip(names, layers, strict=True):
            cv2.imwrite(str(path / name), array)
        files[key] = names[0] if len(names) == 1 else names
    entry = {"image": "images/a.tif", "height": SHAPE[0], "width": SHAPE[1], "objects": objects, **files, **more}
    meta = {"dataset": path.name, "classes": classes, "true_instances": True, "images": [entry]}
    (path / "meta.json").write_text(json.dumps(meta))
    return open_dataset(path)


def ramp(bands, top=4000, dtype=np.uint16):
    """Every band another ramp from 0 to `top`."""
    flat = np.linspace(0, top, SHAPE[0] * SHAPE[1]).astype(dtype).reshape(SHAPE)
    return np.stack([np.roll(flat, 7 * band, axis=1) for band in range(bands)])


def plain(path, image, **more):
    mask = np.zeros(SHAPE, np.uint8)
    mask[10:30, 20:50] = 1
    objects = [{"id": 1, "cls": 1, "area": 600}]
    return folder_of(path, image, [mask], [mask.astype(np.uint16)], objects, {0: "ground", 1: "roof"}, **more)


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_16_bit_pictures_are_seen_as_segment_sees_them(tmp_path, bands):
    picture = plain(tmp_path / "set", ramp(bands)).pictures[0]
    expected, _ = read_view(tmp_path / "set" / "images" / "a.tif")
    view = picture.view()
    assert np.array_equal(view.image, expected.image) and view.gsd == expected.gsd
    assert view.image.min() == 0 and view.image.max() == 255  # not 0 … 16
    assert np.array_equal(picture.values(), ramp(bands).transpose(1, 2, 0))  # band 4 and every value are still there


def test_the_first_red_value_is_exact(tmp_path):
    picture = plain(tmp_path / "set", ramp(3), stretch=[[1000, 3000]] * 3).pictures[0]
    values = ramp(3).transpose(1, 2, 0).astype(float)
    assert np.array_equal(picture.image(), np.rint(np.clip((values - 1000) * 255 / 2000, 0, 255)).astype(np.uint8))


def test_bands_are_chosen_by_the_description(tmp_path):
    image = np.stack([np.full(SHAPE, 10 * band, np.uint8) for band in (1, 2, 3, 4)])
    picture = plain(tmp_path / "set", image, bands=[4, 1, 2]).pictures[0]
    assert picture.image()[0, 0].tolist() == [40, 10, 20]
    assert picture.values()[0, 0].tolist() == [10, 20, 30, 40]


def test_pixels_without_data_are_told(tmp_path):
    image = ramp(3)
    image[:, :5] = 9
    view = plain(tmp_path / "set", image, tif={"nodata": 9}).pictures[0].view()
    assert view.valid is not None and not view.valid[:5].any() and view.valid[5:].all()


def test_a_part_of_a_large_image_keeps_the_look_of_the_whole(tmp_path):
    write_tif(tmp_path / "whole.tif", np.concatenate([ramp(3), ramp(3, 20000)], axis=1))
    bands, limits = read_limits(tmp_path / "whole.tif")
    picture = plain(tmp_path / "set", ramp(3), bands=bands, stretch=limits).pictures[0]
    assert np.array_equal(picture.image(), read_view(tmp_path / "whole.tif")[0].image[: SHAPE[0]])


def test_300_classes_keep_their_numbers(tmp_path):
    mask = np.zeros(SHAPE, np.uint16)
    for number, col in ((44, 0), (255, 15), (256, 30), (299, 45)):
        mask[:, col : col + 15] = number
    mask[:4] = 65535
    objects = [{"id": n, "cls": n, "area": 540} for n in (44, 255, 256, 299)]
    classes = {n: f"class {n}" for n in range(300)}
    dataset = folder_of(tmp_path / "set", ramp(3), [mask], [mask * (mask < 300)], objects, classes)
    picture = dataset.pictures[0]
    assert np.array_equal(picture.classes(), mask) and picture.classes().dtype == np.uint16
    assert [task.cls for task in class_tasks(dataset)] == ["class 44", "class 255", "class 256", "class 299"]
    for task in class_tasks(dataset) + object_tasks(dataset):
        truth, ignore = task.truth()
        assert np.count_nonzero(truth) == 540 and np.count_nonzero(ignore) == 240 and not (truth & ignore).any()


def test_numbers_that_do_not_fit_are_refused(tmp_path):
    mask = np.full(SHAPE, 70000, np.float32)
    dataset = plain(tmp_path / "set", ramp(3))
    write_tif(tmp_path / "set" / "masks" / "a0.png", mask[None])
    (tmp_path / "set" / "masks" / "a0.png").rename(tmp_path / "set" / "masks" / "a.png")
    with pytest.raises(BadData, match="whole numbers of 0 to 65535"):
        dataset.pictures[0].classes()


@pytest.fixture
def dog(tmp_path):
    """A dog (class 1) with a head (2) and a body (3), and a frisbee (4) that it bites."""
    whole, parts = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    whole[10:30, 10:40] = 1
    whole[10:20, 40:50] = 4
    whole[:3] = 255
    parts[:] = whole
    parts[10:30, 10:20], parts[10:30, 20:40] = 2, 3
    ids, part_ids = np.zeros(SHAPE, np.uint16), np.zeros(SHAPE, np.uint16)
    ids[whole == 1], ids[whole == 4], part_ids[parts == 2], part_ids[parts == 3] = 1, 2, 3, 4
    objects = [
        {"id": 1, "cls": 1, "area": 600},
        {"id": 2, "cls": 4, "area": 100},
        {"id": 3, "cls": 2, "area": 200, "layer": 1},
        {"id": 4, "cls": 3, "area": 400, "layer": 1},
    ]
    classes = {0: "background", 1: "dog", 2: "dog head", 3: "dog body", 4: "frisbee"}
    return folder_of(tmp_path / "dog", ramp(3), [whole, parts], [ids, part_ids], objects, classes)


def test_two_labels_a_pixel(dog):
    wanted = {"dog": 600, "dog head": 200, "dog body": 400, "frisbee": 100}
    for tasks in (object_tasks(dog, min_area=1), class_tasks(dog)):
        assert {task.cls: int(np.count_nonzero(task.truth()[0])) for task in tasks} == wanted
        assert all(np.count_nonzero(task.truth()[1]) == 180 for task in tasks)
    assert {task.target for task in object_tasks(dog, min_area=1)} == {Target.OBJECT}


def test_an_example_shows_labels_of_all_layers(dog):
    task = next(task for task in object_tasks(dog, min_area=1) if task.cls == "dog")
    task = replace(task, example=task.picture, others=(2, 3, 4))
    positive, negative = task.references("both")
    assert np.count_nonzero(positive.mask) == 600 and np.count_nonzero(negative.mask) == 100  # parts are the dog's own


def test_episodes_ask_for_labels_of_all_layers(dog):
    pytest.importorskip("torch")
    from terraclick.networks.recipe import EpisodeRule
    from terraclick.train.episodes import UNKNOWN, draw_episode, reader

    rule = EpisodeRule("class", side=120, scale=(1.0, 1.0), min_area=20, augment=False)
    read = reader([dog])
    sizes = {np.count_nonzero(draw_episode([dog], read, rule, np.random.default_rng(n)).truth == 1) for n in range(60)}
    assert sizes == {600, 200, 400, 100}
    episode = draw_episode([dog], read, rule, np.random.default_rng(0))
    assert np.count_nonzero(episode.truth == UNKNOWN) == 120 * 120 - SHAPE[0] * SHAPE[1] + 180
    assert read(0, 0).planes[1][0].max() == IGNORE
