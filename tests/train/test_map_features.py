"""What a frozen encoder says of training pictures: squares of several scales, merged classes, held-out pictures."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.errors import BadConfig, BadData  # noqa: E402
from terraclick.networks.bicor.network import Bicor  # noqa: E402
from terraclick.train import map_features, map_network, semantic  # noqa: E402
from terraclick.train.semantic_data import IGNORE, judged_parts, training_parts  # noqa: E402
from terraclick.train.semantic_recipes import SEMANTIC_RECIPES, Views  # noqa: E402

COLOURS = np.array([(200, 30, 30), (120, 120, 120), (20, 160, 40), (30, 60, 220), (210, 190, 140)])
KINDS = {1: "road", 2: "unpaved", 3: "building", 4: "water", 5: "vegetation", 6: "land"}
OURS = {1: 1, 2: 4, 3: 0, 4: 3, 5: 2, 6: 4}
"""Class number of the set → class of the recipe: unpaved roads and land are bare ground."""


def make(folder, names, rows=150, cols=180):
    """Pictures in which every class has its colour."""
    images = []
    for part in ("images", "masks", "instances"):
        (folder / part).mkdir(parents=True)
    for number, name in enumerate(names):
        mask = np.random.default_rng(number).integers(1, 7, (rows // 30, cols // 30)).repeat(30, 0).repeat(30, 1)
        mask = mask.astype(np.uint8)
        ours = np.vectorize(OURS.get)(mask)
        cv2.imwrite(str(folder / "images" / f"{name}.png"), COLOURS[ours][..., ::-1])
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), mask)
        cv2.imwrite(str(folder / "instances" / f"{name}.png"), np.zeros((rows, cols), np.uint16))
        files = {"image": f"images/{name}.png", "mask": f"masks/{name}.png", "instances": f"instances/{name}.png"}
        images.append({**files, "width": cols, "height": rows, "objects": []})
    classes = {str(number): name for number, name in KINDS.items()}
    (folder / "meta.json").write_text(
        json.dumps({"dataset": folder.name, "classes": classes, "true_instances": False, "images": images})
    )


@pytest.fixture
def world(tmp_path):
    """A set of four pictures, of which one is held out, and a recipe for it with the shipped encoder."""
    make(tmp_path / "data" / "cz", ["A_1", "A_2", "B_1", "A_3"])
    config = replace(
        SEMANTIC_RECIPES["land-cover"](),
        train_on=("cz",),
        judge_on=("cz",),
        held_out=("B_",),
        views=(Views("cz", 2, 0.5, 1.5),),
        side=112,
        crop=56,
        embed=32,
        batch=2,
        epochs=2,
    )
    torch.manual_seed(0)
    return config, tmp_path / "data", Bicor(config.encoder, map_network.decoder_config(config))


def test_held_out_pictures_are_judged_and_not_trained_on(world):
    config, data, _ = world
    assert [s.name for s in training_parts(config, data)] == ["A_1", "A_2", "A_3"]
    assert [s.name for s in judged_parts(replace(config, judge_on=()), data)] == ["B_1"]


def test_every_square_still_says_its_classes_at_any_scale_and_turn(world):
    config, data, _ = world
    sample = training_parts(config, data)[0]
    assert set(np.unique(sample.labels())) <= {0, 1, 2, 3, 4} and 4 in sample.labels()
    config = replace(config, views=(Views("cz", 6, 0.4, 2.5),))
    squares = list(map_features._drawn_squares(config, sample, 0, 1))
    again = list(map_features._drawn_squares(config, sample, 0, 1))
    assert len(squares) == 6 and all(np.array_equal(a[0], b[0]) for a, b in zip(squares, again, strict=True))
    distances = []
    for piece, truth in squares:
        assert piece.shape == (112, 112, 3) and truth.shape == (112, 112) and (truth < 5).all()
        near = np.abs(piece[..., None, :].astype(int) - COLOURS).sum(-1).argmin(-1)
        distances.append(np.mean(near == truth))
    assert distances[0] > 0.9 and min(distances) > 0.6  # the first keeps its light, the others are jittered


def test_judged_squares_count_every_pixel_once_and_nothing_beyond_the_picture(world):
    config, data, _ = world
    config = replace(config, views=(Views("cz", 1, 1.0, 1.0),))
    sample = judged_parts(config, data)[-1]
    squares = list(map_features.judged_squares(config, sample))
    assert len(squares) == 2 * 2
    assert sum((truth != IGNORE).sum() for _, truth in squares) == 150 * 180


def test_kept_features_go_on_where_they_stopped(world, tmp_path):
    config, data, network = world
    samples = training_parts(config, data)

    def stop(stage, done, total, figures):
        if done == 2:
            raise KeyboardInterrupt

    whole = map_features.encode_to(tmp_path / "whole", config, network, samples)
    with pytest.raises(KeyboardInterrupt):
        map_features.encode_to(tmp_path / "broken", config, network, samples, stop)
    seen = []
    resumed = map_features.encode_to(
        tmp_path / "broken", config, network, samples, lambda *words: seen.append(words[1])
    )
    assert seen == [3], "the first two pictures are not encoded again"
    in_memory = map_features.encode_all(config, network, samples, config.variants)
    assert len(whole) == len(resumed) == len(in_memory) == 6
    for one, two, three in zip(whole, resumed, in_memory, strict=True):
        assert np.array_equal(one.labels, two.labels) and np.array_equal(one.labels, three.labels)
        assert all(np.array_equal(a, b) for a, b in zip(one.maps, two.maps, strict=True))
        assert all(np.array_equal(a, b) for a, b in zip(one.maps, three.maps, strict=True))
    with pytest.raises(BadData, match="another recipe"):
        map_features.encode_to(tmp_path / "broken", replace(config, seed=1), network, samples)


def test_it_trains_judges_and_exports(world, tmp_path, monkeypatch):
    config, data, _ = world
    monkeypatch.setattr(semantic, "build_network", lambda c: Bicor(c.encoder, map_network.decoder_config(c)))
    weights = semantic.train(config, data, tmp_path / "run")
    again, _, content = map_network.restored(weights)
    assert again == config and content["step"] == 6
    assert set(json.loads((tmp_path / "run" / "scores.json").read_text())) >= {"miou", *config.names}


def test_contradictory_views_are_refused(world):
    config, _, _ = world
    with pytest.raises(BadConfig, match="least one square"):
        Views("cz", 0, 1, 1)
    with pytest.raises(BadConfig, match="scales"):
        Views("cz", 1, 2, 1)
    with pytest.raises(BadConfig, match="no class of the recipe"):
        replace(config, merged=(("land", "soil"),))
