"""Crops for training: windows around objects and classes, augmented once, encoded once, clicked many times."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.core.bank import center_tokens
from terraclick.core.click import Target
from terraclick.core.focus import Window
from terraclick.data.augment import jitter_sensor, turn
from terraclick.data.datasets import Dataset, Picture
from terraclick.errors import BadData
from terraclick.predictors.exported import ENCODER_SIDE, GREY, cut
from terraclick.train.config import TrainConfig

__all__ = ["Crop", "draw_crop"]

IGNORE = 255

DRAWS = 1000
"""Draws without anything to ask before a dataset is called empty."""


@dataclass(frozen=True, eq=False)
class Crop:
    """A square piece of a picture: image (S, S, 3) uint8, features (C, h, w) float16, and what can be asked of it.

    `tasks` are (target, truth) with truth (S, S) uint8: 0, 1, 255 = ignore; `classes` are their class ids, `present`
    all class ids seen in the crop, `source` the dataset and the picture it was cut from.
    """

    image: NDArray[np.uint8]
    features: NDArray[np.float16]
    tasks: tuple[tuple[Target, NDArray[np.uint8]], ...]
    classes: tuple[int, ...]
    present: tuple[int, ...]
    source: tuple[str, str]

    def save(self, path: Path) -> None:
        """Write as .npz, whole or not at all."""
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez(
                file,
                image=self.image,
                features=self.features,
                targets=np.array([target.value for target, _ in self.tasks]),
                truths=np.packbits(np.stack([truth for _, truth in self.tasks]) == 1),
                ignored=np.packbits(np.stack([truth for _, truth in self.tasks]) == IGNORE),
                classes=np.array(self.classes, np.int64),
                present=np.array(self.present, np.int64),
                source=np.array(self.source),
            )
        os.replace(partial, path)

    @staticmethod
    def load(path: Path) -> Crop:
        """Read what `save` wrote. Raises BadData for a crop of an earlier version."""
        with np.load(path) as stored:
            if "source" not in stored:
                raise BadData(f"{path} was cut by an earlier version: choose another folder for the run.")
            image = stored["image"]
            shape = (len(stored["targets"]), *image.shape[:2])
            count = int(np.prod(shape))
            truths = np.unpackbits(stored["truths"], count=count).reshape(shape)
            truths[np.unpackbits(stored["ignored"], count=count).reshape(shape) == 1] = IGNORE
            targets = [Target(str(value)) for value in stored["targets"]]
            classes, present = (tuple(int(number) for number in stored[name]) for name in ("classes", "present"))
            dataset, picture = (str(name) for name in stored["source"])
            tasks = tuple(zip(targets, truths, strict=True))
            return Crop(image, stored["features"], tasks, classes, present, (dataset, picture))


def draw_crop(
    datasets: list[Dataset],
    config: TrainConfig,
    tokens: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    rng: np.random.Generator,
) -> Crop:
    """One crop by the recipe's shares; `tokens` is the encoder, (336, 336, 3) → (C, h, w).

    Raises BadData if the datasets show nothing that can be asked.
    """
    shares = np.array(config.shares) / sum(config.shares)
    for _ in range(DRAWS):
        dataset = datasets[rng.choice(len(datasets), p=shares)]
        crop = _draw(dataset, config, tokens, rng)
        if crop is not None:
            return crop
    names = ", ".join(config.datasets)
    raise BadData(f"{DRAWS} draws from {names} showed nothing to click: give datasets with labelled objects.")


def _draw(
    dataset: Dataset,
    config: TrainConfig,
    tokens: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    rng: np.random.Generator,
) -> Crop | None:
    """One crop of a dataset, or None if the draw shows nothing that can be asked."""
    wants_object = rng.random() < config.object_share
    picture = dataset.pictures[rng.integers(len(dataset.pictures))]
    names = [cls for cls in dataset.task_classes if any(o.cls == cls for o in picture.objects)]
    if not names:
        return None
    cls = names[rng.integers(len(names))]
    objects = [o for o in picture.objects if o.cls == cls and o.area >= 80]
    if not objects:
        return None
    image, classes, instances = picture.image(), picture.classes(), picture.instances()
    thing = objects[rng.integers(len(objects))]
    window = _object_window(instances == thing.id, rng) if wants_object else _class_window(classes == cls, rng)
    quarter, mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)

    tasks = _tasks(picture, dataset, classes, instances, window, config.side, (cls, thing.id, wants_object), rng)
    if not tasks:
        return None
    large = turn(jitter_sensor(cut(image, window, ENCODER_SIDE, GREY), rng), quarter, mirrored)
    features = center_tokens([tokens(large)])[0].astype(np.float16)
    small = cv2.resize(large, (config.side, config.side), interpolation=cv2.INTER_AREA)
    asked = tuple((target, turn(truth, quarter, mirrored)) for target, truth, _ in tasks)
    present = np.unique(_nearest(classes, window, config.side, IGNORE))
    return Crop(
        small,
        features,
        asked,
        tuple(number for _, _, number in tasks),
        tuple(int(number) for number in present if number in dataset.task_classes),
        (dataset.name, picture.id),
    )


def _object_window(mask: NDArray[np.bool_], rng: np.random.Generator) -> Window:
    """A square around an object: as the zoom-in would cut it, or wider with the object anywhere inside."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = rows[-1] - rows[0] + 1, cols[-1] - cols[0] + 1
    longest = max(height, width)
    side = longest * rng.uniform(1.15, 2.2) if rng.random() < 0.55 else ENCODER_SIDE * 2.0 ** rng.uniform(-0.7, 1.0)
    side = int(min(max(side, 64, longest * 0.8), max(mask.shape)))
    slack_row, slack_col = max(side - height, 0), max(side - width, 0)
    row = rows[0] - int(slack_row * rng.uniform(0.1, 0.9)) - max(height - side, 0) // 2
    col = cols[0] - int(slack_col * rng.uniform(0.1, 0.9)) - max(width - side, 0) // 2
    return Window(_inside(int(row), side, mask.shape[0]), _inside(int(col), side, mask.shape[1]), side, side)


def _inside(start: int, side: int, length: int) -> int:
    """Move a window's start so that it shows as much of the picture as it can."""
    return min(max(start, min(0, length - side)), max(0, length - side))


def _class_window(mask: NDArray[np.bool_], rng: np.random.Generator) -> Window:
    """A square anywhere in the picture, from half native resolution to a third of it."""
    side = int(min(ENCODER_SIDE * 2.0 ** rng.uniform(-0.7, 1.2), max(mask.shape)))
    row = int(rng.integers(min(0, mask.shape[0] - side), max(1, mask.shape[0] - side + 1)))
    col = int(rng.integers(min(0, mask.shape[1] - side), max(1, mask.shape[1] - side + 1)))
    return Window(row, col, side, side)


def _tasks(
    picture: Picture,
    dataset: Dataset,
    classes: NDArray[np.uint8],
    instances: NDArray[np.uint16],
    window: Window,
    side: int,
    chosen: tuple[int, int, bool],
    rng: np.random.Generator,
) -> list[tuple[Target, NDArray[np.uint8], int]]:
    """The chosen task, up to two further objects and two further classes visible in the window; objects come first.

    Each is (target, truth, class id).
    """
    kinds = _nearest(classes, window, side, IGNORE)
    inside = _nearest(np.ones(classes.shape, np.uint8), window, side, 0) > 0
    ids = _nearest(instances, window, side, 0)
    unknown = (kinds == IGNORE) | ~inside
    cls, number, wants_object = chosen
    numbers, counts = np.unique(ids[ids > 0], return_counts=True)
    allowed = {o.id for o in picture.objects if o.cls in dataset.task_classes}
    visible = [int(n) for n, c in zip(numbers, counts, strict=True) if c >= 60 and int(n) in allowed]
    present = [k for k in dataset.task_classes if 0.004 < np.mean(kinds == k) < 0.85]
    order_objects = ([number] if wants_object and number in visible else []) + [
        int(n) for n in rng.permutation([n for n in visible if n != number or not wants_object])[:2]
    ]
    order_classes = ([cls] if not wants_object and cls in present else []) + [
        int(k) for k in rng.permutation([k for k in present if k != cls or wants_object])[:2]
    ]
    if not (order_objects if wants_object else order_classes):
        return []
    class_of = {o.id: o.cls for o in picture.objects}
    tasks = [(Target.OBJECT, _truth(ids == n, unknown), class_of[n]) for n in order_objects]
    tasks += [(Target.CLASS, _truth(kinds == k, unknown), k) for k in order_classes]
    return tasks


def _nearest(array: NDArray[np.uint8] | NDArray[np.uint16], window: Window, side: int, fill: int) -> NDArray[np.uint16]:
    """Window of an id map, resized without mixing ids."""
    index = (np.arange(side) + 0.5) * window.rows / side
    rows, cols = np.floor(index + window.row).astype(int), np.floor(index + window.col).astype(int)
    out = np.full((side, side), fill, array.dtype)
    good_rows, good_cols = (rows >= 0) & (rows < array.shape[0]), (cols >= 0) & (cols < array.shape[1])
    out[np.ix_(good_rows, good_cols)] = array[np.ix_(rows[good_rows], cols[good_cols])]
    return out.astype(np.uint16)


def _truth(mask: NDArray[np.bool_], unknown: NDArray[np.bool_]) -> NDArray[np.uint8]:
    truth = mask.astype(np.uint8)
    truth[unknown] = IGNORE
    return truth
