"""A paper's network to files that the CPU inference engine runs: what every family's export has in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from terraclick.errors import BadConfig
from terraclick.inference.graph import Graph
from terraclick.networks.checkpoint import load_network
from terraclick.networks.families import network_of
from terraclick.networks.graphs import ClickGraphs, FurtherGraph
from terraclick.networks.onnx_files import close_enough, relative, write_graph, written

__all__ = ["export_network"]


class Before(nn.Module):
    """Picture → the tensors that a network keeps of it."""

    def __init__(self, graphs: ClickGraphs, network: Any) -> None:
        super().__init__()
        self.graphs, self.network = graphs, network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(1, 3, H, W) in 0…1 → kept tensors."""
        return tuple(self.graphs.kept(self.network.encode(image)).values())


class Click(nn.Module):
    """What a click asks and what was kept → what it is answered."""

    def __init__(self, graphs: ClickGraphs, network: Any, encoded: Any) -> None:
        super().__init__()
        self.graphs, self.network, self.encoded = graphs, network, encoded

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Tensors that `graphs.asked` names, then kept ones → those that `graphs.answered` names."""
        asked = len(self.graphs.asked)
        names = self.graphs.kept(self.encoded)
        encoded = self.graphs.filled(self.encoded, dict(zip(names, tensors[asked:], strict=True)))
        return self.graphs.click(self.network, encoded, dict(zip(self.graphs.asked, tensors[:asked], strict=True)))


class Further(nn.Module):
    """A further graph of a family."""

    def __init__(self, network: nn.Module, run: Callable[..., Tensor]) -> None:
        super().__init__()
        self.network, self.run = network, run

    def forward(self, *tensors: Tensor) -> Tensor:
        """See `FurtherGraph.run`."""
        return self.run(*tensors)


def export_network(
    graphs: ClickGraphs,
    name: str,
    out: str | Path,
    weights: str | Path | None = None,
    size: tuple[int, int] | None = None,
    random: int | None = None,
    config: Any = None,
) -> Path:
    """Write a folder that `load(name, weights=folder)` clicks with, without torch; returns it.

    `size` is what the graphs read (the published one if None). The files are checked against the network on other
    inputs before they are put in place. Raises BadConfig for a size that the network cannot read, BadWeights as
    `load_network`, BadOutput if the folder cannot be written or the files answer differently.
    """
    side = network_of(name).side
    rows, cols = size or (side, side)
    graphs.check((rows, cols))
    network = graphs.prepared(load_network(name, weights, random, config))
    with written(out) as (folder, described):
        described |= _write(graphs, name, network, (rows, cols), folder)
    return Path(out)


@torch.no_grad()
def _write(graphs: ClickGraphs, name: str, network: Any, size: tuple[int, int], folder: Path) -> dict[str, Any]:
    """The graphs into a folder → what `network.json` says of them."""
    given = graphs.inputs(network, size, 3, 0)
    encoded = network.encode(given["image"])
    if not is_dataclass(encoded):
        raise BadConfig(f"{name} keeps a {type(encoded).__name__} of a picture, which cannot be exported.")
    kept = graphs.kept(encoded)
    labels = [f"kept_{part}" for part in kept]
    click = Click(graphs, network, encoded).eval()
    write_graph(folder / "encode.onnx", Before(graphs, network), {"image": given["image"]}, labels)
    asked = {part: given[part] for part in graphs.asked}
    examples = {**asked, **dict(zip(labels, kept.values(), strict=True))}
    write_graph(folder / "click.onnx", click, examples, list(graphs.answered), {"points": {1: "slots"}})
    for more in graphs.further(network, given, click(*examples.values())):
        module = Further(network, more.run)
        write_graph(folder / more.file, module, more.inputs, [more.output], more.free)
    difference = close_enough(name, _difference(graphs, network, click, labels, size, folder))
    described = {"name": name, "size": list(size), "kept": labels, "modulation": None, "difference": difference}
    described |= {"bands": int(given["image"].shape[1])}
    return described | graphs.described(network)


def _difference(
    graphs: ClickGraphs, network: Any, click: Click, labels: Sequence[str], size: tuple[int, int], folder: Path
) -> float:
    """Largest difference of a logit between the network and its files, relative to the largest logit if that is > 1."""
    other = graphs.inputs(network, size, 5, 1)  # another number of slots, too
    kept = graphs.kept(network.encode(other["image"])).values()
    found = Graph(folder / "encode.onnx").outputs({"image": other["image"].numpy()})
    asked = {part: other[part] for part in graphs.asked}
    answers = Graph(folder / "click.onnx").outputs({**dict(zip(labels, found, strict=True)), **_arrays(asked)})
    expected = click(*asked.values(), *kept)
    pairs = list(zip(answers, expected, strict=True))
    pairs += [_both(more, folder) for more in graphs.further(network, other, expected)]
    return float(np.max([relative(answer, right) for answer, right in pairs]))


def _both(more: FurtherGraph, folder: Path) -> tuple[Any, Tensor]:
    """What a further graph and what it was traced from answer."""
    return Graph(folder / more.file).outputs(_arrays(more.inputs))[0], more.run(*more.inputs.values())


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}
