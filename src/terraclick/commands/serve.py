"""The verb `serve`: the map in the browser."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from terraclick.commands.options import (
    WEIGHTS_HELP,
    reading_options,
    variant_of,
    variant_options,
    verb,
)
from terraclick.commands.output import import_room, tell, warn
from terraclick.commands.parameters import EXISTING, NEW

__all__ = ["serve"]


@verb("serve", short_help="Open a map in the browser.")
@click.argument("images", nargs=-1)
@click.option("--root", "roots", type=NEW, multiple=True, metavar="FOLDER", help="Programs may add images from there.")
@click.option(
    "--roots-file", type=NEW, metavar="FILE", help="More such folders, one a line; read again whenever it changes."
)
@click.option(
    "--window-mb", type=click.FloatRange(1), default=1000, show_default=True, help="Most MB of sent pixels kept."
)
@click.option("--window-days", type=click.FloatRange(0), default=30, show_default=True, help="Unused ones go after.")
@click.option("--session", type=NEW, help="GeoPackage to go on with, made if it is not there.")
@click.option("--store", "store_address", metavar="URL", help="postgresql://… in place of a file, for teams.")
@click.option("--out", "-o", type=NEW, default=".", show_default=True, help="The only folder for exports.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others can reach 0.0.0.0.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (default: the first free from 8000).")
@click.option("--user", "users", multiple=True, metavar="NAME", help="Repeat it for several people: a token for each.")
@click.option("--model", default="terra", show_default=True, help="One of `terraclick models`.")
@variant_options
@click.option("--device", metavar="NAME", help="Where a paper's network runs: cpu (default) or cuda.")
@click.option("--weights", type=EXISTING, metavar="PATH", help=WEIGHTS_HELP)
@click.option(
    "--public-url",
    metavar="URL",
    help="The address behind a proxy, with its path: links, cookies and the printed address bear it.",
)
@click.option(
    "--tokens",
    "tokens_file",
    type=EXISTING,
    metavar="FILE",
    help="A name and a token a line, the same at every start; made and added to where names are missing.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@reading_options
def serve(images: tuple[str, ...], no_browser: bool, **words: Any) -> None:
    """Open a map in the browser to outline things on IMAGES (files, folders, or the word sample)."""
    room = import_room("terraclick.server.main", "app")
    words["model"] = variant_of(words["model"], words)
    server = room.prepare(images, warn=warn, environ=os.environ, **words)
    for address in server.addresses.values():
        tell(address)
    sys.stdout.flush()
    if not no_browser:
        import webbrowser

        webbrowser.open(next(iter(server.addresses.values())))
    room.run(server)
