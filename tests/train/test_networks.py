"""Training the papers' networks: episodes, steps of every family, resuming, starting points, and learning at all."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.blocks.layers import ClickViTConfig  # noqa: E402
from terraclick.blocks.tuning import tune  # noqa: E402
from terraclick.catalogue import load  # noqa: E402
from terraclick.cli import cli  # noqa: E402
from terraclick.data.datasets import open_datasets  # noqa: E402
from terraclick.errors import BadConfig, BadWeights, UnknownName  # noqa: E402
from terraclick.networks.checkpoint import build, save_network  # noqa: E402
from terraclick.networks.crosscut.config import CrossCutConfig  # noqa: E402
from terraclick.networks.focalclick.network import FocalClickConfig  # noqa: E402
from terraclick.networks.isrefiner.config import IsRefinerConfig  # noqa: E402
from terraclick.networks.mfp.network import MfpConfig  # noqa: E402
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe  # noqa: E402
from terraclick.networks.refcut.network import RefCutConfig  # noqa: E402
from terraclick.networks.ritm.network import RitmConfig  # noqa: E402
from terraclick.networks.segnext.network import SegNextConfig, SegNextViTConfig  # noqa: E402
from terraclick.networks.simpleclick.network import SimpleClickConfig  # noqa: E402
from terraclick.train import networks  # noqa: E402
from terraclick.train.episode_loss import click_curve, training_loss  # noqa: E402
from terraclick.train.episodes import draw_episode, reader  # noqa: E402
from terraclick.train.networks import NETWORK_RECIPES, start_from, train_network  # noqa: E402
from terraclick.train.trainer import RunOptions  # noqa: E402
from terraclick.values import (  # noqa: E402
    Click,
    Prompt,
    View,
)

VIT = ClickViTConfig(dim=32, depth=4, heads=4, size=224)
BASE = SimpleClickConfig(VIT, (8, 16, 32, 64), 16)
ISREFINER = IsRefinerConfig(VIT, BASE.pyramid, heads=4, widths=(8, 8, 16, 32))
FOCAL = FocalClickConfig((8, 16, 20, 24), (1, 1, 1, 1), (1, 2, 2, 2), head=16, refiner=8)
SEGNEXT = SegNextConfig(SegNextViTConfig(dim=16, depth=3, heads=2, size=224), pyramid=(4, 8, 16, 32), head=8)
RULE = EpisodeRule(side=64, scale=(1, 1), augment=False)
TINY = NetworkRecipe("tiny", "simpleclick", BASE, RULE, steps=4, batch=2, rate=3e-3)


@pytest.fixture(scope="module")
def drawn(tiny_dataset):
    datasets = open_datasets(tiny_dataset)
    read = reader(datasets)
    return lambda rule, seed=0: draw_episode(datasets, read, rule, np.random.default_rng(seed))


@pytest.mark.parametrize("asked", ["object", "class", "combination"])
@pytest.mark.parametrize("augment", [True, False])
def test_episodes(drawn, asked, augment):
    rule = EpisodeRule(asked, 64, references=True, no_reference=0, augment=augment)
    for seed in range(12):
        episode, again = drawn(rule, seed), drawn(rule, seed)
        assert episode.image.shape == (64, 64, 3) and np.array_equal(episode.image, again.image)
        assert set(np.unique(episode.truth)) <= {0, 1, 255} and (episode.truth == 1).any()
        example = episode.example
        assert example.image.shape == (64, 64, 3) and not (example.positive & example.negative).any()
        assert np.array_equal(example.positive, again.example.positive)


def test_what_is_asked_is_what_is_labelled(drawn):
    """Roofs are red, roads grey, grass green: the truth follows the colours."""
    for seed in range(8):
        episode = drawn(replace(RULE, asked="object"), seed)
        inside, outside = (episode.image[episode.truth == value].astype(int) for value in (1, 0))
        assert (inside[:, 1] - inside[:, 0]).mean() < 10 < (outside[:, 1] - outside[:, 0]).max()


def test_references_may_lack_a_mask_or_be_absent(drawn):
    rule = replace(RULE, asked="combination", references=True, no_reference=0.3, one_mask=0.5)
    examples = [drawn(rule, seed).example for seed in range(60)]
    absent = sum(example is None for example in examples)
    given = [(bool(e.positive.any()), bool(e.negative.any())) for e in examples if e is not None]
    assert 8 < absent < 30 and {(True, True), (True, False), (False, True)} <= set(given)


def test_decoded_pictures_are_kept_within_bounds(tiny_dataset):
    datasets = open_datasets(tiny_dataset)
    wide, narrow = reader(datasets), reader(datasets, keep_mb=0)
    assert wide(0, 0) is wide(0, 0) and np.array_equal(wide(0, 1).image, narrow(0, 1).image)
    first = narrow(0, 0)
    narrow(0, 1)
    assert narrow(0, 0) is not first


STEPS = {
    "simpleclick": TINY,
    "icl": replace(TINY, loss="icl"),
    "lora": replace(TINY, tuning="lora", rank=2),
    "mfp": replace(TINY, family="mfp", config=MfpConfig(BASE), first="one"),
    "isrefiner": replace(TINY, family="isrefiner", config=ISREFINER, first="one", tuning="adapter"),
    "refcut": replace(
        TINY,
        family="refcut",
        config=RefCutConfig(BASE, reference_side=224),
        episodes=replace(RULE, asked="combination", references=True),
    ),
    "no CPE": replace(
        TINY,
        family="crosscut",
        config=CrossCutConfig(BASE, divisions=(1,), prompt_from="none"),
        episodes=replace(RULE, asked="class"),
    ),
    "published clicks": replace(TINY, erode=0.9, others=True, passes=(0.0, 0.8, 0.64, 0.512)),
    "ritm": replace(
        TINY, family="ritm", config=RitmConfig(width=4, ocr_width=8, small=True), auxiliary=0.4, backbone_rate=0.1
    ),
    "focalclick": replace(TINY, family="focalclick", config=FOCAL, refine=1.0),
    "segnext": replace(TINY, family="segnext", config=SEGNEXT),
    "crosscut": replace(
        TINY, family="crosscut", config=CrossCutConfig(BASE, divisions=(1,)), episodes=replace(RULE, asked="class")
    ),
}


@pytest.mark.parametrize("recipe", STEPS.values(), ids=STEPS)
def test_a_step_of_every_kind_moves_what_is_trained(recipe, drawn):
    torch.manual_seed(0)
    network = tune(build(recipe.family, recipe.config)[0], recipe.tuning, recipe.rank).train()
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    optimizer = torch.optim.Adam([w for w in network.parameters() if w.requires_grad], lr=1e-3)
    for seed in range(2):
        loss = training_loss(network, [drawn(recipe.episodes, 9 * seed + i) for i in range(2)], recipe, rng(seed))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss)
    frozen = {name for name, weight in network.named_parameters() if not weight.requires_grad}
    moved = {name for name, weight in network.named_parameters() if not torch.equal(weight, before[name])}
    assert not moved & frozen and len(moved) > 0.55 * (len(before) - len(frozen))


def rng(seed):
    return np.random.default_rng([5, seed])


def weights_of(path):
    from safetensors.torch import load_file

    return load_file(path)


def test_a_resumed_run_equals_an_uninterrupted_one(tiny_dataset, tmp_path):
    whole = train_network(TINY, tiny_dataset, tmp_path / "a")
    train_network(TINY, tiny_dataset, tmp_path / "b", options=RunOptions(until=2))
    with pytest.raises(BadConfig, match="--resume"):
        train_network(TINY, tiny_dataset, tmp_path / "b")
    resumed = train_network(TINY, tiny_dataset, tmp_path / "b", options=RunOptions(resume=True))
    one, two = weights_of(whole), weights_of(resumed)
    assert all(torch.equal(one[name], two[name]) for name in one)
    texts = [(tmp_path / run / "log.jsonl").read_text().splitlines() for run in "ab"]
    logs = [[{**json.loads(line), "seconds": 0} for line in lines] for lines in texts]
    assert [entry["step"] for entry in logs[1]] == [1, 2, 3, 4] and logs[0] == logs[1]
    with pytest.raises(BadConfig, match="other settings"):
        train_network(replace(TINY, rate=1e-3), tiny_dataset, tmp_path / "b", options=RunOptions(resume=True))


def test_one_sample_at_a_time_is_too_few_for_a_batch_norm(tiny_dataset, tmp_path):
    """RITM normalises one number for each channel: torch says it in its own words, in mid-run."""
    for few in (replace(STEPS["ritm"], batch=1), replace(STEPS["ritm"], batch=2, accumulate=2)):
        with pytest.raises(BadConfig, match="too few: give a larger batch"):
            train_network(few, tiny_dataset, tmp_path / f"run{few.accumulate}")


def test_a_vit_that_learns_nothing_stays(tiny_dataset, tmp_path):
    recipe = replace(TINY, steps=1, backbone_rate=0.0, clip=1.0)
    trained = weights_of(train_network(recipe, tiny_dataset, tmp_path / "run"))
    torch.manual_seed(recipe.seed)
    fresh = build("simpleclick", BASE)[0].state_dict()
    moved = {name.split(".")[0] for name in fresh if not torch.equal(fresh[name], trained[name])}
    assert moved == {"neck", "head"}


def test_encoding_once_changes_no_loss(drawn, monkeypatch):
    torch.manual_seed(0)
    network = build("simpleclick", BASE)[0].train()
    network.head.dropout.p = 0.0
    episodes, recipe = [drawn(RULE, seed) for seed in range(2)], replace(TINY, next_clicks=3)
    once = [training_loss(network, episodes, recipe, rng(seed)).item() for seed in range(2)]
    monkeypatch.setattr(type(network), "ENCODES_ALIKE", False)
    assert once == [training_loss(network, episodes, recipe, rng(seed)).item() for seed in range(2)]


def test_it_learns_what_it_sees_and_loads_by_name(tiny_dataset, tmp_path, drawn):
    recipe = replace(TINY, steps=26, batch=4)
    written = train_network(recipe, tiny_dataset, tmp_path / "run")
    predictor = load("simpleclick-b", weights=written, zoom=False, size=(64, 64), flip=False)
    seen = [drawn(RULE, seed) for seed in range(6)]
    torch.manual_seed(0)
    fresh = click_curve(build("simpleclick", BASE)[0], seen, 1).mean()
    trained = click_curve(predictor.inner.network, seen, 2).mean(axis=0)
    assert fresh < 0.4 < 0.5 < trained[0]
    view = View(seen[0].image)
    row, col = np.argwhere(seen[0].truth == 1).mean(axis=0)
    answer = predictor.predict(predictor.encode(view), Prompt((Click(row, col),)), None)
    assert answer.probs.shape == (64, 64)


@pytest.mark.parametrize(
    ("family", "config", "new"),
    [
        ("refcut", RefCutConfig(BASE), {"positive", "negative"}),
        ("crosscut", CrossCutConfig(BASE), {"prompt"}),
        ("simpleclick", BASE, set()),
    ],
)
def test_networks_start_from_the_one_they_build_on(family, config, new, tmp_path):
    torch.manual_seed(0)
    base = build("simpleclick", BASE)[0]
    path = save_network(base, "simpleclick", BASE, tmp_path / "base")
    network = build(family, config)[0]
    left = start_from(network, family, config, path)
    assert {name.split(".")[0] for name in left} == new
    prefix = "base." if family == "refcut" else ""
    assert torch.equal(network.state_dict()[prefix + "head.logits.weight"], base.head.logits.weight)


def test_the_refiner_starts_from_mfp(tmp_path):
    mfp = build("mfp", MfpConfig(BASE))[0]
    path = save_network(mfp, "mfp", MfpConfig(BASE), tmp_path / "mfp")
    network = build("isrefiner", ISREFINER)[0]
    left = start_from(network, "isrefiner", ISREFINER, path)
    assert {name.split(".")[0] for name in left} == {"gate", "token", "refiner"}
    assert torch.equal(network.embed_clicks.weight, mfp.embed_clicks.weight)
    other = replace(ISREFINER, vit=replace(VIT, dim=48))
    with pytest.raises(BadWeights, match="start isrefiner from mfp"):
        start_from(build("isrefiner", other)[0], "isrefiner", other, path)


@pytest.mark.parametrize("name", NETWORK_RECIPES)
def test_recipes_build(name):
    recipe = NETWORK_RECIPES[name]()
    assert recipe.name == name and recipe.steps * recipe.batch > 0
    if name.endswith("small"):
        build(recipe.family, recipe.config)


def test_from_the_command_line(tiny_dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(networks.NETWORK_RECIPES, "tiny", lambda: TINY)
    words = ["train", "tiny", "--data", str(tiny_dataset), "--out", str(tmp_path / "run"), "--steps", "1"]
    cli.main(words, standalone_mode=False)
    assert capsys.readouterr().out.strip() == str(tmp_path / "run" / "network.safetensors")
    with pytest.raises(UnknownName, match="isrefiner-small"):
        cli.main(["train", "tiniest", *words[2:]], standalone_mode=False)


def test_settings_that_do_not_fit_are_named():
    with pytest.raises(BadConfig, match="object, class, combination"):
        EpisodeRule("thing")
    with pytest.raises(BadConfig, match="random or one"):
        replace(TINY, first="centre")
    with pytest.raises(BadConfig, match="trains nothing"):
        replace(TINY, tuning="none")
