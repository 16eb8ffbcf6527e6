"""SAM's mask decoder tuned on click datasets: only it learns, the loss falls, and what is kept is added as a model."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
pytest.importorskip("transformers", reason="needs the extra terraclick[sam]")

from sam_sizes import SIDE, tiny  # noqa: E402

from terraclick.blocks.tuning import tune  # noqa: E402
from terraclick.catalogue import load  # noqa: E402
from terraclick.commands.adding import add_model  # noqa: E402
from terraclick.core.click_sequence import ClickSequence  # noqa: E402
from terraclick.data.datasets import open_datasets  # noqa: E402
from terraclick.errors import BadConfig  # noqa: E402
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe, differing  # noqa: E402
from terraclick.networks.sam.network import _stir  # noqa: E402
from terraclick.networks.sam.tuning import SamTuning, TunedSam  # noqa: E402
from terraclick.train.dry_run import dry_run  # noqa: E402
from terraclick.train.episode_loss import training_loss  # noqa: E402
from terraclick.train.episodes import Episode, draw_episode, reader  # noqa: E402
from terraclick.train.networks import NETWORK_RECIPES, train_network  # noqa: E402
from terraclick.train.prompted_loss import round_loss, shaken_boxes  # noqa: E402
from terraclick.train.trainer import RunOptions  # noqa: E402
from terraclick.values import Box, Click, View  # noqa: E402

RULE = EpisodeRule(side=64, scale=(1, 1), augment=False)
KINDS = ("sam-vit-b", "sam-hq-vit-b", "sam2-hiera-tiny")


def tuning(name="sam-vit-b", prompts=False):
    whole = tiny(name).to_dict()
    sizes = {part: whole[part] for part in ("vision_config", "prompt_encoder_config", "mask_decoder_config")}
    return SamTuning(name, prompts, json.loads(json.dumps(sizes, default=str)))


def recipe(name="sam-vit-b", prompts=False, **more):
    settings = {"steps": 4, "batch": 2, "rate": 2e-3, "first": "one", "first_depth": 1e6, "next_clicks": 2}
    settings |= {"loss": "sam", "boxes": 0.5, "tuning": "decoder"}
    return NetworkRecipe("tiny", "sam", tuning(name, prompts), RULE, **{**settings, **more})


@pytest.fixture(scope="module")
def episodes(tiny_dataset):
    datasets = open_datasets(tiny_dataset)
    read = reader(datasets)
    return [draw_episode(datasets, read, RULE, np.random.default_rng(seed)) for seed in range(4)]


def test_the_loss_is_the_nearest_masks_and_every_ious():
    """By hand: one mask right, one wrong, one empty; the right one's loss counts, and three errors of the IoU."""
    truth = torch.zeros(1, 8, 8)
    truth[:, :4] = 1
    right = (truth - 0.5) * 40
    logits = torch.stack([-right[0], right[0], torch.full((8, 8), -20.0)])[None]
    known = torch.ones(1, 8, 8, dtype=torch.bool)
    sure = round_loss(logits, torch.tensor([[0.0, 1.0, 0.0]]), truth, known)
    assert float(sure) == pytest.approx(0, abs=1e-3)
    unsure = round_loss(logits, torch.tensor([[0.5, 0.5, 0.5]]), truth, known)
    assert float(unsure) == pytest.approx(0.25, abs=1e-3)
    flat = round_loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1), truth, known)
    focal = 0.5 * (0.25 + 0.75) * 0.25 * np.log(2)
    assert float(flat) == pytest.approx(20 * focal + 1 - (32 + 1) / (64 + 1), rel=1e-4)
    known[:, 4:] = False
    outside = logits.clone()
    outside[:, :, 4:] = 99
    assert round_loss(outside, torch.ones(1, 3), truth, known) == round_loss(logits, torch.ones(1, 3), truth, known)


def test_boxes_are_moved_by_a_tenth_of_their_side_at_most_twenty_pixels():
    truth = np.zeros((400, 400), np.uint8)
    truth[50:350, 100:110] = 1
    one = Episode(np.zeros((400, 400, 3), np.uint8), truth)
    boxes = shaken_boxes([one] * 200, [np.random.default_rng(seed) for seed in range(200)]).numpy()
    moved = boxes - np.array([49.5, 99.5, 349.5, 109.5])
    assert np.abs(moved[:, [0, 2]]).max() == pytest.approx(20, abs=1e-3) and moved[:, 1].std() == pytest.approx(1, 0.2)
    assert (boxes[:, :2] < boxes[:, 2:]).all()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("prompts", [False, True])
def test_the_encoder_stays_and_the_loss_falls(name, prompts, episodes):
    torch.manual_seed(0)
    made = recipe(name, prompts)
    network = tune(TunedSam(made.config), made.tuning)
    _stir(network.network)  # what an untrained network starts with hands nothing on
    before = {key: value.clone() for key, value in network.state_dict().items()}
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=5e-3)
    losses = []
    for _ in range(30):
        loss = training_loss(network, episodes[:2], made, np.random.default_rng(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5]) and np.isfinite(losses).all()
    changed = {key.split(".")[1] for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"mask_decoder", "prompt_encoder"} if prompts else changed == {"mask_decoder"}


def test_a_run_keeps_a_file_that_is_added_and_clicks(tiny_dataset, tmp_path, monkeypatch):
    """Through the one trainer, resumed on the way; the file clicks with torch, is added, and clicks the same."""
    pytest.importorskip("onnx", reason="needs the extra terraclick[torch]")
    made = recipe(accumulate=2)
    before = TunedSam(made.config)
    torch.manual_seed(0)
    _stir(before.network)
    start, out = before.keep(tmp_path / "published"), tmp_path / "run"
    train_network(made, tiny_dataset, out, start, RunOptions(until=2))
    kept = train_network(made, tiny_dataset, out, start, RunOptions(resume=True))
    straight = train_network(made, tiny_dataset, tmp_path / "straight", start)
    assert kept.read_bytes() == straight.read_bytes() != start.read_bytes()
    monkeypatch.setenv("TERRACLICK_MODELS", str(tmp_path / "models"))
    config = TunedSam(made.config).own_config()
    added = add_model("sam-vit-b", kept, tmp_path / "models", name="houses", config=config)
    assert added.kind == "clicks" and added.source.name == "network.safetensors"
    view = View(np.random.default_rng(0).integers(0, 255, (90, 120, 3)).astype(np.uint8))
    probs = []
    for predictor in (load("sam-vit-b", weights=kept, config=config), load("houses")):
        sequence = ClickSequence().boxed(Box(20, 30, 60, 80), view.shape, predictor, predictor.encode(view))
        probs.append(sequence.add(Click(40, 50), predictor, predictor.encode(view)).latest.probs)
    assert np.allclose(*probs, atol=0.005) and probs[0].std() > 0.01


def test_it_is_tried_dry_and_its_table_says_what_differs():
    found = dry_run(replace(recipe(), episodes=replace(RULE, side=SIDE)))
    assert 0 < found.trained < found.parameters and found.loss > 0
    for name in ("sam-vit-b-decoder", "sam-hq-vit-b-decoder"):
        table = NETWORK_RECIPES[name]()
        assert table.tuning == "decoder" and not table.published
        assert {setting.path for setting in differing(table)} >= {"tuning", "batch", "rate", "steps"}
        assert all(setting.why for setting in differing(table))


def test_what_has_no_decoder_to_tune_is_told():
    with pytest.raises(BadConfig, match="has no decoder"):
        tune(torch.nn.Linear(2, 2), "decoder")
    with pytest.raises(BadConfig, match="none of SAM's networks"):
        TunedSam(SamTuning("ritm-hrnet18"))


def test_what_nobody_has_read_in_the_paper_is_marked():
    from terraclick.train.recipe_table import _checked

    made = NETWORK_RECIPES["sam-vit-b-decoder"]()
    checked = {setting.path: _checked(made, setting) for setting in made.sources}
    assert checked["rate"] == checked["batch"] == checked["steps"] == "from memory" and "paper" not in checked.values()
