"""EfficientNet-Lite0: inverted residual blocks with ReLU6, no squeeze-excite; returns features at strides 2 to 32.

Tan & Le 2019 and the Lite variants of the same authors. Stride-2 convolutions pad as TensorFlow does (one more row and
column at the end), so that the published ImageNet weights fit. Input: (pixel − 127) / 128.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CHANNELS", "EfficientNetLite0", "fold_published"]

CHANNELS = (16, 24, 40, 112, 320)
"""Channels at strides 2, 4, 8, 16, 32."""

# (expansion, channels out, blocks, stride, kernel)
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_TAPS = {0: 0, 1: 1, 2: 2, 4: 3, 6: 4}


_EPSILON = 1e-3
"""Added to every variance, as in the published weights."""


class SameConv(nn.Conv2d):
    """Convolution whose output is input / stride for even inputs, padded as TensorFlow's SAME."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        padding = (kernel - 1) // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups)
        total = kernel - stride
        self.before_after = (total // 2, total - total // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', H/stride, W/stride)."""
        if self.stride[0] > 1:
            low, high = self.before_after
            x = functional.pad(x, (low, high, low, high))
        return super().forward(x)


class InvertedResidual(nn.Module):
    """Expand 1×1, depthwise k×k, project 1×1; added to the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expands = expansion > 1
        if self.expands:
            self.expand = SameConv(inputs, hidden, 1)
        self.depthwise = SameConv(hidden, hidden, kernel, stride, hidden)
        self.project = SameConv(hidden, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', H/stride, W/stride)."""
        y = functional.relu6(self.expand(x)) if self.expands else x
        y = functional.relu6(self.depthwise(y))
        y = self.project(y)
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """The backbone in parts, so that a network can add to the stem and between stages."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, stride=2)
        stages = []
        channels = 32
        for expansion, outputs, count, stride, kernel in _STAGES:
            blocks = []
            for index in range(count):
                step = stride if index == 0 else 1
                blocks.append(InvertedResidual(channels, outputs, expansion, kernel, step))
                channels = outputs
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor, stem_extra: Tensor, extras: dict[int, Tensor]) -> list[Tensor]:
        """Features at strides 2 to 32.

        image (B, 3, H, W) normalised; stem_extra (B, 32, H/2, W/2) is added to the stem before its activation;
        extras[level] is added to the tapped map of that level (1 = stride 4, 2 = stride 8).
        """
        x = functional.relu6(self.stem(image) + stem_extra)
        features = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in _TAPS:
                level = _TAPS[index]
                if level in extras:
                    x = x + extras[level]
                features.append(x)
        return features


def fold_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published EfficientNet-Lite0 checkpoint as our state dict, batch normalisation folded into the convolutions.

    Its final 1 × 1 convolution and classifier are dropped. Raises KeyError for another architecture's checkpoint.
    """
    places = {"stem": ("_conv_stem", "_bn0")}
    index = 0
    for stage, (expansion, _, count, _, _) in enumerate(_STAGES):
        for block in range(count):
            ours, theirs = f"stages.{stage}.{block}", f"_blocks.{index}"
            if expansion > 1:
                places[f"{ours}.expand"] = (f"{theirs}._expand_conv", f"{theirs}._bn0")
            places[f"{ours}.depthwise"] = (f"{theirs}._depthwise_conv", f"{theirs}._bn1")
            places[f"{ours}.project"] = (f"{theirs}._project_conv", f"{theirs}._bn2")
            index += 1
    folded = {}
    for ours, (conv, norm) in places.items():
        gain = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _EPSILON)
        folded[f"{ours}.weight"] = state[f"{conv}.weight"] * gain[:, None, None, None]
        folded[f"{ours}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    return folded
