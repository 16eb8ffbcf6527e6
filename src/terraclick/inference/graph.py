"""A graph on the CPU inference engine: opened once, run from any thread, several runs beside each other."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadWeights
from terraclick.inference.runtime import onnx_runtime
from terraclick.inference.timed import run_within

__all__ = ["Graph"]

FloatArray = NDArray[np.float32]

WORTH = 8
"""Runs after which a graph is opened a second time, on one thread, to run several beside each other."""


def _cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Graph:
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
        self._runtime = self._opened(threads)
        self._names = frozenset(entry.name for entry in self._runtime.get_inputs())

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
        answers = run_within(self._runtime, self._known(inputs), self._path.name)
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
