"""What is as bright as the clicks: a toy without weights. Answers depend on view and prompt alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terraclick.core.click import Prompt
from terraclick.core.predictor import Prediction, View
from terraclick.predictors.scaled import NO_WEIGHTS, ScaledView, answer_at_full_size, need_positive, scaled
from terraclick.predictors.spec import PredictorSpec

__all__ = ["SPEC", "Brightness"]


@dataclass(frozen=True)
class Brightness:
    """Pixels whose grey value is near that under a positive click."""

    reach: float = 24.0
    """Difference of grey values at which a pixel is as likely as not."""
    max_side: int = 448

    def encode(self, view: View) -> ScaledView:
        """The view, shrunk if it is large."""
        return scaled(view, self.max_side)

    def predict(self, encoded: ScaledView, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Answer a prompt with at least one positive click (else BadClick); `previous` is not used."""
        need_positive(prompt)
        grey = encoded.image.astype(np.float32).mean(axis=2)
        rows, cols = grey.shape
        clicks = [click for click in encoded.clicks(prompt.clicks) if click.positive]
        tones = [grey[min(max(round(c.row), 0), rows - 1), min(max(round(c.col), 0), cols - 1)] for c in clicks]
        apart = np.min([np.abs(grey - tone) for tone in tones], axis=0)
        return answer_at_full_size(np.asarray(self.reach / (self.reach + apart), np.float32), encoded, prompt)


SPEC = PredictorSpec("brightness", "pixels as bright as the clicks", NO_WEIGHTS, Brightness)
