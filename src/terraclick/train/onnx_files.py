"""Folders of exported graphs: how they are traced, and that a folder appears whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraclick.errors import BadOutput
from terraclick.predictors.exported_network import DESCRIPTION

__all__ = ["CLOSE", "OPSET", "relative", "tracing", "written"]

OPSET = 18

CLOSE = 2e-3
"""Largest difference of a logit, of a typical size of 1, between a network and its files."""


def relative(answer: NDArray[np.float32], expected: Tensor) -> float:
    """Largest difference, relative to the largest value expected if that is > 1; NaN if an answer is."""
    return float((torch.from_numpy(answer) - expected).abs().max() / expected.abs().max().clamp(min=1))


@contextmanager
def tracing() -> Iterator[None]:
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
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".writing-") as folder:
            yield Path(folder), described
            (Path(folder) / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n")
            for file in sorted(Path(folder).iterdir(), key=lambda file: file.name == DESCRIPTION):
                shutil.move(file, out / file.name)
    except OSError as error:
        raise BadOutput(f"the files cannot be written to {out} ({error.strerror}): give another folder.") from None
