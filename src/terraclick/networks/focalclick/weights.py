"""How FocalClick's published arrays are named."""

from __future__ import annotations

from terraclick.networks.focalclick.network import FOCALCLICK, FocalClick, FocalClickConfig
from terraclick.networks.weights import PublishedWeights

__all__ = ["WEIGHTS"]

_BACKBONE = r"feature_extractor\.backbone\."
_HEAD = r"feature_extractor\.decode_head\."

RENAMES = (
    (_BACKBONE + r"patch_embed_side1\.", "backbone.clicks."),
    (_BACKBONE + r"patch_embed(\d)\.", r"backbone.stage\1.embed."),
    (_BACKBONE + r"block(\d)\.(\d+)\.mlp\.dwconv\.dwconv\.", r"backbone.stage\1.blocks.\2.mlp.depthwise."),
    (_BACKBONE + r"block(\d)\.(\d+)\.attn\.sr\.", r"backbone.stage\1.blocks.\2.attn.reduce."),
    (_BACKBONE + r"block(\d)\.", r"backbone.stage\1.blocks."),
    (_BACKBONE + r"norm(\d)\.", r"backbone.stage\1.norm."),
    (_HEAD + r"linear_c(\d)\.proj\.", r"head.linear\1."),
    (_HEAD + r"linear_fuse\.conv\.", "head.fuse."),
    (_HEAD + r"linear_fuse\.bn\.", "head.norm."),
    (_HEAD + r"linear_pred\.", "head.logits."),
)
"""Published names of weights → ours (regular expressions at the start of a name)."""

UNUSED = (r"maps_transform\.", r"refiner\.feature_gate\.")
"""Published weights that the network never uses."""

WEIGHTS = PublishedWeights(FocalClick, FocalClickConfig, FOCALCLICK, RENAMES, UNUSED)
