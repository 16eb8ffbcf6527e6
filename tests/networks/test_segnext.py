"""SegNext: the published answer, and what every click network must do."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from check_click_model import CHECKS, check_click_model  # noqa: E402

from terraclick.networks.checkpoint import load_published  # noqa: E402
from terraclick.networks.segnext.network import SEGNEXT, SegNext, SegNextConfig, SegNextViTConfig  # noqa: E402


@pytest.fixture(scope="module")
def recorded(shared):
    return np.load(shared / "parity" / "segnext_tiny.npz")


@pytest.fixture(scope="module")
def parity_net(recorded):
    vit = SegNextViTConfig(dim=32, depth=6, heads=2, size=448)
    config = SegNextConfig(vit, pyramid=(8, 16, 32, 64), head=16)
    state = {name[3:]: torch.from_numpy(recorded[name]) for name in recorded.files if name[:3] == "sd/"}
    return load_published("segnext", state, config)


@torch.no_grad()
def test_parity_segnext_tiny(recorded, parity_net):
    image = torch.from_numpy(recorded["image_u8"]).permute(0, 3, 1, 2) / 255
    previous = torch.from_numpy(recorded["prev_mask_u8"]) / 255
    points = torch.from_numpy(recorded["points"])
    encoded = parity_net.encode(image)
    near = {"rtol": 1e-3, "atol": 1e-4}
    assert np.allclose(encoded.features, recorded["image_feats"], **near)
    assert np.allclose(parity_net.prompt_features(encoded.size, previous, points), recorded["prompt_feats"], **near)
    assert np.allclose(parity_net.answer(encoded, previous, points), recorded["logits"], **near)
    assert torch.equal(points, torch.from_numpy(recorded["points"])), "the caller's clicks were changed"


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_a_click_model(check):
    torch.manual_seed(0)
    vit = SegNextViTConfig(dim=16, depth=3, heads=2, size=448)
    net = SegNext(SegNextConfig(vit, pyramid=(4, 8, 16, 32), head=8))
    check_click_model(check, net)


def test_windows_divide_the_square():
    assert SEGNEXT["segnext-b"].vit.window == 16 and SegNextViTConfig(size=448).window == 14
    assert SEGNEXT["segnext-b"].vit.global_blocks == {3, 6, 9, 12}


def test_positions_of_the_published_size():
    with torch.device("meta"):
        net = SegNext()
    assert net.backbone.pos_embed.shape == (1, 4097, 768)
