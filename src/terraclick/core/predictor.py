"""The one narrow seam between a click and a network: a view goes in slowly once, clicks are answered fast.

Zoom-in, flipping, repeated refinement, fusion of divisions and caching are all *Predictor in, Predictor out*
(`predictors/wrappers.py`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from terraclick.core.click import Prompt
from terraclick.core.focus import Window

__all__ = ["MASK_THRESHOLD", "Prediction", "Predictor", "View"]

MASK_THRESHOLD = 0.49
"""Probability above which a pixel belongs to the mask (the published evaluation's value)."""


@dataclass(frozen=True, eq=False)
class View:
    """A picture as the model sees it: image (H, W, 3) uint8 RGB, valid (H, W) bool or None, gsd in metres or None."""

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


class Predictor(Protocol):
    """Anything that answers clicks. Slow work once per view in `encode`; fast work per click in `predict`.

    `encode` must depend on the view alone and `predict` on its arguments alone: calling either twice gives the same
    answer, so undo, replay and caching can never change a mask. `previous` is the answer to the same prompt without
    its last click (None on the first), given in full view pixels.
    """

    def encode(self, view: View) -> Any:
        """Do the work that needs no click; the result is only ever handed back to `predict`."""
        ...

    def predict(self, encoded: Any, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Answer a prompt that holds at least one positive click or reference."""
        ...
