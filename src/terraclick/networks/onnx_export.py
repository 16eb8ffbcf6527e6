"""A paper's network to files that the CPU inference engine runs: one graph before the clicks, one for each click.

RefCut's reference pictures and FocalClick's second stage have a third one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from terraclick.errors import BadConfig
from terraclick.inference.graph import Graph
from terraclick.networks.checkpoint import family_of, load_network
from terraclick.networks.crosscut.model import CrossCut, CrossCutEncoded
from terraclick.networks.focalclick.model import FocalClick
from terraclick.networks.onnx_files import close_enough, relative, write_graph, written
from terraclick.networks.refcut.model import RefCut
from terraclick.networks.sides import side_of

__all__ = ["EXPORTABLE", "export_network"]

EXPORTABLE = ("simpleclick", "ritm", "segnext", "mfp", "isrefiner", "crosscut", "refcut", "focalclick")
"""Families whose work is one graph before the clicks and one or two after; for SAM's see `export_sam.py`."""


class Before(nn.Module):
    """Picture → the tensors that a network keeps of it."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(1, 3, H, W) in 0…1 → kept tensors."""
        return tuple(_kept(self.network.encode(image)).values())


class Shown(nn.Module):
    """RefCut's reference picture → its features."""

    def __init__(self, network: RefCut) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """(1, 3, S, S) in 0…1 → (1, C, h, w)."""
        return self.network.features(image)


class Click(nn.Module):
    """Kept tensors, previous answer, modulated answer, clicks and references → logits."""

    def __init__(self, network: Any, encoded: Any, names: tuple[str, ...], modulated: bool) -> None:
        super().__init__()
        self.network, self.encoded, self.names, self.modulated = network, encoded, names, modulated

    def forward(
        self, previous: Tensor, modulated: Tensor, points: Tensor, references: Tensor, *kept: Tensor
    ) -> Tensor | tuple[Tensor, Tensor]:
        """previous, modulated (1, 1, H, W), points (1, 2P, 3), references (1, 2, C), kept → logits (1, 1, H, W).

        FocalClick's features for the second stage come along.
        """
        encoded = _filled(self.encoded, dict(zip(self.names, kept, strict=True)))
        if self.modulated:
            return self.network.look(encoded, previous, modulated, points)
        if isinstance(self.network, RefCut):
            return self.network.answer(encoded, previous, points, references)
        if isinstance(self.network, FocalClick):
            coarse = self.network.coarse(encoded, previous, points)
            return coarse.logits, coarse.features
        return self.network.answer(encoded, previous, points)


class Detail(nn.Module):
    """FocalClick's second stage, its cuts made before."""

    def __init__(self, network: FocalClick) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, points: Tensor, features: Tensor, coarse: Tensor) -> Tensor:
        """image (1, 3, S, S), points (1, 2P, 3), features (1, C, h, w), coarse (1, 1, S, S) → logits."""
        return self.network.detail(image, points, features, coarse)


def _kept(encoded: Any) -> dict[str, Tensor]:
    """The tensors that a network keeps of a picture, by name."""
    if isinstance(encoded, CrossCutEncoded):
        parts = ("tokens", "features")
        return {f"{part}_{n}": getattr(patches, part) for n, patches in encoded.patches.items() for part in parts}
    found = {field.name: getattr(encoded, field.name) for field in fields(encoded)}
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}


def _filled(encoded: Any, kept: Mapping[str, Tensor]) -> Any:
    """The same encoding with other tensors."""
    if isinstance(encoded, CrossCutEncoded):
        patches = {
            n: replace(one, tokens=kept[f"tokens_{n}"], features=kept[f"features_{n}"])
            for n, one in encoded.patches.items()
        }
        return CrossCutEncoded(encoded.image, patches)
    return replace(encoded, **kept)


def export_network(
    name: str,
    out: str | Path,
    weights: str | Path | None = None,
    size: tuple[int, int] | None = None,
    random: int | None = None,
    config: Any = None,
) -> Path:
    """Write a folder that `load(name, weights=folder)` clicks with, without torch; returns it.

    `size` is what the graphs read (the published one if None). The files are checked against the network on other
    inputs before they are put in place. Raises UnknownName or BadConfig for networks that cannot be exported,
    BadWeights as `load_network`, BadOutput if the folder cannot be written or the files answer differently.
    """
    if family_of(name) not in EXPORTABLE:
        raise BadConfig(f"{name} cannot be exported. Families that can: {', '.join(EXPORTABLE)}.")
    network = load_network(name, weights, random, config)
    if isinstance(network, CrossCut):
        network.settings = replace(network.settings, dirty=None)  # a graph remembers no answers
    rows, cols = size or (side_of(name), side_of(name))
    if isinstance(network, FocalClick) and rows != cols:
        raise BadConfig(f"FocalClick reads a square, not {rows} × {cols} pixels: give --size {rows},{rows}.")
    with written(out) as (folder, described):
        described |= _write(name, network, (rows, cols), folder)
    return Path(out)


def _inputs(network: Any, size: tuple[int, int], slots: int, seed: int) -> dict[str, Tensor]:
    """Picture, answers, clicks and references of the right shapes."""
    rng = torch.Generator().manual_seed(seed)
    points = torch.full((1, 2 * slots, 3), -1.0)
    for order, slot in enumerate((0, slots)):
        points[0, slot, :2] = torch.rand(2, generator=rng) * torch.tensor([size[0] - 1.0, size[1] - 1.0])
        points[0, slot, 2] = order
    maps = {name: torch.rand(1, 1, *size, generator=rng) for name in ("previous", "modulated")}
    dim = network.config.base.vit.dim if isinstance(network, RefCut) else 1
    shown = {"points": points, "references": torch.rand(1, 2, dim, generator=rng)}
    return {"image": torch.rand(1, 3, *size, generator=rng), **maps, **shown}


ASKED = ("previous", "modulated", "points", "references")
"""What a click's graph may read beside what was kept, in order."""


@torch.no_grad()
def _write(name: str, network: Any, size: tuple[int, int], folder: Path) -> dict[str, Any]:
    """Both graphs into a folder → what `network.json` says of them."""
    given = _inputs(network, size, 3, 0)
    encoded = network.encode(given["image"])
    if not is_dataclass(encoded):
        raise BadConfig(f"{name} keeps a {type(encoded).__name__} of a picture, which cannot be exported.")
    kept = _kept(encoded)
    names = tuple(kept)
    modulation = _modulation(network)
    click = Click(network, encoded, names, modulation is not None).eval()
    labels = [f"kept_{part}" for part in names]
    asked, slots = {part: given[part] for part in ASKED}, {"points": {1: "slots"}}
    features = ["features"] if isinstance(network, FocalClick) else []
    write_graph(folder / "encode.onnx", Before(network), {"image": given["image"]}, labels)
    kept_by_label = dict(zip(labels, kept.values(), strict=True))
    write_graph(folder / "click.onnx", click, {**asked, **kept_by_label}, ["logits", *features], slots)
    if isinstance(network, FocalClick):
        cuts = dict(zip(CUTS, _cuts(network, click, given, kept.values()), strict=True))
        write_graph(folder / "refine.onnx", Detail(network), cuts, ["refined"], slots)
    if isinstance(network, RefCut):
        side = network.config.reference_side
        write_graph(folder / "reference.onnx", Shown(network), {"image": torch.rand(1, 3, side, side)}, ["features"])
    difference = close_enough(name, _difference(network, click, labels, size, folder))
    described = {
        "name": name,
        "size": list(size),
        "kept": labels,
        "modulation": modulation,
        "difference": difference,
    }
    if isinstance(network, RefCut):
        config = network.config
        settings = {"side": config.reference_side, "dim": config.base.vit.dim, "mask_resize": config.mask_resize}
        described["references"] = settings
    return described


def _modulation(network: Any) -> Mapping[str, Any] | None:
    """The rule that runs between two looks, with its settings; None for networks without one."""
    if not hasattr(network, "look"):
        return None
    settings = getattr(network, "settings", network.config)
    rule = getattr(settings, "modulation", "mfp")
    if rule == "none":
        raise BadConfig("a network with modulation switched off cannot be exported: use torch.")
    described = {"rule": rule, "max_radius": settings.max_radius}
    return {**described, "switch": settings.switch} if hasattr(settings, "switch") else described


def _difference(network: Any, click: Click, labels: list[str], size: tuple[int, int], folder: Path) -> float:
    """Largest difference of a logit between the network and its files, relative to the largest logit if that is > 1."""
    other = _inputs(network, size, 5, 1)  # another number of slots, too
    kept = list(_kept(network.encode(other["image"])).values())
    before, after = Graph(folder / "encode.onnx"), Graph(folder / "click.onnx")
    found = before.outputs({"image": other["image"].numpy()})
    asked = {part: other[part].numpy() for part in ASKED}
    answers = after.outputs({**dict(zip(labels, found, strict=True)), **asked})
    expected = click(*(other[part] for part in ASKED), *kept)
    pairs = list(zip(answers, expected if isinstance(expected, tuple) else (expected,), strict=True))
    if isinstance(network, FocalClick):
        cuts = _cuts(network, click, other, kept)
        refined = Graph(folder / "refine.onnx").outputs(
            {name: cut.numpy() for name, cut in zip(CUTS, cuts, strict=True)}
        )
        pairs.append((refined[0], Detail(network)(*cuts)))
    return float(np.max([relative(answer, right) for answer, right in pairs]))


CUTS = ("image", "points", "features", "coarse")
"""What FocalClick's second stage reads, in order."""


def _cuts(network: FocalClick, click: Click, given: Mapping[str, Tensor], kept: Iterable[Tensor]) -> list[Tensor]:
    """The second stage's inputs where the focus crop is the whole picture."""
    logits, features = click(*(given[part] for part in ASKED), *kept)
    return [given["image"], given["points"], features, logits]
