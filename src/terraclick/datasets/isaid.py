"""iSAID: objects of 15 categories in the aerial images of DOTA."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from terraclick.datasets.declaration import Declaration, Labelling, Scan, Scene, Settings
from terraclick.datasets.sources import (
    by_stem,
    colour_codes,
    dense,
    files_below,
    in_folder,
    nothing_found,
    pairs,
    read_colour_classes,
    read_colours,
)
from terraclick.errors import BadData

__all__ = ["DECLARATIONS"]

LAYOUT = (
    "train/ and val/, each with images/P0000.png from DOTA-v1.0, Semantic_masks/P0000_instance_color_RGB.png and "
    "Instance_masks/P0000_instance_id_RGB.png, in any depth of folders"
)
COLOURS = {
    (0, 0, 0): "background",
    (0, 0, 63): "ship",
    (0, 63, 63): "storage_tank",
    (0, 63, 0): "baseball_diamond",
    (0, 63, 127): "tennis_court",
    (0, 63, 191): "basketball_court",
    (0, 63, 255): "ground_track_field",
    (0, 127, 63): "bridge",
    (0, 127, 127): "large_vehicle",
    (0, 0, 127): "small_vehicle",
    (0, 0, 191): "helicopter",
    (0, 0, 255): "swimming_pool",
    (0, 191, 127): "roundabout",
    (0, 127, 191): "soccer_ball_field",
    (0, 127, 255): "plane",
    (0, 100, 155): "harbor",
}


def scan(source: Path, settings: Settings) -> Scan:
    """Pictures of train and val whose two masks are there."""
    scenes = []
    for split in ("train", "val"):
        folder = in_folder(source, split)
        if folder is None:
            continue
        files = files_below(folder, (".png",))
        kinds = by_stem(files, "_instance_color_RGB")
        ids = by_stem(files, "_instance_id_RGB")
        images = by_stem(path for path in files if not path.stem.endswith("_RGB"))
        pairs(kinds, ids, folder, LAYOUT)
        for name, image, mask in pairs(images, kinds, folder, LAYOUT):
            scenes.append(Scene(name, split, image, (mask, ids[name])))
    if not scenes:
        raise nothing_found(source, LAYOUT)
    return Scan(tuple(scenes))


def read(scene: Scene) -> Labelling:
    """Classes and instances by the colours of the two masks."""
    kinds, ids = scene.labels
    classes = read_colour_classes(kinds, {colour: number for number, colour in enumerate(COLOURS)}, other=0)
    codes = np.concatenate([colour_codes(colours[..., ::-1]) for _, colours in read_colours(ids)])  # blue counts most
    if codes.shape != classes.shape:
        raise BadData(f"{ids} is {codes.shape} (rows, cols), {kinds.name} {classes.shape}: get both files anew.")
    codes[classes == 0] = 0
    return Labelling(((classes, dense(codes)),))


DECLARATIONS = (
    Declaration(
        name="isaid",
        title="iSAID: ships, vehicles, planes, courts and others in aerial images",
        source="iSAID (captain-whu.github.io/iSAID) with the images of DOTA-v1.0; for academic use only",
        layout=LAYOUT,
        scan=scan,
        read=read,
        protocols={"crosscut": Settings(), "isrefiner": Settings(crop=800)},
        classes=dict(enumerate(COLOURS.values())),
        true_instances=True,
        gsd="0.3 to 3 m",
        counts={("crosscut", "train pictures"): 1411, ("crosscut", "val pictures"): 458},
        drawn={"isrefiner": 844},
        remarks=(
            "CrossCut clicks the classes of whole pictures. RS-ISRefiner does not say which 844 objects of the "
            "validation crops it clicks: draw them with `--limit` and `--seed`."
        ),
    ),
)
