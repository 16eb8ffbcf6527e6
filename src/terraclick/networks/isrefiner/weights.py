"""How RS-ISRefiner's published arrays are named."""

from __future__ import annotations

from terraclick.networks.isrefiner.config import ISREFINER, IsRefinerConfig
from terraclick.networks.isrefiner.network import IsRefiner
from terraclick.networks.simpleclick.weights import PYRAMID_RENAMES, VIT_RENAMES, VIT_UNUSED, head_steps
from terraclick.networks.weights import PublishedWeights, Renames

__all__ = ["WEIGHTS"]

ISREFINER_RENAMES: Renames = (
    (r"mask_token$", "token"),
    (r"gatefusion\.gate\.0", "gate.gate"),
    (
        r"click_refiner\.exact_image_feature\.Exact_Backbone\.(\d)\.offset_conv",
        r"refiner.extractor.blocks.\1.conv.offset",
    ),
    (
        r"click_refiner\.exact_image_feature\.Exact_Backbone\.(\d)\.(?:conv1|deform_conv)",
        r"refiner.extractor.blocks.\1.conv",
    ),
    (r"click_refiner\.exact_image_feature\.Exact_Backbone\.(\d)\.bn", r"refiner.extractor.blocks.\1.norm"),
    (
        r"click_refiner\.exact_image_feature\.Exact_Backbone\.(\d)\.se\.fc\.0",
        r"refiner.extractor.blocks.\1.excite.narrow",
    ),
    (
        r"click_refiner\.exact_image_feature\.Exact_Backbone\.(\d)\.se\.fc\.2",
        r"refiner.extractor.blocks.\1.excite.widen",
    ),
    (r"click_refiner\.exact_image_feature\.Exact_Backbone", "refiner.extractor.blocks"),
    (r"click_refiner\.exact_image_feature\.final_conv", "refiner.extractor.project"),
    (r"click_refiner\.dense_fusion_conv", "refiner.dense_fusion"),
    (r"click_refiner\.cross_feat\.cross_attn1", "refiner.fusion.early_attention"),
    (r"click_refiner\.cross_feat\.cross_attn2", "refiner.fusion.image_attention"),
    (r"click_refiner\.cross_feat\.norm1", "refiner.fusion.early_norm"),
    (r"click_refiner\.cross_feat\.norm2", "refiner.fusion.image_norm"),
    (r"click_refiner\.cross_feat\.up_path", "refiner.fusion.up"),
    (r"click_refiner\.cross_feat", "refiner.fusion"),
    (r"click_refiner\.decoder_layers\.(\d)\.token_to_image_attn", r"refiner.layers.\1.token_attention"),
    (r"click_refiner\.decoder_layers\.(\d)\.image_to_token_attn", r"refiner.layers.\1.feature_attention"),
    (r"click_refiner\.decoder_layers\.(\d)\.self_attn", r"refiner.layers.\1.self_attention"),
    (r"click_refiner\.decoder_layers\.(\d)\.mlp\.3", r"refiner.layers.\1.mlp.2"),
    (r"click_refiner\.decoder_layers\.(\d)\.norm1", r"refiner.layers.\1.norms.0"),
    (r"click_refiner\.decoder_layers\.(\d)\.norm2", r"refiner.layers.\1.norms.1"),
    (r"click_refiner\.decoder_layers\.(\d)\.norm3", r"refiner.layers.\1.norms.2"),
    (r"click_refiner\.decoder_layers\.(\d)\.norm4", r"refiner.layers.\1.norms.3"),
    (r"click_refiner\.decoder_layers", "refiner.layers"),
    (r"click_refiner\.final_token_decoder\.token_to_image_attn", "refiner.final_token.attention"),
    (r"click_refiner\.final_token_decoder\.mlp\.3", "refiner.final_token.mlp.2"),
    (r"click_refiner\.final_token_decoder", "refiner.final_token"),
    (r"click_refiner\.multi_scale_fusion\.convs\.(\d)\.conv", r"refiner.scale_fusion.narrow.\1"),
    (r"click_refiner\.multi_scale_fusion\.fusion_conv\.conv", "refiner.scale_fusion.mix"),
    (r"click_refiner\.transposed_conv\.t_conv1", "refiner.up.0"),
    (r"click_refiner\.transposed_conv\.t_conv2", "refiner.up.1"),
    (r"click_refiner\.prev_mask_downscaling\.downscale\.4", "refiner.mask_branch.mix"),
    (r"click_refiner\.prev_mask_downscaling\.downscale\.(\d)\.conv", r"refiner.mask_branch.down.\1.0"),
    (r"click_refiner\.dynamic_conv\.kernel_mlp", "refiner.dynamic.kernel"),
)

WEIGHTS = PublishedWeights(
    IsRefiner,
    IsRefinerConfig,
    ISREFINER,
    VIT_RENAMES + PYRAMID_RENAMES[:2] + ISREFINER_RENAMES,
    VIT_UNUSED,
    head_steps,
)
