"""GrabCut from clicks: a graph cut on colour mixtures (Rother et al. 2004). Answers depend on view and prompt alone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from terraclick.core.clickmaps import squared_distance
from terraclick.predictors.scaled import NO_WEIGHTS, ScaledView, answer_at_full_size, need_positive, scaled
from terraclick.predictors.spec import PredictorSpec
from terraclick.values import Prediction, Prompt, View

__all__ = ["SPEC", "GrabCut"]


@dataclass(frozen=True)
class GrabCut:
    """GrabCut (colour mixtures and a graph cut) that begins from disks around the positive clicks."""

    prior: float = 40.0
    """Radius in pixels of the probable foreground around a positive click."""
    radius: float = 3.0
    """Radius in pixels of the certain pixels around every click."""
    rounds: int = 3
    max_side: int = 448

    def encode(self, view: View) -> ScaledView:
        """The view, shrunk if it is large."""
        return scaled(view, self.max_side)

    def predict(self, encoded: ScaledView, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Answer a prompt with at least one positive click (else BadClick); `previous` is not used."""
        need_positive(prompt)
        clicks = encoded.clicks(prompt.clicks)
        shape = encoded.image.shape[:2]
        positive = squared_distance([c for c in clicks if c.positive], shape)
        negative = squared_distance([c for c in clicks if not c.positive], shape)
        near = (positive <= self.prior**2) & (positive < negative)
        labels = np.where(near, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        labels[(negative <= self.radius**2) & (negative <= positive)] = cv2.GC_BGD
        labels[(positive <= self.radius**2) & (positive < negative)] = cv2.GC_FGD
        # a click between pixel centres, or one under another of the other sign, may have marked nothing: the last wins
        for click in clicks:
            row, col = min(max(round(click.row), 0), shape[0] - 1), min(max(round(click.col), 0), shape[1] - 1)
            labels[row, col] = cv2.GC_FGD if click.positive else cv2.GC_BGD
        foreground = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
        if not foreground.all() and foreground.any():
            cv2.setRNGSeed(0)
            models = np.zeros((1, 65)), np.zeros((1, 65))
            image, no_box = np.ascontiguousarray(encoded.image), (0, 0, 1, 1)  # with a mask the box is not read
            cv2.grabCut(image, labels, no_box, *models, self.rounds, cv2.GC_INIT_WITH_MASK)
            foreground = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
        return answer_at_full_size(foreground.astype(np.float32), encoded, prompt)


SPEC = PredictorSpec("grabcut", "GrabCut from clicks: colour models and a graph cut", NO_WEIGHTS, GrabCut)
