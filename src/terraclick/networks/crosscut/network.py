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

from collections.abc import Callable, Iterator
from math import ceil
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from terraclick.blocks.layers import (
    FAR,
    click_disk_maps,
    normalise,
    resize_map,
    to_windows,
    valid_points,
)
from terraclick.errors import BadConfig
from terraclick.networks.crosscut.config import CrossCutConfig
from terraclick.networks.crosscut.division import Division, disk_weights, division
from terraclick.networks.crosscut.memory import Answered, CrossCutMemory, clicks_in_order
from terraclick.networks.crosscut.patches import CrossCutEncoded, Patches
from terraclick.networks.simpleclick.network import SimpleClick

__all__ = ["CrossCut"]

STRETCH = 1.15
"""Without fixed divisions, as many patches are taken as show the picture shrunk by no more than this."""


class CrossCut(SimpleClick):
    """Image, previous answer and clicks → logits, patch by patch under one shared prompt."""

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

    @property
    def remembers(self) -> bool:
        """Whether patches that hardly changed keep the answer before: see `CrossCutConfig.dirty`."""
        return self.settings.dirty is not None

    def encode(self, image: Tensor) -> CrossCutEncoded:  # type: ignore[override]  # handed to its own `answer` alone
        """RGB (B, 3, H, W) in 0…1 → what does not depend on clicks, for every division of the settings."""
        shape = (int(image.shape[-2]), int(image.shape[-1]))
        return CrossCutEncoded(image, {n: self._encoded(image, n) for n in self.divisions(shape)})

    def divisions(self, shape: tuple[int, int]) -> tuple[int, ...]:
        """The settings' divisions, or the one that keeps the resolution of a picture of this shape (rows, cols)."""
        if self.settings.fixed is not None:
            return self.settings.fixed
        overlap = self.settings.overlap
        return (max(1, ceil((max(shape) / STRETCH - overlap) / (self.side - overlap))),)

    def patches(self, encoded: CrossCutEncoded, n: int) -> Patches:
        """The division into n: as encoded, or made now if the settings do not name it."""
        found = encoded.patches.get(n)
        return self._encoded(encoded.image, n) if found is None else found

    def _encoded(self, image: Tensor, n: int) -> Patches:
        """Embedded patches of a division, and the pass without clicks."""
        shape = (int(image.shape[-2]), int(image.shape[-1]))
        cut = division(shape, n, self.settings.overlap, self.squash, self.side)
        pictures = self._cut(resize_map(normalise(image), cut.size), cut)
        tokens = self.backbone.embed(pictures)
        return Patches(cut, tokens, self._features(pictures, tokens))

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
        if self.settings.prompt_from in ("embedding", "none"):
            return self.backbone.patch_embed(pictures)
        plain = tokens.detach()
        return torch.cat([self.backbone(plain[part], self._grid) for part in self._parts(len(plain))])

    def _parts(self, windows: int) -> list[slice]:
        """Windows that go through the network at once: those of as many patches as the memory allows."""
        vit, fine = self.config.vit, self.side // 4 * self.config.upsample
        numbers = self._grid[0] * self._grid[1] * vit.dim * 14 + fine * fine * self.config.head * 6
        patches = max(1, int(self.settings.memory_mb * 2**20 / (4 * numbers)))
        step = patches * (self._grid[0] // vit.window) ** 2
        return [slice(start, start + step) for start in range(0, windows, step)]

    def answer(  # type: ignore[override]
        self, encoded: CrossCutEncoded, previous: Tensor, points: Tensor, divisions: tuple[int, ...] | None = None
    ) -> Tensor:
        """previous (B, 1, H, W) probabilities, points (B, 2P, 3) → logits (B, 1, H, W), the divisions fused (MDF).

        Every patch is computed.
        """
        *_, last = self.progressive(encoded, previous, points, divisions)
        return last

    def answer_after(
        self, memory: CrossCutMemory | None, encoded: CrossCutEncoded, previous: Tensor, points: Tensor
    ) -> tuple[Tensor, CrossCutMemory]:
        """The answer of the dirty-patch mode, (1, 1, H, W), and what it leaves to the next one.

        memory is what the answer to the same clicks without the last one left, or to the same clicks; any other one,
        and None, computes every patch. Raises BadConfig for more than one picture.
        """
        chosen = self.divisions(encoded.size)
        if len(points) != 1:
            raise BadConfig(f"the dirty-patch mode answers one picture at a time, not {len(points)}: split the batch.")
        clicks = clicks_in_order(points)
        known = memory if memory is not None and memory.clicks in (clicks, clicks[:-1]) else None
        answered: dict[int, Answered] = {}

        def divided(n: int) -> Tensor:
            patches = self.patches(encoded, n)
            asked, placed = self._asked(patches, encoded.size, previous, points, n)
            before = None if known is None else known.answered.get(n)
            touching = placed if known is not None and known.clicks != clicks else None
            answered[n] = self._run_dirty(patches, asked, before, touching)
            return self._assemble(answered[n].logits, patches.division, 1, encoded.size)

        *_, logits = self._fused(chosen, self._shares(chosen), divided)
        if self.settings.dirty:
            heard = torch.sigmoid(logits)
            answered = {
                n: self._expecting(one, self.patches(encoded, n), heard, previous) for n, one in answered.items()
            }
        return logits, CrossCutMemory(clicks, answered)

    def progressive(
        self, encoded: CrossCutEncoded, previous: Tensor, points: Tensor, divisions: tuple[int, ...] | None = None
    ) -> Iterator[Tensor]:
        """Logits (B, 1, H, W) after the first division, after the first two, …; the last one is the whole fusion."""
        chosen = divisions or self.divisions(encoded.size)
        return self._fused(chosen, self._shares(chosen), lambda n: self.divided(encoded, previous, points, n))

    def _shares(self, chosen: tuple[int, ...]) -> tuple[float, ...]:
        """The share of each division in the fusion."""
        weights = self.settings.weights
        return weights if weights and chosen == self.settings.fixed else (1.0,) * len(chosen)

    @staticmethod
    def _fused(
        chosen: tuple[int, ...], shares: tuple[float, ...], divided: Callable[[int], Tensor]
    ) -> Iterator[Tensor]:
        """The weighted mean of the divisions so far, after each."""
        total, weight = None, 0.0
        for n, share in zip(chosen, shares, strict=True):
            if share or not weight:
                part = share * divided(n)
                total = part if total is None else total + part
                weight += share
            if weight and total is not None:
                yield total / weight

    def divided(self, encoded: CrossCutEncoded, previous: Tensor, points: Tensor, n: int) -> Tensor:
        """Logits (B, 1, H, W) of one division."""
        patches = self.patches(encoded, n)
        asked, _ = self._asked(patches, encoded.size, previous, points, n)
        logits = self._run(patches.tokens, asked)
        return self._assemble(logits, patches.division, len(previous), encoded.size)

    def _asked(
        self, patches: Patches, shape: tuple[int, int], previous: Tensor, points: Tensor, n: int
    ) -> tuple[Tensor, Tensor]:
        """What is added to the tokens of every patch, (B · patches · windows, T, C), and the clicks on the canvas."""
        cut = patches.division
        placed = self._place(points, shape, cut.size)
        canvas = torch.cat([self._shrink(previous, cut.size), click_disk_maps(placed, cut.size, self.config.radius)], 1)
        asked = to_windows(self.embed_clicks(self._cut(canvas, cut)), self.config.vit.window)
        if self.settings.prompt_from == "none":
            return asked, placed
        return asked + self._prompts(patches, placed, n), placed

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
        act, second = self.prompt[1], self.prompt[2]
        first = cast(nn.Linear, self.prompt[0])
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

    def _run_dirty(self, patches: Patches, asked: Tensor, before: Answered | None, touching: Tensor | None) -> Answered:
        """The same, but a patch whose question hardly changed keeps its answer of before.

        touching: all clicks (1, 2P, 3) on the canvas if the last of them is new.
        """
        count = len(patches.division.corners)
        asked = asked.unflatten(0, (count, -1))
        tokens = patches.tokens.unflatten(0, (count, -1))
        if before is None:
            dirty = list(range(count))
            kept, logits = asked.clone(), [torch.empty(0)] * count
        else:
            change = (asked - before.asked).flatten(1).norm(dim=1)
            limit = float(self.settings.dirty or 0.0) * before.asked.flatten(1).norm(dim=1)
            changed = change > limit
            if touching is not None:
                changed = changed | self._touched(touching, patches.division)
            dirty = torch.nonzero(changed).flatten().tolist()
            kept, logits = before.asked.clone(), list(before.logits.split(1))
        for patch in dirty:
            kept[patch] = asked[patch]
            logits[patch] = self.score(self.backbone(tokens[patch] + asked[patch], self._grid))
        return Answered(kept, torch.cat(logits), tuple(dirty))

    def _touched(self, placed: Tensor, cut: Division) -> Tensor:
        """Which patches the latest click's disk may reach: placed (1, 2P, 3) → (patches,) bool."""
        latest = placed[0, placed[0, :, 2].where(valid_points(placed)[0], -torch.inf).argmax(), :2]
        within = latest - latest.new_tensor(cut.corners)
        reach = self.config.radius
        return ((within > -reach - 1) & (within < self.side + reach)).all(dim=-1)

    def _expecting(self, said: Answered, patches: Patches, heard: Tensor, previous: Tensor) -> Answered:
        """For patches just computed, the question that `heard` (probabilities) as the previous answer makes of theirs.

        So the answer that comes back to them is no change; without it every patch that shows a thing is dirty at the
        second click, whose previous answer is the first one.
        """
        cut, fresh = patches.division, list(said.fresh)
        if not fresh:
            return said
        news = self._shrink(heard, cut.size) - self._shrink(previous, cut.size)
        stride = self.config.vit.patch
        fed = functional.conv2d(self._cut(news, cut)[fresh], self.embed_clicks.weight[:, :1], stride=stride)
        asked = said.asked.clone()
        asked[fresh] += to_windows(fed, self.config.vit.window).unflatten(0, (len(fresh), -1))
        return Answered(asked, said.logits, said.fresh)

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
        return self.answer(CrossCutEncoded(image, {}), previous, points, divisions)
