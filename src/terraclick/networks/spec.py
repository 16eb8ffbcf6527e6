"""What is declared of a paper's networks, without torch: the file `spec.py` of each folder holds one `SPEC`.

Everything that lists networks reads these: `load`, `terraclick models`, `cost`, `convert`, `export`, `train`, the
reference of the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PAPER_LICENCE", "FamilySpec", "NetworkSpec"]

PAPER_LICENCE = "weights: not shipped, under their authors' terms; network: Apache-2.0, written from the paper"


@dataclass(frozen=True)
class NetworkSpec:
    """One size or variant of a paper's networks."""

    name: str
    """As in `load` and `--model`."""
    summary: str
    """One line for people."""
    side: int = 448
    """Side in pixels of the square that it reads as published: it is exported and measured so."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Keyword options of the family's `adapter.build` in which it differs from the family's others."""
    clicks: bool = True
    """Whether `load` knows it; False for sizes that only `convert` and `export` know."""


@dataclass(frozen=True)
class FamilySpec:
    """A paper's networks. The folder's name is the family's name."""

    networks: tuple[NetworkSpec, ...]
    """Its sizes and variants."""
    licence: str = PAPER_LICENCE
    """Of weights and network, one line for people."""
    weights_licence: str = "under their authors' terms: read them where the file came from"
    """Of the published weights, one line for people."""
    reads_references: bool = False
    """Whether references change an answer."""
    reads_box: bool = False
    """Whether it reads a box around the thing; others are told a box by clicks."""
    shows: str = ""
    """What figures draw of its inside: prompts, modulation, or nothing."""
    builds_on: str | None = None
    """The family whose weights training may start from."""
    builds_on_at: str = ""
    """What stands before the names of that family's arrays within this one's."""
    extra: str = "torch"
    """The optional dependencies of the package that it needs."""
    weights: str = "a published checkpoint or a converted one"
    """What `--weights` takes, in words."""
