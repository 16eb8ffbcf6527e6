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


EPOCHS, SAMPLES = 230, 30_000


def ritm(size: str) -> NetworkRecipe:
    """RITM on objects: 230 epochs of 30 000 samples, the auxiliary answer counts .4, the backbone learns slower."""
    rule, batch = replace(PLAIN, side=400), 28 if size == "hrnet18" else 32
    settings: dict[str, Any] = {"batch": batch, "rate": 5e-4, "backbone_rate": 0.1, "auxiliary": 0.4, **RITM_CLICKS}
    settings |= {"steps": round(EPOCHS * SAMPLES / batch), "milestones": (200 / EPOCHS, 220 / EPOCHS)}
    name = f"ritm-{size}"
    recipe = NetworkRecipe(name, "ritm", RITM[name], rule, **settings)
    told: tuple[str, ...] = ("steps", "batch", "rate", "milestones", "backbone_rate", "auxiliary", "clip", "first")
    told += ("erode", "others", "loss", "next_clicks", "passes", "tuning")
    drawn = ("scale", "scale_evenly", "min_area", "merge", "turns", "colours", "augment", "copy_paste", "image_mix")
    side = Setting("episodes.side", "320 by 480", CODE, "crops are squares of about as many pixels")
    shares = Setting("shares", "COCO+LVIS, or SBD, alone", CODE, "whatever datasets are given, all alike")
    depth = Setting("first_depth", 2.0, "first clicks are not drawn near the middle")
    same = same_as(recipe, CODE, *told, *(f"episodes.{name}" for name in drawn))
    return replace(recipe, sources=(WINDOW, side, shares, depth, *same))


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
