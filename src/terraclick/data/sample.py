"""One question put to a predictor: this thing, or this kind of thing, in that picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.data.pictures import LARGEST_NUMBER
from terraclick.errors import BadConfig
from terraclick.values import Reference, Target

if TYPE_CHECKING:
    from terraclick.data.datasets import Dataset, Picture

__all__ = ["REFERENCES", "Task", "coarse_outline"]

REFERENCES = ("none", "both", "positive", "negative", "swapped")
"""What a predictor is shown before it is clicked: RefCut's table 3, and both masks exchanged: does it read them?"""


@dataclass(frozen=True)
class Task:
    """A target in a picture; masks are read when asked for. `instance` is the object's id, 0 for a class target."""

    dataset: str
    image_id: str
    cls: str
    class_id: int
    instance: int
    target: Target
    picture: Picture
    example: Picture | None = None
    """Another picture that shows the class, if one was asked for and there is one."""
    others: tuple[int, ...] = ()
    """Ids of the classes that count as what it is not."""

    @property
    def name(self) -> str:
        """Unique over all tasks of all datasets."""
        return f"{self.dataset}/{self.image_id}/{self.target.value}/{self.cls}/{self.instance}"

    def truth(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(truth, ignore), both (H, W) bool. Raises BadData where the files do not fit."""
        ignore = self.picture.classes() == LARGEST_NUMBER
        if self.target is Target.CLASS:
            return self.picture.showing(self.class_id), ignore
        return self.picture.instances(self.picture.thing(self.instance).plane) == self.instance, ignore

    def with_example(self, dataset: Dataset) -> Task:
        """The task with the next picture of its dataset, by file name, that shows its class (RefCut, section 3.3)."""
        pictures = sorted(dataset.pictures, key=lambda picture: picture.image_file)
        here = [picture.image_file for picture in pictures].index(self.picture.image_file)
        for picture in pictures[here + 1 :] + pictures[:here]:
            if any(thing.cls == self.class_id for thing in picture.objects):
                others = tuple(number for number in dataset.task_classes if number != self.class_id)
                return replace(self, example=picture, others=others)
        return self

    def references(self, kind: str, interval: int = 1, scale: float = 1.0) -> tuple[Reference, ...]:
        """The example by one of `REFERENCES`; masks that would be empty are left out. Raises BadConfig or BadData.

        `interval` takes every n-th point of the masks' outlines and joins them by straight lines, `scale`
        resizes picture and masks (RefCut, figure 5).
        """
        if kind not in REFERENCES:
            raise BadConfig(f"references {kind!r} are not known: give one of {', '.join(REFERENCES)}.")
        if self.example is None or kind == "none":
            return ()
        image, masks = self.example.image(), self._masks(self.example)
        if interval > 1:
            masks = coarse_outline(masks[0], interval), coarse_outline(masks[1], interval)
        if scale != 1:
            image, masks = _resized(image, scale), (_resized(masks[0], scale), _resized(masks[1], scale))
        found = []
        for positive, mask in ((True, masks[0]), (False, masks[1])):
            if mask.any() and kind in ("both", "swapped", "positive" if positive else "negative"):
                found.append(Reference(image, mask, positive != (kind == "swapped")))
        return tuple(found)

    def _masks(self, example: Picture) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """What the example shows of it and of what it is not, both (H, W)."""
        positives = example.showing(self.class_id)
        return positives, example.showing(*self.others) & ~positives


def coarse_outline(mask: NDArray[np.bool_], interval: int) -> NDArray[np.bool_]:
    """A mask (H, W) whose outlines go straight between every `interval`-th of their points, holes included."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    rings = [np.ascontiguousarray(ring[::interval]) for ring in found]
    drawn = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(drawn, [ring for ring in rings if len(ring) >= 3], 1)
    return drawn > 0


def _resized(array: NDArray[Any], scale: float) -> NDArray[Any]:
    """A picture or mask at another size: by area or linear for pictures, nearest for masks."""
    size = max(1, round(array.shape[1] * scale)), max(1, round(array.shape[0] * scale))
    if array.dtype == np.bool_:
        return np.asarray(cv2.resize(array.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT) > 0)
    return np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))
