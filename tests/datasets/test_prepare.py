"""Every published dataset is prepared from a miniature in its own folders, and benchmarked; runs go on and agree."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import cv2
import numpy as np
import pytest
from make_sources import MAKERS, deepglobe, make_source, miniatures, scene, write_tif

from terraclick.data.datasets import IGNORE, open_dataset, open_datasets
from terraclick.datasets.catalogue import DATASETS, declaration_of, markdown
from terraclick.datasets.coco import masks_of, records
from terraclick.datasets.crops import crop_windows
from terraclick.datasets.declaration import Settings
from terraclick.datasets.preparation import prepare
from terraclick.errors import BadConfig, BadData, BadOutput, UnknownName
from terraclick.evaluate.protocol import EvalProtocol
from terraclick.evaluate.run import run_benchmark
from terraclick.geo.raster import read_view
from terraclick.values import Target

EXPECTED = {  # split: (pictures, objects)
    "isaid": {"train": (2, 6), "val": (1, 3)},
    "deepglobe": {"train": (7, 21), "test": (3, 9)},
    "inria": {"train": (6, 18), "test": (3, 9)},
    "potsdam": {"train": (12, 44), "test": (4, 14)},
    "vaihingen": {"train": (8, 23), "test": (4, 11)},
    "loveda": {"train": (2, 4), "val": (1, 2)},
    "whu": {"train": (2, 6), "test": (1, 3)},
    "nwpu": {"test": (3, 8)},
    "sandbar": {"train": (2, 6), "test": (1, 3)},
    "sbd": {"train": (2, 3), "val": (1, 3)},
    "coco-lvis": {"train": (1, 5), "val": (1, 5)},
    "partimagenet": {"train": (2, 7), "val": (1, 4), "test": (2, 7)},
    "pascal-part": {"train": (1, 4), "val": (1, 4)},
    "tda": {"test": (4, 12)},
    "session": {"train": (1, 2)},
}
for miniature in miniatures():
    EXPECTED[miniature.NAME] = miniature.EXPECTED
SMALLER = {"potsdam": {"crop": 60}, "vaihingen": {"crop": 60, "overlap": 0}}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Dataset → (its source, where it was prepared, what was said)."""
    root, made = tmp_path_factory.mktemp("prepared"), {}

    def of(name):
        if name not in made:
            source = make_source(name, root / "sources" / name)
            declaration = declaration_of(name)
            settings = replace(declaration.settings(None), **SMALLER.get(name, {}))
            made[name] = source, root / "out" / name, prepare(declaration, source, root / "out" / name, settings)
        return made[name]

    return of


def test_every_dataset_has_a_miniature():
    assert set(DATASETS) == set(MAKERS) == set(EXPECTED)


@pytest.mark.parametrize("name", DATASETS)
def test_a_published_folder_is_prepared(name, prepared):
    _, out, found = prepared(name)
    assert {one.split: (one.pictures, one.objects) for one in found.splits} == EXPECTED[name]
    for one in found.splits:
        dataset = open_dataset(one.folder)
        for picture in dataset.pictures:
            picture.view()
            for thing in picture.objects:
                mask = picture.instances(thing.plane) == thing.id
                assert np.count_nonzero(mask) == thing.area
                assert (
                    set(np.unique(picture.classes(thing.plane)[mask])) == {thing.cls} and thing.cls in dataset.classes
                )
    assert not list(out.rglob(".prepare"))


@pytest.mark.parametrize("name", DATASETS)
def test_what_was_prepared_is_benchmarked(name, prepared):
    _, out, found = prepared(name)
    datasets = open_datasets(out / found.splits[-1].split)
    protocol = EvalProtocol(min_area=64, limit=1, max_clicks=2)
    report = run_benchmark("grabcut", Target.OBJECT, datasets, protocol)
    assert len(report.results) == 1 and report.results[0].ious


def test_pixels_of_crops_are_those_of_the_source(prepared):
    source, out, _ = prepared("potsdam")
    for picture in [p for split in ("train", "test") for p in open_dataset(out / split / "potsdam_rgb").pictures]:
        name, row, col = picture.id.rsplit("_", 2)
        stem = name.removeprefix("potsdam_")
        whole = read_view(source / "2_Ortho_RGB" / f"top_potsdam_{stem}_RGB.tif")[0].image
        assert np.array_equal(picture.image(), whole[int(row) :, int(col) :][:60, :60])


@pytest.mark.parametrize(
    ("bands", "order"), [("RGB", (0, 1, 2)), ("IRRG", (3, 0, 1)), ("RGBIR", (0, 1, 2, 3))], ids=str
)
def test_every_band_set_of_potsdam(bands, order, prepared, tmp_path):
    source, _, _ = prepared("potsdam")
    declaration = declaration_of("potsdam")
    settings = replace(declaration.settings(None), crop=0, bands=bands)
    prepare(declaration, source, tmp_path, settings, splits=["test"])
    (picture,) = open_dataset(tmp_path / "test" / f"potsdam_{bands.lower()}").pictures
    four = read_all(source / "4_Ortho_RGBIR" / f"top_{picture.id}_RGBIR.tif")
    assert np.array_equal(picture.values(), four[..., list(order)])
    assert np.array_equal(picture.image(), four[..., list(order[:3])])


def read_all(path):
    import rasterio

    with rasterio.open(path) as file:
        return file.read().transpose(1, 2, 0)


def test_crops_of_16_bit_pictures_look_like_their_part(prepared, tmp_path):
    source, _, _ = prepared("sandbar")
    declaration = declaration_of("sandbar")
    prepare(declaration, source, tmp_path, Settings(crop=48), splits=["test"])
    whole = read_view(source / "images" / "sb_2.tif")[0]
    pictures = open_dataset(tmp_path / "test" / "sandbar").pictures
    assert len(pictures) > 1
    for picture in pictures:
        row, col = (int(n) for n in picture.id.rsplit("_", 2)[1:])
        assert np.array_equal(picture.image(), whole.image[row : row + 48, col : col + 48])
        assert picture.values().dtype == np.uint16 and picture.gsd == pytest.approx(15, rel=0.01)


def test_parts_belong_to_their_object(prepared):
    _, out, _ = prepared("tda")
    dataset = open_dataset(out / "test" / "tda")
    pair = ["dog and frisbee", "dog and frisbee 1", "dog and frisbee 2"]
    assert list(dataset.classes.values())[1:] == ["pineapple", "pineapple leaves", "pineapple body", *pair]
    for picture in dataset.pictures:
        (whole,) = [thing for thing in picture.objects if not thing.of]
        parts = [thing for thing in picture.objects if thing.of]
        assert [part.of for part in parts] == [whole.id] * 2 and {part.plane for part in parts} == {1}
        assert whole.area == sum(part.area for part in parts) == 3600
        assert np.count_nonzero(picture.classes() == IGNORE) == 240


def test_overlapping_objects_come_in_layers(prepared):
    _, out, _ = prepared("coco-lvis")
    (picture,) = open_dataset(out / "train" / "coco-lvis").pictures
    assert picture.planes == 2 and {thing.cls for thing in picture.objects} == {1, 7, 1203, 1204}
    clock = next(thing for thing in picture.objects if thing.cls == 7)
    can = next(thing for thing in picture.objects if thing.cls == 1)
    assert (picture.instances(can.plane) == can.id)[picture.instances(clock.plane) == clock.id].all()


def test_a_session_becomes_a_training_set(prepared):
    _, out, _ = prepared("session")
    dataset = open_dataset(out / "train" / "session")
    (picture,) = dataset.pictures
    assert sorted(thing.area for thing in picture.objects) == [
        2000,
        3200,
    ]  # 20 m × 25 m and 40 m × 20 m at half a metre
    assert picture.planes == 2 and list(dataset.classes.values()) == ["background", "roof"]


def test_the_benchmark_lists_of_isprs(tmp_path):
    source = fake(tmp_path, [f"5_Labels_all/top_potsdam_{n}_label.tif" for n in POTSDAM])
    fake(tmp_path, [f"2_Ortho_RGB/top_potsdam_{n}_RGB.tif" for n in POTSDAM])
    declaration = declaration_of("potsdam")
    assert splits_of(declaration, source, declaration.settings("bicor")) == {"train": 22, "val": 1, "test": 14}
    assert splits_of(declaration, source, declaration.settings("segmap")) == {"train": 32, "test": 6}
    windows = len(crop_windows((6000, 6000), declaration.settings("segmap")))
    assert (32 * windows, 6 * windows) == (3200, 600)  # the paper's patches


AREAS = {2: (10, 14), 3: (10, 14), 4: (10, 15), 5: (10, 15), 6: (7, 15), 7: (7, 13)}
POTSDAM = [f"{row}_{col}" for row, (low, high) in AREAS.items() for col in range(low, high + 1)]
VAIHINGEN = [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 24, *range(26, 36), 37, 38]


def fake(root, names):
    """Files of one byte: a scan looks at names alone."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def splits_of(declaration, source, settings):
    counts = {}
    for one in declaration.scan(source, settings).scenes:
        counts[one.split] = counts.get(one.split, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: ["train", "val", "test"].index(item[0])))


def test_the_splits_of_published_sizes(tmp_path):
    names = [f"train/{n}_{kind}" for n in range(6226) for kind in ("sat.jpg", "mask.png")]
    found = splits_of(declaration_of("deepglobe"), fake(tmp_path / "d", names), Settings())
    assert found == {"train": 4358, "test": 1868}
    names = [f"train/{kind}/{city}{n}.tif" for kind in ("images", "gt") for city in "abcde" for n in range(1, 37)]
    source = fake(tmp_path / "i", names)
    assert splits_of(declaration_of("inria"), source, Settings()) == {"train": 126, "test": 54}
    assert splits_of(declaration_of("inria"), source, Settings(deal="cities")) == {"train": 155, "test": 25}
    assert len(crop_windows((5000, 5000), declaration_of("inria").settings("crosscut"))) == 25
    for split, count in (("train", 1411), ("val", 458)):
        kinds = {"images": "", "Semantic_masks": "_instance_color_RGB", "Instance_masks": "_instance_id_RGB"}
        fake(tmp_path / "s", [f"{split}/{d}/P{n:04d}{e}.png" for n in range(count) for d, e in kinds.items()])
    assert splits_of(declaration_of("isaid"), tmp_path / "s", Settings()) == {"train": 1411, "val": 458}
    names = [f"{folder}/top_mosaic_09cm_area{n}.tif" for folder in ("top", "gts") for n in VAIHINGEN]
    declaration = declaration_of("vaihingen")
    source = fake(tmp_path / "v", names)
    assert splits_of(declaration, source, declaration.settings("segmap")) == {"train": 27, "test": 6}
    assert splits_of(declaration, source, declaration.settings("bicor")) == {"train": 15, "val": 1, "test": 17}


def test_a_deal_depends_on_the_seed_alone(tmp_path):
    names = [f"train/{n}_{kind}" for n in range(40) for kind in ("sat.jpg", "mask.png")]
    scan, source = declaration_of("deepglobe").scan, fake(tmp_path, names)
    first, again, other = (scan(source, Settings(seed=seed)).scenes for seed in (0, 0, 1))
    assert first == again != other


def test_crops_cover_the_picture_and_stay_inside():
    for shape in ((100, 250), (60, 60), (40, 130), (61, 60)):
        seen = np.zeros(shape, int)
        for window in crop_windows(shape, Settings(crop=60, overlap=15)):
            seen[window.slices] += 1
            assert window.rows == min(60, shape[0]) and window.cols == min(60, shape[1])
        assert seen.min() >= 1


# --- runs ------------------------------------------------------------------------------------------------------------


def tree(folder):
    """Relative name → hash of every file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_several_processes_write_the_same_bytes(prepared, tmp_path):
    source, out, _ = prepared("potsdam")
    declaration = declaration_of("potsdam")
    settings = replace(declaration.settings(None), crop=60)
    prepare(declaration, source, tmp_path / "two", settings, workers=2)
    assert tree(tmp_path / "two") == tree(out) and len(tree(out)) == 16 * 3 + 2


def test_a_killed_run_goes_on(tmp_path):
    source = tmp_path / "source"
    for number in range(60):
        image, classes, _ = scene(number, (200, 200))
        (source / "train").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(source / "train" / f"{number}_sat.jpg"), image)
        cv2.imwrite(str(source / "train" / f"{number}_mask.png"), classes * 255)
    command = [sys.executable, "-m", "terraclick", "prepare", "deepglobe", str(source), str(tmp_path / "out")]
    command += ["--crop", "50"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=dict(os.environ))
    records = tmp_path / "out" / "train" / "deepglobe" / ".prepare"
    while running.poll() is None and len(list(records.glob("[0-9]*.json"))) < 3:
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "out" / "train" / "deepglobe" / "meta.json").exists(), "the run was over too soon"
    done = {path.name: path.stat().st_mtime_ns for path in records.glob("[0-9]*.json")}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    prepare(declaration_of("deepglobe"), source, tmp_path / "whole", Settings(crop=50))
    assert tree(tmp_path / "out") == tree(tmp_path / "whole") and len(done) >= 3
    images = tmp_path / "out" / "train" / "deepglobe" / "images"
    first = sorted(path for path in images.iterdir() if f"{path.name.split('_')[0]}.json" in done)
    assert first and all(path.stat().st_mtime_ns < max(done.values()) for path in first)  # not written again


def test_the_same_command_again_changes_nothing(prepared):
    source, out, found = prepared("whu")
    before = tree(out)
    again = prepare(declaration_of("whu"), source, out, declaration_of("whu").settings(None))
    assert again == found and tree(out) == before


def test_other_settings_are_refused_unless_overwritten(tmp_path):
    source, out = make_source("whu", tmp_path / "source"), tmp_path / "out"
    prepare(declaration_of("whu"), source, out, Settings())
    with pytest.raises(BadOutput, match="holds a prepared dataset"):
        prepare(declaration_of("whu"), source, out, Settings(crop=64))
    prepare(declaration_of("whu"), source, out, Settings(crop=64), overwrite=True)
    assert all(picture.shape == (64, 64) for picture in open_dataset(out / "test" / "whu").pictures)
    (tmp_path / "mine" / "test" / "whu").mkdir(parents=True)
    (tmp_path / "mine" / "test" / "whu" / "notes.txt").write_text("mine")
    with pytest.raises(BadOutput, match="not prepared here"):
        prepare(declaration_of("whu"), source, tmp_path / "mine", Settings(), overwrite=True)


# --- sources that are not whole --------------------------------------------------------------------------------------


def first(source, pattern):
    return sorted(source.rglob(pattern))[0]


def cut_off(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zipped(source):
    with zipfile.ZipFile(source.with_suffix(".zip"), "w") as archive:
        archive.writestr("x", "x")
    shutil.rmtree(source)
    source.mkdir()
    source.with_suffix(".zip").rename(source / "data.zip")


DAMAGES = [
    ("deepglobe", lambda s: first(s, "103_mask.png").unlink(), r"103_sat\.jpg has no label"),
    ("deepglobe", lambda s: first(s, "103_sat.jpg").unlink(), r"103_mask\.png has no image"),
    ("deepglobe", lambda s: cut_off(first(s, "103_sat.jpg")), r"103_sat\.jpg .*(cut off|damaged|missing)"),
    ("deepglobe", lambda s: first(s, "103_sat.jpg").write_bytes(b""), r"103_sat\.jpg is empty"),
    ("deepglobe", zipped, r"data\.zip: unpack it"),
    ("inria", lambda s: cut_off(first(s, "austin4.tif")), r"austin4\.tif"),
    ("inria", lambda s: shutil.rmtree(first(s, "gt")), "holds no pictures with labels"),
    ("isaid", lambda s: first(s, "P0001_instance_id_RGB.png").unlink(), r"P0001_instance_color_RGB\.png has no"),
    ("vaihingen", lambda s: first(s, "*COMPLETE/*area2.tif").unlink(), "3 pictures and 2 labels"),
    ("potsdam", lambda s: shutil.rmtree(s / "5_Labels_all"), r"has no label"),
    ("nwpu", lambda s: first(s, "002.jpg").unlink(), r"names 002\.jpg, which is not there"),
    ("nwpu", lambda s: cut_off(s / "annotations.json"), r"annotations\.json is damaged or was cut off"),
    ("nwpu", lambda s: (s / "annotations.json").rename(s / "annotations.json.part"), "unfinished download"),
    ("sbd", lambda s: first(s, "val.txt").unlink(), r"val\.txt is missing"),
    ("sbd", lambda s: first(s, "2008_000001.mat").unlink(), r"2008_000001 is on the list of train and missing"),
    ("sbd", lambda s: cut_off(first(s, "2008_000001.mat")), r"2008_000001\.mat is damaged"),
    ("pascal-part", lambda s: shutil.rmtree(s / "benchmark_RELEASE"), r"lacks train\.txt of SBD"),
    ("coco-lvis", lambda s: shutil.rmtree(s / "val2017"), r"000000000025\.jpg, which is not there"),
    ("tda", lambda s: first(s, "1.png").unlink(), r"1\.jpg has no label"),
    ("session", lambda s: (s.parent / "scene.tif").unlink(), r"scene\.tif"),
]


@pytest.mark.parametrize(("name", "damage", "said"), DAMAGES, ids=[f"{d[0]}-{n}" for n, d in enumerate(DAMAGES)])
def test_a_broken_source_is_one_sentence(name, damage, said, tmp_path):
    source = make_source(name, tmp_path / name)
    damage(source)
    declaration = declaration_of(name)
    settings = replace(declaration.settings(None), **SMALLER.get(name, {}))
    with pytest.raises(BadData, match=said) as caught:
        prepare(declaration, source, tmp_path / "out", settings)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert not list((tmp_path / "out").rglob("meta.json"))


def test_sizes_that_differ_are_refused(tmp_path):
    source = make_source("inria", tmp_path / "inria")
    write_tif(first(source, "images/austin4.tif"), np.zeros((3, 90, 100), np.uint8))
    with pytest.raises(BadData, match=r"austin4\.tif is \(90, 100\).*labels \(100, 100\)"):
        prepare(declaration_of("inria"), source, tmp_path / "out", Settings(), splits=())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"bands": "RGBX"}, "no band set 'RGBX': give one of RGB, IRRG, RGBIR"),
        ({"parts": ("Urban",)}, "no part 'Urban': it offers none"),
        ({"classes": ("house",)}, "no class 'house'"),
        ({"deal": "fair"}, "no deal 'fair'"),
    ],
)
def test_unknown_settings_are_refused(words, said, prepared, tmp_path):
    with pytest.raises(BadConfig, match=said):
        prepare(declaration_of("potsdam"), prepared("potsdam")[0], tmp_path, Settings(**words))


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName, match=r"Known: .*isaid, .*whu"):
        declaration_of("isaids")
    with pytest.raises(BadConfig, match="give one of crosscut, isrefiner"):
        declaration_of("isaid").settings("segmap")
    for words in ({"crop": 100, "overlap": 100}, {"min_area": 0}):
        with pytest.raises(BadConfig):
            Settings(**words)


# --- COCO ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 7, 100, 2**20])
def test_a_coco_file_is_read_in_pieces(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr("terraclick.datasets.coco.CHUNK", chunk)
    items = [{"id": n, "name": f"naïve {n}", "x": [n, -1.5e3, {"y": "]}"}], "z": None} for n in range(20)]
    text = {"info": {"a": [1, 2]}, "annotations": items, "n": 12345, "images": [], "categories": [{"id": 1}]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(text, ensure_ascii=False, indent=chunk % 2 or None), encoding="utf-8")
    found = [(key, json.loads(path.read_bytes()[start : start + size])) for key, _, start, size in records(path)]
    assert found == [("annotations", item) for item in items] + [("categories", {"id": 1})]


def test_outlines_are_drawn_as_coco_draws_them():
    coco = pytest.importorskip("pycocotools.mask")
    mask = np.zeros((30, 40), np.uint8)
    mask[5:20, 8:30] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        packed = coco.encode(np.asfortranarray(mask))
    flat = mask.T.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    loose = {"size": [30, 40], "counts": np.diff([0, *ends, flat.size]).tolist()}
    drawn = masks_of(
        [
            {"segmentation": packed},
            {"segmentation": packed | {"counts": packed["counts"].decode()}},
            {"segmentation": [[8, 5, 30, 5, 30, 20, 8, 20]]},
            {"segmentation": loose},
            {"segmentation": []},
        ],
        (30, 40),
    )
    assert all(np.array_equal(one, mask > 0) for one in drawn[:4]) and not drawn[4].any()


# --- the command and the docs ----------------------------------------------------------------------------------------


def test_the_command(tmp_path, capsys):
    from terraclick.cli import main

    source = tmp_path / "source"
    deepglobe(source)
    for words, code in (
        (["prepare", "deepglobe"], 0),
        (["prepare", "deepglobe", str(source), str(tmp_path / "out"), "--json"], 0),
        (["prepare", "deepglobe", str(source)], 2),
        (["prepare", "nothing"], 2),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == code, words
        said = capsys.readouterr()
        if "--json" in words:
            assert [one["objects"] for one in json.loads(said.out)["splits"]] == [9, 21]


def test_the_reference_has_every_dataset():
    path = Path(__file__).parents[2] / "dev" / "reference.py"
    spec = spec_from_file_location("reference", path)
    reference = module_from_spec(spec)
    spec.loader.exec_module(reference)
    page = reference.PAGES["reference/datasets.md"]()
    assert [name for name in DATASETS if markdown(name).removeprefix("###").strip() not in page] == []
