"""Tables of the papers: what each column is, what each method reached, and which prepared sets it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from terraclick.datasets.catalogue import declaration_of
from terraclick.errors import UnknownName
from terraclick.values import Target

__all__ = ["TABLES", "Column", "Table", "table_of"]


@dataclass(frozen=True)
class Column:
    """One figure: of which prepared set and class, `noc`, `nof` or `miou`, at which percentage or number of clicks."""

    dataset: str
    figure: str
    at: str
    cls: str = "all"

    @property
    def heading(self) -> str:
        """As the head of the table says it."""
        named = {"noc": f"NoC@{self.at}", "nof": f"NoF@{self.at}", "miou": f"mIoU@{self.at}"}[self.figure]
        return f"{self.dataset} {named}" if self.cls == "all" else f"{self.dataset} {self.cls} {named}"


@dataclass(frozen=True)
class Table:
    """A table: its protocol (a preset of the benchmark), its columns and the published numbers, a row a method."""

    name: str
    title: str
    preset: str
    target: Target
    columns: tuple[Column, ...]
    rows: Mapping[str, tuple[float, ...]]
    drawn: Mapping[str, int] = field(default_factory=dict)
    """Set → how many tasks the paper draws from it."""
    remark: str = ""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows.values()), self.name

    @property
    def datasets(self) -> tuple[str, ...]:
        """The prepared sets it needs, in order."""
        return tuple(dict.fromkeys(column.dataset for column in self.columns))


def _columns(
    datasets: Sequence[str], figure: str, levels: Sequence[int], classes: Sequence[str] = ("all",)
) -> tuple[Column, ...]:
    return tuple(Column(d, figure, str(level), cls) for d in datasets for cls in classes for level in levels)


CROSSCUT = ("isaid", "deepglobe", "inria")
ISREFINER = ("isaid", "sandbar", "nwpu", "loveda", "whu")
DRAWN = {name: declaration_of(name).drawn["isrefiner"] for name in ISREFINER}
PARTS = ("partimagenet", "pascal-part", "tda")
LAND = ("impervious_surface", "building", "low_vegetation", "tree", "car")

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "crosscut-1",
            "CrossCut, table 1: clicks on three sets",
            "crosscut",
            Target.CLASS,
            _columns(CROSSCUT, "noc", (70, 75, 80)),
            {
                "SAM ViT-B": (15.63, 16.24, 16.87, 18.99, 19.43, 19.73, 18.05, 18.70, 19.23),
                "SegNext ViT-B": (14.64, 15.36, 16.13, 18.15, 18.62, 19.07, 15.51, 16.44, 17.41),
                "SimpleClick ViT-B": (14.08, 14.71, 15.39, 17.60, 18.12, 18.69, 15.24, 16.39, 17.35),
                "MFP ViT-B": (13.77, 14.47, 15.20, 17.69, 18.24, 18.74, 14.64, 15.82, 16.85),
                "SimpleClick ViT-B, fine-tuned": (11.71, 12.75, 13.91, 13.12, 15.04, 16.62, 4.88, 7.90, 11.61),
                "MFP ViT-B, fine-tuned": (11.65, 12.68, 13.77, 13.86, 15.50, 16.91, 5.68, 8.26, 11.91),
                "CrossCut ViT-B": (9.19, 10.21, 11.63, 7.11, 9.71, 12.60, 2.14, 2.97, 4.68),
            },
        ),
        Table(
            "crosscut-2",
            "CrossCut, table 2: mean IoU with and without CPE and MDF",
            "crosscut",
            Target.CLASS,
            _columns(CROSSCUT, "miou", (5, 10, 20)),
            {
                "baseline": (57.22, 66.77, 71.82, 55.25, 67.93, 76.12, 63.09, 80.50, 85.11),
                "baseline + CPE": (60.11, 67.60, 72.17, 69.72, 74.93, 79.17, 82.60, 84.85, 86.84),
                "baseline + CPE + MDF": (61.17, 69.10, 73.67, 70.61, 75.91, 80.23, 83.06, 85.26, 87.28),
            },
            remark="`crosscut-b+divisions=2` is CPE alone, `crosscut-b+divisions=2,3,4` is CPE and MDF.",
        ),
        Table(
            "isrefiner-1",
            "RS-ISRefiner, table I: clicks on five sets",
            "isrefiner",
            Target.OBJECT,
            _columns(ISREFINER, "noc", (80, 85, 90)),
            {
                "RITM HRNet32": (
                    *(2.37, 3.74, 6.71, 5.11, 8.29, 13.54, 3.25, 4.51, 7.17),
                    *(6.73, 8.36, 10.82, 3.82, 5.41, 9.00),
                ),
                "FocalClick HRNet32": (
                    *(6.14, 8.28, 12.14, 8.78, 11.85, 15.29, 5.74, 7.78, 10.70),
                    *(9.24, 11.84, 15.14, 7.51, 10.06, 14.24),
                ),
                "SimpleClick ViT-B": (
                    *(2.40, 3.76, 6.66, 5.25, 8.22, 13.34, 3.08, 4.57, 7.12),
                    *(6.82, 8.33, 10.62, 3.64, 5.08, 8.42),
                ),
                "MFP ViT-B": (
                    *(2.20, 3.46, 6.62, 4.63, 7.91, 12.97, 3.24, 4.56, 7.30),
                    *(7.13, 8.79, 11.62, 4.01, 5.63, 9.28),
                ),
                "RS-ISRefiner ViT-B": (
                    *(2.25, 3.38, 6.51, 4.54, 7.67, 12.90, 2.53, 3.83, 6.56),
                    *(5.99, 7.62, 10.19, 3.65, 5.03, 8.42),
                ),
            },
            DRAWN,
        ),
        Table(
            "isrefiner-2",
            "RS-ISRefiner, table II: tasks that 20 clicks do not finish",
            "isrefiner",
            Target.OBJECT,
            _columns(ISREFINER, "nof", (80, 85, 90)),
            {
                "RITM HRNet32": (17, 55, 151, 37, 133, 336, 26, 92, 336, 45, 72, 135, 92, 170, 501),
                "FocalClick HRNet32": (78, 151, 346, 131, 259, 405, 116, 300, 682, 111, 198, 358, 289, 544, 1131),
                "SimpleClick ViT-B": (18, 50, 137, 45, 130, 317, 17, 120, 345, 31, 54, 93, 82, 144, 405),
                "MFP ViT-B": (19, 43, 144, 36, 116, 314, 51, 130, 378, 38, 66, 158, 147, 158, 491),
                "RS-ISRefiner ViT-B": (14, 30, 113, 21, 100, 305, 3, 72, 299, 27, 50, 100, 85, 160, 422),
            },
            DRAWN,
            "NoF counts a success at the twentieth click as a failure, as RITM's program does.",
        ),
        Table(
            "segmap-5",
            "SegMap, table 5: Vaihingen, after fine-tuning",
            "segmap",
            Target.OBJECT,
            _columns(("vaihingen",), "noc", (80, 85, 90, 95)),
            {
                "SimpleClick": (4.16, 5.7, 8.43, 14.19),
                "SimpleClick-CFR": (4.16, 5.67, 8.34, 14.22),
                "ICL": (5.24, 6.95, 10.16, 15.72),
                "ICL-CFR": (5.17, 6.92, 10.21, 15.73),
                "RITM": (4.81, 6.6, 9.65, 15.19),
                "RITM-CFR": (4.84, 6.47, 9.62, 15.15),
            },
        ),
        *(
            Table(
                f"segmap-{number}",
                f"SegMap, table {number}: classes of Potsdam, {bands}",
                "segmap",
                Target.OBJECT,
                _columns((f"potsdam_{bands.lower()}",), "noc", (80, 95), LAND),
                rows,
            )
            for number, bands, rows in (
                (
                    6,
                    "RGB",
                    {
                        "SimpleClick": (3.53, 12.33, 1.85, 4.63, 4.11, 13.49, 3.22, 12.45, 1.76, 10.45),
                        "SimpleClick-CFR": (3.55, 12.28, 1.83, 4.69, 4.17, 13.47, 3.27, 12.36, 1.79, 10.46),
                        "RITM": (4.46, 14.62, 2.30, 6.14, 4.89, 15.22, 4.11, 14.55, 2.09, 11.95),
                        "RITM-CFR": (4.42, 14.48, 2.31, 6.20, 4.82, 15.07, 4.01, 14.58, 2.01, 11.86),
                    },
                ),
                (
                    7,
                    "IRRG",
                    {
                        "SimpleClick": (3.55, 12.25, 1.79, 4.68, 4.17, 13.51, 3.14, 12.30, 1.85, 10.40),
                        "SimpleClick-CFR": (3.55, 12.24, 1.78, 4.67, 4.18, 13.42, 3.12, 12.27, 1.83, 10.48),
                        "RITM": (4.62, 15.00, 2.51, 6.58, 5.33, 15.47, 4.47, 15.13, 2.19, 12.38),
                        "RITM-CFR": (4.68, 14.92, 2.52, 6.63, 5.30, 15.38, 4.49, 15.09, 2.16, 12.20),
                    },
                ),
            )
        ),
        Table(
            "refcut-1",
            "RefCut, table 1: combinations of parts",
            "refcut-combinations",
            Target.OBJECT,
            _columns(PARTS, "noc", (80, 85, 90)),
            {
                "SAM ViT-B": (8.87, 11.25, 14.57, 12.60, 14.86, 17.31, 2.96, 4.16, 7.01),
                "SimpleClick ViT-B (SBD)": (3.15, 4.08, 6.21, 6.94, 8.76, 11.76, 2.07, 2.47, 3.60),
                "RefCut ViT-B (SBD)": (2.41, 3.31, 5.42, 6.40, 8.26, 11.36, 1.84, 2.20, 3.33),
                "MFP ViT-B (COCO+LVIS)": (3.98, 5.12, 7.45, 6.90, 8.66, 11.61, 1.84, 2.13, 3.10),
                "SimpleClick ViT-B (COCO+LVIS)": (3.06, 3.97, 6.02, 6.83, 8.59, 11.53, 1.95, 2.30, 3.37),
                "RefCut ViT-B (COCO+LVIS)": (2.35, 3.20, 5.26, 6.36, 8.14, 11.14, 1.72, 2.03, 3.06),
            },
        ),
        Table(
            "refcut-4",
            "RefCut, table 4: parts, pairs and wholes of PartImageNet",
            "refcut-combinations",
            Target.OBJECT,
            _columns(("partimagenet",), "noc", (80, 85), ("part", "dual", "whole", "all")),
            {
                "baseline": (3.62, 4.80, 3.28, 4.18, 1.44, 1.69, 3.15, 4.08),
                "RefCut": (2.79, 3.98, 2.40, 3.21, 1.19, 1.40, 2.41, 3.31),
            },
        ),
    )
}
"""The tables by name. Numbers are those of the papers."""


def table_of(name: str) -> Table:
    """A table by name. Raises UnknownName with the list."""
    if name not in TABLES:
        raise UnknownName(f"no table {name!r}. Known: {', '.join(TABLES)}.")
    return TABLES[name]
