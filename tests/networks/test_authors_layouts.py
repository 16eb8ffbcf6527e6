"""The isegm family's checkpoints as each repository's code writes them: names, unused arrays, objects in the config.

CrossCut's (Jittor) and BiCoR-Seg's (Lightning) files are in test_stored.py. Names are written from the published
modules, ours first; parity tests hold them against weights recorded from the published code.
"""

import re
import sys
import types
from collections import OrderedDict
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
from torch import nn  # noqa: E402

from terraclick.blocks.layers import ClickViTConfig  # noqa: E402
from terraclick.networks.checkpoint import build, convert, load_network  # noqa: E402
from terraclick.networks.focalclick.network import FocalClickConfig  # noqa: E402
from terraclick.networks.isrefiner.config import IsRefinerConfig  # noqa: E402
from terraclick.networks.mfp.network import MfpConfig  # noqa: E402
from terraclick.networks.ritm.network import RitmConfig  # noqa: E402
from terraclick.networks.simpleclick.network import SimpleClickConfig  # noqa: E402

VIT = ClickViTConfig(dim=32, heads=2, depth=4, size=224)
SIMPLE = SimpleClickConfig(VIT, (8, 16, 32, 64), 16)
PLAIN = (
    (r"embed_clicks\.", "patch_embed_coords.proj."),
    (r"neck\.stride", "neck.down_"),
    (r"head\.laterals\.", "head.convs."),
    (r"head\.fuse\.", "head.fusion_conv."),
    (r"head\.logits\.", "head.conv_seg."),
)
SEGFORMER, HEAD = "feature_extractor.backbone.", "feature_extractor.decode_head."
REFINER = "click_refiner."
SEEN = REFINER + "exact_image_feature.Exact_Backbone"
BACK = {
    "simpleclick": PLAIN,
    "mfp": (*PLAIN, (r"head\.maps\.", "head.conv_prevMod."), (r"head\.refine\.", "head.refine_fusion.")),
    "ritm": (),
    "focalclick": (
        (r"backbone\.clicks\.", SEGFORMER + "patch_embed_side1."),
        (r"backbone\.stage(\d)\.embed\.", SEGFORMER + r"patch_embed\1."),
        (r"backbone\.stage(\d)\.blocks\.(\d)\.mlp\.depthwise\.", SEGFORMER + r"block\1.\2.mlp.dwconv.dwconv."),
        (r"backbone\.stage(\d)\.blocks\.(\d)\.attn\.reduce\.", SEGFORMER + r"block\1.\2.attn.sr."),
        (r"backbone\.stage(\d)\.blocks\.", SEGFORMER + r"block\1."),
        (r"backbone\.stage(\d)\.norm\.", SEGFORMER + r"norm\1."),
        (r"head\.linear(\d)\.", HEAD + r"linear_c\1.proj."),
        (r"head\.fuse\.", HEAD + "linear_fuse.conv."),
        (r"head\.norm\.", HEAD + "linear_fuse.bn."),
        (r"head\.logits\.", HEAD + "linear_pred."),
    ),
    "isrefiner": (
        *PLAIN[:2],
        (r"token$", "mask_token"),
        (r"gate\.gate\.", "gatefusion.gate.0."),
        (
            r"refiner\.extractor\.blocks\.(\d)\.conv\.offset\.",
            SEEN + r".\1.offset_conv.",
        ),
        (r"refiner\.extractor\.blocks\.0\.conv\.", SEEN + ".0.conv1."),
        (r"refiner\.extractor\.blocks\.(\d)\.conv\.", SEEN + r".\1.deform_conv."),
        (r"refiner\.extractor\.blocks\.(\d)\.norm\.", SEEN + r".\1.bn."),
        (
            r"refiner\.extractor\.blocks\.(\d)\.excite\.narrow\.",
            SEEN + r".\1.se.fc.0.",
        ),
        (
            r"refiner\.extractor\.blocks\.(\d)\.excite\.widen\.",
            SEEN + r".\1.se.fc.2.",
        ),
        (r"refiner\.extractor\.blocks\.", SEEN + "."),
        (r"refiner\.extractor\.project\.", REFINER + "exact_image_feature.final_conv."),
        (r"refiner\.dense_fusion\.", REFINER + "dense_fusion_conv."),
        (r"refiner\.fusion\.early_attention\.", REFINER + "cross_feat.cross_attn1."),
        (r"refiner\.fusion\.image_attention\.", REFINER + "cross_feat.cross_attn2."),
        (r"refiner\.fusion\.early_norm\.", REFINER + "cross_feat.norm1."),
        (r"refiner\.fusion\.image_norm\.", REFINER + "cross_feat.norm2."),
        (r"refiner\.fusion\.up\.", REFINER + "cross_feat.up_path."),
        (r"refiner\.fusion\.", REFINER + "cross_feat."),
        (r"refiner\.layers\.(\d)\.token_attention\.", REFINER + r"decoder_layers.\1.token_to_image_attn."),
        (r"refiner\.layers\.(\d)\.feature_attention\.", REFINER + r"decoder_layers.\1.image_to_token_attn."),
        (r"refiner\.layers\.(\d)\.self_attention\.", REFINER + r"decoder_layers.\1.self_attn."),
        (r"refiner\.layers\.(\d)\.mlp\.2\.", REFINER + r"decoder_layers.\1.mlp.3."),
        (r"refiner\.layers\.(\d)\.norms\.0\.", REFINER + r"decoder_layers.\1.norm1."),
        (r"refiner\.layers\.(\d)\.norms\.1\.", REFINER + r"decoder_layers.\1.norm2."),
        (r"refiner\.layers\.(\d)\.norms\.2\.", REFINER + r"decoder_layers.\1.norm3."),
        (r"refiner\.layers\.(\d)\.norms\.3\.", REFINER + r"decoder_layers.\1.norm4."),
        (r"refiner\.layers\.", REFINER + "decoder_layers."),
        (r"refiner\.final_token\.attention\.", REFINER + "final_token_decoder.token_to_image_attn."),
        (r"refiner\.final_token\.mlp\.2\.", REFINER + "final_token_decoder.mlp.3."),
        (r"refiner\.final_token\.", REFINER + "final_token_decoder."),
        (r"refiner\.scale_fusion\.narrow\.(\d)\.", REFINER + r"multi_scale_fusion.convs.\1.conv."),
        (r"refiner\.scale_fusion\.mix\.", REFINER + "multi_scale_fusion.fusion_conv.conv."),
        (r"refiner\.up\.0\.", REFINER + "transposed_conv.t_conv1."),
        (r"refiner\.up\.1\.", REFINER + "transposed_conv.t_conv2."),
        (r"refiner\.mask_branch\.mix\.", REFINER + "prev_mask_downscaling.downscale.4."),
        (r"refiner\.mask_branch\.down\.(\d)\.0\.", REFINER + r"prev_mask_downscaling.downscale.\1.conv."),
        (r"refiner\.dynamic\.kernel\.", REFINER + "dynamic_conv.kernel_mlp."),
    ),
}
UNUSED = {
    "simpleclick": (
        "backbone.cls_token",
        "backbone.fc_norm.weight",
        "head.up_conv1.0.weight",
        "head.up_conv2.0.weight",
    ),
    "mfp": ("backbone.cls_token", "backbone.norm.weight", "head.up_conv1.0.weight", "head.up_conv2.0.weight"),
    "ritm": (),
    "focalclick": ("maps_transform.0.weight", "refiner.feature_gate.0.weight"),
    "isrefiner": ("backbone.cls_token", "backbone.fc_norm.bias"),
}
FOCAL = FocalClickConfig((8, 16, 20, 24), (1, 1, 1, 1), (1, 2, 2, 2), head=16, refiner=8)
REFINED = IsRefinerConfig(replace(VIT, dim=64), SIMPLE.pyramid, widths=(8, 16, 24, 32))
TINY_RITM = RitmConfig(width=4, ocr_width=8, small=True)
MODELS = "isegm.model.is_plainvit_model.PlainVitModel"
CASES = {  # repository: (family, name, config, class of the model, class of the object that its config holds)
    "SimpleClick": ("simpleclick", "simpleclick-b", SIMPLE, MODELS, "CrossEntropyLoss"),
    "MFP": ("mfp", "mfp-b", MfpConfig(SIMPLE), MODELS, "CrossEntropyLoss"),
    "CFR-ICL": ("simpleclick", "simpleclick-b", SIMPLE, MODELS, "NormalizedFocalLossSigmoid"),
    "RITM": ("ritm", "ritm-hrnet18", TINY_RITM, "isegm.model.is_hrnet_model.HRNetModel", ""),
    "FocalClick": ("focalclick", "focalclick-b0", FOCAL, "isegm.model.SegFormerModel", "SyncBatchNorm"),
    "RS-ISRefiner": ("isrefiner", "isrefiner-b", REFINED, MODELS, "CrossEntropyLoss"),
}


def published(family, state):
    """Names as the published modules have them, and the arrays that are there and never used."""
    named = OrderedDict()
    for name, value in state.items():
        for ours, theirs in BACK[family]:
            if re.match(ours, name):
                name = re.sub(f"^{ours}", theirs, name)
                break
        named[name] = value
    for name in UNUSED[family]:
        named[name] = torch.zeros(3, 3, 1, 1)
    return named


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("repository", CASES)
@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "before 1.6"])
def test_a_file_of_the_authors_is_converted(repository, zipped, tmp_path, monkeypatch):
    family, name, config, model, held = CASES[repository]
    torch.manual_seed(5)
    network = build(family, config)[0]
    module = types.ModuleType("isegm.losses")
    for parent in ("isegm", "isegm.losses"):
        monkeypatch.setitem(sys.modules, parent, module)
    parameters = {"use_disks": {"type": "builtin", "value": True, "specified": True}}
    if held:
        kind = type(held, (nn.Module,), {"__module__": "isegm.losses"})
        setattr(module, held, kind)
        parameters["head_params"] = {"type": "builtin", "value": {"loss_decode": kind()}, "specified": True}
    content = {"state_dict": published(family, network.state_dict()), "config": {"class": model, "params": parameters}}
    path = tmp_path / "last_checkpoint.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    for parent in ("isegm", "isegm.losses"):
        monkeypatch.delitem(sys.modules, parent)
    heard = []
    written = convert(path, tmp_path / "ours", family, config, heard.append)
    found = load_network(name, written).state_dict()
    assert found.keys() == network.state_dict().keys()
    assert all(torch.equal(found[key], value) for key, value in network.state_dict().items())
    assert heard == [{f"isegm.losses.{held}": 1} if held else {}] and "isegm" not in sys.modules
    if BACK[family]:
        assert set(content["state_dict"]) != set(found), "the file's names are the authors', not ours"
