"""What a recipe of a paper's network decides: the file `recipe.py` of a family declares RECIPES, name → recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from terraclick.errors import BadConfig

__all__ = [
    "ASKED",
    "SETTLED",
    "EpisodeRule",
    "NetworkRecipe",
    "Setting",
    "check_published",
    "differing",
    "same_as",
    "value_at",
]

ASKED = ("object", "class", "combination", "parts")
"""What an episode asks for: one instance, one class, several classes at once, or some parts of one object (RefCut)."""

COLOURS = ("sensor", "plain", "none")
TURNS = ("eight", "mirror", "none")


@dataclass(frozen=True)
class Setting:
    """One setting of a recipe beside its source."""

    path: str
    """Where the recipe keeps it, such as `episodes.scale`."""
    source: Any
    """Its value in the source; text where the source says something that the recipe cannot say."""
    where: str
    """Where the source says so: the paper's section, or the authors' code."""
    why: str = ""
    """Why ours differs, for people; empty where it does not."""


@dataclass(frozen=True)
class EpisodeRule:
    """How episodes are drawn."""

    asked: str = "object"
    """One of `ASKED`."""
    side: int = 448
    """Side of a crop, in pixels the network sees."""
    scale: tuple[float, float] = (0.75, 1.4)
    """Enlargement of the picture."""
    scale_evenly: bool = False
    """Whether the enlargement is drawn evenly (published); else its logarithm is."""
    min_area: int = 80
    """Smallest thing asked for, in pixels of the crop."""
    merge: float = 0.0
    """Chance that a second object of the crop is asked for together with the first."""
    copy_paste: float = 0.0
    """Chance that the thing asked for is pasted onto another crop (CFR-ICL)."""
    image_mix: float = 0.0
    """Chance that another crop shines through the picture, half and half (CFR-ICL)."""
    references: bool = False
    """Whether a reference comes along."""
    no_reference: float = 0.1
    """Chance that it does not after all."""
    one_mask: float = 0.25
    """Chance that it has only a positive or only a negative mask (RefCut, section 4.1)."""
    augment: bool = True
    """Whether `turns` and `colours` change a crop."""
    turns: str = "eight"
    """"eight" = quarter turns and mirror images, "mirror" = left and right, "none"."""
    colours: str = "sensor"
    """"sensor" = what sensors and their processing do, "plain" = brightness, contrast and a shift of each band as
    published, "none"."""

    def __post_init__(self) -> None:
        if self.turns not in TURNS or self.colours not in COLOURS:
            raise BadConfig(
                f"turns {self.turns!r} and colours {self.colours!r}: choose {', '.join(TURNS)} and "
                f"{', '.join(COLOURS)}."
            )
        if not all(0 <= chance <= 1 for chance in (self.merge, self.copy_paste, self.image_mix)):
            raise BadConfig("merge, copy_paste and image_mix are chances: give numbers from 0 to 1.")
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
    """Episodes in a step, over all processes."""
    accumulate: int = 1
    """In how many parts a process computes its share of a batch, one after the other: more need less memory."""
    precision: str = "float32"
    """float32, bfloat16 or float16 arithmetic (autocast) of a step; weights and averages stay float32."""
    average: float = 0.0
    """Decay of the running average of the weights, which is kept instead of them; 0 = none."""
    rate: float = 5e-5
    """Learning rate of Adam."""
    schedule: str = "milestones"
    """How the learning rate falls: at `milestones`, or along a "cosine" to its share `last_rate`."""
    last_rate: float = 0.0
    """Last learning rate of a cosine, as a share of the first."""
    milestones: tuple[float, ...] = (0.9,)
    """Shares of the steps after each of which the learning rate is a tenth of what it was."""
    backbone_rate: float = 1.0
    """Share of the learning rate for the ViT, where it was trained before, and for what is added to its tokens."""
    clip: float | None = None
    """Largest norm of the gradient, None = any."""
    warm_up: int = 0
    """Steps over which the learning rate rises from nothing."""
    first: str = "random"
    """First clicks: "random" up to 24 of each sign (RITM), "one" including click near the middle (MFP)."""
    first_depth: float = 2.0
    """The one first click lies where the thing is deeper than its largest depth divided by this."""
    erode: float = 0.0
    """Random first clicks: chance that including ones lie in the thing eroded by three pixels (published: .9); 0 = a
    rule of our own, with clicks near the middle and at the rim."""
    others: bool = False
    """Random first clicks: whether excluding ones fall on other objects two times in five; else on the ground."""
    next_clicks: int = 3
    """Most clicks placed in the network's own errors."""
    passes: tuple[float, ...] = ()
    """Weights of placing 0, 1, 2 … of them; empty = all numbers alike."""
    shares: tuple[tuple[str, float], ...] = ()
    """(name of a dataset, its share of the episodes); empty, or where none of them is there, all datasets alike."""
    loss: str = "last"
    """"last" = normalised focal loss of the last answer, "dice" = soft dice added to it, "icl" = focal loss of every
    answer, later ones weighing more, "sam" = SAM's of every round, for networks of its family."""
    boxes: float = 0.0
    """With the loss "sam": chance that a batch begins with boxes instead of clicks."""
    auxiliary: float = 0.0
    """Weight of the cross-entropy of an auxiliary answer, for networks that have one (RITM)."""
    refine: float = 0.0
    """Weight of the second stage's loss in a window around the thing, for networks that have one (FocalClick)."""
    tuning: str = "full"
    """What is trained: full, lora, adapter, decoder."""
    rank: int = 16
    """Rank of LoRA."""
    seed: int = 0
    """Seed of everything random."""
    published: bool = False
    """Whether it is called "as published": nothing in `sources` differs from it then."""
    sources: tuple[Setting, ...] = field(default=(), compare=False)
    """Its settings beside those of the paper or its authors' configuration."""

    def __post_init__(self) -> None:
        if self.first not in ("random", "one") or self.loss not in ("last", "dice", "icl", "sam"):
            raise BadConfig(f"first {self.first!r} and loss {self.loss!r}: choose random or one, last, dice, icl, sam.")
        if not 0 <= self.boxes <= 1:
            raise BadConfig(f"boxes {self.boxes} is a chance: give a number from 0 to 1.")
        if self.accumulate < 1 or self.batch < 1 or self.precision not in ("float32", "bfloat16", "float16"):
            raise BadConfig(
                "accumulate and batch are 1 or more, precision float32, bfloat16 or float16: correct the recipe."
            )
        if self.schedule not in ("milestones", "cosine") or not 0 <= self.average < 1 or not 0 <= self.last_rate <= 1:
            raise BadConfig(
                f"schedule {self.schedule!r}, average {self.average}, last_rate {self.last_rate}: choose milestones or "
                "cosine, and shares from 0 to 1."
            )
        if self.tuning == "none":
            raise BadConfig("tuning none trains nothing: choose full, lora, adapter or decoder.")
        check_published(self)
        if self.passes and (len(self.passes) > self.next_clicks + 1 or min(self.passes) < 0 or sum(self.passes) <= 0):
            raise BadConfig(f"passes {self.passes}: give weights of 0 to {self.next_clicks} clicks, not all zero.")
        if not all(0 < share < 1 for share in self.milestones) or list(self.milestones) != sorted(self.milestones):
            raise BadConfig(f"milestones {self.milestones}: give rising shares of the steps between 0 and 1.")


SETTLED: tuple[str, ...] = ("name", "family", "config", "seed", "published", "sources", "rank", "references")
SETTLED += ("accumulate", "precision", "backbone_rate", "warm_up", "auxiliary", "refine")
SETTLED += ("average", "schedule", "last_rate", "boxes")
"""Fields that a table need not list: names, and what is off unless a recipe says so."""


def value_at(recipe: Any, path: str) -> Any:
    """A setting of a recipe by its dotted path. Raises AttributeError for a path that leads nowhere."""
    return reduce(getattr, path.split("."), recipe)


def differing(recipe: Any) -> list[Setting]:
    """The settings in which a recipe differs from its source."""
    return [setting for setting in recipe.sources if value_at(recipe, setting.path) != setting.source]


def check_published(recipe: Any) -> None:
    """Raises BadConfig for a recipe that is called published and differs from its source."""
    wrong = differing(recipe) if recipe.published else []
    if wrong:
        named = ", ".join(setting.path for setting in wrong)
        raise BadConfig(f"{recipe.name} is called published, but differs from its source in {named}: correct one.")


def same_as(recipe: Any, where: str, *paths: str) -> tuple[Setting, ...]:
    """Settings that a source says as the recipe has them."""
    return tuple(Setting(path, value_at(recipe, path), where) for path in paths)
