"""SegNext: Liu et al., CVPR 2024."""

from __future__ import annotations

from terraclick.networks.spec import FamilySpec, NetworkSpec

__all__ = ["SPEC"]

SPEC = FamilySpec((NetworkSpec("segnext-b", "SegNext, ViT-B at 1024 px (Liu et al. 2024)", side=1024),))
