"""The verb `results`: a paper's table with our rows beside the published ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from terraclick.commands.map_options import map_protocol, map_table_options
from terraclick.commands.options import SHOWN, verb
from terraclick.commands.output import progress_of, tell
from terraclick.commands.parameters import EXISTING, NEW
from terraclick.errors import BadConfig

if TYPE_CHECKING:
    from terraclick.evaluate.published.table import Table

__all__ = ["results"]


@verb("results", short_help="Make a paper's table, with our rows beside the published ones.")
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@click.option("--data", type=EXISTING, help="Folder that `terraclick prepare` wrote to.")
@click.option("--predictor", "predictors", multiple=True, help="One of `terraclick models`; repeat for more rows.")
@click.option("--weights", multiple=True, metavar="[NAME=]PATH", help="Weights; NAME for one of several.")
@click.option("--limit", type=click.IntRange(min=1), help="How many tasks per set (default: as many as the paper).")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@click.option("--references", type=click.Choice(SHOWN), help="What is shown of examples (default: the table's).")
@map_table_options
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("--out", "-o", type=NEW, help="Folder for the pages and the finished tasks.")
def results(tables: tuple[str, ...], data: Path | None, out: Path | None, **words: Any) -> None:
    """Make TABLEs of the papers with one row a predictor; without TABLE, list the tables.

    Tasks that are finished are kept in OUT: the same command goes on after a stop.
    """
    from terraclick.evaluate.published.catalogue import TABLES, table_of
    from terraclick.evaluate.results import page
    from terraclick.files import write_text

    if not tables:
        for table in TABLES.values():
            tell(f"{table.name:<12} {table.title} (needs {', '.join(table.datasets)})")
        return
    if data is None or out is None or not words["predictors"]:
        raise BadConfig("a table needs --data, --predictor and --out: see terraclick results --help.")
    for table in [table_of(name) for name in tables]:
        reports = _reports(table, data, out, words)
        text = page(table, reports, _command(table, words))
        write_text(out / f"{table.name}.md", text)
        tell(text)


def _reports(table: Table, data: Path, out: Path, words: dict[str, Any]) -> dict[str, Any]:
    """Row → set → what was found."""
    from terraclick.classmap.model import load_map
    from terraclick.commands.benchmark import weights_of
    from terraclick.evaluate.maps import check_pairs
    from terraclick.evaluate.published.table import CLASS_MAP
    from terraclick.evaluate.results import prepared_sets, run_map_table, run_table

    sets = prepared_sets(data, table.datasets)
    out.mkdir(parents=True, exist_ok=True)
    if table.target == CLASS_MAP:
        if words["weights"] or words["references"]:
            raise BadConfig(f"{table.name} is of map models: name their folder with --predictor alone.")
        protocol, tables = map_protocol(words), [dataset.classes for dataset in sets.values()]
        check_pairs(protocol.same, [load_map(name).spec for name in words["predictors"]], tables)
        return {name: run_map_table(name, sets, protocol, progress_of("pictures")) for name in words["predictors"]}
    weights, shown, found = weights_of(words["predictors"], words["weights"]), words["references"], {}
    for name in words["predictors"]:
        options = {"weights": weights[name]} if name in weights else {}
        run = (words["limit"], words["seed"], words["workers"], out / "tasks", progress_of("tasks"), options, shown)
        found[name if shown is None else f"{name}, {shown}"] = run_table(table, name, sets, *run)
    return found


def _command(table: Table, words: dict[str, Any]) -> str:
    """The command that makes the page again."""
    parts = [f"terraclick results {table.name} --data DATA", *(f"--predictor {name}" for name in words["predictors"])]
    parts += [f"--{name} {words[name]}" for name in ("limit", "references") if words[name]]
    parts += [f"--tta {words['augmentation']}"] if words["augmentation"] != "none" else []
    parts += [f"--same-class '{pair}'" for pair in words["same"]]
    return " ".join([*parts, f"--seed {words['seed']} --out OUT"])
