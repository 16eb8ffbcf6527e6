"""The verb `prepare`: a published dataset, or a session, becomes folders that train and benchmark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from terraclick.commands.options import Verb
from terraclick.commands.output import print_answer, progress_of, tell, warn
from terraclick.commands.parameters import EXISTING, NEW
from terraclick.errors import BadConfig

__all__ = ["prepare"]


class _WithDatasets(Verb):
    """Help that ends with the datasets there are, from their declarations."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from terraclick.datasets.catalogue import DATASETS, declaration_of

        with formatter.section("Datasets"):
            formatter.write_dl([(name, declaration_of(name).title) for name in DATASETS])


@click.command("prepare", cls=_WithDatasets, short_help="Make a published dataset ready for training and benchmark.")
@click.argument("dataset")
@click.argument("source", required=False, type=EXISTING)
@click.argument("out", required=False, type=NEW)
@click.option("--protocol", metavar="NAME", help="Settings of a paper (default: the dataset's first).")
@click.option("--split", "splits", multiple=True, metavar="NAME", help="Only this split; repeat for more.")
@click.option("--crop", type=click.IntRange(0), metavar="PIXELS", help="Side of the crops; 0 keeps whole pictures.")
@click.option("--overlap", type=click.IntRange(0), metavar="PIXELS", help="What neighbouring crops share.")
@click.option("--bands", metavar="SET", help="A band set of the dataset, such as RGB, IRRG or RGBIR.")
@click.option("--part", "parts", multiple=True, metavar="NAME", help="Only this part, such as Urban; repeat for more.")
@click.option("--class", "classes", multiple=True, metavar="NAME", help="Only objects of this class; repeat for more.")
@click.option("--min-area", type=click.IntRange(1), metavar="PIXELS", help="Smallest object of a crop.")
@click.option("--keep-empty/--drop-empty", default=None, help="Whether crops without an object are kept.")
@click.option("--deal", metavar="NAME", help="How pictures come into splits, where the dataset offers several ways.")
@click.option("--seed", type=int, metavar="N", help="Of a deal by chance (default: 0).")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--overwrite", is_flag=True, help="Replace what was prepared there.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, for programs.")
def prepare(dataset: str, source: Path | None, out: Path | None, as_json: bool, **words: Any) -> None:
    """Make DATASET, downloaded and unpacked in SOURCE, ready in the folder OUT for training and benchmark.

    Each split becomes OUT/SPLIT/DATASET. Without SOURCE and OUT the folders that DATASET is expected in are described.
    A run that was stopped goes on where it was when the same command is given again.
    """
    from terraclick.datasets.catalogue import declaration_of, markdown
    from terraclick.datasets.preparation import prepare as run

    declaration = declaration_of(dataset)
    if source is None:
        tell(markdown(dataset))
        return
    if out is None:
        raise BadConfig(f"terraclick prepare {dataset} {source} lacks OUT: name the folder to write to.")
    names = ("crop", "overlap", "bands", "parts", "classes", "min_area", "keep_empty", "deal", "seed")
    chosen = {name: words[name] for name in names if words[name] not in (None, ())}
    settings = replace(declaration.settings(words["protocol"]), **chosen)
    found = run(
        declaration,
        source,
        out,
        settings,
        protocol=words["protocol"],
        splits=words["splits"],
        workers=words["workers"],
        overwrite=words["overwrite"],
        progress=progress_of("pictures"),
    )
    for note in found.notes:
        warn(f"Note: {note}")
    splits = [
        {"split": one.split, "folder": str(one.folder), "pictures": one.pictures, "objects": one.objects}
        | {"published": dict(one.published)}
        for one in found.splits
    ]
    answer = {"dataset": found.dataset, "splits": splits, "notes": list(found.notes)}
    print_answer(answer, as_json, [one.sentence() for one in found.splits])
