"""Published weights that `terraclick models add` takes in: they click without torch under a name, everywhere."""

import json
import os
import subprocess
import sys
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
pytest.importorskip("onnx", reason="needs the extra terraclick[torch]")

from click.testing import CliRunner  # noqa: E402

from terraclick.blocks.layers import ClickViTConfig  # noqa: E402
from terraclick.catalogue import load, spec_of  # noqa: E402
from terraclick.classmap.model import load_map, map_files  # noqa: E402
from terraclick.cli import cli  # noqa: E402
from terraclick.commands.adding import add_model, remove_model  # noqa: E402
from terraclick.errors import BadConfig, BadOutput, BadWeights, UnknownName  # noqa: E402
from terraclick.networks.bicor.network import BicorConfig, BicorNetwork, build_published  # noqa: E402
from terraclick.networks.checkpoint import build  # noqa: E402
from terraclick.networks.crosscut.config import CrossCutConfig  # noqa: E402
from terraclick.networks.focalclick.network import FocalClickConfig  # noqa: E402
from terraclick.networks.isrefiner.config import IsRefinerConfig  # noqa: E402
from terraclick.networks.mfp.network import MfpConfig  # noqa: E402
from terraclick.networks.refcut.network import RefCutConfig  # noqa: E402
from terraclick.networks.ritm.network import RitmConfig  # noqa: E402
from terraclick.networks.segnext.network import SegNextConfig, SegNextViTConfig  # noqa: E402
from terraclick.networks.simpleclick.network import SimpleClickConfig  # noqa: E402
from terraclick.predictors.installed import CARD, installed, installed_models, models_folder  # noqa: E402
from terraclick.values import Click, Prompt, View  # noqa: E402

VIT = ClickViTConfig(dim=32, heads=2, depth=4, size=224)
SIMPLE = SimpleClickConfig(VIT, (8, 16, 32, 64), 16)
TINY = {
    "simpleclick-b": SIMPLE,
    "ritm-hrnet18": RitmConfig(width=4, ocr_width=8, small=True),
    "segnext-b": SegNextConfig(SegNextViTConfig(dim=16, depth=3, heads=2, size=224), pyramid=(4, 8, 16, 32), head=8),
    "mfp-b": MfpConfig(SIMPLE),
    "crosscut-b": CrossCutConfig(SIMPLE, divisions=(1, 2)),
    "refcut-b": RefCutConfig(SIMPLE, reference_side=224),
    "focalclick-b0": FocalClickConfig((8, 16, 20, 24), (1, 1, 1, 1), (1, 2, 2, 2), head=16, refiner=8),
    "isrefiner-b": IsRefinerConfig(replace(VIT, dim=64), (8, 16, 32, 64), widths=(8, 16, 24, 32)),
}
LARGE = ("ritm-hrnet18", "isrefiner-b", "crosscut-b")  # graphs of many small steps: tracing takes its time
SIZE = (224, 224)
BACK = (
    ("base.", ""),
    ("embed_clicks.", "patch_embed_coords.proj."),
    ("neck.stride", "neck.down_"),
    ("head.laterals.", "head.convs."),
    ("head.fuse.", "head.fusion_conv."),
    ("head.logits.", "head.conv_seg."),
    ("head.maps.", "head.conv_prevMod."),
    ("prompt.", "mlp_pos."),
)
"""Our names → those of the isegm family's files."""


def published_file(name, path):
    """A file as the isegm family writes it: a state dict under its names and a config with an object in it."""
    torch.manual_seed(3)
    network = build(name, TINY[name])[0]
    state = OrderedDict()
    for key, value in network.state_dict().items():
        for ours, theirs in BACK if not name.startswith(("segnext", "focalclick", "ritm")) else ():
            key = theirs + key.removeprefix(ours) if key.startswith(ours) else key
        state[key] = value
    torch.save({"state_dict": state, "config": {"class": "isegm.Net", "params": {"step": {1, 2}}}}, path)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TERRACLICK_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def view():
    image = np.random.default_rng(0).integers(0, 80, (130, 170, 3)).astype(np.uint8)
    image[30:100, 60:130] += 120
    return View(image)


CLICKS = (Click(60, 90), Click(20, 30, False))
PROBE = """
import sys
for name in ("torch", "onnx", "safetensors", "transformers"):
    sys.modules[name] = None
import numpy as np
from terraclick.catalogue import load
from terraclick.values import Click, Prompt, View
image = np.random.default_rng(0).integers(0, 80, (130, 170, 3)).astype(np.uint8)
image[30:100, 60:130] += 120
predictor = load({name!r}, **{options!r})
kept, before = predictor.encode(View(image)), None
for clicks in ((Click(60, 90),), (Click(60, 90), Click(20, 30, False))):
    before = predictor.predict(kept, Prompt(clicks), before)
np.save({out!r}, before.probs)
"""


def without_torch(name, out, folder, **options):
    """What a process that has no torch answers under a name."""
    code = PROBE.format(name=name, out=str(out), options=options)
    environ = os.environ | {"TERRACLICK_MODELS": str(folder)}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300, env=environ)
    return np.load(out)


def eager(predictor):
    kept, before = predictor.encode(view()), None
    for number in (1, 2):
        before = predictor.predict(kept, Prompt(CLICKS[:number]), before)
    return before.probs


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LARGE)) for n in TINY])
def test_a_family_clicks_under_its_name_without_torch(name, tmp_path, folder):
    path = published_file(name, tmp_path / "their.pth")
    said = []
    found = add_model(name, path, folder, size=SIZE, config=TINY[name], say=said.append)
    assert found.network == name and found.kind == "clicks" and not found.damaged()
    assert "their" in said[0] and spec_of(name).name == name
    plain, size = {"zoom": False, "flip": False}, {"size": SIZE}
    if name == "segnext-b":
        plain = size = {}
    elif name == "focalclick-b0":
        plain, size = {}, {"side": SIZE[0]}
    elif name == "crosscut-b":
        plain, size = {"flip": False}, {"divisions": (1, 2)}
    theirs = load(name, weights=path, config=TINY[name], **plain, **size)
    if name in ("segnext-b", "crosscut-b"):  # else they stretch by themselves, without averaging areas
        theirs = replace(getattr(theirs, "inner", theirs), size=SIZE)
    expected, answer = eager(theirs), without_torch(name, tmp_path / "answer.npy", folder, **plain)
    assert np.abs(answer - expected).max() < min(1e-3, 0.1 * expected.std())


PUBLISHED_SAM = (
    (
        "prompt_encoder.shared_embedding.positional_embedding",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    ),
    ("prompt_encoder.point_embed.", "prompt_encoder.point_embeddings."),
    ("prompt_encoder.mask_embed.conv1.", "prompt_encoder.mask_downscaling.0."),
    ("prompt_encoder.mask_embed.layer_norm1.", "prompt_encoder.mask_downscaling.1."),
    ("prompt_encoder.mask_embed.conv2.", "prompt_encoder.mask_downscaling.3."),
    ("prompt_encoder.mask_embed.layer_norm2.", "prompt_encoder.mask_downscaling.4."),
    ("prompt_encoder.mask_embed.conv3.", "prompt_encoder.mask_downscaling.6."),
    ("mask_decoder.upscale_conv1.", "mask_decoder.output_upscaling.0."),
    ("mask_decoder.upscale_layer_norm.", "mask_decoder.output_upscaling.1."),
    ("mask_decoder.upscale_conv2.", "mask_decoder.output_upscaling.3."),
    ("mask_decoder.hq_token.", "mask_decoder.hf_token."),
    ("mask_decoder.hq_mask_mlp.", "mask_decoder.hf_mlp."),
    ("mask_decoder.compress_vit_conv1.", "mask_decoder.compress_vit_feat.0."),
    ("mask_decoder.compress_vit_norm.", "mask_decoder.compress_vit_feat.1."),
    ("mask_decoder.compress_vit_conv2.", "mask_decoder.compress_vit_feat.3."),
    ("mask_decoder.encoder_conv1.", "mask_decoder.embedding_encoder.0."),
    ("mask_decoder.encoder_norm.", "mask_decoder.embedding_encoder.1."),
    ("mask_decoder.encoder_conv2.", "mask_decoder.embedding_encoder.3."),
    ("mask_decoder.mask_conv1.", "mask_decoder.embedding_maskfeature.0."),
    ("mask_decoder.mask_norm.", "mask_decoder.embedding_maskfeature.1."),
    ("mask_decoder.mask_conv2.", "mask_decoder.embedding_maskfeature.3."),
    ("vision_encoder.neck.conv1.", "image_encoder.neck.0."),
    ("vision_encoder.neck.layer_norm1.", "image_encoder.neck.1."),
    ("vision_encoder.neck.conv2.", "image_encoder.neck.2."),
    ("vision_encoder.neck.layer_norm2.", "image_encoder.neck.3."),
)
"""transformers' name → the published one."""


def published_sam(network, hiera):
    """A network of `transformers` as its authors' repository writes it, names written from the published modules."""
    state = OrderedDict()
    for key, value in network.state_dict().items():
        if key == "shared_image_embedding.positional_embedding":
            continue
        if key == "no_memory_embedding":
            state["no_mem_embed"] = value
            continue
        for ours, theirs in PUBLISHED_SAM:
            if key.startswith(ours) and not (hiera and ours.startswith("vision")):
                key = theirs + key.removeprefix(ours)
        for place, number in (("proj_in", 0), ("layers.0", 1), ("proj_out", 2)):  # MLPs of three layers
            for head in ("output_hypernetworks_mlps", "iou_prediction_head", "pred_obj_score_head", "hf_mlp"):
                if f".{head}." in key and f".{place}." in key and ".layers." not in key.replace(".layers.0.", "."):
                    key = key.replace(f".{place}.", f".layers.X{number}.")
        key = key.replace(".layers.X", ".layers.").replace(".layer_norm_final_attn.", ".norm_final_attn.")
        if key.startswith("mask_decoder.transformer."):
            key = key.replace(".layer_norm", ".norm").replace(".o_proj.", ".out_proj.")
            if hiera:
                key = key.replace(".mlp.proj_in.", ".mlp.layers.0.").replace(".mlp.proj_out.", ".mlp.layers.1.")
        key = key.replace("vision_encoder.backbone.", "image_encoder.trunk.").replace(".projection.", ".proj.")
        if key.startswith("image_encoder.trunk.blocks."):
            key = key.replace(".mlp.proj_in.", ".mlp.layers.0.").replace(".mlp.proj_out.", ".mlp.layers.1.")
        if key.startswith("vision_encoder.neck.convs."):
            key = key.replace("vision_encoder", "image_encoder").replace(".weight", ".conv.weight")
            key = key.replace(".bias", ".conv.bias")
        key = key.replace("vision_encoder.layers.", "image_encoder.blocks.").replace(
            "vision_encoder.", "image_encoder."
        )
        if key.startswith(("image_encoder.blocks.", "image_encoder.trunk.blocks.")):
            key = key.replace(".layer_norm", ".norm")
        if hiera and key == "prompt_encoder.point_embed.weight":
            for number in range(4):
                state[f"sam_prompt_encoder.point_embeddings.{number}.weight"] = value[number : number + 1]
            continue
        if hiera and key.startswith(("prompt_encoder.", "mask_decoder.")):
            key = f"sam_{key}"
        state[key] = value
    if hiera:  # the video memory, which clicks on pictures never use
        state["maskmem_tpos_enc"] = torch.zeros(7, 1, 1, 4)
        state["memory_attention.layers.0.norm1.weight"] = torch.zeros(4)
        state["obj_ptr_proj.layers.0.weight"] = torch.zeros(4, 4)
        return {"model": state}
    return state


def published_small_sam(name, network):
    """MobileSAM's and EfficientSAM's files: the encoder by its own names, with the classifier it was trained with."""
    if name.startswith("efficient"):
        return {"model": network.state_dict()}
    state = OrderedDict()
    for key, value in published_sam(network, False).items():
        if key.startswith("image_encoder."):
            continue
        state[key] = value
    for key, value in network.vision_encoder.state_dict().items():
        state[f"image_encoder.{key}"] = value
    state["image_encoder.norm_head.weight"] = state["image_encoder.norm_head.bias"] = torch.zeros(32)
    state["image_encoder.head.weight"], state["image_encoder.head.bias"] = torch.zeros(9, 32), torch.zeros(9)
    return state


SAM_KINDS = ("sam-vit-b", "sam-hq-vit-b", "sam2-hiera-tiny", "mobile-sam", "efficient-sam-ti")


@pytest.mark.parametrize("name", SAM_KINDS)
def test_the_sam_family_from_its_published_files(name, tmp_path, folder):
    pytest.importorskip("transformers", reason="needs the extra terraclick[sam]")
    sys.path.insert(0, str(Path(__file__).parents[1] / "predictors"))
    from sam_sizes import tiny

    theirs = load(name, random=0, config=tiny(name))
    if not name.startswith("efficient"):
        both = theirs.network.shared_image_embedding, theirs.network.prompt_encoder.shared_embedding
        both[1].positional_embedding.data.copy_(both[0].positional_embedding)  # one array in the published files
    path = tmp_path / f"{name}.pth"
    small = name.startswith(("mobile", "efficient"))
    theirs_saved = published_small_sam(name, theirs.network) if small else None
    torch.save(theirs_saved or published_sam(theirs.network, name.startswith("sam2")), path)
    add_model(name, path, folder, config=tiny(name))
    expected = eager(theirs)
    assert np.abs(without_torch(name, tmp_path / "a.npy", folder) - expected).max() < 1e-4 and expected.std() > 1e-3
    again = load(name, weights=path, config=tiny(name))
    assert all(torch.equal(a, again.network.state_dict()[k]) for k, a in theirs.network.state_dict().items())
    with pytest.raises(BadWeights, match="does not fit"):
        load("sam-vit-b", weights=path)  # of another size


def test_the_published_names_of_sam_are_as_many_as_its_file_has():
    """sam_vit_b_01ec64.pth holds 314 arrays; a network of twelve blocks in the same layout has as many."""
    transformers = pytest.importorskip("transformers", reason="needs the extra terraclick[sam]")
    from terraclick.networks.sam.network import SAM, _published

    with torch.device("meta"):
        network = transformers.SamModel(_published(transformers.SamModel, SAM["sam-vit-b"]))
    names = published_sam(network, False)
    assert len(names) == 314
    assert names["mask_decoder.output_hypernetworks_mlps.3.layers.2.weight"].shape == (32, 256)
    assert names["image_encoder.blocks.11.attn.rel_pos_h"].shape == (127, 64)
    from terraclick.networks.sam.published import transformers_names

    assert set(transformers_names(names, False)) == set(network.state_dict())


def test_the_small_sams_have_the_published_sizes_and_names():
    """Encoders of 6.1 and 6.2 million numbers (MobileSAM's without its classifier), arrays as their files have them."""
    pytest.importorskip("transformers", reason="needs the extra terraclick[sam]")
    from terraclick.networks.sam.network import SAM, fresh

    with torch.device("meta"):
        mobile, efficient = (fresh(name, SAM[name], None) for name in ("mobile-sam", "efficient-sam-ti"))
        small = fresh("efficient-sam-s", SAM["efficient-sam-s"], None)
    count = {
        name: sum(p.numel() for p in part.parameters()) / 1e6
        for name, part in (
            ("mobile", mobile.vision_encoder),
            ("ti", efficient.image_encoder),
            ("s", small.image_encoder),
            ("decoder", efficient.mask_decoder),
        )
    }
    assert count == pytest.approx({"mobile": 6.07 - 0.32, "ti": 6.16, "s": 22.35, "decoder": 4.06}, abs=0.01)
    names = mobile.vision_encoder.state_dict()
    expected = {
        "patch_embed.seq.0.c.weight": (32, 3, 3, 3),
        "patch_embed.seq.2.bn.running_mean": (64,),
        "layers.0.blocks.1.conv2.c.weight": (256, 1, 3, 3),
        "layers.0.downsample.conv2.c.weight": (128, 1, 3, 3),
        "layers.1.blocks.0.attn.attention_biases": (4, 49),
        "layers.2.blocks.5.attn.qkv.weight": (480, 160),
        "layers.2.blocks.0.attn.attention_biases": (5, 196),
        "layers.3.blocks.1.mlp.norm.weight": (320,),
        "layers.3.blocks.0.local_conv.c.weight": (320, 1, 3, 3),
        "neck.0.weight": (256, 320, 1, 1),
        "neck.3.bias": (256,),
    }
    assert {name: tuple(names[name].shape) for name in expected} == expected
    names = efficient.state_dict()
    expected = {
        "image_encoder.pos_embed": (1, 197, 192),
        "image_encoder.blocks.11.mlp.fc1.weight": (768, 192),
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": (2, 128),
        "prompt_encoder.bbox_top_left_embeddings.weight": (1, 256),
        "mask_decoder.transformer.layers.0.mlp.layers.0.0.weight": (2048, 256),
        "mask_decoder.transformer.layers.1.cross_attn_image_to_token.q_proj.weight": (128, 256),
        "mask_decoder.final_output_upscaling_layers.0.1.weight": (64,),
        "mask_decoder.output_hypernetworks_mlps.3.layers.1.0.weight": (256, 256),
        "mask_decoder.output_hypernetworks_mlps.3.fc.weight": (32, 256),
        "mask_decoder.iou_prediction_head.fc.weight": (4, 256),
    }
    assert {name: tuple(names[name].shape) for name in expected} == expected and len(names) == 278


def test_window_attention_adds_a_bias_for_each_distance():
    """Against plain arithmetic: softmax(q k / √d + bias of how far two tokens lie apart) v."""
    from terraclick.networks.sam.tiny_vit import WindowAttention

    torch.manual_seed(0)
    layer = WindowAttention(8, 2, 3)
    layer.attention_biases.data.normal_()
    x = torch.randn(1, 9, 8)
    parts = layer.qkv(layer.norm(x)).view(1, 9, 2, 12)
    heads = []
    for head in range(2):
        q, k, v = parts[0, :, head].split(4, dim=-1)
        scores = q @ k.T / 2
        for a in range(9):
            for b in range(9):
                apart = abs(a // 3 - b // 3) * 3 + abs(a % 3 - b % 3)
                scores[a, b] += layer.attention_biases[head, apart]
        heads.append(scores.softmax(-1) @ v)
    assert torch.allclose(layer(x)[0], layer.proj(torch.cat(heads, dim=-1)), atol=1e-5)


def test_part_whole_and_group_are_the_smallest_the_middle_and_the_largest_mask():
    from terraclick.networks.sam.prompted import chosen_mask

    masks = np.full((3, 8, 8), -1.0, np.float32)
    for number, side in enumerate((4, 8, 2)):  # the order in which a network gives them means nothing
        masks[number, :side, :side] = 1
    scores = np.array([0.1, 0.2, 0.9], np.float32)
    assert [chosen_mask(masks, scores, level) for level in ("part", "whole", "group", "best")] == [2, 0, 1, 2]
    assert chosen_mask(masks[:1], scores[:1], "group") == 0


def test_a_level_is_a_setting_of_every_network_of_sam(folder, tmp_path):
    pytest.importorskip("transformers", reason="needs the extra terraclick[sam]")
    sys.path.insert(0, str(Path(__file__).parents[1] / "predictors"))
    from sam_sizes import tiny

    config, first = tiny("sam-vit-b"), Prompt(CLICKS[:1])
    path = tmp_path / "sam.pth"
    torch.save(published_sam(load("sam-vit-b", random=0, config=config).network, False), path)
    add_model("sam-vit-b", path, folder, config=config)
    answers = {}
    for level in ("part", "whole", "group"):
        theirs, exported = load(f"sam-vit-b+level={level}", random=0, config=config), load(f"sam-vit-b+level={level}")
        both = [one.predict(one.encode(view()), first, None).probs for one in (theirs, exported)]
        assert np.abs(both[0] - both[1]).max() < 1e-4
        answers[level] = both[0]
    assert not np.allclose(answers["part"], answers["whole"]) and not np.allclose(answers["whole"], answers["group"])
    with pytest.raises(BadConfig, match="level 'all' was given"):
        load("sam-vit-b+level=all", random=0, config=config)


def test_a_map_network_maps_under_its_name(tmp_path, folder, monkeypatch):
    from terraclick.networks.bicor import network as bicor
    from terraclick.train import export_map, semantic_recipes

    small = BicorNetwork(BicorConfig(7, bicor.ENCODERS["efficientnet-lite0"], 32), "efficientnet-lite0")
    monkeypatch.setitem(bicor.PUBLISHED, "bicor-loveda", small)
    tile = replace(semantic_recipes.loveda(), crop=64)
    monkeypatch.setitem(export_map.PUBLISHED, "bicor-loveda", lambda: tile)
    torch.manual_seed(0)
    torch.save({"state_dict": build_published(small).state_dict()}, tmp_path / "bicor.ckpt")
    found = add_model("bicor-loveda", tmp_path / "bicor.ckpt", folder, name="land")
    assert found.kind == "map"
    model = load_map("land", 1)
    assert [kind.name for kind in model.spec.classes][:2] == ["background", "building"]
    logits, _ = model(np.zeros((64, 64, 3), np.uint8))
    assert logits.shape == (7, 64, 64) and all(path.is_file() for path in map_files("land")[:2])
    with pytest.raises(UnknownName, match="no model 'land'"):
        spec_of("land")  # it answers no clicks


def test_the_verbs_add_list_click_and_remove(tmp_path, folder):
    path = published_file("simpleclick-b", tmp_path / "cocolvis.pth")
    sizes = tmp_path / "sizes.json"
    from dataclasses import asdict

    sizes.write_text(json.dumps({"family": "simpleclick", "config": asdict(SIMPLE)}))
    words = ["models", "add", "simpleclick-b", str(path), "--as", "mine", "--size", "224,224", "--config", str(sizes)]
    done = CliRunner().invoke(cli, [*words, "--licence", "MIT"])
    assert done.exit_code == 0, done.output
    assert "mine: simpleclick-b" in done.stdout and "licence: MIT" in done.stdout and str(folder) in done.stdout
    listed = CliRunner().invoke(cli, ["models", "mine"]).stdout
    assert "click.onnx" in listed and "sha256" in listed and "MIT" in listed and str(folder / "mine") in listed
    (said,) = json.loads(CliRunner().invoke(cli, ["models", "mine", "--json"]).stdout)
    assert said["kind"] == "clicks" and said["available"] and {f["name"] for f in said["files"]} >= {"click.onnx"}
    out = tmp_path / "a.gpkg"
    place = "500264.6,4649637.1"
    done = CliRunner().invoke(cli, ["segment", "sample", "--click", place, "--model", "mine", "--out", str(out)])
    assert done.exit_code in (0, 1), done.output  # random weights may outline nothing
    again = CliRunner().invoke(cli, words)
    assert isinstance(again.exception, BadOutput) and "--overwrite" in str(again.exception)
    assert CliRunner().invoke(cli, [*words, "--overwrite"]).exit_code == 0
    assert not list(folder.glob(".adding-*")), "nothing is left beside the models"
    assert CliRunner().invoke(cli, ["models", "remove", "mine"]).exit_code == 0
    assert path.is_file() and not (folder / "mine").exists()
    gone = CliRunner().invoke(cli, ["models", "remove", "mine"])
    assert isinstance(gone.exception, UnknownName) and "none so far" in str(gone.exception)


def test_a_server_loads_it_by_name(tmp_path, folder):
    pytest.importorskip("fastapi", reason="needs the extra terraclick[app]")
    from terraclick.server.main import model_of

    path = published_file("simpleclick-b", tmp_path / "their.pth")
    found = add_model("simpleclick-b", path, folder, name="mine", size=SIZE, config=SIMPLE)
    model = model_of("mine")
    assert model.hash == found.hash and len(model.hash) == 16


def test_what_does_not_fit_leaves_nothing(tmp_path, folder):
    path = published_file("mfp-b", tmp_path / "their.pth")
    with pytest.raises(BadWeights, match="does not fit"):
        add_model("simpleclick-b", path, folder, config=SIMPLE, size=SIZE)
    (tmp_path / "broken.pth").write_bytes(b"no checkpoint")
    with pytest.raises(BadWeights, match="damaged"):
        add_model("simpleclick-b", tmp_path / "broken.pth", folder, config=SIMPLE, size=SIZE)
    with pytest.raises(UnknownName, match="no network"):
        add_model("nothing", path, folder)
    for taken in ("terra", "greenness", "mfp-b"):
        with pytest.raises(BadConfig, match="is a model already"):
            add_model("simpleclick-b", path, folder, name=taken)
    for bad in ("../up", "a/b", "", ".hidden", "x" * 65):
        with pytest.raises(BadConfig, match="cannot be named"):
            add_model("simpleclick-b", path, folder, name=bad)
    assert not [entry for entry in folder.glob("*")] and installed_models(folder) == {}


def test_a_damaged_description_is_one_sentence(tmp_path, folder):
    path = published_file("simpleclick-b", tmp_path / "their.pth")
    add_model("simpleclick-b", path, folder, name="mine", size=SIZE, config=SIMPLE)
    card = folder / "mine" / CARD
    good = json.loads(card.read_text())
    (folder / "mine" / "click.onnx").write_bytes(b"")
    assert installed("mine", folder).damaged() == ["click.onnx"]
    for change in ({"kind": "other"}, {"files": [{"name": "../../x", "bytes": 1, "sha256": ""}]}, {"name": "else"}):
        card.write_text(json.dumps(good | change))
        with pytest.raises(BadWeights, match="remove the model"):
            load("mine")
        assert installed_models(folder) == {}
    assert remove_model("mine", folder) == folder / "mine"


def test_the_folder_follows_the_desktop_standard():
    assert models_folder({"TERRACLICK_MODELS": "/m", "XDG_DATA_HOME": "/d"}) == Path("/m")
    assert models_folder({"XDG_DATA_HOME": "/d", "HOME": "/h"}) == Path("/d/terraclick/models")
    if os.name != "nt":
        assert models_folder({"HOME": "/h"}) == Path("/h/.local/share/terraclick/models")
