"""Toy: the layout of Inria under another name."""

from __future__ import annotations

from terraclick.datasets.declaration import Declaration, Settings
from terraclick.datasets.inria import LAYOUT, read, scan

__all__ = ["DECLARATIONS"]

DECLARATIONS = (
    Declaration(
        name="toy",
        title="Toy: buildings as Inria labels them",
        source="made for a test",
        layout=LAYOUT,
        scan=scan,
        read=read,
        protocols={"toy": Settings()},
        classes={0: "background", 1: "building"},
        gsd="0.3 m",
    ),
)
