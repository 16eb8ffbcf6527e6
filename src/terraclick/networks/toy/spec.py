"""A toy: one convolution of picture, previous answer and clicks."""

from __future__ import annotations

from terraclick.networks.spec import FamilySpec, NetworkSpec

__all__ = ["SPEC"]

SPEC = FamilySpec((NetworkSpec("toy-s", "Toy, one convolution", side=64, options={"target": (64, 64)}),))
