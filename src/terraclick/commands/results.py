"""The verb `results`: a paper's table with our rows beside the published ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from terraclick.commands.options import verb
from terraclick.commands.output import progress_of, tell
from terraclick.commands.parameters import EXISTING, NEW
from terraclick.errors import BadConfig

__all__ = ["results"]


@verb("results", short_help="Make a paper's table, with our rows beside the published ones.")
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@click.option("--data", type=EXISTING, help="Folder that `terraclick prepare` wrote to.")
@click.option("--predictor", "predictors", multiple=True, help="One of `terraclick models`; repeat for more rows.")
@click.option("--weights", multiple=True, metavar="[NAME=]PATH", help="Weights; NAME for one of several.")
@click.option("--limit", type=click.IntRange(min=1), help="How many tasks per set (default: as many as the paper).")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("--out", "-o", type=NEW, help="Folder for the pages and the finished tasks.")
def results(tables: tuple[str, ...], data: Path | None, out: Path | None, **words: Any) -> None:
    """Make TABLEs of the papers with one row a predictor; without TABLE, list the tables.

    Tasks that are finished are kept in OUT: the same command goes on after a stop.
    """
    from terraclick.commands.benchmark import weights_of
    from terraclick.evaluate.published import TABLES, table_of
    from terraclick.evaluate.results import page, prepared_sets, run_table
    from terraclick.files import write_text

    if not tables:
        for table in TABLES.values():
            tell(f"{table.name:<12} {table.title} (needs {', '.join(table.datasets)})")
        return
    if data is None or out is None or not words["predictors"]:
        raise BadConfig("a table needs --data, --predictor and --out: see terraclick results --help.")
    chosen = [table_of(name) for name in tables]
    weights = weights_of(words["predictors"], words["weights"])
    out.mkdir(parents=True, exist_ok=True)
    for table in chosen:
        sets = prepared_sets(data, table.datasets)
        reports = {}
        for name in words["predictors"]:
            options = {"weights": weights[name]} if name in weights else {}
            run = (words["limit"], words["seed"], words["workers"], out / "tasks", progress_of("tasks"), options)
            reports[name] = run_table(table, name, sets, *run)
        named = " ".join(f"--predictor {name}" for name in words["predictors"])
        limit = f" --limit {words['limit']}" if words["limit"] else ""
        command = f"terraclick results {table.name} --data DATA {named}{limit} --seed {words['seed']} --out OUT"
        text = page(table, reports, command)
        write_text(out / f"{table.name}.md", text)
        tell(text)
