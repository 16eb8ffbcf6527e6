"""The values that every room speaks of: what is clicked, what is seen, what is answered.

Pixel convention of the whole package: row 0, col 0 is the CENTRE of the top-left pixel, so the picture covers
rows −0.5 … height − 0.5. The half pixel between this and map corners lives in `geo/grid.py` only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MASK_THRESHOLD",
    "Bounds",
    "Box",
    "Click",
    "Prediction",
    "Prompt",
    "Reference",
    "Stretch",
    "Target",
    "View",
    "Window",
]

Bounds: TypeAlias = tuple[float, float, float, float]
"""(left, bottom, right, top) in map coordinates, left < right and bottom < top."""

Stretch: TypeAlias = str | tuple[float, float] | Sequence[tuple[float, float]]
"""How values become 0-255: "auto", "percent", "none", one (min, max), or one (min, max) per band read.

Numbers are true values: where a file declares a scale and an offset (as QGIS applies them), those are counted in.
"""


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels: first row, first col, number of rows, number of cols."""

    row: int
    col: int
    rows: int
    cols: int

    @staticmethod
    def around(mask: NDArray[Any]) -> Window | None:
        """The smallest window of an array (H, W) outside which all is zero; None where everything is."""
        rows = np.flatnonzero(mask.any(axis=1))
        if rows.size == 0:
            return None
        cols = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
        return Window(int(rows[0]), int(cols[0]), int(rows[-1] - rows[0]) + 1, int(cols[-1] - cols[0]) + 1)

    @property
    def last_row(self) -> int:
        """The last row that belongs to it."""
        return self.row + self.rows - 1

    @property
    def last_col(self) -> int:
        """The last column that belongs to it."""
        return self.col + self.cols - 1

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, cols) to index an array with."""
        return slice(self.row, self.row + self.rows), slice(self.col, self.col + self.cols)

    def clipped(self, shape: tuple[int, ...]) -> tuple[Window, Window]:
        """The part that lies on an array of `shape` (H, W, …): in the array's pixels, then in this window's own."""
        row, col = max(self.row, 0), max(self.col, 0)
        rows = max(min(self.row + self.rows, shape[0]) - row, 0)
        cols = max(min(self.col + self.cols, shape[1]) - col, 0)
        return Window(row, col, rows, cols), Window(row - self.row, col - self.col, rows, cols)

    def contains(self, row: float, col: float) -> bool:
        """Whether a point (pixel centres at integers) falls on a pixel of this window."""
        return self.row - 0.5 <= row < self.row + self.rows - 0.5 and self.col - 0.5 <= col < self.col + self.cols - 0.5


class Target(StrEnum):
    """What a click means: the one connected thing under it, or all pixels of that kind in the view."""

    OBJECT = "object"
    CLASS = "class"


@dataclass(frozen=True)
class Click:
    """One click in view pixels (may be fractional); positive includes, negative excludes."""

    row: float
    col: float
    positive: bool = True


@dataclass(frozen=True)
class Box:
    """A rectangle around a thing, in view pixels (may be fractional): its edges, top < bottom and left < right."""

    top: float
    left: float
    bottom: float
    right: float

    @property
    def middle(self) -> tuple[float, float]:
        """(row, col) of its centre."""
        return (self.top + self.bottom) / 2, (self.left + self.right) / 2


@dataclass(frozen=True, eq=False)
class Reference:
    """An example from this or another picture: image (h, w, 3) uint8, mask (h, w) bool; negative: *not like this*."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    positive: bool = True


@dataclass(frozen=True)
class Prompt:
    """Everything a person has said about one thing: clicks in the order given, the target kind, references, a box."""

    clicks: tuple[Click, ...]
    target: Target = Target.OBJECT
    references: tuple[Reference, ...] = ()
    box: Box | None = None
    """Drawn around the thing; for predictors that read boxes (`core.predictor.reads_box`)."""

    @property
    def positives(self) -> tuple[Click, ...]:
        """The clicks that include."""
        return tuple(click for click in self.clicks if click.positive)

    @property
    def negatives(self) -> tuple[Click, ...]:
        """The clicks that exclude."""
        return tuple(click for click in self.clicks if not click.positive)


MASK_THRESHOLD = 0.49
"""Probability above which a pixel belongs to the mask (the published evaluation's value)."""


@dataclass(frozen=True, eq=False)
class View:
    """A picture as the model sees it: image (H, W, 3) uint8 RGB, valid (H, W) bool or None, gsd in metres or None.

    For a network that reads more bands the image has them after red, green and blue.
    """

    image: NDArray[np.uint8]
    valid: NDArray[np.bool_] | None = None
    gsd: float | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.image.shape[0], self.image.shape[1]

    @cached_property
    def content(self) -> bytes:
        """A key of everything that an encoding may depend on: equal for equal pictures. Computed once."""
        digest = hashlib.blake2b(repr((self.image.shape, self.valid is None, self.gsd)).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(self.image).data)
        if self.valid is not None:
            digest.update(np.ascontiguousarray(self.valid).view(np.uint8).data)
        return digest.digest()

    def crop(self, window: Window) -> View:
        """The part inside `window`; arrays are views into this one's memory."""
        rows, cols = window.slices
        return View(self.image[rows, cols], None if self.valid is None else self.valid[rows, cols], self.gsd)


@dataclass(frozen=True, eq=False)
class Prediction:
    """An answer for a whole view: probs (H, W) float32 in [0, 1]; focus = the window the network looked at, if any.

    memory is what the predictor wants to be given back with this answer as the previous one, and means nothing to
    others; without it the next answer costs more or differs slightly, as the predictor says.
    """

    probs: NDArray[np.float32]
    focus: Window | None = None
    threshold: float = field(default=MASK_THRESHOLD)
    memory: object | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool: probs above the threshold."""
        return np.asarray(self.probs > self.threshold, dtype=np.bool_)

    @staticmethod
    def from_mask(mask: NDArray[np.bool_]) -> Prediction:
        """A certain answer to start from: an imported polygon, a class map, an earlier object."""
        return Prediction(mask.astype(np.float32))
