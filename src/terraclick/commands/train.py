"""The verb `train`: a model by a recipe."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from terraclick.commands.options import (
    verb,
)
from terraclick.commands.output import import_room, tell
from terraclick.commands.parameters import EXISTING, NEW
from terraclick.errors import BadConfig, UnknownName

__all__ = ["train"]


@verb("train", short_help="Train a model by a recipe.")
@click.argument("recipe")
@click.option("--data", type=EXISTING, help="Folder of training datasets (needed but for --dry-run).")
@click.option("--out", "-o", type=NEW, help="Folder for checkpoints and the log (needed but for --dry-run).")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
@click.option("--steps", type=click.IntRange(min=1), help="End this call at that step; --resume goes on from there.")
@click.option(
    "--start",
    type=EXISTING,
    help="A click_net.pt or exported .onnx of it, a paper network's checkpoint or ImageNet weights.",
)
@click.option("--device", default="cpu", show_default=True, help="Where the network is trained: cpu, cuda, cuda:1.")
@click.option("--workers", type=click.IntRange(0), default=0, show_default=True, help="Processes that draw ahead.")
@click.option("--cache-mb", type=click.IntRange(0), default=1024, show_default=True, help="Decoded tiles in memory.")
@click.option(
    "--validation",
    type=EXISTING,
    help="Datasets that the robot clicks while a network trains; best keeps the best weights (class maps need none).",
)
@click.option("--validate-every", type=click.IntRange(1), metavar="STEPS", help="Measure so often (default 2500).")
@click.option("--pictures-every", type=click.IntRange(1), metavar="STEPS", help="Pictures of samples and answers.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a setting, such as rate=1e-4.")
@click.option("--dry-run", is_flag=True, help="Try two steps without data: shapes, parameters, memory, time, days.")
def train(recipe: str, data: Path | None, out: Path | None, dry_run: bool, settings: tuple[str, ...], **w: Any) -> None:
    """Train a model by RECIPE (needs the torch extra)."""
    import_room("terraclick.train.trainer", "torch")
    if dry_run:
        _try_dry(recipe, settings)
        return
    if data is None or out is None:
        raise BadConfig("training needs --data FOLDER and --out FOLDER: give both, or --dry-run.")
    from terraclick.train.config import RECIPES
    from terraclick.train.networks import NETWORK_RECIPES
    from terraclick.train.semantic_recipes import SEMANTIC_RECIPES
    from terraclick.train.settings import with_settings

    known: dict[str, Any] = {**RECIPES, **NETWORK_RECIPES, **SEMANTIC_RECIPES}
    if recipe not in known:
        raise UnknownName(f"no recipe {recipe!r}. Known: {', '.join(known)}.")
    chosen = with_settings(known[recipe](), settings)
    tell(_trained(chosen, recipe in RECIPES, data, out, **w))


def _trained(
    chosen: Any,
    terra: bool,
    data: Path,
    out: Path,
    resume: bool,
    steps: int | None,
    start: Path | None,
    validation: Path | None,
    validate_every: int | None,
    **habits: Any,
) -> Path:
    """The kind of training that a recipe asks for; the file of its weights."""
    from terraclick.networks.recipe import NetworkRecipe
    from terraclick.train.trainer import Habits, RunOptions
    from terraclick.train.validation import Validation

    habits["pictures_every"] = habits["pictures_every"] or 0
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if terra:
        chosen = replace(chosen, ranks=max(chosen.ranks, ranks), start=chosen.start if start is None else str(start))
    click_model = terra or isinstance(chosen, NetworkRecipe)
    measured = None
    if validation is not None or validate_every is not None:
        if click_model and validation is None:
            raise BadConfig("--validate-every needs --validation FOLDER, whose objects the robot clicks: give both.")
        every = (validate_every or 2500) * chosen.batch * (chosen.ranks if terra else 1)
        measured = Validation(validation if click_model else None, every)
    options = RunOptions(resume, steps, _progress, measured, Habits(**habits))
    if isinstance(chosen, NetworkRecipe):
        from terraclick.train.networks import train_network

        return train_network(chosen, data, out, start, options)
    if not terra:
        from terraclick.train.semantic import train as train_map

        chosen = chosen if start is None else replace(chosen, weights=str(start))
        return train_map(chosen, data, out, options)
    from terraclick.predictors.spec import WEIGHTS
    from terraclick.train.loop import train as train_terra

    return train_terra(chosen, data, out, WEIGHTS / "terra_encoder.onnx", options)


def _try_dry(recipe: str, settings: tuple[str, ...]) -> None:
    room = import_room("terraclick.train.dry_run", "torch")
    known = room.DRY_RECIPES
    if recipe not in known:
        raise UnknownName(f"no recipe {recipe!r} can be tried dry. Known: {', '.join(known)}.")
    changed = import_room("terraclick.train.settings", "torch").with_settings(known[recipe](), settings)
    for line in room.dry_run(changed).lines():
        tell(line)


def _progress(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
    said = " ".join(f"{name} {value:.4g}" for name, value in figures.items())
    tell(f"{stage} {done}/{total} {said}".rstrip(), err=True)
