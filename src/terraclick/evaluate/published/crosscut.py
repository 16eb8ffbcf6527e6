"""Tables of CrossCut."""

from terraclick.evaluate.published.table import Table, columns, rows
from terraclick.values import Target

__all__ = ["TABLES"]

SETS = ("isaid", "deepglobe", "inria")

TABLES = (
    Table(
        "crosscut-1",
        "CrossCut, table 1: clicks on three sets",
        "crosscut",
        Target.CLASS,
        columns(SETS, "noc", (70, 75, 80)),
        rows("""
            RITM HRNet-32: 13.97 14.52 15.32 18.55 19.00 19.39 16.28 17.07 17.83
            FocalClick SegF-B3: 15.04 15.47 15.98 17.96 18.46 18.91 16.31 17.11 17.88
            EMC-Click HRNet-32: 17.09 17.44 17.81 18.71 19.11 19.43 17.28 18.00 18.57
            GPCIS ResNet-50: 15.53 16.07 16.61 19.57 19.70 19.81 17.27 17.86 18.44
            FCFI HRNet-18: 14.51 15.06 15.62 18.69 19.15 19.49 16.40 17.15 17.84
            SAM ViT-B: 15.63 16.24 16.87 18.99 19.43 19.73 18.05 18.70 19.23
            SegNext ViT-B: 14.64 15.36 16.13 18.15 18.62 19.07 15.51 16.44 17.41
            SimpleClick ViT-B: 14.08 14.71 15.39 17.60 18.12 18.69 15.24 16.39 17.35
            MFP ViT-B: 13.77 14.47 15.20 17.69 18.24 18.74 14.64 15.82 16.85
            SimpleClick ViT-B, fine-tuned: 11.71 12.75 13.91 13.12 15.04 16.62 4.88 7.90 11.61
            MFP ViT-B, fine-tuned: 11.65 12.68 13.77 13.86 15.50 16.91 5.68 8.26 11.91
            CrossCut ViT-B: 9.19 10.21 11.63 7.11 9.71 12.60 2.14 2.97 4.68
        """),
    ),
    Table(
        "crosscut-2",
        "CrossCut, table 2: mean IoU with and without CPE and MDF",
        "crosscut",
        Target.CLASS,
        columns(SETS, "miou", (5, 10, 20)),
        rows("""
            baseline: 57.22 66.77 71.82 55.25 67.93 76.12 63.09 80.50 85.11
            baseline + CPE: 60.11 67.60 72.17 69.72 74.93 79.17 82.60 84.85 86.84
            baseline + CPE + MDF: 61.17 69.10 73.67 70.61 75.91 80.23 83.06 85.26 87.28
        """),
        "By table 4, CPE alone divides into 3 × 3 patches: `crosscut-b+divisions=3`. CPE and MDF is "
        "`crosscut-b+divisions=2,3,4`, the baseline a network trained by the recipe `crosscut-no-cpe`.",
    ),
    Table(
        "crosscut-3",
        "CrossCut, table 3: clicks with and without CPE and MDF",
        "crosscut",
        Target.CLASS,
        columns(SETS, "noc", (70, 75, 80)),
        rows("""
            baseline: 10.13 11.21 12.59 12.02 13.68 15.51 7.06 8.27 10.39
            baseline + CPE: 9.61 10.69 12.16 7.68 10.30 13.30 2.17 3.08 5.00
            baseline + CPE + MDF: 9.19 10.21 11.63 7.11 9.71 12.60 2.14 2.97 4.68
        """),
        "See table 2 for the names of the rows.",
    ),
    Table(
        "crosscut-4",
        "CrossCut, table 4: numbers of patches on DeepGlobe",
        "crosscut",
        Target.CLASS,
        columns(("deepglobe",), "miou", (5, 10, 20)),
        rows("""
            2 × 2 patches: 69.41 73.95 77.72
            3 × 3 patches: 69.72 74.93 79.17
            4 × 4 patches: 68.07 73.76 78.74
            MDF: 70.61 75.91 80.23
        """),
        "N × N patches are `crosscut-b+divisions=N`, MDF is `crosscut-b+divisions=2,3,4`.",
    ),
)
