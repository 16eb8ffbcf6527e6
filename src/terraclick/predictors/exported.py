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
from terraclick.errors import BadClick, BadWeights
from terraclick.onnx_runtime import onnx_runtime

__all__ = [
    "Engine",
    "Network",
    "TerraEncoded",
    "TerraPredictor",
    "click_planes",
    "cut",
    "encode_picture",
    "network_inputs",
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


def network_inputs(
    image: NDArray[np.uint8],
    features: FloatArray,
    bank: Sequence[BankRow],
    prompt: Prompt,
    window: Window,
    previous: FloatArray | None,
) -> dict[str, NDArray[Any]]:
    """The click net's inputs for one patch, without the batch axis; image is (side, side, 3) uint8."""
    side = image.shape[0]
    maps = prompt_maps(bank, features, window, side)
    return {
        "image": image.transpose(2, 0, 1).astype(np.float32),
        "clicks": click_planes(prompt.clicks, window, side, previous),
        "tokens": features,
        "rows": maps.rows,
        "labels": maps.labels,
        "maps": maps.maps,
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
        return [np.asarray(output, dtype=np.float32) for output in self._session.run(None, inputs)]

    def several(self, runs: Iterable[dict[str, NDArray[Any]]], count: int) -> Iterator[FloatArray]:
        """The first output of each of `count` runs, in order, the same as one by one.

        Where they keep all threads busy, each takes one thread beside the others: on two cores a third faster than
        runs in turn that share the threads. The first few go in turn all the same, since opening the graph on one
        thread takes as long as they gain.
        """
        busy = count >= 2 * self._threads or count % self._threads == 0
        if self._threads == 1 or not busy or self._in_turn + count < WORTH:
            self._in_turn += count
            yield from map(self, runs)
            return
        with self._opening:
            alone, workers = self._beside
        waiting: deque[Future[list[Any]]] = deque()
        for inputs in runs:
            waiting.append(workers.submit(alone.run, None, inputs))
            if len(waiting) > self._threads:
                yield np.asarray(waiting.popleft().result()[0], dtype=np.float32)
        while waiting:
            yield np.asarray(waiting.popleft().result()[0], dtype=np.float32)

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


@dataclass(frozen=True, eq=False)
class Engine:
    """Both networks of the shipped model."""

    encoder: Network
    click_net: Network


@dataclass(frozen=True, eq=False)
class TerraEncoded:
    """A view's patches: windows, pictures (side, side, 3) uint8 and centred tokens (C, h, w) float16."""

    shape: tuple[int, int]
    windows: tuple[Window, ...]
    images: tuple[NDArray[np.uint8], ...]
    features: tuple[NDArray[np.float16], ...]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(array.nbytes for array in (*self.images, *self.features))


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
        tokens = []
        _said(0, len(windows))
        squares = (encoder_input(cut(image, window, ENCODER_SIDE, GREY)) for window in windows)
        for patch in self.engine.encoder.several(squares, len(windows)):
            tokens.append(patch[0])
            _said(len(tokens), len(windows))
        features = tuple(patch.astype(np.float16) for patch in center_tokens(tokens))
        images = tuple(cut(image, window, self.side, GREY) for window in windows)
        return TerraEncoded(view.shape, windows, images, features)

    def predict(self, encoded: TerraEncoded, prompt: Prompt, previous: Prediction | None) -> Prediction:
        """Answer the prompt on every patch; the bank is shared by all of them."""
        if not prompt.positives and not prompt.references and previous is None:
            raise BadClick("only excluding clicks were given: add at least one click on the thing you want.")
        features = [patch.astype(np.float32) for patch in encoded.features]
        bank = click_rows(prompt.clicks, features, encoded.windows)
        bank += [
            self._reference(reference.image, reference.mask, reference.positive) for reference in prompt.references
        ]
        bank = bank if self.deep_prompts else []
        before = None if previous is None else previous.probs
        total = np.zeros(encoded.shape, np.float32)
        weight = np.zeros(encoded.shape, np.float32)

        def runs() -> Iterator[dict[str, NDArray[Any]]]:
            for image, feature, window in zip(encoded.images, features, encoded.windows, strict=True):
                inputs = network_inputs(image, feature, bank, prompt, window, before)
                batch = {name: array[None] for name, array in inputs.items()}
                yield from (batch, _mirrored(batch)) if self.mirror else (batch,)

        answers = self.engine.click_net.several(runs(), len(encoded.windows) * (1 + self.mirror))
        for window in encoded.windows:
            logits = next(answers)[0, 0]
            if self.mirror:
                logits = (logits + next(answers)[0, 0, :, ::-1]) / 2
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

    def _reference(self, image: NDArray[np.uint8], mask: NDArray[np.bool_], positive: bool) -> BankRow:
        """A reference picture's row, from its own view."""
        view = View(image)
        encoded = (self.examples or TerraPredictor(self.engine, 1, self.side)).encode(view)
        window = encoded.windows[0]
        square = cut(mask.astype(np.uint8), window, window.rows, 0).astype(bool)
        return reference_row(encoded.features[0].astype(np.float32), square, positive)


def _mirrored(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The click net's inputs for the picture seen in a mirror; prompts' features and the target have no sides."""
    sided = ("image", "clicks", "tokens", "labels", "maps")
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
