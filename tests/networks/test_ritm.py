"""RITM: the published answer, and what every click network must do."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from check_click_model import CHECKS, check_click_model  # noqa: E402

from terraclick.networks.checkpoint import load_published  # noqa: E402
from terraclick.networks.ritm.network import RITM, Ritm, RitmConfig  # noqa: E402


@pytest.fixture(scope="module")
def recorded(shared):
    return np.load(shared / "parity" / "ritm_hrnet_tiny.npz")


@pytest.fixture(scope="module")
def parity_net(recorded):
    state = {name[3:]: torch.from_numpy(recorded[name]) for name in recorded.files if name[:3] == "sd/"}
    return load_published("ritm", state, RitmConfig(width=6, ocr_width=16, small=True))


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")
def test_parity_ritm_hrnet_tiny(recorded, parity_net):
    """Auxiliary logits to 1e-4 + 1e-3·|x|; logits to 5e-4 + 1e-3·|x|.

    The head divides the one region's features by running variances of about 2e-3 twice, which blows rounding up: our
    own network in float64 and in float32 differ by as much as either differs from the record (see the next test), and
    oneDNN's convolutions are further from the record (2e-3) than PyTorch's plain ones, which recorded it.
    """
    image = torch.from_numpy(recorded["image_u8"]).permute(0, 3, 1, 2) / 255
    previous = torch.from_numpy(recorded["prev_mask_u8"]) / 255
    with torch.backends.mkldnn.flags(enabled=False):
        logits, aux = parity_net.both(parity_net.encode(image), previous, torch.from_numpy(recorded["points"]))
    assert np.allclose(aux, recorded["aux"], rtol=1e-3, atol=1e-4)
    assert np.allclose(logits, recorded["logits"], rtol=1e-3, atol=5e-4)


@torch.no_grad()
def test_parity_ritm_hrnet_tiny_is_recorded_no_finer_than_rounding_allows(recorded, parity_net):
    image = torch.from_numpy(recorded["image_u8"]).permute(0, 3, 1, 2).double() / 255
    previous = torch.from_numpy(recorded["prev_mask_u8"]).double() / 255
    exact = Ritm(parity_net.config).eval().double()
    exact.load_state_dict(parity_net.state_dict())
    logits = exact(image, previous, torch.from_numpy(recorded["points"]).double())
    single = parity_net(image.float(), previous.float(), torch.from_numpy(recorded["points"]))
    noise = (logits - single).abs().max()
    assert 2e-5 < noise < 2e-2 and np.abs(logits.numpy() - recorded["logits"]).max() < 1e-3


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_a_click_model(check):
    torch.manual_seed(0)
    net = Ritm(RitmConfig(width=4, ocr_width=8, small=True))
    dead = ("f_pixel", "f_object")  # a softmax over one region
    aux = ("aux_head.3.bias",)  # added to every pixel before a softmax over pixels
    check_click_model(check, net, silent=dead + aux)


@pytest.mark.parametrize(("name", "millions"), [("ritm-hrnet18", 10.03), ("ritm-hrnet32", 30.95)])
def test_published_sizes(name, millions):
    with torch.device("meta"):
        net = Ritm(RITM[name])
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)
