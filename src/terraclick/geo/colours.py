"""Colours of classes: what a new class gets, and how a colour is written for those who read it."""

from __future__ import annotations

import re

__all__ = ["PALETTE", "palette_colour", "rgb_of"]

PALETTE = tuple(
    "#e31a1c #1f78b4 #33a02c #ff7f00 #6a3d9a #b15928 #e7298a #17becf #bcbd22 #666666 #a6cee3 #b2df8a #fb9a99 #fdbf6f "
    "#cab2d6 #8dd3c7".split()
)
"""Colours that people tell apart, for classes that nobody gave one."""


def palette_colour(number: int) -> str:
    """The colour of a class of that number that nobody gave one."""
    return PALETTE[(number - 1) % len(PALETTE)]


def rgb_of(colour: str | None, number: int = 1) -> tuple[int, int, int]:
    """#rrggbb as three numbers; anything else is the colour of that number."""
    text = colour if isinstance(colour, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", colour) else palette_colour(number)
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
