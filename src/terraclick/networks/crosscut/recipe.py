"""How CrossCut is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from terraclick.blocks.layers import ClickViTConfig
from terraclick.networks.crosscut.config import CrossCutConfig
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe, Setting, same_as
from terraclick.networks.simpleclick.network import SimpleClickConfig
from terraclick.networks.simpleclick.recipe import RITM_CLICKS, SMALL

__all__ = ["RECIPES"]


PAPER, CODE = "section 4.1", "the authors' code"


def crosscut_b() -> NetworkRecipe:
    """CrossCut ViT-B, from SimpleClick: crops of 896 px, classes, 55 epochs of 4500 samples."""
    rule = EpisodeRule("class", 896, (0.75, 1.25), True, colours="plain")
    settings: dict[str, Any] = {"steps": 30_937, "batch": 8, "milestones": (50 / 55,), **RITM_CLICKS}
    shares = (("isaid", 0.4), ("deepglobe", 0.3), ("inria", 0.3))
    config = CrossCutConfig(divisions=(2,))
    recipe = NetworkRecipe("crosscut-b", "crosscut", config, rule, shares=shares, **settings)
    return replace(recipe, sources=_sources(recipe))


def _sources(recipe: NetworkRecipe) -> tuple[Setting, ...]:
    code: tuple[str, ...] = (
        "episodes.side",
        "episodes.scale",
        "episodes.scale_evenly",
        "episodes.colours",
        "episodes.augment",
        "shares",
    )
    code += ("batch", "first", "erode", "others", "next_clicks", "passes", "clip", "loss", "tuning", "config.divisions")
    return (
        *same_as(recipe, PAPER, "rate", "milestones"),
        *same_as(recipe, CODE, "steps", *code),
        Setting(
            "config.setting", "parity", CODE, "patches keep the picture's shape, overlap and are blended: no seams"
        ),
        Setting("config.prompt_from", "embedding", PAPER, "as in the authors' code: a pass of the ViT without clicks"),
        Setting(
            "episodes.asked",
            "the whole mask of a class in a crop anywhere; roads are enlarged twice, one time in five",
            CODE,
            "a crop shows the class that is asked for; roads are not enlarged",
        ),
        Setting("episodes.turns", "eight, and rotations by up to 3 degrees", CODE, "no rotation that resamples"),
        Setting("episodes.min_area", 0, CODE, "a class of less than 80 pixels of a crop is not asked for"),
        Setting("episodes.merge", 0.0, "one class at a time"),
        Setting("episodes.copy_paste", 0.0, CODE),
        Setting("episodes.image_mix", 0.0, CODE),
        Setting("first_depth", 2.0, "first clicks are not drawn near the middle"),
    )


def crosscut_no_cpe() -> NetworkRecipe:
    """The paper's baseline (tables 2 and 3): the same without Cross-Patch Prompt Embedding."""
    base = crosscut_b()
    config = replace(base.config, prompt_from="none")
    return replace(base, name="crosscut-no-cpe", config=config, sources=())


def crosscut_embedding() -> NetworkRecipe:
    """CPE as the paper writes it: a click's features from the patch embedding."""
    base = crosscut_b()
    return replace(base, name="crosscut-embedding", config=replace(base.config, prompt_from="embedding"), sources=())


def crosscut_small() -> NetworkRecipe:
    """A small CrossCut from nothing."""
    rule = EpisodeRule("class", side=896, scale=(0.75, 1.25))
    config = CrossCutConfig(SMALL, divisions=(2,))
    return NetworkRecipe("crosscut-small", "crosscut", config, rule, steps=2000, batch=2, rate=5e-4)


def crosscut_s() -> NetworkRecipe:
    """CrossCut of a ViT-S/14's first six blocks, patches of 224 px, from a plain ViT: classes in crops of 448 px."""
    rule = EpisodeRule("class", side=448, scale=(0.75, 1.25))
    vit = ClickViTConfig(patch=14, dim=384, depth=6, heads=6, size=224)
    base = SimpleClickConfig(vit, (64, 128, 256, 512), 128)
    config = CrossCutConfig(base, divisions=(2,), overlap=28)
    settings: dict[str, Any] = {
        "steps": 2000,
        "batch": 4,
        "rate": 2.5e-4,
        "backbone_rate": 0.3,
        "clip": 1.0,
        "warm_up": 30,
    }
    return NetworkRecipe("crosscut-s", "crosscut", config, rule, first="one", next_clicks=2, loss="dice", **settings)


RECIPES = {
    "crosscut-b": crosscut_b,
    "crosscut-no-cpe": crosscut_no_cpe,
    "crosscut-embedding": crosscut_embedding,
    "crosscut-small": crosscut_small,
    "crosscut-s": crosscut_s,
}
