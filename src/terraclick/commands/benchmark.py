"""The verb `benchmark`: how many clicks a robot needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from terraclick.commands.map_options import MAP, judge_maps, map_options, refuse_map_options
from terraclick.commands.options import (
    SHOWN,
    TARGET,
    WEIGHTS_HELP,
    variant_options,
    verb,
)
from terraclick.commands.output import progress_of, tell
from terraclick.commands.parameters import EXISTING, LEVELS, NEW, Numbers
from terraclick.errors import BadConfig

__all__ = ["benchmark", "protocol_of", "weights_of"]


@verb("benchmark", short_help="Count the clicks a robot needs.")
@click.option(
    "--predictor",
    "predictors",
    multiple=True,
    required=True,
    help="One of `terraclick models`, perhaps with settings (NAME+cfr=4); repeat to compare several.",
)
@click.option(
    "--target",
    type=click.Choice([*TARGET.choices, MAP]),
    required=True,
    help="Object tasks or class tasks; map: name every pixel with a map model.",
)
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
@click.option("--size-groups", type=click.IntRange(min=2), help="Also show each class in this many groups by area.")
@click.option("--box", is_flag=True, default=None, help="Show each object by its box first, which counts as a click.")
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
@click.option(
    "--reference-interval",
    type=Numbers(None, "whole numbers such as 1,10,20", int),
    metavar="N,…",
    help="Coarser masks of examples: every n-th point; several are run one after the other.",
)
@click.option(
    "--reference-scale",
    type=Numbers(None, "numbers such as 1,0.5,0.25"),
    metavar="S,…",
    help="How much larger examples are shown; several are run one after the other.",
)
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
@click.option(
    "--figure-clicks",
    type=Numbers(None, "numbers of clicks such as 1,3,5", int),
    metavar="K,…",
    help="Show each predictor in the figures after these numbers of clicks, instead of its last.",
)
@map_options
def benchmark(predictors: tuple[str, ...], target: str, data: Path, **words: Any) -> None:
    """Count the clicks a robot needs with one predictor or several: NoC, NoF, mIoU, boundary IoU, seconds per click.

    With --target map no click is needed: IoU and F1 of each class, mIoU, mF1, OA and pictures per second of map models.
    """
    if target == MAP:
        judge_maps(predictors, data, words)
        return
    refuse_map_options()
    from terraclick.data.datasets import open_datasets
    from terraclick.evaluate.compare import compared, cost_columns
    from terraclick.evaluate.figures import draw_figures, plot, plot_over
    from terraclick.evaluate.run import run_benchmark
    from terraclick.files import check_output, write_text
    from terraclick.predictors.variants import composed
    from terraclick.values import Target

    for name in ("json_file", "markdown", "plot_file"):
        if words[name] is not None:
            check_output(words[name], overwrite=True)
    settings = {key: words[key.replace("-", "_")] for key in ("cfr", "cfr-clicks", "divisions", "device")}
    names = [composed(name, settings) for name in predictors]
    weights = weights_of(names, words["weights"]) if not any(settings.values()) else {}
    if any(settings.values()):
        plain = weights_of(predictors, words["weights"])
        weights = {composed(name, settings): path for name, path in plain.items()}
    if len(set(names)) < len(names):
        raise BadConfig(f"--predictor {names[-1]} was given twice: name each once.")
    swept, protocols = sweep_of(protocol_of(words["preset"], words), words)
    datasets, reports = open_datasets(data), []
    for name in names:
        for said, protocol in protocols.items():
            journal = words["resume"]
            if journal is not None and (len(names) > 1 or swept):
                journal = journal.with_name(f"{journal.stem}.{name}{said.replace(' ', '-')}{journal.suffix}")
            options = {"weights": weights[name]} if name in weights else {}
            run = (name, Target(target), datasets, protocol, journal, words["workers"], progress_of("tasks"), options)
            reports.append(replace(run_benchmark(*run), predictor=f"{name}{said}"))
    costs = cost_columns(names) if words["cost"] else {}
    text = "\n".join(report.to_markdown() for report in reports)
    if len(reports) > 1 or costs:
        text += "\n" + compared(reports, costs)
    tell(text)
    if words["json_file"] is not None:
        told = [report.to_json() | ({"cost": costs[report.predictor]} if report.predictor in costs else {})
                for report in reports]  # fmt: skip
        write_text(words["json_file"], json.dumps(told[0] if len(told) == 1 else told, indent=2) + "\n")
    if words["markdown"] is not None:
        write_text(words["markdown"], text)
    if words["plot_file"] is not None:
        plot_over(reports, swept, words["plot_file"]) if swept else plot(reports, words["plot_file"])
    if words["figures"] is not None:
        protocol = next(iter(protocols.values()))
        loaded = {name: {"weights": path} for name, path in weights.items()}
        steps = words["figure_clicks"] or ()
        draw_figures(names, Target(target), datasets, protocol, words["figures"], loaded, steps)
        plot(reports, words["figures"] / "miou.png")


SWEPT = {"reference_interval": "interval", "reference_scale": "scale"}
"""Settings of examples of which several values can be given → the word that tells their rows apart."""


def sweep_of(protocol: Any, words: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The setting of which several values were given ("" for none), and what a row is called → its protocol."""
    given = {name: words[name] for name in SWEPT if words.get(name) is not None}
    several = [name for name, values in given.items() if len(values) > 1]
    if len(several) > 1:
        raise BadConfig("several values of --reference-interval and of --reference-scale: give several of one only.")
    for name, values in given.items():
        protocol = replace(protocol, **{name: values[0]})
    if not several:
        return "", {"": protocol}
    (name,) = several
    return name, {f", {SWEPT[name]} {value:g}": replace(protocol, **{name: value}) for value in given[name]}


def protocol_of(preset: str, words: Mapping[str, Any]) -> Any:
    """The preset's `EvalProtocol` with what was asked for in its place; percentages become shares."""
    from terraclick.evaluate.protocol import preset as preset_of

    fields = [
        *("box", "limit", "seed", "chance_draws", "references", "max_clicks", "min_area", "max_area", "size_groups"),
    ]
    chosen = {name: words[name] for name in fields if words.get(name) is not None}
    if words.get("iou") is not None:
        chosen["thresholds"] = tuple(level / 100 for level in words["iou"])
    if words.get("class_fill") is not None:
        chosen["class_fill"] = tuple(share / 100 for share in words["class_fill"])
    if words.get("stop_at") is not None:
        chosen["stop_at"] = _stop(words["stop_at"])
    if words.get("miou_at") is not None:
        chosen["miou_at"] = words["miou_at"]
    protocol = replace(preset_of(preset), **chosen)
    if words.get("miou_at") is not None and protocol.clicks_shown != protocol.miou_at:
        raise BadConfig(f"--miou-at {protocol.miou_at} must lie in 1 to {protocol.max_clicks}, the most clicks.")
    return protocol


def _stop(text: str) -> float:
    """An IoU in percent, or never. Raises BadConfig."""
    from terraclick.evaluate.protocol import NEVER

    try:
        return NEVER if text == "never" else float(text) / 100
    except ValueError:
        raise BadConfig(f"--stop-at {text}: give an IoU in percent, such as 95, or the word never.") from None


def weights_of(predictors: Sequence[str], given: Sequence[str]) -> dict[str, Path]:
    """Predictor → its weights, from texts PATH (for the only predictor) or NAME=PATH. Raises BadConfig."""
    found = {}
    for text in given:
        name = max((one for one in predictors if text.startswith(f"{one}=")), key=len, default="")
        path = text.removeprefix(f"{name}=")
        if not name:
            if len(predictors) > 1:
                raise BadConfig(f"--weights {text}: with several predictors give NAME=PATH, NAME as in --predictor.")
            name, path = predictors[0], text
        if not Path(path).exists():
            raise BadConfig(f"--weights {path} does not exist: check the spelling and the folder.")
        found[name] = Path(path)
    return found
