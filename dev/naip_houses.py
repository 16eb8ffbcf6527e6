"""One click a house on NAIP pictures of 0.6 m: is the answer one house, or several run together?

    python dev/naip_houses.py OUT [--weights FOLDER]

Twenty houses were outlined by hand from the pictures (corners below, in quarter pixels). A house counts as single where
the answer covers at least 70 % of its outline and is at most 1.5 times as large. OUT receives a picture of each tile.
Setting TERRACLICK_SHARED names the folder of development data.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import numpy as np
import rasterio

from terraclick import outlines
from terraclick.catalogue import load

RASTERS = Path(os.environ.get("TERRACLICK_SHARED", "../shared")) / "data" / "rasters"
ZOOM = 4


def _box(left: int, top: int, right: int, bottom: int) -> list[tuple[int, int]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


# tile → [(click, corners)], x and y in quarter pixels
HOUSES: dict[str, list[tuple[tuple[int, int], list[tuple[int, int]]]]] = {
    "chico_2020_97": [
        ((690, 215), _box(622, 150, 748, 276)),
        ((690, 350), _box(628, 290, 778, 415)),
        ((700, 480), _box(628, 425, 768, 552)),
        ((710, 615), _box(635, 562, 778, 672)),
        ((700, 745), _box(632, 695, 764, 820)),
        ((715, 900), _box(635, 845, 790, 955)),
        ((360, 510), _box(300, 460, 428, 565)),
        ((365, 635), _box(312, 572, 425, 700)),
        ((190, 590), _box(110, 548, 268, 650)),
        ((190, 735), _box(128, 672, 250, 798)),
    ],
    "long_beach_2018_20": [
        ((275, 430), [(233, 408), (300, 385), (320, 450), (262, 475)]),
        ((590, 462), [(540, 455), (585, 415), (636, 468), (592, 508)]),
        ((550, 345), [(497, 335), (575, 295), (605, 355), (527, 397)]),
        ((808, 570), [(764, 560), (797, 508), (832, 512), (855, 560), (852, 605), (765, 598)]),
        ((310, 545), [(250, 530), (340, 500), (370, 545), (290, 592)]),
        ((380, 622), [(333, 622), (385, 575), (430, 628), (380, 668)]),
        ((80, 715), [(22, 710), (115, 657), (145, 705), (55, 778)]),
        ((700, 515), [(652, 505), (675, 465), (740, 490), (710, 572)]),
    ],
    "bishop_2020_0": [
        ((480, 450), _box(450, 405, 543, 495)),
        ((500, 690), [(483, 600), (537, 600), (537, 748), (450, 748), (450, 640), (483, 640)]),
    ],
}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("out", type=Path)
    words.add_argument("--weights", type=Path)
    given = words.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    model = load("terra") if given.weights is None else load("terra", weights=given.weights)
    single, overlaps = 0, []
    for tile, houses in HOUSES.items():
        path = RASTERS / f"naip60cm_rgbn_{tile}.tif"
        with rasterio.open(path) as source:
            transform, shape = source.transform, source.shape
            picture = source.read([1, 2, 3]).transpose(1, 2, 0)
        canvas = cv2.resize(picture[..., ::-1], None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
        clicks = [[(*(transform @ (x / ZOOM, y / ZOOM)), True)] for (x, y), _ in houses]
        found = list(outlines(str(path), clicks, model=model))
        for outline, (_, corners) in zip(found, houses, strict=True):
            truth = np.zeros((shape[0] * ZOOM, shape[1] * ZOOM), np.uint8)
            cv2.fillPoly(truth, [np.array(corners, np.int32)], 1)
            mask = np.zeros_like(truth)
            for part in getattr(outline.geometry, "geoms", [outline.geometry]):
                ring = [~transform @ place for place in part.exterior.coords]
                points = np.rint(np.array(ring) * ZOOM).astype(np.int32)
                cv2.fillPoly(mask, [points], 1)
                cv2.polylines(canvas, [points], True, (0, 255, 255), 2)
            both, either = np.count_nonzero(mask & truth), np.count_nonzero(mask | truth)
            fits = both >= 0.7 * truth.sum() and mask.sum() <= 1.5 * truth.sum()
            single += fits
            overlaps.append(both / either)
            cv2.polylines(canvas, [np.array(corners, np.int32)], True, (0, 255, 0) if fits else (0, 0, 255), 1)
        for (x, y), _ in houses:
            cv2.circle(canvas, (x, y), 5, (255, 255, 255), -1)
        cv2.imwrite(str(given.out / f"{tile}.jpg"), canvas)
    print(f"{single} of {len(overlaps)} single houses, mean IoU {np.mean(overlaps):.3f}")


if __name__ == "__main__":
    main()
