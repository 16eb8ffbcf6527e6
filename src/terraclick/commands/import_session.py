"""The verb `import-session`: labels of other programs become a session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from terraclick.commands.options import (
    json_option,
    verb,
)
from terraclick.commands.output import counted, print_answer, warn
from terraclick.commands.parameters import EXISTING, NEW

__all__ = ["import_session"]


@verb("import-session", short_help="Read labels of other programs into a session.")
@click.argument("files", nargs=-1, required=True, type=EXISTING)
@click.argument("session", type=NEW)
@click.option("--image", "images", type=EXISTING, multiple=True, metavar="PATH", help="A picture, or a folder of them.")
@click.option("--crs", "crs_text", metavar="EPSG:N", help="Coordinate system of the new session.")
@click.option("--append", is_flag=True, help="Add to an existing session.")
@click.option("--overwrite", is_flag=True, help="Replace an existing session.")
@json_option
def import_session(
    files: tuple[Path, ...], session: Path, images: tuple[Path, ...], crs_text: str | None, as_json: bool, **words: Any
) -> None:
    """Read label FILES (or folders of them) into SESSION, a .gpkg: COCO, labelme, YOLO, GeoJSON, GeoParquet, CSV …

    Formats in pixels need their pictures (--image).
    """
    from terraclick.exchange.import_session import import_session
    from terraclick.geo.crs_text import parse_crs

    crs = None if crs_text is None else parse_crs(crs_text)
    found = import_session(files, session, images=images, crs=crs, warn=warn, **words)
    answer = {"session": str(session), "objects": found.objects, "known": found.known}
    answer |= {"images": found.images, "classes": found.classes}
    lines = [f"{counted(found.objects, 'object')} of {counted(found.images, 'image')} in {session}"]
    if found.known:
        lines.append(f"{found.known} objects were there already (same uuid) and stay as they are")
    print_answer(answer, as_json, lines)
