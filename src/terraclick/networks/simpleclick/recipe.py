"""How SimpleClick is trained; what the isegm family's configurations have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from terraclick.blocks.layers import ClickViTConfig
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe, Setting, same_as
from terraclick.networks.simpleclick.network import SimpleClickConfig

__all__ = ["PLAIN", "RECIPES", "RITM_CLICKS", "SMALL", "WINDOW"]

SMALL = SimpleClickConfig(ClickViTConfig(dim=128, depth=8, heads=4, size=224), (32, 64, 128, 256), 64)
"""A SimpleClick of 2.4 million numbers, for trials on one CPU."""

CODE = "the authors' code"

PLAIN = EpisodeRule(scale_evenly=True, turns="mirror", colours="plain", min_area=1000, merge=0.15)
"""How SimpleClick's configurations draw an object of COCO+LVIS or SBD."""

RITM_CLICKS: dict[str, Any] = {"first": "random", "erode": 0.9, "others": True}
"""The first clicks of RITM's sampler, which its successors keep."""

WINDOW = Setting(
    "episodes.asked",
    "an object that a crop anywhere in the picture shows; one crop in twenty shows none",
    CODE,
    "a thing is drawn first, and a crop around it: small things are asked for as often as large ones",
)
"""The one departure that every recipe of objects has."""


def simpleclick_b() -> NetworkRecipe:
    """SimpleClick ViT-B: 55 epochs of 30 000 samples."""
    recipe = NetworkRecipe("simpleclick-b", "simpleclick", SimpleClickConfig(), PLAIN, steps=51_562, **RITM_CLICKS)
    recipe = replace(recipe, milestones=(50 / 55,))
    return replace(recipe, sources=_sources(recipe))


def _sources(recipe: NetworkRecipe) -> tuple[Setting, ...]:
    drawn = ("side", "scale", "scale_evenly", "min_area", "merge", "turns", "colours", "augment")
    told = ("steps", "batch", "rate", "milestones", "clip", "first", "erode", "others", "next_clicks", "passes", "loss")
    return (
        WINDOW,
        *same_as(recipe, CODE, *(f"episodes.{name}" for name in drawn), *told, "tuning"),
        Setting("shares", "COCO+LVIS, or SBD, alone", CODE, "whatever datasets are given, all alike"),
        Setting("episodes.copy_paste", 0.0, CODE),
        Setting("episodes.image_mix", 0.0, CODE),
        Setting("first_depth", 2.0, "first clicks are not drawn near the middle"),
    )


def simpleclick_small() -> NetworkRecipe:
    """A small SimpleClick from nothing."""
    rule = EpisodeRule(side=224)
    return NetworkRecipe("simpleclick-small", "simpleclick", SMALL, rule, steps=2000, batch=8, rate=5e-4)


def simpleclick_lora() -> NetworkRecipe:
    """SimpleClick ViT-B tuned by LoRA of rank 16 alone (RS-ISRefiner, table III)."""
    return replace(simpleclick_b(), name="simpleclick-lora", tuning="lora", rate=5e-4, steps=5000, sources=())


def simpleclick_icl() -> NetworkRecipe:
    """SimpleClick fine-tuned by CFR-ICL: every answer of a sequence counts, five epochs, copy-paste, image-mix."""
    mixing = replace(PLAIN, copy_paste=0.5, image_mix=0.5)
    recipe = replace(simpleclick_b(), name="simpleclick-icl", loss="icl", rate=5e-6, steps=4688, episodes=mixing)
    recipe = replace(recipe, passes=(0.0, 1.0, 1.0, 1.0), milestones=())  # its first would come after 50 epochs
    told = ("rate", "steps", "loss", "passes", "milestones", "batch", "clip", "first", "erode", "others")
    drawn = ("side", "scale", "scale_evenly", "min_area", "merge", "turns", "colours", "copy_paste", "image_mix")
    same = same_as(recipe, "CFR-ICL's configurations", *told, *(f"episodes.{name}" for name in drawn))
    return replace(recipe, sources=(WINDOW, *same))


def simpleclick_class() -> NetworkRecipe:
    """SimpleClick ViT-B fine-tuned on classes: the starred row of CrossCut's table 1, trained as CrossCut is."""
    rule = EpisodeRule("class", 448, (0.75, 1.25), True, colours="plain")
    settings: dict[str, Any] = {"steps": 30_937, "batch": 8, "milestones": (50 / 55,), **RITM_CLICKS}
    shares = (("isaid", 0.4), ("deepglobe", 0.3), ("inria", 0.3))
    return NetworkRecipe("simpleclick-class", "simpleclick", SimpleClickConfig(), rule, shares=shares, **settings)


def simpleclick_rgbir() -> NetworkRecipe:
    """SimpleClick ViT-B on four bands (SegMap's table 10); the fourth starts as the mean of the three."""
    config = SimpleClickConfig(ClickViTConfig(bands=4))
    return replace(simpleclick_b(), name="simpleclick-rgbir", config=config, sources=())


RECIPES = {
    "simpleclick-b": simpleclick_b,
    "simpleclick-class": simpleclick_class,
    "simpleclick-icl": simpleclick_icl,
    "simpleclick-lora": simpleclick_lora,
    "simpleclick-rgbir": simpleclick_rgbir,
    "simpleclick-small": simpleclick_small,
}
