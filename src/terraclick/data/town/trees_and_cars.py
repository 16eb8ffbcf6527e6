"""What stands on the ground of a town: trees and cars, and the shadows of trees and houses."""

from __future__ import annotations

import math

import cv2
import numpy as np

from terraclick.data.town.houses import House
from terraclick.data.town.painter import (
    CARS,
    CLASSES,
    HUB,
    SHADOW,
    Painter,
    Points,
    blob,
    box,
    walk,
)

__all__ = ["paint_cars", "paint_shadows", "paint_tree", "plan_trees"]


def plan_trees(p: Painter) -> list[tuple[float, float, float, float]]:
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
        core = box(np.array([x, y]), np.array([1.0, 0.0]), radius * 1.2, radius * 1.2)
        near = any(math.hypot(x - a, y - b) < (radius + c) * gap * 0.45 for a, b, c, _ in trees)
        if near or not p.free(core):
            continue
        trees.append((x, y, radius, radius * rng.uniform(1.5, 2.1)))
    return trees


def paint_shadows(p: Painter, plans: list[House], trees: list[tuple[float, float, float, float]]) -> None:
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
            sweep(box(centre, ridge, length, width), house.height * (1.0 if house.kind == "flat" else 0.72))
            if house.kind == "gable":
                sweep(box(centre, ridge, length, 0.6), house.height)
    for x, y, radius, height in trees:
        crown = blob((x, y), radius * 0.92, p.rng, 0.25)
        sweep(crown, height * 0.72)
    soft = np.asarray(cv2.GaussianBlur(shade.astype(np.float32), (0, 0), 1.2), np.float32)
    p.light = soft
    p.colour *= 1 - soft[..., None] * np.array([0.56, 0.52, 0.44], np.float32)


def paint_cars(p: Painter, plans: list[House], roads: list[tuple[Points, float]]) -> None:
    """Paint cars on driveways and along the streets."""
    rng = p.rng
    spots = [(house.gate + house.front * rng.uniform(4.6, 5.6), house.front) for house in plans if rng.random() < 0.62]
    for line, width in roads:
        for at, way in walk(line, 7.0, rng.uniform(0, 7)):
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


def _drivable(p: Painter, centre: Points) -> bool:
    row, col = (centre[::-1] * p.scale).astype(int)
    return CLASSES[p.kinds[p.instances[row, col]]] in ("ground", "road")


def _car(p: Painter, centre: Points, way: Points, colour: Points) -> None:
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


def paint_tree(p: Painter, x: float, y: float, radius: float, height: float) -> None:
    """Paint one crown as an instance; metres."""
    rng = p.rng
    number = p.new("tree")
    crown = blob((x, y), radius, rng, 0.28)
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
