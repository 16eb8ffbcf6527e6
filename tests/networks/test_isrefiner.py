"""RS-ISRefiner against recorded runs of the published code, its ablations, and what any click network must do."""

from dataclasses import replace
from functools import lru_cache

import pytest
import torch
from check_click_model import CHECKS, check_click_model, click_inputs
from parity import close, fixture, state

from terraclick.blocks.layers import ClickViTConfig
from terraclick.core.modulation import modulate_isrefiner
from terraclick.errors import BadConfig
from terraclick.networks.checkpoint import rename, weights_of
from terraclick.networks.isrefiner.config import ISREFINER, IsRefinerConfig, parity
from terraclick.networks.isrefiner.network import IsRefiner
from terraclick.networks.isrefiner.refiner import GatedFusion, Refiner

RECORDED = IsRefinerConfig(ClickViTConfig(dim=64, depth=4, heads=4, size=224), (8, 16, 32, 64))
TINY = replace(RECORDED, vit=replace(RECORDED.vit, dim=32), heads=4, widths=(8, 8, 16, 32))


def published(arrays, root, into):
    """A fixture's part of a published state dict, renamed as `terraclick convert` does."""
    named = {root + name: value for name, value in state(arrays).items()}
    ours = rename(named, weights_of("isrefiner").renames, ())
    return {name.removeprefix(into): value for name, value in ours.items()}


@pytest.fixture(scope="module")
def refiner(shared):
    arrays, _ = fixture(shared, "isrefiner_refiner_tiny")
    network = Refiner(parity(RECORDED)).eval()
    network.load_state_dict(published(arrays, "click_refiner.", "refiner."))
    return network, {name: torch.from_numpy(arrays[name]) for name in arrays.files if "/" not in name}


@torch.inference_mode()
def test_parity_isrefiner_gated_fusion(shared):
    arrays, _ = fixture(shared, "isrefiner_gated_fusion")
    gate = GatedFusion(16)
    gate.load_state_dict(published(arrays, "gatefusion.", "gate."))
    close(gate(torch.from_numpy(arrays["a"]), torch.from_numpy(arrays["b"])), arrays["out"])


@torch.inference_mode()
def test_parity_isrefiner_refiner_tiny(refiner):
    network, truth = refiner
    image = network.extractor(truth["image"])
    close(image, truth["image_feature"])
    close(network.fusion(truth["early"], image), truth["hq_feature"])
    close(network.mask_branch(truth["coord"]), truth["prev_mask_feature"])
    close(answer(network, truth, image), truth["logits"])


def answer(network, truth, image):
    pyramid = [truth[f"ms{stride}"] for stride in (4, 8, 16, 32)]
    return network(image, truth["early"], pyramid, truth["backbone"], truth["coord"], truth["token"][:, 0])


@torch.inference_mode()
def test_the_paper_reads_the_vit_and_keeps_places_in_place(refiner):
    network, truth = refiner
    ours = Refiner(RECORDED).eval()
    ours.load_state_dict(network.state_dict())
    image = ours.extractor(truth["image"])
    both = answer(ours, truth, image)
    assert not torch.allclose(both, truth["logits"], atol=0.1)
    one = answer(ours, {name: value[:1] for name, value in truth.items()}, image[:1])
    close(both[:1], one)
    quirky = answer(network, {name: value[:1] for name, value in truth.items()}, image[:1])
    assert not torch.allclose(quirky, truth["logits"][:1], atol=0.1)  # the published view mixes a batch's pictures
    without = Refiner(replace(RECORDED, vit_feature=False)).eval()
    without.load_state_dict(network.state_dict())
    assert not torch.allclose(answer(without, truth, image), both, atol=0.01)


@lru_cache
def tiny(config=TINY):
    """A network whose batch norms have seen pictures, so that its answer is not flat."""
    torch.manual_seed(0)
    network = IsRefiner(config)
    with torch.no_grad():
        for _ in range(3):
            network.train()(*click_inputs(2, 96, 64, seed=7))
    return network.eval()


class OneLook(torch.nn.Module):
    """What is exported: one pass, the modulated map given; modulation is arithmetic outside of the network."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image, previous, points):
        return self.network.look(self.network.encode(image), previous, previous, points)


def test_one_look_is_exported():
    check_click_model("export", OneLook(tiny()))


@torch.inference_mode()
def test_bfloat16_hardly_moves_the_mask():
    network, (image, before, points) = tiny(), click_inputs(2)
    exact = network(image, before, points)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = network(image, before, points).float()
    assert (rough - exact).abs().mean() < 0.05 * exact.std()
    level = exact.median()
    both, either = ((exact > level) & (rough > level)).sum(), ((exact > level) | (rough > level)).sum()
    assert both / either > 0.97


UNTRAINED = ("gate.", "dense_fusion")
"""Parts that an ablation or a quirk leaves out of the answer."""


@pytest.mark.parametrize("check", [check for check in CHECKS if check != "export"])
@pytest.mark.parametrize("setting", ["paper", "parity"])
def test_it_is_a_click_model(check, setting):
    config, quirk = (TINY, None) if setting == "paper" else (parity(TINY), "the view mixes a batch's pictures")
    check_click_model(check, tiny(config), silent=() if setting == "paper" else UNTRAINED, batch_quirk=quirk)


ABLATIONS = {
    "theta 1": {"theta": 1.0},
    "theta 0.5": {"theta": 0.5},
    "only block 2": {"early": "first"},
    "only block 3": {"early": "second"},
    "fixed fusion": {"early": "fixed"},
    "no F_ViT": {"vit_feature": False},
    "no F_HQ": {"hq_feature": False},
    "MFP's modulation": {"modulation": "mfp"},
    "no modulation": {"modulation": "none"},
}


@torch.inference_mode()
@pytest.mark.parametrize("change", ABLATIONS.values(), ids=ABLATIONS)
def test_every_ablation_is_a_setting(change):
    inputs, whole = click_inputs(1), tiny()
    network = IsRefiner(replace(TINY, **change)).eval()
    network.load_state_dict(whole.state_dict())
    if change.get("theta"):
        assert not network.refiner.fusion.theta.requires_grad
        network.refiner.fusion.theta.fill_(change["theta"])
    same = torch.allclose(network(*inputs), whole(*inputs), atol=1e-4)
    assert same == (change.get("theta") == 1.0)  # the learned θ starts at one


def test_only_the_adapter_is_trained():
    network = IsRefiner(TINY)
    trained = {name.split(".")[0] for name, weight in network.named_parameters() if weight.requires_grad}
    assert trained == {"gate", "token", "refiner"}


def test_published_size():
    with torch.device("meta"):
        network = IsRefiner(ISREFINER["isrefiner-b"])
    trained = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    assert abs(trained / 40.11e6 - 1) < 0.04  # table IV


@torch.inference_mode()
def test_a_first_click_is_answered_twice_and_the_map_is_modulated():
    network, (image, before, points) = tiny(), click_inputs(2)
    before[0] = 0
    encoded = network.encode(image)
    first = torch.sigmoid(network.look(encoded, before, before, points))
    before = torch.cat([first[:1], before[1:]])
    modulated = torch.stack(
        [torch.from_numpy(modulate_isrefiner(b[0].numpy(), p.numpy())) for b, p in zip(before, points, strict=True)]
    )[:, None]
    expected = network.look(encoded, before, modulated, points)
    close(network(image, torch.cat([0 * before[:1], before[1:]]), points), expected)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"early": "both"}, "gated, fixed"),
        ({"modulation": "new"}, "isrefiner, none"),
        ({"heads": 5}, "heads"),
        ({"vit": ClickViTConfig(patch=14, dim=64, depth=4, heads=4)}, "give 16"),
    ],
)
def test_settings_that_do_not_fit_are_named(change, match):
    with pytest.raises(BadConfig, match=match):
        replace(TINY, **change)
