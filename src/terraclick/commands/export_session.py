"""The verb `export-session`: a session for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from terraclick.commands.options import (
    json_option,
    reading_options,
    verb,
)
from terraclick.commands.output import counted, print_answer, warn
from terraclick.commands.parameters import EXISTING, NEW

__all__ = ["export_session"]


@verb("export-session", short_help="Write a session for other programs.")
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
def export_session(
    session: str, out: Path, crs_text: str | None, split_text: str | None, as_json: bool, **words: Any
) -> None:
    """Write SESSION (a .gpkg, or a postgresql:// address) into the folder OUT, in every format, all images together.

    OUT may also be one file with the ending of a format, such as set.coco.json. Class numbers are the session's.
    """
    from terraclick.exchange.export_session import export_session, parse_split
    from terraclick.geo.crs_text import parse_crs
    from terraclick.store.geopackage import GeoPackageStore
    from terraclick.store.sql import Store

    words["crs"] = None if crs_text is None else parse_crs(crs_text)
    words["split"] = None if split_text is None else parse_split(split_text)
    if session.startswith("postgres"):
        from terraclick.store.postgis import open_postgis

        path: Path | None = None
        store: Store = open_postgis(session, make=False)
    else:
        path, store = Path(session), GeoPackageStore.open(session)
    with store:
        found = export_session(store, path, out, warn=warn, **words)
    answer = {"out": str(out), "files": found.files, "objects": found.objects, "images": found.images}
    answer |= {"left_out": found.left_out, "cut_at_edges": found.cut}
    things = [counted(found.objects, "object"), counted(found.images, "image"), counted(len(found.files), "file")]
    lines = [f"{things[0]} of {things[1]} in {things[2]} in {out}"]
    if found.left_out:
        lines.append(f"left out: {', '.join(found.left_out)} (pip install 'terraclick[formats]')")
    if found.cut:
        lines.append(f"{found.cut} objects reach beyond their image: in pixel formats they are cut at its edge")
    print_answer(answer, as_json, lines)
