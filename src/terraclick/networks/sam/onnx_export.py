"""A network of the SAM family to files that the CPU inference engine runs.

The image encoder is one graph. The mask decoder is three, because a network of `transformers` decides with Python
what a click asks for: several masks on a first click (`first.onnx`), one mask without a mask prompt (`fresh.onnx`),
one with it (`click.onnx`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from terraclick.blocks.layers import normalise
from terraclick.errors import BadConfig
from terraclick.inference.graph import Graph
from terraclick.networks.onnx_files import close_enough, relative, write_graph, written
from terraclick.networks.sam.network import SamPredictor, kept_features, tensors_in

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
        image, *clicks = _inputs(side, 3, 0)
        kept = kept_features(network, normalise(image))
        parts = [part for value in kept.values() for part in tensors_in(value)]
        labels = [f"kept_{number}" for number in range(len(parts))]
        given = dict(zip(("points", "labels", "mask", *labels), (*clicks, *parts), strict=True))
        free = {"points": {2: "clicks"}, "labels": {2: "clicks"}}
        write_graph(folder / "encode.onnx", Encoder(network), {"image": image}, labels)
        for file, (several, masked) in GRAPHS.items():
            decoder = Decoder(network, kept, several, masked)
            write_graph(folder / f"{file}.onnx", decoder, given, ["masks", "scores"], free)
        difference = close_enough(name, _difference(network, side, kept, labels, folder))
        described |= {"name": name, "kept": labels, "side": side, "stretch": predictor.stretch}
        described["difference"] = difference
    return Path(out)


def _inputs(side: int, clicks: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Picture, points, labels and mask prompt of the right shapes."""
    rng = torch.Generator().manual_seed(seed)
    points = torch.rand(1, 1, clicks, 2, generator=rng) * (side - 1)
    labels = (torch.arange(clicks) % 2 == 0).long()[None, None]
    mask = torch.rand(1, 1, side // 4, side // 4, generator=rng) * 20 - 10
    return torch.rand(1, 3, side, side, generator=rng), points, labels, mask


def _difference(network: nn.Module, side: int, kept: dict[str, Any], labels: list[str], folder: Path) -> float:
    """Largest difference of a logit between network and files, relative to the largest logit if that is > 1."""
    differences: list[float] = []
    for clicks in (1, 5):  # other numbers of clicks, too
        image, *asked = _inputs(side, clicks, clicks)
        parts = Encoder(network)(image)
        found = Graph(folder / "encode.onnx").outputs({"image": image.numpy()})
        given = {name: part.numpy() for name, part in zip(("points", "labels", "mask"), asked, strict=True)}
        for file, (several, masked) in GRAPHS.items():
            expected = Decoder(network, kept, several, masked)(
                *asked, *parts
            )  # masks, and scores that choose among them
            answers = Graph(folder / f"{file}.onnx").outputs({**dict(zip(labels, found, strict=True)), **given})
            differences += [relative(answer, right) for answer, right in zip(answers, expected, strict=True)]
    return float(np.max(differences))
