"""Training the papers' networks by their recipes; the loop is `trainer.py`, the loss `episode_loss.py`.

Every episode depends on the seed, its step and its number alone: neither the number of processes, nor that of workers,
nor that of the parts of a batch changes what is learnt, but for dropout and batch norms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from terraclick.blocks.layers import ClickViTConfig
from terraclick.blocks.tuning import count_parameters, merge_lora, tune
from terraclick.data.datasets import Dataset, open_datasets
from terraclick.errors import BadConfig, BadWeights
from terraclick.networks.checkpoint import build, read_published, rename, save_network, weights_of
from terraclick.networks.families import FAMILIES, able_to, has, part
from terraclick.networks.initial import with_more_bands
from terraclick.networks.recipe import NetworkRecipe
from terraclick.train.episode_loss import training_loss
from terraclick.train.episodes import Episode, Labels, draw_episode, reader
from terraclick.train.folder import claim
from terraclick.train.pictures import Shown, sheet
from terraclick.train.samples import made_ahead
from terraclick.train.schedule import cosine, milestones
from terraclick.train.sharing import Shared, shared
from terraclick.train.trainer import Backward, Habits, Plan, RunOptions, Work, run
from terraclick.train.validation import Validation
from terraclick.values import Target

__all__ = ["NETWORK_RECIPES", "Drawn", "bands_of", "rate_share", "start_from", "train_network", "untrained"]

BEFORE_THE_HEAD = ("backbone.", "embed_clicks.", "prompt.", "feature_extractor.")
"""Parts of names of weights that learn at `backbone_rate`; a prompt that learns faster soon drowns the tokens."""

HRNET_HEADS = (".aux_head.", ".conv3x3_ocr.", ".ocr_gather_head.", ".ocr_distri_head.", ".cls_head.")
"""Parts of names within RITM's feature extractor that are its head."""


def train_network(
    recipe: NetworkRecipe,
    data: Path,
    out: Path,
    start: Path | None = None,
    options: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> Path:
    """Train on every dataset below `data`; writes OUT/network.safetensors, .json and log.jsonl, returns the first.

    `start` is a checkpoint of the network it builds on (see `start_from`). With `options.validation` best.safetensors
    keeps the weights that needed the fewest clicks. Under torchrun each process takes its share of every batch; the
    first writes. Raises BadConfig, BadData, BadWeights.
    """
    with shared(recipe.batch, options.habits.device) as among:
        if among.writes:
            claim(out, "recipe.json", _settings(recipe), options.resume, _settings(NetworkRecipe("", "", None)))
        among.wait()
        work = _NetworkWork(recipe, data, start, among, options.validation, options.habits)
        everything, few = count_parameters(work.module)
        if among.writes:
            options.progress("network", 0, recipe.steps, {"parameters": float(everything), "trained": float(few)})
        return run(work, out, among, "network", options)


def bands_of(config: Any) -> int:
    """How many bands a network reads, by its config: three but for a ViT that says otherwise."""
    if isinstance(config, ClickViTConfig):
        return config.bands
    parts = [getattr(config, one.name) for one in fields(config)] if is_dataclass(config) else []
    return max((bands_of(part) for part in parts), default=3)


def _settings(recipe: NetworkRecipe) -> dict[str, Any]:
    """A recipe as plain values, without its table."""
    return {name: value for name, value in asdict(recipe).items() if name != "sources"}


def untrained(recipe: NetworkRecipe) -> tuple[nn.Module, Any]:
    """The network that a recipe trains, as it is before, and its config."""
    if has(recipe.family, "tuning"):
        return part(recipe.family, "tuning").TUNED(recipe.config), recipe.config
    network, _, config = build(recipe.family, recipe.config)
    return network, config


@dataclass(frozen=True)
class Drawn:
    """Draws an episode by its step and number, in this process or in a worker, with the generator of its clicks."""

    datasets: tuple[Dataset, ...]
    recipe: NetworkRecipe
    cache_mb: int

    def __call__(self, key: tuple[int, int]) -> tuple[Episode, np.random.Generator]:
        """key: (step, number in the batch)."""
        rng = np.random.default_rng([self.recipe.seed, 3, *key])
        return draw_episode(self.datasets, self._read, self.recipe.episodes, rng, self.recipe.shares), rng

    @cached_property
    def _read(self) -> Callable[[int, int], Labels]:
        return reader(self.datasets, self.cache_mb, bands_of(self.recipe.config))

    def __reduce__(self) -> tuple[Any, ...]:
        return Drawn, (self.datasets, self.recipe, self.cache_mb)


class _NetworkWork(Work):
    """A paper's network and its optimiser."""

    def __init__(
        self,
        recipe: NetworkRecipe,
        data: Path,
        start: Path | None,
        among: Shared,
        validation: Validation | None,
        habits: Habits,
    ) -> None:
        self.recipe, self.among, self.validation, self.habits = recipe, among, validation, habits
        self.plan = Plan(recipe.steps, recipe.batch, recipe.precision, recipe.clip, recipe.average)
        torch.manual_seed(recipe.seed)
        network: Any
        network, self.config = untrained(recipe)
        if start is not None and hasattr(network, "start"):
            network.start(start)
        elif start is not None:
            start_from(network, recipe.family, self.config, start)
        self.module = tune(network, recipe.tuning, recipe.rank).to(among.device).train()
        self.optimizer, self.shares = _optimizer(self.module, recipe)
        cache = habits.cache_mb // max(habits.workers, 1)
        self.draw = Drawn(tuple(open_datasets(data)), recipe, cache)
        self._coming: Any = None
        self._seen: list[Shown] = []

    def rates(self, step: int) -> Sequence[float]:
        """Of the head, and of what was there before it."""
        return [share * self.recipe.rate * rate_share(self.recipe, step) for share in self.shares]

    def _episodes(self, step: int) -> list[tuple[Episode, np.random.Generator]]:
        """This process's episodes of a step, drawn ahead where there are workers."""
        mine = self.among.mine(self.recipe.batch)
        if self._coming is None:
            keys = ([(later, number) for number in mine] for later in range(step, self.recipe.steps))
            self._coming = made_ahead(self.draw, keys, self.habits.workers)
        return next(self._coming)

    def compute(self, step: int, backward: Backward) -> dict[str, float]:
        """The share of the batch's mean loss, in as many parts as the recipe says."""
        recipe, drawn, total = self.recipe, self._episodes(step), 0.0
        size = -(-len(drawn) // recipe.accumulate)
        every = self.habits.pictures_every
        self._seen = []
        for chunk in [drawn[k : k + size] for k in range(0, len(drawn), size)]:
            common = np.random.default_rng([recipe.seed, 4, step])
            torch.manual_seed(int(common.integers(2**31)))
            episodes, rngs = [episode for episode, _ in chunk], [rng for _, rng in chunk]
            watch = self._seen if every and (step + 1) % every == 0 and len(self._seen) < 4 else None
            with _enough_samples(recipe, len(chunk)):
                loss = training_loss(self.module, episodes, recipe, common, self.among.device, rngs, watch)
            loss = loss * (len(chunk) / recipe.batch)
            backward(loss)
            total += float(loss.detach())
        return {"loss": total}

    def keep(self, stem: Path, weights: Mapping[str, Tensor], step: int) -> Path:
        """The network as `load` reads it; what LoRA learnt is added to the weights that it stands beside."""
        network: Any = deepcopy(self.module)
        network.load_state_dict(weights)
        if hasattr(network, "keep"):
            kept: Path = network.cpu().keep(stem)
            return kept
        return save_network(merge_lora(network.cpu()), self.recipe.family, self.config, stem)

    def measure(self, weights: Path) -> dict[str, float]:
        """Clicks on held-out objects, or on classes where the recipe asks for classes."""
        assert self.validation is not None
        target = Target.CLASS if self.recipe.episodes.asked in ("class", "combination") else Target.OBJECT
        family = FAMILIES[self.recipe.family]
        name = getattr(self.config, "size", None) or next(n.name for n in family.networks if n.clicks)
        options = {"weights": weights, "device": self.among.device}
        return self.validation.clicks(name, options, target)

    def picture(self) -> NDArray[np.uint8] | None:
        """The last batch's first samples with their clicks and answers."""
        return sheet(self._seen[:4]) if self._seen else None

    def close(self) -> None:
        """Workers may go."""
        if self._coming is not None:
            self._coming.close()


@contextmanager
def _enough_samples(recipe: NetworkRecipe, samples: int) -> Iterator[None]:
    """BadConfig where a batch norm over one number for each channel cannot learn from so few samples."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("Expected more than 1 value per channel"):
            raise
        raise BadConfig(
            f"{recipe.name} normalises over the samples computed at once, and {samples} is too few: "
            "give a larger batch, or a smaller accumulate."
        ) from error


def _optimizer(network: nn.Module, recipe: NetworkRecipe) -> tuple[torch.optim.Optimizer, tuple[float, ...]]:
    """Adam over what is trained, and the share of the learning rate of each of its groups."""
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    slow = {
        id(weight)
        for name, weight in network.named_parameters()
        if any(part in name for part in BEFORE_THE_HEAD) and not any(part in name for part in HRNET_HEADS)
    }
    groups = [[w for w in trained if (id(w) in slow) == within] for within in (False, True)]
    shares: tuple[float, ...] = (1.0, recipe.backbone_rate)
    if recipe.backbone_rate == 1:
        groups, shares = [trained], (1.0,)
    return torch.optim.Adam([{"params": group} for group in groups], lr=recipe.rate, betas=(0.9, 0.999)), shares


def rate_share(recipe: NetworkRecipe, step: int) -> float:
    """Share of the learning rate at a step (from 0)."""
    if recipe.schedule == "cosine":
        return cosine(step, recipe.steps, recipe.last_rate, recipe.warm_up)
    return milestones(step, recipe.steps, recipe.milestones, recipe.warm_up)


def start_from(network: nn.Module, family: str, config: Any, path: Path) -> list[str]:
    """Give a network the weights of the one it builds on (or of its own kind); returns the names left untouched.

    `path` is a published `.pth` or a converted `.safetensors`. CrossCut, RefCut and MFP start from SimpleClick,
    RS-ISRefiner from MFP, whose heads they may replace; the ViT must fit whole, but may read more bands: what a further
    one starts with is the mean of the three. Raises BadWeights where it does not fit.
    """
    state = read_published(path)
    spec = FAMILIES[family]
    base, prefix = spec.builds_on or family, spec.builds_on_at
    if path.suffix != ".safetensors":
        published = weights_of(base)
        state = rename(state, published.renames, (*published.unused, r"head\.up_conv"))
    own = network.state_dict()
    given = with_more_bands({prefix + name: value for name, value in state.items()}, own)
    state = with_more_bands(state, own)
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if not fitting:  # a checkpoint of the network's own kind
        fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    left = sorted(set(own) - set(fitting))
    lacking = [name for name in left if "backbone." in name]
    if lacking:
        raise BadWeights(
            f"{path.name} lacks {len(lacking)} arrays of the ViT ({lacking[0]}, …): start {family} from {base} weights "
            "of the same size."
        )
    network.load_state_dict({**own, **fitting})
    return left


NETWORK_RECIPES: dict[str, Callable[[], NetworkRecipe]] = {
    name: recipe for family in able_to("recipe") for name, recipe in part(family, "recipe").RECIPES.items()
}
"""Recipes of the papers' networks by name; `terraclick train NAME --data … --out …` knows them."""
