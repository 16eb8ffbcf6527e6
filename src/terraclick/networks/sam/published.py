"""The SAM family's published files (`sam_vit_b_01ec64.pth`, `sam_hq_vit_l.pth`, `sam2.1_hiera_small.pt`): their arrays
under the names of `transformers`.

SAM 2's files also hold its video memory, which clicks on pictures never use; those arrays are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from terraclick.errors import BadWeights

__all__ = ["mobile_names", "transformers_names"]

Rules = tuple[tuple[str, str], ...]

MLP: Rules = (
    (r"\.layers\.0\.(?=\w+$)", ".proj_in."),
    (r"\.layers\.1\.(?=\w+$)", ".layers.0."),
    (r"\.layers\.2\.(?=\w+$)", ".proj_out."),
)
"""Three linear layers in a row."""

TWO_LAYERS: Rules = ((r"\.layers\.0\.(?=\w+$)", ".proj_in."), (r"\.layers\.1\.(?=\w+$)", ".proj_out."))

PROMPTS: Rules = (
    (
        r"prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$",
        "prompt_encoder.shared_embedding.positional_embedding",
    ),
    (r"prompt_encoder\.point_embeddings\.", "prompt_encoder.point_embed."),
    (r"prompt_encoder\.mask_downscaling\.0\.", "prompt_encoder.mask_embed.conv1."),
    (r"prompt_encoder\.mask_downscaling\.1\.", "prompt_encoder.mask_embed.layer_norm1."),
    (r"prompt_encoder\.mask_downscaling\.3\.", "prompt_encoder.mask_embed.conv2."),
    (r"prompt_encoder\.mask_downscaling\.4\.", "prompt_encoder.mask_embed.layer_norm2."),
    (r"prompt_encoder\.mask_downscaling\.6\.", "prompt_encoder.mask_embed.conv3."),
)
DECODER: Rules = (
    (r"mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
    (r"mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
    (r"mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
    (r"mask_decoder\.transformer\.norm_final_attn\.", "mask_decoder.transformer.layer_norm_final_attn."),
    (r"mask_decoder\.transformer\.layers\.(\d+)\.norm(\d)\.", r"mask_decoder.transformer.layers.\1.layer_norm\2."),
    # SAM-HQ
    (r"mask_decoder\.hf_token\.", "mask_decoder.hq_token."),
    (r"mask_decoder\.hf_mlp\.", "mask_decoder.hq_mask_mlp."),
    (r"mask_decoder\.compress_vit_feat\.0\.", "mask_decoder.compress_vit_conv1."),
    (r"mask_decoder\.compress_vit_feat\.1\.", "mask_decoder.compress_vit_norm."),
    (r"mask_decoder\.compress_vit_feat\.3\.", "mask_decoder.compress_vit_conv2."),
    (r"mask_decoder\.embedding_encoder\.0\.", "mask_decoder.encoder_conv1."),
    (r"mask_decoder\.embedding_encoder\.1\.", "mask_decoder.encoder_norm."),
    (r"mask_decoder\.embedding_encoder\.3\.", "mask_decoder.encoder_conv2."),
    (r"mask_decoder\.embedding_maskfeature\.0\.", "mask_decoder.mask_conv1."),
    (r"mask_decoder\.embedding_maskfeature\.1\.", "mask_decoder.mask_norm."),
    (r"mask_decoder\.embedding_maskfeature\.3\.", "mask_decoder.mask_conv2."),
)
VIT: Rules = (
    (r"image_encoder\.patch_embed\.proj\.", "vision_encoder.patch_embed.projection."),
    (r"image_encoder\.blocks\.(\d+)\.norm(\d)\.", r"vision_encoder.layers.\1.layer_norm\2."),
    (r"image_encoder\.blocks\.(\d+)\.", r"vision_encoder.layers.\1."),
    (r"image_encoder\.neck\.0\.", "vision_encoder.neck.conv1."),
    (r"image_encoder\.neck\.1\.", "vision_encoder.neck.layer_norm1."),
    (r"image_encoder\.neck\.2\.", "vision_encoder.neck.conv2."),
    (r"image_encoder\.neck\.3\.", "vision_encoder.neck.layer_norm2."),
    (r"image_encoder\.", "vision_encoder."),
)
HIERA: Rules = (
    (r"image_encoder\.trunk\.patch_embed\.proj\.", "vision_encoder.backbone.patch_embed.projection."),
    (r"image_encoder\.trunk\.blocks\.(\d+)\.norm(\d)\.", r"vision_encoder.backbone.blocks.\1.layer_norm\2."),
    (r"image_encoder\.trunk\.blocks\.(\d+)\.mlp\.layers\.0\.", r"vision_encoder.backbone.blocks.\1.mlp.proj_in."),
    (r"image_encoder\.trunk\.blocks\.(\d+)\.mlp\.layers\.1\.", r"vision_encoder.backbone.blocks.\1.mlp.proj_out."),
    (r"image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"image_encoder\.neck\.convs\.(\d)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"sam_prompt_encoder\.", "prompt_encoder."),
    (r"sam_mask_decoder\.", "mask_decoder."),
    (r"no_mem_embed$", "no_memory_embedding"),
)
VIDEO = re.compile(
    r"maskmem_tpos_enc|no_mem_pos_enc|no_obj_ptr|no_obj_embed_spatial|memory_attention\.|memory_encoder\.|"
    r"mask_downsample\.|obj_ptr_proj\.|obj_ptr_tpos_proj\."
)
"""Arrays of SAM 2's memory."""

LONG_HEADS = re.compile(
    r"mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head|hq_mask_mlp)\."
)


def _renamed(name: str, rules: Rules) -> str:
    for pattern, ours in rules:
        name, changed = re.subn(pattern, ours, name, count=1)
        if changed:
            break
    return name


def transformers_names(state: Mapping[str, Tensor], hiera: bool) -> dict[str, Tensor]:
    """A published state dict under the names of `transformers`' networks. Raises BadWeights where it is none of SAM's.

    hiera: whether it is SAM 2's. Names that are none of the family's stay as they are.
    """
    if not any(name.startswith("image_encoder.") for name in state):
        raise BadWeights("the file holds no image_encoder: give a published file of the SAM family.")
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if hiera and VIDEO.match(name):
            continue
        if hiera:
            name = _renamed(name, HIERA)
        else:
            name = _renamed(name, VIT)
        name = _renamed(_renamed(name, PROMPTS), DECODER)
        if LONG_HEADS.match(name):
            name = _renamed(name, MLP)
        elif hiera and re.match(r"mask_decoder\.transformer\.layers\.\d+\.mlp\.", name):
            name = _renamed(name, TWO_LAYERS)
        if hiera:
            name = re.sub(r"(mask_decoder\.transformer\..*attn.*)\.out_proj\.", r"\1.o_proj.", name)
            name = re.sub(r"(mask_decoder\.transformer\..*cross_attn_\w+)\.out_proj\.", r"\1.o_proj.", name)
        found[name] = value
    shared = found.get("prompt_encoder.shared_embedding.positional_embedding")
    if shared is not None:
        found["shared_image_embedding.positional_embedding"] = shared
    if hiera:
        kinds = [f"prompt_encoder.point_embed.{number}.weight" for number in range(4)]
        if all(kind in found for kind in kinds):
            found["prompt_encoder.point_embed.weight"] = torch.cat([found.pop(kind) for kind in kinds])
    return found


def mobile_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """MobileSAM's published state dict: the encoder by its own names, prompts and masks as `transformers` has them.

    The classifier that the encoder was trained with is left out. Raises BadWeights where it is none of SAM's.
    """
    own = "image_encoder."
    kept = {name: value for name, value in state.items() if not name.startswith((f"{own}head.", f"{own}norm_head."))}
    encoder = {f"vision_encoder.{name[len(own) :]}": value for name, value in kept.items() if name.startswith(own)}
    found = transformers_names(kept, False)
    others = {name: value for name, value in found.items() if not name.startswith(("vision_encoder.", own))}
    return {**encoder, **others}
