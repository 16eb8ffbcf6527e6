"""A random walker from clicks (Grady 2006). Answers depend on view and prompt alone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.core.clickmaps import squared_distance
from terraclick.predictors.scaled import NO_WEIGHTS, ScaledView, answer_at_full_size, need_positive, scaled
from terraclick.predictors.spec import PredictorSpec
from terraclick.values import Click, Prediction, Prompt, Target, View

__all__ = ["SPEC", "RandomWalker"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class RandomWalker:
    """Grady's random walker with colour priors: the chance that a walk from a pixel meets a positive click first."""

    beta: float = 300.0
    """How hard it is to cross a colour edge."""
    prior: float = 0.02
    """Strength of the colour prior against the walk."""
    reach: float = 60.0
    """Object target: pixels over which the prior fades away from the positive clicks."""
    colour: float = 0.12
    """Colour distance at which a pixel is as unlike the clicks as the unknown background."""
    max_side: int = 192
    steps: int = 250

    def encode(self, view: View) -> ScaledView:
        """The view at the resolution the walk can afford, lightly smoothed."""
        small = scaled(view, self.max_side)
        return ScaledView(np.asarray(cv2.GaussianBlur(small.image, (3, 3), 0)), small.shape)

    def predict(self, encoded: ScaledView, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Answer a prompt with at least one positive click (else BadClick); `previous` is not used."""
        need_positive(prompt)
        clicks = encoded.clicks(prompt.clicks)
        image = np.asarray(cv2.cvtColor(encoded.image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100, np.float32)
        shape = image.shape[:2]
        likely = self._likely(image, clicks, prompt.target, encoded)
        seeds = np.full(shape, -1, dtype=np.int8)
        for click in clicks:
            row, col = min(max(round(click.row), 0), shape[0] - 1), min(max(round(click.col), 0), shape[1] - 1)
            seeds[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2] = click.positive
        return answer_at_full_size(_walk(image, likely, seeds, self), encoded, prompt)

    def _likely(
        self, image: NDArray[np.floating], clicks: tuple[Click, ...], target: Target, encoded: ScaledView
    ) -> FloatArray:
        """Prior chance (h, w) of foreground: colour like a positive click, unlike a negative one, and near (object)."""
        like = [np.full(image.shape[:2], np.inf), np.full(image.shape[:2], self.colour**2)]
        for click in clicks:
            row = min(max(round(click.row), 0), image.shape[0] - 1)
            col = min(max(round(click.col), 0), image.shape[1] - 1)
            tone = image[max(row - 2, 0) : row + 3, max(col - 2, 0) : col + 3].mean(axis=(0, 1))
            side = 0 if click.positive else 1
            like[side] = np.minimum(like[side], ((image - tone) ** 2).sum(axis=2))
        likely = like[1] / np.maximum(like[0] + like[1], 1e-9)
        if target is Target.OBJECT:
            reach = self.reach * image.shape[0] / encoded.shape[0]
            far = squared_distance([c for c in clicks if c.positive], image.shape[:2])
            likely = likely * np.exp(-far / (2 * reach**2))
        return np.asarray(likely, np.float32)


def _walk(image: FloatArray, likely: FloatArray, seeds: NDArray[np.int8], rule: RandomWalker) -> FloatArray:
    """Solve (L + prior) x = prior · likely with x fixed at the seeds, by preconditioned conjugate gradients."""
    down = np.exp(-rule.beta * ((image[1:] - image[:-1]) ** 2).sum(axis=2)) + 1e-4
    across = np.exp(-rule.beta * ((image[:, 1:] - image[:, :-1]) ** 2).sum(axis=2)) + 1e-4
    free = (seeds < 0).astype(np.float32)
    diagonal = np.full(likely.shape, rule.prior, dtype=np.float32)
    diagonal[1:] += down
    diagonal[:-1] += down
    diagonal[:, 1:] += across
    diagonal[:, :-1] += across

    def apply(x: NDArray[np.floating]) -> NDArray[np.floating]:
        out: NDArray[np.floating] = diagonal * x
        out[1:] -= down * x[:-1]
        out[:-1] -= down * x[1:]
        out[:, 1:] -= across * x[:, :-1]
        out[:, :-1] -= across * x[:, 1:]
        return out

    x: NDArray[np.floating] = np.where(seeds < 0, likely, seeds).astype(np.float32)
    residual: NDArray[np.floating] = free * (rule.prior * likely - apply(x))
    step = residual / diagonal
    direction, power = step, float((residual * step).sum(dtype=np.float64))
    goal = 1e-8 * x.size
    for _ in range(rule.steps):
        if power <= goal:
            break
        pushed = free * apply(direction)
        length = power / float((direction * pushed).sum(dtype=np.float64))
        x = x + np.float32(length) * direction
        residual = residual - np.float32(length) * pushed
        step = residual / diagonal
        before, power = power, float((residual * step).sum(dtype=np.float64))
        direction = step + np.float32(power / before) * direction
    return np.asarray(np.clip(x, 0, 1), np.float32)


SPEC = PredictorSpec("randomwalk", "random walker from clicks (Grady 2006)", NO_WEIGHTS, RandomWalker)
