"""Changes a picture could have undergone on its way from sensor to screen; numpy and OpenCV, randomness passed in."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["jitter_sensor", "turn"]

Image = NDArray[np.uint8]


def turn(array: NDArray[Any], quarter: int, mirrored: bool) -> NDArray[Any]:
    """Rotate (H, W[, C]) by quarter turns, then mirror: one of the eight ways to lay a picture on a table."""
    array = np.rot90(array, quarter)
    return np.ascontiguousarray(array[:, ::-1] if mirrored else array)


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
        x = 255 * (x / 255) ** np.float32(np.exp(rng.uniform(-0.5, 0.5)))
    if rng.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.2:
        x = np.clip(x + rng.normal(0, rng.uniform(2, 8), x.shape), 0, 255)
    out = x.astype(np.uint8)
    if rng.random() < 0.2:
        quality = int(rng.integers(40, 90))
        out = cv2.imdecode(cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return np.asarray(out, dtype=np.uint8)
