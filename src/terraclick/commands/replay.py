"""The verb `replay`: the clicks of a session are answered again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from terraclick.commands.options import (
    WEIGHTS_HELP,
    json_option,
    reading_options,
    verb,
)
from terraclick.commands.output import print_answer, progress_of, warn
from terraclick.commands.parameters import EXISTING

__all__ = ["replay"]


@verb("replay", short_help="Answer the clicks of a session again.")
@click.argument("session", type=EXISTING)
@click.option("--model", default="terra", show_default=True, help="One of `terraclick models`.")
@click.option("--weights", type=EXISTING, metavar="PATH", help=WEIGHTS_HELP)
@click.option("--images", type=EXISTING, metavar="FOLDER", help="Where the images lie now, if they were moved.")
@reading_options
@json_option
def replay(session: Path, model: str, weights: Path | None, images: Path | None, reading: Any, as_json: bool) -> None:
    """Answer the clicks stored in SESSION (a .gpkg) again: NoC, IoU with what was accepted, seconds per object."""
    from terraclick.catalogue import load
    from terraclick.evaluate.replay import replay as answer_again
    from terraclick.store.geopackage import GeoPackageStore

    predictor = load(model) if weights is None else load(model, weights=weights)
    with GeoPackageStore.open(session) as store:
        found = answer_again(store, predictor, model, images, progress_of("objects"), reading, warn)
    print_answer(found.to_json(), as_json, found.lines())
