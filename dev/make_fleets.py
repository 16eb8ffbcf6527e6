"""A labelled dataset of made-up aircraft, ships, tanks, lorries and sports grounds, to train on free pictures alone.

    python dev/make_fleets.py FOLDER [--count 90] [--seed 5000] [--side 640]

The freely licensed sets show buildings, fields and roads, but none of these things. Every thing is a drawing of its
own: proportions, colours and light are drawn by chance. The layout is the one `terraclick train` and `benchmark` read;
instances are true.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from labelled_scenes import Scene, write_scenes
from numpy.typing import NDArray

CLASSES = ("ground", "airplane", "ship", "storage_tank", "vehicle", "court", "ball_field", "track", "pier")
"""Class ids, in order; instances exist for all but ground."""

FINE = 3
"""Everything is painted this many times finer and then averaged, as a sensor does."""

LIVERIES = (
    (236, 238, 240),
    (236, 238, 240),
    (205, 208, 212),
    (60, 88, 150),
    (170, 60, 52),
    (226, 190, 70),
    (96, 110, 100),
)
CONCRETE = ((150, 150, 146), (176, 172, 164), (120, 122, 124), (92, 94, 98), (190, 186, 178))
WATERS = ((38, 62, 70), (52, 78, 74), (70, 92, 84), (30, 44, 66), (88, 100, 92))
GRASS = ((84, 108, 62), (110, 122, 76), (66, 88, 52), (132, 130, 92), (150, 134, 104))
HULLS = ((70, 72, 78), (120, 44, 40), (40, 60, 96), (196, 196, 192), (110, 116, 112), (150, 92, 60))

Points = NDArray[np.float64]
Colour = Sequence[float] | NDArray[Any]


@dataclass(frozen=True, eq=False)
class Layer:
    """A filled polygon (n, 2) in lengths of its thing, x along and y across it."""

    points: Points
    colour: Colour


def ring(radius: float) -> Points:
    """A circle about the origin."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def rectangle(x: float, y: float, length: float, width: float) -> Points:
    """A rectangle with its centre at (x, y)."""
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float64)
    return np.array([x, y]) + corners * (length / 2, width / 2)


def mirrored(points: Points) -> Points:
    """The same on the other side of the axis."""
    return points * (1, -1)


def pick(rng: np.random.Generator, colours: Sequence[Colour], spread: float = 10.0) -> NDArray[np.float64]:
    """One of some colours, a little different each time."""
    return np.clip(np.array(colours[rng.integers(len(colours))]) + rng.normal(0, spread, 3), 5, 250)


def aeroplane(rng: np.random.Generator) -> list[Layer]:
    """An airliner, a jet or a small propeller aircraft, its nose at x = −.5."""
    paint, wing_paint = pick(rng, LIVERIES), pick(rng, LIVERIES[:3])
    small = rng.random() < 0.2
    radius = rng.uniform(0.05, 0.075) if small else rng.uniform(0.042, 0.066)
    sweep = rng.uniform(-0.02, 0.04) if small else rng.uniform(0.12, 0.36)
    half = rng.uniform(0.55, 0.72) if small else rng.uniform(0.4, 0.56)
    root, tip = rng.uniform(0.15, 0.26), rng.uniform(0.04, 0.09)
    front = rng.uniform(-0.2, -0.06)
    wing = np.array([(front, 0), (front + sweep, half), (front + sweep + tip, half), (front + root, 0)], np.float64)
    tail_half, tail_front = rng.uniform(0.15, 0.23), rng.uniform(0.34, 0.38)
    back = tail_front + sweep / 2.4
    tail = np.array([(tail_front, 0), (back, tail_half), (back + 0.05, tail_half), (tail_front + 0.11, 0)], np.float64)
    nose = np.linspace(-np.pi / 2, np.pi / 2, 12)
    front_end = np.stack([-0.5 + 0.11 * (1 - np.cos(nose)), radius * np.sin(nose)], axis=1)[::-1]
    rear_end = np.array([(0.2, -radius), (0.5, -radius * 0.15), (0.5, radius * 0.15), (0.2, radius)])
    hull = np.concatenate([front_end, rear_end])
    layers = [Layer(part, wing_paint) for part in (wing, mirrored(wing), tail, mirrored(tail))]
    for share in () if small else ((0.33,), (0.33, 0.62), ())[rng.integers(3)]:
        x = front + sweep * share - 0.02
        engine = rectangle(x, half * share, rng.uniform(0.07, 0.11), rng.uniform(0.03, 0.045))
        layers += [Layer(part, wing_paint * 0.8) for part in (engine, mirrored(engine))]
    layers += [Layer(hull, paint)]
    ridge, fin = rectangle(-0.02, -radius * 0.3, 0.8, radius * 0.5), rectangle(0.43, 0, 0.13, 0.012)
    return [*layers, Layer(ridge, np.minimum(paint * 1.08, 255)), Layer(fin, pick(rng, LIVERIES))]


def ship(rng: np.random.Generator) -> list[Layer]:
    """A freighter or a boat, its bow at x = −.5."""
    width, blunt = rng.uniform(0.11, 0.3), rng.uniform(0.12, 0.32)
    hull_paint, deck = pick(rng, HULLS), pick(rng, HULLS)
    along = np.linspace(0, 1, 9)
    side = np.stack([-0.5 + blunt * along, width / 2 * np.sqrt(along)], axis=1)
    stern = np.array([(0.46, width / 2), (0.5, width / 2 * rng.uniform(0.3, 0.9))])
    outline = np.concatenate([side, stern, mirrored(stern)[::-1], mirrored(side)[::-1]])
    layers = [Layer(outline, hull_paint), Layer(outline * (0.96, 0.82), deck)]
    house = rng.uniform(0.25, 0.42)
    rows, gap = int(rng.integers(2, 9)), rng.uniform(0.7, 0.96)
    step = (house - 0.06 + 0.3) / rows
    if rng.random() < 0.7:
        for row in range(rows):
            paint = pick(rng, (*HULLS, *LIVERIES), 18)
            hold = rectangle(-0.3 + step * (row + 0.5), 0, step * gap, width * rng.uniform(0.45, 0.75))
            layers.append(Layer(hold, paint))
    bridge = rectangle(house + 0.02, 0, rng.uniform(0.07, 0.14), width * rng.uniform(0.5, 0.9))
    return [*layers, Layer(bridge, pick(rng, LIVERIES[:3]))]


def tank(rng: np.random.Generator) -> list[Layer]:
    """A round tank with a rim, and a roof that may be lower and in shade."""
    paint = pick(rng, (*LIVERIES[:3], *CONCRETE))
    roof = ring(0.5 * rng.uniform(0.86, 0.96))
    layers = [Layer(ring(0.5), paint), Layer(roof, paint * rng.uniform(0.75, 1.02))]
    if rng.random() < 0.5:
        layers.append(Layer(roof * 0.93 + rng.normal(0, 0.02, 2), paint * rng.uniform(0.85, 1.05)))
    return [*layers, Layer(rectangle(0.2, 0.05, 0.3, 0.02), paint * 0.7)]


def lorry(rng: np.random.Generator) -> list[Layer]:
    """A car, a bus or a lorry."""
    width, paint = rng.uniform(0.2, 0.48), pick(rng, (*LIVERIES, *HULLS))
    body = rectangle(0, 0, 1, width)
    if width > 0.36:
        return [Layer(body, paint), Layer(rectangle(-0.1, 0, 0.16, width * 0.8), paint * 0.35)]
    return [Layer(body, paint), Layer(rectangle(-0.42, 0, 0.14, width), pick(rng, LIVERIES))]


def court(rng: np.random.Generator) -> list[Layer]:
    """A tennis or basketball court with its lines."""
    width = rng.uniform(0.45, 0.62)
    outer, inner = pick(rng, ((96, 130, 92), (170, 96, 76), (86, 110, 150), (176, 156, 128))), rng.uniform(0.6, 0.85)
    paint, line = np.clip(outer * rng.uniform(0.7, 1.3), 0, 245), np.array([232.0, 232, 228])
    layers = [Layer(rectangle(0, 0, 1, width), outer), Layer(rectangle(0, 0, inner, width * inner), line)]
    layers.append(Layer(rectangle(0, 0, inner - 0.02, width * inner - 0.02), paint))
    layers += [Layer(rectangle(x * inner, 0, 0.012, width * inner), line) for x in (-0.23, 0.0, 0.23)]
    return [*layers, Layer(rectangle(0, 0, inner * 0.46, 0.012), line)]


def ball_field(rng: np.random.Generator) -> list[Layer]:
    """A baseball field: a quarter of a disk, bare ground about a square of grass."""
    angle = np.linspace(-np.pi / 4, np.pi / 4, 24)
    dirt, grass = pick(rng, ((176, 140, 104), (158, 120, 92), (190, 164, 130))), pick(rng, GRASS[:3])

    def quarter(radius: float) -> Points:
        arc = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return np.concatenate([np.zeros((1, 2)), arc]) - (0.5, 0)

    square = np.array([(0.08, 0), (0.24, 0.16), (0.4, 0), (0.24, -0.16)]) - (0.5, 0)
    return [Layer(quarter(1.0), grass), Layer(quarter(rng.uniform(0.42, 0.55)), dirt), Layer(square, grass * 1.05)]


def track(rng: np.random.Generator) -> list[Layer]:
    """A running track about a pitch."""
    width, lane = rng.uniform(0.45, 0.6), rng.uniform(0.05, 0.09)
    paint, grass = pick(rng, ((170, 92, 72), (150, 110, 90), (120, 120, 122))), pick(rng, GRASS[:3])

    def oval(inset: float) -> Points:
        radius, angle = width / 2 - inset, np.linspace(-np.pi / 2, np.pi / 2, 20)
        end = np.stack([0.5 - width / 2 + radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return np.concatenate([end, -end])

    pitch = rectangle(0, 0, 1 - width * 1.05, width - 2.6 * lane)
    return [
        Layer(oval(0), paint),
        Layer(oval(lane), grass),
        Layer(pitch, np.clip(grass * rng.uniform(0.9, 1.2), 0, 250)),
    ]


def pier(rng: np.random.Generator) -> list[Layer]:
    """A jetty with planks across it."""
    width, paint = rng.uniform(0.06, 0.16), pick(rng, CONCRETE)
    return [Layer(rectangle(0, 0, 1, width), paint), Layer(rectangle(0, 0, 0.98, width * 0.5), paint * 1.07)]


THINGS: dict[str, tuple[Callable[[np.random.Generator], list[Layer]], tuple[float, float], float]] = {
    "airplane": (aeroplane, (34, 230), 0.07),
    "ship": (ship, (22, 260), 0.05),
    "storage_tank": (tank, (18, 130), 0.2),
    "vehicle": (lorry, (12, 60), 0.15),
    "court": (court, (50, 220), 0.0),
    "ball_field": (ball_field, (70, 260), 0.0),
    "track": (track, (140, 420), 0.0),
    "pier": (pier, (60, 320), 0.05),
}
"""How a class is drawn, its length in pixels, and the length of its shadow in its own lengths."""

SCENES: tuple[tuple[Sequence[Colour], dict[str, int]], ...] = (
    (CONCRETE, {"airplane": 9, "vehicle": 8}),
    (CONCRETE, {"airplane": 9, "vehicle": 4}),
    (WATERS, {"pier": 4, "ship": 10}),
    (WATERS, {"ship": 9}),
    ((*CONCRETE, *GRASS), {"storage_tank": 12, "vehicle": 8}),
    (GRASS, {"track": 1, "ball_field": 3, "court": 6, "vehicle": 5}),
)
"""What the ground is, and how many things of a class may lie on it."""


class Canvas:
    """A picture being painted, three times as fine as it will be."""

    def __init__(self, rng: np.random.Generator, side: int, colours: Sequence[Colour]) -> None:
        self.rng, self.fine = rng, side * FINE
        self.image = np.tile(pick(rng, colours), (self.fine, self.fine, 1)).astype(np.float32)
        for cell, strength in ((220, 9), (60, 6), (9, 4)):
            self.image += self._noise(cell * FINE)[..., None] * rng.uniform(0.4, 1.3) * strength
        self.instances = np.zeros((self.fine, self.fine), np.uint16)
        self.kinds: list[str] = []
        sun = rng.uniform(0, 2 * np.pi)
        self.sun = np.array([np.cos(sun), np.sin(sun)])
        self._seams(colours)

    def _noise(self, cell: int) -> NDArray[np.float32]:
        coarse = self.rng.standard_normal((self.fine // cell + 3,) * 2).astype(np.float32)
        size = (self.fine, self.fine)
        return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.float32)

    def _seams(self, colours: Sequence[Colour]) -> None:
        """Joints of slabs and painted lines on what is paved, mowing stripes or waves elsewhere."""
        paved = colours is CONCRETE
        angle, step = self.rng.uniform(0, np.pi), self.rng.uniform(8, 60) * FINE
        for way in (angle, angle + np.pi / 2)[: 2 if paved else 1]:
            along, across = np.array([np.cos(way), np.sin(way)]), np.array([-np.sin(way), np.cos(way)])
            for offset in np.arange(-self.fine, self.fine, step):
                middle = self.fine / 2 + across * offset
                lift = self.rng.normal(-7, 4) if paved else self.rng.normal(0, 4)
                self.blend([middle - along * self.fine * 1.5, middle + along * self.fine * 1.5], lift, 2 * FINE)
        for _ in range(int(self.rng.integers(0, 6)) if paved else 0):
            ends = [self.rng.uniform(-0.2, 1.2, 2) * self.fine for _ in range(2)]
            self.blend(ends, np.array([60.0, 45, -30]), int(self.rng.integers(1, 3) * FINE))

    def blend(self, ends: Sequence[NDArray[Any]], lift: Any, width: int) -> None:
        """Lighten or darken along a line."""
        mask = np.zeros((self.fine, self.fine), np.uint8)
        first, last = (tuple(int(v) for v in np.rint(end)) for end in ends)
        cv2.line(mask, first, last, 1, width)
        self.image[mask > 0] += lift

    def place(self, kind: str) -> bool:
        """Paint one thing where there is room; False where none was found."""
        draw, lengths, shadow = THINGS[kind]
        length = float(np.exp(self.rng.uniform(*np.log(lengths)))) * FINE
        for _ in range(12):
            angle, middle = self.rng.uniform(0, 2 * np.pi), self.rng.uniform(0.03, 0.97, 2) * self.fine
            turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * length
            layers = draw(self.rng)
            body = self._filled([layer.points @ turn + middle for layer in layers])
            room = cv2.dilate(body, np.ones((3, 3), np.uint8), iterations=2 * FINE)
            if not body.any() or self.instances[room > 0].any():
                continue
            if shadow and self.rng.random() < 0.85:
                self._shade([layer.points @ turn + middle for layer in layers], shadow * length)
            self.kinds.append(kind)
            self.instances[body > 0] = len(self.kinds)
            for layer in layers:
                self._paint(layer.points @ turn + middle, layer.colour)
            return True
        return False

    def _filled(self, rings: Sequence[Points]) -> NDArray[np.uint8]:
        mask = np.zeros((self.fine, self.fine), np.uint8)
        for points in rings:
            cv2.fillPoly(mask, [np.rint(points * 16).astype(np.int32)], 1, shift=4)
        return mask

    def _shade(self, rings: Sequence[Points], reach: float) -> None:
        """A shadow that falls away from the sun."""
        reach *= self.rng.uniform(0.4, 1.6)
        shade = np.zeros((self.fine, self.fine), np.uint8)
        for share in (0.3, 0.6, 1.0):
            shade |= self._filled([points + self.sun * reach * share for points in rings])
        self.image[shade > 0] *= np.float32(self.rng.uniform(0.4, 0.75))

    def _paint(self, points: Points, colour: Colour) -> None:
        """A polygon, lit from one side and a little worn."""
        where = self._filled([points]) > 0
        count = int(np.count_nonzero(where))
        grain = self.rng.normal(0, self.rng.uniform(1, 7), (count, 1))
        self.image[where] = np.asarray(colour) + grain

    def finished(self) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """The picture (S, S, 3) as a sensor sees it, and instance ids (S, S)."""
        side = self.fine // FINE
        light = self.rng.uniform(0.75, 1.15) * self.rng.normal(1, 0.025, 3)
        image = cv2.GaussianBlur(self.image, (0, 0), FINE * self.rng.uniform(0.3, 0.85))
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) * light
        image += self.rng.normal(0, self.rng.uniform(1, 6), image.shape)
        return np.clip(image, 0, 255).astype(np.uint8), self.instances[FINE // 2 :: FINE, FINE // 2 :: FINE].copy()


def make_scene(rng: np.random.Generator, side: int) -> Scene:
    """One picture, on a ground drawn by chance."""
    colours, counts = SCENES[rng.integers(len(SCENES))]
    canvas = Canvas(rng, side, colours)
    for kind, most in counts.items():
        for _ in range(int(rng.integers(-(-most // 3), most + 1))):
            canvas.place(kind)
    image, instances = canvas.finished()
    number_of = np.array([0, *(CLASSES.index(kind) for kind in canvas.kinds)], np.uint8)
    return Scene(image, number_of[instances], instances)


def write_fleets(folder: Path, count: int, seed: int, side: int) -> None:
    """Write `count` scenes and their meta.json."""
    scenes = ((number, make_scene(np.random.default_rng([seed, number]), side)) for number in range(count))
    write_scenes(folder, "fleets", CLASSES, scenes, count, quality=88)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("folder", type=Path)
    words.add_argument("--count", type=int, default=90)
    words.add_argument("--seed", type=int, default=5000)
    words.add_argument("--side", type=int, default=640)
    given = words.parse_args()
    write_fleets(given.folder, given.count, given.seed, given.side)


if __name__ == "__main__":
    main()
