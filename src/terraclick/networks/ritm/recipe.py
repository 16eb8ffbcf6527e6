"""How RITM is trained."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from terraclick.networks.recipe import NetworkRecipe, Setting, same_as
from terraclick.networks.ritm.network import RITM, RitmConfig
from terraclick.networks.simpleclick.recipe import PLAIN, RITM_CLICKS, WINDOW

__all__ = ["RECIPES"]

CODE = "the authors' code"


def ritm(size: str) -> NetworkRecipe:
    """RITM on objects: the auxiliary answer counts .4, the backbone learns at a tenth of the rate.

    The number of its steps and their milestones are SimpleClick's; they are not compared.
    """
    rule = replace(PLAIN, side=400)
    settings: dict[str, Any] = {"batch": 28, "rate": 5e-4, "backbone_rate": 0.1, "auxiliary": 0.4, **RITM_CLICKS}
    name = f"ritm-{size}"
    recipe = NetworkRecipe(name, "ritm", RITM[name], rule, steps=58_928, milestones=(50 / 55,), **settings)
    told: tuple[str, ...] = (
        "batch",
        "backbone_rate",
        "auxiliary",
        "clip",
        "first",
        "erode",
        "others",
        "loss",
        "next_clicks",
        "passes",
    )
    told += ("tuning", "episodes.scale", "episodes.scale_evenly", "episodes.min_area")
    told += ("episodes.merge", "episodes.turns", "episodes.colours", "episodes.augment")
    side = Setting("episodes.side", "320 by 480", CODE, "crops are squares of about as many pixels")
    return replace(recipe, sources=(WINDOW, side, *same_as(recipe, CODE, *told)))


def ritm_small() -> NetworkRecipe:
    """A small RITM from nothing, for trials on one CPU."""
    rule = replace(PLAIN, side=224, min_area=80, colours="sensor")
    config = RitmConfig(width=8, ocr_width=16, small=True)
    settings: dict[str, Any] = {"steps": 2000, "batch": 8, "rate": 5e-4, "auxiliary": 0.4}
    return NetworkRecipe("ritm-small", "ritm", config, rule, **settings)


RECIPES = {
    "ritm-hrnet18": partial(ritm, "hrnet18"),
    "ritm-hrnet32": partial(ritm, "hrnet32"),
    "ritm-small": ritm_small,
}
