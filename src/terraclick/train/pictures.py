"""Pictures of what a running training sees: samples beside their truth and the network's answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.values import Click

__all__ = ["Shown", "sheet"]

SIDE = 256
"""Pixels of a panel."""

TRUTH, ANSWER = (60, 220, 90), (250, 70, 60)
"""Green outlines are true, red ones answered."""


@dataclass(frozen=True, eq=False)
class Shown:
    """One sample: image (S, S, 3) uint8, truth and answer (S, S), masks or class indices; clicks of the image."""

    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    answer: NDArray[np.generic]
    clicks: Sequence[Click] = ()
    colours: Sequence[str] = ()
    """#rrggbb of each class index, for class maps; empty for masks, in whose truth only 1 is inside."""


def sheet(samples: Sequence[Shown]) -> NDArray[np.uint8]:
    """A row for each sample (H, W, 3): the picture with its clicks, its truth, its answer."""
    return np.concatenate([_row(one) for one in samples])


def _row(one: Shown) -> NDArray[np.uint8]:
    picture = _panel(one.image)
    scale = SIDE / one.image.shape[0]
    for click in one.clicks:
        place = (round((click.col + 0.5) * scale), round((click.row + 0.5) * scale))
        cv2.circle(picture, place, 5, (255, 255, 255), -1)
        cv2.circle(picture, place, 4, TRUTH if click.positive else ANSWER, -1)
    if one.colours:
        panels = [_coloured(np.asarray(labels), one) for labels in (one.truth, one.answer)]
    else:
        panels = [
            _outlined(one.image, one.truth == 1, TRUTH),
            _outlined(one.image, one.answer.astype(np.bool_), ANSWER),
        ]
    return np.concatenate([picture, *panels], axis=1)


def _panel(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)


def _outlined(image: NDArray[np.uint8], mask: NDArray[np.bool_], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    panel = _panel(image)
    resized = cv2.resize(mask.astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST_EXACT)
    lines, _ = cv2.findContours(resized, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(panel, lines, -1, colour, 2)
    return panel


def _coloured(labels: NDArray[np.generic], one: Shown) -> NDArray[np.uint8]:
    table = np.zeros((256, 3), np.uint8)
    for index, colour in enumerate(one.colours):
        table[index] = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    picture = table[labels.astype(np.uint8)]
    return np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
