"""FocalClick: Chen et al., CVPR 2022, https://arxiv.org/abs/2204.02574."""

from __future__ import annotations

from terraclick.networks.spec import FamilySpec, NetworkSpec

__all__ = ["SPEC"]

SPEC = FamilySpec(
    (
        NetworkSpec("focalclick-b0", "FocalClick, SegFormer-B0, both stages (Chen et al. 2022)", side=384),
        NetworkSpec("focalclick-b3", "FocalClick, SegFormer-B3, both stages (Chen et al. 2022)", side=384),
        NetworkSpec("focalclick-b0-s1", "FocalClick, SegFormer-B0 at half size", side=256, options={"side": 256}),
    )
)
