"""Tables of RefCut."""

from terraclick.evaluate.published.table import Column, Table, columns, rows
from terraclick.values import Target

__all__ = ["TABLES"]

SETS = ("partimagenet", "pascal-part", "tda")


def _with_first_click(dataset: str) -> tuple[Column, ...]:
    return (*columns((dataset,), "noc", (80, 85, 90)), Column(dataset, "miou", "1"))


def _table(number: int, title: str, chosen: tuple[Column, ...], text: str, remark: str = "") -> Table:
    name, said = f"refcut-{number}", f"RefCut, table {number}: {title}"
    return Table(name, said, "refcut-combinations", Target.OBJECT, chosen, rows(text), remark)


TABLES = (
    _table(
        1,
        "combinations of parts",
        columns(SETS, "noc", (80, 85, 90)),
        """
            SAM ViT-B: 8.87 11.25 14.57 12.60 14.86 17.31 2.96 4.16 7.01
            CDNet ResNet-34 (SBD): 7.62 9.49 12.24 11.47 13.43 15.92 4.22 5.29 7.49
            RITM HRNet-18 (SBD): 5.69 7.28 10.00 8.32 10.26 13.30 3.31 4.02 5.58
            FocusCut ResNet-101 (SBD): 5.25 6.84 9.66 7.38 9.35 12.40 2.86 3.51 5.16
            GPCIS ResNet-50 (SBD): 5.20 6.58 9.08 8.40 10.26 13.07 2.84 3.41 4.84
            FCFI ResNet-101 (SBD): 5.89 7.74 10.78 8.31 10.45 13.66 3.51 4.54 6.56
            SimpleClick ViT-B (SBD): 3.15 4.08 6.21 6.94 8.76 11.76 2.07 2.47 3.60
            GraCo ViT-B (SBD): 3.84 5.15 7.69 6.52 8.49 11.73 2.56 3.04 4.31
            RefCut ViT-B (SBD): 2.41 3.31 5.42 6.40 8.26 11.36 1.84 2.20 3.33
            CDNet ResNet-34 (COCO+LVIS): 5.33 7.04 10.04 8.75 10.97 14.14 2.25 2.86 4.53
            RITM HRNet-32 (COCO+LVIS): 4.49 5.79 8.29 7.22 9.02 12.03 2.01 2.41 3.44
            FocalClick SegF-B3 (COCO+LVIS): 4.28 5.45 7.76 7.73 9.47 12.24 2.01 2.39 3.44
            EMC-Click HRNet-32 (COCO+LVIS): 4.36 5.63 8.14 7.58 9.21 12.09 1.91 2.28 3.19
            FCFI HRNet-18 (COCO+LVIS): 4.67 6.09 8.71 7.41 9.28 12.38 2.14 2.50 3.63
            SegNext ViT-B (COCO+LVIS): 4.82 6.13 8.64 8.16 10.08 13.10 2.00 2.38 3.37
            MFP ViT-B (COCO+LVIS): 3.98 5.12 7.45 6.90 8.66 11.61 1.84 2.13 3.10
            SimpleClick ViT-B (COCO+LVIS): 3.06 3.97 6.02 6.83 8.59 11.53 1.95 2.30 3.37
            GraCo ViT-B (COCO+LVIS): 3.45 4.60 6.98 6.29 8.18 11.31 1.99 2.40 3.44
            RefCut ViT-B (COCO+LVIS): 2.35 3.20 5.26 6.36 8.14 11.14 1.72 2.03 3.06
        """,
    ),
    _table(
        2,
        "one-shot segmentation with clicks",
        _with_first_click("partimagenet"),
        """
            PerSAM + IS: 3.50 4.43 6.48 52.48
            Matcher + IS: 2.89 3.84 5.93 64.99
            SLiMe + IS: 2.77 3.75 5.90 64.23
            RefCut: 2.41 3.31 5.42 74.74
        """,
        "The first three methods are not built here.",
    ),
    _table(
        3,
        "which masks of the example are shown",
        tuple(column for dataset in SETS for column in _with_first_click(dataset)),
        """
            none: 3.15 4.08 6.21 60.14 6.94 8.76 11.76 35.80 2.07 2.47 3.60 66.01
            positive: 2.45 3.34 5.46 73.99 6.58 8.44 11.51 42.27 1.92 2.27 3.38 71.82
            negative: 2.49 3.40 5.52 72.87 6.50 8.36 11.43 42.76 1.87 2.23 3.39 71.93
            both: 2.41 3.31 5.42 74.74 6.40 8.26 11.36 44.16 1.84 2.20 3.33 73.12
        """,
        "Choose the row with `--references none`, `positive`, `negative` or `both`.",
    ),
    _table(
        4,
        "parts, pairs and wholes of PartImageNet",
        columns(("partimagenet",), "noc", (80, 85), ("part", "dual", "whole", "all")),
        """
            baseline: 3.62 4.80 3.28 4.18 1.44 1.69 3.15 4.08
            RefCut: 2.79 3.98 2.40 3.21 1.19 1.40 2.41 3.31
        """,
        "The paper counts 7162 parts, 4980 pairs and 2353 wholes, 14495 tasks together.",
    ),
)
