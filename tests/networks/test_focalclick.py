"""FocalClick's network: both stages, the cut between them, and the names of published weights."""

import math

import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from check_click_model import CHECKS, check_click_model, click_inputs  # noqa: E402

from terraclick.errors import BadWeights  # noqa: E402
from terraclick.networks.checkpoint import load_published  # noqa: E402
from terraclick.networks.focalclick.network import FocalClick, FocalClickConfig, roi_align  # noqa: E402

TINY = FocalClickConfig((8, 16, 20, 24), (1, 2, 1, 1), (1, 2, 2, 2), head=16, refiner=8)


def network(**changes):
    torch.manual_seed(0)
    return FocalClick(FocalClickConfig(**{**TINY.__dict__, **changes})).eval()


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("halved", [False, True])
def test_it_is_a_click_model(halved, check):
    if halved and check == "export":
        pytest.skip("the same operators as at full size")
    check_click_model(check, network(halved=halved), silent=("refiner",))


def test_the_refiner_learns_through_the_cut():
    net = network()
    image, previous, points = click_inputs(2, 64, 64)
    boxes = torch.tensor([[8.0, 4, 40, 44], [0, 0, 64, 64]])
    coarse = net.coarse(net.encode(image), previous, points)
    refined = net.refine(image, points, coarse, boxes)
    assert refined.shape == (2, 1, 64, 64)
    refined.square().mean().backward()
    assert not [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]


@torch.no_grad()
def test_a_trimap_that_is_nowhere_sure_leaves_the_coarse_answer():
    net = network()
    image, previous, points = click_inputs(1, 64, 64)
    coarse = net.coarse(net.encode(image), previous, points)
    torch.nn.init.constant_(net.refiner.refine_trimap.bias, -1e4)
    refined = net.refine(image, points, coarse, torch.tensor([[0.0, 0, 64, 64]]))
    assert torch.allclose(refined, coarse.logits, atol=1e-4)


def by_hand(array, top, bottom, left, right, size):
    """RoI-align of one channel, sample by sample."""
    out = torch.zeros(size)
    steps = ((bottom - top) / size[0], (right - left) / size[1])
    counts = [max(1, math.ceil(step)) for step in steps]
    for i in range(size[0]):
        for j in range(size[1]):
            total = 0.0
            for a in range(counts[0]):
                for b in range(counts[1]):
                    y = top - 0.5 + (i + (a + 0.5) / counts[0]) * steps[0]
                    x = left - 0.5 + (j + (b + 0.5) / counts[1]) * steps[1]
                    total += bilinear(array, y, x)
            out[i, j] = total / (counts[0] * counts[1])
    return out


def bilinear(array, y, x):
    rows, cols = array.shape
    if not (-1 <= y <= rows and -1 <= x <= cols):
        return 0.0
    y, x = min(max(y, 0), rows - 1), min(max(x, 0), cols - 1)
    r, c = min(int(y), rows - 2), min(int(x), cols - 2)
    fy, fx = y - r, x - c
    near = array[r : r + 2, c : c + 2]
    return float((1 - fy) * ((1 - fx) * near[0, 0] + fx * near[0, 1]) + fy * ((1 - fx) * near[1, 0] + fx * near[1, 1]))


BOXES = [(2.3, 9.1, 1.0, 4.5), (0, 12, 0, 10), (-3, 5, -2.2, 14), (1.5, 1.9, 3, 3.1)]


@pytest.mark.parametrize("box", BOXES)
def test_roi_align_is_the_sampled_mean(box):
    maps = torch.rand(1, 2, 12, 10, generator=torch.Generator().manual_seed(0))
    top, bottom, left, right = box
    cut = roi_align(maps, torch.tensor([[top, left, bottom, right]]), (3, 4))
    for channel in range(2):
        assert torch.allclose(cut[0, channel], by_hand(maps[0, channel], *box, (3, 4)), atol=1e-4)


def test_roi_align_equals_torchvision():
    torchvision = pytest.importorskip("torchvision", reason="compares with torchvision where it is installed")
    maps = torch.rand(1, 2, 12, 10, generator=torch.Generator().manual_seed(0))
    for top, bottom, left, right in BOXES:
        cut = roi_align(maps, torch.tensor([[top, left, bottom, right]]), (3, 4))
        rois = torch.tensor([[0, left, top, right, bottom]])
        assert torch.allclose(cut, torchvision.ops.roi_align(maps, rois, (3, 4), aligned=True), atol=1e-4)


def published_state(config):
    """Zeros under the published names, as the checkpoint of a network of this size lists them."""
    names = {}

    def norm(name, dim):
        names.update({f"{name}.weight": (dim,), f"{name}.bias": (dim,)})

    def layer(name, *shape, bias=True):
        names[f"{name}.weight"] = shape
        if bias:
            names[f"{name}.bias"] = shape[:1]

    def batch_norm(name, dim):
        norm(name, dim)
        names.update({f"{name}.running_mean": (dim,), f"{name}.running_var": (dim,), f"{name}.num_batches_tracked": ()})

    root, before = "feature_extractor.backbone.", 3
    for n, (dim, depth, reduction) in enumerate(zip(config.dims, config.depths, config.reductions, strict=True), 1):
        kernel = 7 if n == 1 else 3
        for embed in (f"patch_embed{n}", *(["patch_embed_side1"] if n == 1 else [])):
            layer(f"{root}{embed}.proj", dim, before, kernel, kernel)
            norm(f"{root}{embed}.norm", dim)
        for i in range(depth):
            block = f"{root}block{n}.{i}."
            for part in ("norm1", "norm2"):
                norm(block + part, dim)
            layer(block + "attn.q", dim, dim)
            layer(block + "attn.kv", 2 * dim, dim)
            layer(block + "attn.proj", dim, dim)
            if reduction > 1:
                layer(block + "attn.sr", dim, dim, reduction, reduction)
                norm(block + "attn.norm", dim)
            layer(block + "mlp.fc1", 4 * dim, dim)
            layer(block + "mlp.dwconv.dwconv", 4 * dim, 1, 3, 3)
            layer(block + "mlp.fc2", dim, 4 * dim)
        norm(f"{root}norm{n}", dim)
        layer(f"feature_extractor.decode_head.linear_c{n}.proj", config.head, dim)
        before = dim
    head, width = config.head, config.refiner
    layer("feature_extractor.decode_head.linear_fuse.conv", head, 4 * head, 1, 1, bias=False)
    batch_norm("feature_extractor.decode_head.linear_fuse.bn", head)
    layer("feature_extractor.decode_head.linear_pred", 1, head, 1, 1)
    layer("refiner.image_conv1.conv", width, 6, 3, 3)
    layer("refiner.refine_fusion.conv", width, head, 1, 1)
    for part in ("image_conv1", "refine_fusion"):
        batch_norm(f"refiner.{part}.norm", width)
    for part in ("image_conv2", "image_conv3", "refine_fusion2", "refine_fusion3"):
        layer(f"refiner.{part}.conv3x3", width, 1, 3, 3)
        layer(f"refiner.{part}.conv1x1", width, width, 1, 1)
        batch_norm(f"refiner.{part}.norm", width)
    layer("refiner.feature_gate.0", 1, width, 1, 1)
    layer("refiner.refine_pred", 1, width, 3, 3)
    layer("refiner.refine_trimap", 1, width, 3, 3)
    layer("maps_transform.0", 16, 3, 3, 3)
    layer("maps_transform.2", 32, 16, 3, 3)
    names["maps_transform.3.scale"] = (1,)
    return {name: torch.zeros(shape) for name, shape in names.items()}


def test_the_published_names_are_all_accounted_for():
    state = published_state(TINY)
    load_published("focalclick", state, TINY)
    state.pop("feature_extractor.backbone.block2.1.mlp.dwconv.dwconv.weight")
    with pytest.raises(BadWeights, match=r"1 missing \(backbone\.stage2\.blocks\.1\.mlp\.depthwise\.weight\)"):
        load_published("focalclick", state, TINY)
