"""Models that name every pixel: what a map model is, those known by name, and exported ones from a folder. No torch.

A folder holds `map.json` (`MapSpec`) and `map_net.onnx` with the input `image` (1, 3, S, S) RGB 0…255 and, where
`tokens` is true, `tokens` (1, 768, h, w) of the shipped click model's encoder, which is not copied; its one output is
`probabilities` (1, N, S, S), and it carries the metadata by which Deepness (QGIS) knows it. Where `heat` is true,
`map_heat.onnx` is the same network with the outputs `logits` (1, N, S, S), `heat` (1, N, s, s) of the last layer,
`layers` (1, L, N, s, s) of all layers and `embeddings` (1, L, N, C) of the classes; earlier folders lack the last two,
or have the first two in `map_net.onnx`. `terraclick export` writes such a folder from a trained checkpoint.

A folder may come from a stranger: its description is checked value by value, its graphs against it before the first
tile, and every answer for its shape and for numbers that are none.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadWeights, UnknownName
from terraclick.inference.graph import Graph
from terraclick.inference.timed import TIME_LIMIT, run_within
from terraclick.predictors.installed import installed, installed_models
from terraclick.predictors.spec import WEIGHTS
from terraclick.terra.patches import ENCODER_SIDE, encode_picture

__all__ = ["MAP_MODELS", "Greenness", "LandClass", "MapModel", "MapModelSpec", "MapSpec", "OnnxMap", "load_map"]

FloatArray = NDArray[np.float32]

DESCRIPTION_BYTES = 2**20
LARGEST_SIDE = 8192
LEAST = 1e-12
"""Probabilities below this count as this, so that their logarithm is a number."""


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
    bands: int = 3
    """Bands that it reads: red, green, blue, and further ones of the file."""

    def __post_init__(self) -> None:
        ids = [c.id for c in self.classes]
        if not ids or len(set(ids)) != len(ids) or not all(_is_count(i, 254) for i in ids):
            shown = ", ".join(map(str, ids[:8])) + (", …" if len(ids) > 8 else "")
            raise BadWeights(
                f"a map model with class ids {shown or 'of no class'}: whole numbers that differ, 1 to 254."
            )
        if not _is_count(self.bands, 64) or self.bands < 3:
            raise BadWeights(f"a map model of {self.bands!r} bands: 3 to 64 were expected.")
        if not _is_count(self.side, LARGEST_SIDE):
            raise BadWeights(f"a map model with side {self.side!r}: a whole number of pixels was expected.")
        for kind in self.classes:
            if not kind.name.strip() or len(kind.name) > 200 or not kind.name.isprintable():
                raise BadWeights(f"a map model with a class named {kind.name[:40]!r}: a name on one line was expected.")
            if not re.fullmatch(r"#[0-9a-fA-F]{6}", kind.colour):
                raise BadWeights(f"class {kind.name} has the colour {kind.colour[:20]!r}: #rrggbb was expected.")
        gsd = self.gsd
        if gsd is not None and (isinstance(gsd, bool) or not isinstance(gsd, int | float) or not 0 < gsd < math.inf):
            raise BadWeights(f"a map model with gsd {gsd!r}: a number of metres per pixel was expected.")
        if not isinstance(self.tokens, bool) or not isinstance(self.heat, bool) or not isinstance(self.licence, str):
            raise BadWeights("a map model whose tokens or heat is neither true nor false, or whose licence is no text.")

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `map.json` keeps them."""
        told = asdict(self)
        return told if self.bands > 3 else {key: value for key, value in told.items() if key != "bands"}

    @staticmethod
    def from_json(content: dict[str, Any]) -> MapSpec:
        """What `to_json` gave. Raises KeyError, TypeError or BadWeights for anything else."""
        classes = tuple(LandClass(c["id"], str(c["name"]), str(c["colour"])) for c in content["classes"])
        rest = {key: value for key, value in content.items() if key != "classes"}
        return MapSpec(classes, **rest)


def _is_count(value: object, largest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= largest


class MapModel(Protocol):
    """Names every pixel of a square picture; depends on the picture alone."""

    @property
    def spec(self) -> MapSpec:
        """What it says about itself."""
        ...

    def __call__(self, image: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray | None]:
        """(S, S, bands) uint8 → logits (N, S, S) and scores of the heatmaps (N, s, s) or None."""
        ...


@dataclass(frozen=True, eq=False)
class OnnxMap:
    """An exported map network on the CPU engine."""

    spec: MapSpec
    network: Graph
    encoder: Graph | None
    seconds: float = TIME_LIMIT
    """How long a tile may take."""
    every_layer: bool = False
    """Whether heat is that of all layers, the first layer's classes first, instead of the last layer's."""

    def __post_init__(self) -> None:
        runtime, what = self.network._runtime, self.network._path.name
        side = self.spec.side
        expected: dict[str, tuple[int | None, ...]] = {"image": (1, self.spec.bands, side, side)}
        if self.encoder is not None:
            expected["tokens"] = (1, 768, None, None)
        given = {value.name: value for value in runtime.get_inputs()}
        if set(given) != set(expected):
            raise BadWeights(f"{what} has the inputs {_names(given)}: {_names(expected)} were expected.")
        for name, shape in expected.items():
            if given[name].type != "tensor(float)" or not _fits(given[name].shape, shape):
                found = f"{given[name].type} {given[name].shape}"
                raise BadWeights(f"input {name} of {what} is {found}: float {list(shape)} was expected.")
        outputs = runtime.get_outputs()
        if any(value.type not in ("tensor(float)", "tensor(float16)", "tensor(double)") for value in outputs):
            raise BadWeights(f"{what} has outputs that are no decimal numbers: export the checkpoint again.")
        if not _fits(outputs[0].shape, (1, len(self.spec.classes), side, side)):
            raise BadWeights(self._says_shape(outputs[0].shape))
        if self.every_layer and not self.layers:
            raise BadWeights(f"{what} holds the heatmaps of its last layer alone: export the checkpoint again.")

    @property
    def layers(self) -> int:
        """How many layers its graph tells of; 0 where it gives the last layer's heatmaps alone."""
        shapes = {value.name: value.shape for value in self.network._runtime.get_outputs()}
        expected = (1, None, len(self.spec.classes), None, None)
        if "layers" not in shapes or not _fits(shapes["layers"], expected):
            return 0
        return int(shapes["layers"][1])

    def _says_shape(self, shape: Any) -> str:
        count, side = len(self.spec.classes), self.spec.side
        shown = [value if isinstance(value, int) else "?" for value in shape]
        return (
            f"{self.network._path.name} answers {shown}, but map.json tells of {count} classes and {side} px, which is "
            f"{[1, count, side, side]}: export the checkpoint again."
        )

    def __call__(self, image: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray | None]:
        """(S, S, 3) uint8 → logits (N, S, S) and scores of the heatmaps (N or L · N, s, s) or None."""
        found = self._run(image)
        names, what = list(found), self.network._path.name
        said, side = found[names[0]], self.spec.side
        if said.shape != (1, len(self.spec.classes), side, side):
            raise BadWeights(self._says_shape(said.shape))
        heat = found[names[1]] if len(names) > 1 and self.spec.heat else None
        if heat is not None and self.every_layer:
            heat = found["layers"].reshape(1, -1, *found["layers"].shape[3:])
        count = len(self.spec.classes) * (self.layers if self.every_layer else 1)
        if heat is not None and (heat.ndim != 4 or heat.shape[:2] != (1, count) or 0 in heat.shape):
            raise BadWeights(f"{what} gives heatmaps of shape {list(heat.shape)}: export the checkpoint again.")
        if not all(np.isfinite(array).all() for array in (said, heat) if array is not None):
            raise BadWeights(
                f"{what} answers with values that are no numbers (NaN or infinite): its weights are spoilt."
            )
        logits = np.log(np.maximum(said, np.float32(LEAST))) if names[0] == "probabilities" else said
        return logits[0], None if heat is None else heat[0]

    def embeddings(self, image: NDArray[np.uint8]) -> FloatArray | None:
        """(S, S, 3) uint8 → what each layer makes of each class (L, N, C); None where the graph does not tell."""
        found = self._run(image).get("embeddings")
        if found is None or found.ndim != 4 or found.shape[2] != len(self.spec.classes):
            return None
        return np.asarray(found[0])

    def _run(self, image: NDArray[np.uint8]) -> dict[str, FloatArray]:
        """The graph's outputs by name, in its order."""
        inputs: dict[str, NDArray[Any]] = {"image": np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)}
        if self.encoder is not None:
            small = image
            if image.shape[0] != ENCODER_SIDE:
                how = cv2.INTER_AREA if image.shape[0] > ENCODER_SIDE else cv2.INTER_LINEAR
                small = np.asarray(cv2.resize(image, (ENCODER_SIDE, ENCODER_SIDE), interpolation=how), np.uint8)
            inputs["tokens"] = encode_picture(self.encoder, small)[None]
        runtime, what = self.network._runtime, self.network._path.name
        names = [value.name for value in runtime.get_outputs()]
        answers = run_within(runtime, inputs, what, self.seconds)
        return {name: np.asarray(answer, np.float32) for name, answer in zip(names, answers, strict=True)}


def _names(values: Any) -> str:
    return ", ".join(f"{name[:40]!r}" for name in values) or "none"


def _fits(given: Any, expected: tuple[int | None, ...]) -> bool:
    """Whether a graph's shape can be the expected one: sides left open, or all of them, are no contradiction."""
    return not given or (
        len(given) == len(expected)
        and all(
            not isinstance(side, int) or wanted is None or side == wanted
            for side, wanted in zip(given, expected, strict=True)
        )
    )


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
    build: Callable[[int | None], MapModel] | None = None
    """Makes a method without files, from the number of threads."""
    folder: Path | None = None
    """Where its files are, if it has any."""


LAND_COVER = "land-cover"
"""The model that `terraclick map` takes unless another is named."""

MAP_MODELS: dict[str, MapModelSpec] = {
    LAND_COVER: MapModelSpec(
        "building, road, vegetation, water and bare ground in pictures of 0.1 to 0.7 m",
        "Apache-2.0; trained on orthophotos of ČÚZK (CC BY 4.0) and CC0 pictures, see the card",
        folder=WEIGHTS / "land_cover",
    ),
    "greenness": MapModelSpec(
        "vegetation or not, by excess green", "method without weights", lambda threads: Greenness()
    ),
}
"""Map models by name."""


@lru_cache(maxsize=2)
def load_map(name: str, threads: int | None = None, heat: bool = False, every_layer: bool = False) -> MapModel:
    """A map model by name, shipped or added, or from the folder of an exported one; kept, so asking again is free.

    heat: whether its heatmaps are wanted too; every_layer: those of all layers.
    Raises UnknownName with the list, BadWeights for a folder that holds no map model.
    """
    spec = MAP_MODELS.get(name)
    if spec is not None and spec.build is not None:
        return spec.build(threads)
    folder = _folder_of(name)
    if not folder.is_dir():
        if folder.is_file():
            raise BadWeights(f"{name} is a file: give the folder that `terraclick export` made of the checkpoint.")
        known = (*MAP_MODELS, *(added.name for added in installed_models().values() if added.kind == "map"))
        raise UnknownName(f"no map model {name!r}. Known: {', '.join(known)}, or the folder of an exported one.")
    return open_map(folder, threads, heat, every_layer)


def _folder_of(name: str) -> Path:
    """The folder of a map model that was added under a name; else the name taken for a folder."""
    spec = MAP_MODELS.get(name)
    if spec is not None and spec.folder is not None:
        return spec.folder
    added = installed(name)
    return added.folder if added is not None and added.kind == "map" else Path(name)


def open_map(folder: Path, threads: int | None = None, heat: bool = False, every_layer: bool = False) -> OnnxMap:
    """The map model exported to a folder, with its heatmaps if wanted, of every layer if wanted. Raises BadWeights."""
    described = folder / "map.json"
    try:
        if described.stat().st_size > DESCRIPTION_BYTES:
            raise BadWeights(f"{described} is larger than {DESCRIPTION_BYTES >> 20} MiB: export the checkpoint again.")
        spec = MapSpec.from_json(json.loads(described.read_text(encoding="utf-8")))
    except BadWeights as error:
        raise BadWeights(f"{described} describes {error}" if str(error).startswith("a map") else str(error)) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadWeights(f"{described} is missing or describes no map model: export the checkpoint again.") from None
    encoder = Graph(WEIGHTS / "terra_encoder.onnx", threads) if spec.tokens else None
    both = folder / "map_heat.onnx"
    network = Graph(both if heat and both.is_file() else folder / "map_net.onnx", threads)
    return OnnxMap(spec, network, encoder, every_layer=every_layer)


def map_files(name: str) -> list[Path]:
    """The files that decide what a map model answers; none for a method without weights."""
    if name in MAP_MODELS and MAP_MODELS[name].folder is None:
        return []
    folder = _folder_of(name)
    graphs = [folder / name for name in ("map_net.onnx", "map_heat.onnx")]
    return [folder / "map.json", *(graph for graph in graphs if graph.is_file()), WEIGHTS / "terra_encoder.onnx"]
