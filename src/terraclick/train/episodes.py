"""Episodes for training the papers' networks: a crop, what is asked in it, and perhaps a reference from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from terraclick.data.augment import jitter_plain, jitter_sensor, turn
from terraclick.data.combinations import objects_with_parts
from terraclick.data.datasets import IGNORE, Dataset, Thing
from terraclick.errors import BadData
from terraclick.networks.recipe import EpisodeRule
from terraclick.terra.patches import GREY, cut
from terraclick.train.samples import Tiles
from terraclick.values import Window

__all__ = ["Episode", "Example", "Labels", "draw_episode", "mixed", "pasted", "reader", "share_of"]

UNKNOWN = 255
"""Value of a truth where nobody is asked."""

DRAWS = 1000
"""Draws without anything to ask before datasets are called empty."""

Number = TypeVar("Number", np.uint8, np.uint16)


@dataclass(frozen=True, eq=False)
class Example:
    """A reference: image (S, S, bands) uint8, masks (S, S) bool, each of which may be empty."""

    image: NDArray[np.uint8]
    positive: NDArray[np.bool_]
    negative: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Episode:
    """image (S, S, bands) uint8, truth (S, S) uint8 of 0, 1 and `UNKNOWN`, and an example or None."""

    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    example: Example | None = None
    others: NDArray[np.uint8] | None = None
    """(S, S) 1 where something else that is labelled lies."""


@dataclass(frozen=True, eq=False)
class Labels:
    """A decoded picture: image (H, W, 3), class ids and instance ids (H, W) of every plane."""

    image: NDArray[np.uint8]
    planes: tuple[tuple[NDArray[np.uint16], NDArray[np.uint16]], ...]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.image.nbytes + sum(classes.nbytes + instances.nbytes for classes, instances in self.planes)

    def classes(self, shown: Collection[int], plane: int = 0) -> NDArray[np.uint16]:
        """Class ids (H, W) of a plane, in which pixels that bear one of `shown` in any other plane show it."""
        kinds = self.planes[plane][0]
        for other, (classes, _) in enumerate(self.planes):
            if other != plane:
                kinds = np.where(np.isin(classes, tuple(shown)), classes, kinds)
        return kinds


def reader(datasets: Sequence[Dataset], keep_mb: int = 1024, bands: int = 3) -> Callable[[int, int], Labels]:
    """(dataset, picture) numbers → decoded picture; the latest that fit in about `keep_mb` stay in memory."""
    kept = Tiles(keep_mb)

    def decode(dataset: int, picture: int) -> Labels:
        found = datasets[dataset].pictures[picture]
        planes = tuple((found.classes(n), found.instances(n)) for n in range(found.planes))
        return Labels(found.image() if bands == 3 else found.deep(bands), planes)

    return lambda dataset, picture: kept.get((dataset, picture), lambda: decode(dataset, picture))


def draw_episode(
    datasets: Sequence[Dataset],
    read: Callable[[int, int], Labels],
    rule: EpisodeRule,
    rng: np.random.Generator,
    shares: Sequence[tuple[str, float]] = (),
) -> Episode:
    """One episode; datasets are drawn by their `shares`, evenly where none of them is named.

    Raises BadData if they show nothing that can be asked.
    """
    chances = share_of(datasets, shares)
    for _ in range(DRAWS):
        number = int(rng.choice(len(datasets), p=chances) if shares else rng.integers(len(datasets)))
        episode = _draw(datasets[number], partial(read, number), rule, rng)
        if episode is None:
            continue
        if (rule.copy_paste and rng.random() < rule.copy_paste) or (rule.image_mix and rng.random() < rule.image_mix):
            second = draw_episode(datasets, read, replace(rule, copy_paste=0.0, image_mix=0.0), rng, shares)
            pastes = rng.random() * (rule.copy_paste + rule.image_mix) < rule.copy_paste
            episode = pasted(episode, second) if pastes else mixed(episode, second)
        return episode
    names = ", ".join(dataset.name for dataset in datasets)
    raise BadData(f"{DRAWS} draws from {names} showed nothing to click: give datasets with labelled things.")


def share_of(datasets: Sequence[Dataset], shares: Sequence[tuple[str, float]]) -> NDArray[np.float64]:
    """The chance of each dataset, by the names of their folders; all alike where none is named."""
    named = dict(shares)
    chances = np.array([named.get(dataset.name, 0.0) for dataset in datasets])
    return chances / chances.sum() if chances.sum() else np.full(len(datasets), 1 / len(datasets))


def pasted(ground: Episode, thing: Episode) -> Episode:
    """What is asked of `thing`, cut out and laid onto the crop of `ground` (CFR-ICL's copy-paste)."""
    inside = thing.truth == 1
    image = np.where(inside[..., None], thing.image, ground.image)
    others = np.where(inside, 0, (ground.truth == 1) | (0 if ground.others is None else ground.others))
    return Episode(image, inside.astype(np.uint8), thing.example, others.astype(np.uint8))


def mixed(episode: Episode, other: Episode) -> Episode:
    """The same question with another crop shining through its picture, half and half (CFR-ICL's image-mix)."""
    image = (episode.image.astype(np.uint16) + other.image + 1) // 2
    return replace(episode, image=image.astype(np.uint8))


def _draw(
    dataset: Dataset, read: Callable[[int], Labels], rule: EpisodeRule, rng: np.random.Generator
) -> Episode | None:
    """One episode of a dataset, or None if the draw shows nothing that can be asked."""
    number = int(rng.integers(len(dataset.pictures)))
    picture = dataset.pictures[number]
    if rule.asked == "parts":
        return _draw_parts(dataset, read, number, _drawn_side(rule, rng), rule, rng)
    things = [thing for thing in picture.objects if thing.cls in dataset.task_classes]
    if not things:
        return None
    labels = read(number)
    side = _drawn_side(rule, rng)
    chosen: tuple[int, ...]
    thing = things[rng.integers(len(things))]
    if rule.asked == "object":
        around = labels.planes[thing.plane][1] == thing.id
        window, chosen = _around(around, side, rng), (thing.cls,)
        instances = _labels(labels.planes[thing.plane][1], window, rule.side, 0)
        members = [thing.id]
        if rule.merge and rng.random() < rule.merge:
            near = [int(n) for n in np.unique(instances) if n not in (0, thing.id)]
            members += [near[rng.integers(len(near))]] if near else []
        truth = np.isin(instances, members).astype(np.uint8)
        others = ((instances > 0) & (truth == 0)).astype(np.uint8)
    else:
        classes = labels.classes({thing.cls}, thing.plane)
        window = _around(classes == thing.cls, side, rng, whole=False)
        kinds = _labels(classes, window, rule.side, IGNORE)
        shown = [kind for kind in dataset.task_classes if np.count_nonzero(kinds == kind) >= rule.min_area]
        if not shown:
            return None
        count = int(rng.integers(1, len(shown) + 1)) if rule.asked == "combination" else 1
        chosen = tuple(int(kind) for kind in rng.choice(shown, count, replace=False))
        truth = np.isin(kinds, chosen).astype(np.uint8)
        others = (np.isin(kinds, list(dataset.task_classes)) & (truth == 0)).astype(np.uint8)
    return _finished(dataset, read, number, window, (truth, others), chosen, rule, rng)


def _drawn_side(rule: EpisodeRule, rng: np.random.Generator) -> int:
    """Side of a crop in pixels of the picture."""
    grown = rng.uniform(*rule.scale) if rule.scale_evenly else np.exp(rng.uniform(*np.log(rule.scale)))
    return round(rule.side / grown)


def _finished(
    dataset: Dataset,
    read: Callable[[int], Labels],
    number: int,
    window: Window,
    maps: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    chosen: tuple[int, ...],
    rule: EpisodeRule,
    rng: np.random.Generator,
) -> Episode | None:
    """The episode of a window and what is asked in it; None where too little of it is known."""
    truth, others = maps
    labels = read(number)
    if np.count_nonzero(truth) < rule.min_area:
        return None
    truth[_labels(labels.planes[0][0], window, rule.side, IGNORE) == IGNORE] = UNKNOWN
    if not (truth == 1).any():
        return None
    image, (truth, others) = _laid(cut(labels.image, window, rule.side, GREY), (truth, others), rule, rng)
    example = _example(dataset, read, number, chosen, rule, rng) if rule.references else None
    return Episode(image, truth, example, others)


def _draw_parts(
    dataset: Dataset,
    read: Callable[[int], Labels],
    number: int,
    side: int,
    rule: EpisodeRule,
    rng: np.random.Generator,
) -> Episode | None:
    """RefCut's pairs: some parts of one object, and as an example the same parts of another object of its category.

    The example's other parts are its negative mask. None where the picture has no object with parts.
    """
    found = objects_with_parts(dataset.pictures[number])
    if not found:
        return None
    whole, parts = found[rng.integers(len(found))]
    kinds = sorted({part.cls for part in parts})
    chosen = set(rng.choice(kinds, int(rng.integers(1, len(kinds) + 1)), replace=False).tolist())
    labels = read(number)
    window = _around(_parts_mask(labels, parts) > 0, side, rng)
    asked, rest = (
        _labels(_parts_mask(labels, [part for part in parts if (part.cls in chosen) == within]), window, rule.side, 0)
        for within in (True, False)
    )
    quiet = replace(rule, references=False)
    episode = _finished(dataset, read, number, window, (asked, rest), (), quiet, rng)
    if episode is None or not rule.references or rng.random() < rule.no_reference:
        return episode
    return replace(episode, example=_example_of_parts(dataset, read, (number, whole), chosen, rule, rng))


def _parts_mask(labels: Labels, parts: Sequence[Thing]) -> NDArray[np.uint8]:
    """Pixels (H, W) of some parts, 1 inside."""
    mask = np.zeros(labels.image.shape[:2], np.uint8)
    for part in parts:
        mask[labels.planes[part.plane][1] == part.id] = 1
    return mask


def _example_of_parts(
    dataset: Dataset,
    read: Callable[[int], Labels],
    asked: tuple[int, Thing],
    chosen: Collection[int],
    rule: EpisodeRule,
    rng: np.random.Generator,
) -> Example | None:
    """The same parts of another object of the category; of the object itself where there is no other. None without."""
    number, whole = asked
    able = [
        (n, other, parts)
        for n, picture in enumerate(dataset.pictures)
        for other, parts in objects_with_parts(picture)
        if other.cls == whole.cls and set(chosen) <= {part.cls for part in parts}
    ]
    others = [one for one in able if (one[0], one[1].id) != (number, whole.id)] or able
    if not others:
        return None
    n, _, parts = others[rng.integers(len(others))]
    labels = read(n)
    window = _around(_parts_mask(labels, parts) > 0, _drawn_side(rule, rng), rng)
    masks = tuple(
        _labels(_parts_mask(labels, [p for p in parts if (p.cls in chosen) == within]), window, rule.side, 0)
        for within in (True, False)
    )
    if rng.random() < rule.one_mask:
        dropped = int(rng.integers(2))
        masks = tuple(mask * np.uint8(sign != dropped) for sign, mask in enumerate(masks))
    image, (positive, negative) = _laid(cut(labels.image, window, rule.side, GREY), masks, rule, rng)
    return Example(image, positive > 0, (negative > 0) & (positive == 0))


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
    side = _drawn_side(rule, rng)
    classes = labels.classes(chosen)
    window = _around(np.isin(classes, chosen), side, rng, whole=False)
    kinds = _labels(classes, window, rule.side, IGNORE)
    rest = [kind for kind in dataset.task_classes if kind not in wanted]
    masks = [np.isin(kinds, shown).astype(np.uint8) for shown in (chosen, rest)]
    if rng.random() < rule.one_mask:
        dropped = int(rng.integers(2))
        masks[dropped] = np.zeros_like(masks[dropped])
    image, (positive, negative) = _laid(cut(labels.image, window, rule.side, GREY), masks, rule, rng)
    return Example(image, positive > 0, negative > 0)


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
    return Window(starts[0], starts[1], side, side)


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
    maps: Sequence[NDArray[np.uint8]],
    rule: EpisodeRule,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], tuple[NDArray[np.uint8], ...]]:
    """A picture and its maps, turned alike and seen by another sensor, where the rule says so."""
    if not rule.augment:
        return image, tuple(maps)
    quarter = int(rng.integers(4)) if rule.turns == "eight" else 0
    mirrored = rule.turns != "none" and bool(rng.random() < 0.5)
    change = {"sensor": jitter_sensor, "plain": jitter_plain}.get(rule.colours, lambda picture, _: picture)
    seen = change(np.ascontiguousarray(image[..., :3]), rng)
    if image.shape[-1] > 3:  # bands beyond the colours stay as they are
        seen = np.concatenate([seen, image[..., 3:]], axis=-1)
    return turn(seen, quarter, mirrored), tuple(turn(part, quarter, mirrored) for part in maps)
