"""How SAM's mask decoder is tuned: as Kirillov et al. (ICCV 2023, appendix A) train, with the encoder frozen."""

from __future__ import annotations

from functools import partial

from terraclick.networks.recipe import EpisodeRule, NetworkRecipe, Setting, same_as

__all__ = ["RECIPES"]

PAPER = "appendix A of SAM, training recipe, from memory"
ALGORITHM = "appendix A of SAM, training algorithm, from memory"
LOSSES = "appendix A of SAM, losses, from memory"


def decoder(size: str, prompts: bool = False) -> NetworkRecipe:
    """SAM's mask decoder on click datasets, the image encoder frozen: focal 20 : dice 1, and the error of its IoU."""
    from terraclick.networks.sam.tuning import SamTuning

    rule = EpisodeRule(side=1024, turns="none", colours="none", augment=False, scale=(1.0, 1.0), scale_evenly=True)
    name = f"{size}-decoder"
    recipe = NetworkRecipe(
        name,
        "sam",
        SamTuning(size, prompts),
        rule,
        steps=20_000,
        batch=8,
        accumulate=4,
        rate=1e-4,
        milestones=(60 / 90, 86_666 / 90_000),
        warm_up=250,
        first="one",
        first_depth=1e6,
        next_clicks=8,
        passes=(0,) * 8 + (1,),
        loss="sam",
        boxes=0.5,
        tuning="decoder",
    )
    return NetworkRecipe(**{**vars(recipe), "sources": _sources(recipe)})


def _sources(recipe: NetworkRecipe) -> tuple[Setting, ...]:
    where = "of the decoder alone, from published weights"
    return (
        *same_as(recipe, PAPER, "milestones", "warm_up", "episodes.augment", "episodes.turns", "episodes.colours"),
        *same_as(recipe, PAPER, "clip", "episodes.copy_paste", "episodes.image_mix", "episodes.merge"),
        *same_as(recipe, ALGORITHM, "boxes", "first", "first_depth", "next_clicks"),
        *same_as(recipe, LOSSES, "loss"),
        Setting("tuning", "everything", PAPER, "the image encoder stays as published"),
        Setting("steps", 90_000, PAPER, f"a tuning {where}"),
        Setting("batch", 256, PAPER, "what one GPU holds in a few parts"),
        Setting("rate", 8e-4, PAPER, f"a smaller batch, and a tuning {where}"),
        Setting(
            "passes",
            "8 further clicks, and two rounds that hear nothing new",
            ALGORITHM,
            "without the two rounds that hear nothing new",
        ),
        Setting("shares", "SA-1B", PAPER, "whatever datasets are given, all alike"),
        Setting("others", "excluding clicks in the answer's errors alone", ALGORITHM, "there are none at first"),
        Setting("erode", "clicks drawn evenly in the mask", ALGORITHM, "counts for several first clicks alone"),
        Setting("episodes.side", "the whole picture, its longer side made 1024", PAPER, "crops of 1024 pixels"),
        Setting("episodes.scale", "none", PAPER, "crops at their own scale"),
        Setting("episodes.scale_evenly", "none", PAPER, "the scale is not drawn"),
        Setting("episodes.min_area", "masks of SA-1B", PAPER, "our datasets have smaller things"),
        Setting("episodes.asked", "any mask", PAPER, "the datasets' objects"),
    )


RECIPES = {f"{size}-decoder": partial(decoder, size) for size in ("sam-vit-b", "sam-hq-vit-b")}
