"""NWPU VHR-10 with outlines: ten classes of objects in 650 pictures."""

from __future__ import annotations

from terraclick.datasets.coco_scenes import read_coco, scan_of
from terraclick.datasets.declaration import Declaration, Settings

__all__ = ["DECLARATIONS"]

LAYOUT = "positive image set/001.jpg and annotations.json, the COCO file of the version with outlines"


DECLARATIONS = (
    Declaration(
        name="nwpu",
        title="NWPU VHR-10: planes, ships, tanks, courts and vehicles, outlined",
        source="NWPU VHR-10 with COCO outlines (github.com/chaozhong2010/VHR-10_dataset_coco); for research",
        layout=LAYOUT,
        scan=scan_of(LAYOUT),
        read=read_coco,
        protocols={"isrefiner": Settings()},
        true_instances=True,
        gsd="0.08 to 2 m",
        drawn={"isrefiner": 2049},
        remarks="A negative image set has no objects and is not read.",
    ),
)
