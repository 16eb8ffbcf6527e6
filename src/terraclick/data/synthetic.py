"""The sample town: a small place seen from above at 0.3 m, painted by numpy and OpenCV, with its exact truth.

`python -m terraclick.data.synthetic` writes the packaged `sample.tif` and `sample_truth.geojson` again. The truth file
is WGS 84 longitude and latitude (as RFC 7946 asks) with 9 decimals, a tenth of a millimetre; its outlines follow the
pixels.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASSES", "SAMPLE_SEED", "Town", "make_square_scene", "make_town", "truth_features", "write_sample"]

CLASSES = ("ground", "building", "road", "tree", "car", "water", "field", "court")
"""Class ids of a town's class mask, in order; instances exist for all but ground."""

SAMPLE_SEED = 7
EPSG = 32633
ORIGIN = (500000.0, 4650000.0)
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


@dataclass(frozen=True, eq=False)
class Town:
    """A picture and its truth: image (H, W, 3) uint8 RGB, classes (H, W) uint8 ids of CLASSES, instances (H, W) int32.

    `kinds[i]` is the class id of instance i (0 is ground). `transform` is (a, b, c, d, e, f) with
    x = a·col + b·row + c and y = d·col + e·row + f at pixel corners, in the CRS of number `epsg`.
    """

    image: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    instances: NDArray[np.int32]
    kinds: tuple[int, ...]
    transform: tuple[float, float, float, float, float, float]
    epsg: int


def make_town(seed: int, size: int = 1536, gsd: float = 0.3) -> Town:
    """Paint a town of size × size pixels of `gsd` metres; the same seed gives the same town."""
    painter = _Painter(np.random.default_rng(seed), size, gsd)
    _ground(painter)
    roads = _roads(painter)
    _sport(painter)
    plans = _plan_houses(painter, roads)
    for plan in plans:
        _driveway(painter, plan)
    trees = _plan_trees(painter)
    _shadows(painter, plans, trees)
    _cars(painter, plans, roads)
    for plan in plans:
        _roof(painter, plan)
    for tree in sorted(trees, key=lambda t: t[2]):
        _tree(painter, *tree)
    image, instances = painter.expose()
    kinds = np.array(painter.kinds, dtype=np.uint8)
    transform = (gsd, 0.0, ORIGIN[0], 0.0, -gsd, ORIGIN[1])
    return Town(image, kinds[instances], instances, tuple(painter.kinds), transform, EPSG)


# --- the easel ------------------------------------------------------------------------------------------------------


class _Painter:
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
        where, mask = self.area(points)
        self.taken[where][mask] = 1

    def free(self, points: Points) -> bool:
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


def _box(centre: Points, along: Points, length: float, width: float) -> Points:
    """Corners of a rectangle; `along` is a unit vector."""
    u, v = along * length / 2, np.array([-along[1], along[0]]) * width / 2
    return np.array([centre - u - v, centre + u - v, centre + u + v, centre - u + v])


def _curve(points: Any, steps: int = 24) -> Points:
    """A smooth line through the points (Catmull-Rom)."""
    p = np.asarray(points, np.float64)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    parts = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True)
    ]
    return np.vstack([*parts, p[-2:-1]])


def _walk(line: Points, step: float, start: float = 0.0) -> list[tuple[Points, Points]]:
    """Points every `step` metres along a line, with the unit direction there."""
    lengths = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    places = np.arange(start, lengths[-1], step)
    at = np.column_stack([np.interp(places, lengths, line[:, k]) for k in (0, 1)])
    ahead = np.column_stack([np.interp(places + 0.5, lengths, line[:, k]) for k in (0, 1)])
    behind = np.column_stack([np.interp(places - 0.5, lengths, line[:, k]) for k in (0, 1)])
    way = ahead - behind
    return list(zip(at, way / np.hypot(way[:, 0], way[:, 1])[:, None], strict=True))


def _blob(centre: Any, radius: float, rng: np.random.Generator, rough: float = 0.12, stretch: float = 1.0) -> Points:
    """A roundish closed outline."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    r = np.full(40, 1.0)
    for k in range(2, 8):
        r += rough / k * rng.normal() * np.cos(k * angle + rng.uniform(0, 6.3)) * 1.5
    ellipse = np.column_stack([np.cos(angle) * stretch, np.sin(angle) / stretch])
    return np.asarray(np.asarray(centre) + radius * ellipse * r[:, None], np.float64)


# --- ground, fields, water ------------------------------------------------------------------------------------------


def _ground(p: _Painter) -> None:
    rough, fine, broad = p.noise(4, 3), p.noise(0.7, 2), p.noise(60, 3)
    dry = (1 / (1 + np.exp(-1.3 * broad - 0.5 * rough)))[..., None]
    p.colour[:] = np.array([88, 105, 58], np.float32) * (1 - dry) + np.array([124, 124, 78], np.float32) * dry
    p.colour += (4 * rough + 4 * fine)[..., None]
    s = p.side
    crops = [(136, 128, 82), (90, 116, 54), (140, 116, 86), (112, 128, 62)]
    plots = [
        [(-0.02, -0.02), (0.235, -0.02), (0.205, 0.215), (-0.02, 0.255)],
        [(0.25, -0.02), (0.375, -0.02), (0.365, 0.20), (0.222, 0.212)],
        [(-0.02, 0.272), (0.20, 0.232), (0.185, 0.43), (-0.02, 0.475)],
    ]
    for plot, crop, angle in zip(plots, crops, p.rng.permutation([0.12, 1.45, -0.10]), strict=False):
        points = np.array(plot) * s
        where, mask = p.area(points)
        rows, cols = np.mgrid[where[0], where[1]].astype(np.float32) / p.scale
        across = cols * math.sin(angle) + rows * math.cos(angle) + 0.4 * p.noise(25, 2, mask.shape)
        stripes = 6 * np.sin(across * 2 * math.pi / 1.8) + 2.5 * np.sin(across * 2 * math.pi / 9.3)
        tram = (np.abs(across % 18 - 9) < 0.25) | (np.abs(across % 18 - 10.8) < 0.25)
        shade = stripes + 5 * p.noise(14, 3, mask.shape) + 3 * p.noise(0.8, 2, mask.shape) - 16 * tram
        paint = np.array(crop, np.float32) + shade[..., None]
        p.colour[where][mask] = paint[mask]
        p.instances[where][mask] = p.new("field")
        p.take(points)
    along = np.linspace(-0.03, 1.03, 40)
    middle = 0.945 + 0.018 * np.sin(along * 5 + p.rng.uniform(0, 6)) + 0.008 * np.sin(along * 13)
    river = np.column_stack([along, middle]) * s
    p.stain(..., p.line(river, 25), (104, 100, 72), 5, 0.6)
    p.stain(..., p.line(river, 19.5), (92, 84, 62), 5, 0.8)
    pond = _blob((0.10 * s, 0.755 * s), 17, p.rng, 0.2, 1.25)
    where, inside = p.area(np.array(pond) + (pond - pond.mean(axis=0)) * 0.09)
    p.stain(where, inside, (118, 112, 80), 5, 0.8)
    ripples = p.noise(3.5, 3)
    for mask in (p.line(river, 17), _full(p, pond)):
        water = (
            np.array([50, 72, 70], np.float32)
            + (2.5 * ripples)[..., None]
            + np.array([0, 2, 3], np.float32) * broad[..., None]
        )
        p.colour[mask] = water[mask]
        p.instances[mask] = p.new("water")
        p.taken[cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))) > 0] = 1


def _full(p: _Painter, points: Points) -> Mask:
    mask = np.zeros(p.instances.shape, bool)
    where, part = p.area(points)
    mask[where] = part
    return mask


def _roads(p: _Painter) -> list[tuple[Points, float]]:
    """Paint the streets; returns (line, width) of each."""
    centre = HUB
    main = [(-0.03, 0.60), (0.20, 0.575), (0.36, 0.525), centre, (0.62, 0.475), (0.85, 0.42), (1.03, 0.33)]
    cross = [(0.47, -0.03), (0.445, 0.18), (0.435, 0.35), centre, (0.47, 0.70), (0.52, 0.88), (0.55, 1.03)]
    small = [
        [(0.447, 0.14), (0.62, 0.13), (0.80, 0.10), (1.03, 0.045)],
        [(0.437, 0.31), (0.65, 0.295), (0.86, 0.25), (1.03, 0.18)],
        [(0.725, 0.453), (0.705, 0.29), (0.685, 0.12)],
        [(0.785, 0.438), (0.81, 0.60), (0.80, 0.75), (0.66, 0.815), (0.503, 0.83)],
        [(0.462, 0.655), (0.62, 0.63), (0.812, 0.615)],
        [(0.235, 0.568), (0.25, 0.70), (0.245, 0.86)],
        [(0.475, 0.735), (0.36, 0.735), (0.25, 0.72)],
    ]
    lines = [(_curve(main), 8.0), (_curve(cross), 7.5), *((_curve(points), 5.6) for points in small)]
    lines = [(line * p.side, width) for line, width in lines]
    hub = centre * p.side
    ring = np.array([(math.cos(t), math.sin(t)) for t in np.linspace(0, 2 * math.pi, 60, endpoint=False)])
    worn, spots = p.noise(9, 3), p.noise(0.6, 2)

    def network(extra: float, radius: float) -> Mask:
        mask = _full(p, hub + ring * radius)
        for line, width in lines:
            mask |= p.line(line, width + extra)
        return mask

    pavement, kerb, asphalt = network(4.2, 17.5), network(0.7, 15.2), network(0.0, 14.9)
    pavement &= p.instances != CLASSES.index("water")
    stone = np.array([150, 146, 140], np.float32) + (3 * worn + 4 * spots)[..., None]
    p.colour[pavement] = stone[pavement]
    p.stain(..., kerb, (178, 175, 168), 3)
    tar = np.array([101, 101, 104], np.float32) + (4 * worn + 3 * spots)[..., None]
    p.colour[asphalt] = tar[asphalt]
    for line, width in lines:
        patch = line[20:44] + 0.2
        p.stroke(patch, width * 0.45, (90, 90, 93), 3, 0.55, asphalt)
        for side in (-1, 1):
            offset = np.array([at + side * width * 0.22 * np.array([-way[1], way[0]]) for at, way in _walk(line, 4)])
            p.stroke(offset, 0.7, (92, 92, 95), 2, 0.35, asphalt)
    road = p.new("road")
    p.instances[asphalt] = road
    for line, width in lines[:2]:
        for at, way in _walk(line, 7.0, 2.0):
            if np.hypot(*(at - hub)) > 24:
                p.fill(_box(at, way, 3.2, 0.22), (214, 212, 206), 4, alpha=0.85)
        for at, way in _walk(line, 1.0):
            if 23 < np.hypot(*(at - hub)) < 23.9:
                normal = np.array([-way[1], way[0]])
                for k in np.arange(-width / 2 + 0.7, width / 2 - 0.3, 1.1):
                    p.fill(_box(at + normal * k, way, 3.0, 0.55), (222, 220, 214), 4, alpha=0.85)
    for radius, colour in ((8.2, (150, 132, 118)), (6.6, (176, 172, 166)), (6.1, (88, 108, 56))):
        p.fill(hub + ring * radius, colour, 5, 0)
    p.taken[cv2.dilate(pavement.astype(np.uint8), np.ones((3, 3))) > 0] = 1
    return lines


def _sport(p: _Painter) -> None:
    white = (226, 226, 220)
    along = np.array([math.cos(0.12), math.sin(0.12)])
    across = np.array([-along[1], along[0]])
    spots = [((0.90, 0.555), (170, 96, 70), (150, 110, 84)), ((0.905, 0.665), (60, 104, 120), (84, 122, 92))]
    for (u, v), inner, outer in spots:
        centre = np.array([u, v]) * p.side
        p.fill(_box(centre, along, 37, 19), outer, 4, p.new("court"))
        p.fill(_box(centre, along, 24, 11), inner, 3)
        p.take(_box(centre, along, 41, 23))
        lines = [_box(centre, along, 24, 11), _box(centre, along, 24, 8.2), _box(centre, along, 12.8, 8.2)]
        for outline in lines:
            p.stroke(outline, 0.16, white, 3, 0.9, closed=True)
        p.stroke(np.array([centre - 6.4 * along, centre + 6.4 * along]), 0.16, white, 3, 0.9)
        p.stroke(np.array([centre - 6.2 * across, centre + 6.2 * across]), 0.3, (60, 62, 64), 3, 0.7)


# --- houses ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _House:
    """Wings as (centre, direction of the ridge, length, width), roof kind and colour, and where its door faces."""

    wings: tuple[tuple[Points, Points, float, float], ...]
    kind: str
    colour: tuple[int, int, int]
    height: float
    gate: Points
    front: Points


def _plan_houses(p: _Painter, roads: list[tuple[Points, float]]) -> list[_House]:
    rng, plans = p.rng, []
    for line, width in roads:
        for side in (-1, 1):
            for at, way in _walk(line, 3.0, rng.uniform(2, 9)):
                facing = side * np.array([-way[1], way[0]])
                big = rng.random() < 0.09
                length, depth = (
                    (rng.uniform(18, 30), rng.uniform(12, 16)) if big else (rng.uniform(9.5, 15), rng.uniform(7.5, 10))
                )
                turned = not big and rng.random() < 0.3
                centre = at + facing * (width / 2 + 2.2 + rng.uniform(4.0, 7.5) + (length if turned else depth) / 2)
                tilt = rng.normal(0, 0.02)
                way = np.array([way[0] - tilt * way[1], way[1] + tilt * way[0]]) / math.hypot(1, tilt)
                ridge = facing if turned else way
                wings = [(centre, ridge, length, depth)]
                kind = "flat" if big or rng.random() < 0.1 else ("hip" if rng.random() < 0.33 else "gable")
                if not big and kind != "flat" and rng.random() < 0.28:
                    sign = rng.choice([-1, 1])
                    normal = np.array([-ridge[1], ridge[0]])
                    wing = centre + ridge * sign * (length / 2 - depth * 0.4) + normal * depth * 0.62
                    wings.append((wing, normal, depth * 1.15, depth * 0.8))
                around = [_box(c, u, long + 6.0, w + 6.0) for c, u, long, w in wings]
                if not all(p.free(outline) for outline in around) or rng.random() < 0.08:
                    continue
                for c, u, long, w in wings:
                    p.take(_box(c, u, long + 1.2, w + 1.2))
                palette = FLATS if kind == "flat" else ROOFS
                colour = tuple(
                    int(v)
                    for v in np.array(palette[rng.integers(len(palette))]) + rng.normal(0, 9) + rng.normal(0, 3, 3)
                )
                height = rng.uniform(7, 11) if big else rng.uniform(4.5, 7)
                gate = at + facing * width / 2 + way * (length / 2 - 1.5) * (0 if turned else 1)
                if turned:
                    gate = gate + way * (depth / 2 + 2.2)
                plans.append(_House(tuple(wings), kind, (colour[0], colour[1], colour[2]), height, gate, facing))
    return plans


def _driveway(p: _Painter, house: _House) -> None:
    rng = p.rng
    centre, ridge, length, width = house.wings[0]
    yard = _box(centre, ridge, length + rng.uniform(8, 15), width + rng.uniform(10, 16))
    where, mask = p.area(yard)
    lawn = rng.normal(0, 5, 3) + np.array([86, 112, 56]) + rng.uniform(-12, 14)
    mask &= p.taken[where] == 0
    p.stain(where, mask, lawn, 5, 0.5)
    stone = [(158, 152, 142), (142, 138, 134), (164, 150, 134), (122, 120, 120)][rng.integers(4)]
    reach = 8.5 if house.kind != "flat" else 11.0
    way = np.array([-house.front[1], house.front[0]])
    path = _box(house.gate + house.front * reach / 2, house.front, reach, 3.2)
    where, mask = p.area(path)
    mask &= p.instances[where] == 0
    p.stain(where, mask, stone, 5)
    p.taken[where][mask] = 1
    terrace = _box(centre + house.front * (abs(ridge @ house.front) * length + abs(ridge @ way) * width) / 2, way, 6, 6)
    where, mask = p.area(terrace)
    mask &= p.instances[where] == 0
    p.stain(where, mask, (156, 140, 122), 6, 0.9)
    if rng.random() < 0.22:
        pool = _box(terrace.mean(axis=0) + house.front * 7 + way * rng.uniform(-3, 3), way, 7.5, 3.8)
        if p.free(pool):
            p.fill(_box(pool.mean(axis=0), way, 9.0, 5.3), (186, 180, 168), 4)
            p.fill(pool, (88, 170, 190), 4, p.new("water"))
            p.take(pool)
    if rng.random() < 0.5:
        hedge = _box(yard.mean(axis=0), ridge, length + 15, width + 15)
        for k in (0, 2):
            p.stroke(hedge[[k, k + 1]], 1.0, (52, 72, 38), 8, only=p.taken == 0)


def _faces(centre: Points, ridge: Points, length: float, width: float, kind: str) -> list[tuple[Points, Points]]:
    """Roof planes as (outline, the way down)."""
    a, b, c, d = _box(centre, ridge, length, width)
    normal = np.array([-ridge[1], ridge[0]])
    inset = min(width, length) / 2 * 0.95 if kind == "hip" else 0.0
    start, end = centre - ridge * (length / 2 - inset), centre + ridge * (length / 2 - inset)
    faces = [(np.array([a, b, end, start]), -normal), (np.array([d, c, end, start]), normal)]
    if kind == "hip":
        faces += [(np.array([a, d, start]), -ridge), (np.array([b, c, end]), ridge)]
    return faces


def _roof(p: _Painter, house: _House) -> None:
    rng = p.rng
    number = p.new("building")
    sun = -np.array(SHADOW) / math.hypot(*SHADOW)
    base = np.array(house.colour, np.float64)
    for centre, ridge, length, width in house.wings:
        if house.kind == "flat":
            p.fill(_box(centre, ridge, length, width), base + 16, 3, number)
            p.fill(_box(centre, ridge, length - 0.9, width - 0.9), base - 8, 5)
            shade = np.array(SHADOW) * 0.7
            inner = _box(centre, ridge, length - 0.9, width - 0.9)
            p.fill(np.clip(inner - shade, inner.min(axis=0), inner.max(axis=0)), base, 4, alpha=0.6)
            for _ in range(int(rng.integers(1, 6))):
                spot = (
                    centre
                    + ridge * rng.uniform(-0.36, 0.36) * length
                    + np.array([-ridge[1], ridge[0]]) * rng.uniform(-0.3, 0.3) * width
                )
                size = rng.uniform(1.0, 2.6)
                p.fill(_box(spot + np.array(SHADOW), ridge, size, size), base * 0.5, 2)
                p.fill(_box(spot, ridge, size, size), base + rng.uniform(8, 40), 3)
            continue
        for face, down in _faces(centre, ridge, length, width, house.kind):
            light = 0.86 + 0.30 * float(down @ sun)
            where, mask = p.area(face)
            if not mask.any():
                continue
            rows, cols = np.mgrid[where[0], where[1]].astype(np.float32) / p.scale
            courses = np.sin((cols * down[0] + rows * down[1]) * 2 * math.pi / 0.9) * 2.2
            paint = base * light + (courses + 4 * p.noise(1.6, 2, mask.shape))[..., None]
            p.colour[where][mask] = paint[mask]
            p.instances[where][mask] = number
        start, end = centre - ridge * length / 2 * 0.98, centre + ridge * length / 2 * 0.98
        if house.kind == "gable":
            p.fill(_box((start + end) / 2, ridge, length, 0.28), base * 1.12 + 8, 3)
    centre, ridge, length, width = house.wings[0]
    if house.kind != "flat":
        normal = np.array([-ridge[1], ridge[0]])
        sunny = normal if normal @ sun > 0 else -normal
        if rng.random() < 0.2:
            panel = _box(centre + sunny * width * 0.25, ridge, length * 0.5, width * 0.3)
            p.fill(panel, (38, 46, 70), 4)
            for t in np.linspace(0, 1, 5)[1:-1]:
                p.fill(
                    _box(
                        panel[0] * (1 - t) / 2 + panel[1] * t / 2 + panel[3] * (1 - t) / 2 + panel[2] * t / 2,
                        normal,
                        width * 0.3,
                        0.12,
                    ),
                    (90, 98, 116),
                    2,
                )
        chimney = centre + ridge * length * rng.uniform(-0.3, 0.3) + normal * rng.uniform(-0.8, 0.8)
        p.fill(_box(chimney + np.array(SHADOW) * 0.9, ridge, 1.1, 0.8), base * 0.5, 2, alpha=0.8)
        p.fill(_box(chimney, ridge, 0.9, 0.7), (150, 120, 108), 3)


# --- trees, shadows, cars -------------------------------------------------------------------------------------------


def _plan_trees(p: _Painter) -> list[tuple[float, float, float, float]]:
    """(x, y, radius, height) of each tree: a grove, park trees, a river bank, garden and street trees."""
    rng, s = p.rng, p.side
    wishes: list[tuple[float, float, float, float]] = []
    for u, v, spread, number in (
        (0.29, 0.33, 0.055, 170),
        (0.09, 0.87, 0.03, 26),
        (0.19, 0.79, 0.022, 14),
        (0.70, 0.71, 0.02, 9),
    ):
        for _ in range(number):
            x, y = np.array([u, v]) * s + rng.normal(0, spread * s, 2) * (1.0, 0.75)
            wishes.append((x, y, rng.uniform(2.4, 4.8), 1.35))
    for _ in range(130):
        wishes.append(
            (
                rng.uniform(0, s),
                (0.945 + rng.choice([-1, 1]) * rng.uniform(0.03, 0.045)) * s,
                rng.uniform(1.6, 3.6),
                1.3,
            )
        )
    for _ in range(900):
        wishes.append((rng.uniform(0, s), rng.uniform(0.02, 1) * s, rng.uniform(0.9, 3.3), 2.1))
    trees: list[tuple[float, float, float, float]] = []
    for x, y, radius, gap in wishes:
        core = _box(np.array([x, y]), np.array([1.0, 0.0]), radius * 1.2, radius * 1.2)
        near = any(math.hypot(x - a, y - b) < (radius + c) * gap * 0.45 for a, b, c, _ in trees)
        if near or not p.free(core):
            continue
        trees.append((x, y, radius, radius * rng.uniform(1.5, 2.1)))
    return trees


def _shadows(p: _Painter, plans: list[_House], trees: list[tuple[float, float, float, float]]) -> None:
    """One sun: every house and tree darkens the ground behind it."""
    shade = np.zeros(p.instances.shape, np.uint8)
    cast = np.array(SHADOW)

    def sweep(outline: Points, height: float) -> None:
        far = outline + cast * height
        for i in range(len(outline)):
            j = (i + 1) % len(outline)
            quad = np.array([outline[i], outline[j], far[j], far[i]])
            where, mask = p.area(quad)
            shade[where][mask] = 1
        where, mask = p.area(far)
        shade[where][mask] = 1

    for house in plans:
        for centre, ridge, length, width in house.wings:
            sweep(_box(centre, ridge, length, width), house.height * (1.0 if house.kind == "flat" else 0.72))
            if house.kind == "gable":
                sweep(_box(centre, ridge, length, 0.6), house.height)
    for x, y, radius, height in trees:
        crown = _blob((x, y), radius * 0.92, p.rng, 0.25)
        sweep(crown, height * 0.72)
    soft = np.asarray(cv2.GaussianBlur(shade.astype(np.float32), (0, 0), 1.2), np.float32)
    p.light = soft
    p.colour *= 1 - soft[..., None] * np.array([0.56, 0.52, 0.44], np.float32)


def _cars(p: _Painter, plans: list[_House], roads: list[tuple[Points, float]]) -> None:
    rng = p.rng
    spots = [(house.gate + house.front * rng.uniform(4.6, 5.6), house.front) for house in plans if rng.random() < 0.62]
    for line, width in roads:
        for at, way in _walk(line, 7.0, rng.uniform(0, 7)):
            normal = np.array([-way[1], way[0]])
            if width < 7 and rng.random() < 0.17:
                spots.append((at + normal * rng.choice([-1, 1]) * (width / 2 - 1.1), way))
            elif width > 7 and rng.random() < 0.09:
                spots.append((at + normal * rng.choice([-1, 1]) * width / 4, way))
    placed: list[Points] = []
    for centre, way in spots:
        if np.hypot(*(centre - HUB * p.side)) < 17 or any(np.hypot(*(centre - other)) < 5.2 for other in placed):
            continue
        if not (3 < centre.min() and centre.max() < p.side - 3):
            continue
        if not _drivable(p, centre):
            continue
        placed.append(centre)
        _car(p, centre, way * rng.choice([-1, 1]), np.array(CARS[rng.integers(len(CARS))], np.float64))


def _drivable(p: _Painter, centre: Points) -> bool:
    row, col = (centre[::-1] * p.scale).astype(int)
    return CLASSES[p.kinds[p.instances[row, col]]] in ("ground", "road")


def _car(p: _Painter, centre: Points, way: Points, colour: Points) -> None:
    rng = p.rng
    row, col = (centre[::-1] * p.scale).astype(int)
    colour = colour * (1 - 0.45 * p.light[row, col])
    length, width = rng.uniform(4.0, 4.8), rng.uniform(1.75, 1.95)

    def rounded(shift: float, long: float, wide: float) -> Points:
        t = np.linspace(0, 2 * math.pi, 32, endpoint=False)
        x, y = (np.sign(f) * np.abs(f) ** 0.35 for f in (np.cos(t), np.sin(t)))
        return centre + np.outer(x * long / 2 + shift, way) + np.outer(y * wide / 2, [-way[1], way[0]])

    p.fill(rounded(0, length, width) + np.array(SHADOW) * 0.9, (46, 48, 54), 2, alpha=0.75)
    p.fill(rounded(0, length, width), colour * 0.92, 2, p.new("car"))
    p.fill(rounded(-0.25, length * 0.56, width * 0.86), (44, 52, 60), 2)
    p.fill(rounded(-0.3, length * 0.36, width * 0.74), np.minimum(colour * 1.06 + 4, 250), 2)


def _tree(p: _Painter, x: float, y: float, radius: float, height: float) -> None:
    rng = p.rng
    number = p.new("tree")
    crown = _blob((x, y), radius, rng, 0.28)
    where, mask = p.area(crown)
    if not mask.any():
        return
    rows, cols = np.mgrid[where[0], where[1]].astype(np.float32) / p.scale
    u, v = (cols - x) / radius, (rows - y) / radius
    dome = np.sqrt(np.clip(1 - u**2 - v**2, 0, 1))
    sun = -np.array(SHADOW) / math.hypot(*SHADOW)
    lumps = p.noise(max(0.9, radius * 0.38), 3, mask.shape)
    light = 0.62 + 0.30 * (u * sun[0] + v * sun[1]) + 0.22 * dome + 0.16 * lumps
    hue = np.array(
        [[78, 102, 48], [62, 92, 46], [92, 108, 54], [58, 80, 44], [100, 106, 58]][rng.integers(5)]
    ) + rng.normal(0, 5, 3)
    paint = hue * np.clip(light, 0.25, 1.5)[..., None] + rng.normal(0, 4, (*mask.shape, 1))
    p.colour[where][mask] = paint[mask]
    p.instances[where][mask] = number


# --- files ----------------------------------------------------------------------------------------------------------


def truth_features(town: Town) -> list[dict[str, Any]]:
    """The objects of a town as GeoJSON features in WGS 84: one per instance, along its pixels' edges, holes kept."""
    from pyproj import Transformer
    from rasterio.features import shapes
    from rasterio.transform import Affine

    to_degrees = Transformer.from_crs(town.epsg, 4326, always_xy=True)
    parts: dict[int, list[Any]] = {}
    for shape, value in shapes(town.instances, mask=town.instances > 0, transform=Affine(*town.transform)):
        rings = []
        for ring in shape["coordinates"]:
            lon, lat = to_degrees.transform(*np.array(ring).T)
            rings.append([[round(a, 9), round(b, 9)] for a, b in zip(lon, lat, strict=True)])
        parts.setdefault(int(value), []).append(rings)
    return [
        {
            "type": "Feature",
            "properties": {"id": number, "class": CLASSES[town.kinds[number]]},
            "geometry": {"type": "MultiPolygon", "coordinates": polygons},
        }
        for number, polygons in sorted(parts.items())
    ]


def write_sample(path: str | Path, town: Town | None = None) -> tuple[Path, Path]:
    """Write a town (default: the packaged one) as a tiled JPEG GeoTIFF with overviews, and its truth beside it.

    Returns (PATH, STEM_truth.geojson).
    """
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.transform import Affine

    path = Path(path)
    town = town or make_town(SAMPLE_SEED)
    rows, cols = town.instances.shape
    options = {"compress": "JPEG", "jpeg_quality": 90, "photometric": "YCBCR", "tiled": True, "interleave": "pixel"}
    size = {"height": rows, "width": cols, "count": 3, "dtype": "uint8", "blockxsize": 256, "blockysize": 256}
    place = {"crs": f"EPSG:{town.epsg}", "transform": Affine(*town.transform)}
    with rasterio.open(path, "w", driver="GTiff", **options, **size, **place) as file:
        file.write(town.image.transpose(2, 0, 1))
        file.build_overviews([2, 4], Resampling.average)
    truth = path.with_name(f"{path.stem}_truth.geojson")
    features = ",\n".join(json.dumps(feature, separators=(",", ":")) for feature in truth_features(town))
    truth.write_text(f'{{"type":"FeatureCollection","features":[\n{features}\n]}}\n', encoding="utf-8")
    return path, truth


def make_square_scene(
    path: str | Path, bounds: tuple[float, float, float, float], size: int = 256, gsd: float = 0.5, epsg: int = EPSG
) -> Path:
    """A GeoTIFF of dark ground with one bright square at map `bounds` (left, bottom, right, top), near its middle.

    The picture's corner is snapped so that bounds that are whole multiples of `gsd` fall on pixel edges exactly.
    """
    import rasterio
    from rasterio.transform import Affine

    left, bottom, right, top = bounds
    col, row = round((size - (right - left) / gsd) / 2), round((size - (top - bottom) / gsd) / 2)
    cols, rows = round((right - left) / gsd), round((top - bottom) / gsd)
    noise = np.random.default_rng(0).normal(0, 3, (size, size, 3))
    image = np.full((size, size, 3), (60, 72, 50), np.float64)
    image[row : row + rows, col : col + cols] = (214, 196, 180)
    pixels = np.clip(image + noise, 0, 255).astype(np.uint8)
    transform = Affine(gsd, 0, left - col * gsd, 0, -gsd, top + row * gsd)
    size_of = {"height": size, "width": size, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", crs=f"EPSG:{epsg}", transform=transform, **size_of) as file:
        file.write(pixels.transpose(2, 0, 1))
    return Path(path)


if __name__ == "__main__":
    write_sample(Path(__file__).with_name("sample.tif"))
