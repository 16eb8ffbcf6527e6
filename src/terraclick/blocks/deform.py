"""Deformable convolution (Dai et al. 2017): each tap of a 3 × 3 kernel samples at a learned offset.

Written with `grid_sample`, so that it runs, differentiates and exports wherever torch does; where torchvision is
installed its operator is taken instead. Both read the same weights and offsets and give the same answer.
"""

from __future__ import annotations

import importlib.util

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.errors import MissingExtra

__all__ = ["DeformConv2d", "deform_conv2d", "has_native", "native_deform_conv2d"]


def deform_conv2d(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (B, C, H, W), offset (B, 2k², H, W), weight (O, C, k, k), bias (O,) -> (B, O, H, W); stride 1, same size.

    Offsets are (down, right) in pixels per tap, taps row by row. Beyond the edge lie zeros, faded in bilinearly.
    """
    batch, channels, height, width = x.shape
    side = weight.shape[-1]
    taps = side * side
    exact = torch.promote_types(x.dtype, torch.float32)  # half precision would misplace samples by whole pixels
    steps = torch.arange(side, device=x.device, dtype=exact) - side // 2
    down = torch.arange(height, device=x.device, dtype=exact).view(1, 1, height, 1)
    right = torch.arange(width, device=x.device, dtype=exact).view(1, 1, 1, width)
    moved = offset.to(exact).view(batch, taps, 2, height, width)
    rows = down + steps.repeat_interleave(side).view(1, taps, 1, 1) + moved[:, :, 0]  # (B, k², H, W)
    cols = right + steps.repeat(side).view(1, taps, 1, 1) + moved[:, :, 1]
    place = torch.stack([(2 * cols + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1)
    place = place.view(batch, taps * height, width, 2)
    sampled = functional.grid_sample(x.to(exact), place, mode="bilinear", padding_mode="zeros", align_corners=False)
    sampled = sampled.to(x.dtype).view(batch, channels * taps, height * width)  # taps vary faster, as in the kernel
    out = (weight.view(len(weight), channels * taps) @ sampled).view(batch, len(weight), height, width)
    return out if bias is None else out + bias.view(1, -1, 1, 1)


def has_native() -> bool:
    """Whether torchvision's operator loads here."""
    if importlib.util.find_spec("torchvision") is None:
        return False
    try:
        from torchvision.ops import deform_conv2d  # noqa: F401
    except (ImportError, RuntimeError, OSError):  # built for another torch
        return False
    return True


def native_deform_conv2d(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The same by torchvision's operator."""
    from torchvision.ops import deform_conv2d as native

    return native(x, offset, weight, bias, padding=weight.shape[-1] // 2)


class DeformConv2d(nn.Module):
    """A 3 × 3 convolution whose offsets an ordinary 3 × 3 convolution predicts.

    native None takes torchvision's operator where it loads (not while tracing); True raises MissingExtra where it does
    not, False never takes it.
    """

    def __init__(self, inside: int, outside: int, native: bool | None = None) -> None:
        super().__init__()
        self.native = native is not False and has_native()
        if native and not self.native:
            raise MissingExtra("torchvision does not load: pip install torchvision, or leave native out.")
        self.offset = nn.Conv2d(inside, 18, 3, padding=1)
        nn.init.zeros_(self.offset.weight)
        if self.offset.bias is not None:
            nn.init.zeros_(self.offset.bias)
        plain = nn.Conv2d(inside, outside, 3, padding=1)
        self.weight, self.bias = plain.weight, plain.bias

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, H, W)."""
        traced = torch.jit.is_tracing()  # type: ignore[attr-defined]  # which torch does not list
        operator = native_deform_conv2d if self.native and not traced else deform_conv2d
        return operator(x, self.offset(x), self.weight, self.bias)
