"""How RS-ISRefiner is trained."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from terraclick.networks.isrefiner.config import IsRefinerConfig
from terraclick.networks.mfp.recipe import MFP_CLICKS
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe, Setting, same_as
from terraclick.networks.simpleclick.recipe import SMALL, WINDOW

__all__ = ["RECIPES"]


PAPER, CODE = "section IV", "the authors' code, which keeps MFP's"


def isrefiner_b() -> NetworkRecipe:
    """RS-ISRefiner ViT-B from MFP: 60 epochs of 30 000 samples, batches of 16, the rate falling after 10 and 50."""
    rule = EpisodeRule("object", 448, (0.75, 1.25), True, 256, merge=0.15, turns="eight", colours="plain")
    settings: dict[str, Any] = {"steps": 112_500, "batch": 16, "milestones": (10 / 60, 50 / 60), **MFP_CLICKS}
    recipe = NetworkRecipe("isrefiner-b", "isrefiner", IsRefinerConfig(), rule, tuning="adapter", **settings)
    return replace(recipe, sources=_sources(recipe))


def _sources(recipe: NetworkRecipe) -> tuple[Setting, ...]:
    paper = ("steps", "batch", "episodes.side", "loss", "tuning")
    other = "section IV (the authors' released configuration: {})"
    window = Setting("episodes.asked", "an object that a crop anywhere in the picture shows", CODE, WINDOW.why)
    code: tuple[str, ...] = (
        "first",
        "first_depth",
        "next_clicks",
        "passes",
        "clip",
        "episodes.scale",
        "episodes.scale_evenly",
    )
    code += ("episodes.min_area", "episodes.merge", "episodes.augment", "erode", "others")
    return (
        *same_as(recipe, PAPER, *paper),
        *same_as(recipe, other.format("5e-6"), "rate"),
        *same_as(recipe, other.format("50 and 55 of 60 epochs"), "milestones"),
        *same_as(recipe, CODE, *code),
        window,
        Setting("episodes.turns", "rotation and mirror images", PAPER, "quarter turns, which resample nothing"),
        Setting("episodes.colours", "brightness", PAPER, "contrast and a shift of the bands too, as SimpleClick's"),
        Setting(
            "shares", "iSAID and Potsdam, crops of 800 px, empty ones left out", PAPER, "the datasets given, alike"
        ),
        Setting("episodes.copy_paste", 0.0, CODE),
        Setting("episodes.image_mix", 0.0, CODE),
    )


def _variant(name: str, **config: Any) -> NetworkRecipe:
    base = isrefiner_b()
    return replace(base, name=f"isrefiner-{name}", config=replace(base.config, **config), sources=())


def isrefiner_full() -> NetworkRecipe:
    """Every weight is trained (tables III and V, full)."""
    return replace(isrefiner_b(), name="isrefiner-full", tuning="full", sources=())


ABLATIONS: dict[str, dict[str, Any]] = {
    "no-vit": {"vit_feature": False},
    "no-hq": {"hq_feature": False},
    "no-features": {"vit_feature": False, "hq_feature": False},
    "theta-1": {"theta": 1.0},
    "theta-half": {"theta": 0.5},
    "early-2": {"early": "first"},
    "early-3": {"early": "second"},
    "early-fixed": {"early": "fixed"},
    "mfp-modulation": {"modulation": "mfp"},
    "no-modulation": {"modulation": "none"},
}
"""Rows of tables VI to IX by name, and what each changes in the network."""


def isrefiner_small() -> NetworkRecipe:
    """A small RS-ISRefiner, from `mfp-small`."""
    config = IsRefinerConfig(SMALL.vit, SMALL.pyramid, heads=4, widths=(16, 32, 64, 128))
    settings: dict[str, Any] = {"steps": 1000, "batch": 8, "rate": 5e-4, "first": "one", "tuning": "adapter"}
    return NetworkRecipe("isrefiner-small", "isrefiner", config, EpisodeRule(side=224), **settings)


RECIPES = {
    "isrefiner-b": isrefiner_b,
    "isrefiner-full": isrefiner_full,
    **{f"isrefiner-{name}": partial(_variant, name, **config) for name, config in ABLATIONS.items()},
    "isrefiner-small": isrefiner_small,
}
