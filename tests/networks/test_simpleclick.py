"""SimpleClick against recorded runs of the published code, and what any click network must do."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from check_click_model import CHECKS, check_click_model
from parity import close, fixture, image, previous, state

from terraclick.blocks.layers import ClickViTConfig, click_disk_maps, click_distance_maps
from terraclick.networks.checkpoint import load_published
from terraclick.networks.simpleclick.network import SIMPLECLICK, SimpleClick, SimpleClickConfig

TINY = ClickViTConfig(dim=32, heads=2)
D12 = SimpleClickConfig(TINY, (8, 16, 32, 64), 16)
D8 = SimpleClickConfig(ClickViTConfig(dim=32, heads=2, depth=8), (8, 16, 32, 64), 16, upsample=4)


@pytest.fixture(scope="module")
def net(shared):
    return load_published("simpleclick", state(fixture(shared, "simpleclick_tiny_d12_x1")[0]), D12)


@pytest.fixture(scope="module")
def sample():
    rng = torch.Generator().manual_seed(0)
    picture = torch.rand(2, 3, 448, 448, generator=rng)
    points = torch.tensor([[[100.0, 50, 0], [-1, -1, -1], [30.5, 200, 1], [-1, -1, -1]]] * 2)
    points[1, 0, :2] = torch.tensor([300.0, 310.0])
    return picture, torch.rand(2, 1, 448, 448, generator=rng), points


def run(network, arrays):
    with torch.inference_mode():
        return network(image(arrays["image_u8"]), previous(arrays["prev_mask_u8"]), torch.from_numpy(arrays["points"]))


@pytest.mark.parametrize("name", ["parity_simpleclick_tiny_d12_x1", "parity_simpleclick_tiny_d8_x4"])
def test_logits_of(name, shared):
    arrays, _ = fixture(shared, name.removeprefix("parity_"))
    network = load_published("simpleclick", state(arrays), D12 if "d12" in name else D8)
    close(run(network, arrays), arrays["logits"])
    padded = torch.from_numpy(arrays["points"])
    close(np.packbits(click_disk_maps(padded, (448, 448)).bool().numpy()), arrays["disk_packed"])


def test_parity_simpleclick_tiny_posinterp_672x448(net, shared):
    arrays, _ = fixture(shared, "simpleclick_tiny_posinterp_672x448")
    close(run(net, arrays)[..., ::2, ::2], arrays["logits_s2"])


@pytest.mark.parametrize("radius", [3, 5])
def test_parity_distmaps(radius, shared):
    arrays, _ = fixture(shared, "distmaps")
    points = torch.from_numpy(arrays["points"])
    close(click_disk_maps(points, (40, 64), radius), arrays[f"maps_r{radius}_disk"])
    close(click_distance_maps(points, (40, 64), radius), arrays[f"maps_r{radius}_tanh"])


def test_a_row_of_a_batch_is_answered_as_alone(net, sample):
    picture, before, points = sample
    with torch.inference_mode():
        both = net(picture, before, points)
        alone = net(picture[1:], before[1:], points[1:])
        close(both[1:], alone)
        assert torch.equal(alone, net(picture[1:], before[1:], points[1:]))


def test_padding_slots_and_order_do_not_matter(net, sample):
    picture, before, points = (part[:1] for part in sample)
    more = torch.full((1, 8, 3), -1.0)
    more[0, 3], more[0, 4] = points[0, 0], points[0, 2]
    with torch.inference_mode():
        close(net(picture, before, more), net(picture, before, points))


@pytest.mark.parametrize("size", [(224, 224), (300, 420), (91, 500)])
def test_odd_sizes_are_padded_and_cropped(net, size):
    picture = torch.rand(1, 3, *size)
    with torch.inference_mode():
        logits = net(picture, torch.zeros(1, 1, *size), torch.tensor([[[5.0, 6, 0], [-1, -1, -1]]]))
    assert logits.shape == (1, 1, *size) and logits.isfinite().all()


def test_gradients_reach_every_weight(sample):
    network = SimpleClick(D8).eval()
    network(sample[0][:1, :, :224, :224], sample[1][:1, :, :224, :224], sample[2][:1]).sum().backward()
    still = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert still == []


def test_published_sizes():
    with torch.device("meta"):
        counts = {name: sum(p.numel() for p in SimpleClick(c).parameters()) for name, c in SIMPLECLICK.items()}
    # published 98.0 M for B includes the unused class entry, classifier and finer steps of the head
    assert 96e6 < counts["simpleclick-b"] < 98e6
    assert counts["simpleclick-xt"] < counts["simpleclick-b"] < counts["simpleclick-l"] < counts["simpleclick-h"]


def test_windows_that_nothing_touches_are_run_once(net, sample):
    """The same answer whether one, two or all windows hold something; the blocks see only the touched ones."""
    warm = SimpleClick(replace(D12, warm=True)).eval()
    warm.load_state_dict(net.state_dict())
    seen = []
    warm.backbone.blocks[0].register_forward_hook(lambda block, given, answer: seen.append(len(given[0])))
    picture, before, points = (part[:1] for part in sample)
    corner = torch.zeros_like(before)
    corner[..., 300:, 300:] = 0.7
    with torch.inference_mode():
        encoded = warm.encode(picture)
        for given, windows in ((torch.zeros_like(before), 1), (corner, 2), (before, 4)):
            close(warm.answer(encoded, given, points[:, [0, 1]]), net(picture, given, points[:, [0, 1]]))
            assert seen[-1] == windows
    assert seen[0] == 4 and len(seen) == 4


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_a_click_model(check):
    torch.manual_seed(0)
    check_click_model(check, SimpleClick(replace(D8, vit=ClickViTConfig(dim=16, heads=2, depth=4))))
