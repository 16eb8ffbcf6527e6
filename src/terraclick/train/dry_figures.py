"""What a dry run tells, and how it counts: arithmetic while it runs, bytes that are kept for a gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["ADAM", "GPU_FLOPS", "DryRun", "Kept", "flop_counter"]

GPU_FLOPS = 40e12
"""Sustained floating-point operations a second of one GPU of the class that the papers used, in mixed precision."""

ADAM = 16
"""Bytes of a trained number: itself, its gradient, and two averages, in float32."""


@dataclass(frozen=True)
class DryRun:
    """What a recipe costs."""

    recipe: str
    """Its name."""
    parameters: int
    """Numbers of the network."""
    trained: int
    """Those that are trained."""
    shapes: dict[str, tuple[int, ...]]
    """Inputs of a step by name, at the recipe's batch."""
    loss: float
    """Of the last step tried; a number where everything fits together."""
    gflops_step: float
    """Of a step at the recipe's batch, forwards and backwards; no-gradient passes included."""
    seconds_step: float
    """Of a step at the recipe's batch here, with the threads of this process."""
    memory_mb: float
    """Reckoned for the recipe's batch: weights, gradients, averages, and what a step keeps for its gradient."""
    steps: int
    """Of the whole run."""
    days_here: float
    """On this machine, with the threads of this process."""
    days_gpu: float
    """Forecast for one GPU at `GPU_FLOPS`."""
    reckoned_for: str = ""
    """What the number of steps was reckoned for, where the data decides it."""

    def lines(self) -> list[str]:
        """For people."""
        threads = torch.get_num_threads()
        shapes = ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in self.shapes.items())
        return [
            f"{self.recipe}: {self.parameters / 1e6:.2f} M parameters, {self.trained / 1e6:.2f} M trained",
            f"a step: {shapes}; {self.gflops_step:.0f} GFLOP, loss {self.loss:.4g}",
            f"about {self.memory_mb:.0f} MB, {self.seconds_step:.2f} s a step with {threads} threads here",
            f"{self.steps} steps{self.reckoned_for}: {self.days_here:.1f} days here, "
            f"about {self.days_gpu:.2f} days on one GPU",
        ]


def flop_counter() -> Any:
    """A context that counts floating-point operations; ask it for `get_total_flops()`."""
    counter: Any = FlopCounterMode(display=False)
    counter.mod_tracker = _NoModules()
    return counter


class _NoModules:
    """Arithmetic is counted as a whole: telling modules apart fails where one runs without gradients."""

    parents = frozenset({"Global"})

    def __enter__(self) -> None:
        """Nothing to follow."""

    def __exit__(self, *found: Any) -> None:
        """Nothing was followed."""


class Kept:
    """Counts the bytes that a forward pass keeps for its gradient, each row of numbers once; weights are left out."""

    def __init__(self) -> None:
        self.nbytes = 0

    def __enter__(self) -> Kept:
        self._seen: set[int] = set()
        self.nbytes = 0
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)
        self._hooks.__enter__()
        return self

    def _pack(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen and not tensor.is_leaf:
            self._seen.add(storage.data_ptr())
            self.nbytes += storage.nbytes()
        return tensor

    def __exit__(self, *found: Any) -> None:
        self._hooks.__exit__(*found)
