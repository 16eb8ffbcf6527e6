"""How RefCut's arrays are named in a checkpoint of its authors."""

from __future__ import annotations

from terraclick.networks.refcut.network import REFCUT, RefCut, RefCutConfig
from terraclick.networks.simpleclick.weights import PYRAMID_RENAMES, VIT_RENAMES, VIT_UNUSED, head_steps
from terraclick.networks.weights import PublishedWeights, Renames

__all__ = ["WEIGHTS"]

REFCUT_RENAMES: Renames = (
    (r"mlp_pos\.0", "positive.inner"),
    (r"mlp_pos\.2", "positive.outer"),
    (r"mlp_neg\.0", "negative.inner"),
    (r"mlp_neg\.2", "negative.outer"),
)
"""RefCut's authors published no weights; the prompts are named as CrossCut's, the rest as SimpleClick's."""

BELOW = tuple((pattern, f"base.{ours}") for pattern, ours in VIT_RENAMES + PYRAMID_RENAMES)
"""The network below its prompts is a SimpleClick, kept as `base`."""

WEIGHTS = PublishedWeights(RefCut, RefCutConfig, REFCUT, REFCUT_RENAMES + BELOW, VIT_UNUSED, head_steps)
