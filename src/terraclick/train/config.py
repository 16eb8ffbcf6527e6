"""Training recipes: a recipe is a function that returns a TrainConfig."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from terraclick.errors import BadConfig

__all__ = ["RECIPES", "TrainConfig", "terra_20min", "terra_long", "terra_more", "terra_open"]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training run, saved beside its checkpoints."""

    name: str
    """Name of the recipe."""
    datasets: tuple[str, ...]
    """Folders under the data root."""
    shares: tuple[float, ...]
    """How often each dataset is drawn, relative to the others."""
    crops: int = 900
    """Crops cut, augmented and encoded before the first step."""
    steps: int = 320
    """Optimiser steps."""
    batch: int = 16
    """Episodes in a step."""
    pool: int = 64
    """Episodes open at a time; a step takes some of them one click further."""
    side: int = 288
    """Side of the picture the click net is trained on, in pixels (a multiple of 32)."""
    object_share: float = 0.6
    """Share of crops drawn around an object; the others are drawn for a class."""
    go_on: float = 0.78
    """Chance that an episode gets one more click."""
    rate: float = 1e-3
    """Peak learning rate of new layers."""
    backbone_rate: float = 3e-4
    """Peak learning rate of the pretrained backbone."""
    decay: float = 1e-2
    """Weight decay."""
    average: float = 0.98
    """Decay of the running average of the weights, which is what is kept."""
    seed: int = 0
    """Seed of everything random."""
    threads: int = 1
    """CPU threads."""
    start: str = ""
    """File of a trained click net to start from; empty = ImageNet weights of the backbone."""
    click_weight: float = 0.0
    """Weight of the loss under the clicks' own disks."""
    remote_share: float = 0.0
    """Share of episodes that are class targets clicked in another crop only."""
    reference_share: float = 0.0
    """Share of episodes that come with references from other crops."""
    deep_prompts: bool = True
    """Whether the bank compares clicks and tokens; without it clicks reach the net as disks alone (an ablation)."""

    def __post_init__(self) -> None:
        if len(self.datasets) != len(self.shares):
            raise BadConfig(f"{len(self.datasets)} datasets but {len(self.shares)} shares: give one share each.")
        if self.side % 32:
            raise BadConfig(f"side {self.side} is not a multiple of 32, the click net's coarsest stride.")
        if self.pool < self.batch:
            raise BadConfig(f"pool {self.pool} is smaller than batch {self.batch}: make it at least as large.")


def terra_20min() -> TrainConfig:
    """About twenty minutes of one CPU thread from ImageNet weights: the first shipped model."""
    return TrainConfig(
        name="terra-20min",
        datasets=("nwpu_vhr10", "hot_fair_oam", "jkpg_buildings", "cil_roads", "dronedeploy_sample"),
        shares=(3.0, 2.0, 1.0, 1.2, 1.5),
    )


def terra_long() -> TrainConfig:
    """About an hour and a half of one CPU thread, from an earlier click net (`--start`) or from ImageNet weights."""
    return replace(
        terra_20min(),
        name="terra-long",
        crops=2600,
        steps=2400,
        batch=8,
        pool=96,
        go_on=0.85,
        rate=2e-3,
        backbone_rate=1e-3,
        average=0.995,
        click_weight=0.3,
        remote_share=0.15,
        reference_share=0.15,
    )


def terra_more() -> TrainConfig:
    """About an hour and a half of one CPU thread more, on other crops, from what `terra-long` made (`--start`)."""
    return replace(
        terra_long(),
        name="terra-more",
        shares=(3.5, 2.0, 1.0, 1.5, 1.5),
        crops=5000,
        steps=3600,
        seed=1,
        go_on=0.87,
        average=0.997,
        reference_share=0.2,
    )


def terra_open() -> TrainConfig:
    """Only pictures whose licence lets derived work be shared: OpenAerialMap with OpenStreetMap, and made-up towns.

    `towns` is written by `dev/make_towns.py`. From ImageNet weights, about half an hour of one CPU thread.
    """
    return replace(
        terra_long(),
        name="terra-open",
        datasets=("hot_fair_oam", "towns"),
        shares=(3.0, 2.0),
        crops=900,
        steps=1000,
    )


RECIPES: dict[str, Callable[[], TrainConfig]] = {
    "terra-20min": terra_20min,
    "terra-long": terra_long,
    "terra-more": terra_more,
    "terra-open": terra_open,
}
