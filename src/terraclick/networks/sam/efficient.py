"""EfficientSAM: a plain ViT that learnt SAM's features, and a mask decoder without mask prompts.

Xiong et al., EfficientSAM: Leveraged Masked Image Pretraining for Efficient Segment Anything, CVPR 2024. The view is
stretched to 1024 × 1024. Facts of the published code that matter here: an answer is always the best of three masks; an
excluding click has a position and no embedding of its own; at most six points are read. The published code reads the
first six, here the latest six count, so that corrections are seen. Names are the published file's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.vit import Block, PatchEmbed, ViTConfig, resize_positions
from terraclick.networks.sam.tiny_vit import MapNorm

__all__ = ["EfficientSam", "EfficientSamConfig"]

POINTS = 6
"""Points that the mask decoder reads; missing ones are marked as such."""


@dataclass(frozen=True)
class EfficientSamConfig:
    """Sizes of an EfficientSAM."""

    dim: int = 192
    """Channels of the ViT."""
    heads: int = 3
    """Its attention heads."""
    depth: int = 12
    """Its blocks."""
    side: int = 1024
    """Side of the input square."""
    out: int = 256
    """Channels of the mask decoder."""
    mlp: int = 2048
    """Width of its perceptrons."""
    upscaled: tuple[int, int] = (64, 32)
    """Channels of its two enlargements."""


class Encoder(nn.Module):
    """The ViT and its neck."""

    def __init__(self, config: EfficientSamConfig) -> None:
        super().__init__()
        vit = ViTConfig(16, config.dim, config.depth, config.heads, (14, 14))
        self.grid = vit.grid
        self.patch_embed = PatchEmbed(vit)
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + 14 * 14, config.dim))
        self.blocks = nn.ModuleList(Block(vit) for _ in range(config.depth))
        out = config.out
        self.neck = nn.Sequential(
            nn.Conv2d(config.dim, out, 1, bias=False),
            MapNorm(out),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            MapNorm(out),
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) normalised → (B, out, S / 16, S / 16)."""
        x = self.patch_embed(image)
        rows, cols = x.shape[-2:]
        tokens = x.flatten(2).transpose(1, 2) + resize_positions(self.pos_embed, self.grid, (rows, cols))[:, 1:]
        for block in self.blocks:
            tokens = block(tokens)
        return self.neck(tokens.transpose(1, 2).reshape(len(x), -1, rows, cols))


class Frequencies(nn.Module):
    """Positions (…, 2) in 0…1 as sines and cosines of random frequencies."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, dim // 2))

    def forward(self, places: Tensor) -> Tensor:
        """(…, 2) x, y → (…, C)."""
        angles = 2 * math.pi * ((2 * places - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class Prompts(nn.Module):
    """Points and their kinds to tokens."""

    def __init__(self, config: EfficientSamConfig) -> None:
        super().__init__()
        self.side = config.side
        self.pe_layer = Frequencies(config.out)
        self.invalid_points = nn.Embedding(1, config.out)
        self.point_embeddings = nn.Embedding(1, config.out)
        self.bbox_top_left_embeddings = nn.Embedding(1, config.out)
        self.bbox_bottom_right_embeddings = nn.Embedding(1, config.out)

    def forward(self, points: Tensor, labels: Tensor) -> Tensor:
        """points (B, P, 2) x, y, labels (B, P): 1 including, 0 excluding, 2 and 3 a box's corners, −1 none."""
        tokens = self.pe_layer((points + 0.5) / self.side)
        kinds = {
            -1: self.invalid_points,
            1: self.point_embeddings,
            2: self.bbox_top_left_embeddings,
            3: self.bbox_bottom_right_embeddings,
        }
        for kind, embedding in kinds.items():
            tokens = tokens + (labels == kind)[..., None] * embedding.weight
        return tokens

    def grid(self, rows: int, cols: int) -> Tensor:
        """The positions of a map's cells (rows · cols, C)."""
        device = self.invalid_points.weight.device
        y, x = ((torch.arange(length, device=device, dtype=torch.float32) + 0.5) / length for length in (rows, cols))
        places = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1)
        return self.pe_layer(places.flatten(0, 1))


class CrossAttention(nn.Module):
    """Attention from one row of tokens to another, perhaps in fewer channels."""

    def __init__(self, dim: int, inner: int, heads: int = 8) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(dim, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(B, N, C), (B, M, C), (B, M, C) → (B, N, C)."""
        parts = ((q, self.q_proj), (k, self.k_proj), (v, self.v_proj))
        heads = [proj(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for x, proj in parts]
        return self.out_proj(functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Linear layers with GELU between them."""

    def __init__(self, dim: int, inner: int, out: int, layers: int) -> None:
        super().__init__()
        widths = [dim, *[inner] * layers]
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(a, b), nn.GELU()) for a, b in pairwise(widths))
        self.fc = nn.Linear(inner, out)

    def forward(self, x: Tensor) -> Tensor:
        """(…, C) → (…, D)."""
        for layer in self.layers:
            x = layer(x)
        return self.fc(x)


class TwoWayBlock(nn.Module):
    """Tokens look at each other and at the map, then the map looks at the tokens."""

    def __init__(self, config: EfficientSamConfig, first: bool) -> None:
        super().__init__()
        dim, self.first = config.out, first
        self.self_attn = CrossAttention(dim, dim)
        self.cross_attn_token_to_image = CrossAttention(dim, dim // 2)
        self.cross_attn_image_to_token = CrossAttention(dim, dim // 2)
        self.mlp = Mlp(dim, config.mlp, dim, 1)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(dim) for _ in range(4))

    def forward(self, tokens: Tensor, image: Tensor, asked: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """tokens (B, N, C), image (B, M, C); asked and places are what is added where positions count."""
        own = tokens if self.first else tokens + asked
        tokens = self.norm1(own + self.self_attn(own, own, own))
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + asked, image + places, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        seen = self.cross_attn_image_to_token(image + places, tokens + asked, tokens)
        return tokens, self.norm4(image + seen)


class TwoWay(nn.Module):
    """Two such blocks and a last look."""

    def __init__(self, config: EfficientSamConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(config, number == 0) for number in range(2))
        self.final_attn_token_to_image = CrossAttention(config.out, config.out // 2)
        self.norm_final_attn = nn.LayerNorm(config.out)

    def forward(self, asked: Tensor, image: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, C), (B, M, C), (M, C) → tokens and map."""
        tokens = asked
        for layer in self.layers:
            tokens, image = layer(tokens, image, asked, places)
        tokens = tokens + self.final_attn_token_to_image(tokens + asked, image + places, image)
        return self.norm_final_attn(tokens), image


class MaskDecoder(nn.Module):
    """Tokens and features to masks and their predicted IoU; the first of the four masks is never asked for."""

    def __init__(self, config: EfficientSamConfig) -> None:
        super().__init__()
        dim, (wide, narrow) = config.out, config.upscaled
        self.transformer = TwoWay(config)
        self.iou_token, self.mask_tokens = nn.Embedding(1, dim), nn.Embedding(4, dim)
        self.final_output_upscaling_layers = nn.ModuleList(
            [
                nn.Sequential(nn.ConvTranspose2d(dim, wide, 2, 2), nn.GroupNorm(1, wide), nn.GELU()),
                nn.Sequential(nn.ConvTranspose2d(wide, narrow, 2, 2), nn.Identity(), nn.GELU()),
            ]
        )
        self.output_hypernetworks_mlps = nn.ModuleList(Mlp(dim, dim, narrow, 2) for _ in range(4))
        self.iou_prediction_head = Mlp(dim, 256, 4, 2)

    def forward(self, features: Tensor, places: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """features (B, C, h, w), prompts (B, P, C) → logits (B, 3, 4h, 4w), IoU (B, 3)."""
        batch, dim, rows, cols = features.shape
        fixed = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        asked = torch.cat([fixed[None].expand(batch, -1, -1), prompts], dim=1)
        tokens, image = self.transformer(asked, features.flatten(2).transpose(1, 2), places)
        fine = image.transpose(1, 2).reshape(batch, dim, rows, cols)
        for layer in self.final_output_upscaling_layers:
            fine = layer(fine)
        weights = [mlp(tokens[:, 1 + number]) for number, mlp in enumerate(self.output_hypernetworks_mlps)]
        masks = torch.einsum("bmc,bchw->bmhw", torch.stack(weights, dim=1), fine)
        return masks[:, 1:], self.iou_prediction_head(tokens[:, 0])[:, 1:]


class EfficientSam(nn.Module):
    """The whole network, asked as those of `transformers` are."""

    def __init__(self, config: EfficientSamConfig) -> None:
        super().__init__()
        self.sizes = config
        self.config = SimpleNamespace(prompt_encoder_config=SimpleNamespace(image_size=config.side))
        self.image_encoder = Encoder(config)
        self.prompt_encoder = Prompts(config)
        self.mask_decoder = MaskDecoder(config)

    def get_image_embeddings(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) normalised → (B, C, S / 16, S / 16)."""
        return self.image_encoder(image)

    def forward(
        self,
        image_embeddings: Tensor,
        input_points: Tensor,
        input_labels: Tensor,
        input_masks: Tensor | None = None,
        multimask_output: bool = True,
    ) -> Any:
        """points (1, 1, P, 2), labels (1, 1, P) → `pred_masks` (1, 1, 3, h, w), `iou_scores` (1, 1, 3).

        There is no mask prompt, and never one mask alone: the last two arguments change nothing.
        """
        points, labels = input_points[:, 0, -POINTS:], input_labels[:, 0, -POINTS:]
        none = points.new_full((len(points), POINTS, 2), -1.0)
        points = torch.cat([points, none], dim=1)[:, :POINTS]
        labels = torch.cat([labels, labels.new_full((len(labels), POINTS), -1)], dim=1)[:, :POINTS]
        places = self.prompt_encoder.grid(*image_embeddings.shape[-2:])
        masks, scores = self.mask_decoder(image_embeddings, places, self.prompt_encoder(points, labels))
        return SimpleNamespace(pred_masks=masks[:, None], iou_scores=scores[:, None])
