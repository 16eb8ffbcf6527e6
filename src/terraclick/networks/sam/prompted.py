"""How the SAM family sees a view and is clicked, whatever runs the network: with torch (`sam.py`) or exported.

What is settled here:
- SAM and SAM-HQ see the view with its longer side at 1024 pixels, padded below and right; SAM 2 sees it stretched;
- clicks keep their place under the resize to the sub-pixel (the published code is up to half a pixel off);
- the previous answer enters as the mask prompt: its logits, at most ±10, at a quarter of the input's side;
- one click without a previous answer gives three masks, of which the one with the best predicted IoU is taken, or the
  smallest, middle or largest where a level (part, whole, group) is chosen; later clicks give the single mask;
- a box is two points, its corners, with labels of their own; it says what is meant, so it gives the single mask, too,
  unless a level is chosen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.core.resample import resize_antialiased
from terraclick.errors import BadClick
from terraclick.networks.sam.spec import SPEC
from terraclick.predictors.inputs import logit, picture, sigmoid
from terraclick.values import Prediction, Prompt, View

__all__ = ["BEST", "CORNERS", "END", "LEVELS", "PromptedSam", "SamEncoded", "chosen_mask", "ended"]

SURE = 10.0
"""Logits of a previous answer are clipped to this; padding counts as surely not the object."""

MEAN = (0.485, 0.456, 0.406)
"""What the padding holds: zero once the network has normalised it."""

THRESHOLD = 0.5
"""Probability above which a pixel belongs to the mask: logit 0, as published."""

BEST = "best"
LEVELS = (BEST, "part", "whole", "group")
"""Which of three masks answers the first clicks: the one with the best predicted IoU, or the smallest, the middle, the
largest."""

CORNERS = (2, 3)
"""Labels of a box's corners: top left, bottom right."""

END = -1
"""Label of the point that stands after clicks without a box; it has no place."""

FloatArray = NDArray[np.float32]


def ended(points: FloatArray, labels: NDArray[np.int64]) -> tuple[FloatArray, NDArray[np.int64]]:
    """Points (P, 2) and labels (P,) with their end marked, which SAM does where no box is given."""
    if CORNERS[0] in labels:
        return points, labels
    return np.concatenate([points, np.zeros((1, 2), np.float32)]), np.append(labels, END)


@dataclass(frozen=True, eq=False)
class SamEncoded:
    """What the mask decoder reads of a view, the view's size, and the part of the input square that it fills."""

    kept: Any
    size: tuple[int, int]
    filled: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return int(self.kept.nbytes)


def chosen_mask(masks: FloatArray, scores: FloatArray, level: str) -> int:
    """Which of the masks (M, h, w) a level means; the sizes decide, so that an order of the masks matters nothing."""
    if level == BEST or len(masks) < 3:
        return int(scores.argmax())
    sizes = (masks > 0).reshape(len(masks), -1).sum(axis=1)
    return int(np.argsort(sizes, kind="stable")[LEVELS.index(level) - 1])


class PromptedSam(ABC):
    """A Predictor around an image encoder (`features`) and a mask decoder (`masks`)."""

    stretch: bool
    """Whether the view is stretched to the input square (SAM 2) or padded (SAM, SAM-HQ)."""
    level: str
    """Which of the first answer's masks is taken, see `LEVELS`."""

    @property
    def reads_box(self) -> bool:
        """Whether `Prompt.box` is read, as the family declares."""
        return SPEC.reads_box

    @property
    @abstractmethod
    def side(self) -> int:
        """Side of the input square in pixels."""

    @abstractmethod
    def features(self, square: FloatArray) -> Any:
        """(1, 3, S, S) RGB in 0…1 → what the mask decoder reads."""

    @abstractmethod
    def masks(
        self, kept: Any, points: FloatArray, labels: NDArray[np.int64], mask: FloatArray | None, several: bool
    ) -> tuple[FloatArray, FloatArray]:
        """points (P, 2) x, y of the square, labels (P,), mask prompt (S/4, S/4) → logits (M, h, w), IoU (M,).

        Labels are 1 and 0 for clicks, then those of a box's `CORNERS`, if any. M is three if `several` masks are asked
        for, else one.
        """

    def encode(self, view: View) -> SamEncoded:
        """The image encoder's features."""
        filled = self._filled(view.shape)
        pixels = picture(view)[0].transpose(1, 2, 0).astype(np.float32) / 255
        square = np.tile(np.asarray(MEAN, np.float32), (self.side, self.side, 1))
        square[: filled[0], : filled[1]] = resize_antialiased(pixels, filled)
        return SamEncoded(self.features(np.ascontiguousarray(square.transpose(2, 0, 1)[None])), view.shape, filled)

    def predict(self, encoded: SamEncoded, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Probabilities of the whole view."""
        box = prompt.box
        if box is None and (not prompt.clicks or (not prompt.positives and previous is None)):
            raise BadClick("SAM needs a click on the thing you want: add a positive click.")
        one_click = box is None and len(prompt.clicks) == 1
        first = previous is None and (one_click or self.level != BEST)
        down, across = (filled / side for filled, side in zip(encoded.filled, encoded.size, strict=True))
        # (x, y); the network itself adds the half pixel to the centre
        said = [(c.row, c.col, int(c.positive)) for c in prompt.clicks]
        if box is not None:
            said += [(box.top, box.left, CORNERS[0]), (box.bottom, box.right, CORNERS[1])]
        places = [((col + 0.5) * across - 0.5, (row + 0.5) * down - 0.5) for row, col, _ in said]
        labels = np.array([label for _, _, label in said], dtype=np.int64)
        mask = None if previous is None else self._mask_prompt(previous, encoded)
        found, scores = self.masks(encoded.kept, np.array(places, np.float32), labels, mask, first)
        rows, cols = (
            -(-filled * size // self.side) for filled, size in zip(encoded.filled, found.shape[1:], strict=True)
        )
        best = np.ascontiguousarray(found[chosen_mask(found[:, :rows, :cols], scores, self.level if first else BEST)])
        logits = cv2.resize(best, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        logits = np.ascontiguousarray(logits[: encoded.filled[0], : encoded.filled[1]])
        full = cv2.resize(logits, encoded.size[::-1], interpolation=cv2.INTER_LINEAR)
        return Prediction(sigmoid(np.asarray(full, np.float32)), None, THRESHOLD)

    def _filled(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the input square that a view of `shape` fills."""
        if self.stretch:
            return self.side, self.side
        scale = self.side / max(shape)
        return max(1, int(shape[0] * scale + 0.5)), max(1, int(shape[1] * scale + 0.5))

    def _mask_prompt(self, previous: Prediction, encoded: SamEncoded) -> FloatArray:
        """The previous answer's logits (S / 4, S / 4)."""
        quarter = (max(1, encoded.filled[0] // 4), max(1, encoded.filled[1] // 4))
        logits = np.clip(logit(previous.probs), -SURE, SURE)
        mask = np.full((self.side // 4, self.side // 4), -SURE, np.float32)
        mask[: quarter[0], : quarter[1]] = resize_antialiased(logits, quarter)
        return mask
