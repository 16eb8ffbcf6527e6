"""Deformable convolution: recorded truth, gradients, and what it must be with plain offsets."""

import pytest
import torch
from parity import close, fixture
from torch.nn import functional

from terraclick.blocks import deform as layers_deform
from terraclick.blocks.deform import DeformConv2d, deform_conv2d, has_native, native_deform_conv2d
from terraclick.errors import MissingExtra


def test_parity_deform_conv2d(shared):
    arrays, _ = fixture(shared, "deform_conv2d")
    x, offset, weight, bias = (torch.from_numpy(arrays[name]) for name in ("x", "offset", "w", "bias"))
    close(deform_conv2d(x, offset, weight, bias), arrays["out"])


def test_gradients_are_right():
    rng = torch.Generator().manual_seed(0)
    shapes = ((2, 2, 4, 5), (2, 18, 4, 5), (3, 2, 3, 3), (3,))
    given = [torch.randn(shape, generator=rng, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(deform_conv2d, given, atol=1e-6)


def test_no_offset_is_plain_and_a_whole_step_is_a_shift():
    x, weight = torch.randn(1, 3, 6, 7), torch.randn(4, 3, 3, 3)
    plain = functional.conv2d(x, weight, padding=1)
    close(deform_conv2d(x, torch.zeros(1, 18, 6, 7), weight), plain)
    down = torch.tensor([1.0, 0.0]).repeat(9).view(1, 18, 1, 1).expand(-1, -1, 6, 7)
    close(deform_conv2d(x, down, weight)[..., :-2, :], plain[..., 1:-1, :])


def test_a_new_layer_is_a_plain_convolution():
    layer, x = DeformConv2d(3, 5), torch.randn(2, 3, 8, 6)
    close(layer(x).detach(), functional.conv2d(x, layer.weight, layer.bias, padding=1).detach())


def test_torchvision_agrees_or_is_named():
    if has_native():
        x, offset, weight = torch.randn(1, 2, 5, 5), torch.randn(1, 18, 5, 5), torch.randn(3, 2, 3, 3)
        close(native_deform_conv2d(x, offset, weight), deform_conv2d(x, offset, weight), 1e-4)
    else:
        with pytest.raises(MissingExtra, match="pip install torchvision"):
            DeformConv2d(2, 3, native=True)


def test_torchvision_is_taken_where_it_loads_and_not_when_traced(monkeypatch):
    calls = []
    monkeypatch.setattr(layers_deform, "has_native", lambda: True)
    native = lambda *given: calls.append(1) or deform_conv2d(*given)  # noqa: E731
    monkeypatch.setattr(layers_deform, "native_deform_conv2d", native)
    x = torch.randn(1, 2, 6, 6)
    taken, left = DeformConv2d(2, 3), DeformConv2d(2, 3, native=False)
    left(x), taken(x)
    assert len(calls) == 1
    monkeypatch.setattr(torch.jit, "is_tracing", lambda: True)
    taken(x)
    assert len(calls) == 1


def test_half_precision_samples_where_full_precision_does():
    x, weight = torch.randn(1, 2, 8, 300), torch.randn(3, 2, 3, 3)
    offset = torch.full((1, 18, 8, 300), 0.25)
    exact = deform_conv2d(x, offset, weight)
    rough = deform_conv2d(x.bfloat16(), offset.bfloat16(), weight.bfloat16())
    assert (rough.float() - exact).abs().max() < 0.1
