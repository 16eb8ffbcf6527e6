"""What methods without weights share: a view shrunk to what they can afford, and the answer at its own size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terraclick.core.focus import resize
from terraclick.core.masks import clicked_components
from terraclick.errors import BadClick
from terraclick.values import Click, Prediction, Prompt, Target, View

__all__ = ["NO_WEIGHTS", "ScaledView", "answer_at_full_size", "need_positive", "scaled"]

FloatArray = NDArray[np.float32]

NO_WEIGHTS = "method without weights"
"""Stands where a model with weights names their licence."""


@dataclass(frozen=True, eq=False)
class ScaledView:
    """A view shrunk to what a classical method can afford: image (h, w, 3) uint8, the view's own shape."""

    image: NDArray[np.uint8]
    shape: tuple[int, int]

    def clicks(self, clicks: tuple[Click, ...]) -> tuple[Click, ...]:
        """The clicks in pixels of the shrunk image."""
        down, across = self.image.shape[0] / self.shape[0], self.image.shape[1] / self.shape[1]
        return tuple(
            Click((click.row + 0.5) * down - 0.5, (click.col + 0.5) * across - 0.5, click.positive) for click in clicks
        )


def scaled(view: View, max_side: int) -> ScaledView:
    """The view with its longer side at most `max_side`."""
    factor = min(1.0, max_side / max(view.shape))
    size = max(1, round(view.shape[0] * factor)), max(1, round(view.shape[1] * factor))
    return ScaledView(resize(view.image, size), view.shape)


def need_positive(prompt: Prompt) -> None:
    """Raises BadClick without a positive click."""
    if not prompt.positives:
        raise BadClick("this predictor needs a click on the thing you want: add a positive click.")


def answer_at_full_size(probs: FloatArray, encoded: ScaledView, prompt: Prompt) -> Prediction:
    """The answer at the view's size; for an object only what hangs together with a positive click."""
    full = resize(probs.astype(np.float32), encoded.shape)
    if prompt.target is Target.OBJECT:
        mask = Prediction(full).mask
        full = np.where(mask & ~clicked_components(mask, prompt.clicks), np.float32(0), full)
    return Prediction(full)
