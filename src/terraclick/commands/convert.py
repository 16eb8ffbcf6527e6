"""The verb `convert`: a published checkpoint becomes safetensors."""

from __future__ import annotations

from pathlib import Path

import click

from terraclick.commands.options import (
    verb,
)
from terraclick.commands.output import import_room, tell, warn
from terraclick.commands.parameters import EXISTING, NEW

__all__ = ["convert"]


@verb("convert", short_help="Rewrite a published checkpoint as safetensors.")
@click.argument("checkpoint", type=EXISTING)
@click.argument("out", type=NEW)
@click.option("--as", "name", required=True, metavar="NAME", help="The paper network it was trained as.")
@click.option("--config", "config_file", type=EXISTING, help="Sizes as JSON, for networks of other sizes.")
@click.option("--initial", is_flag=True, help="CHECKPOINT is a plain ViT (MAE, DINOv2, timm) to start training from.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what --initial leaves to chance.")
@click.option("--overwrite", is_flag=True, help="Replace existing output files.")
def convert(
    checkpoint: Path, out: Path, name: str, config_file: Path | None, initial: bool, seed: int, overwrite: bool
) -> None:
    """Rewrite a published .pth as .safetensors and .json; nothing inside it is run, every array must fit."""
    from terraclick.files import check_output

    room = import_room("terraclick.networks.checkpoint", "torch")
    out = room.weights_name(out)
    check_output(out, overwrite)
    config = None if config_file is None else room.read_config(config_file, name)

    def note(stubs: dict[str, int]) -> None:
        if stubs:
            warn(f"{checkpoint.name} holds more than weights. {room.left_out(stubs)}")

    if initial:
        network = import_room("terraclick.networks.initial", "torch").initialise(name, checkpoint, seed, config, note)
        tell(room.save_network(network, room.family_of(name), config or room.preset_of(name), out))
    else:
        tell(room.convert(checkpoint, out, name, config, note))
