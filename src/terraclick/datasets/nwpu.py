"""NWPU VHR-10 with outlines: ten classes of objects in 650 pictures."""

from terraclick.datasets.coco_scenes import coco_set

__all__ = ["DECLARATIONS"]

DECLARATIONS = (
    coco_set(
        "nwpu",
        "positive image set/001.jpg and annotations.json, the COCO file of the version with outlines",
        "isrefiner",
        title="NWPU VHR-10: planes, ships, tanks, courts and vehicles, outlined",
        source="NWPU VHR-10 with COCO outlines (github.com/chaozhong2010/VHR-10_dataset_coco); for research",
        gsd="0.08 to 2 m",
        counts={("isrefiner", "test pictures"): 650},
        drawn={"isrefiner": 2049},
        remarks="A negative image set has no objects and is not read.",
    ),
)
