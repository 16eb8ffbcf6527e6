"""SimpleClick: Liu et al., ICCV 2023, https://arxiv.org/abs/2210.11006."""

from __future__ import annotations

from terraclick.networks.spec import FamilySpec, NetworkSpec

__all__ = ["SPEC"]

SPEC = FamilySpec(
    (
        NetworkSpec("simpleclick-xt", "SimpleClick, tiny ViT (Liu et al. 2023)"),
        NetworkSpec("simpleclick-b", "SimpleClick, ViT-B (Liu et al. 2023)"),
        NetworkSpec("simpleclick-l", "SimpleClick, ViT-L (Liu et al. 2023)"),
        NetworkSpec("simpleclick-h", "SimpleClick, ViT-H (Liu et al. 2023)"),
    )
)
