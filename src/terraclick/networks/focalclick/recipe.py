"""How FocalClick is trained, both stages at once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from terraclick.networks.focalclick.network import FOCALCLICK, FocalClickConfig
from terraclick.networks.recipe import NetworkRecipe, Setting, same_as
from terraclick.networks.simpleclick.recipe import PLAIN, RITM_CLICKS, WINDOW

__all__ = ["RECIPES"]


CODE = "the authors' code"
EPOCHS, SAMPLES, BATCH = 230, 30_000, 28


def focalclick(size: str) -> NetworkRecipe:
    """FocalClick on objects, both stages: 230 epochs of 30 000 samples, the rate falling after 190 and 210."""
    rule = replace(PLAIN, side=256, colours="none" if size == "b0" else "plain")
    settings: dict[str, Any] = {"batch": BATCH, "rate": 5e-3, "backbone_rate": 0.1, "refine": 1.0, **RITM_CLICKS}
    settings |= {"steps": round(EPOCHS * SAMPLES / BATCH), "milestones": (190 / EPOCHS, 210 / EPOCHS)}
    name = f"focalclick-{size}"
    recipe = NetworkRecipe(name, "focalclick", FOCALCLICK[name], rule, **settings)
    return replace(recipe, sources=_sources(recipe))


def _sources(recipe: NetworkRecipe) -> tuple[Setting, ...]:
    told = ("steps", "batch", "rate", "backbone_rate", "milestones", "clip", "erode", "others", "next_clicks", "passes")
    drawn = ("side", "min_area", "merge", "colours", "augment", "copy_paste", "image_mix")
    part = "a part of .3 to 1.3 of the picture's height and of its width, drawn about .8, stretched to 256 pixels"
    return (
        WINDOW,
        *same_as(recipe, CODE, *told, "loss", "tuning", *(f"episodes.{name}" for name in drawn)),
        Setting("episodes.scale", part, CODE, "pictures from the air are large: crops at about their own resolution"),
        Setting("episodes.scale_evenly", "drawn about .8 (a truncated normal)", CODE, "drawn evenly"),
        Setting("episodes.turns", "left to right and top to bottom, .3 each", CODE, "left to right, half and half"),
        Setting("first", "random ones, of which the first lies near the middle", CODE, "random ones alone"),
        Setting("first_depth", 1.7, CODE, "used by the rule of one first click alone"),
        Setting(
            "refine", "1, and a map of the edge (trimap) by cross-entropy at 1", CODE, "the edge learns through it"
        ),
        Setting("shares", "COCO+LVIS alone", CODE, "whatever datasets are given, all alike"),
    )


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
