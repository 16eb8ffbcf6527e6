"""How SegNext is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from terraclick.networks.recipe import NetworkRecipe, Setting, same_as
from terraclick.networks.segnext.network import SegNextConfig, SegNextViTConfig
from terraclick.networks.simpleclick.recipe import PLAIN, RITM_CLICKS, WINDOW

__all__ = ["RECIPES"]


CODE = "the authors' code"


def segnext_b() -> NetworkRecipe:
    """SegNext ViT-B on objects at 1024 px: 100 epochs of 30 000 samples, the rate falling after 50 and 90."""
    rule = replace(PLAIN, side=1024, turns="eight")
    recipe = NetworkRecipe("segnext-b", "segnext", SegNextConfig(), rule, steps=93_750, batch=32, **RITM_CLICKS)
    recipe = replace(recipe, milestones=(0.5, 0.9))
    return replace(recipe, sources=_sources(recipe))


def _sources(recipe: NetworkRecipe) -> tuple[Setting, ...]:
    told = ("steps", "batch", "rate", "milestones", "clip", "first", "erode", "others", "next_clicks", "passes", "loss")
    drawn = ("scale", "scale_evenly", "min_area", "merge", "colours", "augment", "copy_paste", "image_mix")
    return (
        WINDOW,
        *same_as(recipe, CODE, *told, "tuning", *(f"episodes.{name}" for name in drawn)),
        Setting("episodes.side", "the whole picture, its longer side made 1024", CODE, "crops of 1024 pixels"),
        Setting("episodes.turns", "eight, and rotations by up to 3 degrees", CODE, "no rotation that resamples"),
        Setting("shares", "COCO+LVIS, then HQSeg-44K", CODE, "whatever datasets are given, all alike"),
        Setting("first_depth", 2.0, "first clicks are not drawn near the middle"),
    )


def segnext_small() -> NetworkRecipe:
    """A small SegNext from nothing, for trials on one CPU."""
    vit = SegNextViTConfig(dim=64, depth=3, heads=2, size=224)
    config = SegNextConfig(vit, pyramid=(16, 32, 64, 128), head=32)
    rule = replace(PLAIN, side=224, min_area=80, colours="sensor")
    settings: dict[str, Any] = {"steps": 2000, "batch": 8, "rate": 5e-4}
    return NetworkRecipe("segnext-small", "segnext", config, rule, **settings)


RECIPES = {"segnext-b": segnext_b, "segnext-small": segnext_small}
