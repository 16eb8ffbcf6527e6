"""The verb `map`: every pixel of a scene gets a class."""

from __future__ import annotations

from typing import Any

import click

from terraclick.commands.options import (
    json_option,
    reading_options,
    stretch_of,
    verb,
)
from terraclick.commands.output import print_answer, progress_of, warn
from terraclick.commands.parameters import BANDS, BOUNDS, NEW
from terraclick.errors import BadConfig

__all__ = ["map_scene"]


@verb("map", short_help="Name every pixel of a scene.")
@click.argument("scene")
@click.option(
    "--model",
    default="land-cover",
    show_default=True,
    metavar="NAME|PATH",
    help="A map model of `terraclick models`, or the folder of your own.",
)
@click.option("--out", "-o", type=NEW, required=True, help="GeoTIFF of class numbers to write.")
@click.option("--confidence", type=NEW, metavar="FILE.tif", help="Also write how sure each pixel is, percent.")
@click.option("--heatmaps", type=NEW, metavar="FILE.tif", help="Also write a heatmap per class, percent.")
@click.option("--polygons", type=NEW, metavar="FILE", help="Also write polygons with shared borders; see formats.")
@click.option("--explain", "explained", type=NEW, metavar="FOLDER", help="Also draw the heatmaps over the scene.")
@click.option("--min-area", type=click.IntRange(min=1), default=64, show_default=True, help="Smallest polygon, pixels.")
@click.option(
    "--simplify", "simplify_m", type=float, default=0.0, metavar="M", help="Simplify borders within M metres."
)
@click.option(
    "--executor", default="local", show_default=True, metavar="KIND", help="local, processes, dask or dask://HOST:PORT."
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes here (default: one per core).")
@click.option("--resume", is_flag=True, help="Go on with an interrupted run of the same map.")
@click.option("--overwrite", is_flag=True, help="Replace existing output files.")
@click.option("--bounds", type=BOUNDS, metavar="L,B,R,T", help="The part of the scene to map (default: all).")
@click.option("--gsd", type=float, metavar="M", help="Metres per pixel to map at (default: the scene's own).")
@click.option("--bands", type=BANDS, metavar="R,G,B", help="Bands to see as red, green, blue; or one band.")
@click.option("--stretch", default="auto", show_default=True, help="auto, percent, none or MIN,MAX.")
@click.option("--overlap", type=float, default=0.25, show_default=True, help="Share of a tile its neighbour sees too.")
@click.option("--every-layer", is_flag=True, help="Heatmaps of every layer of the model instead of its last.")
@click.option(
    "--tta",
    "augmentation",
    default="none",
    show_default=True,
    metavar="none|lr|d4",
    help="Look at each tile mirrored both ways (lr: 4 looks), or turned and mirrored too (d4: 8).",
)
@reading_options
@json_option
def map_scene(scene: str, model: str, as_json: bool, stretch: str, reading: Any, **words: Any) -> None:
    """Name every pixel of SCENE: a class map, and on request polygons, confidence and heatmaps."""
    from terraclick.classmap.job import run_map
    from terraclick.classmap.tiles import MapJob

    chosen = {name: words.pop(name) for name in ("bounds", "gsd", "bands", "overlap", "every_layer", "augmentation")}
    if chosen["every_layer"] and not (words["heatmaps"] or words["explained"]):
        raise BadConfig("--every-layer is about heatmaps: give --heatmaps or --explain too.")
    job = MapJob(scene, model, stretch=stretch_of(stretch), reading=reading, **chosen)
    mapped = run_map(job, progress=progress_of("tiles"), warn=warn, **words)
    answer = {"files": mapped.files, "pixels": mapped.pixels, "tiles": mapped.tiles, "polygons": mapped.polygons}
    print_answer(answer, as_json, [mapped.sentence])
