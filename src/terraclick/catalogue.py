"""Predictors by name: the shipped model, the methods without weights and the papers' networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from terraclick import methods
from terraclick.core.focus import FocusRule
from terraclick.core.predictor import Predictor
from terraclick.errors import BadConfig, MissingExtra, UnknownName
from terraclick.inference.graph import Graph
from terraclick.networks.exported import ExportedNetwork, is_exported, read_exported
from terraclick.networks.focalclick.exported import ExportedFocal
from terraclick.networks.focalclick.predictor import FocalClickPredictor, FocalStages
from terraclick.networks.sam.exported import read_sam
from terraclick.predictors.foreign import FromFolder, opening
from terraclick.predictors.spec import PredictorSpec
from terraclick.predictors.wrappers import Cached, Flipped, Focused
from terraclick.terra.models import TERRA

__all__ = ["NETWORKS", "PREDICTORS", "load", "readers_of_references", "spec_of"]


def _methods() -> list[PredictorSpec]:
    """The methods without weights: what every file of `methods` calls its SPEC."""
    names = sorted(found.name for found in iter_modules(methods.__path__))
    return [import_module(f"{methods.__name__}.{name}").SPEC for name in names]


PREDICTORS: dict[str, PredictorSpec] = {spec.name: spec for spec in (*TERRA, *_methods())}
"""What clicks out of the box."""


PAPER_LICENCE = "weights: not shipped, under their authors' terms; network: Apache-2.0, written from the paper"


def _exported(
    name: str, folder: Any, parity: bool = False, precision: str = "float32", device: str = "cpu"
) -> ExportedNetwork:
    """The predictor of an exported folder. Raises BadConfig for settings that its files were not made for."""
    _only_float32(folder, precision, device, parity)
    return read_exported(name, folder)


def _only_float32(folder: Any, precision: str, device: str, parity: bool = False) -> None:
    if parity or precision != "float32" or device != "cpu":
        raise BadConfig(
            f"{folder} is an exported network, which runs on the CPU in float32 only: give weights instead."
        )


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
    target: tuple[int, int] = (448, 448),
    device: str = "cpu",
    precision: str = "float32",
    capacity: int = 16,
) -> Predictor:
    """A paper's network on one picture: zoom-in and mirror average around it, as published, unless switched off.

    `weights` is a published `.pth`, a converted `.safetensors`, or a folder of `terraclick export` (which needs no
    torch and has its own size); `random` a seed for tests and benchmarks instead. `parity` resizes and maps clicks as
    published. Raises BadWeights without either, MissingExtra without torch.
    """
    if is_exported(weights):
        exported = _exported(name, weights, parity=parity, precision=precision, device=device)
        inside = Cached(Flipped(exported) if flip else exported, capacity)
        return Focused(inside, FocusRule(exported.size), keep_outside) if zoom else inside
    try:
        from terraclick.networks.checkpoint import load_network
        from terraclick.networks.predictor import Exact, NetworkPredictor
        from terraclick.networks.refcut.references import References
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name} is not installed: pip install 'terraclick[torch]'.") from error
    network = load_network(name, weights, random, config)
    size = None if zoom else target
    extra = References(network, device) if name.startswith("refcut") else None
    predictor: Predictor = NetworkPredictor(network, size, parity, device, precision, extra=extra)
    predictor = Cached(Flipped(predictor) if flip else predictor, capacity)
    if zoom:
        predictor = Focused(predictor, FocusRule(target, parity=parity), keep_outside)
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
    if is_exported(weights):
        return _exported(name, weights, precision=precision, device=device)
    try:
        from terraclick.networks.checkpoint import load_network
        from terraclick.networks.predictor import NetworkPredictor
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name} is not installed: pip install 'terraclick[torch]'.") from error
    network = load_network(name, weights, random, config)
    return NetworkPredictor(network, None, device=device, precision=precision)


def focal_network(
    name: str,
    *,
    weights: str | Path | None = None,
    random: int | None = None,
    config: Any = None,
    flip: bool = False,
    parity: bool = False,
    side: int = 384,
    device: str = "cpu",
    precision: str = "float32",
    capacity: int = 4,
) -> Predictor:
    """FocalClick's two stages, its own zoom-in included; `side` is the square both stages read.

    An exported folder has its own side. Raises BadWeights without weights or a seed, MissingExtra without torch.
    """
    stages: FocalStages
    if weights is not None and is_exported(weights):
        exported = _exported(name, weights, parity=parity, precision=precision, device=device)
        stages = ExportedFocal(exported, Graph(Path(weights) / "refine.onnx"))
    else:
        try:
            from terraclick.networks.checkpoint import load_network
            from terraclick.networks.focalclick.adapter import FocalNetwork
        except ModuleNotFoundError as error:
            raise MissingExtra(f"{error.name} is not installed: pip install 'terraclick[torch]'.") from error
        network = load_network(name, weights, random, config)
        stages = FocalNetwork(network, (side, side), parity, device, precision)
    encoder = Cached(stages, capacity)  # type: ignore[arg-type]
    predictor = FocalClickPredictor(stages, encoder)
    return Flipped(predictor) if flip else predictor


def crosscut(
    name: str,
    *,
    weights: str | Path | None = None,
    random: int | None = None,
    config: Any = None,
    divisions: tuple[int, ...] | None = None,
    shares: tuple[float, ...] | None = None,
    dirty: float | None = None,
    flip: bool = True,
    parity: bool = False,
    device: str = "cpu",
    precision: str = "float32",
    capacity: int = 4,
) -> Predictor:
    """CrossCut on a whole view: `divisions` (2, 3, 4) fuses them with `shares`, None keeps the view's resolution.

    `parity` squashes the view to 896² and mixes mirror images as published; `dirty` see `CrossCutConfig`. Weights and
    errors as in `click_network`; an exported folder has its own divisions.
    """
    if is_exported(weights):
        if (divisions, shares, dirty) != (None, None, None):
            raise BadConfig(f"{weights} was exported with divisions of its own: leave divisions, shares and dirty out.")
        exported = _exported(name, weights, parity=parity, precision=precision, device=device)
        return Cached(Flipped(exported) if flip else exported, capacity)
    try:
        from terraclick.networks.checkpoint import load_network, preset_of
        from terraclick.networks.predictor import Exact, NetworkPredictor
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name} is not installed: pip install 'terraclick[torch]'.") from error
    chosen = config or preset_of(name)
    setting = {"setting": "parity" if parity else "paper", "divisions": divisions, "weights": shares, "dirty": dirty}
    network = load_network(name, weights, random, replace(chosen, **setting))
    if parity:
        published = NetworkPredictor(network, (896, 896), True, device, precision, mirror=flip)
        return Exact(Cached(published, capacity))
    predictor: Predictor = NetworkPredictor(network, None, False, device, precision)
    return Cached(Flipped(predictor) if flip else predictor, capacity)


def sam_network(
    name: str,
    *,
    weights: str | Path | None = None,
    random: int | None = None,
    config: Any = None,
    device: str = "cpu",
    precision: str = "float32",
) -> Predictor:
    """A network of the SAM family, nothing around it: see `load_sam`. Raises MissingExtra.

    An exported folder as `weights` needs neither torch nor `transformers`.
    """
    if weights is not None and is_exported(weights):
        _only_float32(weights, precision, device)
        return read_sam(name, weights)
    try:
        from terraclick.networks.sam.adapter import load_sam
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name} is not installed: pip install 'terraclick[sam]'.") from error
    return load_sam(name, weights=weights, random=random, config=config, device=device, precision=precision)


_outside_kept = partial(click_network, keep_outside=True)
"""As published for MFP and RS-ISRefiner: outside the zoom window the previous answer stays."""


def _paper(name: str, summary: str, build: Callable[..., Predictor] = click_network) -> tuple[str, PredictorSpec]:
    """One row of `NETWORKS`."""
    return name, PredictorSpec(name, summary, PAPER_LICENCE, partial(build, name), reads_references=name == "refcut-b")


NETWORKS: dict[str, PredictorSpec] = dict(
    [
        _paper("simpleclick-xt", "SimpleClick, tiny ViT (Liu et al. 2023)"),
        _paper("simpleclick-b", "SimpleClick, ViT-B (Liu et al. 2023)"),
        _paper("simpleclick-l", "SimpleClick, ViT-L (Liu et al. 2023)"),
        _paper("simpleclick-h", "SimpleClick, ViT-H (Liu et al. 2023)"),
        _paper("crosscut-b", "CrossCut, ViT-B: one click for many patches (2026)", crosscut),
        _paper("mfp-b", "MFP, ViT-B: SimpleClick with modulated probabilities (Lee et al. 2024)", _outside_kept),
        _paper("ritm-hrnet18", "RITM, HRNet-18 (Sofiiuk et al. 2021)", partial(click_network, target=(400, 400))),
        _paper("ritm-hrnet32", "RITM, HRNet-32 (Sofiiuk et al. 2021)", partial(click_network, target=(400, 400))),
        _paper("focalclick-b0", "FocalClick, SegFormer-B0, both stages (Chen et al. 2022)", focal_network),
        _paper("focalclick-b3", "FocalClick, SegFormer-B3, both stages (Chen et al. 2022)", focal_network),
        _paper("focalclick-b0-s1", "FocalClick, SegFormer-B0 at half size", partial(focal_network, side=256)),
        _paper("refcut-b", "RefCut, ViT-B, reads references (Lin et al. 2025)"),
        _paper("isrefiner-b", "RS-ISRefiner as its paper draws it", partial(click_network, keep_outside=True)),
        _paper(
            "isrefiner-b-parity",
            "RS-ISRefiner as its code computes it",
            partial(click_network, keep_outside=True, parity=True),
        ),
        _paper("segnext-b", "SegNext, ViT-B at 1024 px (Liu et al. 2024)", whole_view_network),
        _paper("sam-vit-b", "SAM, ViT-B (Kirillov et al. 2023)", sam_network),
        _paper("sam-vit-l", "SAM, ViT-L (Kirillov et al. 2023)", sam_network),
        _paper("sam-vit-h", "SAM, ViT-H (Kirillov et al. 2023)", sam_network),
        _paper("sam-hq-vit-b", "SAM-HQ, ViT-B (Ke et al. 2023)", sam_network),
        _paper("sam-hq-vit-l", "SAM-HQ, ViT-L (Ke et al. 2023)", sam_network),
        _paper("sam-hq-vit-h", "SAM-HQ, ViT-H (Ke et al. 2023)", sam_network),
        _paper("sam2-hiera-tiny", "SAM 2 or 2.1, Hiera-T (Ravi et al. 2024)", sam_network),
        _paper("sam2-hiera-small", "SAM 2 or 2.1, Hiera-S (Ravi et al. 2024)", sam_network),
        _paper("sam2-hiera-base-plus", "SAM 2 or 2.1, Hiera-B+ (Ravi et al. 2024)", sam_network),
        _paper("sam2-hiera-large", "SAM 2 or 2.1, Hiera-L (Ravi et al. 2024)", sam_network),
    ]
)
"""The papers' networks: they need torch and a file of weights, or a folder of `terraclick export` alone."""


def spec_of(name: str) -> PredictorSpec:
    """What is said of a predictor. Raises UnknownName with the list."""
    spec = PREDICTORS.get(name) or NETWORKS.get(name)
    if spec is None:
        known = ", ".join((*PREDICTORS, *NETWORKS))
        raise UnknownName(f"no model {name!r}. Known: {known} (see: terraclick models).")
    return spec


def readers_of_references() -> list[str]:
    """Names of the predictors whose answers references change."""
    return [name for name, spec in (PREDICTORS | NETWORKS).items() if spec.reads_references]


def load(name: str, **options: Any) -> Predictor:
    """A predictor by name. Raises UnknownName with the list, TypeError for an option it does not have."""
    spec = spec_of(name)
    weights = options.get("weights")
    if not isinstance(weights, str | Path) or not Path(weights).is_dir():
        return spec.build(**options)
    with opening(Path(weights)):
        return FromFolder(spec.build(**options), Path(weights))
