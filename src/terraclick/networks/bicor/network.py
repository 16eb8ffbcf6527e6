"""BiCoR-Seg (Shi & Song 2025): class maps from class embeddings and features that refine each other, layer by layer.

`encoder → Aggregator → L × HbisLayer → ClassHead`. An HBIS layer makes a heatmap per class, lets each class embedding
drink from its strongest pixels (F2CE), then lets every pixel be modulated by the classes its heatmaps name (CE2F).
The sum over classes of modulated maps, Σ p·(γF + β), is computed as (Σ p·γ)·F + Σ p·β, so nothing of shape
[B, N, C, H, W] ever exists; pooling is linear, so its 1 × 1 projection runs on N pooled vectors, not on H·W pixels.

Two settings. `parity` is what the published code computes; `paper` what the text says where the code departs from it:

| | parity (code) | paper (text) |
|---|---|---|
| old against modulated feature | fixed 0.5 | learnable α per layer (eq. 10), started at 0.5 |
| candidate of the update | MLP of the pooled vector | the pooled vector (eq. 5) |
| gate | vector, MLP of two layers on the normed embedding | one number per class, one linear layer (eq. 4) |
| weights of modulation | softmax of the score | softmax of σ(score) (eq. 9) |
| static auxiliary head | yes, loss weight 0.4 | no |
| Fisher's between-class scatter | mean squared distance of pairs, ≥ 1e-4 | to the grand mean (eq. 15) |
| Fisher's ratio over layers | last + 0.1 · sum | 0.1 · sum (eqs. 12, 19) |
| optimiser | AdamW 8e-5, decay 0.01, in Lookahead | Adam 0.8e-4 |

Kept in both, since the text is silent: layer norms before the score, its 1/√C, the full-resolution pixel-shuffle head,
and heat supervision on the scores (σ(H) fed to a cross-entropy, as eq. 11 reads, would be flat).

`decoder="attention"` is Table 4's baseline: HBIS replaced by cross-attention both ways. The paper does not draw it; its
5.8 extra GFLOPs over HBIS fit four H·W projections per layer (keys and values for the classes, query and output for
the pixels) and no feed-forward on pixels, so that is what is built.

Encoders by name (`ENCODERS`): ConvNeXt tiny to base as published; EfficientNet-Lite0; and `vit-s14`, the frozen encoder
of the shipped click model (tokens after blocks 5 and 8) with EfficientNet-Lite0's maps at strides 4 and 8 for detail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.convnext import CONVNEXT, ChannelNorm, ConvNeXt
from terraclick.blocks.efficientnet import CHANNELS, EfficientNetLite0
from terraclick.blocks.layers import normalise, resize_map
from terraclick.errors import BadConfig, UnknownName
from terraclick.terra.net import TerraEncoder

__all__ = [
    "ENCODERS",
    "PUBLISHED",
    "Bicor",
    "BicorConfig",
    "BicorDecoder",
    "BicorNetwork",
    "BicorOutput",
    "DetailStem",
    "HbisLayer",
    "build_encoder",
    "build_published",
]


@dataclass(frozen=True)
class BicorConfig:
    """Sizes and setting of the decoder."""

    classes: int = 7
    """How many classes there are; ids are not the network's business."""
    channels: tuple[int, int, int, int] = (128, 256, 512, 1024)
    """Channels of the encoder's four maps, finest first."""
    embed: int = 256
    """Channels of features and class embeddings; a multiple of 16."""
    layers: int = 2
    """HBIS layers (Table 5: 1, 2, 3)."""
    top_k: float = 0.02
    """Share of the pixels each class embedding is updated from (Figure 3)."""
    min_pixels: int = 64
    """That share is never fewer pixels than this."""
    decoder: str = "hbis"
    """`hbis`, or `attention`: the baseline of Table 4."""
    setting: str = "parity"
    """`parity` = the published code, `paper` = the text; see the table above."""

    def __post_init__(self) -> None:
        if self.classes < 2 or self.layers < 1 or self.embed % 16 or self.min_pixels < 1:
            raise BadConfig(
                f"classes {self.classes}, layers {self.layers}, embed {self.embed}, min_pixels {self.min_pixels} were "
                "given: at least 2 classes, 1 layer, 1 pixel and a multiple of 16 channels are needed."
            )
        if not 0 < self.top_k <= 1:
            raise BadConfig(f"top_k {self.top_k} was given: a share of the pixels in 0 … 1 was expected.")
        if self.decoder not in ("hbis", "attention") or self.setting not in ("parity", "paper"):
            raise BadConfig(
                f"decoder {self.decoder!r} and setting {self.setting!r} were given: decoders are hbis and attention, "
                "settings parity and paper."
            )


@dataclass(frozen=True, eq=False)
class BicorOutput:
    """What the network says of a batch, and why."""

    logits: Tensor
    """(B, N, 4h, 4w)."""
    heat: tuple[Tensor, ...]
    """Scores of each layer (B, N, h, w), before the sigmoid."""
    embeddings: tuple[Tensor, ...]
    """Class embeddings after each layer (B, N, C)."""
    auxiliary: Tensor | None
    """Logits of features and class embeddings before the first layer; None unless trained in the `parity` setting."""


class Aggregator(nn.Module):
    """Four maps of any resolution → one map at the finest (linear, resize, concatenate coarse to fine, 1 × 1).

    Everything is linear, so each level is fused at its own resolution and then resized: the published result for a
    fraction of the multiplications.
    """

    def __init__(self, channels: tuple[int, ...], embed: int) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Linear(c, embed) for c in channels)
        self.fuse = nn.Conv2d(len(channels) * embed, embed, 1, bias=False)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps (B, C_i, h_i, w_i), finest first → (B, E, h_0, w_0)."""
        size = (maps[0].shape[-2], maps[0].shape[-1])
        shares = self.fuse.weight.chunk(len(maps), dim=1)
        parts = []
        for x, linear, share in zip(maps, self.project, shares[::-1], strict=True):
            layer = cast(nn.Linear, linear)
            projected = functional.conv2d(x, layer.weight[..., None, None], layer.bias)
            parts.append(resize_map(functional.conv2d(projected, share), size))
        return sum(parts[1:], parts[0])


class HbisLayer(nn.Module):
    """Heatmaps from features and class embeddings; each then updates the other."""

    def __init__(self, config: BicorConfig) -> None:
        super().__init__()
        dim = config.embed
        self.config = config
        self.feature_norm = nn.LayerNorm(dim)
        self.class_norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim, bias=False)
        self.value = nn.Conv2d(dim, dim, 1, bias=False)
        self.gain = nn.Linear(dim, dim)
        self.shift = nn.Linear(dim, dim)
        self.candidate: nn.Module
        if config.setting == "parity":
            self.gate = nn.Sequential(nn.Linear(2 * dim, dim), nn.GELU(), nn.Linear(dim, dim), nn.Sigmoid())
            self.candidate = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim))
        else:
            self.gate = nn.Sequential(nn.Linear(2 * dim, 1), nn.Sigmoid())
            self.candidate = nn.Identity()
            self.keep = nn.Parameter(torch.tensor(0.5))

    def forward(self, features: Tensor, embeddings: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """features (B, HW, C), embeddings (B, N, C) → the same two, refined, and the scores (B, N, HW)."""
        normed, classes = self.feature_norm(features), self.class_norm(embeddings)
        scores = self.query(classes) @ normed.transpose(1, 2) / math.sqrt(features.shape[-1])
        embeddings = self._to_classes(normed, scores, embeddings, classes)
        return self._to_features(features, scores, embeddings), embeddings, scores

    def _to_classes(self, normed: Tensor, scores: Tensor, embeddings: Tensor, classes: Tensor) -> Tensor:
        """F2CE: each embedding meets the mean of its strongest pixels, through a gate. The choice has no gradient."""
        with torch.no_grad():
            heat = torch.sigmoid(scores)
            pixels = int(heat.shape[-1])  # a plain number for the exporter too
            count = min(max(round(self.config.top_k * pixels), self.config.min_pixels), pixels)
            strongest = heat.topk(count, dim=-1)
            chosen = torch.zeros_like(heat).scatter(-1, strongest.indices, strongest.values)
            weights = torch.where(chosen.sum(-1, keepdim=True) > 1e-6, chosen, heat)
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-6)
        context = functional.linear(weights @ normed, self.value.weight[..., 0, 0])
        gate = self.gate(torch.cat([classes if self.config.setting == "parity" else embeddings, context], dim=-1))
        return gate * self.candidate(context) + (1 - gate) * embeddings

    def _to_features(self, features: Tensor, scores: Tensor, embeddings: Tensor) -> Tensor:
        """CE2F: every pixel is scaled and shifted as the classes ask that its heatmaps name."""
        parity = self.config.setting == "parity"
        share = torch.softmax(scores if parity else torch.sigmoid(scores), dim=1).transpose(1, 2)
        gain, shift = 1 + torch.tanh(self.gain(embeddings)), self.shift(embeddings)
        modulated = (share @ gain) * features + share @ shift
        keep = 0.5 if parity else self.keep
        return keep * features + (1 - keep) * modulated


class AttentionLayer(nn.Module):
    """Table 4's baseline: class embeddings attend to pixels, then pixels to class embeddings; no heatmap steers it."""

    def __init__(self, config: BicorConfig) -> None:
        super().__init__()
        dim = config.embed
        self.heads = max(1, dim // 32)
        self.feature_norm, self.class_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.class_norm2, self.class_norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.to_classes = nn.ModuleDict({name: nn.Linear(dim, dim) for name in ("query", "key", "value", "out")})
        self.to_features = nn.ModuleDict({name: nn.Linear(dim, dim) for name in ("query", "key", "value", "out")})
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, features: Tensor, embeddings: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `HbisLayer`; the scores are the plain similarity of pixels and embeddings, for the record only."""
        normed, queries = self.feature_norm(features), self.class_norm(embeddings)
        embeddings = embeddings + self._attend(self.to_classes, queries, normed)
        embeddings = embeddings + self.mlp(self.class_norm2(embeddings))
        classes = self.class_norm3(embeddings)
        features = features + self._attend(self.to_features, normed, classes)
        return features, embeddings, classes @ normed.transpose(1, 2) / math.sqrt(features.shape[-1])

    def _attend(self, parts: nn.ModuleDict, asking: Tensor, asked: Tensor) -> Tensor:
        batch, count, dim = asking.shape
        split = (batch, -1, self.heads, dim // self.heads)
        query = parts["query"](asking).reshape(split).transpose(1, 2)
        key = parts["key"](asked).reshape(split).transpose(1, 2)
        value = parts["value"](asked).reshape(split).transpose(1, 2)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return parts["out"](mixed.transpose(1, 2).reshape(batch, count, dim))


class ClassHead(nn.Module):
    """Features four times finer by pixel shuffle; logits are their products with the projected class embeddings."""

    def __init__(self, embed: int, auxiliary: bool) -> None:
        super().__init__()
        self.norm = ChannelNorm(embed // 4, eps=1e-6)
        self.classify = nn.Linear(embed, embed // 16, bias=False)
        self.auxiliary = nn.Linear(embed, embed // 16, bias=False) if auxiliary else None

    def finer(self, features: Tensor) -> Tensor:
        """(B, E, h, w) → (B, E/16, 4h, 4w)."""
        x = functional.gelu(self.norm(functional.pixel_shuffle(features, 2)))
        return functional.gelu(functional.pixel_shuffle(x, 2))

    def forward(self, features: Tensor, embeddings: Tensor, project: nn.Linear) -> Tensor:
        """features (B, E, h, w), embeddings (B or 1, N, E), one of the two projections → logits (B, N, 4h, 4w)."""
        x = self.finer(features)
        return (project(embeddings) @ x.flatten(2)).reshape(len(x), -1, x.shape[-2], x.shape[-1])


class BicorDecoder(nn.Module):
    """Four maps of an encoder → class logits, with heatmaps and embeddings of every layer."""

    def __init__(self, config: BicorConfig) -> None:
        super().__init__()
        self.config = config
        self.aggregate = Aggregator(config.channels, config.embed)
        self.embeddings = nn.Parameter(torch.randn(config.classes, config.embed))
        layer = HbisLayer if config.decoder == "hbis" else AttentionLayer
        self.layers = nn.ModuleList(layer(config) for _ in range(config.layers))
        self.head = ClassHead(config.embed, auxiliary=config.setting == "parity")

    def forward(self, maps: list[Tensor], auxiliary: bool | None = None) -> BicorOutput:
        """Maps (B, C_i, h_i, w_i), finest first → `BicorOutput` at four times the finest.

        The auxiliary head reads the features as they enter the layers; by default it speaks in training only.
        """
        x = self.aggregate(maps)
        shape = x.shape
        features = x.flatten(2).transpose(1, 2)
        embeddings = self.embeddings.expand(shape[0], -1, -1)
        heat, refined = [], []
        for layer in self.layers:
            features, embeddings, scores = layer(features, embeddings)
            heat.append(scores.reshape(shape[0], -1, shape[2], shape[3]))
            refined.append(embeddings)
        logits = self.head(features.transpose(1, 2).reshape(shape), embeddings, self.head.classify)
        static = None
        if self.head.auxiliary is not None and (self.training if auxiliary is None else auxiliary):
            static = self.head(x, self.embeddings[None], self.head.auxiliary)
        return BicorOutput(logits, tuple(heat), tuple(refined), static)


class DetailStem(nn.Module):
    """EfficientNet-Lite0 as far as stride 8: the image's detail beside deep tokens. Pretrained, usually frozen."""

    CHANNELS = (CHANNELS[1], CHANNELS[2])

    def __init__(self) -> None:
        super().__init__()
        whole = EfficientNetLite0()
        self.stem, self.stages = whole.stem, whole.stages[:3]

    def forward(self, image: Tensor) -> list[Tensor]:
        """image (B, 3, H, W) in 0…1, even sides → maps at strides 4 and 8."""
        x = functional.relu6(self.stem((image * 255 - 127) / 128))
        x = self.stages[0](x)
        fine = self.stages[1](x)
        return [fine, self.stages[2](fine)]


class ConvNeXtEncoder(nn.Module):
    """ConvNeXt on an image in 0…1; maps at strides 4, 8, 16, 32."""

    def __init__(self, name: str, bands: int = 3) -> None:
        super().__init__()
        self.net = ConvNeXt(CONVNEXT[name], bands)

    def forward(self, image: Tensor, tokens: Tensor | None = None) -> list[Tensor]:
        """(B, 3, H, W) in 0…1, sides multiples of 32 → four maps; tokens are not used."""
        return self.net(normalise(image))


class EfficientNetEncoder(nn.Module):
    """EfficientNet-Lite0 on an image in 0…1; maps at strides 4, 8, 16, 32."""

    def __init__(self) -> None:
        super().__init__()
        self.net = EfficientNetLite0()

    def forward(self, image: Tensor, tokens: Tensor | None = None) -> list[Tensor]:
        """(B, 3, H, W) in 0…1, sides multiples of 32 → four maps; tokens are not used."""
        rows, cols = image.shape[-2] // 2, image.shape[-1] // 2
        nothing = torch.zeros(1, 32, rows, cols, dtype=image.dtype, device=image.device)
        return self.net((image * 255 - 127) / 128, nothing, {})[1:]


class TokenEncoder(nn.Module):
    """Detail at strides 4 and 8, tokens of the frozen ViT-S/14 after two blocks; the ViT itself may stay outside."""

    def __init__(self, vit: bool = False) -> None:
        super().__init__()
        self.detail = DetailStem()
        self.vit = TerraEncoder() if vit else None

    def forward(self, image: Tensor, tokens: Tensor | None = None) -> list[Tensor]:
        """image (B, 3, H, W) in 0…1; tokens (B, 768, h, w) of the same ground unless the ViT is inside → four maps."""
        if tokens is None:
            if self.vit is None:
                raise BadConfig("this encoder needs the ViT's tokens: pass them, or build it with vit=True.")
            side = (TerraEncoder.SIDE, TerraEncoder.SIDE)
            tokens = self.vit(resize_map(image, side) * 255)
        first, second = tokens.chunk(2, dim=1)
        return [*self.detail(image), first, second]


ENCODERS: dict[str, tuple[int, int, int, int]] = {
    **{name: config.channels for name, config in CONVNEXT.items()},
    "efficientnet-lite0": (CHANNELS[1], CHANNELS[2], CHANNELS[3], CHANNELS[4]),
    "vit-s14": (*DetailStem.CHANNELS, 384, 384),
}
"""Encoders by name, and the channels of their four maps."""


def build_encoder(name: str, bands: int = 3) -> nn.Module:
    """An encoder by name: image (B, bands, H, W) in 0…1 [and tokens] → four maps. Raises UnknownName with the list.

    Raises BadConfig for more than three bands where the encoder is no ConvNeXt.
    """
    if name not in ENCODERS:
        raise UnknownName(f"no encoder {name!r}. Known: {', '.join(ENCODERS)}.")
    if bands != 3 and name not in CONVNEXT:
        raise BadConfig(f"{name} reads three bands, {bands} were asked: take one of {', '.join(CONVNEXT)}.")
    if name == "vit-s14":
        return TokenEncoder()
    return EfficientNetEncoder() if name == "efficientnet-lite0" else ConvNeXtEncoder(name, bands)


@dataclass(frozen=True)
class BicorNetwork:
    """What a whole network is made of."""

    decoder: BicorConfig = BicorConfig()
    """Sizes of the decoder."""
    encoder: str = "convnext-base"
    """A name in `ENCODERS`."""


PUBLISHED = {
    "bicor-loveda": BicorNetwork(BicorConfig(7)),
    "bicor-vaihingen": BicorNetwork(BicorConfig(6, top_k=1.0)),
    "bicor-potsdam": BicorNetwork(BicorConfig(6, layers=3, top_k=1.0)),
}
"""The authors' networks by data set, as their configuration files build them."""


def build_published(config: BicorNetwork) -> Bicor:
    """An untrained network of a config."""
    return Bicor(config.encoder, config.decoder)


class Bicor(nn.Module):
    """Encoder and decoder together."""

    def __init__(self, encoder: str, config: BicorConfig, bands: int = 3) -> None:
        super().__init__()
        if encoder in ENCODERS and ENCODERS[encoder] != config.channels:
            raise BadConfig(f"encoder {encoder} has channels {ENCODERS[encoder]}, the config says {config.channels}.")
        self.encoder = build_encoder(encoder, bands)
        self.decoder = BicorDecoder(config)

    def forward(self, image: Tensor, tokens: Tensor | None = None) -> BicorOutput:
        """image (B, 3, H, W) in 0…1, sides multiples of 32 [tokens (B, 768, h, w)] → output at the image's size."""
        return self.decoder(self.encoder(image, tokens))
