"""The command line: every verb parses its words, makes one call, prints the answer.

Errors are one sentence on stderr: exit code 2 for something the user gave, 1 for anything else, 130 when stopped.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from terraclick import __version__
from terraclick.commands.parameters import BANDS, BOUNDS, EXISTING, LEVELS, NAME, NEW, XY, Numbers
from terraclick.commands.prepare import prepare
from terraclick.commands.results import results
from terraclick.console import printable, printable_json, speak_utf8
from terraclick.errors import (
    BadConfig,
    BadWeights,
    TerraClickError,
    UnknownName,
    require_extra,
)
from terraclick.offline import keep_no_traces, stay_offline

__all__ = ["cli", "main"]


def main(args: Sequence[str] | None = None) -> None:
    """The entry point: run the command line and exit; every failure is one sentence on stderr."""
    speak_utf8()
    stay_offline()
    keep_no_traces()
    logging.getLogger("rasterio").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    words = list(sys.argv[1:] if args is None else args)
    try:
        code = cli.main(words, prog_name="terraclick", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        code = _say("stopped; what was saved before is kept.", 130)
    except click.ClickException as error:
        code = _say(_with_help(error), error.exit_code)
    except BrokenPipeError:
        with suppress(OSError):
            sys.stdout.close()
        code = 0
    except Exception as error:
        if "--traceback" in words:
            raise
        code = _explain(error)
    sys.exit(code if isinstance(code, int) else 0)


def _with_help(error: click.ClickException) -> str:
    """What click says; where a word is missing or unknown, also where the words are listed."""
    said = error.format_message()
    valued = isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter)
    if valued or said.endswith("?") or not isinstance(error, click.UsageError) or error.ctx is None:
        return said
    return f"{said.rstrip('.')} (see: {error.ctx.command_path} --help)."


def _explain(error: Exception) -> int:
    if isinstance(error, TerraClickError):
        return _say(str(error), error.exit_code)
    from terraclick.files import FULL

    if isinstance(error, OSError) and error.errno in FULL:
        with suppress(OSError):  # what is left in its buffer finds no room either
            sys.stdout.close()
        return _say(f"the answer cannot be written: {error.strerror}; free some space, or send it elsewhere.", 2)
    if isinstance(error, MemoryError):
        return _say("not enough memory for this view: give smaller --bounds or a coarser --gsd.", 1)
    return _say(
        f"something went wrong inside TerraClick ({type(error).__name__}: {error}); "
        "run terraclick --traceback … and report what it prints.",
        1,
    )


def _say(sentence: str, code: int) -> int:
    _tell("Error: " + " ".join(sentence.split()), err=True)
    return code


def _tell(text: Any, err: bool = False) -> None:
    """Print lines of text; what they hold of files and classes cannot command the terminal."""
    click.echo("\n".join(printable(line) for line in str(text).split("\n")), err=err)


def _tell_json(text: str) -> None:
    click.echo(printable_json(text))


def _warn(line: str) -> None:
    _tell(printable(line), err=True)


def _print(answer: Any, as_json: bool, lines: Sequence[str]) -> None:
    if as_json:
        _tell_json(json.dumps(answer, indent=2, default=str))
    else:
        _tell("\n".join(map(printable, lines)))


TARGET = click.Choice(["object", "class"])
SHOWN = ["none", "both", "positive", "negative", "swapped"]
IMAGES = ("image", "images", "scene")
"""Parameters that name images."""
WEIGHTS_HELP = "Folder of an exported model of your own, or a paper network's checkpoint."
VARIANT = (
    click.option("--divisions", metavar="N,…", help="CrossCut's divisions: 2, 3, 4, or several to be fused (MDF)."),
    click.option(
        "--cfr", metavar="N|adaptive", help="Answer each click N times more, each reading the answer before (CFR)."
    ),
    click.option("--cfr-clicks", metavar="N", help="Refine so for the first N clicks alone (default: all)."),
)


def variant_options(command: Any) -> Any:
    """The options that change how a model answers: they become part of its name, so that a session keeps them."""
    for option in reversed(VARIANT):
        command = option(command)
    return command


def _variant(model: str, words: dict[str, Any]) -> str:
    """The model's name with the settings among `words`, which are taken out."""
    from terraclick.predictors.variants import composed

    keys = ("divisions", "cfr", "cfr-clicks", "device")
    return composed(model, {key: words.pop(key.replace("-", "_"), None) for key in keys})


READING = (
    click.option(
        "--nodata", metavar="V|none|file", help="The value that stands for no data (default: file, as it says)."
    ),
    click.option("--page", type=int, default=1, show_default=True, help="Which picture of a TIFF that holds several."),
    click.option("--alpha/--no-alpha", default=True, help="Whether an alpha band hides pixels (default: it does)."),
    click.option(
        "--image-crs", metavar="EPSG:N|file", help="The image's own coordinate system, where nothing says it."
    ),
)


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say how an image is to be read; the command gets them as one `reading`."""

    @wraps(command)
    def with_reading(**words: Any) -> None:
        from terraclick.geo.reading import Reading

        names = {"nodata": "nodata", "page": "page", "alpha": "alpha", "image_crs": "crs"}
        source = click.get_current_context().get_parameter_source
        said = frozenset(field for name, field in names.items() if source(name) is ParameterSource.COMMANDLINE)
        values = {field: words.pop(name) for name, field in names.items()}
        texts = {name: "" if values[name] in (None, "file") else values[name] for name in ("nodata", "crs")}
        command(reading=Reading(**{**values, **texts}, said=said), **words)

    for option in reversed(READING):
        with_reading = option(with_reading)
    return with_reading


json_option = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, for programs.")


class _Verb(click.Command):
    """A command that writes over nothing it reads, whatever --overwrite allows."""

    def invoke(self, ctx: click.Context) -> Any:
        new = [param.name or "" for param in self.params if param.type is NEW]
        outputs = [path for name in new for path in _paths(ctx.params.get(name))]
        if outputs:
            _check_apart(ctx, outputs)
        return super().invoke(ctx)


class _Verbs(click.Group):
    command_class = _Verb


def _paths(value: Any) -> list[Path]:
    """The paths in what an option got."""
    if isinstance(value, tuple):
        return [path for part in value for path in _paths(part)]
    return [Path(value)] if value and str(value) != "-" else []


def _check_apart(ctx: click.Context, outputs: Sequence[Path]) -> None:
    from terraclick.files import check_apart
    from terraclick.geo.sidecars import sidecar_files

    params = [param for param in ctx.command.params if param.type is not NEW]
    read = [param.name or "" for param in params if param.type is EXISTING or param.name in (*IMAGES, "session")]
    if ctx.params.get("append"):
        read = [name for name in read if name != "session_references"]  # they come from the session that is added to
    inputs = [path for name in read for path in _paths(ctx.params.get(name))]
    images = [path for name in IMAGES for path in _paths(ctx.params.get(name))]
    check_apart(outputs, [*inputs, *(file for path in images for file in sidecar_files(path))])


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="terraclick")
@click.option("--traceback", is_flag=True, help="Show Python's traceback when something goes wrong.")
def cli(traceback: bool) -> None:
    """Click on a thing in an aerial or satellite image, keep its georeferenced outline."""


@cli.command(short_help="Turn clicks into polygons.")
@click.argument("image")
@click.option("--click", "clicks", type=XY, multiple=True, metavar="X,Y", help="A place on the thing; repeat for more.")
@click.option("--exclude", "excludes", type=XY, multiple=True, metavar="X,Y", help="A place that is not part of it.")
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
@click.option(
    "--reference",
    "likes",
    type=(EXISTING, EXISTING),
    multiple=True,
    metavar="IMAGE MASK",
    help="An example of the thing: a picture and its mask (or polygons); repeat for more.",
)
@click.option(
    "--not-like",
    "unlikes",
    type=(EXISTING, EXISTING),
    multiple=True,
    metavar="IMAGE MASK",
    help="An example of what it is not.",
)
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
    from terraclick.segment import run

    words["model"] = _variant(words["model"], words)
    patches = _progress_of("patches of the view read")
    report = run(out=str(out), warn=_warn, progress=_progress_of("objects"), patches=patches, **words)
    if report.text:
        _tell_json(report.text)
    elif as_json:
        _tell_json(json.dumps(report.summary, indent=2))
    else:
        _tell(report.sentence, err=True)


def _so_many(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _progress_of(things: str) -> Callable[[int, int], None]:
    """A counter on stderr, only for runs of many and only where somebody watches."""
    watched = sys.stderr.isatty()

    def show(done: int, total: int) -> None:
        if watched and total > 1:
            click.echo(f"\r{done}/{total} {things}", nl=done == total, err=True)

    return show


@cli.command(short_help="Copy the packaged scene to a file.")
@click.option("--out", "-o", required=True, type=NEW, help="GeoTIFF to write.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def sample(out: Path, overwrite: bool) -> None:
    """Copy the packaged sample scene (a made-up town, 0.3 m) to a file."""
    from terraclick.segment import copy_sample

    copy_sample(out, overwrite)


@cli.command("map", short_help="Name every pixel of a scene.")
@click.argument("scene")
@click.option(
    "--model", required=True, metavar="NAME|PATH", help="A map model of `terraclick models`, or the folder of your own."
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
@reading_options
@json_option
def map_verb(scene: str, model: str, as_json: bool, stretch: str, reading: Any, **words: Any) -> None:
    """Name every pixel of SCENE: a class map, and on request polygons, confidence and heatmaps."""
    from terraclick.classmap.job import run_map
    from terraclick.classmap.tiles import MapJob
    from terraclick.segment import parse_stretch

    chosen = {name: words.pop(name) for name in ("bounds", "gsd", "bands", "overlap")}
    job = MapJob(scene, model, stretch=parse_stretch(stretch), reading=reading, **chosen)
    report = run_map(job, progress=_progress_of("tiles"), warn=_warn, **words)
    answer = {"files": report.files, "pixels": report.pixels, "tiles": report.tiles, "polygons": report.polygons}
    _print(answer, as_json, [report.sentence])


@cli.command(short_help="Count the clicks a robot needs.")
@click.option(
    "--predictor",
    "predictors",
    multiple=True,
    required=True,
    help="One of `terraclick models`, perhaps with settings (NAME+cfr=4); repeat to compare several.",
)
@click.option("--target", type=TARGET, required=True, help="Object tasks or class tasks.")
@click.option("--data", type=EXISTING, required=True, help="Folder of datasets (see docs/protocol.md), or one dataset.")
@click.option(
    "--preset", default="default", show_default=True, help="Settings of a paper's table, see docs/protocol.md."
)
@click.option("--iou", type=LEVELS, help="Percentages to count clicks for, such as 80,85,90.")
@click.option("--stop-at", metavar="PERCENT|never", help="IoU at which clicking stops (default: the preset's).")
@click.option("--max-clicks", type=click.IntRange(min=1), help="Most clicks of a task (default: the preset's, 20).")
@click.option("--miou-at", type=Numbers(None, "numbers of clicks such as 5,10,20", int), help="mIoU columns, 5,10,20.")
@click.option("--min-area", type=click.IntRange(min=1), help="Smallest object in pixels (default: the preset's).")
@click.option("--max-area", type=click.IntRange(min=1), help="Objects must be smaller than this, in pixels.")
@click.option(
    "--class-fill",
    type=Numbers(2, "two percentages such as 0.5,80"),
    metavar="LOW,HIGH",
    help="A class is a task where it fills this share of the picture, percent.",
)
@click.option("--size-groups", type=click.IntRange(min=2), help="Also show each class in so many groups by area.")
@click.option("--limit", type=click.IntRange(min=1), help="How many tasks per dataset, drawn with --seed.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw and the intervals.")
@click.option(
    "--chance-draws",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Click each task this many more times at random places of the error: a column with mean and spread.",
)
@click.option("--references", type=click.Choice(SHOWN), help="Examples from the next picture (default: the preset's).")
@click.option("--reference-interval", type=click.IntRange(1), help="Coarser masks of examples: every n-th point.")
@click.option("--reference-scale", type=click.FloatRange(0.05, 10), help="How much larger examples are shown.")
@variant_options
@click.option("--device", metavar="NAME", help="Where a paper's network runs: cpu (default) or cuda.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("--resume", type=NEW, help="Journal: tasks finished in it are not run again.")
@click.option("--weights", multiple=True, metavar="[NAME=]PATH", help=WEIGHTS_HELP + " NAME for one of several.")
@click.option("--cost", is_flag=True, help="Measure parameters and FLOPs of the papers' networks too (needs torch).")
@click.option("--json", "json_file", type=NEW, help="Write protocol, rows and averages here.")
@click.option("--markdown", type=NEW, help="Write the table here too.")
@click.option("--plot", "plot_file", type=NEW, help="Draw IoU over clicks here (needs the benchmark extra).")
@click.option("--figures", type=NEW, metavar="FOLDER", help="Draw curves and some tasks, all predictors, into it.")
def benchmark(predictors: tuple[str, ...], target: str, data: Path, **words: Any) -> None:
    """Count the clicks a robot needs with one predictor or several: NoC, NoF, mIoU, boundary IoU, seconds per click."""
    from terraclick.commands.benchmark import run

    run(predictors, target, data, words, _tell, _progress_of("tasks"))


@cli.command(short_help="Train a model by a recipe.")
@click.argument("recipe")
@click.option("--data", type=EXISTING, required=True, help="Folder of training datasets.")
@click.option("--out", "-o", type=NEW, required=True, help="Folder for checkpoints and the log.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
@click.option("--steps", type=click.IntRange(min=1), help="End this call at that step; --resume goes on from there.")
@click.option(
    "--start",
    type=EXISTING,
    help="A click_net.pt or exported .onnx of it, a paper network's checkpoint or ImageNet weights.",
)
@click.option("--device", default="cpu", show_default=True, help="Where a paper's network is trained: cpu, cuda.")
@click.option("--validation", type=EXISTING, help="Datasets that terra's recipes are measured on every 20,000 samples.")
def train(
    recipe: str,
    data: Path,
    out: Path,
    resume: bool,
    steps: int | None,
    start: Path | None,
    device: str,
    validation: Path | None,
) -> None:
    """Train a model by RECIPE (needs the torch extra)."""
    loop, networks = _torch_room("terraclick.train.loop"), _torch_room("terraclick.train.networks")
    from terraclick.predictors.spec import WEIGHTS
    from terraclick.train.config import RECIPES

    if validation is not None and recipe not in RECIPES:
        raise BadConfig(f"{recipe} is not measured while it trains: leave --validation out.")
    if recipe in networks.NETWORK_RECIPES:
        chosen = networks.NETWORK_RECIPES[recipe]()
        _tell(networks.train_network(chosen, data, out, start, resume, steps, _report_training, device))
        return
    maps = _torch_room("terraclick.train.semantic_recipes").SEMANTIC_RECIPES
    if recipe not in RECIPES and recipe not in maps:
        known = ", ".join((*RECIPES, *networks.NETWORK_RECIPES, *maps))
        raise UnknownName(f"no recipe {recipe!r}. Known: {known}.")
    if device != "cpu":
        raise BadConfig(f"{recipe} is trained on the CPU: leave --device out.")
    if recipe in maps:
        chosen = maps[recipe]() if start is None else replace(maps[recipe](), weights=str(start))
        room = _torch_room("terraclick.train.semantic")
        _tell(room.train(chosen, data, out, resume, steps, _report_training))
        return
    config = replace(RECIPES[recipe](), ranks=int(os.environ.get("WORLD_SIZE", "1")))
    if start is not None:
        config = replace(config, start=str(start))
    held_out = None if validation is None else _torch_room("terraclick.train.validation").Validation(validation)
    encoder = WEIGHTS / "terra_encoder.onnx"
    _tell(loop.train(config, data, out, encoder, resume, steps, _report_training, validation=held_out))


def _report_training(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
    said = " ".join(f"{name} {value:.4g}" for name, value in figures.items())
    _tell(f"{stage} {done}/{total} {said}".rstrip(), err=True)


@cli.command(short_help="Make a network click without torch.")
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
            _tell(_torch_room("terraclick.train.export_map").export_published(what, weights, out))
            return
        with require_extra(FAMILIES[family].extra):
            _tell(part(family, "onnx").EXPORT.export(what, out, weights, size))
        return
    checkpoint = Path(what)
    if not checkpoint.is_file():
        raise BadWeights(f"{what} is no checkpoint and no network: give the click_net.pt of a run, or a model's name.")
    room = _torch_room("terraclick.train.export")
    check_output(out.parent / "new", overwrite=True)
    if room.read_checkpoint(checkpoint).get("arch") == "bicor-map":
        _tell(_torch_room("terraclick.train.export_map").export_map(checkpoint, out))
        return
    out.mkdir(exist_ok=True)
    room.export_click_net(checkpoint, out / "terra_click_net.onnx")
    copy_file(WEIGHTS / "terra_encoder.onnx", out / "terra_encoder.onnx")
    _tell(out)


def _torch_room(name: str) -> Any:
    return _room(name, "torch")


def _room(name: str, extra: str) -> Any:
    """A room that needs an optional package. Raises MissingExtra naming the extra."""
    from importlib import import_module

    with require_extra(extra):
        return import_module(name)


@cli.command(short_help="Rewrite a published checkpoint as safetensors.")
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

    room = _torch_room("terraclick.networks.checkpoint")
    out = room.weights_name(out)
    check_output(out, overwrite)
    config = None if config_file is None else room.read_config(config_file, name)

    def tell(stubs: dict[str, int]) -> None:
        if stubs:
            _warn(f"{checkpoint.name} holds more than weights. {room.left_out(stubs)}")

    if initial:
        network = _torch_room("terraclick.networks.initial").initialise(name, checkpoint, seed, config, tell)
        _tell(room.save_network(network, room.family_of(name), config or room.preset_of(name), out))
    else:
        _tell(room.convert(checkpoint, out, name, config, tell))


@cli.command(short_help="Open a map in the browser.")
@click.argument("images", nargs=-1)
@click.option("--root", "roots", type=NEW, multiple=True, metavar="FOLDER", help="Programs may add images from there.")
@click.option(
    "--roots-file", type=NEW, metavar="FILE", help="More such folders, one a line; heeded whenever it changes."
)
@click.option(
    "--window-mb", type=click.FloatRange(1), default=1000, show_default=True, help="Most MB of sent pixels kept."
)
@click.option("--window-days", type=click.FloatRange(0), default=30, show_default=True, help="Unused ones go after.")
@click.option("--session", type=NEW, help="GeoPackage to go on with, made if it is not there.")
@click.option("--store", "store_address", metavar="URL", help="postgresql://… in place of a file, for teams.")
@click.option("--out", "-o", type=NEW, default=".", show_default=True, help="The only folder for exports.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others can reach 0.0.0.0.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (default: the first free from 8000).")
@click.option("--user", "users", multiple=True, metavar="NAME", help="Repeat it for several people: a token for each.")
@click.option("--model", default="terra", show_default=True, help="One of `terraclick models`.")
@variant_options
@click.option("--device", metavar="NAME", help="Where a paper's network runs: cpu (default) or cuda.")
@click.option("--weights", type=EXISTING, metavar="PATH", help=WEIGHTS_HELP)
@click.option(
    "--public-url",
    metavar="URL",
    help="The address behind a proxy, with its path: links, cookies and the printed address bear it.",
)
@click.option(
    "--tokens",
    "tokens_file",
    type=EXISTING,
    metavar="FILE",
    help="A name and a token a line, the same at every start; made and added to where names are missing.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@reading_options
def serve(images: tuple[str, ...], no_browser: bool, **words: Any) -> None:
    """Open a map in the browser to outline things on IMAGES (files, folders, or the word sample)."""
    room = _room("terraclick.app.main", "app")
    words["model"] = _variant(words["model"], words)
    server = room.prepare(images, warn=_warn, environ=os.environ, **words)
    for address in server.addresses.values():
        _tell(address)
    sys.stdout.flush()
    if not no_browser:
        import webbrowser

        webbrowser.open(next(iter(server.addresses.values())))
    room.run(server)


@cli.command("export-session", short_help="Write a session for other programs.")
@click.argument("session", metavar="SESSION")
@click.argument("out", type=NEW)
@click.option("--format", "formats", multiple=True, metavar="NAME", help="Repeat for more (default: all there are).")
@click.option("--images", type=EXISTING, multiple=True, metavar="PATH", help="Where the images lie now, if moved.")
@click.option("--class", "class_name", metavar="NAME", help="Only objects of this class.")
@click.option("--status", metavar="NAME", help="Only objects of this status, such as accepted.")
@click.option("--crs", "crs_text", metavar="EPSG:N", help="Coordinate system of the map formats.")
@click.option("--split", "split_text", metavar="TRAIN,VAL[,TEST]", help="Deal the images out in shares such as 80,20.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the deal.")
@click.option("--overwrite", is_flag=True, help="Replace what an earlier export wrote there.")
@reading_options
@json_option
def export_session_verb(
    session: str, out: Path, crs_text: str | None, split_text: str | None, as_json: bool, **words: Any
) -> None:
    """Write SESSION (a .gpkg, or a postgresql:// address) into the folder OUT, in every format, all images together.

    OUT may also be one file with the ending of a format, such as set.coco.json. Class numbers are the session's.
    """
    from terraclick.exchange.export_session import export_session, parse_split
    from terraclick.geo.crs_text import parse_crs
    from terraclick.store.geopackage import GeoPackageStore
    from terraclick.store.sql import SqlStore

    words["crs"] = None if crs_text is None else parse_crs(crs_text)
    words["split"] = None if split_text is None else parse_split(split_text)
    if session.startswith("postgres"):
        from terraclick.store.postgis import open_postgis

        path: Path | None = None
        store: SqlStore = open_postgis(session, make=False)
    else:
        path, store = Path(session), GeoPackageStore.open(session)
    with store:
        found = export_session(store, path, out, warn=_warn, **words)
    answer = {"out": str(out), "files": found.files, "objects": found.objects, "images": found.images}
    answer |= {"left_out": found.left_out, "cut_at_edges": found.cut}
    things = [_so_many(found.objects, "object"), _so_many(found.images, "image"), _so_many(len(found.files), "file")]
    lines = [f"{things[0]} of {things[1]} in {things[2]} in {out}"]
    if found.left_out:
        lines.append(f"left out: {', '.join(found.left_out)} (pip install 'terraclick[formats]')")
    if found.cut:
        lines.append(f"{found.cut} objects reach beyond their image: in pixel formats they are cut at its edge")
    _print(answer, as_json, lines)


@cli.command("import-session", short_help="Read labels of other programs into a session.")
@click.argument("files", nargs=-1, required=True, type=EXISTING)
@click.argument("session", type=NEW)
@click.option("--image", "images", type=EXISTING, multiple=True, metavar="PATH", help="A picture, or a folder of them.")
@click.option("--crs", "crs_text", metavar="EPSG:N", help="Coordinate system of the new session.")
@click.option("--append", is_flag=True, help="Add to an existing session.")
@click.option("--overwrite", is_flag=True, help="Replace an existing session.")
@json_option
def import_session_verb(
    files: tuple[Path, ...], session: Path, images: tuple[Path, ...], crs_text: str | None, as_json: bool, **words: Any
) -> None:
    """Read label FILES (or folders of them) into SESSION, a .gpkg: COCO, labelme, YOLO, GeoJSON, GeoParquet, CSV …

    Formats in pixels need their pictures (--image).
    """
    from terraclick.exchange.import_session import import_session
    from terraclick.geo.crs_text import parse_crs

    crs = None if crs_text is None else parse_crs(crs_text)
    found = import_session(files, session, images=images, crs=crs, warn=_warn, **words)
    answer = {"session": str(session), "objects": found.objects, "known": found.known}
    answer |= {"images": found.images, "classes": found.classes}
    lines = [f"{_so_many(found.objects, 'object')} of {_so_many(found.images, 'image')} in {session}"]
    if found.known:
        lines.append(f"{found.known} objects were there already (same uuid) and stay as they are")
    _print(answer, as_json, lines)


@cli.command(short_help="Answer the clicks of a session again.")
@click.argument("session", type=EXISTING)
@click.option("--model", default="terra", show_default=True, help="One of `terraclick models`.")
@click.option("--weights", type=EXISTING, metavar="PATH", help=WEIGHTS_HELP)
@click.option("--images", type=EXISTING, metavar="FOLDER", help="Where the images lie now, if they were moved.")
@reading_options
@json_option
def replay(session: Path, model: str, weights: Path | None, images: Path | None, reading: Any, as_json: bool) -> None:
    """Answer the clicks stored in SESSION (a .gpkg) again: NoC, IoU with what was accepted, seconds per object."""
    from terraclick.app import replay as room
    from terraclick.catalogue import load
    from terraclick.store.geopackage import GeoPackageStore

    predictor = load(model) if weights is None else load(model, weights=weights)
    with GeoPackageStore.open(session) as store:
        found = room.replay(store, predictor, model, images, _progress_of("objects"), reading, _warn)
    _print(found.to_json(), as_json, found.lines())


@cli.command(short_help="List the models.")
@click.argument("names", nargs=-1)
@click.option("--cost", is_flag=True, help="Measure the papers' networks (all, or NAMES) here: minutes. Needs torch.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="Threads to measure with.")
@variant_options
@json_option
def models(names: tuple[str, ...], cost: bool, threads: int, as_json: bool, **words: Any) -> None:
    """List the models, or NAMES of them: what they are, their licence, their size, and what they need.

    With --cost: parameters, trainable parameters, FLOPs, milliseconds and memory, with random weights.
    """
    from terraclick.doctor import models

    if cost:
        _print_costs(tuple(_variant(name, dict(words)) for name in names), threads, as_json)
        return
    if any(words.values()):
        raise BadConfig("--divisions and --cfr belong to what --cost measures: give it and the NAMES to measure.")
    listed = models()
    known = [m["name"] for m in listed]
    for name in names:
        if name not in known:
            raise UnknownName(f"no model {name!r}. Known: {', '.join(known)}.")
    found = [m for m in listed if m["name"] in names or not names]
    lines = [f"{m['name']:<20} {_says(m)} ({_weighs(m)}{m['licence']}){_lacks(m)}" for m in found]
    _print(found, as_json, lines)


def _weighs(model: dict[str, Any]) -> str:
    return f"{model['mb']} MB, " if model["mb"] else ""


def _says(model: dict[str, Any]) -> str:
    return f"{model['summary']}, for terraclick map" if model["kind"] == "map" else str(model["summary"])


def _print_costs(names: tuple[str, ...], threads: int, as_json: bool) -> None:
    from dataclasses import asdict

    from terraclick.cost import cost_lines, costs

    found = []
    for one in costs(names, threads):
        _tell(f"{one.name}: {one.ms_view:.0f} ms a view, {one.ms_click:.0f} ms a click", err=True)
        found.append(one)
    _print([asdict(one) for one in found], as_json, cost_lines(found, threads))


def _lacks(model: dict[str, Any]) -> str:
    if model["needs"] is not None:
        return f" - needs {model['needs']}"
    return "" if model["available"] else " - not available: its files are missing"


@cli.command(short_help="Say what is installed and how fast it is.")
@click.option("--speed", is_flag=True, help="Also measure how fast a view is encoded and a click answered here.")
@json_option
def doctor(speed: bool, as_json: bool) -> None:
    """Say what is installed, which engine answers, and whose weights are aboard."""
    from terraclick import doctor as room
    from terraclick.catalogue import load

    health = room.checkup()
    if speed:
        health["speed"] = room.speed(load("terra-single"), load("terra"), load("terra-fused"))
        health["peak_memory_mb"] = room.peak_memory_mb()
    _print(health, as_json, room.as_lines(health))


cli.add_command(prepare)
cli.add_command(results)


if __name__ == "__main__":
    main()
