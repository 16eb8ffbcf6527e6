"""How SegNext's published arrays are named."""

from __future__ import annotations

from terraclick.networks.segnext.network import SEGNEXT, SegNext, SegNextConfig
from terraclick.networks.weights import PublishedWeights

__all__ = ["WEIGHTS"]

RENAMES = (
    (r"visual_prompts_encoder\.proj\.", "embed_clicks."),
    (r"neck\.down_(4|8|16|32)\.", r"neck.stride\1."),
    (r"head\.convs\.(\d)\.", r"head.laterals.\1."),
    (r"head\.fusion_conv\.", "head.fuse."),
    (r"head\.seg_conv\.", "head.logits."),
)
"""Published names of weights → ours (regular expressions at the start of a name)."""

UNUSED = (r"backbone\.fc_norm\.",)
"""Published weights that the network never uses."""

WEIGHTS = PublishedWeights(SegNext, SegNextConfig, SEGNEXT, RENAMES, UNUSED)
