"""How the toy is trained."""

from __future__ import annotations

from terraclick.networks.recipe import EpisodeRule, NetworkRecipe
from terraclick.networks.toy.model import ToyConfig

__all__ = ["RECIPES"]


def toy_s() -> NetworkRecipe:
    """The toy from nothing."""
    return NetworkRecipe("toy-s", "toy", ToyConfig(), EpisodeRule(side=64), steps=20, batch=2, rate=1e-3)


RECIPES = {"toy-s": toy_s}
