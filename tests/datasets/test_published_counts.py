"""Counts that depend on pixels: the rules give the papers' numbers on made-up pictures that hold as many things."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from make_sources import write_tif

from terraclick.data.datasets import open_dataset
from terraclick.datasets.catalogue import declaration_of
from terraclick.datasets.isprs import COLOURS
from terraclick.datasets.preparation import prepare

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

CITIES = ("austin", "chicago", "kitsap", "tyrol-w", "vienna")


def test_inria_keeps_the_patches_that_show_a_building(tmp_path):
    """180 pictures of 25 patches each, dealt 126 to 54; 224 and 104 of their patches show nothing: 2926 and 1246 stay.

    Patches are a hundredth as long as the published ones.
    """
    names = [f"{city}{number}" for city in CITIES for number in range(1, 37)]
    for name in names:  # the deal reads names alone
        for kind in ("images", "gt"):
            path = tmp_path / "source" / "train" / kind / f"{name}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    declaration = declaration_of("inria")
    settings = replace(declaration.settings("crosscut"), crop=10)
    dealt = {scene.name: scene.split for scene in declaration.scan(tmp_path / "source", settings).scenes}
    empty = {"train": 224, "test": 104}
    for name in names:
        label = np.zeros((50, 50), np.uint8)
        for place in range(25):
            if empty[dealt[name]]:
                empty[dealt[name]] -= 1
                continue
            row, col = (10 * n for n in divmod(place, 5))
            label[row + 3 : row + 6, col + 2 : col + 8] = 255
        write_tif(tmp_path / "source" / "train" / "gt" / f"{name}.tif", label[None])
        write_tif(tmp_path / "source" / "train" / "images" / f"{name}.tif", np.full((3, 50, 50), 90, np.uint8))
    found = prepare(declaration, tmp_path / "source", tmp_path / "out", settings, protocol="crosscut")
    assert {split.split: split.pictures for split in found.splits} == {"train": 2926, "test": 1246}
    assert all("the same" in split.sentence() for split in found.splits)


def test_potsdam_counts_the_connected_parts_of_a_patch(tmp_path):
    """38 pictures of 100 patches, dealt 32 to 6, with 47152 and 10365 parts of at least the smallest size.

    Patches are 60 pixels wide here and the smallest part has 3 (30 of 600 in the paper). A part that a patch's edge
    cuts counts in both patches; smaller ones and clutter do not count.
    """
    names = [f"{row}_{col}" for row in range(2, 8) for col in range(7, 16)][:38]
    source, crop, smallest = tmp_path / "source", 60, 3
    for name in names:
        for path in (f"2_Ortho_RGB/top_potsdam_{name}_RGB.tif", f"5_Labels_all/top_potsdam_{name}_label.tif"):
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_bytes(b"x")
    declaration = declaration_of("potsdam")
    settings = replace(declaration.settings("segmap"), crop=crop, min_area=smallest)
    scenes = declaration.scan(source, settings).scenes
    totals = {"train": 47152, "test": 10365}
    patches = {split: 100 * sum(scene.split == split for scene in scenes) for split in totals}
    assert patches == {"train": 3200, "test": 600}
    colours = np.array([colour for colour, _ in sorted(COLOURS.items(), key=lambda item: item[1])], np.uint8)
    for scene in scenes:
        label = np.full((10 * crop, 10 * crop), 5, np.uint8)  # clutter
        for place in range(100):
            row, col = (crop * n for n in divmod(place, 10))
            number, patches[scene.split] = -(-totals[scene.split] // patches[scene.split]), patches[scene.split] - 1
            totals[scene.split] -= number
            across = 1 if place % 10 < 9 else 0  # a road over the edge to the next patch: a part here and one there
            inner = number - across - (1 if place % 10 else 0)
            for thing in range(inner):
                top, left = (4 + 8 * n for n in divmod(thing, 6))
                label[row + top : row + top + 3, col + left : col + left + 3] = thing % 5
            label[row + 50 : row + 52, col + 10] = 1  # two pixels: too small
            if across:
                label[row + 55 : row + 58, col + crop - 3 : col + crop + 3] = 0
        write_tif(scene.labels[0], colours[label].transpose(2, 0, 1))
        write_tif(scene.image, np.full((3, *label.shape), 90, np.uint8))
    found = prepare(declaration, source, tmp_path / "out", settings, protocol="segmap")
    counts = {split.split: (split.pictures, split.objects) for split in found.splits}
    assert counts == {"train": (3200, 47152), "test": (600, 10365)}
    assert all(split.sentence().count("the same") == 2 for split in found.splits)


def test_a_prepared_patch_lists_what_it_counts(tmp_path):
    """The counts are those of meta.json, and its masks show as many parts."""
    source = tmp_path / "source"
    label = np.full((60, 60), 5, np.uint8)
    label[5:9, 5:9], label[20:24, 20:24], label[24:28, 24:28], label[40, 40:42] = 1, 1, 1, 1
    colours = np.array([colour for colour, _ in sorted(COLOURS.items(), key=lambda item: item[1])], np.uint8)
    for number in range(2):
        write_tif(source / f"5_Labels_all/top_potsdam_2_1{number}_label.tif", colours[label].transpose(2, 0, 1))
        write_tif(source / f"2_Ortho_RGB/top_potsdam_2_1{number}_RGB.tif", np.full((3, 60, 60), 90, np.uint8))
    declaration = declaration_of("potsdam")
    prepare(declaration, source, tmp_path / "out", replace(declaration.settings("segmap"), crop=60, min_area=3))
    picture = open_dataset(tmp_path / "out" / "train" / "potsdam_rgb").pictures[0]
    assert [thing.area for thing in picture.objects] == [16, 32]  # corners touch: one part
    instances = cv2.imread(str(next((tmp_path / "out" / "train").rglob("instances/*.png"))), cv2.IMREAD_UNCHANGED)
    assert np.unique(instances).tolist() == [0, 1, 2]
