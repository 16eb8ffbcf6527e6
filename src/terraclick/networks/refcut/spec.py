"""RefCut: Lin et al., 2025."""

from __future__ import annotations

from terraclick.networks.spec import FamilySpec, NetworkSpec

__all__ = ["SPEC"]

SPEC = FamilySpec(
    (NetworkSpec("refcut-b", "RefCut, ViT-B, reads references (Lin et al. 2025)"),),
    reads_references=True,
    builds_on="simpleclick",
    builds_on_at="base.",
)
