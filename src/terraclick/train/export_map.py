"""A trained class map to the folder that `terraclick map` reads without torch: `map_net.onnx` and `map.json`."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from terraclick.errors import BadConfig
from terraclick.files import replace_whole, write_text
from terraclick.models.bicor import Bicor
from terraclick.predictors.exported import ENCODER_SIDE
from terraclick.predictors.maps import LandClass, MapSpec
from terraclick.train.export import OPSET
from terraclick.train.onnx_files import check_graph, write_graph
from terraclick.train.semantic import restored

__all__ = ["export_map"]


class _Exported(nn.Module):
    """Picture in 0…255 [and tokens] → logits and the last layer's heatmaps."""

    def __init__(self, network: Bicor) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, tokens: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(1, 3, S, S) [(1, 768, h, w)] → (1, N, S, S), (1, N, S/4, S/4)."""
        output = self.network(image / 255, tokens)
        return output.logits, output.heat[-1]


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
    spec = MapSpec(classes, side, gsd, tokens=config.encoder == "vit-s14", heat=True, licence=licence)
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {"image": torch.rand(1, 3, side, side) * 255}
    if spec.tokens:
        cells = ENCODER_SIDE // 14
        inputs["tokens"] = torch.randn(1, 768, cells, cells)
    with replace_whole(folder / "map_net.onnx", errors=(RuntimeError,), check=check_graph) as part:
        write_graph(part, _Exported(network), inputs, ["logits", "heat"], opset=OPSET)
    write_text(folder / "map.json", json.dumps(spec.to_json(), indent=1) + "\n")
    return folder
