"""Sizes and settings of CrossCut."""

from __future__ import annotations

from dataclasses import dataclass, field

from terraclick.errors import BadConfig
from terraclick.networks.simpleclick.network import SIMPLECLICK, SimpleClickConfig

__all__ = ["CROSSCUT", "CrossCutConfig"]


@dataclass(frozen=True)
class CrossCutConfig:
    """Sizes and settings of a CrossCut network."""

    base: SimpleClickConfig = field(default_factory=SimpleClickConfig)
    """The network that reads a patch; its ViT's size is the side of a patch (published: 448)."""
    setting: str = "paper"
    """parity or paper: see `network.py`."""
    divisions: tuple[int, ...] | None = None
    """Patches along the longer side; several are fused (MDF: 2, 3, 4); None = as many as keep the resolution,
    in parity 2."""
    weights: tuple[float, ...] | None = None
    """Share of each division in the fusion, None = equal; they are scaled to sum to 1."""
    prompt_from: str = "pass"
    """A click's features: "pass" = from the ViT without clicks (published), "embedding" = patch embedding (paper),
    "none" = no prompt at all: the paper's baseline without CPE."""
    batch_quirk: bool = True
    """In parity, whether patch i reads the prompts of sample i mod B as published."""
    overlap: int = 56
    """Pixels that neighbouring patches share in the paper setting."""
    memory_mb: int = 768
    """So many patches go through the network at once as fit in about this memory."""
    dirty: float | None = None
    """None computes every patch. Else `answer_after` computes a patch anew only if the new click's disk touches it or
    its clicks' tokens changed by more than this share since it last was; 0 is exact. Above 0 a patch's own last answer,
    given back to it, is no change. Needs a batch of 1."""

    def __post_init__(self) -> None:
        if self.setting not in ("parity", "paper") or self.prompt_from not in ("pass", "embedding", "none"):
            raise BadConfig(
                f"setting {self.setting!r} and prompt_from {self.prompt_from!r}: choose parity or paper, "
                "pass, embedding or none."
            )
        if self.divisions is not None and (not self.divisions or min(self.divisions) < 1):
            raise BadConfig(f"divisions {self.divisions} cut nothing: give whole numbers from 1 such as 2, 3, 4.")
        if self.weights is not None:
            shares, fixed = self.weights, self.fixed
            if fixed is None or len(shares) != len(fixed) or min(shares) < 0 or sum(shares) <= 0:
                raise BadConfig(f"weights {shares} do not fit divisions {fixed}: give one share >= 0 for each.")
        side = self.base.vit.size
        if not 0 <= self.overlap <= side // 2:
            raise BadConfig(f"patches cannot share {self.overlap} of {side} pixels: give 0 to {side // 2}.")
        if self.dirty is not None and self.dirty < 0:
            raise BadConfig(f"dirty {self.dirty} is below 0: give 0 (exact) or a small share such as 0.02.")

    @property
    def fixed(self) -> tuple[int, ...] | None:
        """The divisions that do not depend on the picture: those given, (2,) in parity without any."""
        return (2,) if self.divisions is None and self.setting == "parity" else self.divisions


CROSSCUT: dict[str, CrossCutConfig] = {
    "crosscut-b": CrossCutConfig(SIMPLECLICK["simpleclick-b"]),
    "crosscut-l": CrossCutConfig(SIMPLECLICK["simpleclick-l"]),
}
"""Sizes by name; the published one is B."""
