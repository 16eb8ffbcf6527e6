"""Prompts borrowed from other crops: clicks in another patch (CrossCut's setting) and references (RefCut's).

At work a class is clicked in one patch and wanted in all of them, and an example may come from another picture. A crop
is one patch, so training lends it the clicks or the reference masks of other crops that show the same class.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from terraclick.core.bank import BankRow, click_rows, reference_row
from terraclick.core.click import Click, Target
from terraclick.core.focus import Window
from terraclick.train.crops import Crop

__all__ = ["Borrowed", "Lenders", "bank_row"]

SAME_PICTURE = 0.6
"""Chance that clicks are borrowed from another crop of the same picture, where there is one."""

NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (0, 2), (2, 0), (-2, 1))
"""Patches, in patch sides, in which borrowed clicks may be placed."""


@dataclass(frozen=True)
class Borrowed:
    """A prompt of another crop: a click at (row, col) there, or its whole truth as a reference (row is None).

    offset says how many sides away that crop is placed; a reference has no place.
    """

    crop: int
    task: int
    positive: bool
    row: float | None = None
    col: float | None = None
    offset: tuple[int, int] = (0, 0)


def bank_row(crops: list[Crop], borrowed: Borrowed) -> BankRow:
    """The row of the prompt bank that a borrowed prompt makes."""
    crop = crops[borrowed.crop]
    features = crop.features.astype(np.float32)
    if borrowed.row is None or borrowed.col is None:
        return reference_row(features, crop.tasks[borrowed.task][1] == 1, borrowed.positive)
    side = crop.image.shape[0]
    click = Click(borrowed.row, borrowed.col, borrowed.positive)
    row = click_rows([click], [features], [Window(0, 0, side, side)])[0]
    down, across = borrowed.offset
    return BankRow(row.feature, row.positive, (click.row + down * side, click.col + across * side))


class Lenders:
    """Which crops can lend a prompt for a class: an index over the crops, built once."""

    def __init__(self, crops: list[Crop]) -> None:
        self.crops = crops
        self.by_class: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        self.by_picture: dict[tuple[str, str, int], list[tuple[int, int]]] = defaultdict(list)
        self.objects: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        self.classes: dict[str, list[int]] = defaultdict(list)
        for index, crop in enumerate(crops):
            for task, (cls, (target, _)) in enumerate(zip(crop.classes, crop.tasks, strict=True)):
                if target is Target.OBJECT:
                    self.objects[crop.source[0], cls].append((index, task))
                else:
                    self.by_class[crop.source[0], cls].append((index, task))
                    self.by_picture[(*crop.source, cls)].append((index, task))
                    if cls not in self.classes[crop.source[0]]:
                        self.classes[crop.source[0]].append(cls)

    def lender(self, crop: int, cls: int, rng: np.random.Generator, near: float) -> tuple[int, int] | None:
        """(crop, task) that shows a class to another crop, with chance `near` from the same picture if one does."""
        source = self.crops[crop].source
        if rng.random() < near:
            same = [place for place in self.by_picture[(*source, cls)] if place[0] != crop]
            if same:
                return same[rng.integers(len(same))]
        others = self.by_class[source[0], cls]
        if not others:
            return None
        chosen = others[rng.integers(len(others))]
        return None if chosen[0] == crop else chosen

    def clicks(self, crop: int, cls: int, rng: np.random.Generator) -> tuple[Borrowed, ...]:
        """One to four positive clicks on a class in another crop, and up to two negative ones; () if none can lend."""
        place = self.lender(crop, cls, rng, SAME_PICTURE)
        if place is None:
            return ()
        truth = self.crops[place[0]].tasks[place[1]][1]
        offset = NEIGHBOURS[rng.integers(len(NEIGHBOURS))]
        borrowed = []
        for positive, count in ((True, int(rng.integers(1, 5))), (False, int(rng.integers(0, 3)))):
            rows, cols = np.nonzero(truth == (1 if positive else 0))
            for _ in range(count if len(rows) else 0):
                pixel = rng.integers(len(rows))
                borrowed.append(Borrowed(*place, positive, float(rows[pixel]), float(cols[pixel]), offset))
        return tuple(borrowed)

    def example(self, crop: int, cls: int, rng: np.random.Generator) -> tuple[int, int] | None:
        """(crop, task) that shows one thing of a class, or all of it, from another crop at whatever scale that has."""
        others = self.objects[self.crops[crop].source[0], cls]
        if not others or rng.random() < 0.4:
            return self.lender(crop, cls, rng, 0.2)
        chosen = others[rng.integers(len(others))]
        return None if chosen[0] == crop else chosen

    def references(self, crop: int, cls: int, rng: np.random.Generator) -> tuple[Borrowed, ...]:
        """One to three references of a class, and sometimes one of another class as a negative; () if none can lend."""
        borrowed = []
        for _ in range(int(rng.integers(1, 4))):
            place = self.example(crop, cls, rng)
            if place is not None:
                borrowed.append(Borrowed(*place, True))
        others = [number for number in self.classes[self.crops[crop].source[0]] if number != cls]
        if borrowed and others and rng.random() < 0.4:
            place = self.example(crop, others[rng.integers(len(others))], rng)
            if place is not None:
                borrowed.append(Borrowed(*place, False))
        return tuple(borrowed)
