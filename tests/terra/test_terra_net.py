"""The click net: shapes, gradients, independence of batch-mates, and the exported file beside the torch network."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.core.bank import MAP_CHANNELS, SLOTS  # noqa: E402
from terraclick.core.refit import FIT_CHANNELS, FIT_STRIDE  # noqa: E402
from terraclick.terra.net import PRINCIPAL, ClickNet, TerraEncoder  # noqa: E402


def inputs(batch=1, rows=64, cols=96, tokens=5, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=generator)

    return {
        "image": rand(batch, 3, rows, cols) * 255,
        "clicks": rand(batch, 3, rows, cols),
        "tokens": (rand(batch, 768, tokens, tokens) - 0.5) / 10,
        "shallow": (rand(batch, 384, tokens, tokens) - 0.5) / 10,
        "rows": (rand(batch, 2, SLOTS, 768) - 0.5) / 10,
        "labels": (rand(batch, 2, tokens, tokens) * SLOTS).long(),
        "maps": rand(batch, MAP_CHANNELS, tokens, tokens),
        "fit": rand(batch, FIT_CHANNELS, rows // FIT_STRIDE, cols // FIT_STRIDE) - 0.5,
        "target": torch.eye(2)[(rand(batch) * 2).long()],
    }


@pytest.fixture(scope="module")
def net():
    """A click net whose zero-started layers were given something to say."""
    torch.manual_seed(0)
    net = ClickNet().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    return net


@torch.no_grad()
@pytest.mark.parametrize(("batch", "rows", "cols", "tokens"), [(1, 64, 96, 5), (3, 96, 32, 24)])
def test_shapes(batch, rows, cols, tokens, net):
    logits = net(**inputs(batch, rows, cols, tokens))
    assert logits.shape == (batch, 1, rows, cols) and torch.isfinite(logits).all()


@torch.no_grad()
def test_a_row_does_not_depend_on_its_batch_mates(net):
    together = inputs(3)
    whole = net(**together)
    for i in range(3):
        alone = net(**{name: value[i : i + 1] for name, value in together.items()})
        assert torch.allclose(alone, whole[i : i + 1], atol=1e-4)


@torch.no_grad()
def test_the_same_inputs_give_the_same_answer(net):
    assert torch.equal(net(**inputs()), net(**inputs()))


def test_every_parameter_is_reached(net):
    net.zero_grad()
    net(**inputs(2)).square().mean().backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not silent
    assert not [name for name, p in net.named_parameters() if not p.grad.any() and "stages.6" not in name]


@torch.no_grad()
@pytest.mark.parametrize("name", ["image", "clicks", "tokens", "shallow", "rows", "labels", "maps", "fit", "target"])
def test_every_input_matters(name, net):
    given, other = inputs(), inputs(seed=1)
    other["target"] = 1 - given["target"]
    assert not torch.allclose(net(**given), net(**{**given, name: other[name]}), atol=1e-5)


@torch.no_grad()
def test_an_untrained_net_starts_from_the_plain_backbone():
    torch.manual_seed(0)
    fresh = ClickNet().eval()
    image = torch.rand(1, 3, 64, 64) * 255
    plain = fresh.backbone((image - 127) / 128, torch.zeros(1, 32, 32, 32), {})
    stem = fresh.stem_clicks(torch.rand(1, 3, 64, 64)) + fresh.stem_target(torch.tensor([[1.0, 0.0]]))[:, :, None, None]
    joined = fresh._features(image, stem, torch.rand(1, fresh.config.prompt, 5, 5))
    assert all(torch.equal(a, b) for a, b in zip(plain, joined, strict=True))


@torch.no_grad()
def test_the_encoder_gives_tokens_of_three_blocks_and_their_principal_components():
    torch.manual_seed(0)
    encoder = TerraEncoder().eval()
    tokens, shallow, principal = encoder(torch.rand(1, 3, 56, 42) * 255)
    assert tokens.shape == (1, 768, 4, 3) and shallow.shape == (1, 384, 4, 3) and torch.isfinite(tokens).all()
    mixed = torch.einsum("pc,bchw->bphw", encoder.principal.weight[:, :, 0, 0], tokens)
    assert principal.shape == (1, PRINCIPAL, 4, 3) and torch.allclose(principal, mixed, atol=1e-4)


@torch.no_grad()
def test_the_exported_file_equals_the_network(net, tmp_path):
    """At two sizes, one unlike that of the traced example, constants rounded to float16 as in the file."""
    from terraclick.inference.graph import Graph
    from terraclick.train.export import export_click_net

    checkpoint, path = tmp_path / "click_net.pt", tmp_path / "net.onnx"
    torch.save({"arch": "terra-click-net", "weights": net.state_dict()}, checkpoint)
    export_click_net(checkpoint, path)
    engine = Graph(path, threads=1)
    rounded = ClickNet().eval()
    state = {name: v.half().float() if v.numel() >= 512 else v for name, v in net.state_dict().items()}
    rounded.load_state_dict(state)
    for rows, cols in ((384, 384), (64, 128)):
        given = inputs(1, rows, cols, tokens=24)
        expected = rounded(**given).numpy()
        found = engine({name: value.numpy() for name, value in given.items()})
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 1e-3 * max(1, np.abs(expected).max())
        # rounding the constants to float16 (11 bits) moves an answer by about a thousandth of its size a layer
        assert np.abs(found - net(**given).numpy()).max() < 2e-2 * max(1, np.abs(expected).max())
