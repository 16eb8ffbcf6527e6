"""Training crops: what they show fits what is asked of them, and comes back from disk unchanged."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.core.click import Target  # noqa: E402
from terraclick.data.datasets import open_dataset  # noqa: E402
from terraclick.errors import BadConfig, BadData  # noqa: E402
from terraclick.train.config import RECIPES, TrainConfig  # noqa: E402
from terraclick.train.crops import Crop, draw_crop  # noqa: E402

CONFIG = TrainConfig(name="tiny", datasets=("tiny",), shares=(1.0,), side=64)


def tokens(image):
    cells = image.reshape(24, 14, 24, 14, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    return np.concatenate([cells, cells[::-1]]).astype(np.float32)[[0, 1, 2, 3]]


def draw(folder, seed, config=CONFIG):
    return draw_crop([open_dataset(folder)], config, tokens, np.random.default_rng(seed))


def test_crops_hold_what_is_asked(tiny_dataset):
    crops = [draw(tiny_dataset, seed) for seed in range(12)]
    for crop in crops:
        assert crop.image.shape == (64, 64, 3) and crop.image.dtype == np.uint8
        assert crop.features.shape == (4, 24, 24) and crop.features.dtype == np.float16 and 1 <= len(crop.tasks) <= 5
        for _, truth in crop.tasks:
            assert truth.shape == (64, 64) and set(np.unique(truth)) <= {0, 1, 255} and (truth == 1).any()
    assert {target for crop in crops for target, _ in crop.tasks} == set(Target)


def test_truth_lies_on_what_the_picture_shows(tiny_dataset):
    """Roofs are red, whatever the turn: among unclouded crops the red part of the truth exceeds that of the rest."""
    differences = []
    for seed in range(20):
        crop = draw(tiny_dataset, seed)
        red = crop.image[..., 0].astype(float) - crop.image[..., 1]
        for target, truth in crop.tasks:
            if target is Target.OBJECT and (truth == 0).any():
                differences.append(red[truth == 1].mean() - red[truth == 0].mean())
    assert np.median(np.abs(differences)) > 10


def test_the_same_seed_draws_the_same_crop(tiny_dataset):
    first, second = draw(tiny_dataset, 5), draw(tiny_dataset, 5)
    assert np.array_equal(first.image, second.image) and np.array_equal(first.features, second.features)


def test_crops_come_back_from_disk(tiny_dataset, tmp_path):
    crop = draw(tiny_dataset, 1)
    crop.save(tmp_path / "crop.npz")
    found = Crop.load(tmp_path / "crop.npz")
    assert np.array_equal(found.image, crop.image) and np.array_equal(found.features, crop.features)
    for (target, truth), (target_found, truth_found) in zip(crop.tasks, found.tasks, strict=True):
        assert target is target_found and np.array_equal(truth, truth_found)
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
    [({"shares": (1.0, 2.0)}, "1 datasets but 2 shares"), ({"side": 100}, "multiple of 32"), ({"pool": 3}, "pool 3")],
)
def test_contradictory_settings_are_refused(wrong, says):
    with pytest.raises(BadConfig, match=says):
        TrainConfig(**{"name": "wrong", "datasets": ("tiny",), "shares": (1.0,), **wrong})


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_named_after_themselves(name):
    assert RECIPES[name]().name == name
