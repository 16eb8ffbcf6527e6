"""RefCut against the arrays derived from its equations, and what any click network must do."""

import pytest
import torch
from check_click_model import CHECKS, check_click_model, click_inputs
from parity import close, fixture, image, previous, state

from terraclick.blocks.layers import ClickViTConfig
from terraclick.errors import BadConfig
from terraclick.networks.checkpoint import load_published, rename, weights_of
from terraclick.networks.refcut.network import RefCut, RefCutConfig
from terraclick.networks.simpleclick.network import SimpleClickConfig

BASE = SimpleClickConfig(ClickViTConfig(dim=32, heads=2), (8, 16, 32, 64), 16)
TINY = RefCutConfig(BASE, reference_side=224)


@pytest.fixture(scope="module")
def recorded(shared):
    """(network, inputs, arrays): RefCut's prompts on the recorded SimpleClick."""
    arrays, _ = fixture(shared, "refcut_spec_tiny")
    base, _ = fixture(shared, "simpleclick_tiny_d12_x1")
    network = load_published("refcut", {**state(base), **state(arrays)}, RefCutConfig(BASE, mask_resize="bilinear"))
    picture, before = image(base["image_u8"])[:1], previous(base["prev_mask_u8"])[:1]
    return network, (picture, before, torch.from_numpy(base["points"])[:1]), arrays


@torch.inference_mode()
def test_parity_refcut_spec_tiny(recorded):
    network, inputs, arrays = recorded
    positive, negative = (torch.from_numpy(arrays[name]).float() for name in ("mask_pos", "mask_neg"))
    both = network.references(image(arrays["ref_image_u8"]), positive, negative)
    close(both[:, 0], arrays["rep_pos"])
    close(both[:, 1], arrays["rep_neg"])
    close(network(*inputs, references=both), arrays["logits_both"])
    one = network.references(image(arrays["ref_image_u8"]), positive, None)
    close(network(*inputs, references=one)[..., ::2, ::2], arrays["logits_pos_only_s2"], 2e-3)  # kept as float16


def tiny(spread=0.3):
    """A network whose prompts are not zero any more."""
    torch.manual_seed(0)
    network = RefCut(TINY).eval()
    for part in (network.positive, network.negative):
        torch.nn.init.normal_(part.outer.weight, std=spread)
    return network


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_a_click_model(check):
    silent = ("positive.inner.weight", "negative.inner.weight")  # without references they multiply zeros
    check_click_model(check, tiny(), silent=silent)


@torch.inference_mode()
def test_each_mask_matters_and_none_is_an_answer_too():
    network, inputs = tiny(), click_inputs(1)
    picture, mask = torch.rand(1, 3, 90, 70), torch.zeros(1, 1, 90, 70)
    mask[..., 20:50, 10:40] = 1
    answers = [network(*inputs)]
    for given in ((mask, None), (None, mask), (mask, 1 - mask)):
        answers.append(network(*inputs, references=network.references(picture, *given)))
    for i, one in enumerate(answers):
        for other in answers[i + 1 :]:
            assert not torch.allclose(one, other, atol=1e-4)
    empty = network.references(picture, torch.zeros_like(mask), None)
    close(network(*inputs, references=empty), answers[0])


@torch.inference_mode()
def test_training_starts_from_plain_simpleclick():
    network, inputs = RefCut(TINY).eval(), click_inputs(1)
    seen = network.references(torch.rand(1, 3, 50, 60), torch.ones(1, 1, 50, 60), None)
    close(network(*inputs, references=seen), network.base(*inputs))


@torch.inference_mode()
def test_a_small_reference_counts():
    network = tiny()
    picture, mask = torch.rand(1, 3, 448, 448), torch.zeros(1, 1, 448, 448)
    mask[..., 0, 0] = 1
    assert network.references(picture, mask, None)[0, 0].any()


@torch.inference_mode()
def test_several_references_of_one_sign_are_averaged():
    network, rows = tiny(), torch.rand(3, 32)
    assert network.gather([], []) is None
    close(network.gather(rows[:2], rows[2:]), torch.stack([rows[:2].mean(0), rows[2]])[None])
    assert not network.gather([], rows)[0, 0].any()


def test_settings_that_do_not_fit_are_named():
    with pytest.raises(BadConfig, match="area or bilinear"):
        RefCutConfig(mask_resize="nearest")
    with pytest.raises(BadConfig, match="multiple of 224"):
        RefCutConfig(reference_side=300)
    assert "base.head.fuse.conv.bias" in rename({"head.fusion_conv.conv.bias": 0}, weights_of("refcut").renames, ())
