"""The verb `bounds`: where an image lies."""

from __future__ import annotations

import click

from terraclick.commands.options import verb
from terraclick.commands.output import tell

__all__ = ["bounds"]


@verb("bounds", short_help="Say where an image lies.")
@click.argument("image")
def bounds(image: str) -> None:
    """Print left, bottom, right and top of IMAGE in its own coordinates."""
    from terraclick.geo.raster import read_info, resolve_image

    tell(", ".join(f"{side:.10g}" for side in read_info(resolve_image(image)).grid.bounds))
