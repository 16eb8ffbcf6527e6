"""Which weights of a network are trained: none, all, low-rank additions to its ViT, or its adapter.

The four rows of RS-ISRefiner's tables III and V. Low-rank additions are LoRA (Hu et al. 2021): a linear layer keeps
its weights and gets the product of two thin matrices beside it, the second of which starts at zero. The caption of
table III says rank 16. Where the additions lie it does not say; queries, keys, values and the projection after them,
each apart, have 1.18 million numbers on ViT-B, and the paper counts 1.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.layers import ClickViT
from terraclick.errors import BadConfig

__all__ = ["TUNINGS", "LoraLinear", "count_parameters", "merge_lora", "tune"]

TUNINGS = ("none", "full", "lora", "adapter", "decoder")
"""Kinds of fine-tuning by name."""


class LoraLinear(nn.Module):
    """A frozen linear layer and trained low-rank ones beside it; starts as the layer alone.

    parts: how many layers of equal size the frozen one stands for (queries, keys and values: 3), each with its own.
    """

    def __init__(self, layer: nn.Linear, rank: int, alpha: float, parts: int = 1) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.scale = alpha / rank
        self.down = nn.Parameter(torch.empty(parts, rank, layer.in_features))
        self.up = nn.Parameter(torch.zeros(parts, layer.out_features // parts, rank))
        for down in self.down:
            nn.init.kaiming_uniform_(down, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(…, C) → (…, D)."""
        pairs = zip(self.down, self.up, strict=True)
        added = [functional.linear(functional.linear(x, down), up) for down, up in pairs]
        return self.layer(x) + self.scale * torch.cat(added, dim=-1)

    def merged(self) -> nn.Linear:
        """One plain linear layer that answers the same."""
        with torch.no_grad():
            self.layer.weight += self.scale * (self.up @ self.down).flatten(0, 1)
        return self.layer


ATTENTION = {"attn.qkv": 3, "attn.proj": 1}
"""Linear layers of a block that get low-rank additions, and how many layers each stands for."""


def tune(network: nn.Module, kind: str, rank: int = 16, alpha: float | None = None) -> nn.Module:
    """Set what is trained, in place: none, full, lora (`alpha` None = the rank) or adapter; returns the network.

    An adapter is trained by networks that have one, with everything else frozen. Raises BadConfig for another kind, a
    network without an adapter, or without a ViT for lora.
    """
    if kind not in TUNINGS:
        raise BadConfig(f"fine-tuning {kind!r} is not known: give one of {', '.join(TUNINGS)}.")
    if kind in ("adapter", "decoder"):
        parts = getattr(network, {"adapter": "adapter", "decoder": "mask_decoder_parts"}[kind], None)
        if parts is None:
            other = "isrefiner" if kind == "adapter" else "a network of SAM's family"
            raise BadConfig(f"{type(network).__name__} has no {kind}: train it with full or lora, or take {other}.")
        network.requires_grad_(False)
        for part in parts():
            part.requires_grad_(True)
        return network
    network.requires_grad_(kind == "full")
    if kind == "lora":
        vits = [module for module in network.modules() if isinstance(module, ClickViT)]
        if not vits:
            raise BadConfig(f"{type(network).__name__} has no plain ViT for lora: train it with full.")
        for vit in vits:
            for block in vit.blocks:
                for name, parts in ATTENTION.items():
                    layer = block.get_submodule(name)
                    if isinstance(layer, nn.Linear):
                        _replace(block, name, LoraLinear(layer, rank, rank if alpha is None else alpha, parts))
    return network


def merge_lora(network: nn.Module) -> nn.Module:
    """Fold every low-rank addition into its layer, in place; the state dict's names are the network's own again."""
    for name, module in [*network.named_modules()]:
        if isinstance(module, LoraLinear):
            _replace(network, name, module.merged())
    return network


def _replace(root: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(root.get_submodule(parent), last, module)


def count_parameters(network: nn.Module) -> tuple[int, int]:
    """(all numbers, those that are trained)."""
    sizes = [(weight.numel(), weight.requires_grad) for weight in network.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, trained in sizes if trained)
