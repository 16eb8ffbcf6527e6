"""Training crops: what they show fits what is asked of them, and comes back from disk unchanged."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
pytest.importorskip("skimage", reason="needs the extra terraclick[train]")

from terraclick.data.datasets import open_dataset  # noqa: E402
from terraclick.errors import BadConfig, BadData  # noqa: E402
from terraclick.terra.patches import ENCODER_SIDE  # noqa: E402
from terraclick.train.config import RECIPES, Source, TrainConfig  # noqa: E402
from terraclick.train.crops import Crop, draw_crops  # noqa: E402
from terraclick.values import Target  # noqa: E402

SIDE = ENCODER_SIDE
CONFIG = TrainConfig(name="tiny", sources=(Source("tiny", 1.0),), paste_share=0.0)


def encode(image):
    cells = image.reshape(24, 14, 24, 14, 3).mean(axis=(1, 3)).transpose(2, 0, 1).astype(np.float32)
    return [np.concatenate([cells, cells[::-1]])[None, :4], cells[None, :2], cells[None, :1]]


def draw(folder, seed, config=CONFIG):
    return draw_crops([open_dataset(folder)], config, encode, np.random.default_rng(seed), seed)


def test_crops_hold_what_is_asked(tiny_dataset):
    crops = [crop for seed in range(12) for crop in draw(tiny_dataset, seed)]
    for crop in crops:
        assert crop.image.shape == (SIDE, SIDE, 3) and crop.image.dtype == np.uint8
        assert crop.tokens.shape == (4, 24, 24) and crop.tokens.dtype == np.float16 and 1 <= len(crop.asked) <= 7
        for one in crop.asked:
            assert one.truth.shape == (SIDE, SIDE) and set(np.unique(one.truth)) <= {0, 1, 255}
            assert (one.truth == 1).sum() >= 40
    assert {one.target for crop in crops for one in crop.asked} == {*Target, None}


def test_truth_lies_on_what_the_picture_shows(tiny_dataset):
    """Roofs are red, at any angle: among unclouded crops the red part of the truth exceeds that of the rest."""
    differences = []
    for seed in range(24):
        for crop in draw(tiny_dataset, seed, replace(CONFIG, rotate_share=0.7)):
            red = crop.image[..., 0].astype(float) - crop.image[..., 1]
            for one in crop.asked:
                if one.target is Target.OBJECT and (one.truth == 0).any():
                    differences.append(red[one.truth == 1].mean() - red[one.truth == 0].mean())
    assert np.median(np.abs(differences)) > 10


def test_regions_are_alike_inside(tiny_dataset):
    for seed in range(6):
        for crop in draw(tiny_dataset, seed):
            for one in crop.asked:
                if one.target is None:
                    inside = crop.image[one.truth == 1].astype(float).std(axis=0).mean()
                    assert one.cls == -1 and inside < crop.image.reshape(-1, 3).astype(float).std(axis=0).mean() + 1


def test_four_patches_of_a_sheet_lie_beside_each_other(own_dataset):
    config = replace(CONFIG, sheet_share=1.0, sources=(Source("tiny", 1.0, objects=0.0),), region_share=0.0)
    sheets = [draw(own_dataset, seed, config) for seed in range(8)]
    assert max(len(sheet) for sheet in sheets) >= 2
    for sheet in sheets:
        assert len({crop.place for crop in sheet}) == len(sheet) and {crop.sheet for crop in sheet} <= set(range(8))


def test_loose_borders_are_ignored(own_dataset):
    strict = replace(CONFIG, region_share=0.0, rotate_share=0.0)
    loose = replace(strict, sources=(Source("tiny", 1.0, border=2.0),))
    for seed in range(6):
        for tight, banded in zip(draw(own_dataset, seed, strict), draw(own_dataset, seed, loose), strict=True):
            for one, other in zip(tight.asked, banded.asked, strict=False):
                if one.cls == other.cls and one.target is other.target:
                    assert np.count_nonzero(other.truth == 255) > np.count_nonzero(one.truth == 255)
                    assert not ((other.truth == 1) & (one.truth != 1)).any()


def test_a_pasted_thing_is_seen_and_asked_for(own_dataset):
    meta = json.loads((own_dataset / "meta.json").read_text())
    meta["classes"]["1"] = "vehicle"
    (own_dataset / "meta.json").write_text(json.dumps(meta))
    config = replace(CONFIG, region_share=0.0, rotate_share=0.0)
    changed = 0
    for seed in range(10):
        plain, pasted = draw(own_dataset, seed, config)[0], draw(own_dataset, seed, replace(config, paste_share=1.0))[0]
        first = pasted.asked[0]
        if first.cls == -1:
            changed += 1
            outside = first.truth == 0
            assert not np.array_equal(plain.image, pasted.image)
            assert all(not (one.truth == 1)[~outside].any() for one in pasted.asked[1:])
    assert changed


def test_the_same_seed_draws_the_same_crop(tiny_dataset):
    first, second = draw(tiny_dataset, 5)[0], draw(tiny_dataset, 5)[0]
    assert np.array_equal(first.image, second.image) and np.array_equal(first.tokens, second.tokens)


def test_crops_come_back_from_disk(tiny_dataset, tmp_path):
    crop = draw(tiny_dataset, 1)[0]
    crop.save(tmp_path / "crop.npz")
    found = Crop.load(tmp_path / "crop.npz")
    for name in ("image", "tokens", "shallow", "principal"):
        assert np.array_equal(getattr(found, name), getattr(crop, name))
    assert (found.source, found.sheet, found.place, found.present) == (crop.source, 1, crop.place, crop.present)
    for one, other in zip(crop.asked, found.asked, strict=True):
        assert one.target is other.target and one.cls == other.cls and np.array_equal(one.truth, other.truth)
    assert [p.name for p in tmp_path.iterdir()] == ["crop.npz"]


def test_a_dataset_of_nothing_is_refused(own_dataset):
    meta = json.loads((own_dataset / "meta.json").read_text())
    for entry in meta["images"]:
        entry["objects"] = []
    (own_dataset / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(BadData, match="showed nothing to click"):
        draw(own_dataset, 0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"sources": ()}, "at least one source"),
        ({"sides": (100,)}, "multiple of 32"),
        ({"pool": 3}, "pool 3"),
        ({"warmup": 0.8, "cooldown": 0.3}, "exceed the run"),
        ({"precision": "int8"}, "'int8' is not known"),
    ],
)
def test_contradictory_settings_are_refused(wrong, says):
    with pytest.raises(BadConfig, match=says):
        TrainConfig(**{"name": "wrong", "sources": (Source("tiny", 1.0),), **wrong})


def test_rates_rise_hold_and_fall():
    config = TrainConfig(name="x", sources=(Source("tiny", 1.0),), warmup=0.1, cooldown=0.4, late_share=0.4)
    shares = [config.rate_share(done) for done in (0, 0.05, 0.1, 0.5, 0.6, 0.8, 1.0)]
    assert shares[0] == 0.01 and shares[1] == 0.5 and shares[2] == shares[3] == 1 and shares[4] == pytest.approx(1)
    assert 0.4 < shares[5] < 0.6 and shares[6] == pytest.approx(0.01)
    assert config.step_sides(0.5) == config.sides and config.step_sides(0.61) == config.late_sides


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_named_after_themselves(name):
    assert RECIPES[name]().name == name
