"""How RefCut is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from terraclick.networks.recipe import EpisodeRule, NetworkRecipe, Setting, same_as
from terraclick.networks.refcut.network import RefCutConfig
from terraclick.networks.simpleclick.recipe import RITM_CLICKS, SMALL

__all__ = ["RECIPES"]


PAPER, BASE = "section 4.1", "SimpleClick's code, on which RefCut is built"


def refcut_b() -> NetworkRecipe:
    """RefCut ViT-B, from SimpleClick: parts of one object, and the same parts of another as a reference."""
    rule = EpisodeRule("parts", 448, (0.75, 1.4), True, references=True, turns="mirror", colours="plain")
    settings: dict[str, Any] = {"steps": 51_562, "rate": 5e-6, "milestones": (50 / 55,), **RITM_CLICKS}
    recipe = NetworkRecipe("refcut-b", "refcut", RefCutConfig(), rule, **settings)
    return replace(recipe, sources=_sources(recipe))


def _sources(recipe: NetworkRecipe) -> tuple[Setting, ...]:
    base: tuple[str, ...] = (
        "episodes.side",
        "episodes.scale",
        "episodes.scale_evenly",
        "episodes.turns",
        "episodes.colours",
    )
    base += (
        "episodes.augment",
        "steps",
        "batch",
        "clip",
        "first",
        "erode",
        "others",
        "next_clicks",
        "passes",
        "tuning",
    )
    return (
        *same_as(recipe, PAPER, "rate", "milestones", "loss", "episodes.asked", "episodes.one_mask"),
        *same_as(recipe, BASE, *base, "episodes.copy_paste", "episodes.image_mix"),
        Setting("episodes.no_reference", "a small probability", PAPER, "the paper gives no number"),
        Setting("episodes.min_area", 1000, BASE, "parts are small: from 80 pixels of a crop on"),
        Setting("episodes.merge", 0.15, BASE, "parts of one object are asked for, never two objects"),
        Setting("shares", "PartImageNet alone", PAPER, "whatever datasets with parts are given, all alike"),
        Setting("first_depth", 2.0, "first clicks are not drawn near the middle"),
    )


def refcut_no_reference() -> NetworkRecipe:
    """The baseline of table 3: the same pairs without references."""
    base = refcut_b()
    rule = replace(base.episodes, references=False)
    return replace(base, name="refcut-no-reference", episodes=rule, sources=())


def refcut_classes() -> NetworkRecipe:
    """RefCut on sets without parts: combinations of classes, a reference from another picture."""
    base = refcut_b()
    return replace(base, name="refcut-classes", episodes=replace(base.episodes, asked="combination"), sources=())


def refcut_small() -> NetworkRecipe:
    """A small RefCut from nothing."""
    rule = EpisodeRule("combination", side=224, references=True)
    config = RefCutConfig(SMALL, reference_side=224)
    return NetworkRecipe("refcut-small", "refcut", config, rule, steps=2000, batch=8, rate=5e-4)


RECIPES = {
    "refcut-b": refcut_b,
    "refcut-classes": refcut_classes,
    "refcut-no-reference": refcut_no_reference,
    "refcut-small": refcut_small,
}
