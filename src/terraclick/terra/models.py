"""The shipped model by its names: how objects and classes are looked at, and which files answer."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from terraclick.core.predictor import Predictor
from terraclick.inference.graph import Graph
from terraclick.predictors.spec import WEIGHTS, PredictorSpec
from terraclick.predictors.wrappers import BySize, ByTarget, Cached, Fused
from terraclick.terra.predictor import TerraGraphs, TerraPredictor
from terraclick.terra.settle import Settled
from terraclick.values import Target

__all__ = [
    "CLICK_NET_FILE",
    "ENCODER_FILE",
    "OBJECT_SIDE",
    "OPEN_CLICK_NET_FILE",
    "PATCH_SIDE",
    "TERRA",
    "fused_classes",
    "terra_graphs",
]

OBJECT_SIDE = 256
"""Pixels the click net sees of an object's window. It looks twice, the second time in a mirror, which takes as long as
one look at 352 px and is worth more; 288 px take a quarter longer and need no fewer clicks (`dev/LOG.md`)."""

CLASS_VIEWS = 8
"""Latest views whose encodings for classes are kept, about 25 MB each at 1792 px."""

OBEDIENCE = 0.04
"""Around a click that the click net did not follow, the answer changes over this share of the window's side."""

PATCH_SIDE = 256
"""Pixels the click net sees of a patch of a class view; 288 px take a quarter longer and need as many clicks."""

TERRA_LICENCE = "weights: Apache-2.0 backbones, click net trained on data partly for research use; see weights/CARD.md"
TERRA_OPEN_LICENCE = (
    "weights: Apache-2.0 backbones, click net trained on OpenAerialMap (CC BY 4.0) with OpenStreetMap buildings (ODbL),"
    " Czech orthophoto and Jiangsu panels (CC BY 4.0), Dubai tiles (CC0) and made-up pictures; see weights/CARD.md"
)

ENCODER_FILE = "terra_encoder.onnx"
CLICK_NET_FILE = "terra_click_net.onnx"
OPEN_CLICK_NET_FILE = "terra_open_click_net.onnx"


def terra_graphs(folder: Path = WEIGHTS, threads: int | None = None, click_net: str = CLICK_NET_FILE) -> TerraGraphs:
    """The encoder and a click net of a folder, compiled once per process."""
    return _opened(folder, threads, click_net)


@lru_cache(maxsize=4)
def _opened(folder: Path, threads: int | None, click_net: str) -> TerraGraphs:
    return TerraGraphs(Graph(folder / ENCODER_FILE, threads), Graph(folder / click_net, threads))


def _objects(graphs: TerraGraphs, capacity: int) -> Predictor:
    """Zoom-in around one thing, encodings of recent windows kept."""
    examples = _examples(graphs)
    window = TerraPredictor(graphs, division=1, side=OBJECT_SIDE, examples=examples, mirror=True, obedience=OBEDIENCE)
    return Settled(Cached(window, capacity))


@lru_cache(maxsize=4)
def _examples(graphs: TerraGraphs) -> Predictor:
    """Encodes reference pictures for all predictors of the same graphs, each once and not at every click."""
    return Cached(TerraPredictor(graphs, division=1), 16)


def terra(
    threads: int | None = None, weights: Path = WEIGHTS, capacity: int = 32, click_net: str = CLICK_NET_FILE
) -> Predictor:
    """Objects with settled zoom-in; classes on patches of native resolution."""
    graphs = terra_graphs(weights, threads, click_net)
    classes = Cached(TerraPredictor(graphs, side=PATCH_SIDE, examples=_examples(graphs)), CLASS_VIEWS)
    return ByTarget({Target.OBJECT: _objects(graphs, capacity), Target.CLASS: classes})


def terra_single(threads: int | None = None, weights: Path = WEIGHTS, click_net: str = CLICK_NET_FILE) -> Predictor:
    """One look at the whole view, whatever the target: no zoom-in, no division."""
    graphs = terra_graphs(weights, threads, click_net)
    return TerraPredictor(graphs, division=1, examples=_examples(graphs))


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
    graphs = terra_graphs(weights, threads)
    return ByTarget(
        {Target.OBJECT: _objects(graphs, capacity), Target.CLASS: Cached(fused_classes(graphs, divisions), CLASS_VIEWS)}
    )


def fused_classes(graphs: TerraGraphs, divisions: tuple[int, ...] | None = None) -> Predictor:
    """Class targets on several divisions, see `terra_fused`."""
    examples = _examples(graphs)

    def fused(shape: tuple[int, int]) -> Predictor:
        native = TerraPredictor(graphs).divisions(shape)
        parts = [
            TerraPredictor(graphs, n, PATCH_SIDE, examples=examples, mirror=n == native)
            for n in divisions or (native, native + 1)
        ]
        return Fused(tuple(parts))

    return BySize(fused)


def terra_open(threads: int | None = None, capacity: int = 32) -> Predictor:
    """`terra` with the click net that was trained on freely licensed pictures alone."""
    return terra(threads, WEIGHTS, capacity, OPEN_CLICK_NET_FILE)


_FILES = (ENCODER_FILE, CLICK_NET_FILE)

TERRA = (
    PredictorSpec(
        "terra", "shipped model: zoom-in for objects, native patches for classes", TERRA_LICENCE, terra, _FILES, True
    ),
    PredictorSpec(
        "terra-single", "shipped model, one look at the whole view", TERRA_LICENCE, terra_single, _FILES, True
    ),
    PredictorSpec(
        "terra-fused", "shipped model, divisions fused for classes", TERRA_LICENCE, terra_fused, _FILES, True
    ),
    PredictorSpec(
        "terra-open",
        "as terra, but trained on freely licensed pictures only: weaker",
        TERRA_OPEN_LICENCE,
        terra_open,
        (ENCODER_FILE, OPEN_CLICK_NET_FILE),
        True,
    ),
)
"""What `load` knows of the shipped model, the default first."""
