"""How SimpleClick is trained."""

from __future__ import annotations

from dataclasses import replace

from terraclick.blocks.layers import ClickViTConfig
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe
from terraclick.networks.simpleclick.model import SimpleClickConfig

__all__ = ["RECIPES", "SMALL"]

SMALL = SimpleClickConfig(ClickViTConfig(dim=128, depth=8, heads=4, size=224), (32, 64, 128, 256), 64)
"""A SimpleClick of 2.4 million numbers, for trials on one CPU."""


def simpleclick_b() -> NetworkRecipe:
    """SimpleClick ViT-B as published: 55 epochs of 30 000 samples."""
    return NetworkRecipe("simpleclick-b", "simpleclick", SimpleClickConfig(), steps=51_562)


def simpleclick_small() -> NetworkRecipe:
    """A small SimpleClick from nothing."""
    rule = EpisodeRule(side=224)
    return NetworkRecipe("simpleclick-small", "simpleclick", SMALL, rule, steps=2000, batch=8, rate=5e-4)


def simpleclick_lora() -> NetworkRecipe:
    """SimpleClick ViT-B tuned by LoRA alone."""
    return replace(simpleclick_b(), name="simpleclick-lora", tuning="lora", rate=5e-4, steps=5000)


def simpleclick_icl() -> NetworkRecipe:
    """SimpleClick ViT-B fine-tuned by CFR-ICL: every answer of the sequence counts, five epochs."""
    return replace(simpleclick_b(), name="simpleclick-icl", loss="icl", rate=5e-6, steps=4688)


RECIPES = {
    "simpleclick-b": simpleclick_b,
    "simpleclick-icl": simpleclick_icl,
    "simpleclick-lora": simpleclick_lora,
    "simpleclick-small": simpleclick_small,
}
