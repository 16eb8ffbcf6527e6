"""The verb `export`: a network becomes files that click without torch."""

from __future__ import annotations

from pathlib import Path

import click

from terraclick.commands.options import (
    verb,
)
from terraclick.commands.output import import_room, tell
from terraclick.commands.parameters import EXISTING, NEW, Numbers
from terraclick.errors import BadWeights, require_extra

__all__ = ["export"]


@verb("export", short_help="Make a network click without torch.")
@click.argument("what", metavar="NAME|CHECKPOINT")
@click.option("--out", "-o", type=NEW, required=True, help="Folder for the files; segment --weights takes it.")
@click.option("--weights", type=EXISTING, metavar="PATH", help="Weights of the network NAME.")
@click.option("--size", type=Numbers(2, "rows,cols", int), metavar="ROWS,COLS", help="Pixels it shall read.")
def export(what: str, out: Path, weights: Path | None, size: tuple[int, int] | None) -> None:
    """Turn a network into a folder of files that click without torch (making them needs the extra torch, or sam).

    NAME is one of the papers' networks (see: terraclick models), whose --weights are given; CHECKPOINT the click_net.pt
    of a training run, or the map_net.pt of a class map for `terraclick map`.
    """
    from terraclick.files import check_output, copy_file
    from terraclick.networks.families import FAMILIES, declared, family_of, has, part
    from terraclick.predictors.spec import WEIGHTS

    if declared(what):
        family = family_of(what)
        if weights is None:
            raise BadWeights(f"{what} needs weights: give --weights PATH, {FAMILIES[family].weights}.")
        check_output(out.parent / "new", overwrite=True)
        if not has(family, "onnx"):  # a network that answers no clicks but names every pixel
            tell(import_room("terraclick.train.export_map", "torch").export_published(what, weights, out))
            return
        with require_extra(FAMILIES[family].extra):
            tell(part(family, "onnx").EXPORT.export(what, out, weights, size))
        return
    checkpoint = Path(what)
    if not checkpoint.is_file():
        raise BadWeights(f"{what} is no checkpoint and no network: give the click_net.pt of a run, or a model's name.")
    room = import_room("terraclick.train.export", "torch")
    check_output(out.parent / "new", overwrite=True)
    if room.read_checkpoint(checkpoint).get("arch") == "bicor-map":
        tell(import_room("terraclick.train.export_map", "torch").export_map(checkpoint, out))
        return
    out.mkdir(exist_ok=True)
    room.export_click_net(checkpoint, out / "terra_click_net.onnx")
    copy_file(WEIGHTS / "terra_encoder.onnx", out / "terra_encoder.onnx")
    tell(out)
