"""Every row of every table of the five papers: the recipe that makes it, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from terraclick.evaluate.published.catalogue import TABLES

__all__ = ["ROWS", "Made", "rows_page"]


@dataclass(frozen=True)
class Made:
    """How a row is made."""

    recipe: str = ""
    """The recipe that trains it; empty where none does."""
    asked: str = ""
    """What the benchmark is told beside the trained weights, such as a setting of the model."""
    reason: str = ""
    """Why there is no recipe."""


STRANGER = Made(reason="another paper's network, named in the documentation as not built")
FROZEN = Made(reason="published weights, not trained: terraclick models add takes the authors' file")

CLICKED: Mapping[str, Made] = {
    "RITM HRNet-32": Made("ritm-hrnet32"),
    "RITM HRNet32": Made("ritm-hrnet32"),
    "RITM HRNet-18 (SBD)": Made("ritm-hrnet18"),
    "RITM HRNet-32 (COCO+LVIS)": Made("ritm-hrnet32"),
    "FocalClick SegF-B3": Made("focalclick-b3"),
    "FocalClick SegF-B3 (COCO+LVIS)": Made("focalclick-b3"),
    "FocalClick HRNet32": Made(reason="FocalClick is built on SegFormer alone"),
    "SAM ViT-B": FROZEN,
    "SAM-HQ ViT-B": Made("sam-hq-vit-b-decoder"),
    "SegNext ViT-B": Made("segnext-b"),
    "SegNext ViT-B (COCO+LVIS)": Made("segnext-b"),
    "SimpleClick ViT-B": Made("simpleclick-b"),
    "SimpleClick ViT-B (SBD)": Made("simpleclick-b"),
    "SimpleClick ViT-B (COCO+LVIS)": Made("simpleclick-b"),
    "MFP ViT-B": Made("mfp-b"),
    "MFP ViT-B (COCO+LVIS)": Made("mfp-b"),
    "SimpleClick ViT-B, fine-tuned": Made("simpleclick-class"),
    "MFP ViT-B, fine-tuned": Made("mfp-class"),
    "CrossCut ViT-B": Made("crosscut-b", "+divisions=2,3,4"),
    "RS-ISRefiner ViT-B": Made("isrefiner-b"),
    "RefCut ViT-B (SBD)": Made("refcut-b"),
    "RefCut ViT-B (COCO+LVIS)": Made("refcut-b"),
    "SimpleClick": Made("simpleclick-b"),
    "SimpleClick-CFR": Made("simpleclick-b", "+cfr"),
    "ICL": Made("simpleclick-icl"),
    "ICL-CFR": Made("simpleclick-icl", "+cfr"),
    "RITM": Made("ritm-hrnet32"),
    "RITM-CFR": Made("ritm-hrnet32", "+cfr"),
}
"""Methods that several tables name alike. Before fine-tuning a row is the same recipe on COCO+LVIS."""

PATCHES = {
    "baseline": Made("crosscut-no-cpe", "+divisions=2"),
    "baseline + CPE": Made("crosscut-b", "+divisions=2"),
    "baseline + CPE + MDF": Made("crosscut-b", "+divisions=2,3,4"),
}
SHOWN = ("none", "positive", "negative", "both")
OWN: Mapping[str, Mapping[str, Made]] = {
    "crosscut-2": PATCHES,
    "crosscut-3": PATCHES,
    "crosscut-4": {
        "2 × 2 patches": Made("crosscut-b", "+divisions=2"),
        "3 × 3 patches": Made("crosscut-b", "+divisions=3"),
        "4 × 4 patches": Made("crosscut-b", "+divisions=4"),
        "MDF": Made("crosscut-b", "+divisions=2,3,4"),
    },
    "isrefiner-3": {
        "pretrained weights": Made("mfp-b", "on COCO+LVIS"),
        "full fine-tuning": Made("isrefiner-full"),
        "LoRA fine-tuning, rank 16": Made("mfp-lora"),
        "RS-ISRefiner": Made("isrefiner-b"),
    },
    "isrefiner-6": {
        "neither": Made("isrefiner-no-features"),
        "F_ViT alone": Made("isrefiner-no-hq"),
        "F_HQ alone": Made("isrefiner-no-vit"),
        "F_ViT and F_HQ": Made("isrefiner-b"),
    },
    "isrefiner-7": {
        "θ = 1": Made("isrefiner-theta-1"),
        "θ = 0.5": Made("isrefiner-theta-half"),
        "learned θ": Made("isrefiner-b"),
    },
    "isrefiner-8": {
        "the first block alone": Made("isrefiner-early-2"),
        "the second block alone": Made("isrefiner-early-3"),
        "fixed fusion": Made("isrefiner-early-fixed"),
        "gated fusion": Made("isrefiner-b"),
    },
    "isrefiner-9": {"original": Made("isrefiner-mfp-modulation"), "RS-ISRefiner": Made("isrefiner-b")},
    "segmap-10": {
        "SimpleClick": Made("simpleclick-rgbir"),
        "SimpleClick-CFR": Made("simpleclick-rgbir", "clicked with +cfr; the verbs show a network three bands so far"),
    },
    "refcut-2": {
        "PerSAM + IS": STRANGER,
        "Matcher + IS": STRANGER,
        "SLiMe + IS": STRANGER,
        "RefCut": Made("refcut-b"),
    },
    "refcut-3": {
        shown: Made("refcut-b", f"--references {shown}") for shown in ("none", "positive", "negative", "both")
    },
    "refcut-4": {"baseline": Made("refcut-no-reference"), "RefCut": Made("refcut-b")},
    "bicor-1": {"BiCoR-Seg": Made("loveda-bicor")},
    "bicor-2": {"BiCoR-Seg": Made("vaihingen-bicor")},
    "bicor-3": {"BiCoR-Seg": Made("potsdam-bicor")},
    "bicor-4": {
        "baseline": Made("loveda-attention"),
        "HBIS": Made("loveda-hbis"),
        "HBIS + Fisher loss": Made("loveda-hbis-fisher"),
        "HBIS + heatmap loss": Made("loveda-hbis-heat"),
        "HBIS + both": Made("loveda-val"),
    },
    "bicor-5": {
        "L = 1": Made("loveda-layers-1"),
        "L = 2": Made("loveda-val"),
        "L = 3": Made("loveda-layers-3"),
    },
}
"""Rows that mean something in their own table."""

NOT_BUILT = frozenset(
    "FCN,U-Net,PSPNet,LinkNet,UNet++,DeepLabv3+,SemanticFPN,FarSeg,SegFormer,BANet,UNetFormer,RSSFormer,TransUNet,"
    "Hi-ResNet,SFA-Net,AFENet,DMA-Net,DANet,TreeUNet,SegViT,CTFNet,LSRFormer,CDNet ResNet34,GPCIS ResNet50,"
    "PiClick ViT-B,AdaptiveClick ViT-B,MST ViT-B,EMC-Click HRNet-32,GPCIS ResNet-50,FCFI HRNet-18,"
    "CDNet ResNet-34 (SBD),FocusCut ResNet-101 (SBD),GPCIS ResNet-50 (SBD),FCFI ResNet-101 (SBD),GraCo ViT-B (SBD),"
    "CDNet ResNet-34 (COCO+LVIS),EMC-Click HRNet-32 (COCO+LVIS),FCFI HRNet-18 (COCO+LVIS),"
    "GraCo ViT-B (COCO+LVIS)".split(",")
)
"""Networks of other papers."""


def _made(table: str, row: str) -> Made:
    """How a row is made. Raises KeyError for one that nobody has thought of."""
    own = OWN.get(table, {})
    if row in own:
        return own[row]
    return STRANGER if row in NOT_BUILT else CLICKED[row.removesuffix(", before")]


ROWS: Mapping[tuple[str, str], Made] = {
    (name, row): _made(name, row) for name, one in TABLES.items() for row in one.rows
}
"""(table, row) → how it is made."""


def rows_page() -> str:
    """The rows of every table with their recipes, in Markdown."""
    parts = []
    for name, table in TABLES.items():
        lines = []
        for row in table.rows:
            made = ROWS[name, row]
            recipe = f"`{made.recipe}`" if made.recipe else f"none: {made.reason}"
            asked = f"`{made.asked}`" if made.asked.startswith(("+", "--")) else made.asked
            lines.append(f"| {row} | {recipe} | {asked} |")
        if lines:
            heads = "| row | trained by | clicked with |\n|---|---|---|"
            parts.append(f"### {table.title}\n\n{heads}\n" + "\n".join(lines))
    return "\n\n".join(["## Rows of the papers' tables", *parts])
