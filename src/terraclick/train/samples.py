"""What a run learns from, made beside it: worker processes that are some values ahead, in the order of their keys.

A value depends on its key alone, so the number of workers changes nothing but the time. Each worker keeps the tiles
that it decoded last, within its share of a bound.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterable
from typing import Any, Protocol, TypeVar

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

__all__ = ["Tiles", "made_ahead"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Sized(Protocol):
    """What tells how much memory it holds."""

    @property
    def nbytes(self) -> int:
        """In bytes."""


Tile = TypeVar("Tile", bound=Sized)


class Tiles:
    """Decoded tiles by their keys, of which the latest that fit in about `keep_mb` stay in memory."""

    def __init__(self, keep_mb: int) -> None:
        self.bound, self.held = keep_mb << 20, 0
        self._kept: OrderedDict[Any, Any] = OrderedDict()

    def get(self, key: Hashable, decode: Callable[[], Tile]) -> Tile:
        """The tile of a key, decoded where it is not in memory."""
        if key not in self._kept:
            self._kept[key] = decode()
            self.held += self._kept[key].nbytes
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and self.held > self.bound:
            self.held -= self._kept.popitem(last=False)[1].nbytes
        tile: Tile = self._kept[key]
        return tile


def made_ahead(
    make: Callable[[Key], Value], batches: Iterable[list[Key]], workers: int = 0, ahead: int = 2
) -> Generator[list[Value], None, None]:
    """The values of one list of keys after the other; with workers, each works on `ahead` lists in advance.

    `make` is pickled for the workers, which are processes begun anew; without workers it runs here, when it is asked.
    """
    if not workers:
        yield from ([make(key) for key in keys] for keys in batches)
        return
    loader: DataLoader[Any] = DataLoader(
        _Made(make),
        batch_sampler=batches,
        num_workers=workers,
        prefetch_factor=ahead,
        collate_fn=_as_they_are,
        worker_init_fn=_alone,
        multiprocessing_context="spawn",
        generator=torch.Generator(),
    )
    yield from loader


class _Made(Dataset[Any]):
    """Values by their keys."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.make = make

    def __getitem__(self, key: Any) -> Any:
        return self.make(key)


def _as_they_are(values: list[Any]) -> list[Any]:
    return values


def _alone(_: int) -> None:
    """A worker decodes with one thread: the others are busy training."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
