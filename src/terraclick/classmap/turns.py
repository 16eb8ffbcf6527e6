"""Test-time augmentation of class maps: a picture is named several times, and the logits are averaged.

`lr` mirrors both ways, `d4` takes all eight turns and mirror images, `scales` resizes and mirrors: what the published
test scripts call d4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.classmap.model import MapModel, MapSpec
from terraclick.errors import BadConfig

__all__ = ["SCALES", "TURNS", "Turned", "turns_of"]

FloatArray = NDArray[np.float32]

UPRIGHT, MIRRORED = (0, False), (0, True)
TURNS: dict[str, tuple[tuple[int, bool], ...]] = {
    "none": (UPRIGHT,),
    "lr": (UPRIGHT, MIRRORED, (2, False), (2, True)),
    "d4": tuple((quarter, mirror) for mirror in (False, True) for quarter in range(4)),
    "scales": (UPRIGHT, MIRRORED),
}
"""Name → (quarter turns, mirrored afterwards) of each look at a tile."""

SCALES: dict[str, tuple[float, ...]] = {"scales": (0.75, 1.0, 1.25, 1.5)}
"""Name → sizes at which a whole picture is named; 1 where none is given."""


def turns_of(name: str, whole_picture: bool) -> tuple[tuple[int, bool], ...]:
    """The looks of a name. Raises BadConfig for an unknown one, and for sizes where a scene is read tile by tile."""
    offered = [one for one in TURNS if whole_picture or one not in SCALES]
    if name not in offered:
        raise BadConfig(f"test-time augmentation {name!r} is not offered here: give one of {', '.join(offered)}.")
    return TURNS[name]


@dataclass(frozen=True, eq=False)
class Turned:
    """A map model that looks at each tile turned and mirrored, and averages logits and heat."""

    inner: MapModel
    turns: tuple[tuple[int, bool], ...]

    @property
    def spec(self) -> MapSpec:
        """That of the model itself."""
        return self.inner.spec

    def __call__(self, image: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray | None]:
        """(S, S, 3) uint8 → logits (N, S, S) and heat (N, s, s) or None."""
        logits, heats = [], []
        for turn in self.turns:
            found, heat = self.inner(_turned(image, turn))
            logits.append(_back(found, turn))
            if heat is not None:
                heats.append(_back(heat, turn))
        return _mean(logits), _mean(heats) if heats else None


def _mean(planes: list[FloatArray]) -> FloatArray:
    return np.asarray(np.mean(planes, axis=0, dtype=np.float32), np.float32)


def _turned(image: NDArray[Any], turn: tuple[int, bool]) -> NDArray[Any]:
    """(H, W, …) after quarter turns, then mirrored left to right."""
    array = np.rot90(image, turn[0])
    return np.ascontiguousarray(array[:, ::-1] if turn[1] else array)


def _back(planes: FloatArray, turn: tuple[int, bool]) -> FloatArray:
    """(N, H, W) of a turned picture, turned back."""
    array = planes[:, :, ::-1] if turn[1] else planes
    return np.ascontiguousarray(np.rot90(array, -turn[0], axes=(1, 2)))
