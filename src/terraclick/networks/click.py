"""A paper's network around a view as most papers use it, whatever runs it: with torch, or from an exported folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from terraclick.core.focus import FocusRule
from terraclick.core.predictor import Predictor
from terraclick.errors import BadConfig, require_extra
from terraclick.networks.exported import ExportedNetwork, is_exported
from terraclick.networks.families import family_of, part
from terraclick.predictors.wrappers import Cached, Flipped, Focused
from terraclick.values import Prompt

__all__ = ["check_plain", "click_network", "from_folder", "whole_view_network"]


def check_plain(folder: str | Path, parity: bool = False, precision: str = "float32", device: str = "cpu") -> None:
    """Raises BadConfig where settings ask of an exported folder what its files were not made for."""
    if parity or precision != "float32" or device != "cpu":
        raise BadConfig(
            f"{folder} is an exported network, which runs on the CPU in float32 only: give weights instead."
        )


def from_folder(
    name: str, folder: str | Path, parity: bool = False, precision: str = "float32", device: str = "cpu"
) -> ExportedNetwork:
    """The predictor of an exported folder.

    Raises BadConfig for settings that its files were not made for, BadWeights for damaged files.
    """
    check_plain(folder, parity, precision, device)
    found: ExportedNetwork = part(family_of(name), "onnx").EXPORT.read(name, folder)
    return found


def click_network(
    name: str,
    *,
    weights: str | Path | None = None,
    random: int | None = None,
    config: Any = None,
    zoom: bool = True,
    flip: bool = True,
    parity: bool = False,
    keep_outside: bool = False,
    size: tuple[int, int] = (448, 448),
    device: str = "cpu",
    precision: str = "float32",
    capacity: int = 16,
    extra: Callable[[Any, str], Callable[[Prompt], Mapping[str, Any]]] | None = None,
) -> Predictor:
    """A paper's network on one picture: zoom-in and mirror average around it, as published, unless switched off.

    `weights` is a published `.pth`, a converted `.safetensors`, or a folder of `terraclick export` (which needs no
    torch and has its own size); `random` a seed for tests and benchmarks instead. `parity` resizes and maps clicks as
    published. `extra` makes what the network is told beside clicks, from (network, device). Raises BadWeights without
    weights or seed, MissingExtra without torch.
    """
    if weights is not None and is_exported(weights):
        exported = from_folder(name, weights, parity=parity, precision=precision, device=device)
        inside = Cached(Flipped(exported) if flip else exported, capacity)
        return Focused(inside, FocusRule(exported.size), keep_outside) if zoom else inside
    with require_extra("torch"):
        from terraclick.networks.checkpoint import load_network
        from terraclick.networks.predictor import Exact, NetworkPredictor
    network = load_network(name, weights, random, config)
    told = None if extra is None else extra(network, device)
    predictor: Predictor = NetworkPredictor(network, None if zoom else size, parity, device, precision, extra=told)
    predictor = Cached(Flipped(predictor) if flip else predictor, capacity)
    if zoom:
        predictor = Focused(predictor, FocusRule(size, parity=parity), keep_outside)
    return Exact(predictor) if parity else predictor


def whole_view_network(
    name: str,
    *,
    weights: str | Path | None = None,
    random: int | None = None,
    config: Any = None,
    device: str = "cpu",
    precision: str = "float32",
) -> Predictor:
    """A network that stretches the view by itself and encodes it once; nothing around it, as published.

    `weights` and `random` as in `click_network`. Raises BadWeights without either, MissingExtra without torch.
    """
    if weights is not None and is_exported(weights):
        return from_folder(name, weights, precision=precision, device=device)
    with require_extra("torch"):
        from terraclick.networks.checkpoint import load_network
        from terraclick.networks.predictor import NetworkPredictor
    network = load_network(name, weights, random, config)
    return NetworkPredictor(network, None, device=device, precision=precision)
