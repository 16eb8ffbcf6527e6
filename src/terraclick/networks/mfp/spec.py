"""MFP: Lee et al., CVPR 2024, https://arxiv.org/abs/2404.18448."""

from __future__ import annotations

from terraclick.networks.spec import FamilySpec, NetworkSpec

__all__ = ["SPEC"]

SPEC = FamilySpec(
    (NetworkSpec("mfp-b", "MFP, ViT-B: SimpleClick with modulated probabilities (Lee et al. 2024)"),),
    shows="modulation",
    builds_on="simpleclick",
)
