"""How the papers draw what they train on: parts of objects, merged and pasted things, shares, clicks, plain colours."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from terraclick.core.simulate import random_error_click, sample_clicks, squared_depth
from terraclick.data.augment import jitter_plain
from terraclick.data.datasets import open_datasets
from terraclick.errors import BadConfig, BadData
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe
from terraclick.train.episodes import draw_episode, mixed, pasted, reader, share_of

HEAD, BODY, TAIL, CAR, SHIP = 1, 2, 3, 4, 5
COLOURS = {HEAD: (220, 30, 30), BODY: (30, 200, 40), TAIL: (30, 60, 220), CAR: (0, 0, 0), SHIP: (0, 0, 0)}
GROUND = (120, 120, 120)


def make(folder, name, kinds):
    """Pictures of one object each, with three parts side by side; `kinds` are the objects' categories."""
    for part in ("images", "masks", "instances"):
        (folder / name / part).mkdir(parents=True)
    images = []
    for number, cls in enumerate(kinds):
        image = np.full((96, 96, 3), GROUND, np.uint8)
        layers = [(np.zeros((96, 96), np.uint8), np.zeros((96, 96), np.uint16)) for _ in range(2)]
        objects = [{"id": 1, "cls": cls, "area": 60 * 20, "layer": 0}]
        layers[0][0][40:60, 18:78], layers[0][1][40:60, 18:78] = cls, 1
        for k, part in enumerate((HEAD, BODY, TAIL)):
            place = (slice(40, 60), slice(18 + 20 * k, 38 + 20 * k))
            image[place], layers[1][0][place], layers[1][1][place] = COLOURS[part], part, 10 + part
            objects.append({"id": 10 + part, "cls": part, "area": 400, "layer": 1, "of": 1})
        cv2.imwrite(str(folder / name / f"images/{number}.png"), image[..., ::-1])
        files = {"image": f"images/{number}.png", "mask": [], "instances": []}
        for k, (classes, instances) in enumerate(layers):
            cv2.imwrite(str(folder / name / f"masks/{number}_{k}.png"), classes)
            cv2.imwrite(str(folder / name / f"instances/{number}_{k}.png"), instances)
            files["mask"].append(f"masks/{number}_{k}.png")
            files["instances"].append(f"instances/{number}_{k}.png")
        images.append({**files, "width": 96, "height": 96, "objects": objects})
    classes = {str(n): text for n, text in enumerate(("head", "body", "tail", "car", "ship"), 1)}
    said = {"dataset": name, "classes": classes, "true_instances": True, "images": images}
    (folder / name / "meta.json").write_text(json.dumps(said))


RULE = EpisodeRule("parts", 64, (0.9, 1.1), True, references=True, no_reference=0, one_mask=0, augment=False)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    make(folder, "birds", [CAR, CAR, SHIP])
    datasets = open_datasets(folder)
    return datasets, reader(datasets)


def shown(image, mask):
    """Which parts a mask covers, by their colours."""
    pixels = image[cv2.erode(mask.astype(np.uint8), np.ones((5, 5))) > 0]
    return {n for n in (HEAD, BODY, TAIL) if (np.abs(pixels.astype(int) - COLOURS[n]).max(1) < 40).any()}


def test_pairs_are_parts_of_one_object_and_the_same_parts_of_another_of_its_category(world):
    datasets, read = world
    asked = []
    for seed in range(30):
        episode = draw_episode(datasets, read, RULE, np.random.default_rng(seed))
        chosen = shown(episode.image, episode.truth == 1)
        assert chosen and shown(episode.example.image, episode.example.positive) == chosen
        assert shown(episode.example.image, episode.example.negative) == {HEAD, BODY, TAIL} - chosen
        assert not (episode.example.positive & episode.example.negative).any()
        assert shown(episode.image, episode.others == 1) == {HEAD, BODY, TAIL} - chosen
        asked.append(len(chosen))
    assert set(asked) == {1, 2, 3}


def test_a_set_without_parts_is_told_so(tiny_dataset):
    datasets = open_datasets(tiny_dataset)
    with pytest.raises(BadData, match="nothing to click"):
        draw_episode(datasets, reader(datasets), RULE, np.random.default_rng(0))


def test_shares_decide_how_often_a_set_is_drawn(world):
    datasets, _ = world
    assert share_of(datasets, ()).tolist() == [1.0]

    class Named:
        def __init__(self, name):
            self.name = name

    three = [Named("isaid"), Named("deepglobe"), Named("inria")]
    assert share_of(three, (("isaid", 0.4), ("deepglobe", 0.3), ("inria", 0.3))) == pytest.approx([0.4, 0.3, 0.3])
    assert share_of(three[:2], (("isaid", 0.4), ("deepglobe", 0.3), ("inria", 0.3))) == pytest.approx([4 / 7, 3 / 7])
    assert share_of(three, (("other", 1.0),)) == pytest.approx([1 / 3] * 3)


def test_pasting_and_mixing_keep_the_question(tiny_dataset):
    datasets = open_datasets(tiny_dataset)
    read, rule = reader(datasets), EpisodeRule(side=64, augment=False)
    one, two = (draw_episode(datasets, read, rule, np.random.default_rng(seed)) for seed in (1, 2))
    joined = pasted(one, two)
    inside = two.truth == 1
    assert np.array_equal(joined.image[inside], two.image[inside]) and np.array_equal(joined.truth == 1, inside)
    assert np.array_equal(joined.image[~inside], one.image[~inside])
    assert np.array_equal(joined.others == 1, ((one.truth == 1) | (one.others == 1)) & ~inside)
    blend = mixed(one, two)
    assert np.array_equal(blend.truth, one.truth)
    assert np.abs(blend.image.astype(int) - (one.image.astype(int) + two.image) / 2).max() <= 0.5
    drawn = [
        draw_episode(datasets, read, replace(rule, copy_paste=0.5, image_mix=0.5), np.random.default_rng(seed)).image
        for seed in range(12)
    ]
    plain = [draw_episode(datasets, read, rule, np.random.default_rng(seed)).image for seed in range(12)]
    changed = sum(not np.array_equal(a, b) for a, b in zip(drawn, plain, strict=True))
    assert 4 <= changed <= 12


def test_merging_asks_for_two_objects(tiny_dataset):
    datasets = open_datasets(tiny_dataset)
    read, rule = reader(datasets), EpisodeRule(side=128, augment=False, scale=(0.5, 0.6))
    parts = []
    for chance in (0.0, 1.0):
        episodes = [
            draw_episode(datasets, read, replace(rule, merge=chance), np.random.default_rng(s)) for s in range(10)
        ]
        parts.append(sum((episode.truth == 1).sum() for episode in episodes))
    assert parts[1] > 1.2 * parts[0]


def test_negatives_on_other_objects_and_eroded_positives():
    truth, others = np.zeros((80, 80), bool), np.zeros((80, 80), bool)
    truth[10:40, 10:40], others[60:75, 60:75] = True, True
    on_others, edge = 0, []
    for seed in range(60):
        clicks = sample_clicks(truth, np.random.default_rng(seed), None, others, erode=1.0)
        negatives = [c for c in clicks if not c.positive]
        on_others += sum(others[int(c.row), int(c.col)] for c in negatives)
        edge += [squared_depth(truth)[int(c.row), int(c.col)] for c in clicks if c.positive]
    assert min(edge) > 9, "three pixels from the rim"
    total = sum(not c.positive for s in range(60) for c in sample_clicks(truth, np.random.default_rng(s), None, others))
    assert on_others == pytest.approx(0.4 * total, rel=0.35)


def test_the_one_first_click_is_as_deep_as_its_paper_says():
    truth = np.zeros((101, 101), bool)
    truth[10:91, 10:91] = True
    depth = np.sqrt(squared_depth(truth))
    for share in (1.7, 2.0):
        found = []
        for seed in range(80):
            click = random_error_click(np.zeros_like(truth), truth, np.random.default_rng(seed), None, share)
            found.append(depth[int(click.row), int(click.col)])
        assert depth.max() / share < min(found) < depth.max() / share * 1.25


def test_plain_colours_stay_near_and_keep_their_order():
    image = np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 4, 3))
    for seed in range(40):
        out = jitter_plain(image, np.random.default_rng(seed)).astype(int)
        assert (np.diff(out[:, 0], axis=0) >= 0).all(), "darker stays darker in every band"
        assert np.abs(out[128] - 128).max() <= 128 * 0.4 + 64 + 11
    assert any(np.array_equal(jitter_plain(image, np.random.default_rng(s)), image) for s in range(60))


def test_settings_that_cannot_be_are_named():
    with pytest.raises(BadConfig, match="turns"):
        EpisodeRule(turns="spin")
    with pytest.raises(BadConfig, match="chances"):
        EpisodeRule(merge=1.5)
    with pytest.raises(BadConfig, match="milestones"):
        NetworkRecipe("x", "simpleclick", None, milestones=(0.9, 0.5))
    with pytest.raises(BadConfig, match="passes"):
        NetworkRecipe("x", "simpleclick", None, passes=(0.0, 0.0))
