"""What goes on inside a network, in panels: which click prompts which pixels, and how an answer is modulated.

Both are drawn at the picture's resolution from clicks and answers alone; a network itself works on a zoomed part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.core.modulation import MODULATIONS
from terraclick.predictors.inputs import click_points
from terraclick.values import Click, Prediction

__all__ = ["INSIGHTS", "modulation_panels", "prompt_panels", "voronoi"]

Panel = tuple[str, NDArray[np.uint8]]

CELLS = np.array(
    [(86, 180, 233), (230, 159, 0), (0, 158, 115), (204, 121, 167), (240, 228, 66), (213, 94, 0), (0, 114, 178)],
    np.float32,
)
"""Colours of cells, told apart by colour-blind eyes too; they are used again from the eighth click on."""

NAMES = {"mfp": "MFP", "isrefiner": "RS-ISRefiner"}


def voronoi(shape: tuple[int, int], clicks: Sequence[Click]) -> NDArray[np.int64]:
    """The nearest positive click of every pixel, by its number among the positive ones; −1 without any. (H, W)."""
    positives = [click for click in clicks if click.positive]
    if not positives:
        return np.full(shape, -1, np.int64)
    rows, cols = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    distances = np.stack([(rows - click.row) ** 2 + (cols - click.col) ** 2 for click in positives])
    return np.asarray(distances.argmin(axis=0), np.int64)


def prompt_panels(
    image: NDArray[np.uint8], clicks: Sequence[Click], before: Prediction | None, settings: dict[str, Any]
) -> list[Panel]:
    """The picture in the colours of the clicks that prompt it, one panel a division with its patches drawn in."""
    cells = voronoi(image.shape[:2], clicks)
    tinted = image.astype(np.float32)
    if cells.max() >= 0:
        tinted = 0.5 * tinted + 0.5 * CELLS[cells % len(CELLS)]
    panels: list[Panel] = []
    for count in settings.get("divisions") or (0,):
        drawn = np.ascontiguousarray(np.rint(tinted).astype(np.uint8))
        side = max(image.shape[:2]) / count if count else 0
        for line in range(1, count):
            place = round(line * side)
            cv2.line(drawn, (place, 0), (place, drawn.shape[0]), (255, 255, 255), 2)
            cv2.line(drawn, (0, place), (drawn.shape[1], place), (255, 255, 255), 2)
        panels.append((f"prompts, {count} x {count} patches" if count else "prompts: the nearest click", drawn))
    return panels


def modulation_panels(
    image: NDArray[np.uint8], clicks: Sequence[Click], before: Prediction | None, settings: dict[str, Any]
) -> list[Panel]:
    """The probabilities before the last click, and as each rule modulates them towards it; none after one click."""
    if before is None:
        return []
    points = click_points(clicks)[0]
    panels: list[Panel] = [("before the last click", _heat(before.probs))]
    for rule, modulate in MODULATIONS.items():
        panels.append((f"modulated as {NAMES[rule]} does", _heat(modulate(before.probs, points))))
    return panels


def _heat(probs: NDArray[Any]) -> NDArray[np.uint8]:
    """Probabilities (H, W) in colours (H, W, 3), dark for 0 to bright for 1."""
    levels = np.rint(np.clip(probs, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1])


INSIGHTS = {"prompts": prompt_panels, "modulation": modulation_panels}
"""What `PredictorSpec.shows` names → its panels, from picture, clicks, the answer before the last, and settings."""
