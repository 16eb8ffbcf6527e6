"""A paper's network to files that the CPU inference engine runs: one graph before the clicks, one for each click.

RefCut's reference pictures have a third one.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from terraclick.errors import BadConfig, BadOutput
from terraclick.models.checkpoint import family_of, load_network
from terraclick.models.crosscut import CrossCut, CrossCutEncoded
from terraclick.models.refcut import RefCut
from terraclick.predictors.cost import side_of
from terraclick.predictors.exported_network import DESCRIPTION, Graph

__all__ = ["EXPORTABLE", "export_network"]

EXPORTABLE = ("simpleclick", "ritm", "segnext", "mfp", "isrefiner", "crosscut", "refcut")
"""Families whose work is one graph before and one graph after the clicks."""

OPSET = 18

CLOSE = 2e-3
"""Largest difference of a logit, of a typical size of 1, between the network and its files."""


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

    def forward(self, previous: Tensor, modulated: Tensor, points: Tensor, references: Tensor, *kept: Tensor) -> Tensor:
        """previous, modulated (1, 1, H, W), points (1, 2P, 3), references (1, 2, C), kept → logits (1, 1, H, W)."""
        encoded = _filled(self.encoded, dict(zip(self.names, kept, strict=True)))
        if self.modulated:
            return self.network.look(encoded, previous, modulated, points)
        if isinstance(self.network, RefCut):
            return self.network.answer(encoded, previous, points, references)
        return self.network.answer(encoded, previous, points)


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
        raise BadConfig(
            f"{name} cannot be exported: its clicks are not answered by one graph. Families that can: "
            f"{', '.join(EXPORTABLE)}; use the others with torch."
        )
    network = load_network(name, weights, random, config)
    if isinstance(network, CrossCut):
        network.settings = replace(network.settings, dirty=None)  # a graph remembers no answers
    rows, cols = size or (side_of(name), side_of(name))
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".writing-") as folder:
            described = _write(name, network, (rows, cols), Path(folder))
            (Path(folder) / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n")
            for file in sorted(Path(folder).iterdir(), key=lambda file: file.name == DESCRIPTION):
                shutil.move(file, out / file.name)
    except OSError as error:
        raise BadOutput(f"the files cannot be written to {out} ({error.strerror}): give another folder.") from None
    return out


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


@contextmanager
def _tracing() -> Iterator[None]:
    """Quietly, and without the fused attention that ONNX has no operator for."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns about every shape that is fixed on purpose
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


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
    with _tracing():
        torch.onnx.export(
            Before(network).eval(),
            (given["image"],),
            str(folder / "encode.onnx"),
            input_names=["image"],
            output_names=labels,
            opset_version=OPSET,
            dynamo=False,
        )
        torch.onnx.export(
            click,
            (*(given[part] for part in ASKED), *kept.values()),
            str(folder / "click.onnx"),
            input_names=[*ASKED, *labels],
            output_names=["logits"],
            dynamic_axes={"points": {1: "slots"}},
            opset_version=OPSET,
            dynamo=False,
        )
        if isinstance(network, RefCut):
            side = network.config.reference_side
            torch.onnx.export(
                Shown(network).eval(),
                (torch.rand(1, 3, side, side),),
                str(folder / "reference.onnx"),
                input_names=["image"],
                output_names=["features"],
                opset_version=OPSET,
                dynamo=False,
            )
    difference = _difference(network, click, labels, size, folder)
    if difference > CLOSE:
        raise BadOutput(
            f"the exported files of {name} answer differently (by {difference:.2g}): nothing was written; use torch."
        )
    described = {
        "name": name,
        "size": list(size),
        "kept": labels,
        "modulation": modulation,
        "difference": float(f"{difference:.2g}"),
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
    expected = click(*(other[part] for part in ASKED), *kept)
    before, after = Graph(folder / "encode.onnx"), Graph(folder / "click.onnx")
    found = before.outputs({"image": other["image"].numpy()})
    asked = {part: other[part].numpy() for part in ASKED}
    answer = after.outputs({**dict(zip(labels, found, strict=True)), **asked})[0]
    return float((torch.from_numpy(answer) - expected).abs().max() / expected.abs().max().clamp(min=1))
