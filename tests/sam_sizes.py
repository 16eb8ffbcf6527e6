"""Tiny networks of the SAM family."""

import transformers

from terraclick.networks.sam.efficient import EfficientSamConfig
from terraclick.networks.sam.tiny_vit import MobileSamConfig, TinyVitConfig

KINDS = ("sam-vit-b", "sam-hq-vit-b", "sam2-hiera-tiny")
SIDE = 128


def parts(vision, prompts, decoder):
    return {"vision_config": vision, "prompt_encoder_config": prompts, "mask_decoder_config": decoder}


def tiny(name):
    """A config of the same make, at 128 pixels and a few channels."""
    decoder = {"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
    prompts = {"hidden_size": 16, "image_size": SIDE, "patch_size": 16, "mask_input_channels": 16}
    vision = {"image_size": SIDE, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision |= {"output_channels": 16, "global_attn_indexes": [1], "window_size": 4, "num_pos_feats": 8, "mlp_dim": 64}
    if name.startswith("efficient"):
        return EfficientSamConfig(dim=32, heads=2, depth=2, side=SIDE, out=16, mlp=32, upscaled=(8, 4))
    if name.startswith(("sam-vit", "mobile")):
        prompts["image_embedding_size"] = SIDE // 16
        config = transformers.SamConfig(**parts(vision, prompts, decoder))
        encoder = TinyVitConfig((8, 16, 24, 32), (1, 1, 2, 1), (1, 2, 2, 2), (7, 7, 14, 7), 16)
        return MobileSamConfig(config, encoder) if name == "mobile-sam" else config
    if name.startswith("sam-hq"):
        prompts["image_embedding_size"] = SIDE // 16
        return transformers.SamHQConfig(**parts(vision, prompts, {**decoder, "vit_dim": 32}))
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [SIDE, SIDE],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "blocks_per_stage": [1, 1, 2, 1],
        "global_attention_blocks": [3],
        "window_size_per_stage": [4, 4, 4, 4],
    }
    sizes = [[SIDE // s, SIDE // s] for s in (4, 8, 16)]
    vision = {"model_type": "sam2_vision_model", "backbone_config": backbone, "backbone_feature_sizes": sizes}
    vision |= {"backbone_channel_list": [64, 32, 16, 8], "fpn_hidden_size": 16}
    return transformers.Sam2Config(**parts(vision, prompts, decoder))
