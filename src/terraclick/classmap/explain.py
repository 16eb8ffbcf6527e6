"""Why a class: the scene in grey under the heatmap of each class."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.classmap.model import MapSpec, load_map
from terraclick.classmap.tiles import MapJob
from terraclick.files import write_bytes
from terraclick.geo.raster import read_view

__all__ = ["explain", "heat_colours", "heat_planes"]

FloatArray = NDArray[np.float32]


def explain(job: MapJob, heatmaps: Path, folder: Path, max_side: int = 2048) -> list[Path]:
    """A picture per heatmap: the scene in grey under it, blue (no) over white to red (yes); returns the files.

    Drawn from the written heatmaps, at most `max_side` pixels a side. Raises BadOutput.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    view, _ = read_view(job.scene, job.bounds, None, job.bands, job.stretch, max_side, job.reading)
    grey = cv2.cvtColor(view.image, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    for band, name in enumerate(heat_planes(job, load_map(job.model, 1).spec), start=1):
        heat, _ = read_view(heatmaps, bands=(band,), stretch="none", max_side=max_side)
        level = np.asarray(cv2.resize(heat.image[..., 0], view.shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
        towards, strength = heat_colours(level)
        picture = grey * (1 - strength[..., None]) + towards * strength[..., None]
        path = folder / f"{band:02d}_{_plain(name)}.png"
        write_bytes(path, bytes(cv2.imencode(".png", np.rint(picture[..., ::-1]).astype(np.uint8))[1]))
        written.append(path)
    return written


def heat_planes(job: MapJob, spec: MapSpec) -> list[str]:
    """What each heatmap of a job is of: a class, or with `every_layer` a class and a layer; none where none is kept.

    Raises BadWeights where the model's files do not hold those of every layer.
    """
    names = [kind.name for kind in spec.classes]
    if not job.heat:
        return []
    if not job.every_layer:
        return names
    layers = getattr(load_map(job.model, 1, True, True), "layers", 1)
    return [f"{name}, layer {layer}" for layer in range(1, layers + 1) for name in names]


def heat_colours(level: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
    """Percentages (H, W) → colours (H, W, 3) from blue (no) to red (yes), and how much they cover (H, W) in 0 … 1.

    The undecided middle is the most transparent.
    """
    share = np.clip(level.astype(np.float32) / 100, 0, 1)
    towards = np.array([40, 70, 200], np.float32) * (1 - share[..., None])
    towards = towards + np.array([235, 40, 30], np.float32) * share[..., None]
    return towards.astype(np.float32), (0.15 + 0.6 * np.abs(2 * share - 1)).astype(np.float32)


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)
