"""Depthwise convolutions for CPU training: `depthwise.c`, compiled once by the machine's own compiler.

A backward pass of the click net spends three quarters of its time in oneDNN's depthwise convolutions, most of all in
bfloat16. Without a C compiler, or on a GPU, training uses torch's own convolution: slower, the same answers.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from terraclick.blocks.efficientnet import SameConv

__all__ = ["compiled", "depthwise_conv", "use_fast_depthwise"]

SOURCE = Path(__file__).with_name("depthwise.c")
LANES = 16
"""Channels that the loops take at once: layers whose width is no multiple keep torch's convolution."""


class _Shape(ctypes.Structure):
    """`shape_t` of the source."""

    _fields_ = [
        (name, ctypes.c_int64) for name in ("batch", "height", "width", "channels", "rows", "cols", "top", "left")
    ]


@lru_cache(maxsize=1)
def compiled() -> Any | None:
    """The compiled library, or None without a C compiler. It is kept for this process alone, in a temporary folder."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory(prefix="terraclick-") as folder:
        library = Path(folder) / "depthwise.so"
        flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
        done = subprocess.run([compiler, *flags, "-o", str(library), str(SOURCE)], capture_output=True, check=False)
        return ctypes.CDLL(str(library)) if done.returncode == 0 else None


def _address(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def _blank(shape: tuple[int, int, int, int], like: Tensor) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, memory_format=torch.channels_last)


class _Depthwise(torch.autograd.Function):
    """x (B, C, H, W) channels-last float32 or bfloat16, weight (C, 1, K, K), bias (C,) → (B, C, P, Q)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int, pad: tuple[int, int]) -> Tensor:
        """pad: rows and columns of zeros before and after, the same along both axes."""
        x = x.contiguous(memory_format=torch.channels_last)
        channels, kernel = weight.shape[0], weight.shape[-1]
        taps = weight.detach().reshape(channels, -1).t().float().contiguous()
        rows, cols = ((size + sum(pad) - kernel) // stride + 1 for size in x.shape[-2:])
        shape = _Shape(x.shape[0], x.shape[2], x.shape[3], channels, rows, cols, pad[0], pad[0])
        y = _blank((x.shape[0], channels, rows, cols), x)
        ctx.save_for_backward(x, taps)
        ctx.settings = (int(x.dtype == torch.bfloat16), kernel, stride, shape)
        offset = bias.detach().float().contiguous()
        _run("depthwise_forward", ctx.settings, x, taps, offset, y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, weight and bias."""
        x, taps = ctx.saved_tensors
        gradient = gradients[0].to(x.dtype).contiguous(memory_format=torch.channels_last)
        _, kernel, _, _ = ctx.settings
        taps_gradient, offset_gradient = torch.empty_like(taps), torch.empty(x.shape[1])
        _run("depthwise_weight", ctx.settings, x, gradient, taps_gradient, offset_gradient)
        found = None
        if ctx.needs_input_grad[0]:
            found = _blank(tuple(x.shape), x)
            _run("depthwise_input", ctx.settings, gradient, taps, found)
        return found, taps_gradient.t().reshape(-1, 1, kernel, kernel), offset_gradient, None, None


def _run(name: str, settings: tuple[int, int, int, _Shape], *tensors: Tensor) -> None:
    """Call one function of the library. Raises RuntimeError for a kernel it was not written for."""
    half, kernel, stride, shape = settings
    if getattr(compiled(), name)(half, kernel, stride, *map(_address, tensors), ctypes.byref(shape)):
        raise RuntimeError(f"{name}: kernel {kernel} at stride {stride} is not written.")


def depthwise_conv(x: Tensor, weight: Tensor, bias: Tensor, stride: int, pad: tuple[int, int]) -> Tensor:
    """A depthwise convolution in the precision of autocast; `pad` = zeros before and after along both axes."""
    if torch.is_autocast_enabled("cpu"):
        x = x.to(torch.get_autocast_dtype("cpu"))
    answer: Tensor = _Depthwise.apply(x, weight, bias, stride, pad)
    return answer


class _FastConv(SameConv):
    """A depthwise `SameConv` on the compiled loops."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H/stride, W/stride)."""
        before = (self.kernel_size[0] - 1) // 2
        pad = self.before_after if self.stride[0] > 1 else (before, before)
        assert self.bias is not None
        return depthwise_conv(x, self.weight, self.bias, self.stride[0], pad)


def use_fast_depthwise(net: nn.Module) -> int:
    """Give every depthwise convolution of a network the compiled loops; returns how many. 0 without a compiler."""
    if os.environ.get("TERRACLICK_PLAIN_CONVOLUTIONS") or compiled() is None:
        return 0
    found = [
        layer
        for layer in net.modules()
        if type(layer) is SameConv and layer.groups == layer.in_channels > 1 and layer.in_channels % LANES == 0
    ]
    for layer in found:
        layer.__class__ = _FastConv
    return len(found)
