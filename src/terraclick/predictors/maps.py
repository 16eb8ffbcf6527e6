"""Models that name every pixel: what a map model is, those known by name, and exported ones from a folder. No torch.

A folder holds `map.json` (`MapSpec`) and `map_net.onnx` with the input `image` (1, 3, S, S) RGB 0…255 and, where
`tokens` is true, `tokens` (1, 768, h, w) of the shipped click model's encoder, which is not copied; its outputs are
`logits` (1, N, S, S) and `heat` (1, N, s, s). `terraclick export` writes such a folder from a trained checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadWeights, UnknownName
from terraclick.predictors.exported import ENCODER_SIDE, Network, encode_picture
from terraclick.predictors.load import WEIGHTS

__all__ = ["MAP_MODELS", "Greenness", "LandClass", "MapModel", "MapModelSpec", "MapSpec", "OnnxMap", "load_map"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class LandClass:
    """One class of a map: its value in the file (1–254; 0 is no data), its name, its colour (#rrggbb)."""

    id: int
    name: str
    colour: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as three numbers 0–255."""
        return int(self.colour[1:3], 16), int(self.colour[3:5], 16), int(self.colour[5:7], 16)


@dataclass(frozen=True)
class MapSpec:
    """What a map model says about itself."""

    classes: tuple[LandClass, ...]
    """In the order of the logits."""
    side: int
    """Pixels of a tile it sees, both ways."""
    gsd: float | None = None
    """Metres per pixel it was trained on; a scene is read at its own unless asked otherwise."""
    tokens: bool = False
    """Whether it also reads the shipped encoder's tokens."""
    heat: bool = True
    """Whether it gives a heatmap per class besides the logits."""
    licence: str = ""
    """Licence of its weights."""

    def __post_init__(self) -> None:
        ids = [c.id for c in self.classes]
        if not ids or len(set(ids)) != len(ids) or not all(1 <= i <= 254 for i in ids) or self.side < 1:
            raise BadWeights(f"a map model with class ids {ids} and side {self.side}: ids must differ, 1 to 254.")

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `map.json` keeps them."""
        return asdict(self)

    @staticmethod
    def from_json(content: dict[str, Any]) -> MapSpec:
        """What `to_json` gave. Raises KeyError or TypeError for anything else."""
        classes = tuple(LandClass(int(c["id"]), str(c["name"]), str(c["colour"])) for c in content["classes"])
        rest = {key: value for key, value in content.items() if key != "classes"}
        return MapSpec(classes, **rest)


class MapModel(Protocol):
    """Names every pixel of a square picture; depends on the picture alone."""

    spec: MapSpec

    def __call__(self, image: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray | None]:
        """(S, S, 3) uint8 → logits (N, S, S) and scores of the heatmaps (N, s, s) or None."""
        ...


@dataclass(frozen=True, eq=False)
class OnnxMap:
    """An exported map network on the CPU engine."""

    spec: MapSpec
    network: Network
    encoder: Network | None

    def __call__(self, image: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray | None]:
        """(S, S, 3) uint8 → logits (N, S, S) and scores of the heatmaps (N, s, s) or None."""
        inputs: dict[str, NDArray[Any]] = {"image": np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)}
        if self.encoder is not None:
            small = image
            if image.shape[0] != ENCODER_SIDE:
                how = cv2.INTER_AREA if image.shape[0] > ENCODER_SIDE else cv2.INTER_LINEAR
                small = np.asarray(cv2.resize(image, (ENCODER_SIDE, ENCODER_SIDE), interpolation=how), np.uint8)
            inputs["tokens"] = encode_picture(self.encoder, small)[None]
        found = self.network.outputs(inputs)
        return found[0][0], found[1][0] if self.spec.heat else None


@dataclass(frozen=True, eq=False)
class Greenness:
    """Vegetation by excess green, 2g − r − b of chromatic coordinates (Woebbecke et al. 1995). No weights."""

    spec: MapSpec = MapSpec(
        (LandClass(1, "other", "#b8b0a0"), LandClass(2, "vegetation", "#2e9e45")), side=256, heat=False
    )
    threshold: float = 0.08

    def __call__(self, image: NDArray[np.uint8]) -> tuple[FloatArray, None]:
        """(S, S, 3) uint8 → logits (2, S, S)."""
        total = np.maximum(image.sum(axis=2, dtype=np.float32), 1)
        excess = (3 * image[..., 1].astype(np.float32) - total) / total
        excess = cv2.blur(excess, (3, 3))
        margin = ((excess - self.threshold) * np.float32(20)).astype(np.float32)
        return np.stack([-margin, margin]), None


@dataclass(frozen=True)
class MapModelSpec:
    """What `terraclick models` tells about a map model."""

    summary: str
    licence: str
    build: Callable[[int | None], MapModel]
    folder: Path | None = None
    """Where its files are, if it has any."""


MAP_MODELS: dict[str, MapModelSpec] = {
    "greenness": MapModelSpec(
        "vegetation or not, by excess green", "method without weights", lambda threads: Greenness()
    ),
}
"""Map models by name."""


@lru_cache(maxsize=2)
def load_map(name: str, threads: int | None = None) -> MapModel:
    """A map model by name, or from the folder of an exported one; kept, so that asking again is free.

    Raises UnknownName with the list, BadWeights for a folder that holds no map model.
    """
    if name in MAP_MODELS:
        return MAP_MODELS[name].build(threads)
    folder = Path(name)
    if not folder.is_dir():
        if folder.is_file():
            raise BadWeights(f"{name} is a file: give the folder that `terraclick export` made of the checkpoint.")
        raise UnknownName(f"no map model {name!r}. Known: {', '.join(MAP_MODELS)}, or the folder of an exported one.")
    return open_map(folder, threads)


def open_map(folder: Path, threads: int | None = None) -> OnnxMap:
    """The map model exported to a folder. Raises BadWeights."""
    described = folder / "map.json"
    try:
        spec = MapSpec.from_json(json.loads(described.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BadWeights(f"{described} is missing or describes no map model: export the checkpoint again.") from None
    encoder = Network(WEIGHTS / "terra_encoder.onnx", threads) if spec.tokens else None
    return OnnxMap(spec, Network(folder / "map_net.onnx", threads), encoder)


def map_files(name: str) -> list[Path]:
    """The files that decide what a map model answers; none for a method without weights."""
    folder = MAP_MODELS[name].folder if name in MAP_MODELS else Path(name)
    if folder is None:
        return []
    return [folder / "map.json", folder / "map_net.onnx", WEIGHTS / "terra_encoder.onnx"]
