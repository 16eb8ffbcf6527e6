"""A picture in memory named pixel by pixel: tiles of the model's side that overlap, blended as for a whole scene."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.classmap.model import MapModel
from terraclick.classmap.tiles import GREY, mirrored, plan_tiles
from terraclick.classmap.turns import SCALES, Turned, turns_of
from terraclick.values import View, Window

__all__ = ["name_picture", "tiles_of"]

FloatArray = NDArray[np.float32]


def name_picture(model: MapModel, view: View, overlap: float = 0.25, augmentation: str = "none") -> FloatArray:
    """Logits (N, H, W) of a picture (H, W), at its own resolution.

    overlap: share of a tile that its neighbour sees too; augmentation: a name of `TURNS`. Raises BadConfig.
    """
    turns = turns_of(augmentation, whole_picture=True)
    looking = model if len(turns) == 1 else Turned(model, turns)
    image = view.image if view.valid is None else np.where(view.valid[..., None], view.image, np.uint8(GREY))
    rows, cols = view.shape
    found = []
    for scale in SCALES.get(augmentation, (1.0,)):
        size = max(round(cols * scale), 1), max(round(rows * scale), 1)
        seen = image if scale == 1 else np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        logits = _blended(looking, seen, overlap)
        if scale != 1:
            logits = np.stack([cv2.resize(plane, (cols, rows), interpolation=cv2.INTER_CUBIC) for plane in logits])
        found.append(logits)
    return np.asarray(np.mean(found, axis=0, dtype=np.float32), np.float32) if len(found) > 1 else found[0]


def _blended(model: MapModel, image: NDArray[np.uint8], overlap: float) -> FloatArray:
    rows, cols = image.shape[:2]
    plan = plan_tiles((rows, cols), Window(0, 0, rows, cols), model.spec.side, overlap)
    share = np.outer(plan.ramp(), plan.ramp())
    sums = np.zeros((len(model.spec.classes), rows, cols), np.float32)
    weights = np.zeros((rows, cols), np.float32)
    for window, tile in tiles_of(image, model.spec.side, overlap):
        inner, own = window.clipped((rows, cols))
        part = share[own.slices]
        logits, _ = model(tile)
        sums[:, inner.slices[0], inner.slices[1]] += logits[:, own.slices[0], own.slices[1]] * part
        weights[inner.slices] += part
    return sums / weights


def tiles_of(image: NDArray[np.uint8], side: int, overlap: float) -> list[tuple[Window, NDArray[np.uint8]]]:
    """The tiles (side, side, 3) of a picture and where they lie; beyond its edge it is mirrored."""
    rows, cols = image.shape[:2]
    plan = plan_tiles((rows, cols), Window(0, 0, rows, cols), side, overlap)
    found = []
    for row in plan.starts(0):
        for col in plan.starts(1):
            part = image[row : row + side, col : col + side]
            tile = np.full((side, side, image.shape[2]), GREY, np.uint8)
            tile[: part.shape[0], : part.shape[1]] = part
            found.append((Window(row, col, side, side), mirrored(tile, (0, 0, *part.shape[:2]))))
    return found
