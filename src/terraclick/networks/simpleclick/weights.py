"""How SimpleClick's published arrays are named; the families that build on it share most of the names."""

from __future__ import annotations

from typing import Any

from terraclick.networks.simpleclick.network import SIMPLECLICK, SimpleClick, SimpleClickConfig
from terraclick.networks.weights import PublishedWeights, Renames

__all__ = ["PYRAMID_RENAMES", "VIT_RENAMES", "VIT_UNUSED", "WEIGHTS", "head_steps"]

VIT_RENAMES: Renames = ((r"backbone\.(patch_embed|pos_embed|blocks)", r"backbone.\1"),)
PYRAMID_RENAMES: Renames = (
    (r"patch_embed_coords\.proj", "embed_clicks"),
    (r"neck\.down_(4|8|16|32)\.", r"neck.stride\1."),
    (r"head\.convs\.(\d)\.", r"head.laterals.\1."),
    (r"head\.fusion_conv\.", "head.fuse."),
    (r"head\.conv_seg\.", "head.logits."),
)
VIT_UNUSED = (r"backbone\.cls_token$", r"backbone\.fc_norm\.", r"backbone\.norm\.", r"backbone\.head\.")


def head_steps(config: Any) -> tuple[Renames, tuple[str, ...]]:
    """The head's finer steps are always published; each is used only where the head upsamples so far.

    config is a SimpleClick's, or holds one as `base`.
    """
    upsample = getattr(getattr(config, "base", config), "upsample", 1)
    steps = {1: 0, 2: 1, 4: 2}[upsample]
    used = tuple((rf"head\.up_conv{k + 1}\.", f"head.up.{k}.") for k in range(steps))
    return used, tuple(rf"head\.up_conv{k + 1}\." for k in range(steps, 2))


WEIGHTS = PublishedWeights(
    SimpleClick, SimpleClickConfig, SIMPLECLICK, VIT_RENAMES + PYRAMID_RENAMES, VIT_UNUSED, head_steps
)
