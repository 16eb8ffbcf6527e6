"""A step shared by several processes, as torchrun starts them: who draws what, and what is added up over all of them.

One rule holds for every kind of training: each process computes the loss of the whole step, of which its own samples
are the part that it differentiates, and the gradients of all processes are summed. A loss that looks at the whole
batch (dice over classes, Fisher's ratio) reads sums and rows of all samples through `Whole`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn

from terraclick.errors import BadConfig

__all__ = ["ALONE", "Remembered", "Shared", "Whole", "shared"]


@dataclass(frozen=True)
class Shared:
    """One process of `world`, which computes on `device`."""

    world: int = 1
    rank: int = 0
    device: str = "cpu"

    @property
    def writes(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def mine(self, count: int) -> list[int]:
        """Which of `count` things, such as the samples of a batch, this process takes."""
        return list(range(count))[self.rank :: self.world]

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            torch.distributed.barrier()

    def add_up(self, weights: Sequence[nn.Parameter]) -> None:
        """Sum the gradients of all processes, in place: one message for each type of number."""
        if self.world == 1:
            return
        for weight in weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        for dtype in {weight.dtype for weight in weights}:
            grads = [weight.grad for weight in weights if weight.grad is not None and weight.dtype == dtype]
            flat = torch.cat([grad.flatten() for grad in grads])
            torch.distributed.all_reduce(flat)
            for grad, summed in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
                grad.copy_(summed.view_as(grad))

    def sum_of(self, value: Tensor) -> Tensor:
        """The sum over all processes, without a gradient."""
        total = value.detach().clone()
        if self.world > 1:
            torch.distributed.all_reduce(total)
        return total

    def rows_of(self, value: Tensor) -> list[Tensor]:
        """Every process's tensor, in their order, without a gradient; the numbers of rows may differ."""
        if self.world == 1:
            return [value.detach()]
        lengths = [torch.zeros(1, dtype=torch.long, device=value.device) for _ in range(self.world)]
        torch.distributed.all_gather(lengths, torch.tensor([len(value)], device=value.device))
        counts = [int(length) for length in lengths]
        padded = value.new_zeros(max(counts), *value.shape[1:])
        padded[: len(value)] = value.detach()
        rows = [torch.zeros_like(padded) for _ in range(self.world)]
        torch.distributed.all_gather(rows, padded)
        return [part[:count] for part, count in zip(rows, counts, strict=True)]


class Whole:
    """What a loss reads of the whole step, of which it is given a part; gradients reach that part alone."""

    def __init__(self, among: Shared | None = None) -> None:
        self.among = among or Shared()

    def total(self, part: Tensor) -> Tensor:
        """A sum over all samples of the step, given the sum over those at hand."""
        return part + (self.among.sum_of(part) - part.detach()) if self.among.world > 1 else part

    def rows(self, part: Tensor) -> Tensor:
        """The rows (B, …) of all samples of the step, given those at hand."""
        if self.among.world == 1:
            return part
        parts = self.among.rows_of(part)
        return torch.cat([part if rank == self.among.rank else other for rank, other in enumerate(parts)])


ALONE = Whole()
"""One process that computes its whole batch at once."""


class Remembered(Whole):
    """The same for a batch that is computed in parts: a first round without gradient, then one part after another.

    Ask `note(part number)` before each part of the first round and `play(part number)` before each of the second.
    """

    def __init__(self, among: Shared | None = None) -> None:
        super().__init__(among)
        self._noted: list[list[tuple[str, Tensor]]] = []
        self._whole: list[Any] = []
        self._playing: int | None = None
        self._place = 0

    def note(self) -> None:
        """The next part of the first round begins."""
        self._noted.append([])

    def close(self) -> None:
        """The first round is over: every process adds up what it noted."""
        for asked in zip(*self._noted, strict=True):
            kind, values = asked[0][0], [value for _, value in asked]
            if kind == "total":
                self._whole.append(self.among.sum_of(torch.stack(values).sum(0)))
            else:
                others = self.among.rows_of(torch.cat(values))
                before, after = others[: self.among.rank], others[self.among.rank + 1 :]
                self._whole.append((before, values, after))

    def play(self, number: int) -> None:
        """Part `number` of the second round begins."""
        self._playing, self._place = number, 0

    def total(self, part: Tensor) -> Tensor:
        """See `Whole`."""
        if self._playing is None:
            self._noted[-1].append(("total", part.detach()))
            return part
        whole = self._next()
        assert isinstance(whole, Tensor)
        return part + (whole - part.detach())

    def rows(self, part: Tensor) -> Tensor:
        """See `Whole`."""
        if self._playing is None:
            self._noted[-1].append(("rows", part.detach()))
            return part
        before, own, after = self._next()
        here = [part if number == self._playing else other for number, other in enumerate(own)]
        return torch.cat([*before, *here, *after])

    def _next(self) -> Any:
        self._place += 1
        return self._whole[self._place - 1]


@contextmanager
def shared(count: int, device: str = "cpu", environ: Mapping[str, str] = os.environ) -> Iterator[Shared]:
    """This process among those that torchrun started (WORLD_SIZE, RANK, LOCAL_RANK).

    count: what is dealt out among them in each step. Raises BadConfig where that is too little for them all.
    """
    world, rank = int(environ.get("WORLD_SIZE", "1")), int(environ.get("RANK", "0"))
    if world > count:
        raise BadConfig(f"a batch of {count} cannot be shared by {world} processes: change one of them.")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BadConfig(f"device {device} was given, and no GPU is at hand: leave --device out to train on the CPU.")
    if device == "cuda" and world > 1:
        device = f"cuda:{environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    begun = world > 1 and not torch.distributed.is_initialized()
    if begun:
        kind = "nccl" if device.startswith("cuda") else "gloo"
        torch.distributed.init_process_group(kind, timeout=timedelta(hours=2))
    try:
        yield Shared(world, rank, device)
    finally:
        if begun and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
