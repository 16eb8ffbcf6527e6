"""Prompts borrowed from other crops: clicks in another patch (CrossCut's setting) and references (RefCut's).

At work a class is clicked in one patch and wanted in all of them, and an example may come from another picture. A crop
is one patch, so training lends it the clicks or the reference masks of other crops that show the same class.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from terraclick.core.bank import BankRow, click_rows, reference_row
from terraclick.core.refit import colour_features
from terraclick.data.augment import Turn
from terraclick.terra.evidence import Marked, marked, marked_reference
from terraclick.terra.patches import ENCODER_SIDE, PatchFeatures
from terraclick.train.crops import Crop
from terraclick.values import Click, Target, Window

__all__ = ["Borrowed", "Lenders", "lent"]

COLOUR_SIDE = 224
"""Side at which a lender's colours are measured."""

SAME_PICTURE = 0.6
"""Chance that clicks are borrowed from another crop of the same picture, where there is one."""

NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (0, 2), (2, 0), (-2, 1))
"""Patches, in patch sides, in which borrowed clicks may be placed."""


@dataclass(frozen=True)
class Borrowed:
    """A prompt of another crop: a click at (row, col) there, or its whole truth as a reference (row is None).

    `asked` is the number of what the lender is asked for; offset says how many sides away that crop is placed; a
    reference has no place.
    """

    crop: int
    asked: int
    positive: bool
    row: float | None = None
    col: float | None = None
    offset: tuple[int, int] = (0, 0)


class Lenders:
    """Which crops can lend a prompt for a class: an index over the crops in use."""

    def __init__(self, crops: Mapping[int, Crop]) -> None:
        self.crops = crops
        self.by_class: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        self.by_picture: dict[tuple[str, str, int], list[tuple[int, int]]] = defaultdict(list)
        self.objects: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        self.classes: dict[str, list[int]] = defaultdict(list)
        for index, crop in crops.items():
            for number, asked in enumerate(crop.asked):
                place, dataset = (index, number), crop.source[0]
                if asked.target is Target.OBJECT:
                    self.objects[dataset, asked.cls].append(place)
                elif asked.target is Target.CLASS:
                    self.by_class[dataset, asked.cls].append(place)
                    key = (*crop.source, asked.cls)
                    self.by_picture[key].append(place)
                    if asked.cls not in self.classes[dataset]:
                        self.classes[dataset].append(asked.cls)

    def lender(self, crop: int, cls: int, rng: np.random.Generator, near: float) -> tuple[int, int] | None:
        """(crop, asked) that shows a class to another crop, with chance `near` from the same picture if one does."""
        source = self.crops[crop].source
        if rng.random() < near:
            key = (*source, cls)
            same = [place for place in self.by_picture[key] if place[0] != crop]
            if same:
                return same[rng.integers(len(same))]
        return _other(self.by_class[source[0], cls], crop, rng)

    def sibling(self, crop: int, cls: int, rng: np.random.Generator) -> tuple[int, int] | None:
        """(crop, asked) that shows a class to a crop from the patches that were cut together with it."""
        mine = self.crops[crop]
        key = (*mine.source, cls)
        beside = [
            place for place in self.by_picture[key] if place[0] != crop and self.crops[place[0]].sheet == mine.sheet
        ]
        return beside[rng.integers(len(beside))] if beside else None

    def clicks(self, crop: int, cls: int, rng: np.random.Generator) -> tuple[Borrowed, ...]:
        """One to five positive clicks on a class in another crop, and up to three negative ones; () if none can lend.

        The patches that were cut together come first, and keep their places.
        """
        place = self.sibling(crop, cls, rng)
        if place is None:
            place = self.lender(crop, cls, rng, SAME_PICTURE)
            offset = NEIGHBOURS[rng.integers(len(NEIGHBOURS))]
        else:
            there, here = self.crops[place[0]].place, self.crops[crop].place
            offset = (there[0] - here[0], there[1] - here[1])
        if place is None:
            return ()
        truth = self.crops[place[0]].asked[place[1]].truth
        borrowed = []
        for positive, count in ((True, int(rng.integers(1, 6))), (False, int(rng.integers(0, 4)))):
            rows, cols = np.nonzero(truth == (1 if positive else 0))
            for _ in range(count if len(rows) else 0):
                pixel = rng.integers(len(rows))
                borrowed.append(Borrowed(*place, positive, float(rows[pixel]), float(cols[pixel]), offset))
        return tuple(borrowed)

    def example(self, crop: int, cls: int, rng: np.random.Generator) -> tuple[int, int] | None:
        """(crop, asked) that shows one thing of a class, or all of it, from another crop at whatever scale that has."""
        others = self.objects[self.crops[crop].source[0], cls]
        if not others or rng.random() < 0.4:
            return self.lender(crop, cls, rng, 0.2)
        return _other(others, crop, rng)

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


def _other(places: list[tuple[int, int]], crop: int, rng: np.random.Generator) -> tuple[int, int] | None:
    """One of the places, unless it lies in the crop itself."""
    if not places:
        return None
    chosen = places[rng.integers(len(places))]
    return None if chosen[0] == crop else chosen


def lent(crops: Mapping[int, Crop], prompts: Sequence[Borrowed], turn: Turn) -> tuple[list[BankRow], list[Marked]]:
    """What borrowed prompts say: rows of the prompt bank, and evidence for the refitted classifiers.

    `turn` is how the borrowing crop lies: lenders keep the way they were cut, their places turn with it.
    """
    rows: list[BankRow] = []
    evidence: list[Marked] = []
    together: dict[int, list[Click]] = defaultdict(list)
    side = ENCODER_SIDE
    for prompt in prompts:
        crop = crops[prompt.crop]
        if prompt.row is None or prompt.col is None:
            features, truth = crop_features(crop), crop.asked[prompt.asked].truth == 1
            rows.append(reference_row(features.tokens, truth, prompt.positive))
            evidence.append(marked_reference(features, truth, prompt.positive))
            continue
        click = Click(prompt.row, prompt.col, prompt.positive)
        together[prompt.crop].append(click)
        row = click_rows([click], [crop.tokens.astype(np.float32)], [Window(0, 0, side, side)])[0]
        down, across = prompt.offset
        rows.append(BankRow(row.feature, row.positive, turn.point(click.row + down * side, click.col + across * side)))
    for number, clicks in together.items():
        evidence.append(marked(crop_features(crops[number]), Window(0, 0, side, side), clicks))
    return rows, evidence


def crop_features(crop: Crop) -> PatchFeatures:
    """A crop's features as its own picture shows them, at the side that training works at in the mean."""
    small = np.asarray(cv2.resize(crop.image, (COLOUR_SIDE, COLOUR_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    tokens, shallow, principal = (array.astype(np.float32) for array in (crop.tokens, crop.shallow, crop.principal))
    return PatchFeatures(tokens, shallow, principal, colour_features(small))
