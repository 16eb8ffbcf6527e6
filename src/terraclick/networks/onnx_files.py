"""Folders of exported graphs: how they are traced, and that a folder appears whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from terraclick.errors import BadOutput
from terraclick.files import sync, writing
from terraclick.networks.exported import DESCRIPTION

__all__ = ["CLOSE", "OPSET", "check_graph", "close_enough", "relative", "write_graph", "written"]

OPSET = 18

CLOSE = 2e-3
"""Largest difference of a logit, of a typical size of 1, between a network and its files."""


def relative(answer: NDArray[np.float32], expected: Tensor) -> float:
    """Largest difference, relative to the largest value expected if that is > 1; NaN if an answer is."""
    return float((torch.from_numpy(answer) - expected).abs().max() / expected.abs().max().clamp(min=1))


def close_enough(name: str, difference: float) -> float:
    """A difference between a network and its files, to two digits. Raises BadOutput if it exceeds CLOSE or is NaN."""
    if not difference <= CLOSE:
        raise BadOutput(
            f"the exported files of {name} answer differently (by {difference:.2g}): nothing was written; use torch."
        )
    return float(f"{difference:.2g}")


def write_graph(
    path: Path,
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    free: Mapping[str, Mapping[int, str]] | None = None,
    opset: int = OPSET,
) -> None:
    """Trace a module on example inputs and write it; `free` names the axes whose length stays open."""
    with _tracing():
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=free,
            opset_version=opset,
            dynamo=False,
        )


def check_graph(path: Path) -> None:
    """Read a written graph again. Raises OSError if it is not whole."""
    import onnx

    try:
        onnx.load(str(path))
    except Exception as error:  # the parser raises errors of its own library
        raise OSError(None, f"the written graph is not whole ({type(error).__name__})") from None


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


@contextmanager
def written(out: str | Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder to write graphs into and a description to fill; both are put into `out` at the end, if no error came.

    Raises BadOutput if `out` cannot be written.
    """
    out = Path(out)
    described: dict[str, Any] = {}
    with writing(out, folder=out):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".writing-") as folder:
            yield Path(folder), described
            (Path(folder) / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n")
            for file in sorted(Path(folder).iterdir(), key=lambda file: file.name == DESCRIPTION):
                sync(file)
            for file in sorted(Path(folder).iterdir(), key=lambda file: file.name == DESCRIPTION):
                os.replace(file, out / file.name)
