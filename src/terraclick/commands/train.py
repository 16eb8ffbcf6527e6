"""The verb `train`: a model by a recipe."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

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
@click.option("--device", default="cpu", show_default=True, help="Where a paper's network is trained: cpu, cuda.")
@click.option("--validation", type=EXISTING, help="Datasets that terra's recipes are measured on every 20,000 samples.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a setting, such as rate=1e-4.")
@click.option("--dry-run", is_flag=True, help="Try two steps without data: shapes, parameters, memory, time, days.")
def train(
    recipe: str,
    data: Path | None,
    out: Path | None,
    resume: bool,
    steps: int | None,
    start: Path | None,
    device: str,
    validation: Path | None,
    settings: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Train a model by RECIPE (needs the torch extra)."""
    loop, networks = import_room("terraclick.train.loop", "torch"), import_room("terraclick.train.networks", "torch")
    from terraclick.predictors.spec import WEIGHTS
    from terraclick.train.config import RECIPES

    changed = import_room("terraclick.train.settings", "torch").with_settings
    if dry_run:
        _try_dry(recipe, settings)
        return
    if data is None or out is None:
        raise BadConfig("training needs --data FOLDER and --out FOLDER: give both, or --dry-run.")
    if validation is not None and recipe not in RECIPES:
        raise BadConfig(f"{recipe} is not measured while it trains: leave --validation out.")
    if recipe in networks.NETWORK_RECIPES:
        chosen = changed(networks.NETWORK_RECIPES[recipe](), settings)
        tell(networks.train_network(chosen, data, out, start, resume, steps, _report, device))
        return
    maps = import_room("terraclick.train.semantic_recipes", "torch").SEMANTIC_RECIPES
    if recipe not in RECIPES and recipe not in maps:
        known = ", ".join((*RECIPES, *networks.NETWORK_RECIPES, *maps))
        raise UnknownName(f"no recipe {recipe!r}. Known: {known}.")
    if device != "cpu":
        raise BadConfig(f"{recipe} is trained on the CPU: leave --device out.")
    if recipe in maps:
        chosen = maps[recipe]() if start is None else replace(maps[recipe](), weights=str(start))
        chosen = changed(chosen, settings)
        room = import_room("terraclick.train.semantic", "torch")
        tell(room.train(chosen, data, out, resume, steps, _report))
        return
    config = replace(changed(RECIPES[recipe](), settings), ranks=int(os.environ.get("WORLD_SIZE", "1")))
    if start is not None:
        config = replace(config, start=str(start))
    held_out = (
        None if validation is None else import_room("terraclick.train.validation", "torch").Validation(validation)
    )
    encoder = WEIGHTS / "terra_encoder.onnx"
    tell(loop.train(config, data, out, encoder, resume, steps, _report, validation=held_out))


def _try_dry(recipe: str, settings: tuple[str, ...]) -> None:
    room = import_room("terraclick.train.dry_run", "torch")
    known = import_room("terraclick.train.recipe_table", "torch").ALL_RECIPES
    if recipe not in known:
        raise UnknownName(f"no recipe {recipe!r} can be tried dry. Known: {', '.join(known)}.")
    changed = import_room("terraclick.train.settings", "torch").with_settings(known[recipe](), settings)
    for line in room.dry_run(changed).lines():
        tell(line)


def _report(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
    said = " ".join(f"{name} {value:.4g}" for name, value in figures.items())
    tell(f"{stage} {done}/{total} {said}".rstrip(), err=True)
