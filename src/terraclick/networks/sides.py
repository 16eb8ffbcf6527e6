"""Published input sides."""

from __future__ import annotations

__all__ = ["side_of"]

SIDES = {"ritm": 400, "focalclick-b0-s1": 256, "focalclick": 384, "segnext": 1024, "crosscut": 896, "sam": 1024}
"""Input side in pixels by start of name, first that fits; 448 for the others."""


def side_of(name: str) -> int:
    """Side in pixels of the square that a network is measured on: its published input."""
    return next((side for start, side in SIDES.items() if name.startswith(start)), 448)
