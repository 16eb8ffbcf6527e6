"""BiCoR-Seg: class maps, whose networks name every pixel instead of answering clicks."""

from __future__ import annotations

from terraclick.networks.spec import FamilySpec, NetworkSpec

__all__ = ["SPEC"]

SPEC = FamilySpec(
    (
        NetworkSpec("bicor-loveda", "BiCoR-Seg on LoveDA, a class map", side=512, clicks=False),
        NetworkSpec("bicor-vaihingen", "BiCoR-Seg on ISPRS Vaihingen, a class map", side=512, clicks=False),
        NetworkSpec("bicor-potsdam", "BiCoR-Seg on ISPRS Potsdam, a class map", side=512, clicks=False),
    )
)
