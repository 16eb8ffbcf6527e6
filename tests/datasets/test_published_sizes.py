"""Lists of the published sizes, of files of one byte, come into the splits that the papers count."""

import json
from collections import Counter

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
