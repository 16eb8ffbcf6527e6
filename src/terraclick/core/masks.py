"""Masks: how alike two are, and how one is cleaned. All masks are (H, W) bool; nothing is changed in place."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.values import Box, Click, Window

__all__ = [
    "boundary",
    "boundary_iou",
    "box_around",
    "clicked_components",
    "drop_specks",
    "fill_holes",
    "iou",
    "mask_box",
    "pixels_in",
]

Mask = NDArray[np.bool_]


def iou(a: Mask, b: Mask, ignore: Mask | None = None) -> float:
    """Intersection over union of two masks (H, W), leaving out `ignore` pixels; two empty masks agree fully (1.0)."""
    counted = np.ones(a.shape, dtype=np.bool_) if ignore is None else ~ignore
    union = np.count_nonzero((a | b) & counted)
    return 1.0 if union == 0 else float(np.count_nonzero(a & b & counted) / union)


def boundary(mask: Mask, dilation_ratio: float = 0.02) -> Mask:
    """The inner rim of a mask (H, W): pixels within `dilation_ratio` of the picture's diagonal from its outside.

    The picture's own edge counts as outside, as in the usual boundary IoU.
    """
    thickness = max(1, round(dilation_ratio * float(np.hypot(*mask.shape))))
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=thickness)[1:-1, 1:-1]
    return np.asarray(mask & (inner == 0), dtype=np.bool_)


def boundary_iou(a: Mask, b: Mask, ignore: Mask | None = None, dilation_ratio: float = 0.02) -> float:
    """IoU of the inner rims of two masks (H, W); harder than `iou` on large things."""
    return iou(boundary(a, dilation_ratio), boundary(b, dilation_ratio), ignore)


def _components(mask: Mask, connectivity: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Component number of every pixel (H, W), 0 outside the mask, and the area of each number."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)
    return np.asarray(labels, dtype=np.int32), np.bincount(labels.ravel(), minlength=count)


def mask_box(mask: Mask) -> tuple[slice, slice] | None:
    """Rows and columns of everything in a mask (H, W), with a pixel's rim inside the picture; None if it is empty.

    What is done in this box alone is the same as done in the whole picture, and for a small thing much faster.
    """
    box = Window.around(mask)
    if box is None:
        return None
    return slice(max(box.row - 1, 0), box.last_row + 2), slice(max(box.col - 1, 0), box.last_col + 2)


def fill_holes(mask: Mask, max_area: int) -> Mask:
    """Fill the holes of at most `max_area` pixels; a gap open to the picture's edge is no hole."""
    box = mask_box(mask)
    if box is None:
        return np.array(mask, dtype=np.bool_)
    inside = mask[box]
    labels, areas = _components(~inside, connectivity=4)
    filled = areas <= max_area
    filled[0] = False
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    filled[edge] = False
    found = np.array(mask, dtype=np.bool_)
    found[box] |= filled[labels]
    return found


def drop_specks(mask: Mask, min_area: int) -> Mask:
    """Drop the 8-connected pieces of fewer than `min_area` pixels."""
    found = np.zeros(mask.shape, dtype=np.bool_)
    box = mask_box(mask)
    if box is not None:
        labels, areas = _components(mask[box], connectivity=8)
        kept = areas >= min_area
        kept[0] = False
        found[box] = kept[labels]
    return found


def box_around(mask: Mask) -> Box:
    """The box around all pixels of a mask (H, W). Raises ValueError for a mask without any."""
    window = Window.around(mask)
    if window is None:
        raise ValueError("an empty mask has no box: ask for a mask with pixels")
    return Box(window.row - 0.5, window.col - 0.5, window.last_row + 0.5, window.last_col + 0.5)


def pixels_in(box: Box, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The pixels of a picture of `shape` (H, W) whose centres lie in a box: at least one row and column of them."""
    spans = []
    for first, last, length in ((box.top, box.bottom, shape[0]), (box.left, box.right, shape[1])):
        start, stop = math.ceil(first), math.floor(last) + 1
        if start >= stop:  # a box between two centres
            start = round((first + last) / 2)
        start = min(max(start, 0), length - 1)
        spans.append(slice(start, max(min(stop, length), start + 1)))
    return spans[0], spans[1]


def clicked_components(mask: Mask, prompt_clicks: Sequence[Click], around: Box | None = None) -> Mask:
    """Keep the 8-connected pieces that hold a positive click, or lie mostly in the box; the whole mask if none does."""
    box = mask_box(mask)
    if box is None:
        return mask
    labels, areas = _components(mask[box], connectivity=8)
    kept = np.zeros(areas.size, dtype=np.bool_)
    for click in prompt_clicks:
        row, col = round(click.row) - box[0].start, round(click.col) - box[1].start
        if click.positive and 0 <= row < labels.shape[0] and 0 <= col < labels.shape[1]:
            kept[labels[row, col]] = True
    if around is not None:
        inside = np.zeros(mask.shape, dtype=np.bool_)
        inside[pixels_in(around, mask.shape)] = True
        kept |= 2 * np.bincount(labels[inside[box]], minlength=areas.size) > areas
    kept[0] = False
    if not kept.any():
        return mask
    found = np.zeros(mask.shape, dtype=np.bool_)
    found[box] = kept[labels]
    return found
