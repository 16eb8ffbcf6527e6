"""RefCut's combination evaluation: single parts of an object, its pairs of connected parts, and the whole object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.data.datasets import Dataset, Picture, Thing
from terraclick.data.pictures import LARGEST_NUMBER
from terraclick.data.sample import Task
from terraclick.values import Target

__all__ = ["KINDS", "Combination", "combination_tasks", "objects_with_parts"]

KINDS = ("part", "dual", "whole")
"""A single part, two connected parts, all parts: the columns of RefCut's table 4."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Combination(Task):
    """Some parts of one object together. `cls` is one of `KINDS`; ids of parts are those of the picture.

    `members` are asked for; of the example picture `shown` are the same parts of another object, `hidden` its others.
    """

    members: tuple[int, ...] = ()
    shown: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Unique over all tasks of all datasets."""
        return f"{self.dataset}/{self.image_id}/{self.cls}/{'+'.join(map(str, self.members))}"

    def truth(self) -> tuple[Mask, Mask]:
        """(truth, ignore), both (H, W) bool: the pixels of all members."""
        return _union(self.picture, self.members), self.picture.classes() == LARGEST_NUMBER

    def with_example(self, dataset: Dataset) -> Combination:
        """The task with the next picture, by file name, whose object has the same parts (RefCut, section 3.3)."""
        wanted = {self.picture.thing(member).cls for member in self.members}
        pictures = sorted(dataset.pictures, key=lambda picture: picture.image_file)
        here = [picture.image_file for picture in pictures].index(self.picture.image_file)
        for picture in pictures[here + 1 :] + pictures[:here]:
            for _, parts in objects_with_parts(picture):
                if wanted <= {part.cls for part in parts} and (
                    self.cls != "whole" or len(wanted) == len(_kinds(parts))
                ):
                    shown = tuple(part.id for part in parts if part.cls in wanted)
                    hidden = tuple(part.id for part in parts if part.cls not in wanted)
                    return replace(self, example=picture, shown=shown, hidden=hidden)
        return self

    def _masks(self, example: Picture) -> tuple[Mask, Mask]:
        positives = _union(example, self.shown)
        return positives, _union(example, self.hidden) & ~positives


def combination_tasks(dataset: Dataset, min_area: int = 1) -> list[Combination]:
    """Every combination of every object with parts; reads the masks. Raises BadData.

    An object of one part has no whole of its own: it would be asked twice. Parts of one class count as one part.
    """
    tasks = []
    for picture in dataset.pictures:
        for whole, parts in objects_with_parts(picture):
            groups = [tuple(part.id for part in parts if part.cls == cls) for cls in _kinds(parts)]
            masks = [_union(picture, group) for group in groups]
            kept = [n for n, mask in enumerate(masks) if np.count_nonzero(mask) >= min_area]
            chosen: list[tuple[str, tuple[int, ...]]] = [("part", (n,)) for n in kept]
            chosen += [("dual", pair) for pair in combinations(kept, 2) if _touch(*(masks[n] for n in pair))]
            chosen += [("whole", tuple(kept))] if len(kept) > 1 else []
            tasks += [
                Combination(
                    dataset.name,
                    picture.id,
                    kind,
                    whole.cls,
                    whole.id,
                    Target.OBJECT,
                    picture,
                    members=tuple(member for n in some for member in groups[n]),
                )
                for kind, some in chosen
            ]
    return tasks


def objects_with_parts(picture: Picture) -> list[tuple[Thing, list[Thing]]]:
    """Objects with their parts, in the order of their ids."""
    owned: dict[int, list[Thing]] = {}
    for thing in picture.objects:
        if thing.of:
            owned.setdefault(thing.of, []).append(thing)
    return [(picture.thing(whole), parts) for whole, parts in sorted(owned.items())]


def _kinds(parts: Sequence[Thing]) -> list[int]:
    return list(dict.fromkeys(part.cls for part in parts))


def _union(picture: Picture, members: Sequence[int]) -> Mask:
    """Pixels of some objects (H, W)."""
    mask = np.zeros(picture.shape, np.bool_)
    for plane in {picture.thing(member).plane for member in members}:
        mask |= np.isin(picture.instances(plane), members)
    return mask


def _touch(first: Mask, second: Mask) -> bool:
    """Whether two masks overlap or have neighbouring pixels, corners included."""
    grown = cv2.dilate(first.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return bool((grown & second).any())
