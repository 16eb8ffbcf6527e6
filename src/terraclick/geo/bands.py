"""Which bands are seen as red, green and blue, which one hides pixels, and what a palette means.

Descriptions go before declared colours where they name all three: a file written without a thought calls its first
three bands red, green and blue (TIFF's default), while somebody wrote "blue" into a description on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from terraclick.errors import BadInput
from terraclick.geo.opening import RasterFile, stored_types

__all__ = ["chosen_bands", "described_colours", "hides_pixels", "palette_of"]

_WORDS = {
    "red": {"red", "rot", "rouge", "rojo", "rosso", "vermelho", "b04"},
    "green": {"green", "grün", "gruen", "vert", "verde", "b03"},
    "blue": {"blue", "blau", "bleu", "azul", "blu", "b02"},
}
_COUNTED = {"b2": "blue", "b3": "green", "b4": "red"}
"""Bands by their number, as Landsat 8 and Sentinel-2 count them."""
_NOT = {"edge", "rededge", "coastal", "nir", "infrared", "yellow", "deep", "ultra", "shortwave", "swir", "rand"}
_INVISIBLE = {"nir", "nir1", "nir2", "infrared", "rededge", "swir", "thermal", "infrarot", "infrarouge", "dsm", "b08"}


def chosen_bands(file: RasterFile, bands: Sequence[int] | None) -> tuple[int, ...]:
    """Band numbers to read: one or three, as asked or as the file says. Raises BadInput."""
    count = file.data.count
    if bands is not None:
        if len(bands) not in (1, 3) or not all(1 <= band <= count for band in bands):
            raise BadInput(f"bands {tuple(bands)} were asked of {file.path.name}; give one or three of 1 to {count}.")
        return tuple(int(band) for band in bands)
    described = described_colours(file.descriptions)
    if described is not None:
        return described
    meaning = file.meaning
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in meaning for colour in colours):
        return tuple(meaning.index(colour) + 1 for colour in colours)
    alpha = _alpha(file)
    plain = [number for number in range(1, count + 1) if number != alpha] or [1]
    return tuple(plain[:3]) if len(plain) >= 3 else (plain[0],)


def described_colours(descriptions: Sequence[str]) -> tuple[int, int, int] | None:
    """The bands described as red, green and blue; None unless each of them is exactly one band."""
    found: dict[str, list[int]] = {colour: [] for colour in _WORDS}
    every = [_words_of(text) for text in descriptions]
    counted = not any("b1" in words for words in every)  # where B1 is there, B2 may be blue (Landsat 8) or green (7)
    for number, words in enumerate(every, start=1):
        if counted:
            words = {_COUNTED.get(word, word) for word in words}
        if words & _NOT:
            continue
        for colour, names in _WORDS.items():
            if words & names:
                found[colour].append(number)
    if any(len(numbers) != 1 for numbers in found.values()):
        return None
    red, green, blue = (found[colour][0] for colour in ("red", "green", "blue"))
    return (red, green, blue) if len({red, green, blue}) == 3 else None


def _words_of(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", text.casefold()))


def hides_pixels(file: RasterFile, bands: Sequence[int]) -> int | None:
    """The alpha band that hides pixels of a view of `bands`; None if there is none, or it is seen or switched off."""
    alpha = _alpha(file)
    return None if alpha is None or alpha in bands else alpha


def _alpha(file: RasterFile) -> int | None:
    """The band declared alpha, unless it is switched off or described as something that can be seen."""
    if not file.reading.alpha or ColorInterp.alpha not in file.meaning:
        return None
    number = int(file.meaning.index(ColorInterp.alpha)) + 1
    return None if _words_of(file.descriptions[number - 1]) & _INVISIBLE else number


def palette_of(file: RasterFile, bands: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """Colour table (values, 4) RGBA of a palette image."""
    if len(bands) != 1 or file.meaning[bands[0] - 1] != ColorInterp.palette:
        return None
    kind = np.dtype(stored_types(file.data)[bands[0] - 1])
    try:
        table: dict[int, Any] = file.data.colormap(bands[0])
    except ValueError:
        return None
    if kind.kind != "u" or kind.itemsize > 2:
        return None
    colours = np.zeros((2 ** (8 * kind.itemsize), 4), dtype=np.uint8)
    for value, rgba in table.items():
        if 0 <= value < len(colours):
            colours[value] = rgba
    return colours
