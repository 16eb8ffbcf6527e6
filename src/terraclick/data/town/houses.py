"""Houses of a town: where they stand, their driveways and their roofs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from terraclick.data.town.painter import (
    FLATS,
    ROOFS,
    SHADOW,
    Painter,
    Points,
    box,
    walk,
)

__all__ = ["House", "paint_driveway", "paint_roof", "plan_houses"]


@dataclass(frozen=True, eq=False)
class House:
    """Wings as (centre, direction of the ridge, length, width), roof kind and colour, and where its door faces."""

    wings: tuple[tuple[Points, Points, float, float], ...]
    kind: str
    colour: tuple[int, int, int]
    height: float
    gate: Points
    front: Points


def plan_houses(p: Painter, roads: list[tuple[Points, float]]) -> list[House]:
    """Choose where houses stand along the streets; nothing is painted yet."""
    rng, plans = p.rng, []
    for line, width in roads:
        for side in (-1, 1):
            for at, way in walk(line, 3.0, rng.uniform(2, 9)):
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
                around = [box(c, u, long + 6.0, w + 6.0) for c, u, long, w in wings]
                if not all(p.free(outline) for outline in around) or rng.random() < 0.08:
                    continue
                for c, u, long, w in wings:
                    p.take(box(c, u, long + 1.2, w + 1.2))
                palette = FLATS if kind == "flat" else ROOFS
                colour = tuple(
                    int(v)
                    for v in np.array(palette[rng.integers(len(palette))]) + rng.normal(0, 9) + rng.normal(0, 3, 3)
                )
                height = rng.uniform(7, 11) if big else rng.uniform(4.5, 7)
                gate = at + facing * width / 2 + way * (length / 2 - 1.5) * (0 if turned else 1)
                if turned:
                    gate = gate + way * (depth / 2 + 2.2)
                plans.append(House(tuple(wings), kind, (colour[0], colour[1], colour[2]), height, gate, facing))
    return plans


def paint_driveway(p: Painter, house: House) -> None:
    """Paint the way from a house to its street."""
    rng = p.rng
    centre, ridge, length, width = house.wings[0]
    yard = box(centre, ridge, length + rng.uniform(8, 15), width + rng.uniform(10, 16))
    where, mask = p.area(yard)
    lawn = rng.normal(0, 5, 3) + np.array([86, 112, 56]) + rng.uniform(-12, 14)
    mask &= p.taken[where] == 0
    p.stain(where, mask, lawn, 5, 0.5)
    stone = [(158, 152, 142), (142, 138, 134), (164, 150, 134), (122, 120, 120)][rng.integers(4)]
    reach = 8.5 if house.kind != "flat" else 11.0
    way = np.array([-house.front[1], house.front[0]])
    path = box(house.gate + house.front * reach / 2, house.front, reach, 3.2)
    where, mask = p.area(path)
    mask &= p.instances[where] == 0
    p.stain(where, mask, stone, 5)
    p.taken[where][mask] = 1
    terrace = box(centre + house.front * (abs(ridge @ house.front) * length + abs(ridge @ way) * width) / 2, way, 6, 6)
    where, mask = p.area(terrace)
    mask &= p.instances[where] == 0
    p.stain(where, mask, (156, 140, 122), 6, 0.9)
    if rng.random() < 0.22:
        pool = box(terrace.mean(axis=0) + house.front * 7 + way * rng.uniform(-3, 3), way, 7.5, 3.8)
        if p.free(pool):
            p.fill(box(pool.mean(axis=0), way, 9.0, 5.3), (186, 180, 168), 4)
            p.fill(pool, (88, 170, 190), 4, p.new("water"))
            p.take(pool)
    if rng.random() < 0.5:
        hedge = box(yard.mean(axis=0), ridge, length + 15, width + 15)
        for k in (0, 2):
            p.stroke(hedge[[k, k + 1]], 1.0, (52, 72, 38), 8, only=p.taken == 0)


def _faces(centre: Points, ridge: Points, length: float, width: float, kind: str) -> list[tuple[Points, Points]]:
    """Roof planes as (outline, the way down)."""
    a, b, c, d = box(centre, ridge, length, width)
    normal = np.array([-ridge[1], ridge[0]])
    inset = min(width, length) / 2 * 0.95 if kind == "hip" else 0.0
    start, end = centre - ridge * (length / 2 - inset), centre + ridge * (length / 2 - inset)
    faces = [(np.array([a, b, end, start]), -normal), (np.array([d, c, end, start]), normal)]
    if kind == "hip":
        faces += [(np.array([a, d, start]), -ridge), (np.array([b, c, end]), ridge)]
    return faces


def paint_roof(p: Painter, house: House) -> None:
    """Paint the roof of a house, face by face, as one instance."""
    rng = p.rng
    number = p.new("building")
    sun = -np.array(SHADOW) / math.hypot(*SHADOW)
    base = np.array(house.colour, np.float64)
    for centre, ridge, length, width in house.wings:
        if house.kind == "flat":
            p.fill(box(centre, ridge, length, width), base + 16, 3, number)
            p.fill(box(centre, ridge, length - 0.9, width - 0.9), base - 8, 5)
            shade = np.array(SHADOW) * 0.7
            inner = box(centre, ridge, length - 0.9, width - 0.9)
            p.fill(np.clip(inner - shade, inner.min(axis=0), inner.max(axis=0)), base, 4, alpha=0.6)
            for _ in range(int(rng.integers(1, 6))):
                spot = (
                    centre
                    + ridge * rng.uniform(-0.36, 0.36) * length
                    + np.array([-ridge[1], ridge[0]]) * rng.uniform(-0.3, 0.3) * width
                )
                size = rng.uniform(1.0, 2.6)
                p.fill(box(spot + np.array(SHADOW), ridge, size, size), base * 0.5, 2)
                p.fill(box(spot, ridge, size, size), base + rng.uniform(8, 40), 3)
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
            p.fill(box((start + end) / 2, ridge, length, 0.28), base * 1.12 + 8, 3)
    centre, ridge, length, width = house.wings[0]
    if house.kind != "flat":
        normal = np.array([-ridge[1], ridge[0]])
        sunny = normal if normal @ sun > 0 else -normal
        if rng.random() < 0.2:
            panel = box(centre + sunny * width * 0.25, ridge, length * 0.5, width * 0.3)
            p.fill(panel, (38, 46, 70), 4)
            for t in np.linspace(0, 1, 5)[1:-1]:
                p.fill(
                    box(
                        panel[0] * (1 - t) / 2 + panel[1] * t / 2 + panel[3] * (1 - t) / 2 + panel[2] * t / 2,
                        normal,
                        width * 0.3,
                        0.12,
                    ),
                    (90, 98, 116),
                    2,
                )
        chimney = centre + ridge * length * rng.uniform(-0.3, 0.3) + normal * rng.uniform(-0.8, 0.8)
        p.fill(box(chimney + np.array(SHADOW) * 0.9, ridge, 1.1, 0.8), base * 0.5, 2, alpha=0.8)
        p.fill(box(chimney, ridge, 0.9, 0.7), (150, 120, 108), 3)
