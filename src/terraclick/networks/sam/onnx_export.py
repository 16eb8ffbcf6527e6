"""A network of the SAM family to files that the CPU inference engine runs.

The image encoder is one graph. The mask decoder is three, because a network of `transformers` decides with Python
what a click asks for: several masks on a first click (`first.onnx`), one mask without a mask prompt (`fresh.onnx`),
one with it (`click.onnx`). In all of them a box is two points, its corners (labels 2 and 3); where the network would
mark the end of clicks by itself, the files are given that mark as a point (label −1), as in the published export.
"""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from terraclick.blocks.layers import normalise
from terraclick.errors import BadConfig
from terraclick.inference.graph import Graph
from terraclick.networks.onnx_files import close_enough, relative, write_graph, written
from terraclick.networks.sam.network import SamPredictor, decoded, kept_features, tensors_in
from terraclick.networks.sam.prompted import CORNERS, END, ended

__all__ = ["export_sam"]


class Encoder(nn.Module):
    """The input square → what the mask decoder reads, as a flat tuple."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(1, 3, S, S) in 0…1 → tensors."""
        kept = kept_features(self.network, normalise(image))
        return tuple(part for value in kept.values() for part in tensors_in(value))


class PointTokens(nn.Module):
    """SAM's prompt encoder for points of every kind: excluding, including, a box's corners, the end of clicks."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self, input_points: Tensor, input_labels: Tensor, input_boxes: None, input_masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """points (B, 1, P, 2), labels (B, 1, P) → tokens (B, 1, P, C), and those of the mask prompt (B, C, h, w)."""
        encoder = self.encoder
        side = encoder.input_image_size
        tokens = encoder.shared_embedding(input_points + 0.5, (side, side))
        kinds = torch.cat([embedding.weight for embedding in encoder.point_embed])
        tokens = tokens + kinds[input_labels.clamp(min=0)]
        tokens = torch.where((input_labels == END)[..., None], encoder.not_a_point_embed.weight, tokens)
        return tokens, encoder(None, None, None, input_masks)[1]


def marks_no_end(network: nn.Module) -> bool:
    """Whether a network leaves the mark of the clicks' end out where there is a box: SAM, SAM-HQ and MobileSAM."""
    return isinstance(getattr(network.prompt_encoder, "point_embed", None), nn.ModuleList)


def with_points_alone(network: Any) -> Any:
    """The network with a prompt encoder that reads every kind of point; its weights are shared, it is not changed."""
    if not marks_no_end(network):
        return network
    changed = copy(network)
    changed._modules = {**network._modules, "prompt_encoder": PointTokens(network.prompt_encoder)}
    return changed


class Decoder(nn.Module):
    """Clicks and what was kept → masks and their predicted IoU."""

    def __init__(self, network: nn.Module, kept: dict[str, Any], several: bool, masked: bool) -> None:
        super().__init__()
        self.network, self.kept, self.several, self.masked = network, kept, several, masked

    def forward(self, points: Tensor, labels: Tensor, mask: Tensor, *parts: Tensor) -> tuple[Tensor, Tensor]:
        """points (1, 1, P, 2), labels (1, 1, P), mask (1, 1, S/4, S/4), kept tensors → (M, h, w) logits, (M,) IoU."""
        flat = iter(parts)
        kept = {
            name: next(flat) if isinstance(value, Tensor) else [next(flat) for _ in value]
            for name, value in self.kept.items()
        }
        answer = self.network(
            **kept,
            input_points=points,
            input_labels=labels,
            input_masks=mask if self.masked else None,
            multimask_output=self.several,
        )
        return answer.pred_masks[0, 0], answer.iou_scores[0, 0]


GRAPHS = {"first": (True, False), "fresh": (False, False), "click": (False, True)}
"""File → (several masks, mask prompt)."""


@torch.no_grad()
def export_sam(name: str, out: str | Path, predictor: SamPredictor) -> Path:
    """Write a folder that `load(name, weights=folder)` clicks with, without torch; returns it.

    The files are checked against the network on other inputs before they are put in place. Raises BadOutput if the
    folder cannot be written or the files answer differently, BadConfig for a network that is not on the CPU.
    """
    if predictor.device != "cpu":
        raise BadConfig(f"{name} is on {predictor.device}: load it on the CPU to export it.")
    with written(out) as (folder, described):
        network, side = predictor.network, predictor.side
        image, *clicks = _inputs(side, (1, 0, *CORNERS), 0)
        kept = kept_features(network, normalise(image))
        parts = [part for value in kept.values() for part in tensors_in(value)]
        labels = [f"kept_{number}" for number in range(len(parts))]
        given = dict(zip(("points", "labels", "mask", *labels), (*clicks, *parts), strict=True))
        free = {"points": {2: "clicks"}, "labels": {2: "clicks"}}
        write_graph(folder / "encode.onnx", Encoder(network), {"image": image}, labels)
        for file, (several, masked) in GRAPHS.items():
            decoder = Decoder(with_points_alone(network), kept, several, masked)
            write_graph(folder / f"{file}.onnx", decoder, given, ["masks", "scores"], free)
        difference = close_enough(name, _difference(network, side, labels, folder))
        described |= {"name": name, "kept": labels, "side": side, "stretch": predictor.stretch}
        described |= {"box": True, "end": marks_no_end(network)}
        described["difference"] = difference
    return Path(out)


def _inputs(side: int, kinds: tuple[int, ...], seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Picture, points, labels and mask prompt of the right shapes."""
    rng = torch.Generator().manual_seed(seed)
    points = torch.rand(1, 1, len(kinds), 2, generator=rng) * (side - 1)
    labels = torch.tensor(kinds)[None, None]
    mask = torch.rand(1, 1, side // 4, side // 4, generator=rng) * 20 - 10
    return torch.rand(1, 3, side, side, generator=rng), points, labels, mask


def _difference(network: nn.Module, side: int, names: list[str], folder: Path) -> float:
    """Largest difference of a logit between network and files, relative to the largest logit if that is > 1."""
    differences: list[float] = []
    encoder = Graph(folder / "encode.onnx")
    graphs = {file: Graph(folder / f"{file}.onnx") for file in GRAPHS}
    for seed, kinds in enumerate(((1,), (1, 0, 1, 1, 0), CORNERS, (0, 1, 1, *CORNERS))):  # other numbers, too
        image, points, labels, mask = _inputs(side, kinds, seed)
        now = kept_features(network, normalise(image))
        found = encoder.outputs({"image": image.numpy()})
        said = points[0, 0].numpy(), labels[0, 0].numpy()
        said = ended(*said) if marks_no_end(network) else said
        given = {"points": said[0][None, None], "labels": said[1][None, None], "mask": mask.numpy()}
        for file, (several, masked) in GRAPHS.items():
            answer = decoded(network, now, points, labels, mask if masked else None, several)
            expected = answer.pred_masks[0, 0], answer.iou_scores[0, 0]  # masks, and scores that choose among them
            answers = graphs[file].outputs({**dict(zip(names, found, strict=True)), **given})
            differences += [relative(one, right) for one, right in zip(answers, expected, strict=True)]
    return float(np.max(differences))
