"""Checkpoints: the published layouts come in strictly, go out as safetensors, and nothing in them is ever run."""

import json
import os
from contextlib import nullcontext
from dataclasses import asdict, replace

import pytest
import torch
from click.testing import CliRunner
from parity import close, fixture, image, previous, state

from terraclick.blocks.layers import ClickViTConfig
from terraclick.cli import cli
from terraclick.errors import BadConfig, BadOutput, BadWeights, UnknownName
from terraclick.networks.checkpoint import (
    convert,
    family_of,
    load_network,
    load_published,
    read_published,
    rename,
    save_network,
    weights_of,
)
from terraclick.networks.crosscut.config import CrossCutConfig
from terraclick.networks.families import FAMILIES, able_to
from terraclick.networks.initial import initialise
from terraclick.networks.isrefiner.config import IsRefinerConfig, parity
from terraclick.networks.isrefiner.network import IsRefiner
from terraclick.networks.mfp.network import MfpConfig
from terraclick.networks.refcut.network import RefCutConfig
from terraclick.networks.ritm.network import RitmConfig
from terraclick.networks.segnext.network import SegNextConfig, SegNextViTConfig
from terraclick.networks.simpleclick.network import SimpleClick, SimpleClickConfig

D12 = SimpleClickConfig(ClickViTConfig(dim=32, heads=2), (8, 16, 32, 64), 16)
D8 = replace(D12, vit=replace(D12.vit, depth=8))
TINY = replace(D8, vit=ClickViTConfig(dim=32, heads=2, depth=4, size=224))
CASES = {  # fixture: (family, config, fixtures whose weights it takes first)
    "simpleclick_tiny_d12_x1": ("simpleclick", D12, ()),
    "simpleclick_tiny_d8_x4": ("simpleclick", replace(D8, upsample=4), ()),
    "mfp_tiny_d8": ("mfp", MfpConfig(replace(D8, head=256), switch=3), ()),
    "crosscut_tiny": ("crosscut", CrossCutConfig(D12, "parity", (2,)), ("simpleclick_tiny_d12_x1",)),
    "refcut_spec_tiny": ("refcut", RefCutConfig(D12), ("simpleclick_tiny_d12_x1",)),
    "ritm_hrnet_tiny": ("ritm", RitmConfig(width=6, ocr_width=16, small=True), ()),
    "segnext_tiny": (
        "segnext",
        SegNextConfig(SegNextViTConfig(dim=32, depth=6, heads=2, size=448), pyramid=(8, 16, 32, 64), head=16),
        (),
    ),
}


def published(shared, tmp_path, name):
    """A fixture's weights as its authors would publish them: a `.pth` with config and state dict."""
    _, _, first = CASES[name]
    weights = {}
    for each in (*first, name):
        weights |= state(fixture(shared, each)[0])
    path = tmp_path / f"{name}.pth"
    torch.save({"config": {"class": "isegm.model.Net", "params": {"radius": 5}}, "state_dict": weights}, path)
    return path


@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")
@pytest.mark.parametrize("name", CASES, ids="parity_{}".format)
def test_converted_weights_answer_as_recorded(name, shared, tmp_path):
    """Every fixture with a state dict: .pth → safetensors → the recorded logits."""
    family, config, first = CASES[name]
    written = convert(published(shared, tmp_path, name), tmp_path / "out", family, config)
    network = load_network(family, written)
    assert json.loads(written.with_suffix(".json").read_text())["family"] == family
    assert type(network).__name__ and asdict(getattr(network, "settings", network.config)) == asdict(config)
    arrays = fixture(shared, first[0] if name == "refcut_spec_tiny" else name)[0]
    inputs = image(arrays["image_u8"]), previous(arrays["prev_mask_u8"]), torch.from_numpy(arrays["points"])
    truth = arrays["logits_n2"] if name == "crosscut_tiny" else arrays["logits"]
    plain = torch.backends.mkldnn.flags(enabled=False) if family == "ritm" else nullcontext()  # see test_ritm.py
    with torch.inference_mode(), plain:
        logits = network(*inputs)
    if name == "refcut_spec_tiny":  # without references it adds MLP(0) alone: the reload must agree with the original
        original = load_published(family, read_published(tmp_path / f"{name}.pth"), config)
        with torch.inference_mode():
            truth = original(*inputs)
    close(logits, truth, 5e-4 if family == "ritm" else 2e-4)


def test_converted_refiner_holds_the_recorded_weights(shared, tmp_path):
    """isrefiner_refiner_tiny and isrefiner_gated_fusion are parts; the rest of the network is filled by a seed."""
    vit = ClickViTConfig(dim=64, depth=4, heads=4, size=224)
    config = parity(IsRefinerConfig(vit, (8, 16, 32, 64)))
    torch.manual_seed(0)
    whole = IsRefiner(config).state_dict()
    recorded = {f"click_refiner.{k}": v for k, v in state(fixture(shared, "isrefiner_refiner_tiny")[0]).items()}
    back = {"embed_clicks.": "patch_embed_coords.proj.", "token": "mask_token", "gate.gate.": "gatefusion.gate.0."}
    weights = dict(recorded)
    for name, value in whole.items():
        if name.startswith("refiner."):
            continue
        for ours, theirs in back.items():
            name = theirs + name.removeprefix(ours) if name.startswith(ours) else name
        weights[name.replace("neck.stride", "neck.down_")] = value
    torch.save({"state_dict": weights}, tmp_path / "refiner.pth")
    network = load_network("isrefiner", convert(tmp_path / "refiner.pth", tmp_path / "out", "isrefiner", config))
    ours = rename(recorded, weights_of("isrefiner").renames, ())
    assert len(ours) == len(recorded) == 179
    assert all(torch.equal(network.state_dict()[name], value) for name, value in ours.items())


class Malice:
    """What a hostile checkpoint asks Python to do when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_pickle_is_refused_and_not_run(zipped, tmp_path):
    path, mark = tmp_path / "hostile.pth", tmp_path / "executed"
    content = {"state_dict": {"a": torch.zeros(1)}, "config": Malice(mark)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    heard = []
    with pytest.raises(BadWeights, match=r"hostile\.pth does not fit this network"):
        convert(path, tmp_path / "out", "simpleclick-b", tell=heard.append)
    assert heard == [{"posix.system": 1}]
    assert not mark.exists() and not (tmp_path / "out.safetensors").exists()


def test_damaged_files_are_refused_in_one_sentence(tmp_path):
    whole = tmp_path / "whole.pth"
    torch.save({"state_dict": {"a": torch.rand(100, 100)}}, whole)
    bad = {
        "cut.pth": whole.read_bytes()[:20_000],
        "short.pth": whole.read_bytes()[:100],
        "empty.pth": b"",
        "text.pth": b"<!DOCTYPE html><html>Quota exceeded</html>",
        "cut.safetensors": b"\x10\x00\x00\x00\x00\x00\x00\x00{}",
    }
    for name, content in bad.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(BadWeights) as caught:
            load_network("simpleclick-b", path)
        message = str(caught.value)
        assert name in message and "\n" not in message and "damaged" in message and len(message) < 250
    torch.save({"epoch": 3}, tmp_path / "nothing.pth")
    with pytest.raises(BadWeights, match="holds no tensors"):
        load_network("simpleclick-b", tmp_path / "nothing.pth")


def test_another_architecture_is_refused(shared, tmp_path):
    path = published(shared, tmp_path, "simpleclick_tiny_d8_x4")
    with pytest.raises(BadWeights, match=r"of 209 arrays 48 missing \(backbone.blocks.10"):
        convert(path, tmp_path / "out", "simpleclick", replace(D12, upsample=4))
    with pytest.raises(BadWeights, match=r"does not fit this network.*name the network it was trained as"):
        convert(path, tmp_path / "out", "ritm-hrnet18")
    with pytest.raises(BadWeights, match=r"of another shape \(.*instead of"):
        convert(path, tmp_path / "out", "simpleclick", replace(D8, upsample=4, head=32))
    weights = dict(read_published(path)) | {"backbone.surprise": torch.zeros(1)}
    with pytest.raises(BadWeights, match=r"1 unknown \(backbone.surprise\)"):
        load_published("simpleclick", weights, replace(D8, upsample=4))


def test_a_converted_file_of_another_family_is_refused(tmp_path):
    written = save_network(SimpleClick(TINY), "simpleclick", TINY, tmp_path / "ours")
    with pytest.raises(BadWeights, match="describes a simpleclick network, not mfp"):
        load_network("mfp-b", written)
    written.with_suffix(".json").write_text('{"family": "simpleclick", "config": {"wings": 2}}')
    with pytest.raises(BadWeights, match="wings"):
        load_network("simpleclick-b", written)
    written.with_suffix(".json").write_text("{")
    with pytest.raises(BadWeights, match="does not describe a network"):
        load_network("simpleclick-b", written)


def test_saved_weights_come_back_bit_for_bit(tmp_path):
    torch.manual_seed(1)
    network = SimpleClick(TINY)
    again = load_network("simpleclick-b", save_network(network, "simpleclick", TINY, tmp_path / "deep" / "ours"))
    assert again.config == TINY and not again.training
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True)
    )


def plain_vit(layout, dim=32, depth=4, side=14):
    """The state dict of a plain ViT as MAE, DINOv2 or timm name it."""
    rng = torch.Generator().manual_seed(0)
    donor = SimpleClick(TINY).backbone.state_dict()
    weights = {name: torch.rand(value.shape, generator=rng) for name, value in donor.items()}
    weights["cls_token"], weights["norm.weight"] = torch.rand(1, 1, dim), torch.rand(dim)
    if layout == "mae":
        weights |= {"decoder_embed.weight": torch.rand(3, 3), "mask_token": torch.rand(1, 1, 3)}
    if layout == "dinov2":
        weights |= {f"blocks.{k}.ls{n}.gamma": torch.rand(dim) for k in range(depth) for n in (1, 2)}
        weights["pos_embed"] = torch.rand(1, 1 + 37 * 37, dim)
    if layout == "timm":
        weights |= {"head.weight": torch.rand(10, dim), "fc_norm.bias": torch.rand(dim)}
    return weights


@pytest.mark.parametrize("layout", ["mae", "dinov2", "timm"])
def test_a_plain_vit_starts_a_network(layout, tmp_path):
    weights = plain_vit(layout)
    torch.save({"model": weights} if layout == "mae" else weights, tmp_path / "vit.pth")
    network = initialise("simpleclick", tmp_path / "vit.pth", config=TINY)
    ours = network.backbone.state_dict()
    assert torch.equal(ours["blocks.3.mlp.fc1.weight"], weights["blocks.3.mlp.fc1.weight"])
    assert ours["pos_embed"].shape == (1, 197, 32)
    x = torch.rand(5, 32)
    gamma = weights.get("blocks.2.ls1.gamma", torch.ones(32))
    scaled = (x @ weights["blocks.2.attn.proj.weight"].T + weights["blocks.2.attn.proj.bias"]) * gamma
    close(network.backbone.blocks[2].attn.proj(x).detach(), scaled)
    again = initialise("simpleclick", tmp_path / "vit.pth", config=TINY)
    assert torch.equal(network.head.logits.weight, again.head.logits.weight)


def test_a_vit_of_another_size_starts_nothing(tmp_path):
    torch.save(plain_vit("timm") | {"blocks.4.norm1.weight": torch.ones(32)}, tmp_path / "vit.pth")
    with pytest.raises(BadWeights, match=r"1 unknown \(blocks.4.norm1.weight\)"):
        initialise("simpleclick", tmp_path / "vit.pth", config=TINY)
    with pytest.raises(BadConfig, match="no plain ViT"):
        initialise("ritm", tmp_path / "vit.pth", config=RitmConfig(width=6, ocr_width=16, small=True))


def test_random_weights_depend_on_the_seed_alone():
    one, same, other = (load_network("simpleclick", random=seed, config=TINY).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["backbone.pos_embed"], other["backbone.pos_embed"])


def test_names():
    assert family_of("simpleclick-xt") == "simpleclick" and family_of("crosscut-b") == "crosscut"
    with pytest.raises(UnknownName, match=r"no network 'simpleklick'.*simpleclick-b"):
        family_of("simpleklick")


@pytest.mark.parametrize("family", able_to("weights"))
def test_every_declared_network_has_a_config_and_no_other(family):
    assert set(weights_of(family).presets) == {network.name for network in FAMILIES[family].networks}


def test_the_verb_converts(tmp_path):
    sizes = tmp_path / "sizes.json"
    sizes.write_text(json.dumps({"family": "simpleclick", "config": asdict(TINY)}))
    torch.save(plain_vit("mae"), tmp_path / "mae.pth")
    words = ["convert", str(tmp_path / "mae.pth"), str(tmp_path / "ours"), "--as", "simpleclick-b"]
    result = CliRunner().invoke(cli, [*words, "--config", str(sizes), "--initial"])
    assert result.exit_code == 0 and result.output.strip() == str(tmp_path / "ours.safetensors")
    assert load_network("simpleclick-b", tmp_path / "ours.safetensors").config == TINY
    again = CliRunner().invoke(cli, [*words, "--config", str(sizes), "--initial"])
    assert isinstance(again.exception, BadOutput)
