"""Networks to be trained whose backbone starts from a plain ViT that was trained on something else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from terraclick.blocks.vit import resize_positions
from terraclick.errors import BadConfig
from terraclick.networks.checkpoint import fit, load_network, read_published, rename

__all__ = ["initialise", "with_more_bands"]

PLAIN_UNUSED = (
    r"cls_token$",
    r"dist_token$",
    r"mask_token$",
    r"register_tokens$",
    r"reg_token$",
    r"storage_tokens$",
    r"norm\.",
    r"fc_norm\.",
    r"head\.",
    r"decoder_",
)
"""Parts of MAE's, DINOv2's and timm's ViTs that click networks do not have."""


def initialise(
    name: str,
    source: str | Path,
    seed: int = 0,
    config: Any = None,
    tell: Callable[[Mapping[str, int]], object] | None = None,
) -> Any:
    """A network to be trained, its backbone taken from a plain ViT (MAE, DINOv2 or timm layout), the rest by `seed`.

    Positions are resized bicubically to the network's grid; patches of another size (DINOv2's 14 px) so that a picture
    enlarged as they are gives the same tokens; a layer scale is multiplied into the projection it follows, which
    changes no number. `tell` as of `read_published`. Raises BadWeights where the ViT is of another size.
    """
    network = load_network(name, random=seed, config=config)
    backbone = getattr(getattr(network, "base", network), "backbone", None)
    if backbone is None or not hasattr(backbone, "pos_embed"):
        raise BadConfig(f"{name} has no plain ViT to start from: give its own checkpoint.")
    path = Path(source)
    state = {key.removeprefix("backbone."): value for key, value in read_published(path, tell).items()}
    state = _fold_layer_scale(rename(state, (), PLAIN_UNUSED))
    table, wanted = state.get("pos_embed"), backbone.pos_embed.shape
    if table is not None and table.ndim == 3 and table.shape != wanted and table.shape[-1] == wanted[-1]:
        state["pos_embed"] = _square_positions(table, backbone.config.grid)
    patches, kernel = state.get(PATCHES), backbone.state_dict()[PATCHES].shape
    if patches is not None and patches.ndim == 4 and patches.shape[2:] != kernel[2:] and len(patches) == kernel[0]:
        state[PATCHES] = _resized_patches(patches, (kernel[2], kernel[3]))
    fit(backbone, with_more_bands(state, backbone.state_dict()), path.name)
    return network


PATCHES = "patch_embed.proj.weight"


def with_more_bands(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Kernels (C, 3, h, w) for a network that reads more bands: the mean of the three for each further one."""
    found = dict(state)
    for name, value in state.items():
        wanted = own[name].shape if name in own else value.shape
        more = wanted[1] - 3 if value.ndim == 4 and len(wanted) == 4 else 0
        if more > 0 and value.shape[1] == 3 and (value.shape[0], *value.shape[2:]) == (wanted[0], *wanted[2:]):
            found[name] = torch.cat([value, value.mean(1, keepdim=True).expand(-1, more, -1, -1)], dim=1)
    return found


def _resized_patches(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """Patch weights (C, 3, h, w) for patches of another size (FlexiViT's rule, the pseudo-inverse of the resize).

    With B the bilinear resize of a patch to `size`, the new weights w' give w'ᵀ(Bx) = wᵀx for every patch x where
    patches grow, and are nearest to it where they shrink.
    """
    rows, cols = kernel.shape[2:]
    basis = torch.eye(rows * cols, dtype=torch.float64).reshape(rows * cols, 1, rows, cols)
    resized = functional.interpolate(basis, size=size, mode="bilinear", align_corners=False)
    back = torch.linalg.pinv(resized.reshape(rows * cols, -1))
    flat = kernel.to(torch.float64).reshape(-1, rows * cols) @ back.T
    return flat.reshape(*kernel.shape[:2], *size).to(kernel.dtype)


def _fold_layer_scale(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Multiply each `ls1.gamma` into the attention's projection and each `ls2.gamma` into the MLP's last layer."""
    folded = {name: value for name, value in state.items() if not name.endswith((".ls1.gamma", ".ls2.gamma"))}
    for name, gamma in state.items():
        for scale, layer in ((".ls1.gamma", ".attn.proj"), (".ls2.gamma", ".mlp.fc2")):
            if name.endswith(scale):
                before = name.removesuffix(scale) + layer
                for part, factor in ((".weight", gamma[:, None]), (".bias", gamma)):
                    if before + part in folded:
                        folded[before + part] = folded[before + part] * factor
    return folded


def _square_positions(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """A position table (1, [1 +] n², C) on another grid, with a class entry (zero where there was none)."""
    for classes in (1, 0):
        side = round((table.shape[1] - classes) ** 0.5)
        if side * side + classes == table.shape[1]:
            break
    if classes == 0:
        table = torch.cat([torch.zeros_like(table[:, :1]), table], dim=1)
    return resize_positions(table, (side, side), grid)
