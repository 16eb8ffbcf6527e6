"""CrossCut against recorded runs of the published code, and what its two settings promise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from check_click_model import CHECKS, check_click_model
from parity import close, fixture, image, previous, state
from torch.nn import functional

from terraclick.blocks.layers import ClickViTConfig, click_disk_maps
from terraclick.core.click_sequence import ClickSequence
from terraclick.errors import BadConfig
from terraclick.networks.checkpoint import load_published
from terraclick.networks.crosscut.config import CrossCutConfig
from terraclick.networks.crosscut.division import disk_weights, division
from terraclick.networks.crosscut.network import CrossCut
from terraclick.networks.predictor import NetworkPredictor
from terraclick.networks.simpleclick.network import SimpleClickConfig
from terraclick.predictors.wrappers import Flipped
from terraclick.values import Click, Prompt, View

BASE = SimpleClickConfig(ClickViTConfig(dim=32, heads=2), (8, 16, 32, 64), 16)
PARITY = CrossCutConfig(BASE, "parity", (2,))
PAPER = CrossCutConfig(BASE)
CASES = {  # case: (points, array, division, as stored)
    "n1": ("points", "logits_n1_s2", 1),
    "n2": ("points", "logits_n2", 2),
    "n3": ("points", "logits_n3", 3),
    "n4": ("points", "logits_n4", 4),
    "nopos": ("points_nopos", "logits_n2_nopos_s2", 2),
    "far": ("points_far", "logits_n2_far_s2", 2),
}


@pytest.fixture(scope="module")
def recorded(shared):
    arrays, _ = fixture(shared, "crosscut_tiny")
    weights = state(fixture(shared, "simpleclick_tiny_d12_x1")[0]) | state(arrays)
    return arrays, weights


def network(recorded, config=PARITY, **changes):
    return load_published("crosscut", recorded[1], replace(config, **changes))


@pytest.fixture(scope="module")
def sample(recorded):
    arrays = recorded[0]
    return image(arrays["image_u8"]), previous(arrays["prev_mask_u8"]), torch.from_numpy(arrays["points"])


@pytest.mark.parametrize("case", [f"parity_crosscut_tiny_{case}" for case in CASES])
def test_logits_of(case, recorded, sample):
    points, name, n = CASES[case.split("_")[-1]]
    with torch.inference_mode():
        logits = network(recorded, divisions=(n,))(*sample[:2], torch.from_numpy(recorded[0][points]))
    step = 2 if name.endswith("_s2") else 1
    close(logits[..., ::step, ::step], recorded[0][name], 2e-4)  # recorded in Jittor: its own port differs by 2e-4


@pytest.mark.parametrize("quirk", [True, False])
def test_parity_crosscut_tiny_batch_of_two(quirk, recorded, sample):
    both = [torch.cat([part, part.flip(-1)]) for part in sample[:2]]
    with torch.inference_mode():
        logits = network(recorded, batch_quirk=quirk)(*both, torch.from_numpy(recorded[0]["points2"]))
    if quirk:
        close(logits, recorded[0]["logits_n2_B2"], 2e-4)
    else:
        close(logits, recorded[0]["logits_n2_B2_fixed"], 3e-3, 1e-3)  # stored as float16
        assert np.abs(logits.numpy() - recorded[0]["logits_n2_B2"]).max() > 1


def test_parity_crosscut_tiny_prompt(recorded, sample):
    net = network(recorded)
    with torch.inference_mode():
        patches = net.patches(net.encode(sample[0]), 2)
        placed = net._place(sample[2], (300, 420), (896, 896))[:, :4]
        mixed = net._nearest(placed, patches.division) @ net._bank(patches, placed)[:, None]
    close(mixed[0], recorded[0]["cpe_in_n2"])


def test_disk_weights_are_the_mean_of_the_upsampled_map():
    rng = torch.Generator().manual_seed(0)
    tokens = torch.rand(1, 5, 4, 6, generator=rng)
    points = torch.tensor([[[3.0, 2.0, 0], [30.4, 50.7, 1], [63, 95, 2], [-1, -1, -1]]])
    upsampled = functional.interpolate(tokens, scale_factor=16, mode="bilinear")
    weights = disk_weights(points, (4, 6), 16, 5)
    for slot in range(3):
        disk = click_disk_maps(points[:, [slot, 3]], (64, 96))[0, 0]
        mean = (upsampled[0] * disk).sum((1, 2)) / disk.sum()
        close(weights[0, slot] @ tokens[0].flatten(1).T, mean)
    assert weights[0, 3].abs().sum() == 0


def test_fusion_is_the_weighted_mean_and_comes_step_by_step(recorded, sample):
    net = network(recorded, divisions=(1, 2), weights=(1, 3))
    with torch.inference_mode():
        encoded = net.encode(sample[0])
        first, second = net.progressive(encoded, *sample[1:])
        one, two = (net.divided(encoded, *sample[1:], n) for n in (1, 2))
        close(first, one)
        close(second, one / 4 + two * 0.75)
        close(net.answer(encoded, *sample[1:]), second)


def test_memory_budget_changes_no_answer(recorded, sample):
    with torch.inference_mode():
        small, large = (network(recorded, memory_mb=mb)(*sample) for mb in (1, 4000))
    close(small, large)


def test_an_exact_dirty_run_is_the_full_run(recorded, sample):
    full, dirty = network(recorded), network(recorded, dirty=0.0)
    picture, before, points = sample
    with torch.inference_mode():
        encoded = dirty.encode(picture)
        empty = torch.zeros_like(before)
        one = torch.full_like(points, -1)
        one[:, 0] = points[:, 0]
        _, memory = dirty.answer_after(None, encoded, empty, one)
        assert (memory.asked, memory.computed) == (4, 4)
        more = one.clone()
        more[:, 4] = points[:, 4]
        more[:, 4, 2] = 1.0
        second, memory = dirty.answer_after(memory, encoded, empty, more)
        close(second, full(picture, empty, more))
        assert (memory.asked, memory.computed) == (4, 1)  # an excluding click changes the one patch it falls in
        again, memory = dirty.answer_after(memory, encoded, before, points)  # somebody else's memory is of no use
        close(again, full(picture, before, points))
        assert memory.computed == 4
        with pytest.raises(BadConfig, match="one picture at a time"):
            dirty.answer_after(None, encoded, *(torch.cat([part, part]) for part in sample[1:]))


def test_a_patch_that_hears_its_own_answer_is_clean(recorded, sample):
    net = network(recorded, dirty=0.01)
    picture, _, points = sample
    one = torch.full_like(points, -1)
    one[:, 0] = points[:, 0]
    more = one.clone()
    more[:, 4] = points[:, 4]
    more[:, 4, 2] = 1.0
    with torch.inference_mode():
        encoded = net.encode(picture)
        said, first = net.answer_after(None, encoded, torch.zeros_like(picture[:, :1]), one)
        fed = torch.sigmoid(said)
        again, memory = net.answer_after(first, encoded, fed, one)
        assert torch.equal(again, said) and memory.computed == 0
        _, memory = net.answer_after(first, encoded, fed, more)
        assert memory.computed == 1  # an excluding click changes the one patch it falls in
        _, memory = net.answer_after(first, encoded, 1 - fed, more)
        assert memory.computed == 4  # somebody else's answer is news


def test_a_dirty_answer_depends_on_its_arguments_alone(recorded, sample):
    """Questions asked in between change nothing: what is remembered rides in the answer before."""
    picture = (sample[0][0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    clicks = (Click(60, 90), Click(200, 300, False), Click(90, 120))

    def answers(predictor, encoded, strangers=()):
        before, found = None, []
        for number in range(1, len(clicks) + 1):
            before = predictor.predict(encoded, Prompt(clicks[:number]), before)
            found.append(before.probs)
            for stranger in strangers:
                predictor.predict(encoded, Prompt((*clicks[:number], stranger)), before)
                predictor.predict(encoded, Prompt((stranger,)), None)
        return found

    net = network(recorded, PAPER, divisions=(1, 2), dirty=0.5)
    for predictor in (NetworkPredictor(net), Flipped(NetworkPredictor(net))):
        encoded = predictor.encode(View(picture))
        alone = answers(predictor, encoded)
        disturbed = answers(predictor, encoded, (Click(10, 10), Click(250, 200)))
        assert all(np.array_equal(one, other) for one, other in zip(alone, disturbed, strict=True))


def test_a_session_hands_the_memory_on_and_keeps_the_latest(recorded, sample):
    picture = (sample[0][0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    predictor = NetworkPredictor(network(recorded, dirty=0.0))
    encoded = predictor.encode(View(picture))
    session = ClickSequence()
    for click in (Click(60, 90), Click(200, 300, False)):
        session = session.add(click, predictor, encoded)
    assert [packed.memory is not None for packed in session.predictions] == [False, True]
    assert len(session.predictions[-1].memory.clicks) == 2


def test_divisions_cover_the_picture_and_keep_its_shape():
    cut = division((1200, 800), 3, 56, squash=False)
    assert cut.size == (1232, 821) and cut.rows == (0, 392, 784) and cut.cols == (0, 373)
    assert division((300, 420), 1, 56, squash=False).canvas == (448, 448)
    assert division((300, 420), 2, 56, squash=True).size == (896, 896)


def test_paper_setting_blends_without_seams_and_ignores_far_slots(recorded):
    net = network(recorded, PAPER)
    cut = division((900, 900), 3, 56, squash=False)
    flat = torch.ones(9, 1, 112, 112)
    close(net._assemble(flat, cut, 1, (900, 900)), torch.ones(1, 1, 900, 900), 1e-5)
    points = torch.tensor([[[3.0, 3, 0], [-1, -1, -1]]])
    shares = net._nearest(points, division((1600, 1600), 4, 56, squash=False))
    assert shares.shape == (1, 16, 784, 2) and (shares[..., 0] == 1).all()


def test_paper_setting_does_not_mix_a_batch(recorded):
    net = network(recorded, PAPER, divisions=(2,))
    rng = torch.Generator().manual_seed(0)
    picture, before = torch.rand(2, 3, 300, 500, generator=rng), torch.rand(2, 1, 300, 500, generator=rng)
    points = torch.tensor([[[100.0, 200, 0], [-1, -1, -1]], [[250.0, 90, 0], [10, 10, 1]]])
    with torch.inference_mode():
        both = net(picture, before, points)
        close(both[1:], net(picture[1:], before[1:], points[1:]))
    assert both.shape == (2, 1, 300, 500)


def test_prompts_reach_patches_without_clicks(recorded, sample):
    net = network(recorded, PAPER, divisions=(2,))
    points = torch.tensor([[[30.0, 40, 0], [-1, -1, -1]]])
    with torch.inference_mode():
        encoded = net.encode(sample[0])
        before = net.answer(encoded, torch.zeros_like(sample[1]), points)
        net.prompt[2].weight.mul_(0)
        after = net.answer(encoded, torch.zeros_like(sample[1]), points)
    assert (before - after)[..., 250:, 370:].abs().max() > 1e-3


def test_prompts_from_the_patch_embedding_run_no_block(recorded, sample):
    """As the paper writes it; a flat picture has one feature everywhere, for positions are left out too."""
    net = network(recorded, PAPER, divisions=(2,), prompt_from="embedding")
    ran = []
    net.backbone.blocks[0].register_forward_hook(lambda *_: ran.append(1))
    with torch.inference_mode():
        patches = net.patches(net.encode(torch.full((1, 3, 840, 840), 0.3)), 2)
        assert ran == [] and patches.features.shape == (4, 32, 28, 28)
        close(patches.features.std(dim=(0, 2, 3)), torch.zeros(32), 1e-5)
        assert not torch.allclose(net(*sample), network(recorded, PAPER, divisions=(2,))(*sample), atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"setting": "exact"}, "choose parity or paper"),
        ({"divisions": (0,)}, "cut nothing"),
        ({"divisions": (2, 3), "weights": (1,)}, "one share >= 0 for each"),
        ({"overlap": 400}, "cannot share 400"),
        ({"dirty": -1.0}, "below 0"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(BadConfig, match=message):
        CrossCutConfig(BASE, **changes)


def test_gradients_reach_the_prompt(sample):
    torch.manual_seed(0)
    net = CrossCut(replace(PAPER, divisions=(1,), base=replace(BASE, vit=replace(BASE.vit, depth=4))))
    net(*sample).square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.prompt.parameters())


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_a_click_model(check):
    torch.manual_seed(0)
    small = SimpleClickConfig(ClickViTConfig(dim=16, heads=2, depth=4), (4, 4, 8, 8), 8)
    check_click_model(check, CrossCut(CrossCutConfig(small)))
