"""How MFP is trained."""

from __future__ import annotations

from terraclick.networks.mfp.model import MfpConfig
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe
from terraclick.networks.simpleclick.recipe import SMALL

__all__ = ["RECIPES"]


def mfp_b() -> NetworkRecipe:
    """MFP ViT-B, from SimpleClick: one first click, then its own errors."""
    return NetworkRecipe("mfp-b", "mfp", MfpConfig(), steps=51_562, first="one")


def mfp_small() -> NetworkRecipe:
    """A small MFP from nothing: what a small RS-ISRefiner stands on."""
    rule = EpisodeRule(side=224)
    return NetworkRecipe("mfp-small", "mfp", MfpConfig(SMALL), rule, steps=2000, batch=8, rate=5e-4, first="one")


RECIPES = {
    "mfp-b": mfp_b,
    "mfp-small": mfp_small,
}
