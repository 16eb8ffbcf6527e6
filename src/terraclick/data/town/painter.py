"""What a town is painted with: the easel, its colours, and the lines and shapes that all parts use."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CARS",
    "CLASSES",
    "FINE",
    "FLATS",
    "HUB",
    "ROOFS",
    "SHADOW",
    "Mask",
    "Painter",
    "Points",
    "blob",
    "box",
    "curve",
    "walk",
]

CLASSES = ("ground", "building", "road", "tree", "car", "water", "field", "court")
"""Class ids of a town's class mask, in order; instances exist for all but ground."""

FINE = 2
"""Everything is painted this many times finer and then averaged, as a sensor does."""

SHADOW = (0.50, -0.78)
"""Where the shadow of a 1 m pole ends, in metres to the right and down: one sun, south-west, 47° high."""

HUB = np.array([0.445, 0.495])
"""Where the two main roads meet, as a part of the side."""

ROOFS = [
    (166, 92, 70),
    (150, 80, 62),
    (178, 108, 80),
    (139, 74, 60),
    (120, 70, 60),
    (112, 110, 112),
    (88, 86, 90),
    (136, 122, 108),
]
FLATS = [(168, 166, 162), (142, 143, 146), (196, 194, 190), (120, 118, 116)]
CARS = [
    (225, 225, 228),
    (40, 42, 46),
    (150, 152, 156),
    (122, 28, 30),
    (34, 58, 110),
    (92, 96, 100),
    (238, 238, 238),
    (60, 74, 70),
]

Points = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Painter:
    """Fine canvas, instance canvas, and what is already taken; coordinates are metres right and down."""

    def __init__(self, rng: np.random.Generator, size: int, gsd: float) -> None:
        self.rng = rng
        self.size = size
        self.side = size * gsd
        self.scale = FINE / gsd
        n = size * FINE
        self.colour = np.zeros((n, n, 3), np.float32)
        self.instances = np.zeros((n, n), np.int32)
        self.kinds = [0]
        self.taken = np.zeros((n, n), np.uint8)
        self.light = np.ones((n, n), np.float32)

    def new(self, kind: str) -> int:
        """The number of a new instance of a class."""
        self.kinds.append(CLASSES.index(kind))
        return len(self.kinds) - 1

    def noise(self, scale_m: float, octaves: int = 3, shape: tuple[int, int] | None = None) -> NDArray[np.float32]:
        """Smooth noise of mean 0 and about unit spread, with features of `scale_m` metres."""
        rows, cols = shape or self.instances.shape
        total = np.zeros((rows, cols), np.float32)
        for octave in range(octaves):
            cell = max(1.0, scale_m * self.scale / 2**octave)
            coarse = self.rng.standard_normal((int(rows / cell) + 4, int(cols / cell) + 4)).astype(np.float32)
            height, width = int(coarse.shape[0] * cell), int(coarse.shape[1] * cell)
            fine = cv2.resize(coarse, (max(width, cols), max(height, rows)), interpolation=cv2.INTER_CUBIC)
            total += fine[:rows, :cols] * np.float32(0.6**octave)
        return total

    def area(self, points: Points) -> tuple[tuple[slice, slice], Mask]:
        """A filled polygon as (where, mask there)."""
        pixels = np.asarray(points) * self.scale
        limit = self.instances.shape[0]
        low = np.clip(np.floor(pixels.min(axis=0)).astype(int) - 1, 0, limit)
        high = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + 2, 0, limit)
        mask = np.zeros((max(0, high[1] - low[1]), max(0, high[0] - low[0])), np.uint8)
        if mask.size:
            cv2.fillPoly(mask, [np.rint((pixels - low - 0.5) * 16).astype(np.int32)], 1, shift=4)
        return (slice(low[1], high[1]), slice(low[0], high[0])), mask > 0

    def line(self, points: Points, width: float, closed: bool = False) -> Mask:
        """A thick line as a full mask."""
        mask = np.zeros(self.instances.shape, np.uint8)
        pixels = np.rint((np.asarray(points) * self.scale - 0.5) * 16).astype(np.int32)
        cv2.polylines(mask, [pixels], closed, 1, max(1, round(width * self.scale)), shift=4)
        return mask > 0

    def stroke(
        self,
        points: Points,
        width: float,
        colour: Any,
        grain: float = 3.0,
        alpha: float = 1.0,
        only: Mask | None = None,
        closed: bool = False,
    ) -> None:
        """Paint a thick line, where `only` (a full mask) allows."""
        pixels = np.asarray(points) * self.scale
        thick = max(1, round(width * self.scale))
        limit = self.instances.shape[0]
        low = np.clip(np.floor(pixels.min(axis=0)).astype(int) - thick - 1, 0, limit)
        high = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + thick + 2, 0, limit)
        mask = np.zeros((max(0, high[1] - low[1]), max(0, high[0] - low[0])), np.uint8)
        if mask.size:
            where = (slice(low[1], high[1]), slice(low[0], high[0]))
            cv2.polylines(mask, [np.rint((pixels - low - 0.5) * 16).astype(np.int32)], closed, 1, thick, shift=4)
            self.stain(where, mask > 0 if only is None else (mask > 0) & only[where], colour, grain, alpha)

    def fill(
        self, points: Points, colour: Any, grain: float = 3.0, instance: int | None = None, alpha: float = 1.0
    ) -> None:
        """Paint a polygon with a little grain; light already on the ground stays on it."""
        where, mask = self.area(points)
        if mask.any():
            self.stain(where, mask, colour, grain, alpha)
            if instance is not None:
                self.instances[where][mask] = instance

    def stain(self, where: Any, mask: Mask, colour: Any, grain: float = 3.0, alpha: float = 1.0) -> None:
        """Paint a mask with a little grain."""
        count = int(mask.sum())
        paint = np.asarray(colour, np.float32) + self.rng.normal(0, grain, (count, 1)).astype(np.float32)
        part = self.colour[where]
        part[mask] = part[mask] * (1 - alpha) + paint * alpha

    def take(self, points: Points) -> None:
        """Mark an outline as built on."""
        where, mask = self.area(points)
        self.taken[where][mask] = 1

    def free(self, points: Points) -> bool:
        """Whether an outline lies inside and nothing is built there."""
        where, mask = self.area(points)
        inside = (np.asarray(points) > 1).all() and (np.asarray(points) < self.side - 1).all()
        return bool(inside and not self.taken[where][mask].any())

    def expose(self) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """Average to sensor pixels, blur and add noise; instances by majority."""
        n = self.size
        image = cv2.resize(self.colour, (n, n), interpolation=cv2.INTER_AREA)
        haze = self.noise(self.side / 3, 2, (n, n))[..., None] * np.float32(1.5)
        grey = image.mean(axis=2, keepdims=True)
        image = grey + (image - grey) * np.float32(0.80)
        image = cv2.GaussianBlur(image, (0, 0), 0.55) * np.float32(0.93) + np.array([10, 12, 16], np.float32) + haze
        image = image + self.rng.normal(0, 2.2, image.shape).astype(np.float32)
        a, b, c, d = (self.instances[i::2, j::2] for i in (0, 1) for j in (0, 1))
        majority = np.where((a == b) | (a == c) | (a == d), a, np.where((b == c) | (b == d), b, c))
        return np.clip(image, 0, 255).astype(np.uint8), np.ascontiguousarray(majority)


def box(centre: Points, along: Points, length: float, width: float) -> Points:
    """Corners of a rectangle; `along` is a unit vector."""
    u, v = along * length / 2, np.array([-along[1], along[0]]) * width / 2
    return np.array([centre - u - v, centre + u - v, centre + u + v, centre - u + v])


def curve(points: Any, steps: int = 24) -> Points:
    """A smooth line through the points (Catmull-Rom)."""
    p = np.asarray(points, np.float64)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    parts = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True)
    ]
    return np.vstack([*parts, p[-2:-1]])


def walk(line: Points, step: float, start: float = 0.0) -> list[tuple[Points, Points]]:
    """Points every `step` metres along a line, with the unit direction there."""
    lengths = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    places = np.arange(start, lengths[-1], step)
    at = np.column_stack([np.interp(places, lengths, line[:, k]) for k in (0, 1)])
    ahead = np.column_stack([np.interp(places + 0.5, lengths, line[:, k]) for k in (0, 1)])
    behind = np.column_stack([np.interp(places - 0.5, lengths, line[:, k]) for k in (0, 1)])
    way = ahead - behind
    return list(zip(at, way / np.hypot(way[:, 0], way[:, 1])[:, None], strict=True))


def blob(centre: Any, radius: float, rng: np.random.Generator, rough: float = 0.12, stretch: float = 1.0) -> Points:
    """A roundish closed outline."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    r = np.full(40, 1.0)
    for k in range(2, 8):
        r += rough / k * rng.normal() * np.cos(k * angle + rng.uniform(0, 6.3)) * 1.5
    ellipse = np.column_stack([np.cos(angle) * stretch, np.sin(angle) / stretch])
    return np.asarray(np.asarray(centre) + radius * ellipse * r[:, None], np.float64)
