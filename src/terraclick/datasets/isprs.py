"""ISPRS Potsdam and Vaihingen: six classes of land cover at 5 and 9 cm, with infrared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from terraclick.datasets.declaration import Declaration, Labelling, Scan, Scene, Settings
from terraclick.datasets.sources import files_below, nothing_found, pairs, read_colour_classes
from terraclick.datasets.splits import by_lists, by_shares
from terraclick.errors import BadData

__all__ = ["DECLARATIONS", "POTSDAM_SHARES", "VAIHINGEN_SHARES"]

POTSDAM = (
    "2_Ortho_RGB/top_potsdam_2_10_RGB.tif, 3_Ortho_IRRG/top_potsdam_2_10_IRRG.tif or "
    "4_Ortho_RGBIR/top_potsdam_2_10_RGBIR.tif, and 5_Labels_all/top_potsdam_2_10_label.tif"
)
VAIHINGEN = "top/top_mosaic_09cm_area1.tif and the complete ground truth's top_mosaic_09cm_area1.tif"
CLASSES = {0: "impervious_surface", 1: "building", 2: "low_vegetation", 3: "tree", 4: "car", 5: "clutter"}
COLOURS = {(255, 255, 255): 0, (0, 0, 255): 1, (0, 255, 255): 2, (0, 255, 0): 3, (255, 255, 0): 4, (255, 0, 0): 5}
POTSDAM_SHARES = {"train": 32, "test": 6}
VAIHINGEN_SHARES = {"train": 27, "test": 6}
SETS = {"RGB": ("RGB", "RGBIR"), "IRRG": ("IRRG", "RGBIR"), "RGBIR": ("RGBIR",)}
FROM_FOUR = {"RGB": (1, 2, 3), "IRRG": (4, 1, 2), "RGBIR": (1, 2, 3, 4)}

BICOR_POTSDAM = {
    "val": ["2_10"],
    "test": "2_13 2_14 3_13 3_14 4_13 4_14 4_15 5_13 5_14 5_15 6_13 6_14 6_15 7_13".split(),
    "train": "2_11 2_12 3_10 3_11 3_12 4_10 4_11 4_12 5_10 5_11 5_12 6_7 6_8 6_9 6_10 6_11 6_12 "
    "7_7 7_8 7_9 7_11 7_12".split(),
}
BICOR_VAIHINGEN = {
    "val": ["30"],
    "test": "2 4 6 8 10 12 14 16 20 22 24 27 29 31 33 35 38".split(),
    "train": "1 3 5 7 11 13 15 17 21 23 26 28 32 34 37".split(),
}


def scan_potsdam(source: Path, settings: Settings) -> Scan:
    """Pictures of the band set asked for, taken out of the four-band files where its own are not there."""
    files = files_below(source, (".tif", ".tiff"))
    labels = _areas(files, r"potsdam_0*(\d+)_0*(\d+)_label$")
    wanted = settings.bands or "RGB"
    for kind in SETS[wanted]:
        images = _areas(files, rf"potsdam_0*(\d+)_0*(\d+)_{kind}$")
        if images:
            break
    else:
        raise nothing_found(source, POTSDAM, f"pictures of the band set {wanted}")
    bands = FROM_FOUR[wanted] if kind == "RGBIR" else (1, 2, 3)
    found = pairs(images, labels, source, POTSDAM)
    dealt = _dealt([name for name, _, _ in found], settings, POTSDAM_SHARES, BICOR_POTSDAM, "potsdam")
    scenes = (
        Scene(f"potsdam_{name}", dealt[name], image, (label,), gsd=0.05, bands=bands)
        for name, image, label in found
        if name in dealt
    )
    return Scan(tuple(scenes))


def scan_vaihingen(source: Path, settings: Settings) -> Scan:
    """Pictures of all areas with a label; labels with eroded borders are not taken."""
    files = [path for path in files_below(source, (".tif", ".tiff")) if "noboundary" not in path.stem.lower()]
    tops = [path for path in files if path.parent.name.lower() == "top"]
    others = [path for path in files if path.parent.name.lower() not in ("top", "dsm", "ndsm")]
    images, labels = (_areas(paths, r"mosaic_09cm_area(\d+)$") for paths in (tops, others))
    if images and len(labels) < len(images):
        raise BadData(
            f"{source} has {len(images)} pictures and {len(labels)} labels: get the complete ground truth "
            "(ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE)."
        )
    found = pairs(images, labels, source, VAIHINGEN)
    dealt = _dealt([name for name, _, _ in found], settings, VAIHINGEN_SHARES, BICOR_VAIHINGEN, "vaihingen")
    scenes = (
        Scene(f"area{name}", dealt[name], image, (label,), gsd=0.09, bands=(1, 2, 3))
        for name, image, label in found
        if name in dealt
    )
    return Scan(tuple(scenes))


def _areas(files: Sequence[Path], pattern: str) -> dict[str, Path]:
    found = {}
    for path in files:
        match = re.search(pattern, path.stem, re.IGNORECASE)
        if match:
            found["_".join(match.groups())] = path
    return found


def _dealt(
    names: list[str], settings: Settings, shares: dict[str, int], lists: dict[str, list[str]], what: str
) -> dict[str, str]:
    return by_lists(names, lists, what) if settings.deal == "benchmark" else by_shares(names, shares, settings.seed)


def read(scene: Scene) -> Labelling:
    """Classes by colour; a channel counts as full from 128 on, as some published labels are not clean."""
    return Labelling(((read_colour_classes(scene.labels[0], COLOURS, clean=False), None),))


DEALS = {
    "seed": "all labelled pictures by the seed, in the ratio of the paper's numbers",
    "benchmark": "the lists of GeoSeg and BiCoR-Seg: test pictures of the ISPRS benchmark, one for validation",
}
REMARK = (
    "The paper does not name its six test pictures. The smallest object it mentions has 0.075 m², so parts of fewer "
    "pixels are left out. `clutter` is no object."
)

DECLARATIONS = (
    Declaration(
        name="potsdam",
        title="ISPRS Potsdam: land cover at 5 cm, four bands",
        source="ISPRS 2D semantic labeling, Potsdam (isprs.org); on request, for research",
        layout=POTSDAM,
        scan=scan_potsdam,
        read=read,
        protocols={
            "segmap": Settings(crop=600, bands="RGB", min_area=30, keep_empty=True),
            "isrefiner": Settings(crop=800, bands="RGB", classes=("building", "car")),
            "bicor": Settings(crop=1024, bands="RGB", keep_empty=True, deal="benchmark"),
        },
        classes=CLASSES,
        gsd="0.05 m",
        bands={
            "RGB": "red, green, blue (the paper's PRGB)",
            "IRRG": "infrared, red, green (PRGIR)",
            "RGBIR": "all four (PRGBIR); pictures show red, green and blue",
        },
        deals=DEALS,
        counts={
            ("segmap", "train pictures"): 3200,
            ("segmap", "train objects"): 47152,
            ("segmap", "test pictures"): 600,
            ("segmap", "test objects"): 10365,
        },
        remarks=REMARK,
    ),
    Declaration(
        name="vaihingen",
        title="ISPRS Vaihingen: land cover at 9 cm, infrared",
        source="ISPRS 2D semantic labeling, Vaihingen (isprs.org); on request, for research",
        layout=VAIHINGEN,
        scan=scan_vaihingen,
        read=read,
        protocols={
            "segmap": Settings(crop=600, overlap=350, min_area=9, keep_empty=True),
            "bicor": Settings(crop=1024, keep_empty=True, deal="benchmark"),
        },
        classes=CLASSES,
        gsd="0.09 m",
        bands={"IRRG": "infrared, red, green (the paper's VRGIR), all that is published"},
        deals=DEALS,
        counts={
            ("segmap", "train pictures"): 1770,
            ("segmap", "train objects"): 20102,
            ("segmap", "test pictures"): 385,
            ("segmap", "test objects"): 4651,
        },
        remarks=REMARK
        + " 1770 and 385 patches need overlapping crops, which the paper does not mention: a step of 250 px comes "
        "closest to their sum.",
    ),
)
