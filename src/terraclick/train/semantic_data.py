"""Pictures with a class for every pixel, in the folders that people have them in.

- `loveda`: `Train|Val/Urban|Rural/images_png/*.png` with `masks_png/*.png` (0 = no data, 1–7 = classes).
- `isprs`: `train|test/images_1024/*.tif` with `masks_1024/*.png` (0–5 = classes, anything above ignored), as GeoSeg's
  splitting script leaves Vaihingen and Potsdam.
- `terraclick`: the dataset folders of docs/protocol.md; classes by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.data.datasets import open_dataset
from terraclick.data.pictures import LARGEST_NUMBER, read_deep, read_numbers
from terraclick.errors import BadData
from terraclick.train.semantic_recipes import SemanticConfig

__all__ = [
    "IGNORE",
    "Decoded",
    "Labelled",
    "draw_crop",
    "draw_mosaic",
    "judged_parts",
    "read_parts",
    "training_parts",
    "turned",
]

IGNORE = 255
"""Label of pixels that teach and count nothing."""

SCALES = (0.75, 1.0, 1.25, 1.5)
"""How much a training crop may be enlarged."""

MOST_OF_ONE = 0.75
"""A crop with a larger share of one class is drawn again, up to ten times."""

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Labelled:
    """One picture and its labels; files are read when asked for. `table` maps mask values to class indices.

    Values beyond the table are ignored; `dataset` is its folder's name; bands, stretch: see `geo.raster.read_view`.
    """

    name: str
    image_file: Path
    mask_file: Path
    table: tuple[int, ...]
    bands: tuple[int, ...] | None = None
    stretch: str | tuple[tuple[float, float], ...] = "auto"
    dataset: str = ""
    depth: int = 3

    def image(self) -> Image:
        """(H, W, depth) uint8: RGB and further bands of the file. Raises BadData."""
        return read_deep(self.image_file, self.depth, self.bands, self.stretch)

    def labels(self) -> Image:
        """(H, W) uint8 class indices, 255 = ignore. Raises BadData."""
        mask, table = read_numbers(self.mask_file), np.full(LARGEST_NUMBER + 1, IGNORE, np.uint8)
        table[: len(self.table)] = self.table
        return table[mask]

    def both(self) -> tuple[Image, Image]:
        """Picture and labels of one size. Raises BadData where they differ."""
        image, labels = self.image(), self.labels()
        if image.shape[:2] != labels.shape:
            raise BadData(f"{self.image_file} is {image.shape[:2]}, its mask {labels.shape}: they must be of one size.")
        return image, labels


@dataclass(frozen=True, eq=False)
class Decoded:
    """A picture and its labels in memory."""

    picture: Image
    truth: Image

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.picture.nbytes + self.truth.nbytes

    def both(self) -> tuple[Image, Image]:
        """Picture and labels."""
        return self.picture, self.truth


def read_parts(config: SemanticConfig, root: Path, parts: Sequence[str]) -> list[Labelled]:
    """The labelled pictures of some parts of a folder, by name. Raises BadData, saying what was expected where."""
    found = []
    for part in parts:
        samples = LAYOUTS[config.layout](config, root / part)
        if not samples:
            raise BadData(f"{root / part} holds no labelled pictures: {EXPECTED[config.layout]} was expected there.")
        found += [replace(sample, depth=config.bands) for sample in samples]
    return found


def training_parts(config: SemanticConfig, root: Path) -> list[Labelled]:
    """What a recipe trains on. Raises BadData."""
    return [s for s in read_parts(config, root, config.train_on) if not s.name.startswith(config.held_out or ("\0",))]


def judged_parts(config: SemanticConfig, root: Path) -> list[Labelled]:
    """What a recipe is judged on: its own parts, and what it holds out of those it trains on. Raises BadData."""
    found = read_parts(config, root, config.judge_on)
    if config.held_out:
        found += [s for s in read_parts(config, root, config.train_on) if s.name.startswith(config.held_out)]
    return found


def _pairs(images: Path, masks: Path, ending: str, table: tuple[int, ...], prefix: str) -> list[Labelled]:
    files = sorted(images.glob(f"*{ending}"))
    return [Labelled(f"{prefix}{file.stem}", file, masks / f"{file.stem}.png", table) for file in files]


def _loveda(config: SemanticConfig, folder: Path) -> list[Labelled]:
    table = (IGNORE, *range(len(config.classes)), *[IGNORE] * (255 - len(config.classes)))
    found = []
    for kind in ("Rural", "Urban"):
        found += _pairs(folder / kind / "images_png", folder / kind / "masks_png", ".png", table, f"{kind}_")
    return found


def _isprs(config: SemanticConfig, folder: Path) -> list[Labelled]:
    table = (*range(len(config.classes)), *[IGNORE] * (256 - len(config.classes)))
    return _pairs(folder / "images_1024", folder / "masks_1024", ".tif", table, "")


def _terraclick(config: SemanticConfig, folder: Path) -> list[Labelled]:
    dataset = open_dataset(folder)
    table = [IGNORE] * (max(dataset.classes, default=0) + 1)
    renamed = dict(config.merged)
    for number, own in dataset.classes.items():
        name = renamed.get(own, own)
        if name in config.names:
            table[number] = config.names.index(name)
    return [
        Labelled(
            p.id, p.folder / p.image_file, p.folder / p.mask_files[0], tuple(table), p.bands, p.stretch, folder.name
        )
        for p in dataset.pictures
    ]


LAYOUTS: dict[str, Callable[[SemanticConfig, Path], list[Labelled]]] = {
    "loveda": _loveda,
    "isprs": _isprs,
    "terraclick": _terraclick,
}
EXPECTED = {
    "loveda": "Urban/ and Rural/ with images_png/ and masks_png/",
    "isprs": "images_1024/*.tif with masks_1024/*.png",
    "terraclick": "a dataset folder with meta.json",
}


def turned(array: NDArray[Any], turn: int) -> NDArray[Any]:
    """One of the eight turns and mirror images (0 = as it is) of (H, W, …)."""
    array = np.rot90(array, turn % 4)
    return np.ascontiguousarray(array[:, ::-1] if turn >= 4 else array)


def draw_crop(sample: Labelled | Decoded, side: int, rng: np.random.Generator) -> tuple[Image, Image]:
    """A square of side × side pixels: enlarged or shrunk, turned, mirrored, not too much of one class.

    A picture smaller than the crop is mirrored outwards; labels beyond it are ignored.
    """
    image, labels = sample.both()
    scale = float(rng.choice(SCALES))
    take = max(1, round(side / scale))
    below, right = max(take - image.shape[0], 0), max(take - image.shape[1], 0)
    if below or right:
        image = np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REFLECT_101), np.uint8)
        grown = cv2.copyMakeBorder(labels, 0, below, 0, right, cv2.BORDER_CONSTANT, value=float(IGNORE))
        labels = np.asarray(grown, np.uint8)
    for _ in range(10):
        row = int(rng.integers(image.shape[0] - take + 1))
        col = int(rng.integers(image.shape[1] - take + 1))
        truth = labels[row : row + take, col : col + take]
        counts = np.bincount(truth[truth != IGNORE].ravel(), minlength=1)
        if counts.sum() and counts.max() / counts.sum() <= MOST_OF_ONE:
            break
    piece = image[row : row + take, col : col + take]
    if take != side:
        how = cv2.INTER_AREA if take > side else cv2.INTER_LINEAR
        piece = np.asarray(cv2.resize(piece, (side, side), interpolation=how), np.uint8)
        truth = np.asarray(cv2.resize(truth, (side, side), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    turn = int(rng.integers(8))
    return turned(piece, turn), turned(truth, turn)


def draw_mosaic(samples: Sequence[Labelled | Decoded], side: int, rng: np.random.Generator) -> tuple[Image, Image]:
    """Pieces of four pictures around a point of the middle half: image (S, S, 3), labels (S, S)."""
    row, col = (int(rng.integers(side // 4, side - side // 4 + 1)) for _ in range(2))
    image, labels = (
        np.zeros((side, side, samples[0].both()[0].shape[2]), np.uint8),
        np.full((side, side), IGNORE, np.uint8),
    )
    corners = [(rows, cols) for rows in (slice(0, row), slice(row, side)) for cols in (slice(0, col), slice(col, side))]
    for sample, place in zip(samples, corners, strict=True):
        piece, truth = draw_crop(sample, side, rng)
        image[place], labels[place] = piece[place], truth[place]
    return image, labels
