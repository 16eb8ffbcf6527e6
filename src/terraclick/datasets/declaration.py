"""What a dataset is: where its files lie as published, how its labels are read, how the papers prepare it.

A file of this package declares one dataset (or one family with the same layout). Help texts, the table of the docs
and the tests are derived from the declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.errors import BadConfig

__all__ = ["WHOLE", "Declaration", "Labelling", "Scan", "Scene", "Settings"]

WHOLE = 0
"""Crop of whole pictures."""

Numbers = NDArray[np.uint16]


@dataclass(frozen=True)
class Settings:
    """How a dataset is prepared; a paper's protocol is one of these."""

    crop: int = WHOLE
    """Side of the crops in pixels; `WHOLE` keeps pictures as they are."""
    overlap: int = 0
    """Pixels that neighbouring crops share."""
    bands: str = ""
    """A band set that the dataset offers; empty for its first, or for all bands of its files."""
    parts: tuple[str, ...] = ()
    """Parts of the dataset, such as Urban; empty for all."""
    classes: tuple[str, ...] = ()
    """Classes whose objects are asked for; empty for all that are no background."""
    min_area: int = 1
    """Smallest object in pixels of the crop."""
    keep_empty: bool = False
    """Whether crops without an object are kept."""
    deal: str = ""
    """How pictures come into splits, by a name of the declaration's `deals`; empty for its first."""
    seed: int = 0
    """Seed of a deal by chance."""

    def __post_init__(self) -> None:
        if self.crop < 0 or self.overlap < 0 or (self.crop and self.overlap >= self.crop):
            raise BadConfig(f"crops of {self.crop} px with an overlap of {self.overlap} were asked: give less overlap.")
        if self.min_area < 1:
            raise BadConfig(f"a smallest object of {self.min_area} px was asked: give at least 1.")


@dataclass(frozen=True)
class Scene:
    """One picture of the source: its name (unique, fit for files), the split it comes in, and the files to read.

    `labels` are the label files, `note` whatever else the dataset's `read` needs (plain values); the name of a file
    that no label file is needed for may be missing. `gsd` in metres, None if unknown.
    """

    name: str
    split: str
    image: Path
    labels: tuple[Path, ...] = ()
    note: tuple[Any, ...] = ()
    gsd: float | None = None
    bands: tuple[int, ...] = ()
    """Bands of the file to keep, from 1 and in this order; empty for all."""


@dataclass(frozen=True, eq=False)
class Labelling:
    """Labels of a whole picture: planes of (classes (H, W) uint16, instances (H, W) or None).

    65535 in classes counts nowhere. None: instances are the connected parts of each class, found in each crop.
    Instances are numbered over all planes, 0 = none; `parts_of` says of which instance one is a part.
    """

    planes: tuple[tuple[Numbers, NDArray[np.int32] | None], ...]
    parts_of: Mapping[int, int] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        rows, cols = self.planes[0][0].shape
        return rows, cols


@dataclass(frozen=True)
class Scan:
    """What was found in a source: its scenes in a fixed order, and its classes where the declaration has none."""

    scenes: tuple[Scene, ...]
    classes: Mapping[int, str] | None = None
    notes: tuple[str, ...] = ()
    """What the user should know of it: sentences such as what was left out."""


@dataclass(frozen=True)
class Declaration:
    """One dataset: everything that help, docs, tests and the preparation need to know of it."""

    name: str
    title: str
    source: str
    """Where it is published, and its terms, in words."""
    layout: str
    """The folders and files as published, one sentence; errors quote it."""
    scan: Callable[[Path, Settings], Scan]
    """Lists the scenes of a source without reading pixels. Raises BadData naming what is missing."""
    read: Callable[[Scene], Labelling]
    """Reads the labels of one scene. A function of a module, so that other processes can call it."""
    protocols: Mapping[str, Settings]
    """Settings of the papers by their preset's name; the first is the default."""
    classes: Mapping[int, str] = field(default_factory=dict)
    """Class names by number; empty where the source's files name them."""
    true_instances: bool = False
    """Whether objects are labelled one by one (else they are connected parts of their class)."""
    gsd: str = ""
    """Ground resolution in words."""
    bands: Mapping[str, str] = field(default_factory=dict)
    """Band sets on offer: name → what it is."""
    parts: tuple[str, ...] = ()
    """Parts on offer."""
    deals: Mapping[str, str] = field(default_factory=dict)
    """Ways of dealing pictures into splits: name → what it is."""
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(protocol, "SPLIT pictures" or "SPLIT objects") → the number a paper prints."""
    drawn: Mapping[str, int] = field(default_factory=dict)
    """Protocol → how many tasks its table draws from the test split."""
    remarks: str = ""
    """What the papers leave open, and what is done instead."""

    def settings(self, protocol: str | None) -> Settings:
        """The settings of a protocol, or the default's. Raises BadConfig with the list."""
        if protocol is None:
            return next(iter(self.protocols.values()))
        if protocol not in self.protocols:
            known = ", ".join(self.protocols)
            raise BadConfig(f"{self.name} has no protocol {protocol!r}: give one of {known}, or leave it out.")
        return self.protocols[protocol]

    def check(self, settings: Settings) -> None:
        """Raises BadConfig where settings name a band set, part or deal that the dataset does not offer."""
        for what, chosen, known in (
            ("band set", (settings.bands,) if settings.bands else (), tuple(self.bands)),
            ("part", settings.parts, self.parts),
            ("deal", (settings.deal,) if settings.deal else (), tuple(self.deals)),
        ):
            for name in chosen:
                if name not in known:
                    offered = f"give one of {', '.join(known)}" if known else f"it offers none, leave the {what} out"
                    raise BadConfig(f"{self.name} has no {what} {name!r}: {offered}.")
