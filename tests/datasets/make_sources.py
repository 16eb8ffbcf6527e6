"""Miniatures of published datasets in their published folders: `python tests/datasets/make_sources.py NAME FOLDER`.

Every picture is a grass field with bright things on it, placed by the seed of its number, so that counts are known.
"""

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import cv2
import numpy as np
import rasterio
from affine import Affine

ISAID = {1: (0, 0, 63), 8: (0, 127, 127), 14: (0, 127, 255)}  # ship, large vehicle, plane
ISPRS = {0: (255, 255, 255), 1: (0, 0, 255), 2: (0, 255, 255), 3: (0, 255, 0), 4: (255, 255, 0), 5: (255, 0, 0)}


def scene(number, shape, kinds=(1,), count=3):
    """(image (H, W, 3), classes, instances): `count` bright boxes that do not touch, their classes in turn."""
    rng = np.random.default_rng(number)
    rows, cols = shape
    image = np.clip(np.array([60, 110, 60]) + rng.normal(0, 6, (rows, cols, 3)), 0, 255)
    classes, instances = np.zeros(shape, np.uint8 if max(kinds) < 256 else np.uint16), np.zeros(shape, np.int32)
    width = cols // count
    for thing in range(count):
        top, left = int(rng.integers(2, rows // 3)), thing * width + 3
        box = np.s_[top : top + rows // 3, left : left + width - 8]
        kind = kinds[thing % len(kinds)]
        image[box] = np.clip(
            np.array([210, 180 - 30 * thing, 90 + 20 * (kind % 8)]) + rng.normal(0, 5, image[box].shape), 0, 255
        )
        classes[box], instances[box] = kind, thing + 1
    return image.astype(np.uint8), classes, instances


def write(path, array):
    """PNG or JPEG of RGB or numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = array[..., ::-1] if array.ndim == 3 else array
    assert cv2.imwrite(str(path), np.ascontiguousarray(stored))


def write_tif(path, bands, gsd=0.3):
    """GeoTIFF of (bands, H, W), as published: uncompressed, placed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = np.ascontiguousarray(bands)
    size = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
    place = {"crs": "EPSG:32633", "transform": Affine(gsd, 0, 360000, 0, -gsd, 5800000)}
    with rasterio.open(path, "w", driver="GTiff", **size, **place) as file:
        file.write(bands)


def coloured(classes, table):
    """Class numbers as the colours of a table."""
    colours = np.zeros((*classes.shape, 3), np.uint8)
    for number, colour in table.items():
        colours[classes == number] = colour
    return colours


def isaid(root):
    """Two pictures to train on, one to validate; three objects each."""
    for split, numbers in (("train", (0, 1)), ("val", (2,))):
        for number in numbers:
            image, classes, ids = scene(number, (120, 180), (1, 8, 14))
            colours = np.stack([ids * 40 % 256, ids, ids * 0], axis=2).astype(np.uint8)
            name = f"P{number:04d}"
            write(root / split / "images" / "images" / f"{name}.png", image)
            write(
                root / split / "Semantic_masks" / "images" / f"{name}_instance_color_RGB.png", coloured(classes, ISAID)
            )
            write(root / split / "Instance_masks" / "images" / f"{name}_instance_id_RGB.png", colours)


def deepglobe(root):
    """Ten labelled pictures, two of the validation without a mask."""
    for number in range(10):
        image, classes, _ = scene(number, (96, 96))
        write(root / "train" / f"{number + 100}_sat.jpg", image)
        write(
            root / "train" / f"{number + 100}_mask.png", (classes[..., None] > 0) * np.array([255, 255, 255], np.uint8)
        )
    for number in range(2):
        write(root / "valid" / f"{number}_sat.jpg", scene(number, (96, 96))[0])


def inria(root):
    """Ten tiles of two cities; the last has no building."""
    for number in range(10):
        image, classes, _ = scene(number, (100, 100))
        name = f"{('austin', 'vienna')[number % 2]}{number // 2 + 4}"
        if number == 9:
            classes[:] = 0
        write_tif(root / "AerialImageDataset" / "train" / "images" / f"{name}.tif", image.transpose(2, 0, 1))
        write_tif(root / "AerialImageDataset" / "train" / "gt" / f"{name}.tif", (classes * np.uint8(255))[None])
        write_tif(
            root / "AerialImageDataset" / "test" / "images" / f"bloomington{number}.tif", image.transpose(2, 0, 1)
        )


def potsdam(root):
    """Four pictures of four bands with every class; one label has colours that are not clean."""
    for number, name in enumerate(("2_10", "2_11", "3_10", "4_12")):
        image, classes, _ = scene(number, (120, 120), (1, 4, 5))
        classes[80:100], classes[100:110] = 2, 3
        four = np.dstack([image, 255 - image[..., 0]])
        label = coloured(classes, ISPRS)
        label = np.where(label == 255, 252 if name == "4_12" else 255, label)
        write_tif(root / "2_Ortho_RGB" / f"top_potsdam_{name}_RGB.tif", image.transpose(2, 0, 1), 0.05)
        write_tif(root / "4_Ortho_RGBIR" / f"top_potsdam_{name}_RGBIR.tif", four.transpose(2, 0, 1), 0.05)
        write_tif(root / "5_Labels_all" / f"top_potsdam_{name}_label.tif", label.transpose(2, 0, 1), 0.05)


def vaihingen(root):
    """Three areas, infrared first, and the eroded labels that are not to be taken."""
    for number, area in enumerate((1, 2, 30)):
        image, classes, _ = scene(number, (110, 90), (1, 4))
        label = coloured(classes, ISPRS)
        truths = root / "ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE"
        write_tif(root / "top" / f"top_mosaic_09cm_area{area}.tif", image.transpose(2, 0, 1), 0.09)
        write_tif(truths / f"top_mosaic_09cm_area{area}.tif", label.transpose(2, 0, 1), 0.09)
        eroded = root / "eroded" / f"top_mosaic_09cm_area{area}_noBoundary.tif"
        write_tif(eroded, np.zeros_like(label).transpose(2, 0, 1), 0.09)


def loveda(root):
    """Two pictures of Urban and one of Rural for training, one of each for validation; a strip without data."""
    for split, part, numbers in (
        ("Train", "Urban", (0, 1)),
        ("Train", "Rural", (2,)),
        ("Val", "Urban", (3,)),
        ("Val", "Rural", (4,)),
    ):
        for number in numbers:
            image, classes, _ = scene(number, (96, 128), (1, 2))
            mask = classes + np.uint8(1)
            mask[-4:] = 0
            write(root / split / part / "images_png" / f"{number}.png", image)
            write(root / split / part / "masks_png" / f"{number}.png", mask)


def whu(root):
    """The cropped tiles of satellite dataset II: training and test."""
    folder = root / "Satellite dataset II (East Asia)" / "2. The cropped image tiles and raster labels"
    for split, numbers in (("train", (0, 1)), ("test", (2,))):
        for number in numbers:
            image, classes, _ = scene(number, (128, 128))
            write_tif(folder / split / "image" / f"{number}.tif", image.transpose(2, 0, 1))
            write_tif(folder / split / "label" / f"{number}.tif", (classes * np.uint8(255))[None])


def boxes_of(classes, instances, first=1):
    """COCO objects of boxes, polygons around their pixels."""
    found = []
    for number in range(1, int(instances.max()) + 1):
        rows, cols = np.nonzero(instances == number)
        top, left, bottom, right = (int(v) for v in (rows.min(), cols.min(), rows.max() + 1, cols.max() + 1))
        found.append(
            {
                "id": first + len(found),
                "category_id": int(classes[rows[0], cols[0]]),
                "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
                "bbox": [left, top, right - left, bottom - top],
                "area": len(rows),
                "iscrowd": 0,
            }
        )
    return found


def coco_json(path, pictures, names):
    """A COCO file of (file name, id, shape, objects)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [
        {"id": number, "file_name": name, "height": shape[0], "width": shape[1]} for name, number, shape, _ in pictures
    ]
    objects = [item | {"image_id": number} for _, number, _, items in pictures for item in items]
    for number, item in enumerate(objects, start=1):
        item["id"] = number
    categories = [{"id": number, "name": name} for number, name in names.items()]
    text = {
        "info": {"year": 2020, "x": [1, {"y": "}]"}]},
        "images": images,
        "annotations": objects,
        "categories": categories,
    }
    path.write_text(json.dumps(text))


def nwpu(root):
    """Three pictures, three objects each, one of them a crowd that is not asked for."""
    pictures = []
    for number in range(1, 4):
        image, classes, ids = scene(number, (100, 140), (1, 2, 10))
        write(root / "positive image set" / f"{number:03d}.jpg", image)
        objects = boxes_of(classes, ids)
        objects[2]["iscrowd"] = int(number == 3)
        pictures.append((f"{number:03d}.jpg", number, (100, 140), objects))
    write(root / "negative image set" / "001_n.png", image)
    coco_json(root / "annotations.json", pictures, {1: "airplane", 2: "ship", 10: "vehicle"})


def sandbar(root):
    """16-bit pictures of three bands, training and test."""
    for split, numbers in (("train", (0, 1)), ("test", (2,))):
        pictures = []
        for number in numbers:
            image, classes, ids = scene(number, (96, 96), (1,))
            write_tif(root / "images" / f"sb_{number}.tif", image.astype(np.uint16).transpose(2, 0, 1) * 16, 15)
            pictures.append((f"sb_{number}.tif", number, (96, 96), boxes_of(classes, ids)))
        coco_json(root / "annotations" / f"instances_{split}.json", pictures, {1: "sandbar"})


def sbd(root):
    """Two pictures to train on, one to validate, in MATLAB files."""
    from scipy.io import savemat

    folder = root / "benchmark_RELEASE" / "dataset"
    for split, numbers in (("train", (0, 1)), ("val", (2,))):
        names = [f"2008_{number:06d}" for number in numbers]
        for number, name in zip(numbers, names, strict=True):
            image, classes, ids = scene(number, (90, 120), (8, 12), count=1 + number)
            write(folder / "img" / f"{name}.jpg", image)
            kinds = [int(classes[ids == n][0]) for n in range(1, ids.max() + 1)]
            (folder / "inst").mkdir(exist_ok=True)
            truth = {"Segmentation": ids.astype(np.uint8), "Categories": np.array(kinds, np.uint8)[:, None]}
            savemat(folder / "inst" / f"{name}.mat", {"GTinst": truth})
        (folder / f"{split}.txt").write_text("\n".join(names) + "\n")


def coco_lvis(root):
    """LVIS objects with another inside, and COCO objects of which one is LVIS's and one is new."""
    for split, number in (("train", 9), ("val", 25)):
        image, classes, ids = scene(number, (100, 120), (1, 1203))
        write(root / f"{split}2017" / f"{number:012d}.jpg", image)
        objects = boxes_of(classes, ids)
        left, top, width, height = objects[0]["bbox"]
        inside = [
            left + 4,
            top + 4,
            left + width - 4,
            top + 4,
            left + width - 4,
            top + height - 4,
            left + 4,
            top + height - 4,
        ]
        objects.append({"category_id": 7, "segmentation": [inside]})
        lvis = [(f"{number:012d}.jpg", number, (100, 120), objects)]
        coco_json(
            root / "annotations" / f"lvis_v1_{split}.json", lvis, {1: "aerosol_can", 7: "alarm_clock", 1203: "zucchini"}
        )
        text = json.loads((root / "annotations" / f"lvis_v1_{split}.json").read_text())
        for picture in text["images"]:  # as LVIS v1 names them
            picture["coco_url"] = f"http://images.cocodataset.org/{split}2017/{picture.pop('file_name')}"
        (root / "annotations" / f"lvis_v1_{split}.json").write_text(json.dumps(text))
        again = boxes_of(classes, ids)[1] | {"category_id": 90}
        new = {"category_id": 1, "segmentation": [[2, 90, 60, 90, 60, 98, 2, 98]]}
        coco = [(f"{number:012d}.jpg", number, (100, 120), [again, new])]
        coco_json(root / "annotations" / f"instances_{split}2017.json", coco, {1: "person", 90: "tooth brush"})


def partimagenet(root):
    """One picture a split and two for training, of two categories: head, body and foot that touch."""
    for split, names in (
        ("train", ("n01440764_10029", "n02123045_7")),
        ("val", ("n02123045_9",)),
        ("test", ("n01440764_31", "n02123045_11")),
    ):
        pictures = []
        for number, name in enumerate(names):
            image, _, _ = scene(len(name) + number, (80, 120))
            image[20:60, 10:100] = (200, 120, 90)
            image[20:60, 10:30] = (120, 60, 60)
            write(root / "images" / split / f"{name}.JPEG", image)
            parts = [(1, 10, 30), (2, 30, 80), (3, 80, 100)][: 2 + name.startswith("n02")]
            objects = [{"category_id": k, "segmentation": [[a, 20, b, 20, b, 60, a, 60]]} for k, a, b in parts]
            pictures.append((f"{name}.JPEG", number, (80, 120), objects))
        names_of = {1: "Quadruped Head", 2: "Quadruped Body", 3: "Quadruped Foot"}
        coco_json(root / "annotations" / f"{split}.json", pictures, names_of)


def pascal_part(root):
    """Two validation pictures, one of which SBD trains on; a dog with three parts and a person without any."""
    from scipy.io import savemat

    for number, name in enumerate(("2008_000003", "2008_000008")):
        image, _, _ = scene(number, (80, 120))
        dog, person = np.zeros((80, 120), np.uint8), np.zeros((80, 120), np.uint8)
        dog[20:60, 10:70], person[20:60, 90:110] = 1, 1
        image[dog > 0], image[person > 0] = (200, 120, 90), (90, 90, 200)
        parts = []
        for part, (start, stop) in {"head": (10, 30), "torso": (30, 60), "tail": (60, 70)}.items():
            mask = np.zeros_like(dog)
            mask[20:60, start:stop] = 1
            parts.append({"part_name": part, "mask": mask})
        objects = [
            {"class": "dog", "class_ind": 12, "mask": dog, "parts": np.array(parts, object)},
            {"class": "person", "class_ind": 15, "mask": person, "parts": np.array([], object)},
        ]
        (root / "Annotations_Part").mkdir(parents=True, exist_ok=True)
        savemat(
            root / "Annotations_Part" / f"{name}.mat",
            {"anno": {"imname": name, "objects": np.array(objects, object)}},
        )
        write(root / "VOCdevkit" / "VOC2010" / "JPEGImages" / f"{name}.jpg", image)
    lists = root / "VOCdevkit" / "VOC2010" / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2008_000001\n")
    (lists / "val.txt").write_text("2008_000003\n2008_000008\n")
    sbd_folder = root / "benchmark_RELEASE" / "dataset"
    sbd_folder.mkdir(parents=True)
    (sbd_folder / "train.txt").write_text("2008_000008\n")


def tda(root):
    """A pineapple (leaves, body) and a dog with its frisbee, two pictures each."""
    for part, kind, tags in (("TDA-PD", "pineapple", "leaves\nbody\n"), ("TDA-OD", "dog and frisbee", "")):
        for number in (1, 2):
            image, _, _ = scene(number, (80, 120))
            mask = np.zeros((80, 120), np.uint8)
            mask[20:60, 10:40], mask[20:60, 40:100] = 1, 2
            mask[:2] = 255
            image[mask == 1], image[mask == 2] = (60, 200, 60), (200, 160, 60)
            write(root / part / kind / f"{number}.jpg", image)
            write(root / part / kind / f"{number}.png", mask)
        if tags:
            (root / part / kind / "tags.txt").write_text(tags)


def session(root):
    """A session of two accepted roofs that overlap, and one that was not accepted, on a placed image."""
    import shapely
    from pyproj import CRS

    from terraclick.store.fields import MapObject
    from terraclick.store.geopackage import GeoPackageStore
    from terraclick.store.identity import image_hash
    from terraclick.store.values import StoredImage

    image, _, _ = scene(0, (160, 200))
    write_tif(root / "scene.tif", image.transpose(2, 0, 1), 0.5)
    with GeoPackageStore.create(root / "session.gpkg", CRS.from_epsg(32633)) as store:
        box = (360000.0, 5800000 - 80.0, 360100.0, 5800000.0)
        store.add_image(StoredImage("scene.tif", image_hash(root / "scene.tif"), store.crs, box))
        for (left, top, right, bottom), status in (
            ((5, 5, 25, 30), "accepted"),
            ((20, 20, 60, 40), "accepted"),
            ((70, 50, 90, 70), "proposed"),
        ):
            shape = shapely.MultiPolygon([shapely.box(360000 + left, 5800000 - bottom, 360000 + right, 5800000 - top)])
            store.add(MapObject(geometry=shape, image="scene.tif", class_name="roof", status=status))


MAKERS = {
    "isaid": isaid,
    "deepglobe": deepglobe,
    "inria": inria,
    "potsdam": potsdam,
    "vaihingen": vaihingen,
    "loveda": loveda,
    "whu": whu,
    "nwpu": nwpu,
    "sandbar": sandbar,
    "sbd": sbd,
    "coco-lvis": coco_lvis,
    "partimagenet": partimagenet,
    "pascal-part": pascal_part,
    "tda": tda,
    "session": session,
}


def miniatures():
    """Test files of single datasets, which declare NAME, EXPECTED (split: pictures and objects) and make(folder)."""
    found = []
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if "\ndef make(folder)" in path.read_text():
            spec = spec_from_file_location(path.stem, path)
            found.append(module_from_spec(spec))
            spec.loader.exec_module(found[-1])
    return found


for _one in miniatures():
    MAKERS[_one.NAME] = _one.make


def make_source(name, folder):
    """The miniature of a dataset; returns what `prepare` takes as SOURCE."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    MAKERS[name](folder)
    return folder / "session.gpkg" if name == "session" else folder


if __name__ == "__main__":
    make_source(sys.argv[1], sys.argv[2])
