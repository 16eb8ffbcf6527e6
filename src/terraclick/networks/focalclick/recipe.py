"""How FocalClick is trained, both stages at once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from terraclick.networks.focalclick.network import FOCALCLICK, FocalClickConfig
from terraclick.networks.recipe import NetworkRecipe
from terraclick.networks.simpleclick.recipe import PLAIN, RITM_CLICKS

__all__ = ["RECIPES"]


def focalclick(size: str) -> NetworkRecipe:
    """FocalClick: the coarse answer of crops of 256 px, and the refined one in a window around the thing."""
    rule = replace(PLAIN, side=256)
    settings: dict[str, Any] = {"batch": 24, "rate": 5e-4, "refine": 1.0, **RITM_CLICKS}
    name = f"focalclick-{size}"
    return NetworkRecipe(name, "focalclick", FOCALCLICK[name], rule, steps=68_750, milestones=(0.85,), **settings)


def focalclick_small() -> NetworkRecipe:
    """A small FocalClick from nothing, for trials on one CPU."""
    config = FocalClickConfig((16, 32, 40, 64), (1, 1, 1, 1), (1, 2, 2, 4), head=32, refiner=16)
    rule = replace(PLAIN, side=224, min_area=80, colours="sensor")
    settings: dict[str, Any] = {"steps": 2000, "batch": 8, "rate": 5e-4, "refine": 1.0}
    return NetworkRecipe("focalclick-small", "focalclick", config, rule, **settings)


RECIPES = {
    "focalclick-b0": partial(focalclick, "b0"),
    "focalclick-b3": partial(focalclick, "b3"),
    "focalclick-small": focalclick_small,
}
