"""A batch shared by several processes, as torchrun starts them: who draws what, and gradients averaged over all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import nn

from terraclick.errors import BadConfig

__all__ = ["Shared", "shared"]


@dataclass(frozen=True)
class Shared:
    """One process of `world`."""

    world: int = 1
    rank: int = 0

    @property
    def writes(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def mine(self, batch: int) -> list[int]:
        """Which samples of a batch this process takes."""
        return list(range(batch))[self.rank :: self.world]

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            torch.distributed.barrier()

    def add_up(self, weights: Sequence[nn.Parameter], loss: torch.Tensor) -> torch.Tensor:
        """Sum the gradients of all processes, in place, and their losses: each holds its share of the batch's mean."""
        if self.world == 1:
            return loss
        for weight in weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            torch.distributed.all_reduce(weight.grad)
        torch.distributed.all_reduce(loss)
        return loss


@contextmanager
def shared(batch: int, device: str = "cpu", environ: Mapping[str, str] = os.environ) -> Iterator[Shared]:
    """This process among those that torchrun started (WORLD_SIZE, RANK). Raises BadConfig for a batch too small."""
    world, rank = int(environ.get("WORLD_SIZE", "1")), int(environ.get("RANK", "0"))
    if world > batch:
        raise BadConfig(f"a batch of {batch} cannot be shared by {world} processes: change one of them.")
    if world > 1:
        kind = "nccl" if device.startswith("cuda") else "gloo"
        torch.distributed.init_process_group(kind, timeout=timedelta(hours=2))
    try:
        yield Shared(world, rank)
    finally:
        if world > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
