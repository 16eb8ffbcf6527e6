"""How RS-ISRefiner is trained."""

from __future__ import annotations

from typing import Any

from terraclick.networks.isrefiner.config import IsRefinerConfig
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe
from terraclick.networks.simpleclick.recipe import SMALL

__all__ = ["RECIPES"]


def isrefiner_b() -> NetworkRecipe:
    """RS-ISRefiner ViT-B as its paper trains it, from MFP: 60 epochs of 30 000 samples, batches of 16."""
    rule = EpisodeRule()
    settings: dict[str, Any] = {"steps": 112_500, "batch": 16, "first": "one", "tuning": "adapter"}
    return NetworkRecipe("isrefiner-b", "isrefiner", IsRefinerConfig(), rule, **settings)


def isrefiner_small() -> NetworkRecipe:
    """A small RS-ISRefiner, from `mfp-small`."""
    config = IsRefinerConfig(SMALL.vit, SMALL.pyramid, heads=4, widths=(16, 32, 64, 128))
    settings: dict[str, Any] = {"steps": 1000, "batch": 8, "rate": 5e-4, "first": "one", "tuning": "adapter"}
    return NetworkRecipe("isrefiner-small", "isrefiner", config, EpisodeRule(side=224), **settings)


RECIPES = {
    "isrefiner-b": isrefiner_b,
    "isrefiner-small": isrefiner_small,
}
