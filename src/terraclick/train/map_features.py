"""What a frozen encoder says of the training pictures, computed once and kept, and the squares cut out of it.

A recipe without `views` encodes every picture whole, resized to its side. A recipe with `views` encodes squares of
random places and scales, a dataset at the scales that its ground resolution asks for. With a folder the features are
files there, read as they are needed: memory stays bounded and an interrupted run goes on after the last picture.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from terraclick.data.augment import jitter_light
from terraclick.errors import BadData
from terraclick.inference.graph import Graph
from terraclick.networks.bicor.network import Bicor, BicorDecoder
from terraclick.predictors.spec import WEIGHTS
from terraclick.terra.patches import ENCODER_SIDE, encode_picture
from terraclick.train.saving import save_json
from terraclick.train.semantic_data import IGNORE, Labelled, turned
from terraclick.train.semantic_recipes import SemanticConfig

__all__ = [
    "BalancedCrops",
    "Features",
    "FrozenEncoder",
    "cut_features",
    "encode_all",
    "encode_to",
    "feature_square",
    "judged_squares",
    "standardise",
]

TrainingProgress = Callable[[str, int, int, dict[str, float]], None]
Image = NDArray[np.uint8]

TURNS = (0, 5, 2, 7, 1, 4, 3, 6)
"""In which order the eight turns and mirror images of a picture are taken."""


@dataclass(frozen=True, eq=False)
class Features:
    """What a frozen encoder says of a square: four maps (C, h, w) float16, labels (S, S) uint8."""

    maps: tuple[NDArray[np.float16], ...]
    labels: NDArray[np.uint8]


class FrozenEncoder:
    """The encoder of a recipe, its ViT on the CPU engine."""

    def __init__(self, config: SemanticConfig, network: Bicor) -> None:
        self.vit = Graph(WEIGHTS / "terra_encoder.onnx", config.threads) if config.encoder == "vit-s14" else None
        self.rest = network.encoder.eval()

    def __call__(self, picture: Image, truth: Image) -> Features:
        """(S, S, 3) uint8 and labels (S, S) → features."""
        tokens = None
        if self.vit is not None:
            how = cv2.INTER_AREA if picture.shape[0] > ENCODER_SIDE else cv2.INTER_LINEAR
            small = cv2.resize(picture, (ENCODER_SIDE, ENCODER_SIDE), interpolation=how)
            tokens = torch.from_numpy(encode_picture(self.vit, np.asarray(small, np.uint8)))[None]
        with torch.no_grad():
            tensor = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255
            maps = self.rest(tensor, tokens)
        return Features(tuple(m[0].numpy().astype(np.float16) for m in maps), truth)


def _square(image: Image, labels: Image, window: tuple[int, int, int], side: int, fill: int | None) -> tuple[Any, Any]:
    """The square (row, col, pixels) of a picture, which is mirrored outwards, resized to `side`.

    fill: what labels beyond the picture are; None mirrors them too.
    """
    row, col, take = window
    piece, truth = image[row : row + take, col : col + take], labels[row : row + take, col : col + take]
    below, right = take - piece.shape[0], take - piece.shape[1]
    if below or right:
        piece = _mirror(piece, below, right)
        if fill is None:
            truth = _mirror(truth, below, right)
        else:
            grown = cv2.copyMakeBorder(truth, 0, below, 0, right, cv2.BORDER_CONSTANT, value=float(fill))
            truth = np.asarray(grown, np.uint8)
    how = cv2.INTER_AREA if take > side else cv2.INTER_LINEAR
    resized = cv2.resize(piece, (side, side), interpolation=how)
    return np.asarray(resized, np.uint8), np.asarray(
        cv2.resize(truth, (side, side), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8
    )


def _mirror(array: Image, below: int, right: int) -> Image:
    kind = cv2.BORDER_REFLECT if min(array.shape[:2]) > 1 else cv2.BORDER_REPLICATE
    return np.asarray(cv2.copyMakeBorder(array, 0, below, 0, right, kind), np.uint8)


def _drawn_squares(
    config: SemanticConfig, sample: Labelled, index: int, variants: int
) -> Iterator[tuple[Image, Image]]:
    """The training squares of one picture and their labels, all a function of the recipe's seed and `index`."""
    image, labels = sample.both()
    side, rows, cols = config.side or config.crop, image.shape[0], image.shape[1]
    view = config.view_of(sample.dataset)
    if view is None:
        how = cv2.INTER_AREA if rows > side else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, (side, side), interpolation=how), np.uint8)
        truth = np.asarray(cv2.resize(labels, (side, side), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
        for turn in TURNS[:variants]:
            yield turned(image, turn), turned(truth, turn)
        return
    rng = np.random.default_rng([config.seed, 5, index])
    for number in range(view.squares):
        take = round(side * math.exp(rng.uniform(math.log(view.least), math.log(view.most))))
        row, col = (int(rng.integers(max(length - take, 0) + 1)) for length in (rows, cols))
        piece, truth = _square(image, labels, (row, col, take), side, None)
        if number:
            piece = jitter_light(piece, rng)
        turn = int(rng.integers(8))
        yield turned(piece, turn), turned(truth, turn)


def judged_squares(config: SemanticConfig, sample: Labelled) -> Iterator[tuple[Image, Image]]:
    """The squares that a held-out picture is judged by: whole, or a lattice at the middle of its dataset's scales."""
    view = config.view_of(sample.dataset)
    if view is None:
        yield from _drawn_squares(config, sample, 0, 1)
        return
    image, labels = sample.both()
    side = config.side or config.crop
    take = round(side * math.sqrt(view.least * view.most))
    for row in range(0, image.shape[0], take):
        for col in range(0, image.shape[1], take):
            yield _square(image, labels, (row, col, take), side, IGNORE)


def encode_all(
    config: SemanticConfig,
    network: Bicor,
    samples: Sequence[Labelled],
    variants: int,
    progress: TrainingProgress | None = None,
) -> list[Features]:
    """Every sample through the encoder: `variants` turns of the whole picture or the recipe's squares, in memory."""
    encoder, found = FrozenEncoder(config, network), []
    for index, sample in enumerate(samples):
        squares = _drawn_squares(config, sample, index, variants)
        found += [encoder(piece, truth) for piece, truth in squares]
        if progress is not None:
            progress("encode", index + 1, len(samples), {})
    return found


def encode_to(
    folder: Path,
    config: SemanticConfig,
    network: Bicor,
    samples: Sequence[Labelled],
    progress: TrainingProgress | None = None,
) -> list[Features]:
    """The same kept in a folder, which is made or gone on with; the features returned are read when they are used.

    Raises BadData where the folder holds features of another recipe or of other pictures.
    """
    key = _key(config, samples)
    path = folder / "features.json"
    folder.mkdir(parents=True, exist_ok=True)
    fresh = {"key": key, "pictures": 0, "rows": 0}
    state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else fresh
    if state["key"] != key:
        raise BadData(f"{folder} holds features of another recipe or of other pictures: delete it, or choose another.")
    encoder = FrozenEncoder(config, network)
    total = sum(config.squares_of(sample.dataset) for sample in samples)
    files: list[NDArray[Any]] = [] if not state["rows"] else _open(folder, "r+")
    for index in range(state["pictures"], len(samples)):
        row = state["rows"]
        for piece, truth in _drawn_squares(config, samples[index], index, config.variants):
            feature = encoder(piece, truth)
            arrays: list[NDArray[Any]] = [*feature.maps, feature.labels]
            files = files or _make(folder, arrays, total)
            for file, array in zip(files, arrays, strict=True):
                file[row] = array
            row += 1
        for file in files:
            file.flush()  # type: ignore[attr-defined]
        state |= {"pictures": index + 1, "rows": row}
        save_json(path, state)
        if progress is not None:
            progress("encode", index + 1, len(samples), {})
    *maps, labels = _open(folder, "r")
    return [Features(tuple(m[row] for m in maps), labels[row]) for row in range(state["rows"])]


def _key(config: SemanticConfig, samples: Sequence[Labelled]) -> str:
    """What decides the features, in a few characters."""
    chosen = {name: asdict(config)[name] for name in ("encoder", "side", "crop", "variants", "views", "merged", "seed")}
    named = [(sample.dataset, sample.name, sample.image_file.stat().st_size) for sample in samples]
    return sha256(json.dumps([chosen, named, config.names]).encode()).hexdigest()[:16]


def _make(folder: Path, arrays: Sequence[NDArray[Any]], total: int) -> list[NDArray[Any]]:
    return [
        np.lib.format.open_memmap(folder / f"map{k}.npy", "w+", array.dtype, (total, *array.shape))
        for k, array in enumerate(arrays)
    ]


def _open(folder: Path, mode: Any) -> list[NDArray[Any]]:
    return [np.lib.format.open_memmap(path, mode) for path in sorted(folder.glob("map*.npy"))]


def standardise(decoder: BicorDecoder, features: Sequence[Features]) -> None:
    """Let every projection start from features of mean 0 and deviation 1, folded into its weight and bias."""
    some = features[:: max(1, len(features) // 64)][:64]
    with torch.no_grad():
        for level, layer in enumerate(decoder.aggregate.project):
            assert isinstance(layer, nn.Linear)
            seen = np.concatenate([f.maps[level].reshape(len(f.maps[level]), -1)[:, ::7] for f in some], axis=1)
            seen = seen.astype(np.float32)
            mean, deviation = torch.from_numpy(seen.mean(1)), torch.from_numpy(seen.std(1) + 1e-3)
            layer.weight.div_(deviation)
            layer.bias.sub_(layer.weight @ mean)


LATTICE = 56
"""Crops of kept features start at multiples of so many pixels, where all maps' cells end."""


def cut_features(feature: Features, config: SemanticConfig, rng: np.random.Generator) -> Features:
    """A square of the recipe's crop out of kept features, anywhere on the lattice."""
    side = feature.labels.shape[0]
    if config.crop >= side:
        return feature
    row, col = (int(rng.integers((side - config.crop) // LATTICE + 1)) * LATTICE for _ in range(2))
    return feature_square(feature, row, col, config.crop)


def feature_square(feature: Features, row: int, col: int, crop: int) -> Features:
    """The square of `crop` pixels from (row, col) on, in labels and every map."""
    side = feature.labels.shape[0]
    maps = []
    for m in feature.maps:
        share = m.shape[-1] / side
        cells = round(crop * share)
        top, left = round(row * share), round(col * share)
        maps.append(m[:, top : top + cells, left : left + cells])
    return Features(tuple(maps), feature.labels[row : row + crop, col : col + crop])


@dataclass(frozen=True, eq=False)
class BalancedCrops:
    """All squares of the lattice, each with a chance: a class weighs its share of the pixels to a power below one.

    With power 0 every class teaches as much as every other, with power 1 every pixel; a class's weight is dealt out
    among the squares by how much of the class each shows.
    """

    places: tuple[tuple[int, int, int], ...]
    """(sample, row, col)."""
    chances: NDArray[np.float64]
    """Running sum of the chances, up to 1."""

    @staticmethod
    def of(features: Sequence[Features], config: SemanticConfig, power: float) -> BalancedCrops:
        """Count every class in every square. Raises BadData where no label is a class."""
        classes = len(config.classes)
        places, counts = [], []
        for index, feature in enumerate(features):
            starts = range(0, max(feature.labels.shape[0] - config.crop, 0) + 1, LATTICE)
            for row, col in ((r, c) for r in starts for c in starts):
                part = feature.labels[row : row + config.crop, col : col + config.crop]
                counts.append(np.bincount(part.ravel(), minlength=256)[:classes])
                places.append((index, row, col))
        table = np.array(counts, np.float64)
        total = table.sum(axis=0)
        if not total.any():
            raise BadData("no label of the training pictures is one of the recipe's classes: check the masks.")
        shown = total > 0
        chances = (table[:, shown] / total[shown]) @ (total[shown] / total.sum()) ** power
        return BalancedCrops(tuple(places), np.cumsum(chances / chances.sum()))

    def draw(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """(sample, row, col) of a square."""
        at = int(np.searchsorted(self.chances, rng.random(), side="right"))
        return self.places[min(at, len(self.places) - 1)]
