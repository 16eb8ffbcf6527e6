"""BiCoR-Seg: equal to recorded runs, of any batch size, never [B, N, C, H, W], and its encoders."""

import numpy as np
import pytest
import torch
from parity import close, fixture, state
from torch.utils._python_dispatch import TorchDispatchMode

from terraclick.blocks.convnext import RENAMES as CONVNEXT_RENAMES
from terraclick.blocks.convnext import UNUSED, ConvNeXt, ConvNeXtConfig
from terraclick.errors import BadConfig, UnknownName
from terraclick.networks.bicor.network import Bicor, BicorConfig, BicorDecoder, build_encoder
from terraclick.networks.bicor.weights import DECODER_RENAMES
from terraclick.networks.checkpoint import rename
from terraclick.train.semantic_losses import (
    fisher_loss,
    main_loss,
    scatter_ratio,
    smoothed_cross_entropy,
    total_loss,
)

TINY = BicorConfig(7, (8, 16, 32, 64), embed=64)


def published(arrays, top_k=0.02):
    decoder = BicorDecoder(BicorConfig(7, (8, 16, 32, 64), embed=64, top_k=top_k))
    decoder.load_state_dict(rename(state(arrays), DECODER_RENAMES, ()))
    return decoder.eval()


def stages(arrays, batch=3):
    return [torch.from_numpy(arrays[name][:batch]) for name in ("f4", "f8", "f16", "f32")]


def random_maps(batch, side=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sides = (side, side // 2, side // 4, side // 8)
    return [torch.randn(batch, c, s, s, generator=generator) for c, s in zip(TINY.channels, sides, strict=True)]


def test_parity_bicor_tiny(shared):
    arrays, _ = fixture(shared, "bicor_tiny")
    with torch.no_grad():
        found = published(arrays)(stages(arrays), auxiliary=True)
    close(found.logits, arrays["eval_logits"])
    close(found.auxiliary, arrays["aux_logits"])
    close(scatter_ratio(found.embeddings[-1], pairs=True), arrays["fisher"])
    for layer in (0, 1):
        close(found.heat[layer], arrays[f"heat{layer}"])
        close(found.embeddings[layer], arrays[f"ce{layer}"])


@pytest.mark.parametrize(("name", "top_k"), [("top03", 0.3), ("top1", 1.0)])
def test_parity_bicor_tiny_with_more_pixels(shared, name, top_k):
    arrays, _ = fixture(shared, "bicor_tiny")
    with torch.no_grad():
        found = published(arrays, top_k)(stages(arrays, 1))
    close(found.logits, arrays[f"{name}_eval_logits"])
    close(found.heat[1], arrays[f"{name}_heat1"])
    close(found.embeddings[1], arrays[f"{name}_ce1"])


def test_parity_bicor_losses(shared):
    arrays, _ = fixture(shared, "bicor_tiny")
    truth, _ = fixture(shared, "bicor_losses")
    labels = torch.from_numpy(truth["labels"]).long()
    logits = torch.from_numpy(arrays["eval_logits"]).requires_grad_()
    loss = main_loss(logits, labels)
    close(loss.detach(), truth["eval_loss"])
    loss = loss + 0.4 * smoothed_cross_entropy(torch.from_numpy(arrays["aux_logits"]), labels)
    close(loss.detach(), truth["train_loss"])
    loss.backward()
    close(logits.grad, truth["grad_seg"], absolute=1e-7)
    heat = torch.nn.functional.interpolate(torch.from_numpy(arrays["heat0"]), labels.shape[-2:], mode="bilinear")
    close(main_loss(heat, labels), truth["heat_loss"])


@pytest.mark.parametrize("setting", ["parity", "paper"])
@pytest.mark.parametrize("decoder", ["hbis", "attention"])
def test_a_picture_does_not_see_its_batch_mates(setting, decoder):
    torch.manual_seed(0)
    net = BicorDecoder(BicorConfig(7, TINY.channels, 64, decoder=decoder, setting=setting)).eval()
    maps = random_maps(3)
    with torch.no_grad():
        whole, alone = net(maps).logits, net([m[1:2] for m in maps]).logits
    close(whole[1:2], alone)


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("setting", ["parity", "paper"])
def test_the_loss_of_any_batch_is_that_of_its_parts(batch, setting):
    """The published loss tears a batch of two apart; ours must weigh each of them alike, whatever their number."""
    torch.manual_seed(0)
    config = BicorConfig(7, TINY.channels, 64, setting=setting)
    net = BicorDecoder(config).train()
    output = net(random_maps(batch))
    labels = torch.randint(0, 7, (batch, 64, 64))
    loss = total_loss(output, labels, config, fisher=0)
    crosses = [total_part(output, labels, i) for i in range(batch)]
    ups = smoothed_cross_entropy(output.logits, labels)
    assert torch.allclose(ups, torch.stack(crosses).mean(), atol=1e-5)
    (loss + fisher_loss(output.embeddings, setting)).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters() if p.requires_grad)
    assert (float(fisher_loss(output.embeddings, setting).detach()) == 0) == (batch == 1)


def total_part(output, labels, index):
    return smoothed_cross_entropy(output.logits[index : index + 1], labels[index : index + 1])


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation made, forward and backward."""

    size = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor) and 0 not in tensor.stride():
                self.size = max(self.size, tensor.numel())
        return out


def test_modulated_maps_never_exist_per_class():
    """[B, N, C, H, W] would hold 7 × 64 values a pixel; the largest tensor is the four maps' worth of a few C."""
    net, maps = BicorDecoder(TINY).train(), random_maps(2, side=32)
    with Largest() as watched:
        output = net(maps)
        total_loss(output, torch.zeros(2, 128, 128, dtype=torch.long), TINY).backward()
    assert watched.size <= 2 * 7 * 128 * 128  # the logits themselves
    assert watched.size < 2 * 7 * 64 * 32 * 32


def test_the_paper_setting_learns_how_much_to_keep_and_has_no_auxiliary_head():
    net = BicorDecoder(BicorConfig(5, TINY.channels, 64, setting="paper")).train()
    output = net(random_maps(2))
    assert output.auxiliary is None
    assert [float(layer.keep.detach()) for layer in net.layers] == [0.5, 0.5]
    total_loss(output, torch.randint(0, 5, (2, 64, 64)), net.config).backward()
    assert all(layer.keep.grad != 0 for layer in net.layers)


def test_fisher_is_the_ratio_of_scatters():
    """Two classes at 0 and 4, pictures one to either side: S_w = 1; pairs 16; to the grand mean 4."""
    embeddings = torch.tensor([[[-1.0], [3.0]], [[1.0], [5.0]]])
    assert float(scatter_ratio(embeddings, pairs=True)) == pytest.approx(1 / 16, rel=1e-4)
    assert float(scatter_ratio(embeddings, pairs=False)) == pytest.approx(1 / 4, rel=1e-4)
    assert float(fisher_loss((embeddings, embeddings), "parity")) == pytest.approx(1.2 / 16, rel=1e-4)
    assert float(fisher_loss((embeddings, embeddings), "paper")) == pytest.approx(0.2 / 4, rel=1e-4)


def test_ignored_pixels_and_absent_classes_teach_nothing():
    logits = torch.randn(1, 3, 8, 8, requires_grad=True)
    labels = torch.full((1, 8, 8), 255)
    labels[0, 0, 0] = 1
    main_loss(logits, labels).backward()
    assert logits.grad[0, :, 1:].abs().max() == 0
    assert logits.grad[0, :, 0, 0].abs().min() > 0


@pytest.mark.parametrize("bad", [{"classes": 1}, {"top_k": 0}, {"embed": 40}, {"decoder": "hbsi"}, {"layers": 0}])
def test_contradictory_sizes_are_refused(bad):
    with pytest.raises(BadConfig):
        BicorConfig(**bad)


def test_unknown_encoders_are_refused_with_the_list():
    with pytest.raises(UnknownName, match="convnext-base, efficientnet-lite0, vit-s14"):
        build_encoder("resnet")
    with pytest.raises(BadConfig, match="channels"):
        Bicor("efficientnet-lite0", TINY)


def test_efficientnet_and_tokens_are_encoders_of_the_same_decoder():
    image, tokens = torch.rand(1, 3, 64, 64), torch.randn(1, 768, 5, 5)
    for name, channels in (("efficientnet-lite0", (24, 40, 112, 320)), ("vit-s14", (24, 40, 384, 384))):
        net = Bicor(name, BicorConfig(4, channels, 32)).eval()
        with torch.no_grad():
            assert net(image, tokens).logits.shape == (1, 4, 64, 64)


@pytest.mark.slow
def test_convnext_equals_another_implementation():
    """Random weights, the layout of the authors' checkpoints against `transformers`; all four stages agree."""
    transformers = pytest.importorskip("transformers")
    sizes, depths = (8, 16, 24, 32), (1, 2, 3, 1)
    config = transformers.ConvNextConfig(hidden_sizes=sizes, depths=depths, layer_scale_init_value=0.5)
    torch.manual_seed(0)
    other = transformers.ConvNextModel(config).eval()
    state = {authors(name): value for name, value in other.state_dict().items() if not name.startswith("layernorm")}
    ours = ConvNeXt(ConvNeXtConfig(depths, sizes))
    ours.load_state_dict(rename(state, CONVNEXT_RENAMES, UNUSED))
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        found, theirs = ours(image), other(image, output_hidden_states=True).hidden_states[1:]
    for mine, its in zip(found, theirs, strict=True):
        close(mine, its)


def authors(name):
    """The other implementation's name of an array → the authors' (`downsample_layers`, `stages`)."""
    name = name.replace("encoder.", "").replace("downsampling_layer.", "DOWN").replace("layers.", "")
    name = name.replace("embeddings.patch_embeddings", "downsample_layers.0.0")
    name = name.replace("embeddings.layernorm", "downsample_layers.0.1")
    name = name.replace("layer_scale_parameter", "gamma").replace("layernorm", "norm")
    for stage in range(4):
        name = name.replace(f"stages.{stage}.DOWN", f"downsample_layers.{stage}.")
    return name


@pytest.mark.parametrize("layout", ["authors", "torchvision", "timm"])
def test_three_published_layouts_of_convnext_are_read(layout):
    ours = ConvNeXt(ConvNeXtConfig((1, 1, 2, 1), (8, 16, 24, 32))).state_dict()
    state = {NAMES[layout](name): value for name, value in ours.items()}
    state |= {name: torch.zeros(1) for name in ("norm.weight", "head.fc.weight", "classifier.2.weight")}
    assert {k: v.shape for k, v in rename(state, CONVNEXT_RENAMES, UNUSED).items()} == {
        k: v.shape for k, v in ours.items()
    }
    assert np.array_equal(rename(state, CONVNEXT_RENAMES, UNUSED)["stages.2.1.gamma"], ours["stages.2.1.gamma"])


def _torchvision(name):
    kind, stage, index, *rest = name.split(".")
    if kind == "steps":
        place = {"0": "1", "1": "0"}[index] if stage == "0" else index
        return ".".join([f"features.{2 * int(stage)}", place, *rest])
    leaf = {"depthwise": "block.0", "norm": "block.2", "widen": "block.3", "narrow": "block.5", "gamma": "layer_scale"}
    return ".".join([f"features.{2 * int(stage) + 1}.{index}", leaf[rest[0]], *rest[1:]])


def _authors(name):
    kind, stage, index, *rest = name.split(".")
    if kind == "steps":
        place = {"0": "1", "1": "0"}[index] if stage == "0" else index
        return ".".join([f"downsample_layers.{stage}", place, *rest])
    leaf = {"depthwise": "dwconv", "widen": "pwconv1", "narrow": "pwconv2"}
    return ".".join([f"stages.{stage}.{index}", leaf.get(rest[0], rest[0]), *rest[1:]])


def _timm(name):
    kind, stage, index, *rest = name.split(".")
    if kind == "steps":
        place = {"0": "1", "1": "0"}[index]
        return ".".join(["stem", place, *rest] if stage == "0" else [f"stages.{stage}.downsample", index, *rest])
    leaf = {"depthwise": "conv_dw", "widen": "mlp.fc1", "narrow": "mlp.fc2"}
    return ".".join([f"stages.{stage}.blocks.{index}", leaf.get(rest[0], rest[0]), *rest[1:]])


NAMES = {"authors": _authors, "torchvision": _torchvision, "timm": _timm}
