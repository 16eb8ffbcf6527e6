"""The SAM family: Kirillov et al. 2023; Ke et al. 2023; Zhang et al. 2023; Xiong et al. 2024; Ravi et al. 2024."""

from __future__ import annotations

from terraclick.networks.spec import FamilySpec, NetworkSpec

__all__ = ["SPEC"]

SPEC = FamilySpec(
    (
        NetworkSpec("sam-vit-b", "SAM, ViT-B (Kirillov et al. 2023)", side=1024),
        NetworkSpec("sam-vit-l", "SAM, ViT-L (Kirillov et al. 2023)", side=1024),
        NetworkSpec("sam-vit-h", "SAM, ViT-H (Kirillov et al. 2023)", side=1024),
        NetworkSpec("sam-hq-vit-b", "SAM-HQ, ViT-B (Ke et al. 2023)", side=1024),
        NetworkSpec("sam-hq-vit-l", "SAM-HQ, ViT-L (Ke et al. 2023)", side=1024),
        NetworkSpec("sam-hq-vit-h", "SAM-HQ, ViT-H (Ke et al. 2023)", side=1024),
        NetworkSpec("mobile-sam", "MobileSAM, TinyViT (Zhang et al. 2023)", side=1024),
        NetworkSpec("efficient-sam-ti", "EfficientSAM, ViT-Ti (Xiong et al. 2024)", side=1024),
        NetworkSpec("efficient-sam-s", "EfficientSAM, ViT-S (Xiong et al. 2024)", side=1024),
        NetworkSpec("sam2-hiera-tiny", "SAM 2 or 2.1, Hiera-T (Ravi et al. 2024)", side=1024),
        NetworkSpec("sam2-hiera-small", "SAM 2 or 2.1, Hiera-S (Ravi et al. 2024)", side=1024),
        NetworkSpec("sam2-hiera-base-plus", "SAM 2 or 2.1, Hiera-B+ (Ravi et al. 2024)", side=1024),
        NetworkSpec("sam2-hiera-large", "SAM 2 or 2.1, Hiera-L (Ravi et al. 2024)", side=1024),
    ),
    licence="weights: not shipped, under their authors' terms; network: transformers, Apache-2.0",
    reads_box=True,
    extra="sam",
    weights="a published file, or a folder in the transformers layout",
    weights_licence="Apache-2.0 (SAM, SAM-HQ, SAM 2, MobileSAM and EfficientSAM as published)",
)
