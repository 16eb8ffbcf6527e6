"""Fine-tuning kinds: what is trained, that LoRA starts as nothing and folds into nothing new."""

import copy

import pytest
import torch
from check_click_model import click_inputs

from terraclick.blocks.layers import ClickViTConfig
from terraclick.blocks.tuning import LoraLinear, count_parameters, merge_lora, tune
from terraclick.errors import BadConfig
from terraclick.networks.isrefiner.config import IsRefinerConfig
from terraclick.networks.isrefiner.network import IsRefiner
from terraclick.networks.ritm.network import RITM, Ritm
from terraclick.networks.simpleclick.network import SIMPLECLICK, SimpleClick, SimpleClickConfig

VIT = ClickViTConfig(dim=32, heads=4, depth=4, size=224)
TINY = SimpleClickConfig(VIT, (8, 16, 32, 64), 16)


def network():
    torch.manual_seed(0)
    return SimpleClick(TINY).eval()


def test_none_and_full():
    whole = count_parameters(network())[0]
    assert count_parameters(tune(network(), "none")) == (whole, 0)
    assert count_parameters(tune(tune(network(), "none"), "full")) == (whole, whole)


def test_lora_starts_as_the_network_and_folds_back():
    plain, inputs = network(), click_inputs(1)
    tuned = tune(copy.deepcopy(plain), "lora", rank=2)
    with torch.no_grad():
        assert torch.equal(tuned(*inputs), plain(*inputs))
    layers = [module for module in tuned.modules() if isinstance(module, LoraLinear)]
    assert len(layers) == 2 * VIT.depth and {layer.down.shape[0] for layer in layers} == {1, 3}
    tuned(*inputs).square().mean().backward()
    trained = [name for name, weight in tuned.named_parameters() if weight.grad is not None and weight.grad.any()]
    assert len(trained) == len(layers) and all(name.endswith(".up") for name in trained)
    with torch.no_grad():
        for layer in layers:
            layer.up.normal_(std=0.2)
        answer = tuned(*inputs)
        assert not torch.allclose(answer, plain(*inputs), atol=1e-3)
        merged = merge_lora(tuned)
        assert merged.state_dict().keys() == plain.state_dict().keys()
        assert torch.allclose(merged(*inputs), answer, atol=1e-4)


def test_the_size_of_lora_on_vit_b():
    with torch.device("meta"):
        tuned = tune(SimpleClick(SIMPLECLICK["simpleclick-b"]), "lora")
    assert count_parameters(tuned)[1] == 12 * 4 * 2 * 16 * 768  # rank 16, queries, keys, values, projection
    assert count_parameters(tuned)[1] == pytest.approx(1.1e6, rel=0.1)  # table V


def test_an_adapter_is_trained_where_there_is_one():
    config = IsRefinerConfig(VIT, (8, 16, 32, 64), heads=4, widths=(8, 8, 16, 32), theta=0.5)
    refiner = IsRefiner(config)
    before = [name for name, weight in refiner.named_parameters() if weight.requires_grad]
    tune(tune(refiner, "full"), "adapter")
    assert [name for name, weight in refiner.named_parameters() if weight.requires_grad] == before
    assert "refiner.fusion.theta" not in before
    with pytest.raises(BadConfig, match="SimpleClick has no adapter"):
        tune(network(), "adapter")


def test_what_does_not_fit_is_named():
    with pytest.raises(BadConfig, match="none, full, lora, adapter"):
        tune(network(), "prompt")
    with pytest.raises(BadConfig, match="no plain ViT"):
        tune(Ritm(RITM["ritm-hrnet18"]), "lora")
