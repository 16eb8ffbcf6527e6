"""How CrossCut is trained."""

from __future__ import annotations

from typing import Any

from terraclick.blocks.layers import ClickViTConfig
from terraclick.networks.crosscut.config import CrossCutConfig
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe
from terraclick.networks.simpleclick.model import SimpleClickConfig
from terraclick.networks.simpleclick.recipe import SMALL

__all__ = ["RECIPES"]


def crosscut_b() -> NetworkRecipe:
    """CrossCut ViT-B, from SimpleClick: crops of 896 px, classes, 55 epochs of 4500 samples."""
    rule = EpisodeRule("class", side=896, scale=(0.75, 1.25))
    config = CrossCutConfig(divisions=(2,))
    return NetworkRecipe("crosscut-b", "crosscut", config, rule, steps=30_937, batch=8)


def crosscut_small() -> NetworkRecipe:
    """A small CrossCut from nothing."""
    rule = EpisodeRule("class", side=896, scale=(0.75, 1.25))
    config = CrossCutConfig(SMALL, divisions=(2,))
    return NetworkRecipe("crosscut-small", "crosscut", config, rule, steps=2000, batch=2, rate=5e-4)


def crosscut_s() -> NetworkRecipe:
    """CrossCut of a ViT-S/14's first six blocks, patches of 224 px, from a plain ViT: classes in crops of 448 px."""
    rule = EpisodeRule("class", side=448, scale=(0.75, 1.25))
    vit = ClickViTConfig(patch=14, dim=384, depth=6, heads=6, size=224)
    base = SimpleClickConfig(vit, (64, 128, 256, 512), 128)
    config = CrossCutConfig(base, divisions=(2,), overlap=28)
    settings: dict[str, Any] = {
        "steps": 2000,
        "batch": 4,
        "rate": 2.5e-4,
        "backbone_rate": 0.3,
        "clip": 1.0,
        "warm_up": 30,
    }
    return NetworkRecipe("crosscut-s", "crosscut", config, rule, first="one", next_clicks=2, loss="dice", **settings)


RECIPES = {
    "crosscut-b": crosscut_b,
    "crosscut-small": crosscut_small,
    "crosscut-s": crosscut_s,
}
