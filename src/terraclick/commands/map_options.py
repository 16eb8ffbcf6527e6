"""What `benchmark --target map` and `results` take for map models: options, and the work behind them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from terraclick.commands.output import progress_of, tell
from terraclick.commands.parameters import NEW
from terraclick.errors import BadConfig

__all__ = ["MAP", "judge_maps", "map_options", "map_protocol", "map_table_options", "refuse_map_options"]

MAP = "map"
"""The target of models that name every pixel."""

OPTIONS = (
    click.option(
        "--tta",
        "augmentation",
        default="none",
        show_default=True,
        metavar="none|lr|d4|scales",
        help="Map models: name each picture mirrored both ways (lr), in eight turns (d4), or in four sizes (scales).",
    ),
    click.option(
        "--overlap", type=float, default=0.25, show_default=True, help="Map models: what neighbouring tiles share."
    ),
    click.option(
        "--same-class",
        "same",
        multiple=True,
        metavar="MODEL=DATASET",
        help="Map models: a class whose name differs; repeat for more.",
    ),
    click.option(
        "--uncounted",
        multiple=True,
        default=("clutter",),
        show_default=True,
        metavar="CLASS",
        help="Map models: a class left out of the means; repeat for more.",
    ),
    click.option("--masks", type=NEW, metavar="FOLDER", help="Map models: write the answers as PNG of class numbers."),
    click.option(
        "--class-numbers",
        "numbering",
        metavar="DATASET",
        help="Map models, pictures without labels: write the class numbers of this dataset, such as loveda.",
    ),
)
NAMES = ("augmentation", "overlap", "same", "uncounted", "masks", "numbering")
SHARED = ("target", "predictors", "data", "limit", "seed", "json_file", "markdown", "figures")


def map_options(command: Any) -> Any:
    """The options of map models."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def map_table_options(command: Any) -> Any:
    """Those of them that decide a table."""
    for option in reversed(OPTIONS[:4]):
        command = option(command)
    return command


def _given() -> list[click.Parameter]:
    """The options of the running verb that were given."""
    context = click.get_current_context()
    source = context.get_parameter_source
    return [one for one in context.command.params if source(one.name or "") is ParameterSource.COMMANDLINE]


def refuse_map_options() -> None:
    """Raise BadConfig where an option of map models was given for clicks."""
    for option in _given():
        if option.name in NAMES:
            raise BadConfig(f"{option.opts[0]} is about map models: leave it out, or give --target map.")


def map_protocol(words: Mapping[str, Any]) -> Any:
    """The `MapProtocol` of the options. Raises BadConfig."""
    from terraclick.evaluate.maps import MapProtocol

    pairs = []
    for text in words["same"]:
        model, between, dataset = text.partition("=")
        if not between or not model or not dataset:
            raise BadConfig(f"--same-class {text}: give MODEL=DATASET, such as vegetation=forest.")
        pairs.append((model, dataset))
    chosen = {name: words[name] for name in ("augmentation", "overlap", "limit", "seed", "uncounted")}
    return MapProtocol(**chosen, same=tuple(pairs))


def judge_maps(models: Sequence[str], data: Path, words: Mapping[str, Any]) -> None:
    """Judge map models on labelled pictures, or write the masks of a folder without labels."""
    from terraclick.classmap.model import load_map
    from terraclick.data.datasets import open_datasets
    from terraclick.evaluate.embeddings import draw_embeddings, tells_embeddings
    from terraclick.evaluate.map_figures import draw_maps
    from terraclick.evaluate.maps import check_pairs, judge_map, write_masks
    from terraclick.files import check_output, write_text

    for option in _given():
        if option.name not in (*NAMES, *SHARED):
            raise BadConfig(f"{option.opts[0]} is about clicks: leave it out with --target map.")
    for name in ("json_file", "markdown"):
        if words[name] is not None:
            check_output(words[name], overwrite=True)
    protocol, masks = map_protocol(words), words["masks"]
    if masks is not None and data.is_dir() and not any(data.rglob("meta.json")):
        for name in models:
            out = masks if len(models) == 1 else masks / Path(name).name
            files = write_masks(name, data, out, words["numbering"], protocol, progress_of("pictures"))
            tell(f"{out}: {len(files)} masks by {name}.")
        return
    if words["numbering"] is not None:
        raise BadConfig("--class-numbers is for pictures without labels: labelled datasets have numbers of their own.")
    datasets, reports = open_datasets(data), []
    check_pairs(protocol.same, [load_map(name).spec for name in models], [dataset.classes for dataset in datasets])
    for name in models:
        out = masks if masks is None or len(models) == 1 else masks / Path(name).name
        reports.append(judge_map(name, datasets, protocol, out, progress_of("pictures")))
    text = "\n".join(report.to_markdown() for report in reports)
    tell(text)
    if words["json_file"] is not None:
        told = [report.to_json() for report in reports]
        write_text(words["json_file"], json.dumps(told[0] if len(told) == 1 else told, indent=2) + "\n")
    if words["markdown"] is not None:
        write_text(words["markdown"], text)
    if words["figures"] is not None:
        draw_maps(models, datasets, protocol, words["figures"])
        for name in models:
            if not tells_embeddings(name):
                tell(f"{name} tells no class embeddings, so no figure of them is drawn.", err=True)
                continue
            draw_embeddings(name, datasets, words["figures"] / f"embeddings-{Path(name).name}.png", words["seed"])
