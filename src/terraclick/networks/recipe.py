"""What a recipe of a paper's network decides: the file `recipe.py` of a family declares RECIPES, name → recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from terraclick.errors import BadConfig

__all__ = ["ASKED", "EpisodeRule", "NetworkRecipe"]

ASKED = ("object", "class", "combination")
"""What an episode asks for: one instance, one class, or several classes at once (RefCut's combinations of parts)."""


@dataclass(frozen=True)
class EpisodeRule:
    """How episodes are drawn."""

    asked: str = "object"
    """One of `ASKED`."""
    side: int = 448
    """Side of a crop, in pixels the network sees."""
    scale: tuple[float, float] = (0.75, 1.4)
    """Enlargement of the picture, drawn evenly in logarithm (published uniform resize)."""
    min_area: int = 80
    """Smallest thing asked for, in pixels of the crop."""
    references: bool = False
    """Whether a reference comes along."""
    no_reference: float = 0.1
    """Chance that it does not after all."""
    one_mask: float = 0.25
    """Chance that it has only a positive or only a negative mask (RefCut, section 4.1)."""
    augment: bool = True
    """Turns, mirrors and what a sensor does to colours."""

    def __post_init__(self) -> None:
        if self.asked not in ASKED:
            raise BadConfig(f"asked {self.asked!r} is not known: give one of {', '.join(ASKED)}.")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise BadConfig(f"scale {self.scale} is no range: give two factors above 0, the smaller first.")


@dataclass(frozen=True)
class NetworkRecipe:
    """Everything that decides a training run of a paper's network, saved beside its weights."""

    name: str
    """Name of the recipe."""
    family: str
    """Its folder in `networks`."""
    config: Any
    """The network's config."""
    episodes: EpisodeRule = field(default_factory=EpisodeRule)
    """How episodes are drawn."""
    steps: int = 50_000
    """Optimiser steps."""
    batch: int = 32
    """Episodes in a step."""
    rate: float = 5e-5
    """Learning rate of Adam; a tenth of it for the last tenth of the steps."""
    backbone_rate: float = 1.0
    """Share of the learning rate for the ViT, where it was trained before, and for what is added to its tokens."""
    clip: float | None = None
    """Largest norm of the gradient, None = any."""
    warm_up: int = 0
    """Steps over which the learning rate rises from nothing."""
    first: str = "random"
    """First clicks: "random" up to 24 of each sign (RITM), "one" including click near the middle (MFP)."""
    next_clicks: int = 3
    """Most clicks placed in the network's own errors."""
    loss: str = "last"
    """"last" = normalised focal loss of the last answer, "dice" = soft dice added to it, "icl" = focal loss of every
    answer, later ones weighing more."""
    tuning: str = "full"
    """What is trained: full, lora, adapter."""
    rank: int = 8
    """Rank of LoRA."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self) -> None:
        if self.first not in ("random", "one") or self.loss not in ("last", "dice", "icl"):
            raise BadConfig(f"first {self.first!r} and loss {self.loss!r}: choose random or one, last, dice or icl.")
        if self.tuning == "none":
            raise BadConfig("tuning none trains nothing: choose full, lora or adapter.")
