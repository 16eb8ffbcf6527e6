"""Ground, fields, water, streets and courts of a town."""

from __future__ import annotations

import math

import cv2
import numpy as np

from terraclick.data.town.painter import (
    CLASSES,
    HUB,
    Mask,
    Painter,
    Points,
    blob,
    box,
    curve,
    walk,
)

__all__ = ["paint_courts", "paint_ground", "paint_roads"]


def paint_ground(p: Painter) -> None:
    """Paint grass, fields, forest floor and water."""
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
    pond = blob((0.10 * s, 0.755 * s), 17, p.rng, 0.2, 1.25)
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


def _full(p: Painter, points: Points) -> Mask:
    mask = np.zeros(p.instances.shape, bool)
    where, part = p.area(points)
    mask[where] = part
    return mask


def paint_roads(p: Painter) -> list[tuple[Points, float]]:
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
    lines = [(curve(main), 8.0), (curve(cross), 7.5), *((curve(points), 5.6) for points in small)]
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
            offset = np.array([at + side * width * 0.22 * np.array([-way[1], way[0]]) for at, way in walk(line, 4)])
            p.stroke(offset, 0.7, (92, 92, 95), 2, 0.35, asphalt)
    road = p.new("road")
    p.instances[asphalt] = road
    for line, width in lines[:2]:
        for at, way in walk(line, 7.0, 2.0):
            if np.hypot(*(at - hub)) > 24:
                p.fill(box(at, way, 3.2, 0.22), (214, 212, 206), 4, alpha=0.85)
        for at, way in walk(line, 1.0):
            if 23 < np.hypot(*(at - hub)) < 23.9:
                normal = np.array([-way[1], way[0]])
                for k in np.arange(-width / 2 + 0.7, width / 2 - 0.3, 1.1):
                    p.fill(box(at + normal * k, way, 3.0, 0.55), (222, 220, 214), 4, alpha=0.85)
    for radius, colour in ((8.2, (150, 132, 118)), (6.6, (176, 172, 166)), (6.1, (88, 108, 56))):
        p.fill(hub + ring * radius, colour, 5, 0)
    p.taken[cv2.dilate(pavement.astype(np.uint8), np.ones((3, 3))) > 0] = 1
    return lines


def paint_courts(p: Painter) -> None:
    """Paint the courts with their lines."""
    white = (226, 226, 220)
    along = np.array([math.cos(0.12), math.sin(0.12)])
    across = np.array([-along[1], along[0]])
    spots = [((0.90, 0.555), (170, 96, 70), (150, 110, 84)), ((0.905, 0.665), (60, 104, 120), (84, 122, 92))]
    for (u, v), inner, outer in spots:
        centre = np.array([u, v]) * p.side
        p.fill(box(centre, along, 37, 19), outer, 4, p.new("court"))
        p.fill(box(centre, along, 24, 11), inner, 3)
        p.take(box(centre, along, 41, 23))
        lines = [box(centre, along, 24, 11), box(centre, along, 24, 8.2), box(centre, along, 12.8, 8.2)]
        for outline in lines:
            p.stroke(outline, 0.16, white, 3, 0.9, closed=True)
        p.stroke(np.array([centre - 6.4 * along, centre + 6.4 * along]), 0.16, white, 3, 0.9)
        p.stroke(np.array([centre - 6.2 * across, centre + 6.2 * across]), 0.3, (60, 62, 64), 3, 0.7)
