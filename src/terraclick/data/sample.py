"""One question put to a predictor: this thing, or this kind of thing, in that picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from terraclick.core.click import Target

if TYPE_CHECKING:
    from terraclick.data.datasets import Picture

__all__ = ["Task"]


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

    @property
    def name(self) -> str:
        """Unique over all tasks of all datasets."""
        return f"{self.dataset}/{self.image_id}/{self.target.value}/{self.cls}/{self.instance}"

    def truth(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(truth, ignore), both (H, W) bool. Raises BadData where the files do not fit."""
        classes = self.picture.classes()
        if self.target is Target.CLASS:
            return classes == self.class_id, classes == 255
        return self.picture.instances() == self.instance, classes == 255
