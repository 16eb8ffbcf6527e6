"""MFP against recorded runs of the published code: with a previous answer, and twice over without one."""

from dataclasses import replace

import pytest
import torch
from check_click_model import CHECKS, check_click_model
from parity import close, fixture, image, previous, state

from terraclick.blocks.layers import ClickViTConfig
from terraclick.networks.checkpoint import load_published
from terraclick.networks.mfp.network import Mfp, MfpConfig
from terraclick.networks.simpleclick.network import SimpleClickConfig

TINY = MfpConfig(SimpleClickConfig(ClickViTConfig(dim=32, depth=8, heads=2), (8, 16, 32, 64), 256), switch=3)


@pytest.fixture(scope="module")
def recorded(shared):
    arrays, _ = fixture(shared, "mfp_tiny_d8")
    return arrays, load_published("mfp", state(arrays), TINY)


def test_parity_mfp_tiny_d8(recorded):
    arrays, net = recorded
    picture, before, points = image(arrays["image_u8"]), previous(arrays["prev_mask_u8"]), arrays["points"]
    with torch.inference_mode():
        close(net(picture, before, torch.from_numpy(points)), arrays["logits"])


def test_parity_mfp_tiny_d8_first_click(recorded):
    arrays, net = recorded
    picture, points = image(arrays["image_u8"]), torch.from_numpy(arrays["points_zero"])
    with torch.inference_mode():
        close(net(picture, torch.zeros(1, 1, 448, 448), points), arrays["logits_zero"])


def test_the_first_look_is_each_pictures_own(recorded):
    arrays, net = recorded
    picture, before = image(arrays["image_u8"])[..., :224, :224], previous(arrays["prev_mask_u8"])[..., :224, :224]
    points = torch.tensor([[[60.0, 50, 0], [-1, -1, -1]], [[20.0, 100, 0], [30, 30, 1]]])
    both = torch.cat([torch.zeros_like(before), before])
    with torch.inference_mode():
        together = net(picture.expand(2, -1, -1, -1), both, points)
        for row in range(2):
            close(together[row : row + 1], net(picture, both[row : row + 1], points[row : row + 1]))


def test_odd_sizes_and_gradients():
    torch.manual_seed(0)
    net = Mfp(replace(TINY, base=replace(TINY.base, head=32)))
    logits = net(torch.rand(1, 3, 150, 130), torch.zeros(1, 1, 150, 130), torch.tensor([[[9.0, 9, 0], [-1, -1, -1]]]))
    assert logits.shape == (1, 1, 150, 130)
    logits.square().mean().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("check", [check for check in CHECKS if check != "export"])  # modulation is numpy, no graph
def test_it_is_a_click_model(check):
    torch.manual_seed(0)
    small = replace(TINY.base, head=16, vit=ClickViTConfig(dim=16, heads=2, depth=4))
    check_click_model(check, Mfp(replace(TINY, base=small)))
