"""RS-ISRefiner: Wang and Liu, 2025."""

from __future__ import annotations

from terraclick.networks.spec import FamilySpec, NetworkSpec

__all__ = ["SPEC"]

SPEC = FamilySpec(
    (
        NetworkSpec("isrefiner-b", "RS-ISRefiner as its paper draws it"),
        NetworkSpec("isrefiner-b-parity", "RS-ISRefiner as its code computes it", options={"parity": True}),
    ),
    shows="modulation",
    builds_on="mfp",
)
