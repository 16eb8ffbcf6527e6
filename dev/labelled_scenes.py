"""Writes made-up scenes as a labelled dataset, in the layout that `terraclick train` and `benchmark` read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Scene:
    """image (S, S, 3), class ids and instance ids (S, S), ground resolution in metres or None."""

    image: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    instances: NDArray[np.uint16]
    gsd: float | None = None


def write_scenes(
    folder: Path, name: str, classes: Sequence[str], scenes: Iterable[tuple[int, Scene]], count: int, quality: int
) -> None:
    """Write numbered scenes and their meta.json; `count` is told with the progress, `quality` is the JPEG's."""
    for part in ("images", "masks", "instances"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    pictures = []
    for number, scene in scenes:
        stem = f"{number:04d}"
        files = {"image": f"images/{stem}.jpg", "mask": f"masks/{stem}.png", "instances": f"instances/{stem}.png"}
        cv2.imwrite(str(folder / files["image"]), scene.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        cv2.imwrite(str(folder / files["mask"]), scene.classes)
        cv2.imwrite(str(folder / files["instances"]), scene.instances)
        ids, first, areas = np.unique(scene.instances, return_index=True, return_counts=True)
        objects = [
            {"id": int(i), "cls": int(scene.classes.flat[at]), "area": int(area)}
            for i, at, area in zip(ids, first, areas, strict=True)
            if i > 0
        ]
        height, width = scene.classes.shape
        resolution = {} if scene.gsd is None else {"gsd": scene.gsd}
        pictures.append({**files, "height": height, "width": width, **resolution, "objects": objects})
        known = "" if scene.gsd is None else f"{scene.gsd} m, "
        print(f"{number + 1}/{count} {known}{len(objects)} objects", flush=True)
    meta = {"dataset": name, "classes": dict(enumerate(classes)), "true_instances": True, "images": pictures}
    (folder / "meta.json").write_text(json.dumps(meta, indent=1))
