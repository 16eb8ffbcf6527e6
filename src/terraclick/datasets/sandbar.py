"""SandBar: river sandbars of the upper Yellow River in satellite images of 512 × 512 pixels."""

from terraclick.datasets.coco_scenes import coco_set

__all__ = ["DECLARATIONS"]

DECLARATIONS = (
    coco_set(
        "sandbar",
        "pictures in any folder and one COCO file a split, such as annotations/instances_train.json",
        "isrefiner",
        title="SandBar (or any other set with COCO files): sandbars from Landsat-8 and GF-2",
        source="SandBar; the authors of RS-ISRefiner describe it as archived in the COCO format",
        drawn={"isrefiner": 663},
        remarks=(
            "We know no published copy, so names of folders and files are free: pictures are found by the names in the "
            "COCO file. Pictures of more than 8 bit are kept as they are."
        ),
    ),
)
