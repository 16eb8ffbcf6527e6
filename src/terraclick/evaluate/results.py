"""A page of results: a paper's table with our rows below the published ones, and how they were made."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from terraclick.data.datasets import Dataset, open_dataset
from terraclick.errors import BadData
from terraclick.evaluate.maps import MapProtocol, MapReport, judge_map
from terraclick.evaluate.protocol import preset
from terraclick.evaluate.published.table import Column, Table
from terraclick.evaluate.report import Report
from terraclick.evaluate.run import run_benchmark
from terraclick.values import Target

__all__ = ["page", "prepared_sets", "run_map_table", "run_table"]

SPLITS = ("test", "val")
"""Splits that a table may be made of, the first that is there."""


def prepared_sets(data: Path, names: Sequence[str]) -> dict[str, Dataset]:
    """The prepared sets of some names below a folder, judged splits only. Raises BadData where there is none at all."""
    found = {}
    for name in names:
        for split in SPLITS:
            for folder in (data / split / name, data / name / split / name):
                if name not in found and (folder / "meta.json").is_file():
                    found[name] = open_dataset(folder)
    if not found:
        wanted = " or ".join(f"{split}/{names[0]}" for split in SPLITS)
        raise BadData(f"{data} holds none of {', '.join(names)}: prepare them there, so that {wanted} exists.")
    return found


def run_table(
    table: Table,
    predictor: str,
    sets: Mapping[str, Dataset],
    limit: int | None = None,
    seed: int = 0,
    workers: int = 1,
    journals: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    options: dict[str, Any] | None = None,
    references: str | None = None,
) -> dict[str, Report]:
    """One benchmark a set, by the table's protocol and its draw (or `limit`); finished tasks stay in `journals`.

    references: what the predictor is shown instead of what the protocol says.
    """
    reports = {}
    assert isinstance(table.target, Target), table.name
    for name, dataset in sets.items():
        limited = limit or table.drawn(name)
        protocol = replace(preset(table.preset), limit=limited, seed=seed, size_groups=table.size_groups)
        protocol = protocol if references is None else replace(protocol, references=references)
        journal = None
        if journals is not None:
            journals.mkdir(parents=True, exist_ok=True)
            said = f".{references}" if references else ""
            journal = journals / f"{table.preset}.{table.target.value}.{name}.{predictor}{said}.jsonl"
        reports[name] = run_benchmark(predictor, table.target, [dataset], protocol, journal, workers, progress, options)
    return reports


def run_map_table(
    model: str,
    sets: Mapping[str, Dataset],
    protocol: MapProtocol,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, MapReport]:
    """One judgement a set of a map model, by name or folder."""
    return {name: judge_map(model, [dataset], protocol, progress=progress) for name, dataset in sets.items()}


def page(table: Table, reports: Mapping[str, Mapping[str, Report | MapReport]], command: str = "") -> str:
    """The page of a table: published rows, a row for each predictor (name → set → report), protocol and draw."""
    lines = [f"# {table.title}", "", "| method | " + " | ".join(column.heading for column in table.columns) + " |"]
    lines.append("|" + "---|" * (len(table.columns) + 1))
    for method, numbers in table.rows.items():
        lines.append(f"| {method} (published) | " + " | ".join(map(_said, numbers)) + " |")
    for predictor, found in reports.items():
        lines.append(f"| **{predictor}** (here) | " + " | ".join(_cells(table, found)) + " |")
    asked = table.target.value if isinstance(table.target, Target) else table.target
    lines += ["", f"Target: {asked}. {table.remark}".rstrip(), ""]
    some = next(iter(reports.values()))
    for name in table.datasets:
        if name not in some:
            lines.append(f"- {name}: not prepared, so its cells are empty.")
            continue
        drawn = table.drawn(name)
        said = f" The paper draws {drawn}, of which it gives no list." if drawn else ""
        lines.append(f"- {name}: {_counted(some[name])}, seed {some[name].protocol.seed}.{said}")
    settings = "; ".join(next(iter(some.values())).protocol.lines())
    lines += ["", f"Protocol (preset {table.preset}): {settings}.", ""]
    if command:
        lines += ["```sh", command, "```", ""]
    return "\n".join(lines)


def _said(number: float) -> str:
    return "–" if math.isnan(number) else f"{number:g}"


def _counted(report: Report | MapReport) -> str:
    """How much a report is of."""
    if isinstance(report, MapReport):
        return f"{sum(one.pictures for one in report.judged)} pictures"
    return f"{len(report.results)} tasks"


def _cells(table: Table, reports: Mapping[str, Report | MapReport]) -> list[str]:
    cells = []
    for column in table.columns:
        report = reports.get(column.dataset)
        if report is None:
            cells.append("–")
        else:
            cells.append(_of_map(column, report) if isinstance(report, MapReport) else _of_clicks(column, report))
    return cells


def _of_map(column: Column, report: MapReport) -> str:
    """The cell of a judged map model."""
    (one,) = report.judged
    row = one.row()
    if column.figure == "fps":
        return "–" if row["fps"] is None else f"{row['fps']:.3g}"
    if column.figure in ("class_iou", "class_f1"):
        value = row[column.figure.removeprefix("class_")].get(column.cls)
    else:
        value = row[{"mean_iou": "miou", "mean_f1": "mf1", "accuracy": "oa"}[column.figure]]
    return "–" if value is None else f"{100 * value:.2f}"


def _of_clicks(column: Column, report: Report) -> str:
    """The cell of a benchmark; a set of one class has no row for it alone."""
    shown = {result.cls for result in report.results}
    named = "all" if shown == {column.cls} else column.cls
    for row in report.rows():
        found = row["class"] if column.group is None else row.get("group_of")
        if found == named and row.get("group") == column.group:
            if column.figure == "nof":
                return str(row["nof"][column.at])
            value = row[column.figure][column.at]
            return f"{100 * value:.2f}" if column.figure == "miou" else f"{value:.2f}"
    return "–"
