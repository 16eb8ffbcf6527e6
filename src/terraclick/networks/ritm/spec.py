"""RITM: Sofiiuk et al., 2021, https://arxiv.org/abs/2102.06583."""

from __future__ import annotations

from terraclick.networks.spec import FamilySpec, NetworkSpec

__all__ = ["SPEC"]

SPEC = FamilySpec(
    (
        NetworkSpec("ritm-hrnet18", "RITM, HRNet-18 (Sofiiuk et al. 2021)", side=400),
        NetworkSpec("ritm-hrnet32", "RITM, HRNet-32 (Sofiiuk et al. 2021)", side=400),
    )
)
