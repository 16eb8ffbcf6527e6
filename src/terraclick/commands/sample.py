"""The verb `sample`: the packaged scene as a file."""

from __future__ import annotations

from pathlib import Path

import click

from terraclick.commands.options import (
    verb,
)
from terraclick.commands.parameters import NEW

__all__ = ["sample"]


@verb("sample", short_help="Copy the packaged scene to a file.")
@click.option("--out", "-o", required=True, type=NEW, help="GeoTIFF to write.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def sample(out: Path, overwrite: bool) -> None:
    """Copy the packaged sample scene (a made-up town, 0.3 m) to a file."""
    from terraclick.files import copy_file
    from terraclick.geo.raster import resolve_image

    copy_file(resolve_image("sample"), out, overwrite)
