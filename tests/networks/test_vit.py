"""The plain ViT and the EfficientNet-Lite0 backbone, against operations written out by hand."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from torch.nn import functional  # noqa: E402

from terraclick.blocks.efficientnet import CHANNELS, EfficientNetLite0, fold_published  # noqa: E402
from terraclick.blocks.vit import VisionTransformer, ViTConfig, resize_positions, vit_small_14  # noqa: E402

TINY = ViTConfig(patch=4, dim=16, depth=3, heads=2, grid=(5, 5), layer_scale=True)


def tiny_vit(config=TINY):
    torch.manual_seed(0)
    model = VisionTransformer(config).eval()
    torch.nn.init.normal_(model.pos_embed)
    return model


def test_positions_of_the_same_grid_are_left_alone():
    table = torch.randn(1, 26, 16)
    assert torch.equal(resize_positions(table, (5, 5), (5, 5)), table)


def test_resized_positions_keep_the_class_entry_and_constants():
    table = torch.ones(1, 26, 16)
    table[:, 0] = 7
    resized = resize_positions(table, (5, 5), (8, 3))
    assert resized.shape == (1, 25, 16) and (resized[:, 0] == 7).all()
    assert torch.allclose(resized[:, 1:], torch.ones(1, 24, 16), atol=1e-6)


@torch.no_grad()
def test_maps_have_the_token_grids_shape():
    maps = tiny_vit()(torch.randn(2, 3, 12, 32), after=(1, 3))
    assert [tuple(m.shape) for m in maps] == [(2, 16, 3, 8)] * 2


@torch.no_grad()
def test_a_map_does_not_depend_on_later_blocks():
    model, image = tiny_vit(), torch.randn(1, 3, 20, 20)
    first, second = model(image, after=(1, 2))
    shallow = VisionTransformer(replace(TINY, depth=2)).eval()
    shallow.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("blocks.2")})
    model.blocks[2].mlp.fc1.weight.fill_(9)
    assert torch.equal(model(image, after=(1, 2))[1], second) and torch.equal(shallow(image, after=(1,))[0], first)


@torch.no_grad()
def test_attention_equals_its_formula():
    block = tiny_vit().blocks[0].attn
    x = torch.randn(2, 7, 16)
    q, k, v = (part.reshape(2, 7, 2, 8).transpose(1, 2) for part in block.qkv(x).split(16, dim=-1))
    mixed = torch.softmax(q @ k.transpose(-1, -2) / 8**0.5, dim=-1) @ v
    assert torch.allclose(block(x), block.proj(mixed.transpose(1, 2).reshape(2, 7, 16)), atol=1e-5)


def test_the_published_size():
    config = vit_small_14()
    assert (config.patch, config.dim, config.depth, config.heads, config.grid) == (14, 384, 12, 6, (37, 37))


@torch.no_grad()
def test_backbone_strides_and_channels():
    features = EfficientNetLite0().eval()(torch.randn(1, 3, 64, 96), torch.zeros(1, 32, 32, 48), {})
    assert [tuple(f.shape[1:]) for f in features] == [
        (channels, 64 // stride, 96 // stride) for channels, stride in zip(CHANNELS, (2, 4, 8, 16, 32), strict=True)
    ]


def published_state():
    """Random weights in the published checkpoint's layout: a convolution without bias, then a batch norm."""
    generator = torch.Generator().manual_seed(1)
    state = {}

    def put(conv, norm, shape):
        state[f"{conv}.weight"] = torch.randn(*shape, generator=generator) * 0.2
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{norm}.{part}"] = torch.rand(shape[0], generator=generator) + 0.5

    net = EfficientNetLite0()
    put("_conv_stem", "_bn0", net.stem.weight.shape)
    for index, block in enumerate(block for stage in net.stages for block in stage):
        name = f"_blocks.{index}"
        if block.expands:
            put(f"{name}._expand_conv", f"{name}._bn0", block.expand.weight.shape)
        put(f"{name}._depthwise_conv", f"{name}._bn1", block.depthwise.weight.shape)
        put(f"{name}._project_conv", f"{name}._bn2", block.project.weight.shape)
    return net, state


def unfolded(x, state, conv, norm, stride=1):
    """Convolution padded as TensorFlow does (one more row and column at the end), then batch norm, eps 1e-3."""
    weight = state[f"{conv}.weight"]
    kernel = weight.shape[-1]
    out = -(-x.shape[-1] // stride)
    total = max((out - 1) * stride + kernel - x.shape[-1], 0)
    x = functional.pad(x, (total // 2, total - total // 2, total // 2, total - total // 2))
    x = functional.conv2d(x, weight, stride=stride, groups=x.shape[1] if weight.shape[1] == 1 else 1)
    mean, var, gain, bias = (state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return functional.batch_norm(x, mean, var, gain, bias, training=False, eps=1e-3)


@torch.no_grad()
def test_folding_keeps_what_the_published_network_computes():
    net, state = published_state()
    net.load_state_dict(fold_published(state))
    x = torch.randn(1, 3, 32, 32)
    stem = functional.relu6(unfolded(x, state, "_conv_stem", "_bn0", 2))
    assert torch.allclose(functional.relu6(net.stem(x)), stem, atol=1e-4)
    y = torch.randn(1, 16, 16, 16)  # the first block that expands, with stride 2
    z = functional.relu6(unfolded(y, state, "_blocks.1._expand_conv", "_blocks.1._bn0"))
    z = functional.relu6(unfolded(z, state, "_blocks.1._depthwise_conv", "_blocks.1._bn1", 2))
    z = unfolded(z, state, "_blocks.1._project_conv", "_blocks.1._bn2")
    assert torch.allclose(net.stages[1][0](y), z, atol=1e-4)


def test_another_networks_checkpoint_is_no_backbone():
    with pytest.raises(KeyError):
        fold_published({"conv1.weight": torch.zeros(3)})
