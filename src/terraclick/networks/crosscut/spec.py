"""CrossCut (2026): one click for many patches."""

from __future__ import annotations

from terraclick.networks.spec import FamilySpec, NetworkSpec

__all__ = ["SPEC"]

SPEC = FamilySpec(
    (
        NetworkSpec("crosscut-b", "CrossCut, ViT-B: one click for many patches (2026)", side=896),
        NetworkSpec("crosscut-l", "CrossCut, ViT-L: no weights were published", side=896, clicks=False),
    ),
    shows="prompts",
    builds_on="simpleclick",
)
