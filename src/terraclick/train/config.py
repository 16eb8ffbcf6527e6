"""Training recipes: a recipe is a function that returns a TrainConfig."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from terraclick.errors import BadConfig
from terraclick.train.schedule import held

__all__ = ["RECIPES", "Source", "TrainConfig", "terra_20min", "terra_long", "terra_open"]


@dataclass(frozen=True)
class Source:
    """One dataset of the mix."""

    name: str
    """Folder under the data root."""
    share: float
    """How often it is drawn, relative to the others."""
    objects: float = 0.6
    """Share of its crops that are drawn around an object; the others are drawn for a class."""
    border: float = 0.0
    """Half width, in pixels of the picture, of the band around label borders that is ignored: loose labels."""
    regions: bool = False
    """Its instances are regions of a photograph: they belong to no class, and are asked for as regions."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training run, saved beside its checkpoints."""

    name: str
    """Name of the recipe."""
    sources: tuple[Source, ...]
    """Datasets and their shares."""
    samples: int = 480_000
    """Forward and backward passes of one crop each, over all ranks."""
    batch: int = 8
    """Episodes in a step of one pool."""
    ranks: int = 1
    """Pools of crops and episodes; the processes that train together deal them out among themselves."""
    pool: int = 48
    """Episodes of a rank open at a time; a step takes some of them one click further."""
    crops: int = 160
    """Crops of a rank in use at a time; the oldest makes room for a new one."""
    crop_samples: int = 40
    """A new crop is cut after that many samples of a rank."""
    sides: tuple[int, ...] = (160, 192, 224)
    """Sides of the picture the click net is trained on, in pixels (multiples of 32); each step draws one."""
    late_sides: tuple[int, ...] = (224, 256, 288)
    """The same for the last `late_share` of the run."""
    late_share: float = 0.3
    """Share of the run that is trained on the late sides."""
    fitted_share: float = 0.65
    """Share of object crops cut about the object as the zoom-in cuts them; the others show more around it."""
    first_looks: float = 0.6
    """How often a new episode is a first look: one click on a whole object, small in its crop. Others last about six
    clicks, so that this is a fifth of all samples."""
    region_share: float = 0.12
    """Share of episodes that ask for a region of like pixels (Felzenszwalb), of no class: edges and obedience."""
    paste_share: float = 0.12
    """Share of crops with a thing of another picture pasted in."""
    rotate_share: float = 0.3
    """Share of crops cut at any angle."""
    sheet_share: float = 0.15
    """Share of class draws that cut four neighbouring patches instead of one."""
    go_on: float = 0.86
    """Chance that an episode gets one more click."""
    rate: float = 1.5e-3
    """Peak learning rate of new layers."""
    backbone_rate: float = 8e-4
    """Peak learning rate of the pretrained backbone."""
    decay: float = 1e-2
    """Weight decay."""
    warmup: float = 0.01
    """Share of the run in which the rates rise."""
    cooldown: float = 0.3
    """Share of the run, at its end, in which the rates fall to a hundredth (half a cosine)."""
    average: float = 0.999
    """Decay of the running average of the weights, which is what is kept."""
    seed: int = 0
    """Seed of everything random."""
    threads: int = 1
    """CPU threads of a rank."""
    clip: float = 5.0
    """Largest norm of the gradient."""
    accumulate: int = 1
    """In how many parts the batch of a pool is computed, one after the other: more need less memory."""
    precision: str = "auto"
    """float32, bfloat16, float16, or auto: bfloat16 where the processor has instructions for it, or on a GPU."""
    start: str = ""
    """File of a trained click net to start from; layers it lacks start fresh. Empty = ImageNet weights."""
    click_weight: float = 0.3
    """Weight of the loss under the clicks' own disks."""
    remote_share: float = 0.12
    """Share of episodes that are class targets clicked in another crop only."""
    reference_share: float = 0.15
    """Share of episodes that come with references from other crops."""
    deep_prompts: bool = True
    """Whether the bank compares clicks and tokens; without it clicks reach the net as disks alone (an ablation)."""
    shallow: bool = True
    """Whether the shallow tokens reach the pyramid (an ablation)."""
    refit: bool = True
    """Whether the refitted classifiers' maps reach the net (an ablation)."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise BadConfig("a recipe needs at least one source of crops: give one.")
        odd = [side for side in (*self.sides, *self.late_sides) if side % 32]
        if odd:
            raise BadConfig(f"side {odd[0]} is not a multiple of 32, the click net's coarsest stride.")
        if self.pool < self.batch:
            raise BadConfig(f"pool {self.pool} is smaller than batch {self.batch}: make it at least as large.")
        if self.warmup + self.cooldown > 1:
            raise BadConfig(f"warmup {self.warmup} and cooldown {self.cooldown} exceed the run: shorten one of them.")
        if self.precision not in ("auto", "float32", "bfloat16", "float16"):
            raise BadConfig(f"precision {self.precision!r} is not known: give auto, float32, bfloat16 or float16.")
        if self.accumulate < 1 or self.ranks < 1:
            raise BadConfig("accumulate and ranks are whole numbers from 1 on: correct the recipe.")

    @property
    def steps(self) -> int:
        """Optimiser steps of the run."""
        return -(-self.samples // (self.batch * self.ranks))

    def rate_share(self, done: float) -> float:
        """The learning rate as a share of its peak when a share `done` of the run is over: rise, hold, fall."""
        return held(done, self.warmup, self.cooldown)

    def step_sides(self, done: float) -> tuple[int, ...]:
        """Sides that a step may have when a share `done` of the run is over."""
        return self.late_sides if done >= 1 - self.late_share else self.sides


def terra_long() -> TrainConfig:
    """The shipped model: every dataset, half a million samples. `towns` is written by `dev/make_towns.py`."""
    return TrainConfig(
        name="terra-long",
        sources=(
            Source("nwpu_vhr10", 5.0, objects=0.8),
            Source("hot_fair_oam", 1.8, objects=0.75),
            Source("cz_ortho", 2.4, objects=0.5),
            Source("dubai_tiles", 1.8, objects=0.55),
            Source("jkpg_buildings", 1.5, objects=0.7),
            Source("dronedeploy_sample", 1.4, objects=0.55),
            Source("pv_panels", 0.8, objects=0.7),
            Source("bsds_regions", 0.8, objects=1.0, regions=True),
            Source("pools", 0.8, objects=0.75),
            Source("flood_drone", 0.8, objects=0.4),
            Source("cil_roads", 0.8, objects=0.1, border=2.0),
            Source("s2_water", 0.5, objects=0.5),
            Source("dead_trees", 0.5, objects=0.5),
            Source("mass_roads", 0.5, objects=0.2, border=2.0),
            Source("towns", 0.8, objects=0.6),
        ),
    )


def terra_20min() -> TrainConfig:
    """About twenty minutes of two CPU cores: to see that a change learns, never to be shipped."""
    return replace(terra_long(), name="terra-20min", samples=24_000)


def terra_open() -> TrainConfig:
    """Only pictures whose licence lets derived work be shared, and made-up ones.

    `towns` is written by `dev/make_towns.py`; `fleets` by `dev/make_fleets.py`: aircraft, ships, tanks and sports
    grounds, which the free sets lack.
    """
    return replace(
        terra_long(),
        name="terra-open",
        samples=240_000,
        sources=(
            Source("hot_fair_oam", 2.5, objects=0.75),
            Source("cz_ortho", 2.5, objects=0.5),
            Source("dubai_tiles", 2.0, objects=0.5),
            Source("pv_panels", 1.0, objects=0.7),
            Source("towns", 1.2, objects=0.6),
            Source("fleets", 1.8, objects=0.95),
        ),
        region_share=0.3,
        paste_share=0.2,
    )


RECIPES: dict[str, Callable[[], TrainConfig]] = {
    "terra-20min": terra_20min,
    "terra-long": terra_long,
    "terra-open": terra_open,
}
