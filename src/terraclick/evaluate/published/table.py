"""What a paper's table is: its columns, the published numbers, and which prepared sets it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from terraclick.datasets.catalogue import DATASETS
from terraclick.values import Target

__all__ = ["CLASS_MAP", "NOT_TOLD", "Column", "Table", "columns", "rows"]

CLASS_MAP = "class map"
"""What a table is of whose rows name every pixel, where others are of clicks on a target."""

NOT_TOLD = float("nan")
"""A number that a table leaves out."""

HEADINGS = {
    "noc": "NoC@{at}",
    "nof": "NoF@{at}",
    "miou": "mIoU@{at}",
    "class_iou": "IoU",
    "class_f1": "F1",
    "mean_iou": "mIoU",
    "mean_f1": "mF1",
    "accuracy": "OA",
    "fps": "FPS",
}
"""Figures of a table by name → the head of their column."""


@dataclass(frozen=True)
class Column:
    """One figure of `HEADINGS`: of which prepared set and class, at which percentage or number of clicks."""

    dataset: str
    figure: str
    at: str = ""
    cls: str = "all"
    group: int | None = None
    """Which of the class's groups by area, from 0 for the smallest; None for all sizes."""
    size: str = ""
    """The group's sizes as the paper prints them."""

    @property
    def heading(self) -> str:
        """As the head of the table says it."""
        words = [self.dataset, *([] if self.cls == "all" else [self.cls]), self.size]
        return " ".join(word for word in [*words, HEADINGS[self.figure].format(at=self.at)] if word)


@dataclass(frozen=True)
class Table:
    """A table: its protocol, its columns and the published numbers, a row a method."""

    name: str
    title: str
    preset: str
    """A preset of the benchmark; for class maps the dataset's protocol."""
    target: Target | str
    """What is clicked, or `CLASS_MAP`."""
    columns: tuple[Column, ...]
    rows: Mapping[str, tuple[float, ...]]
    remark: str = ""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows.values()), self.name

    @property
    def datasets(self) -> tuple[str, ...]:
        """The prepared sets it needs, in order."""
        return tuple(dict.fromkeys(column.dataset for column in self.columns))

    @property
    def size_groups(self) -> int:
        """How many groups by area its columns speak of, 0 for none."""
        return max((column.group + 1 for column in self.columns if column.group is not None), default=0)

    def drawn(self, dataset: str) -> int | None:
        """How many tasks the paper draws from a set, as the set's declaration says; None for all."""
        one = DATASETS.get(dataset)
        return None if one is None else one.drawn.get(self.preset)


def columns(
    datasets: Sequence[str], figure: str, levels: Sequence[int], classes: Sequence[str] = ("all",)
) -> tuple[Column, ...]:
    """A column for every set, class and level, in this order."""
    return tuple(Column(d, figure, str(level), cls) for d in datasets for cls in classes for level in levels)


def rows(text: str) -> Mapping[str, tuple[float, ...]]:
    """Lines `method: numbers` → the numbers by method; a dash is a number that is left out."""
    found = {}
    for line in text.strip().splitlines():
        method, _, numbers = line.rpartition(":")
        assert method.strip() not in found, method
        found[method.strip()] = tuple(NOT_TOLD if word == "-" else float(word) for word in numbers.split())
    return MappingProxyType(found)
