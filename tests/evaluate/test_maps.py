"""Map models are judged class by class, looked at several ways, and their masks go to a test server."""

import json
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from terraclick.classmap.model import MAP_MODELS, LandClass, MapModelSpec, MapSpec
from terraclick.classmap.picture import name_picture
from terraclick.classmap.scores import Scores, confusion
from terraclick.classmap.turns import TURNS, Turned
from terraclick.cli import main
from terraclick.data.datasets import open_dataset
from terraclick.errors import BadConfig, BadData
from terraclick.evaluate.embeddings import class_embeddings
from terraclick.evaluate.maps import MapProtocol, answers_of, check_pairs, judge_map, write_masks
from terraclick.values import View

CLASSES = (LandClass(3, "water", "#2f6fd0"), LandClass(7, "Low_Vegetation", "#2e9e45"), LandClass(9, "roof", "#c0392b"))


@dataclass(frozen=True, eq=False)
class ByColour:
    """Names each pixel by its strongest band: blue water, green vegetation, red roof; `slope` adds to columns."""

    slope: float = 0.0

    @property
    def spec(self):
        return MapSpec(CLASSES, side=32, heat=False)

    def __call__(self, image):
        logits = image[..., ::-1].transpose(2, 0, 1).astype(np.float32) / 255
        return logits + self.slope * np.arange(image.shape[1], dtype=np.float32), None


@pytest.fixture
def by_colour(monkeypatch):
    monkeypatch.setitem(MAP_MODELS, "by-colour", MapModelSpec("", "", lambda threads: ByColour()))
    return "by-colour"


def write_dataset(folder, classes):
    """A picture of 40 × 60 pixels: left third blue, middle green, right red; one of them labelled wrongly in part."""
    image = np.zeros((40, 60, 3), np.uint8)
    for band, start in ((2, 0), (1, 20), (0, 40)):
        image[:, start : start + 20, band] = 200
    mask = np.repeat(np.repeat([[0, 1, 2]], 20, axis=1), 40, axis=0).astype(np.uint8)
    mask[:10, :20] = 1  # 200 blue pixels are labelled vegetation
    mask[:, 55:] = 3  # 200 red ones are of a class that the model does not know
    mask[30:, 20:40] = 255  # 200 green ones count nowhere
    for part, array in (("images", image[..., ::-1]), ("masks", mask), ("instances", mask * 0)):
        (folder / part).mkdir(parents=True)
        cv2.imwrite(str(folder / part / "a.png"), array)
    entry = {"image": "images/a.png", "mask": "masks/a.png", "instances": "instances/a.png"}
    entry |= {"height": 40, "width": 60, "objects": []}
    meta = {"dataset": "bands", "classes": classes, "true_instances": False, "images": [entry]}
    (folder / "meta.json").write_text(json.dumps(meta))
    return open_dataset(folder)


@pytest.fixture
def bands(tmp_path):
    return write_dataset(tmp_path / "bands", {0: "water", 1: "low vegetation", 2: "building", 3: "clutter"})


def test_every_figure_is_exact(by_colour, bands):
    ticks = iter([10.0, 10.5])
    report = judge_map(by_colour, [bands], MapProtocol(same=(("roof", "building"),)), clock=lambda: next(ticks))
    (one,) = report.judged
    assert one.scores.confusion.tolist() == [[600, 0, 0, 0], [200, 600, 0, 0], [0, 0, 600, 0]]
    assert one.left_out == ("clutter",) and (one.pictures, one.pixels, one.seconds) == (1, 2400, 0.5)
    row = one.row()
    assert row["iou"] == {"water": 600 / 800, "low vegetation": 600 / 800, "building": 1.0}
    assert row["f1"] == pytest.approx({"water": 1200 / 1400, "low vegetation": 1200 / 1400, "building": 1.0})
    assert (row["oa"], row["miou"]) == (0.9, pytest.approx(2.5 / 3)) and row["mf1"] == pytest.approx(0.9047619)
    assert (row["fps"], row["megapixels_per_second"]) == (2.0, 0.0048)
    text = report.to_markdown()
    assert "| bands | 1 | 83.33 | 90.48 | 90.00 | 2 | 0.0048 |" in text and "| bands | water | 75.00 | 85.71 |" in text


def test_answers_of_no_class_of_the_dataset_are_wrong(by_colour, bands):
    (one,) = judge_map(by_colour, [bands], MapProtocol()).judged  # roof is nothing here, building is not known
    assert one.left_out == ("building", "clutter")
    assert one.scores.confusion.tolist() == [[600, 0, 0], [200, 600, 0]]
    assert one.scores.figures()["oa"] == pytest.approx(1200 / 1400)


def test_uncounted_classes_are_in_no_mean(by_colour, bands):
    protocol = MapProtocol(same=(("roof", "building"),), uncounted=("building",))
    (one,) = judge_map(by_colour, [bands], protocol).judged
    assert one.scores.figures()["miou"] == 0.75 and one.scores.figures()["oa"] == 0.9


def test_further_answers_are_right_nowhere():
    counts = confusion(np.array([0, 2, 1]), np.array([0, 0, 1]), 2, 3)
    assert counts.tolist() == [[1, 0, 1], [0, 1, 0]]
    scores = Scores(counts, ("a", "b"))
    assert scores.iou.tolist() == [0.5, 1.0] and scores.accuracy == pytest.approx(2 / 3)


@pytest.mark.parametrize("augmentation", TURNS)
def test_a_model_that_sees_all_ways_alike_answers_as_before(augmentation):
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 255, (5, 7, 3)), np.ones((20, 10, 1))).astype(np.uint8)
    plain = name_picture(ByColour(), View(image)).argmax(axis=0)
    found = name_picture(ByColour(), View(image), augmentation=augmentation).argmax(axis=0)
    same = np.ones(found.shape, bool)
    if augmentation == "scales":  # edges between fields are drawn softly
        same = np.kron(np.ones((5, 7), bool), np.pad(np.ones((14, 4), bool), 3))
    assert np.array_equal(found[same], plain[same])


@pytest.mark.parametrize(("augmentation", "expected"), [("none", 31.0), ("lr", 15.5), ("d4", 15.5)])
def test_logits_are_turned_back_before_the_mean(augmentation, expected):
    tile = np.zeros((32, 32, 3), np.uint8)
    logits, _ = Turned(ByColour(slope=1.0), TURNS[augmentation])(tile)
    assert logits[0, 5, 31] == pytest.approx(expected)  # a slope to the right is level after mirroring
    turns = TURNS["d4"]
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 255, (32, 32, 3), np.uint8)
    one = [Turned(ByColour(), (turn,))(tile)[0] for turn in turns]
    assert len(set(turns)) == 8 and all(np.array_equal(found, one[0]) for found in one)


def test_tiles_cover_pictures_of_any_size():
    for shape in ((32, 32), (40, 75), (5, 90), (31, 33)):
        image = np.random.default_rng(1).integers(0, 255, (*shape, 3), np.uint8)
        expected = ByColour()(image)[0]
        assert np.allclose(name_picture(ByColour(), View(image)), expected, atol=1e-5)


LOVEDA = ("background", "building", "road", "water", "barren", "forest", "agriculture")


@dataclass(frozen=True, eq=False)
class ByLevel:
    """LoveDA's seven classes, in another order than LoveDA's, by the grey level: 0, 10, … 60."""

    @property
    def spec(self):
        kinds = tuple(LandClass(n, name, "#000000") for n, name in enumerate(LOVEDA[::-1], start=1))
        return MapSpec(kinds, side=64, heat=False)

    def __call__(self, image):
        levels = np.arange(60, -1, -10, dtype=np.float32)
        return -np.abs(image[..., 0].astype(np.float32)[None] - levels[:, None, None]), None


def test_masks_for_the_test_server_of_loveda(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(MAP_MODELS, "by-level", MapModelSpec("", "", lambda threads: ByLevel()))
    names = {("Urban", "4191"): 0, ("Urban", "4192"): 30, ("Rural", "5500"): 60}
    for (part, name), level in names.items():
        (tmp_path / "Test" / part / "images_png").mkdir(parents=True, exist_ok=True)
        image = np.full((96, 96, 3), level, np.uint8)
        image[:48] = 10
        cv2.imwrite(str(tmp_path / "Test" / part / "images_png" / f"{name}.png"), image)
    words = ["benchmark", "--target", "map", "--predictor", "by-level", "--data", str(tmp_path / "Test")]
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--masks", str(tmp_path / "masks"), "--class-numbers", "loveda"])
    assert stopped.value.code == 0 and "3 masks" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["4191.png", "4192.png", "5500.png"]
    for (_, name), level in names.items():
        mask = cv2.imread(str(tmp_path / "masks" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert mask.dtype == np.uint8 and mask.shape == (96, 96)
        assert set(np.unique(mask[:48])) == {1} and set(np.unique(mask[48:])) == {level // 10}  # 0 … 6, as it numbers
    twin = tmp_path / "Test" / "Rural" / "images_png" / "4191.png"
    cv2.imwrite(str(twin), image)
    with pytest.raises(BadData, match="two pictures"):
        write_masks("by-level", tmp_path / "Test", tmp_path / "again", "loveda", MapProtocol())


def test_masks_of_a_dataset_have_its_numbers(by_colour, bands, tmp_path):
    judge_map(by_colour, [bands], MapProtocol(same=(("roof", "building"),)), tmp_path / "masks")
    mask = cv2.imread(str(tmp_path / "masks" / "bands" / "a.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(mask[0], np.repeat([0, 1, 2], 20))
    judge_map(by_colour, [bands], MapProtocol(), tmp_path / "other")
    mask = cv2.imread(str(tmp_path / "other" / "bands" / "a.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(mask[0], np.repeat([0, 1, 255], 20))


def test_names_that_fit_nothing_are_refused(bands):
    spec = ByColour().spec
    assert answers_of(spec, bands.classes, (), "x") == [0, 1, None]
    with pytest.raises(BadConfig, match="none of the model's classes"):
        answers_of(spec, {0: "road"}, (), "x")
    check_pairs((("roof", "building"),), [spec, ByLevel().spec], [bands.classes])
    with pytest.raises(BadConfig, match="no model has a class 'sea'"):
        check_pairs((("sea", "water"),), [spec], [bands.classes])
    with pytest.raises(BadConfig, match="no dataset has a class 'sea'"):
        check_pairs((("water", "sea"),), [spec], [bands.classes, {0: "x"}])
    for words in ({"overlap": 0.9}, {"augmentation": "d5"}):
        with pytest.raises(BadConfig):
            MapProtocol(**words)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--target", "map", "--max-clicks", "3"], "--max-clicks is about clicks"),
        (["--target", "object", "--tta", "lr"], "--tta is about map models"),
        (["--target", "map", "--same-class", "roof"], "give MODEL=DATASET"),
        (["--target", "map", "--class-numbers", "loveda"], "labelled datasets have numbers"),
    ],
)
def test_options_of_the_other_kind_are_refused(more, said, by_colour, bands, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["benchmark", "--predictor", by_colour, "--data", str(bands.folder), *more])
    assert stopped.value.code == 2 and said in capsys.readouterr().err


def test_the_command_writes_tables(by_colour, bands, tmp_path, capsys):
    words = ["benchmark", "--target", "map", "--predictor", by_colour, "--data", str(bands.folder), "--tta", "d4"]
    files = [str(tmp_path / "a.json"), str(tmp_path / "a.md")]
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--same-class", "roof=building", "--json", files[0], "--markdown", files[1]])
    assert stopped.value.code == 0
    said = json.loads((tmp_path / "a.json").read_text())
    assert said["rows"][0]["oa"] == 0.9 and said["protocol"]["augmentation"] == "d4"
    assert (tmp_path / "a.md").read_text().strip() in capsys.readouterr().out


def test_figures_of_a_model_that_tells_no_embeddings(by_colour, bands, tmp_path, capsys):
    words = ["benchmark", "--target", "map", "--predictor", by_colour, "--data", str(bands.folder)]
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--figures", str(tmp_path / "figures")])
    assert stopped.value.code == 0 and "tells no class embeddings" in capsys.readouterr().err
    with pytest.raises(BadConfig, match="tells no class embeddings"):
        class_embeddings(by_colour, [bands])
    (path,) = (tmp_path / "figures").iterdir()
    drawn = cv2.imread(str(path))[..., ::-1]
    assert drawn.shape == (26 + 240, 3 * 360 + 2 * 6, 3)
    truth, answer = drawn[200, 366:726], drawn[200, 732:]
    assert answer[10].tolist() == [0x2F, 0x6F, 0xD0] and answer[350].tolist() == [0xC0, 0x39, 0x2B]
    assert truth[10].tolist() == [0x2F, 0x6F, 0xD0] and truth[350].tolist() == [0, 0, 0]  # no class of the model
