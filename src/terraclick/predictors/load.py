"""Predictors by name: a plain dict of names to what they are and how they are built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from terraclick.core.click import Target
from terraclick.core.focus import FocusRule
from terraclick.core.predictor import Predictor
from terraclick.errors import BadConfig, MissingExtra, UnknownName
from terraclick.predictors.classical import GrabCut, RandomWalker
from terraclick.predictors.exported import Engine, Network, TerraPredictor
from terraclick.predictors.exported_focal import ExportedFocal
from terraclick.predictors.exported_network import ExportedNetwork, Graph, is_exported, read_exported
from terraclick.predictors.exported_sam import read_sam
from terraclick.predictors.focalclick import FocalClickPredictor, FocalStages
from terraclick.predictors.foreign import FromFolder, opening
from terraclick.predictors.settled import Settled
from terraclick.predictors.wrappers import BySize, ByTarget, Cached, Flipped, Focused, Fused

__all__ = [
    "NETWORKS",
    "OPEN_CLICK_NET_FILE",
    "PREDICTORS",
    "WEIGHTS",
    "PredictorSpec",
    "fused_classes",
    "load",
    "terra_engine",
]

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
"""Folder of the shipped model's files."""

OBJECT_SIDE = 288
"""Pixels the click net sees of an object's window. It looks twice, the second time in a mirror, which takes as long as
one look at 400 px and is worth more (`dev/LOG.md`)."""

PATCH_SIDE = 288
"""Pixels the click net sees of a patch of a class view: the side it was trained on, and half the time of 384."""

TERRA_LICENCE = "weights: Apache-2.0 backbones, click net trained on data partly for research use; see weights/CARD.md"
TERRA_OPEN_LICENCE = (
    "weights: Apache-2.0 backbones, click net trained on OpenAerialMap pictures (CC BY 4.0) with OpenStreetMap"
    " buildings (ODbL) and on made-up towns; see weights/CARD.md"
)


@dataclass(frozen=True)
class PredictorSpec:
    """What `terraclick models` tells about a predictor."""

    summary: str
    """One line for people."""
    licence: str
    """Licence of its weights, or of the method where there are none."""
    build: Callable[..., Predictor]
    """Makes it; keyword options only."""
    files: tuple[str, ...] = ()
    """Weight files in `WEIGHTS`."""


ENCODER_FILE = "terra_encoder.onnx"
CLICK_NET_FILE = "terra_click_net.onnx"
OPEN_CLICK_NET_FILE = "terra_open_click_net.onnx"


def terra_engine(folder: Path = WEIGHTS, threads: int | None = None, click_net: str = CLICK_NET_FILE) -> Engine:
    """The encoder and a click net of a folder, compiled once per process."""
    return _engine(folder, threads, click_net)


@lru_cache(maxsize=4)
def _engine(folder: Path, threads: int | None, click_net: str) -> Engine:
    return Engine(Network(folder / ENCODER_FILE, threads), Network(folder / click_net, threads))


def _objects(engine: Engine, capacity: int) -> Predictor:
    """Zoom-in around one thing, encodings of recent windows kept."""
    window = TerraPredictor(engine, division=1, side=OBJECT_SIDE, examples=_examples(engine), mirror=True)
    return Settled(Cached(window, capacity))


@lru_cache(maxsize=4)
def _examples(engine: Engine) -> Predictor:
    """Encodes reference pictures for all predictors of an engine, each once and not at every click."""
    return Cached(TerraPredictor(engine, division=1), 16)


def terra(
    threads: int | None = None, weights: Path = WEIGHTS, capacity: int = 32, click_net: str = CLICK_NET_FILE
) -> Predictor:
    """Objects with settled zoom-in; classes on patches of native resolution."""
    engine = terra_engine(weights, threads, click_net)
    classes = TerraPredictor(engine, side=PATCH_SIDE, examples=_examples(engine))
    return ByTarget({Target.OBJECT: _objects(engine, capacity), Target.CLASS: classes})


def terra_single(threads: int | None = None, weights: Path = WEIGHTS, click_net: str = CLICK_NET_FILE) -> Predictor:
    """One look at the whole view, whatever the target: no zoom-in, no division."""
    engine = terra_engine(weights, threads, click_net)
    return TerraPredictor(engine, division=1, examples=_examples(engine))


def terra_fused(
    threads: int | None = None,
    weights: Path = WEIGHTS,
    capacity: int = 32,
    divisions: tuple[int, ...] | None = None,
) -> Predictor:
    """CrossCut's fusion for classes, the mean of several divisions; objects as in `terra`.

    Unless `divisions` are given, a view's own size chooses them: patches of native resolution, and one step finer. The
    native ones are looked at twice, the second time in a mirror.
    """
    engine = terra_engine(weights, threads)
    return ByTarget({Target.OBJECT: _objects(engine, capacity), Target.CLASS: fused_classes(engine, divisions)})


def fused_classes(engine: Engine, divisions: tuple[int, ...] | None = None) -> Predictor:
    """Class targets on several divisions, see `terra_fused`."""
    examples = _examples(engine)

    def fused(shape: tuple[int, int]) -> Predictor:
        native = TerraPredictor(engine).divisions(shape)
        parts = [
            TerraPredictor(engine, n, PATCH_SIDE, examples=examples, mirror=n == native)
            for n in divisions or (native, native + 1)
        ]
        return Fused(tuple(parts))

    return BySize(fused)


def terra_open(threads: int | None = None, capacity: int = 32) -> Predictor:
    """`terra` with the click net that was trained on freely licensed pictures alone."""
    return terra(threads, WEIGHTS, capacity, OPEN_CLICK_NET_FILE)


_FILES = (ENCODER_FILE, CLICK_NET_FILE)

NO_WEIGHTS = "method without weights"

PREDICTORS: dict[str, PredictorSpec] = {
    "terra": PredictorSpec(
        "shipped model: zoom-in for objects, native patches for classes", TERRA_LICENCE, terra, _FILES
    ),
    "terra-single": PredictorSpec("shipped model, one look at the whole view", TERRA_LICENCE, terra_single, _FILES),
    "terra-fused": PredictorSpec("shipped model, divisions fused for classes", TERRA_LICENCE, terra_fused, _FILES),
    "terra-open": PredictorSpec(
        "as terra, but trained on freely licensed pictures only: weaker",
        TERRA_OPEN_LICENCE,
        terra_open,
        (ENCODER_FILE, OPEN_CLICK_NET_FILE),
    ),
    "grabcut": PredictorSpec("GrabCut from clicks: colour models and a graph cut", NO_WEIGHTS, GrabCut),
    "randomwalk": PredictorSpec("random walker from clicks (Grady 2006)", NO_WEIGHTS, RandomWalker),
}


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
        from terraclick.models.checkpoint import load_network
        from terraclick.predictors.network import Exact, NetworkPredictor
        from terraclick.predictors.references import References
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
        from terraclick.models.checkpoint import load_network
        from terraclick.predictors.network import NetworkPredictor
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
            from terraclick.models.checkpoint import load_network
            from terraclick.predictors.focal_network import FocalNetwork
        except ModuleNotFoundError as error:
            raise MissingExtra(f"{error.name} is not installed: pip install 'terraclick[torch]'.") from error
        network = load_network(name, weights, random, config)
        stages = FocalNetwork(network, (side, side), parity, device, precision)
    predictor = FocalClickPredictor(stages, Cached(stages, capacity))
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
        from terraclick.models.checkpoint import load_network, preset_of
        from terraclick.predictors.network import Exact, NetworkPredictor
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
        from terraclick.predictors.sam import load_sam
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name} is not installed: pip install 'terraclick[sam]'.") from error
    return load_sam(name, weights=weights, random=random, config=config, device=device, precision=precision)


_outside_kept = partial(click_network, keep_outside=True)
"""As published for MFP and RS-ISRefiner: outside the zoom window the previous answer stays."""


def _paper(name: str, summary: str, build: Callable[..., Predictor] = click_network) -> tuple[str, PredictorSpec]:
    """One row of `NETWORKS`."""
    return name, PredictorSpec(summary, PAPER_LICENCE, partial(build, name))


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


def load(name: str, **options: Any) -> Predictor:
    """A predictor by name. Raises UnknownName with the list, TypeError for an option it does not have."""
    spec = PREDICTORS.get(name) or NETWORKS.get(name)
    if spec is None:
        known = ", ".join((*PREDICTORS, *NETWORKS))
        raise UnknownName(f"no model {name!r}. Known: {known} (see: terraclick models).")
    weights = options.get("weights")
    if not isinstance(weights, str | Path) or not Path(weights).is_dir():
        return spec.build(**options)
    with opening(Path(weights)):
        return FromFolder(spec.build(**options), Path(weights))
