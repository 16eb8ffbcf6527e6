"""How CrossCut's published arrays are named."""

from __future__ import annotations

from terraclick.networks.crosscut.config import CROSSCUT, CrossCutConfig
from terraclick.networks.crosscut.network import CrossCut
from terraclick.networks.simpleclick.weights import PYRAMID_RENAMES, VIT_RENAMES, VIT_UNUSED, head_steps
from terraclick.networks.weights import PublishedWeights

__all__ = ["WEIGHTS"]

RENAMES = (*VIT_RENAMES, *PYRAMID_RENAMES, (r"mlp_pos\.", "prompt."))

WEIGHTS = PublishedWeights(CrossCut, CrossCutConfig, CROSSCUT, RENAMES, VIT_UNUSED, head_steps)
