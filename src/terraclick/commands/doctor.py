"""The verb `doctor`: what is installed and how fast it is."""

from __future__ import annotations

import click

from terraclick.commands.options import (
    json_option,
    verb,
)
from terraclick.commands.output import print_answer

__all__ = ["doctor"]


@verb("doctor", short_help="Say what is installed and how fast it is.")
@click.option("--speed", is_flag=True, help="Also measure how fast a view is encoded and a click answered here.")
@json_option
def doctor(speed: bool, as_json: bool) -> None:
    """Say what is installed, which engine answers, and whose weights are aboard."""
    from terraclick import doctor as room
    from terraclick.catalogue import load

    health = room.checkup()
    if speed:
        health["speed"] = room.speed(load("terra-single"), load("terra"), load("terra-fused"))
        health["peak_memory_mb"] = room.peak_memory_mb()
    print_answer(health, as_json, room.as_lines(health))
