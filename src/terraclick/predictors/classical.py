"""GrabCut and a random walker from clicks: peers without weights. Answers depend on view and prompt alone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.core.click import Click, Prompt, Target
from terraclick.core.clickmaps import squared_distance
from terraclick.core.focus import resize
from terraclick.core.masks import clicked_components
from terraclick.core.predictor import Prediction, View
from terraclick.errors import BadClick

__all__ = ["GrabCut", "RandomWalker", "ScaledView"]

FloatArray = NDArray[np.float32]


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


def _scaled(view: View, max_side: int) -> ScaledView:
    """The view with its longer side at most `max_side`."""
    factor = min(1.0, max_side / max(view.shape))
    size = max(1, round(view.shape[0] * factor)), max(1, round(view.shape[1] * factor))
    return ScaledView(resize(view.image, size), view.shape)


def _need_positive(prompt: Prompt) -> None:
    if not prompt.positives:
        raise BadClick("this predictor needs a click on the thing you want: add a positive click.")


def _answer(probs: FloatArray, encoded: ScaledView, prompt: Prompt) -> Prediction:
    """The answer at the view's size; for an object only what hangs together with a positive click."""
    full = resize(probs.astype(np.float32), encoded.shape)
    if prompt.target is Target.OBJECT:
        mask = Prediction(full).mask
        full = np.where(mask & ~clicked_components(mask, prompt.clicks), np.float32(0), full)
    return Prediction(full)


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
        return _scaled(view, self.max_side)

    def predict(self, encoded: ScaledView, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Answer a prompt with at least one positive click (else BadClick); `previous` is not used."""
        _need_positive(prompt)
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
            cv2.grabCut(np.ascontiguousarray(encoded.image), labels, None, *models, self.rounds, cv2.GC_INIT_WITH_MASK)
            foreground = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
        return _answer(foreground.astype(np.float32), encoded, prompt)


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
        scaled = _scaled(view, self.max_side)
        return ScaledView(np.asarray(cv2.GaussianBlur(scaled.image, (3, 3), 0)), scaled.shape)

    def predict(self, encoded: ScaledView, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Answer a prompt with at least one positive click (else BadClick); `previous` is not used."""
        _need_positive(prompt)
        clicks = encoded.clicks(prompt.clicks)
        image = cv2.cvtColor(encoded.image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100
        shape = image.shape[:2]
        likely = self._likely(image, clicks, prompt.target, encoded)
        seeds = np.full(shape, -1, dtype=np.int8)
        for click in clicks:
            row, col = min(max(round(click.row), 0), shape[0] - 1), min(max(round(click.col), 0), shape[1] - 1)
            seeds[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2] = click.positive
        return _answer(_walk(image, likely, seeds, self), encoded, prompt)

    def _likely(self, image: FloatArray, clicks: tuple[Click, ...], target: Target, encoded: ScaledView) -> FloatArray:
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
        return likely.astype(np.float32)


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

    def apply(x: FloatArray) -> FloatArray:
        out = diagonal * x
        out[1:] -= down * x[:-1]
        out[:-1] -= down * x[1:]
        out[:, 1:] -= across * x[:, :-1]
        out[:, :-1] -= across * x[:, 1:]
        return np.asarray(out)

    x = np.where(seeds < 0, likely, seeds).astype(np.float32)
    residual = free * (rule.prior * likely - apply(x))
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
    return np.clip(x, 0, 1).astype(np.float32)
