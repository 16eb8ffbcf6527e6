"""How MFP is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from terraclick.networks.mfp.network import MfpConfig
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe, Setting, same_as
from terraclick.networks.simpleclick.recipe import PLAIN, SMALL, WINDOW, simpleclick_class

__all__ = ["MFP_CLICKS", "RECIPES"]


CODE = "the authors' code"

MFP_CLICKS: dict[str, Any] = {"first": "one", "first_depth": 1.7, "passes": (0.0, 0.8, 0.64, 0.512)}
"""MFP's sampler: one click near the middle, then one to three in the network's own errors, weights .8 ** k."""


def mfp_b() -> NetworkRecipe:
    """MFP ViT-B, from MAE: one first click, then its own errors; the rate falls after 10 of 55 epochs."""
    recipe = NetworkRecipe("mfp-b", "mfp", MfpConfig(), PLAIN, steps=51_562, milestones=(10 / 55,), **MFP_CLICKS)
    drawn = ("side", "scale", "scale_evenly", "min_area", "merge", "turns", "colours", "augment")
    told: tuple[str, ...] = (
        "steps",
        "batch",
        "rate",
        "milestones",
        "clip",
        "first",
        "first_depth",
        "next_clicks",
        "passes",
        "loss",
    )
    told += ("tuning", "erode", "others", "episodes.copy_paste", "episodes.image_mix")
    same = same_as(recipe, CODE, *(f"episodes.{name}" for name in drawn), *told)
    shares = Setting("shares", "COCO+LVIS, or SBD, alone", CODE, "whatever datasets are given, all alike")
    return replace(recipe, sources=(WINDOW, shares, *same))


def mfp_class() -> NetworkRecipe:
    """MFP ViT-B fine-tuned on classes: the starred row of CrossCut's table 1, trained as CrossCut is."""
    base = simpleclick_class()
    return replace(base, name="mfp-class", family="mfp", config=MfpConfig(), erode=0.0, others=False, **MFP_CLICKS)


def mfp_lora() -> NetworkRecipe:
    """MFP ViT-B tuned by LoRA of rank 16 alone (RS-ISRefiner, table III)."""
    return replace(mfp_b(), name="mfp-lora", tuning="lora", rate=5e-4, steps=5000, sources=())


def mfp_small() -> NetworkRecipe:
    """A small MFP from nothing: what a small RS-ISRefiner stands on."""
    rule = EpisodeRule(side=224)
    return NetworkRecipe("mfp-small", "mfp", MfpConfig(SMALL), rule, steps=2000, batch=8, rate=5e-4, first="one")


RECIPES = {
    "mfp-b": mfp_b,
    "mfp-class": mfp_class,
    "mfp-lora": mfp_lora,
    "mfp-small": mfp_small,
}
