"""How SegNext is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from terraclick.networks.recipe import NetworkRecipe
from terraclick.networks.segnext.network import SegNextConfig, SegNextViTConfig
from terraclick.networks.simpleclick.recipe import PLAIN, RITM_CLICKS

__all__ = ["RECIPES"]


def segnext_b() -> NetworkRecipe:
    """SegNext ViT-B: objects in crops of 1024 px, trained as SimpleClick; the rest of its schedule is not compared."""
    rule = replace(PLAIN, side=1024)
    settings: dict[str, Any] = {"batch": 16, "steps": 103_125, "milestones": (50 / 55,), **RITM_CLICKS}
    return NetworkRecipe("segnext-b", "segnext", SegNextConfig(), rule, **settings)


def segnext_small() -> NetworkRecipe:
    """A small SegNext from nothing, for trials on one CPU."""
    vit = SegNextViTConfig(dim=64, depth=3, heads=2, size=224)
    config = SegNextConfig(vit, pyramid=(16, 32, 64, 128), head=32)
    rule = replace(PLAIN, side=224, min_area=80, colours="sensor")
    settings: dict[str, Any] = {"steps": 2000, "batch": 8, "rate": 5e-4}
    return NetworkRecipe("segnext-small", "segnext", config, rule, **settings)


RECIPES = {"segnext-b": segnext_b, "segnext-small": segnext_small}
