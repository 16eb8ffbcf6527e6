"""How pictures come into splits: by a list, or by shares and a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from terraclick.errors import BadData

__all__ = ["by_lists", "by_shares", "read_list"]


def by_shares(names: Sequence[str], shares: Mapping[str, int], seed: int) -> dict[str, str]:
    """Name → split: the names in order, shuffled by the seed, dealt in the ratio of the shares.

    For as many names as the shares sum up to, each split gets exactly its share. Every split but the last is rounded.
    """
    order = np.random.default_rng(seed).permutation(len(names))
    ordered = sorted(names)
    total, start, given, dealt = sum(shares.values()), 0, 0, {}
    for split, share in shares.items():
        given += share
        stop = round(len(names) * given / total)
        dealt.update({ordered[index]: split for index in order[start:stop]})
        start = stop
    return dealt


def by_lists(names: Sequence[str], lists: Mapping[str, Sequence[str]], what: str) -> dict[str, str]:
    """Name → split by published lists; names on no list are left out. Raises BadData where a listed one is missing."""
    held = set(names)
    missing = [name for listed in lists.values() for name in listed if name not in held]
    if missing:
        raise BadData(f"{what} lacks {len(missing)} listed pictures ({missing[0]}, …): download them again.")
    return {name: split for split, listed in lists.items() for name in listed}


def read_list(path: Path) -> list[str]:
    """The first word of every line, without folders and ending. Raises BadData."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path} cannot be read as a list of pictures: {error}.") from error
    return [Path(line.split()[0]).stem for line in lines if line.split()]
