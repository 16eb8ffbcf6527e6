"""A trained class map to the folder that `terraclick map` reads without torch; `map_net.onnx` opens in Deepness too.

Deepness (QGIS) reads metadata in the file: the kind of model, names of its classes, ground resolution in cm, size and
overlap of tiles, and what is done to the picture's values; see `deepness_metadata`. It takes one input and one output.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from terraclick.classmap.model import LandClass, MapSpec
from terraclick.errors import BadConfig, UnknownName
from terraclick.files import replace_whole, write_text
from terraclick.networks.bicor.network import Bicor
from terraclick.networks.checkpoint import load_network
from terraclick.networks.onnx_files import check_graph, write_graph
from terraclick.terra.patches import ENCODER_SIDE
from terraclick.train.export import OPSET
from terraclick.train.map_network import restored
from terraclick.train.semantic_recipes import loveda, potsdam, vaihingen

__all__ = ["PUBLISHED", "deepness_metadata", "export_map", "export_published"]


class _Exported(nn.Module):
    """Picture in 0…255 [and tokens] → logits, the last layer's heatmaps, those of all layers, the class embeddings."""

    def __init__(self, network: Bicor) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, tokens: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(1, bands, S, S) [(1, 768, h, w)] → (1, N, S, S), (1, N, S/4, S/4), (1, L, N, S/4, S/4), (1, L, N, C)."""
        output = self.network(image / 255, tokens)
        layers, embeddings = torch.stack(output.heat, dim=1), torch.stack(output.embeddings, dim=1)
        return output.logits, output.heat[-1], layers, embeddings


class _Probabilities(nn.Module):
    """Picture in 0…255 [and tokens] → the classes' probabilities alone."""

    def __init__(self, network: Bicor) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, tokens: Tensor | None = None) -> Tensor:
        """(1, bands, S, S) [(1, 768, h, w)] → (1, N, S, S)."""
        return self.network(image / 255, tokens).logits.softmax(dim=1)


OVERLAP = 25
"""Share of a tile that its neighbour sees too, percent: what `terraclick map` does."""


def deepness_metadata(spec: MapSpec) -> dict[str, str]:
    """What Deepness reads of an ONNX file: key → value as JSON.

    Deepness hands a graph (v / 255 − mean) / std of a picture's values v; a std of 1/255 gives it 0…255.
    """
    said: dict[str, Any] = {
        "model_type": "Segmentor",
        "class_names": {str(index): kind.name for index, kind in enumerate(spec.classes)},
        "tiles_size": spec.side,
        "tile_size": spec.side,  # the name in its source, the other is that of its documentation
        "tiles_overlap": OVERLAP,
        "standardization_mean": [0.0, 0.0, 0.0],
        "standardization_std": [1 / 255, 1 / 255, 1 / 255],
        "seg_thresh": 0.0,
        "seg_small_segment": 0,
    }
    if spec.gsd is not None:
        said["resolution"] = spec.gsd * 100
    return {name: json.dumps(value) for name, value in said.items()}


def _describe(path: Path, said: dict[str, str]) -> None:
    import onnx

    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, said)
    onnx.save(model, str(path))


def export_map(
    checkpoint: Path, folder: Path, ids: tuple[int, ...] = (), gsd: float | None = None, licence: str = ""
) -> Path:
    """Write the folder and return it. ids: values of the classes in the file (default 1, 2, …).

    Raises BadWeights for a file that holds no class map, BadConfig for ids that do not fit.
    """
    config, network, _ = restored(checkpoint)
    ids = ids or tuple(range(1, len(config.classes) + 1))
    if len(ids) != len(config.classes):
        raise BadConfig(f"{len(ids)} values were given for {len(config.classes)} classes: give one each.")
    side = config.side if config.side is not None else config.crop
    classes = tuple(LandClass(i, name, colour) for i, (name, colour) in zip(ids, config.classes, strict=True))
    spec = MapSpec(
        classes, side, gsd, tokens=config.encoder == "vit-s14", heat=True, licence=licence, bands=config.bands
    )
    return _write(folder, network, spec)


PUBLISHED = {"bicor-loveda": loveda, "bicor-vaihingen": vaihingen, "bicor-potsdam": potsdam}
"""The authors' networks → the recipe that names their classes."""


def export_published(name: str, weights: Path, folder: Path) -> Path:
    """Write the folder of one of the authors' networks, from their checkpoint or a converted one, and return it.

    Raises BadWeights, UnknownName.
    """
    if name not in PUBLISHED:
        raise UnknownName(f"no map network {name!r} was published. Known: {', '.join(PUBLISHED)}.")
    config = PUBLISHED[name]()
    network = load_network(name, weights)
    classes = tuple(LandClass(i, kind, colour) for i, (kind, colour) in enumerate(config.classes, start=1))
    return _write(folder, network, MapSpec(classes, config.crop, heat=True))


def _write(folder: Path, network: Bicor, spec: MapSpec) -> Path:
    """The graphs and the description of a network."""
    side = spec.side
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {"image": torch.rand(1, spec.bands, side, side) * 255}
    if spec.tokens:
        cells = ENCODER_SIDE // 14
        inputs["tokens"] = torch.randn(1, 768, cells, cells)
    graphs: tuple[tuple[str, nn.Module, list[str]], ...] = (
        ("map_heat", _Exported(network), ["logits", "heat", "layers", "embeddings"]),
        ("map_net", _Probabilities(network), ["probabilities"]),
    )
    for name, module, outputs in graphs:
        with replace_whole(folder / f"{name}.onnx", errors=(RuntimeError,), check=check_graph) as part:
            write_graph(part, module, inputs, outputs, opset=OPSET)
            if name == "map_net":
                _describe(part, deepness_metadata(spec))
    write_text(folder / "map.json", json.dumps(spec.to_json(), indent=1) + "\n")
    return folder
