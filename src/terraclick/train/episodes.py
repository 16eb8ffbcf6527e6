"""Episodes for training the papers' networks: a crop, what is asked in it, and perhaps a reference from elsewhere."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from terraclick.data.augment import jitter_sensor, turn
from terraclick.data.datasets import IGNORE, Dataset
from terraclick.errors import BadData
from terraclick.networks.recipe import EpisodeRule
from terraclick.terra.patches import GREY, cut
from terraclick.values import Window

__all__ = ["Episode", "Example", "Labels", "draw_episode", "reader"]

UNKNOWN = 255
"""Value of a truth where nobody is asked."""

DRAWS = 1000
"""Draws without anything to ask before datasets are called empty."""

Number = TypeVar("Number", np.uint8, np.uint16)


@dataclass(frozen=True, eq=False)
class Example:
    """A reference: image (S, S, 3) uint8, masks (S, S) bool, each of which may be empty."""

    image: NDArray[np.uint8]
    positive: NDArray[np.bool_]
    negative: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Episode:
    """image (S, S, 3) uint8, truth (S, S) uint8 of 0, 1 and `UNKNOWN`, and an example or None."""

    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    example: Example | None = None


@dataclass(frozen=True, eq=False)
class Labels:
    """A decoded picture: image (H, W, 3), class ids and instance ids (H, W) of every layer."""

    image: NDArray[np.uint8]
    layers: tuple[tuple[NDArray[np.uint16], NDArray[np.uint16]], ...]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.image.nbytes + sum(classes.nbytes + instances.nbytes for classes, instances in self.layers)

    def classes(self, shown: Collection[int], layer: int = 0) -> NDArray[np.uint16]:
        """Class ids (H, W) of a layer, in which pixels that bear one of `shown` in any other layer show it."""
        kinds = self.layers[layer][0]
        for other, (classes, _) in enumerate(self.layers):
            if other != layer:
                kinds = np.where(np.isin(classes, tuple(shown)), classes, kinds)
        return kinds


def reader(datasets: Sequence[Dataset], keep_mb: int = 1024) -> Callable[[int, int], Labels]:
    """(dataset, picture) numbers → decoded picture; the latest that fit in about `keep_mb` stay in memory."""
    kept: OrderedDict[tuple[int, int], Labels] = OrderedDict()

    def read(dataset: int, picture: int) -> Labels:
        key = dataset, picture
        if key not in kept:
            found = datasets[dataset].pictures[picture]
            layers = tuple((found.classes(n), found.instances(n)) for n in range(found.layers))
            kept[key] = Labels(found.image(), layers)
        kept.move_to_end(key)
        while len(kept) > 1 and sum(labels.nbytes for labels in kept.values()) > keep_mb << 20:
            kept.popitem(last=False)
        return kept[key]

    return read


def draw_episode(
    datasets: Sequence[Dataset], read: Callable[[int, int], Labels], rule: EpisodeRule, rng: np.random.Generator
) -> Episode:
    """One episode; datasets are drawn evenly. Raises BadData if they show nothing that can be asked."""
    for _ in range(DRAWS):
        number = int(rng.integers(len(datasets)))
        episode = _draw(datasets[number], lambda picture, n=number: read(n, picture), rule, rng)
        if episode is not None:
            return episode
    names = ", ".join(dataset.name for dataset in datasets)
    raise BadData(f"{DRAWS} draws from {names} showed nothing to click: give datasets with labelled things.")


def _draw(
    dataset: Dataset, read: Callable[[int], Labels], rule: EpisodeRule, rng: np.random.Generator
) -> Episode | None:
    """One episode of a dataset, or None if the draw shows nothing that can be asked."""
    number = int(rng.integers(len(dataset.pictures)))
    picture = dataset.pictures[number]
    things = [thing for thing in picture.objects if thing.cls in dataset.task_classes]
    if not things:
        return None
    labels = read(number)
    side = round(rule.side / np.exp(rng.uniform(*np.log(rule.scale))))
    thing = things[rng.integers(len(things))]
    if rule.asked == "object":
        around = labels.layers[thing.layer][1] == thing.id
        window, chosen = _around(around, side, rng), (thing.cls,)
        truth = _labels(around.astype(np.uint8), window, rule.side, 0)
    else:
        classes = labels.classes({thing.cls}, thing.layer)
        window = _around(classes == thing.cls, side, rng, whole=False)
        kinds = _labels(classes, window, rule.side, IGNORE)
        shown = [kind for kind in dataset.task_classes if np.count_nonzero(kinds == kind) >= rule.min_area]
        if not shown:
            return None
        count = int(rng.integers(1, len(shown) + 1)) if rule.asked == "combination" else 1
        chosen = tuple(int(kind) for kind in rng.choice(shown, count, replace=False))
        truth = np.isin(kinds, chosen).astype(np.uint8)
    if np.count_nonzero(truth) < rule.min_area:
        return None
    truth[_labels(labels.layers[0][0], window, rule.side, IGNORE) == IGNORE] = UNKNOWN
    if not (truth == 1).any():
        return None
    image, (truth,) = _laid(cut(labels.image, window, rule.side, GREY), (truth,), rule, rng)
    example = _example(dataset, read, number, chosen, rule, rng) if rule.references else None
    return Episode(image, truth, example)


def _example(
    dataset: Dataset,
    read: Callable[[int], Labels],
    number: int,
    chosen: tuple[int, ...],
    rule: EpisodeRule,
    rng: np.random.Generator,
) -> Example | None:
    """A crop of another picture (of the same one only if no other shows the classes), or none by chance."""
    if rng.random() < rule.no_reference:
        return None
    wanted = set(chosen)
    shows = [
        (len(wanted & {thing.cls for thing in picture.objects}), n != number, n)
        for n, picture in enumerate(dataset.pictures)
    ]
    most = max(shown for shown, _, _ in shows)
    others = [n for shown, other, n in shows if shown == most and other] or [number]
    labels = read(others[rng.integers(len(others))])
    side = round(rule.side / np.exp(rng.uniform(*np.log(rule.scale))))
    classes = labels.classes(chosen)
    window = _around(np.isin(classes, chosen), side, rng, whole=False)
    kinds = _labels(classes, window, rule.side, IGNORE)
    masks = (np.isin(kinds, chosen), np.isin(kinds, [kind for kind in dataset.task_classes if kind not in wanted]))
    if rng.random() < rule.one_mask:
        dropped = int(rng.integers(2))
        masks = tuple(mask & (sign != dropped) for sign, mask in enumerate(masks))
    image, (positive, negative) = _laid(cut(labels.image, window, rule.side, GREY), masks, rule, rng)
    return Example(image, positive, negative)


def _around(mask: NDArray[np.bool_], side: int, rng: np.random.Generator, whole: bool = True) -> Window:
    """A square at random that shows a pixel of the mask; with `whole` all of it, grown if need be."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        rows, cols = np.arange(mask.shape[0]), np.arange(mask.shape[1])
    if whole:
        boxes = [(int(places[0]), int(places[-1])) for places in (rows, cols)]
        side = max(side, round(1.15 * max(last - first + 1 for first, last in boxes)))
    else:
        row = int(rows[rng.integers(len(rows))])
        along = np.flatnonzero(mask[row]) if mask[row].any() else cols
        col = int(along[rng.integers(len(along))])
        boxes = [(row, row), (col, col)]
    starts = []
    for (first, last), size in zip(boxes, mask.shape, strict=True):
        start = int(rng.integers(last + 1 - side, first + 1)) if last + 1 - side <= first else first
        starts.append(min(max(start, min(0, size - side)), max(0, size - side)))
    return Window(*starts, side, side)


def _labels(array: NDArray[Number], window: Window, side: int, fill: int) -> NDArray[Number]:
    """The part of an id map (H, W) in a window, `fill` beyond the edge, at side × side without mixing ids."""
    places = np.floor((np.arange(side) + 0.5) * window.rows / side).astype(int)
    rows, cols = places + window.row, places + window.col
    inside = np.ix_((rows >= 0) & (rows < array.shape[0]), (cols >= 0) & (cols < array.shape[1]))
    out = np.full((side, side), fill, array.dtype)
    out[inside] = array[np.ix_(rows[inside[0].ravel()], cols[inside[1].ravel()])]
    return out


def _laid(
    image: NDArray[np.uint8],
    maps: Sequence[NDArray[np.uint8] | NDArray[np.bool_]],
    rule: EpisodeRule,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], tuple[NDArray[np.uint8], ...]]:
    """A picture and its maps, turned alike and seen by another sensor, where the rule says so."""
    if not rule.augment:
        return image, tuple(maps)
    quarter, mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)
    return turn(jitter_sensor(image, rng), quarter, mirrored), tuple(turn(part, quarter, mirrored) for part in maps)
