"""Crops for training: windows around objects and classes, seen by a random sensor, encoded once, clicked some times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.core.bank import center_tokens
from terraclick.data.augment import jitter_sensor
from terraclick.data.datasets import IGNORE, Dataset, Picture, Thing
from terraclick.errors import BadData
from terraclick.files import replace_whole
from terraclick.terra.patches import ENCODER_SIDE, GREY, cut
from terraclick.train.config import Source, TrainConfig
from terraclick.values import Target, Window

__all__ = ["Asked", "Crop", "Encode", "draw_crops"]

UNKNOWN = 255
"""Value of a truth where nobody is asked."""

NO_CLASS = -1
"""Class id of a region of like pixels."""

DRAWS = 1000
"""Draws without anything to ask before the datasets are called empty."""

ROOM = 1.42
"""How much larger a canvas is cut before it is rotated, so that no corner is empty."""

REGION_SIDE = 224
"""Side at which regions of like pixels are found."""

PASTED = frozenset({"airplane", "ship", "storage_tank", "vehicle", "car", "swimming_pool"})
"""Classes whose things are pasted onto other ground."""

Encode = Callable[[NDArray[np.uint8]], Sequence[NDArray[np.float32]]]
"""The encoder: (336, 336, 3) uint8 → tokens, shallow, principal, each (1, C, h, w)."""


@dataclass(frozen=True, eq=False)
class Asked:
    """One thing a crop can be asked for: truth (S, S) uint8 of 0, 1, `UNKNOWN`. target None: a region."""

    target: Target | None
    truth: NDArray[np.uint8]
    cls: int

    @cached_property
    def extent(self) -> float:
        """The longer side of what is asked for, as a share of the crop's side."""
        box = Window.around(self.truth == 1)
        return 0.0 if box is None else float(max(box.rows, box.cols)) / self.truth.shape[0]

    @cached_property
    def cut_off(self) -> bool:
        """Whether it reaches the crop's edge."""
        mask = self.truth == 1
        return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


@dataclass(frozen=True, eq=False)
class Crop:
    """A square piece of a picture at the encoder's side S.

    image (S, S, 3) uint8; tokens (768, h, w), shallow (384, h, w), principal (64, h, w) float16, centred on the sheet;
    `asked` what can be asked of it; `present` all class ids seen in it; `source` the dataset and the picture; `sheet`
    the number of the draw it comes from and `place` its row and column among the patches cut together.
    """

    image: NDArray[np.uint8]
    tokens: NDArray[np.float16]
    shallow: NDArray[np.float16]
    principal: NDArray[np.float16]
    asked: tuple[Asked, ...]
    present: tuple[int, ...]
    source: tuple[str, str]
    sheet: int = 0
    place: tuple[int, int] = (0, 0)

    def save(self, path: Path) -> None:
        """Write as .npz, whole or not at all."""
        with replace_whole(path) as part, part.open("wb") as file:
            np.savez(
                file,
                image=self.image,
                tokens=self.tokens,
                shallow=self.shallow,
                principal=self.principal,
                targets=np.array(["region" if one.target is None else one.target.value for one in self.asked]),
                truths=np.packbits(np.stack([one.truth for one in self.asked]) == 1),
                ignored=np.packbits(np.stack([one.truth for one in self.asked]) == UNKNOWN),
                classes=np.array([one.cls for one in self.asked], np.int64),
                present=np.array(self.present, np.int64),
                source=np.array(self.source),
                sheet=np.array([self.sheet, *self.place], np.int64),
            )

    @staticmethod
    def load(path: Path) -> Crop:
        """Read what `save` wrote. Raises BadData for a crop of an earlier version."""
        with np.load(path) as stored:
            if "sheet" not in stored:
                raise BadData(f"{path} was cut by an earlier version: choose another folder for the run.")
            image = stored["image"]
            shape = (len(stored["targets"]), *image.shape[:2])
            count = int(np.prod(shape))
            truths = np.unpackbits(stored["truths"], count=count).reshape(shape)
            truths[np.unpackbits(stored["ignored"], count=count).reshape(shape) == 1] = UNKNOWN
            targets = [None if value == "region" else Target(str(value)) for value in stored["targets"]]
            asked = tuple(
                Asked(target, truth, int(cls))
                for target, truth, cls in zip(targets, truths, stored["classes"], strict=True)
            )
            present = tuple(int(number) for number in stored["present"])
            dataset, picture = (str(name) for name in stored["source"])
            sheet, row, col = (int(number) for number in stored["sheet"])
            tokens, shallow, principal = (stored[name] for name in ("tokens", "shallow", "principal"))
            return Crop(image, tokens, shallow, principal, asked, present, (dataset, picture), sheet, (row, col))


@dataclass(frozen=True, eq=False)
class _Canvas:
    """A piece of a picture and its labels at the encoder's side: image (S, S, 3), class ids and instance ids (S, S).

    Class id `IGNORE` is unknown, also beyond the picture's edge. `scale` is canvas pixels per picture pixel.
    """

    image: NDArray[np.uint8]
    classes: NDArray[np.uint16]
    instances: NDArray[np.uint16]
    scale: float


def draw_crops(
    datasets: Sequence[Dataset], config: TrainConfig, encode: Encode, rng: np.random.Generator, sheet: int = 0
) -> list[Crop]:
    """One crop, or four neighbouring ones, by the recipe's shares. Raises BadData if there is nothing to ask."""
    shares = np.array([source.share for source in config.sources])
    for _ in range(DRAWS):
        number = int(rng.choice(len(datasets), p=shares / shares.sum()))
        found = _draw(datasets, number, config, encode, rng, sheet)
        if found:
            return found
    names = ", ".join(source.name for source in config.sources)
    raise BadData(f"{DRAWS} draws from {names} showed nothing to click: give datasets with labelled objects.")


def _draw(
    datasets: Sequence[Dataset], number: int, config: TrainConfig, encode: Encode, rng: np.random.Generator, sheet: int
) -> list[Crop]:
    """Crops of one draw from a dataset; empty if it shows nothing that can be asked."""
    dataset, source = datasets[number], config.sources[number]
    wants_object = bool(rng.random() < source.objects)
    picture = dataset.pictures[rng.integers(len(dataset.pictures))]
    names = [cls for cls in dataset.task_classes if any(o.cls == cls for o in picture.objects)]
    if not names:
        return []
    cls = int(names[rng.integers(len(names))])
    objects = [o for o in picture.objects if o.cls == cls and o.area >= 80]
    if not objects:
        return []
    thing = objects[rng.integers(len(objects))]
    labels = picture.image(), *picture.labels_for(thing.cls, thing.plane)
    windows = {(0, 0): _object_window(labels[2] == thing.id, config.fitted_share, rng)}
    if not wants_object:
        windows = _class_windows(labels[1].shape, config.sheet_share, rng)
    sensor = int(rng.integers(2**31))
    angle = float(rng.uniform(0, 360)) if len(windows) == 1 and rng.random() < config.rotate_share else 0.0
    chosen = (cls, thing.id if wants_object else None)
    drawn = []
    for place, window in windows.items():
        canvas = _canvas(*labels, window, angle)
        canvas = replace(canvas, image=jitter_sensor(canvas.image, np.random.default_rng(sensor)))
        asked = _asked(picture, dataset, source, canvas, chosen, rng)
        if asked and rng.random() < config.paste_share:
            canvas, asked = _with_pasted(datasets, canvas, asked, rng)
        if asked and config.region_share:
            asked += _regions(canvas, rng)
        if asked:
            drawn.append((place, canvas, asked))
    outputs = [encode(canvas.image) for _, canvas, _ in drawn]
    parts = ((0, 2), (1, 1), (2, 0))  # outputs of the encoder, and encoder blocks in each
    centered = [center_tokens([patch[part][0] for patch in outputs], blocks) for part, blocks in parts] if drawn else []
    crops = []
    for index, (place, canvas, asked) in enumerate(drawn):
        tokens, shallow, principal = (patches[index].astype(np.float16) for patches in centered)
        present = tuple(int(k) for k in np.unique(canvas.classes) if k in dataset.task_classes)
        where = (dataset.name, picture.id)
        crops.append(Crop(canvas.image, tokens, shallow, principal, tuple(asked), present, where, sheet, place))
    return crops


def _object_window(mask: NDArray[np.bool_], fitted_share: float, rng: np.random.Generator) -> Window:
    """A square around an object: as the zoom-in would cut it, or wider with the object anywhere inside."""
    box = Window.around(mask)
    assert box is not None  # an object has pixels
    height, width = box.rows, box.cols
    longest = max(height, width)
    side = (
        longest * rng.uniform(1.2, 2.3) if rng.random() < fitted_share else ENCODER_SIDE * 2.0 ** rng.uniform(-0.7, 1.0)
    )
    side = int(min(max(side, 48, longest * 0.8), max(mask.shape)))
    slack_row, slack_col = max(side - height, 0), max(side - width, 0)
    row = box.row - int(slack_row * rng.uniform(0.2, 0.8)) - max(height - side, 0) // 2
    col = box.col - int(slack_col * rng.uniform(0.2, 0.8)) - max(width - side, 0) // 2
    return Window(_inside(int(row), side, mask.shape[0]), _inside(int(col), side, mask.shape[1]), side, side)


def _inside(start: int, side: int, length: int) -> int:
    """Move a window's start so that it shows as much of the picture as it can."""
    return min(max(start, min(0, length - side)), max(0, length - side))


def _class_windows(
    shape: tuple[int, ...], sheet_share: float, rng: np.random.Generator
) -> dict[tuple[int, int], Window]:
    """A square anywhere in the picture, from half native resolution to 1.6 times it, or four that form a larger one."""
    count = 2 if rng.random() < sheet_share else 1
    side = int(min(ENCODER_SIDE * 2.0 ** rng.uniform(-0.7, 1.2), max(shape[:2]) / count))
    whole = side * count
    row = int(rng.integers(min(0, shape[0] - whole), max(1, shape[0] - whole + 1)))
    col = int(rng.integers(min(0, shape[1] - whole), max(1, shape[1] - whole + 1)))
    places = [(i, j) for i in range(count) for j in range(count)]
    return {(i, j): Window(row + i * side, col + j * side, side, side) for i, j in places}


def _canvas(
    image: NDArray[np.uint8],
    classes: NDArray[np.uint16],
    instances: NDArray[np.uint16],
    window: Window,
    angle: float,
) -> _Canvas:
    """Cut a window, turned by an angle in degrees about its centre."""
    side, seen = ENCODER_SIDE, window
    if angle:
        grown = round(window.rows * ROOM)
        side = round(ENCODER_SIDE * ROOM)
        shift = (grown - window.rows) // 2
        seen = Window(window.row - shift, window.col - shift, grown, grown)
    picture = cut(image, seen, side, GREY)
    kinds, ids = _nearest(classes, seen, side, IGNORE), _nearest(instances, seen, side, 0)
    if angle:
        turned = np.asarray(cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, 1.0), np.float64)
        turned[:, 2] -= (side - ENCODER_SIDE) / 2
        size = (ENCODER_SIDE, ENCODER_SIDE)
        picture = cv2.warpAffine(picture, turned, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        kinds, ids = (
            np.asarray(cv2.warpAffine(labels, turned, size, flags=cv2.INTER_NEAREST, borderValue=beyond), np.uint16)
            for labels, beyond in ((kinds, IGNORE), (ids, 0))
        )
    return _Canvas(np.asarray(picture, np.uint8), kinds, ids, ENCODER_SIDE / window.rows)


def _nearest(array: NDArray[Any], window: Window, side: int, fill: int) -> NDArray[np.uint16]:
    """Window of an id map, resized without mixing ids."""
    index = (np.arange(side) + 0.5) * window.rows / side
    rows, cols = np.floor(index + window.row).astype(int), np.floor(index + window.col).astype(int)
    out = np.full((side, side), fill, array.dtype)
    good_rows, good_cols = (rows >= 0) & (rows < array.shape[0]), (cols >= 0) & (cols < array.shape[1])
    out[np.ix_(good_rows, good_cols)] = array[np.ix_(rows[good_rows], cols[good_cols])]
    return out.astype(np.uint16)


def _asked(
    picture: Picture,
    dataset: Dataset,
    source: Source,
    canvas: _Canvas,
    chosen: tuple[int, int | None],
    rng: np.random.Generator,
) -> list[Asked]:
    """The chosen thing, up to two further objects and two further classes; empty if the chosen one is not seen."""
    cls, number = chosen
    unknown = canvas.classes == IGNORE
    numbers, counts = np.unique(canvas.instances[canvas.instances > 0], return_counts=True)
    things: dict[int, Thing] = {o.id: o for o in picture.objects if o.cls in dataset.task_classes}
    visible = [int(n) for n, c in zip(numbers, counts, strict=True) if c >= 80 and int(n) in things]
    present = [] if source.regions else [k for k in dataset.task_classes if 0.004 < np.mean(canvas.classes == k) < 0.85]
    if (number is not None and number not in visible) or (number is None and cls not in present):
        return []
    others = [n for n in visible if n != number]
    objects = ([number] if number is not None else []) + [int(n) for n in rng.permutation(others)[:2]]
    kinds = ([cls] if number is None else []) + [
        int(k) for k in rng.permutation([k for k in present if k != cls or number is not None])[:2]
    ]
    band = source.border * canvas.scale
    target = None if source.regions else Target.OBJECT
    asked = [Asked(target, _truth(canvas.instances == n, unknown, band), things[n].cls) for n in objects]
    asked += [Asked(Target.CLASS, _truth(canvas.classes == k, unknown, band), k) for k in kinds]
    return [one for one in asked if np.count_nonzero(one.truth == 1) >= 40]


def _truth(mask: NDArray[np.bool_], unknown: NDArray[np.bool_], band: float) -> NDArray[np.uint8]:
    truth = mask.astype(np.uint8)
    if band:
        size = 2 * max(1, round(band)) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        truth[cv2.morphologyEx(truth, cv2.MORPH_GRADIENT, kernel) == 1] = UNKNOWN
    truth[unknown] = UNKNOWN
    return truth


def _regions(canvas: _Canvas, rng: np.random.Generator) -> list[Asked]:
    """Up to two regions of like pixels (Felzenszwalb and Huttenlocher 2004), at a scale of their own."""
    from skimage.segmentation import felzenszwalb

    small = cv2.resize(canvas.image, (REGION_SIDE, REGION_SIDE), interpolation=cv2.INTER_AREA)
    scale = float(np.exp(rng.uniform(np.log(30), np.log(900))))
    parts = felzenszwalb(small, scale=scale, sigma=float(rng.uniform(0.4, 0.9)), min_size=int(rng.integers(40, 300)))
    numbers, counts = np.unique(parts, return_counts=True)
    fit = numbers[(counts > 0.003 * parts.size) & (counts < 0.5 * parts.size)]
    regions = []
    for number in rng.permutation(fit)[:2]:
        mask = (parts == number).astype(np.uint8) * 255
        large = cv2.resize(mask, (ENCODER_SIDE, ENCODER_SIDE), interpolation=cv2.INTER_LINEAR) > 127
        regions.append(Asked(None, large.astype(np.uint8), NO_CLASS))
    return regions


def _with_pasted(
    datasets: Sequence[Dataset], canvas: _Canvas, asked: list[Asked], rng: np.random.Generator
) -> tuple[_Canvas, list[Asked]]:
    """The canvas with a thing of another picture on it, which is asked for first; unchanged where none fits."""
    lenders = [d for d in datasets if PASTED & set(d.classes.values())]
    if not lenders:
        return canvas, asked
    dataset = lenders[rng.integers(len(lenders))]
    picture = dataset.pictures[rng.integers(len(dataset.pictures))]
    things = [o for o in picture.objects if dataset.classes.get(o.cls) in PASTED and o.area >= 150]
    if not things:
        return canvas, asked
    thing = things[rng.integers(len(things))]
    instances = picture.instances(thing.plane) == thing.id
    box = Window.around(instances)
    assert box is not None  # an object has pixels
    factor = float(np.exp(rng.uniform(np.log(28), np.log(200)))) / max(box.rows, box.cols)
    middle = ((box.col + box.last_col) / 2, (box.row + box.last_row) / 2)
    place = cv2.getRotationMatrix2D(middle, float(rng.uniform(0, 360)), factor)
    place[:, 2] += rng.uniform(0.1, 0.9, 2) * ENCODER_SIDE - np.array(middle)
    size = (ENCODER_SIDE, ENCODER_SIDE)
    flags = cv2.INTER_AREA if factor < 0.7 else cv2.INTER_LINEAR
    alpha = cv2.warpAffine(instances.astype(np.float32), place, size, flags=flags)
    mask = alpha > 0.5
    if np.count_nonzero(mask) < 120:
        return canvas, asked
    pixels = cv2.warpAffine(picture.image(), place, size, flags=flags, borderMode=cv2.BORDER_REFLECT).astype(np.float32)
    lift = (float(canvas.image.mean()) - float(pixels[mask].mean())) * rng.uniform(0, 0.6)
    soft = cv2.GaussianBlur(alpha, (0, 0), 0.7)[..., None]
    mixed = canvas.image * (1 - soft) + np.clip(pixels + lift, 0, 255) * soft
    image = np.clip(mixed, 0, 255).astype(np.uint8)
    covered = [
        replace(one, truth=np.where(mask, np.uint8(0 if one.target is Target.OBJECT else UNKNOWN), one.truth))
        for one in asked
    ]
    kept = [one for one in covered if np.count_nonzero(one.truth == 1) >= 40]
    return replace(canvas, image=image), [Asked(Target.OBJECT, mask.astype(np.uint8), NO_CLASS), *kept]
