"""How BiCoR-Seg's published arrays are named, in both files of its repository."""

from __future__ import annotations

from collections.abc import Iterator

from terraclick.blocks.convnext import RENAMES as CONVNEXT_RENAMES
from terraclick.networks.bicor.network import PUBLISHED, BicorNetwork, build_published
from terraclick.networks.weights import PublishedWeights

__all__ = ["DECODER_RENAMES", "WEIGHTS"]

DECODER_RENAMES = (
    (r"proj_layers\.(\d)\.proj", r"aggregate.project.\1"),
    (r"feature_aggregator", "aggregate.fuse"),
    (r"decoder\.class_dict\.class_embed\.weight$", "embeddings"),
    (r"decoder\.bicor_stack\.layers\.(\d)\.dict_to_feat", r"layers.\1.query"),
    (r"decoder\.bicor_stack\.layers\.(\d)\.feat_to_dict", r"layers.\1.value"),
    (r"decoder\.bicor_stack\.layers\.(\d)\.gate_mlp", r"layers.\1.gate"),
    (r"decoder\.bicor_stack\.layers\.(\d)\.cand_mlp", r"layers.\1.candidate"),
    (r"decoder\.bicor_stack\.layers\.(\d)\.gamma_proj", r"layers.\1.gain"),
    (r"decoder\.bicor_stack\.layers\.(\d)\.beta_proj", r"layers.\1.shift"),
    (r"decoder\.bicor_stack\.layers\.(\d)\.feat_ln", r"layers.\1.feature_norm"),
    (r"decoder\.bicor_stack\.layers\.(\d)\.dict_ln", r"layers.\1.class_norm"),
    (r"decoder\.upsampler\.1", "head.norm"),
    (r"decoder\.classifier_proj", "head.classify"),
    (r"decoder\.static_classifier", "head.auxiliary"),
)
"""Names of the published decoder → ours."""

_EARLIER = {  # the same parts in the repository's other file, `bicor_seg.py`
    r"decoder\.class_dict": r"decoder\.dict_init",
    r"decoder\.bicor_stack": r"decoder\.interactor_stack",
    r"proj_layers": "linear_c",
    r"feature_aggregator": "aggregator",
}


def _both_files() -> Iterator[tuple[str, str]]:
    for pattern, ours in DECODER_RENAMES:
        yield pattern, f"decoder.{ours}"
        for later, earlier in _EARLIER.items():
            if pattern.startswith(later):
                yield earlier + pattern.removeprefix(later), f"decoder.{ours}"
    for pattern, ours in CONVNEXT_RENAMES:
        if pattern.startswith("features"):  # torchvision's, as the first of two in a row
            yield r"(?:encoder|backbone)\.0" + pattern.removeprefix("features"), f"encoder.net.{ours}"


RENAMES = tuple(_both_files())
"""Names of a published checkpoint, of either file of the repository → ours; each begins a name."""

UNUSED = (r"loss\.", r"metrics_(?:train|val)\.", r"decoder\.upsampler\.[0234]\.")
"""What Lightning keeps beside the network."""

WEIGHTS = PublishedWeights(build_published, BicorNetwork, PUBLISHED, RENAMES, UNUSED)
