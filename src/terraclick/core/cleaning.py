"""From an answer to the mask that is drawn: clicked parts kept, pin holes filled, specks dropped."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.core.click_sequence import ClickSequence
from terraclick.core.masks import clicked_components, drop_specks, fill_holes, mask_box, pixels_in
from terraclick.errors import BadClick
from terraclick.values import Box, Click, Target

__all__ = ["PIN_HOLE_PX", "SPECK_PX", "check_real", "check_real_box", "clean", "score_of"]

PIN_HOLE_PX = 16
"""Holes of fewer pixels are filled."""
SPECK_PX = 16
"""Parts of fewer pixels are dropped."""


def check_real(click: Click, valid: NDArray[np.bool_] | None, said: str) -> None:
    """Raise BadClick for an including click, called `said`, on a pixel of its view that holds no data."""
    if valid is not None and click.positive and not valid[_pixel(click, valid.shape)]:
        raise BadClick(
            f"the click {said} lies where the image holds no data (nodata, transparent, masked): click on the picture."
        )


def check_real_box(box: Box, valid: NDArray[np.bool_] | None) -> None:
    """Raise BadClick for a box of a view (H, W) that holds no pixel with data."""
    if valid is not None and not valid[pixels_in(box, valid.shape)].any():
        raise BadClick(
            "the box lies where the image holds no data (nodata, transparent, masked): draw it on the picture."
        )


def clean(sequence: ClickSequence, valid: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """The latest mask fit to be drawn: for an object the clicked parts only (with a box also those
    that lie mostly inside), pin holes filled, specks dropped.

    A pin hole that was clicked away stays a hole; a speck that was clicked stays. Nothing is kept where `valid` (H, W)
    is False: there is no picture.
    """
    latest = sequence.latest
    if latest is None:
        raise BadClick("no click was given: add at least one click on the thing you want.")
    mask = latest.mask if valid is None else latest.mask & valid
    prompt = sequence.prompt
    if sequence.target is Target.OBJECT:
        mask = clicked_components(mask, prompt.positives, prompt.box)
    filled = fill_holes(mask, PIN_HOLE_PX)
    filled &= ~_parts_under(filled & ~mask, prompt.negatives)
    if valid is not None:
        filled &= valid
    return np.asarray(drop_specks(filled, SPECK_PX) | _parts_under(filled, prompt.positives), dtype=np.bool_)


def score_of(sequence: ClickSequence, mask: NDArray[np.bool_]) -> float:
    """The mean probability inside a mask (H, W) of the view clicked on; 0 for an empty one."""
    latest = sequence.latest
    return float(latest.probs[mask].mean()) if latest is not None and mask.any() else 0.0


def _parts_under(mask: NDArray[np.bool_], clicks: Sequence[Click]) -> NDArray[np.bool_]:
    """The 8-connected parts of a mask that lie under any of the clicks."""
    found = np.zeros_like(mask)
    box = mask_box(mask) if clicks else None
    if box is None or not any(mask[_pixel(click, mask.shape)] for click in clicks):
        return found
    labels = np.zeros(mask.shape, dtype=np.int32)
    labels[box] = cv2.connectedComponents(mask[box].astype(np.uint8), connectivity=8)[1]
    under = {int(labels[_pixel(click, mask.shape)]) for click in clicks} - {0}
    found[box] = np.isin(labels[box], list(under))
    return found


def _pixel(click: Click, shape: tuple[int, ...]) -> tuple[int, int]:
    return min(max(round(click.row), 0), shape[0] - 1), min(max(round(click.col), 0), shape[1] - 1)
