"""Compiled depthwise convolutions equal torch's, forward and backward."""

import shutil

import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.blocks.efficientnet import EfficientNetLite0, SameConv  # noqa: E402
from terraclick.train.depthwise import compiled, use_fast_depthwise  # noqa: E402

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("channels", "rows", "cols"), [(32, 6, 10), (48, 16, 14)])
def test_answers_and_gradients(kernel, stride, channels, rows, cols):
    torch.manual_seed(0)
    plain = SameConv(channels, channels, kernel, stride, channels)
    fast = SameConv(channels, channels, kernel, stride, channels)
    fast.load_state_dict(plain.state_dict())
    assert use_fast_depthwise(fast) == 1
    answers = []
    for layer in (plain, fast):
        torch.manual_seed(1)
        x = torch.randn(3, channels, rows, cols).contiguous(memory_format=torch.channels_last).requires_grad_()
        y = layer(x)
        gradient = torch.randn(y.shape)
        answers.append((y, *torch.autograd.grad(y, (x, layer.weight, layer.bias), gradient)))
    for expected, found in zip(*answers, strict=True):
        assert found.shape == expected.shape and torch.allclose(found, expected, atol=2e-4)


def test_half_precision_is_close():
    torch.manual_seed(0)
    layer = SameConv(32, 32, 5, 1, 32)
    x = torch.randn(2, 32, 12, 12).contiguous(memory_format=torch.channels_last)
    expected = layer(x)
    use_fast_depthwise(layer)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
    assert found.dtype == torch.bfloat16 and torch.allclose(found.float(), expected, atol=0.05)


def test_every_depthwise_layer_of_the_backbone_is_found_and_can_be_left(monkeypatch):
    assert use_fast_depthwise(EfficientNetLite0()) == 16
    monkeypatch.setenv("TERRACLICK_PLAIN_CONVOLUTIONS", "1")
    assert use_fast_depthwise(EfficientNetLite0()) == 0


def test_the_library_is_compiled_once():
    assert compiled() is compiled() is not None
