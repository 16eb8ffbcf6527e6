"""How MFP's published arrays are named."""

from __future__ import annotations

from terraclick.networks.mfp.network import MFP, Mfp, MfpConfig
from terraclick.networks.simpleclick.weights import PYRAMID_RENAMES, VIT_RENAMES, VIT_UNUSED, head_steps
from terraclick.networks.weights import PublishedWeights

__all__ = ["WEIGHTS"]

RENAMES = (
    *VIT_RENAMES,
    *PYRAMID_RENAMES,
    (r"head\.conv_prevMod\.", "head.maps."),
    (r"head\.refine_fusion\.", "head.refine."),
)

WEIGHTS = PublishedWeights(Mfp, MfpConfig, MFP, RENAMES, VIT_UNUSED, head_steps)
