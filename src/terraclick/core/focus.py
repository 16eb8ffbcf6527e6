"""The zoom-in rule: which part of a view the network should look at next (pure functions)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Window"]


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels: first row, first col, number of rows, number of cols."""

    row: int
    col: int
    rows: int
    cols: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, cols) to index an array with."""
        return slice(self.row, self.row + self.rows), slice(self.col, self.col + self.cols)

    def contains(self, row: float, col: float) -> bool:
        """Whether a point (pixel centres at integers) falls on a pixel of this window."""
        return (
            self.row - 0.5 <= row < self.row + self.rows - 0.5 and self.col - 0.5 <= col < self.col + self.cols - 0.5
        )
