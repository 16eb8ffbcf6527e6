"""The verb `segment`: clicks on an image become polygons."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from terraclick.commands.options import (
    TARGET,
    WEIGHTS_HELP,
    json_option,
    reading_options,
    stretch_of,
    variant_of,
    variant_options,
    verb,
)
from terraclick.commands.output import progress_of, tell, tell_json, warn
from terraclick.commands.parameters import BANDS, BOUNDS, BOX, EXISTING, NAME, NEW, XY

__all__ = ["segment"]

Command = TypeVar("Command", bound=Callable[..., Any])


def _example_option(flag: str, name: str, text: str) -> Callable[[Command], Command]:
    """An option that names a picture and its mask, any number of times."""
    pair = (EXISTING, EXISTING)
    return click.option(flag, name, type=pair, multiple=True, metavar="IMAGE MASK", help=text)


@verb("segment", short_help="Turn clicks into polygons.")
@click.argument("image")
@click.option("--click", "clicks", type=XY, multiple=True, metavar="X,Y", help="A place on the thing; repeat for more.")
@click.option("--exclude", "excludes", type=XY, multiple=True, metavar="X,Y", help="A place that is not part of it.")
@click.option(
    "--box",
    "boxes",
    type=BOX,
    multiple=True,
    metavar="X1,Y1,X2,Y2",
    help="A box around the thing, alone or with clicks; repeat for more things.",
)
@click.option("--points", type=EXISTING, help="Many objects at once: CSV (x, y, object, positive, class) or GeoJSON.")
@click.option("--target", type=TARGET, default="object", show_default=True, help="This one thing, or all of its kind.")
@click.option("--out", "-o", type=NEW, default="-", show_default=True, help="File to write; - is GeoJSON on stdout.")
@click.option("--format", "format_name", help="Format of --out, where its ending does not say (see docs/formats.md).")
@click.option("--crs", "crs_text", metavar="EPSG:N", help="Coordinate system of the output (default: the image's).")
@click.option("--pixels", is_flag=True, help="Clicks, bounds and output in pixels from the top-left corner.")
@click.option(
    "--bounds", type=BOUNDS, metavar="L,B,R,T", help="The part of the image to read (default: around the clicks)."
)
@click.option("--gsd", type=float, metavar="M", help="Metres per pixel to read at (default: the image's own).")
@click.option("--bands", type=BANDS, metavar="R,G,B", help="Bands to see as red, green, blue; or one band.")
@click.option("--stretch", default="auto", show_default=True, help="auto, percent, none or MIN,MAX.")
@click.option(
    "--simplify",
    "simplify_m",
    type=float,
    metavar="M",
    help="Drop vertices within M metres; 0 keeps the edge of every pixel (default: as few vertices as needed).",
)
@click.option("--square", is_flag=True, help="Right angles, as buildings have.")
@click.option("--model", default="terra", show_default=True, help="One of `terraclick models`.")
@variant_options
@click.option("--device", metavar="NAME", help="Where a paper's network runs: cpu (default) or cuda.")
@click.option("--weights", type=EXISTING, metavar="PATH", help=WEIGHTS_HELP)
@click.option("--class", "class_name", type=NAME, default="", metavar="NAME", help="Class written with the objects.")
@_example_option(
    "--reference", "likes", "An example of the thing: a picture and its mask or polygons; repeat for more."
)
@_example_option("--not-like", "unlikes", "An example of what it is not.")
@click.option(
    "--references",
    "session_references",
    type=EXISTING,
    metavar="FILE.gpkg",
    help="The examples saved in a session, of --class if given.",
)
@click.option("--preview", type=NEW, help="Also draw image, outlines and clicks to this PNG.")
@click.option("--overwrite", is_flag=True, help="Replace an existing output file.")
@click.option("--append", is_flag=True, help="Add to an existing .gpkg session.")
@reading_options
@json_option
def segment(out: Path, as_json: bool, **words: Any) -> None:
    """Turn clicks on IMAGE into polygons (IMAGE: a GeoTIFF, JPEG, PNG, or the word sample)."""
    from terraclick.segment.job import SegmentJob, run

    words["model"] = variant_of(words["model"], words)
    words["stretch"] = stretch_of(words["stretch"])
    patches = progress_of("patches of the view read")
    done = run(SegmentJob(out=str(out), **words), warn, progress_of("objects"), patches)
    if done.text:
        tell_json(done.text)
    elif as_json:
        tell_json(json.dumps(done.summary, indent=2))
    else:
        tell(done.sentence, err=True)
