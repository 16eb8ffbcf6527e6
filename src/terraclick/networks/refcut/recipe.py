"""How RefCut is trained."""

from __future__ import annotations

from terraclick.networks.recipe import EpisodeRule, NetworkRecipe
from terraclick.networks.refcut.model import RefCutConfig
from terraclick.networks.simpleclick.recipe import SMALL

__all__ = ["RECIPES"]


def refcut_b() -> NetworkRecipe:
    """RefCut ViT-B, from SimpleClick: combinations of classes, a reference from another picture."""
    rule = EpisodeRule("combination", references=True)
    return NetworkRecipe("refcut-b", "refcut", RefCutConfig(), rule, steps=51_562, rate=5e-6)


def refcut_small() -> NetworkRecipe:
    """A small RefCut from nothing."""
    rule = EpisodeRule("combination", side=224, references=True)
    config = RefCutConfig(SMALL, reference_side=224)
    return NetworkRecipe("refcut-small", "refcut", config, rule, steps=2000, batch=8, rate=5e-4)


RECIPES = {
    "refcut-b": refcut_b,
    "refcut-small": refcut_small,
}
