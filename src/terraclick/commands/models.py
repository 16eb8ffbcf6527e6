"""The verb `models`: which models there are; `adding.py` adds to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from terraclick.commands.options import (
    VerbGroup,
    json_option,
    variant_of,
    variant_options,
)
from terraclick.commands.output import print_answer, tell
from terraclick.errors import BadConfig, UnknownName

__all__ = ["models"]


@click.group("models", cls=VerbGroup, short_help="List the models, add published weights, remove them.")
def models() -> None:
    """List the models (`terraclick models` alone does that too), add published weights under a name, or remove them."""


@models.command("list", short_help="List the models (what terraclick models does by itself).")
@click.argument("names", nargs=-1)
@click.option("--cost", is_flag=True, help="Measure the papers' networks (all, or NAMES) here: minutes. Needs torch.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="Threads to measure with.")
@variant_options
@json_option
def list_models(names: tuple[str, ...], cost: bool, threads: int, as_json: bool, **words: Any) -> None:
    """List the models, or NAMES of them: what they are, their licence, their size, and what they need.

    A name can carry settings, such as crosscut-b+divisions=2,3,4 or simpleclick-b+cfr=4; they are checked.

    With --cost: parameters, trainable parameters, FLOPs, milliseconds and memory, with random weights.
    """
    from terraclick.doctor import models as listed_models

    if cost:
        _print_costs(tuple(variant_of(name, dict(words)) for name in names), threads, as_json)
        return
    if any(words.values()) and not names:
        raise BadConfig("--divisions and --cfr are settings of a model: give the NAMES that shall have them.")
    listed = listed_models()
    found = [_one_of(listed, variant_of(name, dict(words))) for name in names] if names else listed
    lines = [f"{m['name']:<20} {_says(m)} ({_weighs(m)}{m['licence']}){_lacks(m)}" for m in found]
    for m in found:
        if "files" in m:
            lines += [f"{m['name']} in {m['folder']}:"]
            lines += [f"  {file['name']:<16} {file['bytes']:>12} bytes  sha256 {file['sha256']}" for file in m["files"]]
    print_answer(found, as_json, lines)


def _one_of(listed: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """What is listed of a model, under the name that carries its settings. Raises UnknownName, BadConfig."""
    from terraclick.catalogue import spec_of
    from terraclick.predictors.variants import base_name

    known = {m["name"]: m for m in listed}
    found = known.get(base_name(name))
    if found is None:
        raise UnknownName(f"no model {base_name(name)!r}. Known: {', '.join(known)}.")
    if name != found["name"]:
        if found["kind"] == "map":
            raise BadConfig(f"{found['name']} draws class maps and has no settings: leave them out of {name!r}.")
        spec_of(name)  # refuses settings that the model cannot have
    return {**found, "name": name}


def _weighs(model: dict[str, Any]) -> str:
    return f"{model['mb']} MB, " if model["mb"] else ""


def _says(model: dict[str, Any]) -> str:
    return f"{model['summary']}, for terraclick map" if model["kind"] == "map" else str(model["summary"])


def _print_costs(names: tuple[str, ...], threads: int, as_json: bool) -> None:

    from terraclick.cost import cost_lines, costs

    found = []
    for one in costs(names, threads):
        tell(f"{one.name}: {one.ms_view:.0f} ms a view, {one.ms_click:.0f} ms a click", err=True)
        found.append(one)
    print_answer([asdict(one) for one in found], as_json, cost_lines(found, threads))


def _lacks(model: dict[str, Any]) -> str:
    if model["needs"] is not None:
        return f" - needs {model['needs']}"
    return "" if model["available"] else " - not available: its files are missing"
