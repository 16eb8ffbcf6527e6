"""Changes a picture could have undergone on its way from sensor to screen; numpy and OpenCV, randomness passed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Turn", "jitter_light", "jitter_plain", "jitter_sensor", "turn"]

Image = NDArray[np.uint8]


def turn(array: NDArray[Any], quarter: int, mirrored: bool) -> NDArray[Any]:
    """Rotate (H, W[, C]) by quarter turns, then mirror: one of the eight ways to lay a picture on a table."""
    array = np.rot90(array, quarter)
    return np.ascontiguousarray(array[:, ::-1] if mirrored else array)


@dataclass(frozen=True)
class Turn:
    """One of the eight ways to lay a square of `side` pixels on a table: quarter turns to the left, then a mirror."""

    quarter: int
    mirrored: bool
    side: int

    def picture(self, array: NDArray[Any]) -> NDArray[Any]:
        """(H, W[, C]) turned."""
        return turn(array, self.quarter, self.mirrored)

    def planes(self, array: NDArray[Any]) -> NDArray[Any]:
        """(C, H, W) turned."""
        turned = np.rot90(array, self.quarter, axes=(1, 2))
        return np.ascontiguousarray(turned[:, :, ::-1] if self.mirrored else turned)

    def point(self, row: float, col: float) -> tuple[float, float]:
        """Where a place of the square, or beside it, comes to lie."""
        for _ in range(self.quarter % 4):
            row, col = self.side - 1 - col, row
        return row, self.side - 1 - col if self.mirrored else col


def jitter_light(image: Image, rng: np.random.Generator) -> Image:
    """Another light on (H, W, 3) uint8, cheap enough for every use: gain, contrast, colour cast, gamma, some noise."""
    levels = np.arange(256, dtype=np.float32)
    table = (levels - 127) * rng.uniform(0.85, 1.18) + 127 + rng.uniform(-14, 14)
    table = 255 * np.clip(table / 255, 0, 1) ** np.float32(np.exp(rng.uniform(-0.2, 0.2)))
    cast = rng.uniform(0.94, 1.06, 3)
    tables = np.clip(table[:, None] * cast, 0, 255).astype(np.uint8)[None]
    out = cv2.LUT(image, tables)
    if rng.random() < 0.15:
        noise = rng.normal(0, rng.uniform(1, 6), image.shape)
        out = np.clip(out + noise, 0, 255).astype(np.uint8)
    return np.asarray(out, dtype=np.uint8)


def jitter_plain(image: Image, rng: np.random.Generator) -> Image:
    """Brightness, contrast and a shift of each band on (H, W, 3) uint8, each three times in four.

    The limits are those that the published click networks are trained with: brightness ± 25 % of white, contrast
    −15 to +40 %, bands ± 10 of 255.
    """
    levels = np.repeat(np.arange(256, dtype=np.float32)[:, None], 3, axis=1)
    if rng.random() < 0.75:
        levels = levels * np.float32(1 + rng.uniform(-0.15, 0.4)) + np.float32(255 * rng.uniform(-0.25, 0.25))
        levels = np.floor(np.clip(levels, 0, 255))
    if rng.random() < 0.75:
        levels = levels + rng.uniform(-10, 10, 3).astype(np.float32)
    return np.asarray(cv2.LUT(image, np.clip(levels, 0, 255).astype(np.uint8)[None]), np.uint8)


def jitter_sensor(image: Image, rng: np.random.Generator) -> Image:
    """Random gain, contrast, colour cast, haze, gamma, one band only, bands in another order, blur, noise and JPEG.

    image (H, W, 3) uint8 → the same shape. One band stands for panchromatic pictures (any mix of the three), another
    order of the bands for colour-infrared ones.
    """
    x = image.astype(np.float32)
    if rng.random() < 0.8:
        x = (x - 127) * rng.uniform(0.7, 1.35) + 127 + rng.uniform(-30, 30)
        x *= rng.uniform(0.9, 1.1, 3).astype(np.float32)
    if rng.random() < 0.15:
        x = x * 0.7 + rng.uniform(150, 220) * 0.3
    if rng.random() < 0.18:
        x = np.repeat((x @ rng.dirichlet((2.0, 3.0, 1.5)).astype(np.float32))[..., None], 3, axis=2)
    elif rng.random() < 0.1:
        x = x[..., rng.permutation(3)]
    x = np.clip(x, 0, 255)
    if rng.random() < 0.25:
        x = np.asarray(255 * (x / 255) ** np.float32(np.exp(rng.uniform(-0.5, 0.5))), np.float32)
    if rng.random() < 0.2:
        x = np.asarray(cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.2)), np.float32)
    if rng.random() < 0.2:
        x = np.clip(x + rng.normal(0, rng.uniform(2, 8), x.shape), 0, 255)
    out = x.astype(np.uint8)
    if rng.random() < 0.2:
        quality = int(rng.integers(40, 90))
        stored = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        out = np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)
    return out
