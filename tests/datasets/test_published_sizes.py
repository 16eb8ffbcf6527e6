"""Lists of the published sizes, of files of one byte, come into the splits that the papers count."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest

from terraclick.datasets.catalogue import declaration_of
from terraclick.datasets.crops import crop_windows


def fake(root, names):
    """Files of one byte: a scan looks at names alone."""
    folders = set()
    for name in names:
        path = root / name
        if path.parent not in folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            folders.add(path.parent)
        path.write_bytes(b"x")
    return root


def splits_of(name, source, protocol=None):
    declaration = declaration_of(name)
    return dict(Counter(scene.split for scene in declaration.scan(source, declaration.settings(protocol)).scenes))


def published(name, protocol):
    """What the declaration says that the paper counts: split → pictures."""
    counts = declaration_of(name).counts
    return {
        what.split()[0]: n for (table, what), n in counts.items() if table == protocol and what.endswith("pictures")
    }


def coco(path, pictures, category="head"):
    """A COCO file with one object a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"id": n, "file_name": name, "height": 9, "width": 9} for n, name in enumerate(pictures)]
    items = [
        {"id": n, "image_id": n, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 5]]} for n in range(len(images))
    ]
    path.write_text(json.dumps({"images": images, "annotations": items, "categories": [{"id": 1, "name": category}]}))


def test_loveda(tmp_path):
    sizes = {("Train", "Urban"): 1156, ("Train", "Rural"): 1366, ("Val", "Urban"): 677, ("Val", "Rural"): 992}
    sizes[("Test", "Urban")] = 820
    start = 0
    for (split, part), count in sizes.items():
        for kind in ("images_png", "masks_png")[: 1 + (split != "Test")]:
            fake(tmp_path, [f"{split}/{part}/{kind}/{n}.png" for n in range(start, start + count)])
        start += count
    assert splits_of("loveda", tmp_path, "bicor") == published("loveda", "bicor") == {"train": 2522, "val": 1669}
    urban = splits_of("loveda", tmp_path, "isrefiner")
    assert urban == {"train": 1156, "val": 677} and sum(urban.values()) == 1833  # the images that RS-ISRefiner counts


def test_nwpu(tmp_path):
    names = [f"{n:03d}.jpg" for n in range(1, 651)]
    fake(tmp_path / "positive image set", names)
    fake(tmp_path / "negative image set", [f"{n:03d}_n.jpg" for n in range(1, 151)])
    coco(tmp_path / "annotations.json", names)
    assert splits_of("nwpu", tmp_path) == published("nwpu", "isrefiner") == {"test": 650}


def test_partimagenet(tmp_path):
    sizes = published("partimagenet", "refcut")
    assert sizes == {"train": 20466, "val": 1206, "test": 2408} and sum(sizes.values()) == 24080
    for split, count in sizes.items():
        names = [f"n{n % 158:08d}_{split}{n}.JPEG" for n in range(count)]
        fake(tmp_path / "images" / split, names)
        coco(tmp_path / "annotations" / f"{split}.json", names)
    declaration = declaration_of("partimagenet")
    scan = declaration.scan(tmp_path, declaration.settings(None))
    assert dict(Counter(scene.split for scene in scan.scenes)) == sizes
    assert sum(" " not in name for name in scan.classes.values()) == 158 + 1  # categories, and the background


def coco_lvis(root, train, val, without):
    """LVIS v1's lists in COCO's folders: most pictures of val are from train2017, some of train have no object."""
    names = [f"{n:012d}.jpg" for n in range(1, train + val + 1)]
    shared = val - 5000
    fake(root / "train2017", names[: train + shared])
    fake(root / "val2017", names[train + shared :])
    for split, listed, empty in (("train", names[:train], without), ("val", names[train:], 0)):
        images = [
            {"id": int(n[:12]), "height": 9, "width": 9, "coco_url": f"http://images.cocodataset.org/train2017/{n}"}
            for n in listed
        ]
        items = [
            {"id": n, "image_id": one["id"], "category_id": 1 + n % 1203, "segmentation": [[1, 1, 5, 1, 5, 5]]}
            for n, one in enumerate(images[empty:])
        ]
        kinds = [{"id": n, "name": f"kind_{n}"} for n in range(1, 1204)]
        path = root / "annotations" / f"lvis_v1_{split}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"images": images, "annotations": items, "categories": kinds}))


def test_coco_lvis(tmp_path):
    """LVIS v1's 100170 and 19809 pictures, less those without an object; only pixels say how many objects there are."""
    without = 170
    coco_lvis(tmp_path, 100170, 19809, without)
    declaration = declaration_of("coco-lvis")
    scan = declaration.scan(tmp_path, declaration.settings(None))
    found = dict(Counter(scene.split for scene in scan.scenes))
    assert found == {"train": 100000, "val": 19809}
    assert len(scan.classes) == 1 + 1203
    place = {scene.split: Counter() for scene in scan.scenes}
    for scene in scan.scenes:
        place[scene.split][scene.image.parent.name] += 1
    for folder in ("train2017", "val2017"):
        shutil.rmtree(tmp_path / folder)  # 120000 files
    assert place == {"train": {"train2017": 100000}, "val": {"train2017": 14809, "val2017": 5000}}


def test_pascal_part(tmp_path):
    """10103 pictures with parts; of 964 validation pictures those on SBD's list of 8498 are not judged."""
    savemat = pytest.importorskip("scipy.io").savemat
    names = [f"2008_{n:06d}" for n in range(10103)]
    voc, trained = names[:964], names[600 : 600 + 8498]
    (tmp_path / "Annotations_Part").mkdir()
    mask = np.ones((2, 2), np.uint8)
    part = np.array([{"part_name": "head", "mask": mask}], object)
    thing = {"class": "dog", "class_ind": 12, "mask": mask, "parts": part}
    first = tmp_path / "Annotations_Part" / f"{names[0]}.mat"
    savemat(first, {"anno": {"imname": names[0], "objects": np.array([thing], object)}})
    for name in names[1:]:
        first.with_stem(name).hardlink_to(first)
    fake(tmp_path / "VOCdevkit" / "VOC2010" / "JPEGImages", [f"{name}.jpg" for name in names])
    for path, listed in (
        ("VOCdevkit/VOC2010/ImageSets/Segmentation/val.txt", voc),
        ("VOCdevkit/VOC2010/ImageSets/Segmentation/train.txt", names[-964:]),
        ("benchmark_RELEASE/dataset/train.txt", trained),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("\n".join(listed))
    assert splits_of("pascal-part", tmp_path) == {"val": 600, "train": 9503}


def test_sbd(tmp_path):
    root, start = tmp_path / "benchmark_RELEASE" / "dataset", 0
    for split, count in published("sbd", "simpleclick").items():
        names = [f"2008_{n:06d}" for n in range(start, start + count)]
        fake(
            root,
            [f"{folder}/{name}{ending}" for name in names for folder, ending in (("img", ".jpg"), ("inst", ".mat"))],
        )
        (root / f"{split}.txt").write_text("\n".join(names))
        start += count
    assert splits_of("sbd", tmp_path) == {"train": 8498, "val": 2857}


def test_tda(tmp_path):
    for part, kinds in (("TDA-PD", 50), ("TDA-OD", 30)):
        folder = tmp_path / part
        fake(folder, [f"thing{k}/{n}.{ending}" for k in range(kinds) for n in range(1, 6) for ending in ("jpg", "png")])
        fake(folder, [])
        for k in range(kinds):
            (folder / f"thing{k}" / "tags.txt").write_text("one\ntwo\n")
    declaration = declaration_of("tda")
    scan = declaration.scan(tmp_path, declaration.settings(None))
    assert dict(Counter(scene.split for scene in scan.scenes)) == published("tda", "refcut") == {"test": 400}
    assert len(scan.classes) == 1 + 80 * 3  # the 80 objects and pairs, two tags each


def test_whu(tmp_path):
    folder = tmp_path / "2. The cropped image tiles and raster labels"
    sizes = {"train": 13662, "test": 3726}
    for split, count in sizes.items():
        fake(folder / split, [f"{kind}/{n}.tif" for kind in ("image", "label") for n in range(count)])
    assert splits_of("whu", tmp_path) == sizes and sum(sizes.values()) == 17388  # satellite dataset II


@pytest.mark.parametrize(
    ("name", "protocol", "shape", "count"),
    [
        ("inria", "crosscut", (5000, 5000), 25),  # 180 × 25 = 4500 patches
        ("potsdam", "segmap", (6000, 6000), 100),  # 3200 and 600 patches of 32 and 6 pictures
        ("potsdam", "bicor", (6000, 6000), 36),
        ("deepglobe", "crosscut", (1024, 1024), 1),
        ("loveda", "bicor", (1024, 1024), 1),
        ("sandbar", "isrefiner", (512, 512), 1),
    ],
)
def test_patches_of_a_picture(name, protocol, shape, count):
    assert len(crop_windows(shape, declaration_of(name).settings(protocol))) == count
