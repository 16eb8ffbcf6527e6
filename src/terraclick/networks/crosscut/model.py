"""CrossCut: one click for many patches of a large picture, through a prompt carried from the clicks to every patch.

CrossCut (2026), read from the paper and from notes on the published Jittor code; the clicks reach every patch by the
Cross-Patch Prompt Embedding (CPE), several divisions n × n are fused by Multi-scale Division Fusion (MDF).

Two settings. `parity` computes what the published code computes:
- the whole picture is stretched to a square of 448·n, the previous answer by nearest neighbour, clicks by S/H and S/W
  without the half pixel; n × n patches of 448 without overlap, logits tiled and stretched back (align_corners=True);
- the prompt's features come from a complete ViT pass over the patches without clicks (the paper: from the patch
  embedding), upsampled to the canvas, averaged under each positive click's disk; negative clicks give none;
- a pixel takes the feature of its nearest positive click; a pixel more than 1000 px from all takes a zero vector if a
  slot is free (squared distance 1e6 of an empty slot), so does every pixel without a positive click;
- with `batch_quirk`, patch i of a batch reads the features of sample i mod B (patches are batch-major, the published
  bank batch-minor; at n = 4 the code loops over samples and is right).

`paper`, our default, departs from it in each of these:
- the picture keeps its shape; without given divisions it is cut in as many patches as keep its resolution (shrunk by
  15 % at most), with them its longer side is scaled to n patches, and the shorter takes as many as it needs;
- patches overlap by an eighth and are blended with a raised cosine, so that no seam shows;
- the previous answer is resized bilinearly, clicks with the half pixel, disks have their 5 px at the size patches see;
- an empty slot is never nearest, however far the clicks are; without a positive click the prompt is zero;
- rows of a batch do not see each other.
Both take the features from the click-free pass (or, with `prompt_from="embedding"`, as the paper writes it), which
`encode` makes once per picture and division; the published code repeats it at every click. Features under a disk are
sums over the few tokens that bilinear upsampling mixes there, and the nearest click is looked up at the four pixels per
token that survive the published resizing; a map of S × S × C numbers (2.5 GB at n = 2) never exists.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.layers import (
    FAR,
    click_disk_maps,
    normalise,
    resize_map,
    to_windows,
    under_disks,
    valid_points,
)
from terraclick.errors import BadConfig
from terraclick.networks.simpleclick.model import SIMPLECLICK, SimpleClick, SimpleClickConfig

__all__ = ["CROSSCUT", "CrossCut", "CrossCutConfig", "CrossCutEncoded", "Division", "disk_weights", "division"]

STRETCH = 1.15
"""Without fixed divisions, as many patches are taken as show the picture shrunk by no more than this."""

Clicks = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class CrossCutConfig:
    """Sizes and settings of a CrossCut network."""

    base: SimpleClickConfig = field(default_factory=SimpleClickConfig)
    """The network that reads a patch; its ViT's size is the side of a patch (published: 448)."""
    setting: str = "paper"
    """parity or paper: see the module's docstring."""
    divisions: tuple[int, ...] | None = None
    """Patches along the longer side; several are fused (MDF: 2, 3, 4); None = as many as keep the resolution."""
    weights: tuple[float, ...] | None = None
    """Share of each division in the fusion, None = equal; they are scaled to sum to 1."""
    prompt_from: str = "pass"
    """A click's features: "pass" = from the ViT without clicks (published), "embedding" = patch embedding (paper)."""
    batch_quirk: bool = True
    """In parity, whether patch i reads the prompts of sample i mod B as published."""
    overlap: int = 56
    """Pixels that neighbouring patches share in the paper setting."""
    memory_mb: int = 768
    """So many patches go through the network at once as fit in about this memory."""
    dirty: float | None = None
    """None computes every patch. Else a patch is computed anew only if the new click's disk touches it or its clicks'
    tokens changed by more than this share since it last was; 0 is exact. Above 0 a patch's own last answer, given back
    to it, is no change. Needs a batch of 1."""

    def __post_init__(self) -> None:
        if self.setting not in ("parity", "paper") or self.prompt_from not in ("pass", "embedding"):
            raise BadConfig(
                f"setting {self.setting!r} and prompt_from {self.prompt_from!r}: choose parity or paper, "
                "pass or embedding."
            )
        if self.divisions is not None and (not self.divisions or min(self.divisions) < 1):
            raise BadConfig(f"divisions {self.divisions} cut nothing: give whole numbers from 1 such as 2, 3, 4.")
        if self.setting == "parity" and self.divisions is None:
            object.__setattr__(self, "divisions", (2,))
        if self.weights is not None:
            shares = self.weights
            if self.divisions is None or len(shares) != len(self.divisions) or min(shares) < 0 or sum(shares) <= 0:
                raise BadConfig(
                    f"weights {shares} do not fit divisions {self.divisions}: give one share >= 0 for each."
                )
        side = self.base.vit.size
        if not 0 <= self.overlap <= side // 2:
            raise BadConfig(f"patches cannot share {self.overlap} of {side} pixels: give 0 to {side // 2}.")
        if self.dirty is not None and self.dirty < 0:
            raise BadConfig(f"dirty {self.dirty} is below 0: give 0 (exact) or a small share such as 0.02.")


CROSSCUT: dict[str, CrossCutConfig] = {
    "crosscut-b": CrossCutConfig(SIMPLECLICK["simpleclick-b"]),
    "crosscut-l": CrossCutConfig(SIMPLECLICK["simpleclick-l"]),
}
"""Sizes by name; the published one is B."""


@dataclass(frozen=True)
class Division:
    """Where the patches of one division lie: canvas size, and their first rows and cols in reading order."""

    size: tuple[int, int]
    rows: tuple[int, ...]
    cols: tuple[int, ...]
    canvas: tuple[int, int]
    """The size padded to whole patches."""

    @property
    def corners(self) -> list[tuple[int, int]]:
        """First row and first col of each patch."""
        return [(row, col) for row in self.rows for col in self.cols]


def division(shape: tuple[int, int], n: int, overlap: int, squash: bool, side: int = 448) -> Division:
    """n patches of `side` along the longer side of a picture; `squash` stretches it to a square without overlap."""
    if squash:
        starts = tuple(range(0, n * side, side))
        return Division((n * side, n * side), starts, starts, (n * side, n * side))
    covered = n * side - (n - 1) * overlap
    scale = covered / max(shape)
    size = tuple(max(1, round(length * scale)) for length in shape)
    spans = []
    for length in size:
        count = max(1, ceil((length - overlap) / (side - overlap)))
        room = max(length, side) - side
        spans.append(tuple(round(k * room / max(count - 1, 1)) for k in range(count)))
    return Division((size[0], size[1]), spans[0], spans[1], (max(size[0], side), max(size[1], side)))


def disk_weights(points: Tensor, grid: tuple[int, int], stride: int, radius: float) -> Tensor:
    """Shares of a token grid's bilinear upsampling under each disk: points (B, P, 3) in pixels → (B, P, h·w).

    Averaging the map upsampled ×stride (align_corners=False) over a disk equals these weights times the tokens. Rows
    sum to 1; to 0 for slots without a click.
    """
    batch, slots = points.shape[:2]
    down, across, inside = under_disks(points, (grid[0] * stride, grid[1] * stride), radius)
    share = inside.to(points.dtype) / inside.sum(dim=(-2, -1), keepdim=True).clamp(min=1)
    weights = torch.zeros(batch, slots, grid[0] * grid[1], dtype=points.dtype, device=points.device)
    rows, cols = (_mixed(place, side, stride, points.dtype) for place, side in zip((down, across), grid, strict=True))
    for row, of_row in rows:
        for col, of_col in cols:
            place = row[..., :, None] * grid[1] + col[..., None, :]
            amount = share * of_row[..., :, None] * of_col[..., None, :]
            weights = weights.scatter_add(2, place.flatten(2), amount.flatten(2))
    return weights


def _mixed(place: Tensor, side: int, stride: int, kind: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    """The two cells that bilinear upsampling mixes at a pixel, and their shares."""
    source = ((place.to(kind) + 0.5) / stride - 0.5).clamp(0, side - 1)
    low = source.floor().long()
    return [(low, 1 - (source - low)), ((low + 1).clamp(max=side - 1), source - low)]


@dataclass(frozen=True, eq=False)
class Patches:
    """One division of a picture before any click."""

    division: Division
    tokens: Tensor
    """(B · patches · windows, T, C) in window order."""
    features: Tensor
    """(B · patches, C, 28, 28): what the prompt's features are taken from."""


@dataclass(frozen=True, eq=False)
class Answered:
    """What a division's patches said, and the question that would leave it at that."""

    asked: Tensor
    logits: Tensor
    fresh: tuple[int, ...] = ()
    """Patches computed for this very answer."""


@dataclass(eq=False)
class CrossCutEncoded:
    """A picture, its divisions (each made when first asked for, always the same) and the latest patch answers."""

    image: Tensor
    patches: dict[int, Patches] = field(default_factory=dict)
    answered: OrderedDict[tuple[int, Clicks], Answered] = field(default_factory=OrderedDict)
    asked: int = 0
    """Patches that answers were made of so far."""
    computed: int = 0
    """Those of them that went through the network."""
    lock: Any = field(default_factory=Lock, repr=False)
    """Held while `answered` changes: sessions may share an encoding."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and cols of the picture."""
        return int(self.image.shape[-2]), int(self.image.shape[-1])

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        kept = [t for p in self.patches.values() for t in (p.tokens, p.features)]
        kept += [t for a in self.answered.values() for t in (a.asked, a.logits)]
        return self.image.nbytes + sum(tensor.nbytes for tensor in kept)


class CrossCut(SimpleClick):
    """Image, previous answer and clicks → logits, patch by patch under one shared prompt."""

    REMEMBERED = 6
    """Answers kept for the dirty-patch mode, over all divisions."""

    def __init__(self, config: CrossCutConfig | None = None) -> None:
        self.settings = config = config or CrossCutConfig()
        super().__init__(config.base)
        dim = config.base.vit.dim
        self.prompt = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))

    @property
    def side(self) -> int:
        """Side of a patch in pixels."""
        return self.config.vit.size

    @property
    def squash(self) -> bool:
        """Whether pictures are stretched to squares as published."""
        return self.settings.setting == "parity"

    def encode(self, image: Tensor) -> CrossCutEncoded:
        """RGB (B, 3, H, W) in 0…1 → what does not depend on clicks, for every division of the settings."""
        encoded = CrossCutEncoded(image)
        for n in self.divisions(encoded):
            self.patches(encoded, n)
        return encoded

    def divisions(self, encoded: CrossCutEncoded) -> tuple[int, ...]:
        """The settings' divisions, or the one that keeps the picture's resolution."""
        if self.settings.divisions is not None:
            return self.settings.divisions
        overlap = self.settings.overlap
        return (max(1, ceil((max(encoded.size) / STRETCH - overlap) / (self.side - overlap))),)

    def patches(self, encoded: CrossCutEncoded, n: int) -> Patches:
        """The division into n, made once: embedded patches and the pass without clicks."""
        if n not in encoded.patches:
            shape = encoded.size
            cut = division(shape, n, self.settings.overlap, self.squash, self.side)
            pictures = self._cut(resize_map(normalise(encoded.image), cut.size), cut)
            tokens = self.backbone.embed(pictures)
            encoded.patches[n] = Patches(cut, tokens, self._features(pictures, tokens))
        return encoded.patches[n]

    def _cut(self, canvas: Tensor, cut: Division) -> Tensor:
        """A picture (B, C, h, w) at the division's size → its patches (B · patches, C, side, side), zeros beyond it."""
        rows, cols = cut.canvas[0] - canvas.shape[-2], cut.canvas[1] - canvas.shape[-1]
        canvas = functional.pad(canvas, (0, cols, 0, rows))
        parts = [canvas[..., row : row + self.side, col : col + self.side] for row, col in cut.corners]
        return torch.stack(parts, dim=1).flatten(0, 1)

    @property
    def _grid(self) -> tuple[int, int]:
        side = self.side // self.config.vit.patch
        return side, side

    @torch.no_grad()
    def _features(self, pictures: Tensor, tokens: Tensor) -> Tensor:
        """Maps (B · patches, C, h, w) of patches without clicks; in the paper's way without positions either."""
        if self.settings.prompt_from == "embedding":
            return self.backbone.patch_embed(pictures)
        return torch.cat([self.backbone(tokens[part], self._grid) for part in self._parts(len(tokens))])

    def _parts(self, windows: int) -> list[slice]:
        """Windows that go through the network at once: those of as many patches as the memory allows."""
        vit, fine = self.config.vit, self.side // 4 * self.config.upsample
        numbers = self._grid[0] * self._grid[1] * vit.dim * 14 + fine * fine * self.config.head * 6
        patches = max(1, int(self.settings.memory_mb * 2**20 / (4 * numbers)))
        step = patches * (self._grid[0] // vit.window) ** 2
        return [slice(start, start + step) for start in range(0, windows, step)]

    def answer(
        self, encoded: CrossCutEncoded, previous: Tensor, points: Tensor, divisions: tuple[int, ...] | None = None
    ) -> Tensor:
        """previous (B, 1, H, W) probabilities, points (B, 2P, 3) → logits (B, 1, H, W), the divisions fused (MDF)."""
        *_, last = self.progressive(encoded, previous, points, divisions)
        return last

    def progressive(
        self, encoded: CrossCutEncoded, previous: Tensor, points: Tensor, divisions: tuple[int, ...] | None = None
    ) -> Iterator[Tensor]:
        """Logits (B, 1, H, W) after the first division, after the first two, …; the last one is the whole fusion."""
        chosen = divisions or self.divisions(encoded)
        shares = self.settings.weights if self.settings.weights and chosen == self.settings.divisions else None
        total, weight = torch.zeros(()), 0.0
        for n, share in zip(chosen, shares or (1.0,) * len(chosen), strict=True):
            if share or not weight:
                total = total.to(previous.device) + share * self.divided(encoded, previous, points, n)
                weight += share
            if weight:
                if n == chosen[-1] and self.settings.dirty:
                    self._expect(encoded, previous, points, chosen, total / weight)
                yield total / weight

    def divided(self, encoded: CrossCutEncoded, previous: Tensor, points: Tensor, n: int) -> Tensor:
        """Logits (B, 1, H, W) of one division."""
        patches = self.patches(encoded, n)
        cut = patches.division
        shape = encoded.size
        placed = self._place(points, shape, cut.size)
        canvas = torch.cat([self._shrink(previous, cut.size), click_disk_maps(placed, cut.size, self.config.radius)], 1)
        asked = to_windows(self.embed_clicks(self._cut(canvas, cut)), self.config.vit.window)
        asked = asked + self._prompts(patches, placed, n)
        if self.settings.dirty is None:
            logits = self._run(patches.tokens, asked)
        else:
            logits = self._run_dirty(encoded, patches, asked, points, placed, n)
        return self._assemble(logits, cut, len(previous), shape)

    def _place(self, points: Tensor, shape: tuple[int, int], size: tuple[int, int]) -> Tensor:
        """Clicks in canvas pixels; empty slots stay −1."""
        half = 0.0 if self.squash else 0.5
        scale = points.new_tensor([size[0] / shape[0], size[1] / shape[1]])
        moved = (points[..., :2] + half) * scale - half
        moved = torch.where(valid_points(points)[..., None], moved.clamp(min=0), points[..., :2])
        return torch.cat([moved, points[..., 2:]], dim=-1)

    def _shrink(self, previous: Tensor, size: tuple[int, int]) -> Tensor:
        if self.squash:
            return functional.interpolate(previous, size=size, mode="nearest")
        return resize_map(previous, size)

    def _prompts(self, patches: Patches, points: Tensor, n: int) -> Tensor:
        """The Cross-Patch Prompt Embedding of every token, in window order: (B · patches · windows, T, C)."""
        batch, slots = len(points), points.shape[1] // 2
        positives = points[:, :slots]
        shares = self._nearest(positives, patches.division)  # (B, patches, h·w, P)
        bank = self._bank(patches, positives)  # (B, P, C)
        first, act, second = self.prompt
        # the first layer is linear and a token's feature a weighted mean of the bank: P rows instead of all tokens
        bank = functional.linear(bank, first.weight)
        count = shares.shape[1]
        if self.squash and self.settings.batch_quirk and n < 4:
            owner = torch.arange(batch * count, device=bank.device) % batch
        else:
            owner = torch.arange(batch, device=bank.device).repeat_interleave(count)
        mixed = shares.flatten(0, 1) @ bank[owner] + first.bias  # (B · patches, h·w, C)
        prompts = second(act(mixed)).transpose(1, 2).unflatten(2, self._grid)
        return to_windows(prompts, self.config.vit.window)

    def _bank(self, patches: Patches, positives: Tensor) -> Tensor:
        """Mean feature under each positive click's disk (B, P, C); zero for empty slots."""
        cut, stride, radius = patches.division, self.config.vit.patch, self.config.radius
        features = patches.features.unflatten(0, (len(positives), -1))  # (B, patches, C, h, w)
        if self.squash:
            n = len(cut.rows)
            whole = features.unflatten(1, (n, n)).permute(0, 1, 4, 2, 5, 3).flatten(3, 4).flatten(1, 2)
            grid = (n * self._grid[0], n * self._grid[1])
            return disk_weights(positives, grid, stride, radius) @ whole.reshape(len(positives), -1, whole.shape[-1])
        corners = torch.tensor(cut.corners, dtype=positives.dtype, device=positives.device)
        middle = corners + (self.side - 1) / 2
        far = (positives[:, :, None, :2] - middle).abs().amax(dim=-1)  # (B, P, patches)
        own = far.argmin(dim=-1)  # the patch in which the click lies deepest
        local = positives.clone()
        local[..., :2] = torch.where(valid_points(positives)[..., None], positives[..., :2] - corners[own], -1.0)
        weights = disk_weights(local, self._grid, stride, radius)  # (B, P, h·w)
        tokens = features.flatten(3)[torch.arange(len(own), device=own.device)[:, None], own]  # (B, P, C, h·w)
        return torch.einsum("bpt,bpct->bpc", weights, tokens)

    def _nearest(self, positives: Tensor, cut: Division) -> Tensor:
        """Share of each positive click in each token (B, patches, h·w, P): nearest at the token's 4 middle pixels."""
        stride, side = self.config.vit.patch, self._grid[0]
        middle = torch.arange(side, device=positives.device)[:, None] * stride + stride // 2
        middle = (middle + torch.tensor([-1, 0], device=positives.device)).flatten()  # (2h,)
        squared = []
        for axis, starts in ((0, cut.rows), (1, cut.cols)):
            place = torch.tensor(starts, device=positives.device)[:, None] + middle  # (R, 2h)
            squared.append((place - positives[..., axis, None, None]).square())  # (B, P, R, 2h)
        distance = squared[0][:, :, :, None, :, None] + squared[1][:, :, None, :, None, :]  # (B, P, R, C, 2h, 2w)
        valid = valid_points(positives)[..., None, None, None, None]
        distance = torch.where(valid, distance, FAR if self.squash else torch.inf)
        label = functional.one_hot(distance.argmin(dim=1), positives.shape[1]).to(positives.dtype)
        label = label.unflatten(3, (side, 2)).unflatten(5, (side, 2)).mean(dim=(4, 6))  # (B, R, C, h, w, P)
        return label.flatten(3, 4).flatten(1, 2)

    def _run(self, tokens: Tensor, asked: Tensor) -> Tensor:
        """Patches through the network, a few at a time → head logits (B · patches, 1, h, w)."""
        parts = self._parts(len(tokens))
        return torch.cat([self.score(self.backbone(tokens[k] + asked[k], self._grid)) for k in parts])

    def _run_dirty(
        self, encoded: CrossCutEncoded, patches: Patches, asked: Tensor, points: Tensor, placed: Tensor, n: int
    ) -> Tensor:
        """The same, but a patch whose question hardly changed since the click before keeps its answer.

        `points` in pixels of the picture, `placed` the same in pixels of the canvas.
        """
        if len(points) != 1:
            raise BadConfig(f"the dirty-patch mode answers one picture at a time, not {len(points)}: split the batch.")
        clicks = _in_order(points)
        earlier = encoded.answered.get((n, clicks[:-1]))
        before = earlier or encoded.answered.get((n, clicks))
        count = len(patches.division.corners)
        asked = asked.unflatten(0, (count, -1))
        tokens = patches.tokens.unflatten(0, (count, -1))
        if before is None:
            dirty = list(range(count))
            kept, logits = asked.clone(), [torch.empty(0)] * count
        else:
            change = (asked - before.asked).flatten(1).norm(dim=1)
            limit = float(self.settings.dirty or 0.0) * before.asked.flatten(1).norm(dim=1)
            touched = self._touched(placed, patches.division) if earlier else torch.zeros_like(change, dtype=torch.bool)
            dirty = torch.nonzero((change > limit) | touched).flatten().tolist()
            kept, logits = before.asked.clone(), list(before.logits.split(1))
        for patch in dirty:
            kept[patch] = asked[patch]
            logits[patch] = self.score(self.backbone(tokens[patch] + asked[patch], self._grid))
        answered = Answered(kept, torch.cat(logits), tuple(dirty))
        with encoded.lock:
            encoded.asked += count
            encoded.computed += len(dirty)
            encoded.answered[n, clicks] = answered
            encoded.answered.move_to_end((n, clicks))
            while len(encoded.answered) > self.REMEMBERED:
                encoded.answered.popitem(last=False)
        return answered.logits

    def _touched(self, placed: Tensor, cut: Division) -> Tensor:
        """Which patches the latest click's disk may reach: placed (1, 2P, 3) → (patches,) bool."""
        latest = placed[0, placed[0, :, 2].where(valid_points(placed)[0], -torch.inf).argmax(), :2]
        within = latest - latest.new_tensor(cut.corners)
        reach = self.config.radius
        return ((within > -reach - 1) & (within < self.side + reach)).all(dim=-1)

    def _expect(
        self, encoded: CrossCutEncoded, previous: Tensor, points: Tensor, chosen: tuple[int, ...], answer: Tensor
    ) -> None:
        """Note for patches just computed that being asked with this answer (logits) as the previous one is no change.

        Without it every patch that shows a thing is dirty at the second click, whose previous answer is the first one.
        """
        clicks = _in_order(points)
        for n in chosen:
            said = encoded.answered.get((n, clicks))
            if said is None or not said.fresh:
                continue
            cut, fresh = encoded.patches[n].division, list(said.fresh)
            news = self._shrink(torch.sigmoid(answer), cut.size) - self._shrink(previous, cut.size)
            stride = self.config.vit.patch
            fed = functional.conv2d(self._cut(news, cut)[fresh], self.embed_clicks.weight[:, :1], stride=stride)
            asked = said.asked.clone()
            asked[fresh] += to_windows(fed, self.config.vit.window).unflatten(0, (len(fresh), -1))
            with encoded.lock:
                encoded.answered[n, clicks] = Answered(asked, said.logits)

    def _assemble(self, logits: Tensor, cut: Division, batch: int, shape: tuple[int, int]) -> Tensor:
        """Patch logits (B · patches, 1, h, w) → one map (B, 1, H, W)."""
        logits = logits.unflatten(0, (batch, len(cut.rows), len(cut.cols))).squeeze(3)  # (B, R, C, h, w)
        if self.squash:
            whole = logits.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, None]
            return resize_map(whole, shape, align_corners=True)
        total = logits.new_zeros(batch, 1, *cut.canvas)
        weight = logits.new_zeros(1, 1, *cut.canvas)
        for r, row in enumerate(cut.rows):
            for c, col in enumerate(cut.cols):
                share = self._share(cut.rows, r, logits)[:, None] * self._share(cut.cols, c, logits)
                patch = resize_map(logits[:, r, c, None], (self.side, self.side), align_corners=True)
                total[..., row : row + self.side, col : col + self.side] += patch * share
                weight[..., row : row + self.side, col : col + self.side] += share
        return resize_map((total / weight)[..., : cut.size[0], : cut.size[1]], shape)

    def _share(self, starts: tuple[int, ...], k: int, like: Tensor) -> Tensor:
        """Weight of a patch along one side (side,): falls as a raised cosine over what it shares with a neighbour."""
        share = like.new_ones(self.side)
        for neighbour, turned in ((k - 1, False), (k + 1, True)):
            if not 0 <= neighbour < len(starts):
                continue
            width = self.side - abs(starts[k] - starts[neighbour])
            ramp = 0.5 - 0.5 * torch.cos(torch.pi * (torch.arange(width, device=like.device) + 0.5) / max(width, 1))
            if turned:
                share[self.side - width :] *= ramp.flip(0).to(like.dtype)
            else:
                share[:width] *= ramp.to(like.dtype)
        return share

    def forward(
        self, image: Tensor, previous: Tensor, points: Tensor, divisions: tuple[int, ...] | None = None
    ) -> Tensor:
        """image (B, 3, H, W) RGB in 0…1, previous (B, 1, H, W), points (B, 2P, 3) → logits (B, 1, H, W)."""
        return self.answer(CrossCutEncoded(image), previous, points, divisions)


def _in_order(points: Tensor) -> Clicks:
    """The clicks of one picture, oldest first, each (order, row, col, sign)."""
    slots = points.shape[1] // 2
    rows = points[0].tolist()
    valid = [(order, row, col, float(k < slots)) for k, (row, col, order) in enumerate(rows) if max(row, col) >= 0]
    return tuple(sorted(valid))
