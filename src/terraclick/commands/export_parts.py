"""The verb `export-parts`: objects that were taken apart, as the Target Disassembly sets lie."""

from __future__ import annotations

from pathlib import Path

import click

from terraclick.commands.options import json_option, verb
from terraclick.commands.output import counted, print_answer, warn
from terraclick.commands.parameters import EXISTING, NEW

__all__ = ["export_parts"]


@verb("export-parts", short_help="Write objects with parts as the Target Disassembly sets lie.")
@click.argument("session", type=EXISTING)
@click.argument("out", type=NEW)
@click.option("--images", type=EXISTING, multiple=True, metavar="PATH", help="Where the images lie now, if moved.")
@click.option("--groups", is_flag=True, help="Also write objects of two classes or more that touch (TDA-OD).")
@click.option("--overwrite", is_flag=True, help="Write into a folder that is not empty.")
@json_option
def export_parts(
    session: Path, out: Path, images: tuple[Path, ...], groups: bool, overwrite: bool, as_json: bool
) -> None:
    """Write the objects of SESSION (a .gpkg) that have parts into the folder OUT, for `terraclick prepare tda OUT`.

    A folder for each class of objects; in it a picture of each object's surroundings, the tags of its parts, and
    tags.txt. With --groups, too, a folder for each set of classes whose objects touch, such as a ship at its quay.
    """
    from terraclick.exchange.export_parts import export_parts
    from terraclick.store.geopackage import GeoPackageStore

    with GeoPackageStore.open(session) as store:
        found = export_parts(store, session, out, images, overwrite, groups)
    if found.left_out:
        warn(f"{counted(found.left_out, 'part')} left out: the object it names is not kept, or the part has no class.")
    answer = {"out": str(out), "objects": found.objects, "parts": found.parts, "left_out": found.left_out}
    answer |= {"groups": found.groups}
    lines = [f"{counted(found.objects, 'object')} with {counted(found.parts, 'part')} in {out}"]
    lines += [f"{counted(found.groups, 'group')} of objects that touch"] if groups else []
    lines += [f"{name}: {', '.join(tags)}" for name, tags in found.tags.items()]
    print_answer(answer | {"tags": {name: list(tags) for name, tags in found.tags.items()}}, as_json, lines)
