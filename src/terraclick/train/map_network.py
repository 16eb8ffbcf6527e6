"""The network that a recipe of class maps asks for, before it is trained and afterwards."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from terraclick.blocks.convnext import RENAMES, UNUSED
from terraclick.errors import BadWeights
from terraclick.networks.bicor.network import ENCODERS, Bicor, BicorConfig
from terraclick.networks.checkpoint import read_published, rename, reshaped
from terraclick.networks.initial import with_more_bands
from terraclick.train.export import read_checkpoint
from terraclick.train.loop import initial_backbone
from terraclick.train.semantic_recipes import SemanticConfig, Views

__all__ = ["ARCH", "build_network", "decoder_config", "restored", "settings"]

ARCH = "bicor-map"
"""What a file of a trained class map says it is."""


def decoder_config(config: SemanticConfig) -> BicorConfig:
    """The network's sizes that a recipe asks for."""
    return BicorConfig(
        len(config.classes),
        ENCODERS[config.encoder],
        config.embed,
        config.layers,
        config.top_k,
        decoder=config.decoder,
        setting=config.setting,
    )


def build_network(config: SemanticConfig) -> Bicor:
    """The network before the first step. Raises BadWeights for weights that do not fit, MissingExtra."""
    torch.manual_seed(config.seed)
    network = Bicor(config.encoder, decoder_config(config), config.bands)
    encoder: Any = network.encoder
    if config.encoder.startswith("convnext"):
        if config.weights is not None:
            state = rename(read_published(config.weights), RENAMES, UNUSED)
            state = with_more_bands(reshaped(state, encoder.net.state_dict()), encoder.net.state_dict())
            try:
                encoder.net.load_state_dict(state)
            except RuntimeError as error:
                reason = str(error).splitlines()[-1].strip()
                raise BadWeights(f"{config.weights} does not fit {config.encoder}: {reason}") from None
        return network
    published = initial_backbone()
    if config.encoder == "efficientnet-lite0":
        encoder.net.load_state_dict(published)
    else:
        kept = {k: v for k, v in published.items() if k.split(".")[0] == "stem" or k.startswith(STAGES_OF_DETAIL)}
        encoder.detail.load_state_dict(kept)
    return network


STAGES_OF_DETAIL = ("stages.0.", "stages.1.", "stages.2.")


def settings(config: SemanticConfig) -> dict[str, Any]:
    """A recipe as plain values, without its table."""
    return {name: value for name, value in asdict(config).items() if name != "sources"}


def restored(checkpoint: Path) -> tuple[SemanticConfig, Bicor, dict[str, Any]]:
    """Recipe, network and content of a `map_net.pt`. Raises BadWeights for anything else."""
    content = read_checkpoint(checkpoint)
    if content.get("arch") != ARCH:
        raise BadWeights(f"{checkpoint} holds {content.get('arch')!r}, not a class map.")
    recipe = {name: _tuples(value) for name, value in content["recipe"].items() if name != "views"}
    recipe["views"] = tuple(Views(**view) for view in content["recipe"].get("views", ()))
    config = SemanticConfig(**recipe)
    network = Bicor(config.encoder, decoder_config(config), config.bands)
    try:
        network.load_state_dict(content["weights"])
    except RuntimeError as error:
        raise BadWeights(f"{checkpoint} does not fit: {str(error).splitlines()[-1].strip()}") from None
    return config, network.eval(), content


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
