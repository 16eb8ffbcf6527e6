"""A page of results: a paper's table with our rows below the published ones, and how they were made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from terraclick.data.datasets import Dataset, open_dataset
from terraclick.errors import BadData
from terraclick.evaluate.protocol import preset
from terraclick.evaluate.published import Table
from terraclick.evaluate.report import Report
from terraclick.evaluate.run import run_benchmark

__all__ = ["page", "prepared_sets", "run_table"]

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
) -> dict[str, Report]:
    """One benchmark a set, by the table's protocol and its draw (or `limit`); finished tasks stay in `journals`."""
    reports = {}
    for name, dataset in sets.items():
        protocol = replace(preset(table.preset), limit=limit or table.drawn.get(name), seed=seed)
        journal = None
        if journals is not None:
            journals.mkdir(parents=True, exist_ok=True)
            journal = journals / f"{table.preset}.{table.target.value}.{name}.{predictor}.jsonl"
        reports[name] = run_benchmark(predictor, table.target, [dataset], protocol, journal, workers, progress, options)
    return reports


def page(table: Table, reports: Mapping[str, Mapping[str, Report]], command: str = "") -> str:
    """The page of a table: published rows, a row for each predictor (name → set → report), protocol and draw."""
    lines = [f"# {table.title}", "", "| method | " + " | ".join(column.heading for column in table.columns) + " |"]
    lines.append("|" + "---|" * (len(table.columns) + 1))
    for method, numbers in table.rows.items():
        lines.append(f"| {method} (published) | " + " | ".join(f"{number:g}" for number in numbers) + " |")
    for predictor, found in reports.items():
        lines.append(f"| **{predictor}** (here) | " + " | ".join(_cells(table, found)) + " |")
    lines += ["", f"Target: {table.target.value}. {table.remark}".rstrip(), ""]
    some = next(iter(reports.values()))
    for name in table.datasets:
        if name not in some:
            lines.append(f"- {name}: not prepared, so its cells are empty.")
            continue
        drawn = table.drawn.get(name)
        said = f" The paper draws {drawn}, of which it gives no list." if drawn else ""
        lines.append(f"- {name}: {len(some[name].results)} tasks, seed {some[name].protocol.seed}.{said}")
    settings = "; ".join(next(iter(some.values())).protocol.lines())
    lines += ["", f"Protocol (preset {table.preset}): {settings}.", ""]
    if command:
        lines += ["```sh", command, "```", ""]
    return "\n".join(lines)


def _cells(table: Table, reports: Mapping[str, Report]) -> list[str]:
    cells = []
    for column in table.columns:
        report = reports.get(column.dataset)
        rows = [] if report is None else report.rows()
        shown = set() if report is None else {result.cls for result in report.results}
        named = "all" if shown == {column.cls} else column.cls  # a set of one class has no row for it alone
        row = next((row for row in rows if row["class"] == named), None)
        if row is None:
            cells.append("–")
        elif column.figure == "nof":
            cells.append(str(row["nof"][column.at]))
        else:
            value = row[column.figure][column.at]
            cells.append(f"{100 * value:.2f}" if column.figure == "miou" else f"{value:.2f}")
    return cells
