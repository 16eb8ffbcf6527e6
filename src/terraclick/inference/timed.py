"""Running a stranger's graph: within a time, interruptible, and with errors that say which file is at fault."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from terraclick.errors import BadWeights
from terraclick.inference.runtime import onnx_runtime

__all__ = ["TIME_LIMIT", "run_within"]

TIME_LIMIT = 300.0
"""Seconds that one run of a graph may take."""

SLICE = 1.0
"""Seconds counted at a time: a process that is stopped, or a computer that sleeps, loses one of them at most."""

PATIENCE = 10.0
"""Seconds that a run has to end once it was told to."""


def run_within(
    runtime: Any, inputs: Mapping[str, NDArray[Any]], what: str, seconds: float = TIME_LIMIT
) -> list[NDArray[Any]]:
    """Every output of one run of an ONNX Runtime session; `what` names its file in errors.

    The graph runs on a thread of its own, so that an interruption is heard; it and the time limit end the graph too,
    which looks up between its nodes. Raises BadWeights if it does not answer in time, or fails.
    """
    options = onnx_runtime().RunOptions()
    answer: list[Any] = []
    failure: list[Exception] = []
    done = threading.Event()

    def run() -> None:
        try:
            answer.extend(runtime.run(None, dict(inputs), options))
        except Exception as error:  # the engine has no public base class for its errors
            failure.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=run, name="terraclick-graph", daemon=True)
    try:
        thread.start()
        in_time = _waited(done, seconds)  # a join that is interrupted takes a running thread for one that has ended
    except BaseException:
        options.terminate = True
        _end(thread, done)
        raise
    if not in_time:
        options.terminate = True
        _end(thread, done)
        raise BadWeights(
            f"{what} gave no answer within {seconds:g} s: its graph may never end; export the model again."
        )
    if failure:
        lines = str(failure[0]).strip().splitlines()
        raise BadWeights(f"{what} cannot be run: {lines[-1] if lines else type(failure[0]).__name__}.") from None
    return answer


def _waited(done: threading.Event, seconds: float) -> bool:
    """Whether it is done within so many seconds in which this process ran."""
    left = seconds
    while left > 0:
        if done.wait(min(SLICE, left)):
            return True
        left -= SLICE
    return done.is_set()


def _end(thread: threading.Thread, done: threading.Event) -> None:
    """Wait until a run that was told to end has ended, its thread too: one left behind aborts the process later."""
    if done.wait(PATIENCE):
        thread.join(PATIENCE)
