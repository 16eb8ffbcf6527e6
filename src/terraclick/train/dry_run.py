"""What a recipe costs before days are spent on it: real steps at its full size, on pictures made by chance.

Time and memory are measured with `probe` pictures a step and scaled to the recipe's batch. Days on a GPU are reckoned
from the arithmetic of a step, counted while it runs: they are a forecast, and say so. A recipe of terra's click net is
tried in its own loop, by `dry_run_terra.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from terraclick.blocks.tuning import count_parameters, tune
from terraclick.networks.bicor.network import Bicor
from terraclick.networks.recipe import NetworkRecipe
from terraclick.train.config import RECIPES, TrainConfig
from terraclick.train.dry_figures import ADAM, GPU_FLOPS, DryRun, Kept, flop_counter
from terraclick.train.dry_run_terra import dry_run_terra
from terraclick.train.episode_loss import training_loss
from terraclick.train.episodes import Episode, Example
from terraclick.train.map_network import decoder_config
from terraclick.train.networks import bands_of, untrained
from terraclick.train.recipe_table import ALL_RECIPES
from terraclick.train.semantic_losses import total_loss
from terraclick.train.semantic_recipes import SemanticConfig

__all__ = ["DRY_RECIPES", "dry_run"]

DRY_RECIPES: Mapping[str, Callable[[], Any]] = {**ALL_RECIPES, **RECIPES}
"""Recipes that can be tried: the papers', those of class maps, terra's."""


def dry_run(
    recipe: NetworkRecipe | SemanticConfig | TrainConfig,
    probe: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> DryRun:
    """Two steps of a recipe at its size, with `probe` pictures each; terra's have their own batch.

    Raises BadConfig, or torch's error for a shape.
    """
    if isinstance(recipe, TrainConfig):
        return dry_run_terra(recipe, clock)
    torch.manual_seed(recipe.seed)
    made = _map_step(recipe, probe) if isinstance(recipe, SemanticConfig) else _click_step(recipe, probe)
    network, steps, shapes, step = made
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=recipe.rate)
    kept = Kept()

    def once(number: int) -> float:
        with kept:
            loss = step(number)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    with flop_counter() as counter:
        once(0)
    started = clock()
    loss = once(1)
    scale = recipe.batch / probe
    seconds = (clock() - started) * scale
    flops = counter.get_total_flops() * scale
    everything, few = count_parameters(network)
    memory = (4 * everything + (ADAM - 4) * few + kept.nbytes * scale) / 1e6
    return DryRun(
        recipe.name,
        everything,
        few,
        {name: (recipe.batch, *shape) for name, shape in shapes.items()},
        loss,
        flops / 1e9,
        seconds,
        memory,
        steps,
        steps * seconds / 86_400,
        steps * flops / GPU_FLOPS / 86_400,
        f" for {PICTURES} pictures" if isinstance(recipe, SemanticConfig) else "",
    )


Step = Callable[[int], torch.Tensor]


def _click_step(recipe: NetworkRecipe, probe: int) -> tuple[nn.Module, int, dict[str, tuple[int, ...]], Step]:
    network = tune(untrained(recipe)[0], recipe.tuning, recipe.rank).train()
    side, bands = recipe.episodes.side, bands_of(recipe.config)

    def step(number: int) -> torch.Tensor:
        rng = np.random.default_rng([recipe.seed, 7, number])
        episodes = [_episode(side, recipe.episodes.references, rng, bands) for _ in range(probe)]
        return training_loss(network, episodes, recipe, rng)

    return network, recipe.steps, {"image": (bands, side, side), "answer": (1, side, side)}, step


def _episode(side: int, references: bool, rng: np.random.Generator, bands: int = 3) -> Episode:
    """A disc on noise, with the same disc as its example."""
    image = rng.integers(0, 256, (side, side, bands), dtype=np.uint8)
    row, col, radius = rng.integers(side // 4, 3 * side // 4), rng.integers(side // 4, 3 * side // 4), side // 6
    rows, cols = np.ogrid[:side, :side]
    inside = (rows - row) ** 2 + (cols - col) ** 2 < radius**2
    image[inside] //= 3
    example = Example(image, inside, ~inside) if references else None
    return Episode(image, inside.astype(np.uint8), example, np.zeros((side, side), np.uint8))


PICTURES = 2000
"""Pictures that the steps of a class map's recipe are reckoned for: a published training set is about so large."""


def _map_step(config: SemanticConfig, probe: int) -> tuple[nn.Module, int, dict[str, tuple[int, ...]], Step]:
    whole = Bicor(config.encoder, decoder_config(config), config.bands)
    trained: nn.Module = whole.decoder if config.frozen else whole
    trained.train()
    channels, side = whole.decoder.config.channels, config.crop
    sides = [side // 4, side // 8, side // 14, side // 14] if config.frozen else []
    shapes: dict[str, tuple[int, ...]] = {"image": (config.bands, side, side)}
    if config.frozen:
        shapes = {f"map {k}": (c, s, s) for k, (c, s) in enumerate(zip(channels, sides, strict=True))}

    def step(number: int) -> torch.Tensor:
        rng = torch.Generator().manual_seed(config.seed + number)
        given: Any = [torch.randn(probe, *shape, generator=rng) for shape in shapes.values()]
        labels = torch.randint(0, len(config.classes), (probe, side, side), generator=rng)
        output = trained(given if config.frozen else given[0].sigmoid())
        return total_loss(output, labels, whole.decoder.config, config.heat, config.fisher)

    return trained, max(1, round(config.epochs * PICTURES / config.batch)), shapes, step
