"""The shipped model on the CPU inference engine (ONNX Runtime): no torch anywhere.

`encode` runs the frozen encoder once per patch of a division and keeps centred tokens (uint8 pictures and float16
tokens, about 1.3 MB a patch). `predict` builds the prompt bank over all patches, then runs the small click net on every
patch and blends the overlaps.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.core.bank import BankRow, center_tokens, click_rows, prompt_maps, reference_row
from terraclick.core.click import Click, Prompt, Target
from terraclick.core.clickmaps import disk_maps
from terraclick.core.division import choose_division, patch_windows
from terraclick.core.focus import Window
from terraclick.core.predictor import Prediction, Predictor, View
from terraclick.core.refit import FIT_STRIDE, Evidence, colour_features, fit_maps, gather
from terraclick.errors import BadClick, BadWeights
from terraclick.onnx_runtime import onnx_runtime
from terraclick.predictors.timed import run_within

__all__ = [
    "Engine",
    "Network",
    "PatchFeatures",
    "TerraEncoded",
    "TerraPredictor",
    "click_planes",
    "cut",
    "encode_picture",
    "encode_squares",
    "marked",
    "marked_reference",
    "network_inputs",
    "patch_features",
    "score_maps",
    "watching",
]

ENCODER_SIDE = 336
"""Pixels the encoder sees of every patch, whatever the click net's side."""

DISK_RADIUS = 5.0
"""Radius of a click's disk in network pixels."""

STRETCH = 1.1
"""How much larger than native a patch may be, to spare a row: a view of 896 px is 2 × 2 patches, not 3 × 3."""

GREY = 127
"""What stands beyond the picture's edge and on pixels without data (zero for the click net)."""

FloatArray = NDArray[np.float32]

WORTH = 8
"""Runs after which a graph is opened a second time, on one thread, to run several beside each other."""

_WATCHER: ContextVar[Callable[[int, int], None] | None] = ContextVar("watcher", default=None)


@contextmanager
def watching(tell: Callable[[int, int], None]) -> Iterator[None]:
    """Within the block, `tell(done, total)` hears how many patches of a view are encoded. Changes no answer."""
    token = _WATCHER.set(tell)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def _said(done: int, total: int) -> None:
    tell = _WATCHER.get()
    if tell is not None:
        tell(done, total)


def cut(image: NDArray[Any], window: Window, side: int, fill: float) -> NDArray[Any]:
    """The part of (H, W[, C]) inside a window, `fill` beyond the edge, resized to side × side."""
    inside, place = window.clipped(image.shape)
    piece = image[inside.slices]
    if piece.shape[:2] != (window.rows, window.cols):
        whole = np.full((window.rows, window.cols, *image.shape[2:]), fill, image.dtype)
        whole[place.slices] = piece
        piece = whole
    if piece.shape[:2] == (side, side):
        return np.ascontiguousarray(piece)
    shrinks = side < max(window.rows, window.cols)
    return cv2.resize(
        np.ascontiguousarray(piece), (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )


def click_planes(clicks: Sequence[Click], window: Window, side: int, previous: FloatArray | None) -> FloatArray:
    """(3, side, side): previous probabilities (H, W) cut to the window, disks of positive, disks of negative clicks."""
    planes = np.zeros((3, side, side), np.float32)
    if previous is not None:
        planes[0] = cut(previous, window, side, 0.0)
    moved = [
        Click(
            (click.row - window.row + 0.5) / window.rows * side - 0.5,
            (click.col - window.col + 0.5) / window.cols * side - 0.5,
            click.positive,
        )
        for click in clicks
    ]
    planes[1:] = disk_maps(moved, (side, side), DISK_RADIUS)
    return planes


@dataclass(frozen=True, eq=False)
class PatchFeatures:
    """What is known of a patch before any click, all float16 or float32.

    tokens (768, h, w) and shallow (384, h, w) centred on the view with unit parts, principal (64, h, w) centred;
    colour (9, S/4, S/4) of `colour_features`.
    """

    tokens: NDArray[Any]
    shallow: NDArray[Any]
    principal: NDArray[Any]
    colour: NDArray[Any]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.tokens.nbytes + self.shallow.nbytes + self.principal.nbytes + self.colour.nbytes

    def stored(self) -> PatchFeatures:
        """The same in half precision."""
        return self._as(np.float16)

    def ready(self) -> PatchFeatures:
        """The same in single precision."""
        return self._as(np.float32)

    def _as(self, kind: type[np.float16] | type[np.float32]) -> PatchFeatures:
        arrays = (self.tokens, self.shallow, self.principal, self.colour)
        return PatchFeatures(*(array.astype(kind) for array in arrays))


def patch_features(outputs: Sequence[Sequence[FloatArray]], images: Sequence[NDArray[np.uint8]]) -> list[PatchFeatures]:
    """Features of all patches of one view: the encoder's three outputs for each, and their pictures (S, S, 3)."""
    tokens, shallow, principal = ([patch[part][0] for patch in outputs] for part in range(3))
    parts = zip(center_tokens(tokens), center_tokens(shallow, 1), center_tokens(principal, 0), images, strict=True)
    return [PatchFeatures(deep, fine, main, colour_features(image)) for deep, fine, main, image in parts]


@dataclass(frozen=True, eq=False)
class Marked:
    """One patch's evidence for both refitted classifiers."""

    tokens: Evidence
    colour: Evidence


def marked(
    features: PatchFeatures, window: Window, clicks: Sequence[Click], previous: FloatArray | None = None
) -> Marked:
    """Evidence of a patch; `previous` is its own part of the last probabilities, at any resolution."""
    return Marked(
        gather(features.principal, window, clicks, previous), gather(features.colour, window, clicks, previous)
    )


def marked_reference(features: PatchFeatures, mask: NDArray[np.bool_], positive: bool) -> Marked:
    """Evidence of a reference: all of its mask (H, W) is wanted, or is not; nothing is said of the rest."""
    window = Window(0, 0, *mask.shape)
    found = marked(features, window, (), mask.astype(np.float32))

    def one_sided(evidence: Evidence) -> Evidence:
        inside, nothing = evidence.weights[2], np.zeros_like(evidence.weights[2])
        signs = (inside, nothing) if positive else (nothing, inside)
        return Evidence(evidence.features, np.stack([nothing, nothing, *signs]))

    return Marked(one_sided(found.tokens), one_sided(found.colour))


def score_maps(evidence: Sequence[Marked], wanted: Sequence[PatchFeatures]) -> list[FloatArray]:
    """Scores of the refitted classifiers for some patches, by tokens and by colour: list of (2, S/4, S/4)."""
    by_tokens = fit_maps([part.tokens for part in evidence], [features.principal for features in wanted])
    by_colour = fit_maps([part.colour for part in evidence], [features.colour for features in wanted])
    found = []
    for tokens, colour in zip(by_tokens, by_colour, strict=True):
        size = (colour.shape[1], colour.shape[0])
        found.append(np.stack([cv2.resize(tokens, size, interpolation=cv2.INTER_LINEAR), colour]))
    return found


def network_inputs(
    image: NDArray[np.uint8],
    features: PatchFeatures,
    bank: Sequence[BankRow],
    fit: FloatArray,
    prompt: Prompt,
    window: Window,
    previous: FloatArray | None,
) -> dict[str, NDArray[Any]]:
    """The click net's inputs for one patch, without the batch axis; image is (side, side, 3) uint8."""
    side = image.shape[0]
    maps = prompt_maps(bank, features.tokens, window, side)
    return {
        "image": image.transpose(2, 0, 1).astype(np.float32),
        "clicks": click_planes(prompt.clicks, window, side, previous),
        "tokens": features.tokens,
        "shallow": features.shallow,
        "rows": maps.rows,
        "labels": maps.labels,
        "maps": maps.maps,
        "fit": fit,
        "target": np.array([1, 0] if prompt.target is Target.OBJECT else [0, 1], np.float32),
    }


def _cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Network:
    """One exported graph, ready on the CPU. Safe to call from several threads at once.

    Once many runs were asked for beside each other, the graph is held twice: on all threads, and on one.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        if not path.is_file():
            raise BadWeights(f"no model file {path}: reinstall terraclick, or give the folder of an exported model.")
        self._path = path
        self._threads = threads or _cores()
        self._in_turn = 0
        self._opening = Lock()
        self._session = self._opened(threads)
        self._names = frozenset(entry.name for entry in self._session.get_inputs())

    def _opened(self, threads: int | None) -> Any:
        onnxruntime = onnx_runtime()
        path = self._path
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        if threads is not None:
            options.intra_op_num_threads = threads
        # int8 weights are widened once, when the graph is loaded; threads sleep between clicks
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the engine has no public base class for its errors
            reason = str(error).strip().splitlines()[-1]
            raise BadWeights(f"the model file {path.name} cannot be loaded: {reason}.") from None

    def __call__(self, inputs: dict[str, NDArray[Any]]) -> FloatArray:
        """Run on named inputs; returns the first output."""
        return self.outputs(inputs)[0]

    def outputs(self, inputs: dict[str, NDArray[Any]]) -> list[FloatArray]:
        """Run on named inputs; returns every output in order."""
        answers = run_within(self._session, self._known(inputs), self._path.name)
        return [np.asarray(output, dtype=np.float32) for output in answers]

    def _known(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The inputs that this graph has: an earlier click net knows fewer."""
        return {name: array for name, array in inputs.items() if name in self._names}

    def several(self, runs: Iterable[dict[str, NDArray[Any]]], count: int) -> Iterator[list[FloatArray]]:
        """The outputs of each of `count` runs, in order, the same as one by one.

        Where they keep all threads busy, each takes one thread beside the others: on two cores a third faster than
        runs in turn that share the threads. The first few go in turn all the same, since opening the graph on one
        thread takes as long as they gain.
        """
        busy = count >= 2 * self._threads or count % self._threads == 0
        if self._threads == 1 or not busy or self._in_turn + count < WORTH:
            self._in_turn += count
            yield from map(self.outputs, runs)
            return
        with self._opening:
            alone, workers = self._beside
        waiting: deque[Future[list[Any]]] = deque()
        for inputs in runs:
            waiting.append(workers.submit(alone.run, None, self._known(inputs)))
            if len(waiting) > self._threads:
                yield [np.asarray(output, dtype=np.float32) for output in waiting.popleft().result()]
        while waiting:
            yield [np.asarray(output, dtype=np.float32) for output in waiting.popleft().result()]

    @cached_property
    def _beside(self) -> tuple[Any, ThreadPoolExecutor]:
        """The graph on one thread, and who runs it."""
        return self._opened(1), ThreadPoolExecutor(self._threads, "terraclick-engine")


def encoder_input(image: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """(336, 336, 3) uint8 → the encoder's input."""
    return {"image": np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)}


def encode_picture(encoder: Network, image: NDArray[np.uint8]) -> FloatArray:
    """(336, 336, 3) uint8 → tokens (C, h, w)."""
    return encoder(encoder_input(image))[0]


def encode_squares(encoder: Network, squares: Sequence[NDArray[np.uint8]]) -> list[PatchFeatures]:
    """(336, 336, 3) uint8 patches of one view → their features, colours at a quarter of 336 px."""
    return patch_features([encoder.outputs(encoder_input(square)) for square in squares], squares)


@dataclass(frozen=True, eq=False)
class Engine:
    """Both networks of the shipped model."""

    encoder: Network
    click_net: Network


@dataclass(frozen=True, eq=False)
class TerraEncoded:
    """A view's patches: windows, pictures (side, side, 3) uint8 and features in half precision."""

    shape: tuple[int, int]
    windows: tuple[Window, ...]
    images: tuple[NDArray[np.uint8], ...]
    features: tuple[PatchFeatures, ...]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(image.nbytes for image in self.images) + sum(patch.nbytes for patch in self.features)


@dataclass(frozen=True, eq=False)
class TerraPredictor:
    """`terra` over one division of the view.

    division n: the longer side cut in n. division None: the fewest patches of about `native` view pixels.
    """

    engine: Engine
    division: int | None = None
    side: int = 352
    native: int = 448
    overlap: float = 0.125
    examples: Predictor | None = None
    """Encodes pictures of references; give a `Cached` one, so that an example is encoded once, not at every click."""
    deep_prompts: bool = True
    """Whether clicks and references are compared with the tokens; without it clicks are disks alone (an ablation)."""
    mirror: bool = False
    """Whether the click net also answers for the mirror image, both averaged; the encoder runs once all the same."""

    def encode(self, view: View) -> TerraEncoded:
        """Cut the view in patches and run the encoder on each; independent of clicks."""
        image = view.image
        if view.valid is not None and not view.valid.all():
            image = np.where(view.valid[..., None], image, np.uint8(GREY))
        windows = self._windows(view.shape)
        outputs: list[list[FloatArray]] = []
        _said(0, len(windows))
        squares = (encoder_input(cut(image, window, ENCODER_SIDE, GREY)) for window in windows)
        for patch in self.engine.encoder.several(squares, len(windows)):
            outputs.append(patch)
            _said(len(outputs), len(windows))
        images = tuple(cut(image, window, self.side, GREY) for window in windows)
        features = tuple(patch.stored() for patch in patch_features(outputs, images))
        return TerraEncoded(view.shape, windows, images, features)

    def predict(self, encoded: TerraEncoded, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Answer the prompt on every patch; the bank is shared by all of them."""
        if not prompt.positives and not prompt.references and previous is None:
            raise BadClick("only excluding clicks were given: add at least one click on the thing you want.")
        features = [patch.ready() for patch in encoded.features]
        bank = click_rows(prompt.clicks, [patch.tokens for patch in features], encoded.windows)
        before = None if previous is None else previous.probs
        evidence = [
            marked(
                patch,
                window,
                prompt.clicks,
                None if before is None else cut(before, window, self.side // FIT_STRIDE, 0.0),
            )
            for patch, window in zip(features, encoded.windows, strict=True)
        ]
        for reference in prompt.references:
            row, shown = self._reference(reference.image, reference.mask, reference.positive)
            bank.append(row)
            evidence.append(shown)
        if not self.deep_prompts:
            bank, evidence = [], []
        fits = score_maps(evidence, features)
        total = np.zeros(encoded.shape, np.float32)
        weight = np.zeros(encoded.shape, np.float32)

        def runs() -> Iterator[dict[str, NDArray[Any]]]:
            for image, feature, fit, window in zip(encoded.images, features, fits, encoded.windows, strict=True):
                inputs = network_inputs(image, feature, bank, fit, prompt, window, before)
                batch = {name: array[None] for name, array in inputs.items()}
                yield from (batch, _mirrored(batch)) if self.mirror else (batch,)

        answers = self.engine.click_net.several(runs(), len(encoded.windows) * (1 + self.mirror))
        for window in encoded.windows:
            logits = next(answers)[0][0, 0]
            if self.mirror:
                logits = (logits + next(answers)[0][0, 0, :, ::-1]) / 2
            _paste(total, weight, logits, window, self.overlap)
        return Prediction(1 / (1 + np.exp(-total / np.maximum(weight, 1e-6))))

    def divisions(self, shape: tuple[int, int]) -> int:
        """How many patches the longer side of a view of this shape is cut in."""
        return self.division or choose_division(shape, self.native, 1 / STRETCH)

    def _windows(self, shape: tuple[int, int]) -> tuple[Window, ...]:
        longest, count = max(shape), self.divisions(shape)
        if count == 1:
            return patch_windows(shape, longest, 0)
        # n patches of side p overlapping by f·p cover n·p − (n − 1)·f·p
        patch = math.ceil(longest / (count - (count - 1) * self.overlap))
        return patch_windows(shape, patch, int(patch * self.overlap))

    def _reference(self, image: NDArray[np.uint8], mask: NDArray[np.bool_], positive: bool) -> tuple[BankRow, Marked]:
        """What a reference picture says, from its own view: a row of the bank, and evidence."""
        view = View(image)
        encoded = (self.examples or TerraPredictor(self.engine, 1, self.side)).encode(view)
        window = encoded.windows[0]
        square = cut(mask.astype(np.uint8), window, window.rows, 0).astype(bool)
        features = encoded.features[0].ready()
        return reference_row(features.tokens, square, positive), marked_reference(features, square, positive)


def _mirrored(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The click net's inputs for the picture seen in a mirror; prompts' features and the target have no sides."""
    sided = ("image", "clicks", "tokens", "shallow", "labels", "maps", "fit")
    return {name: np.ascontiguousarray(x[..., ::-1]) if name in sided else x for name, x in inputs.items()}


def _ramp(length: int, overlap: float) -> FloatArray:
    """Weights along a patch's side: 1 inside, falling linearly over the overlap towards both ends."""
    position = np.arange(length, dtype=np.float32) + 0.5
    edge = np.minimum(position, length - position) / max(overlap * length, 1.0)
    return np.clip(edge, 0.0, 1.0).astype(np.float32)


def _paste(total: FloatArray, weight: FloatArray, logits: FloatArray, window: Window, overlap: float) -> None:
    """Add a patch's logits, resized to its window and weighted, into the view-sized sums."""
    full = cv2.resize(logits, (window.cols, window.rows), interpolation=cv2.INTER_LINEAR)
    share = np.outer(_ramp(window.rows, overlap), _ramp(window.cols, overlap)) + np.float32(1e-4)
    inside, place = window.clipped(total.shape)
    total[inside.slices] += full[place.slices] * share[place.slices]
    weight[inside.slices] += share[place.slices]
