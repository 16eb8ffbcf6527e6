"""Figures of class maps: a picture, its labels, and what each model makes of it, side by side in its colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.classmap.model import MapSpec, load_map
from terraclick.classmap.picture import name_picture
from terraclick.data.datasets import Dataset
from terraclick.evaluate.maps import MapProtocol, answers_of
from terraclick.files import replace_whole, writing

__all__ = ["draw_maps", "in_colours"]

SIDE, HEAD, GAP, MOST = 360, 26, 6, 8
NOWHERE = (0, 0, 0)
"""RGB of labels that count nowhere, or that no class of the model stands for."""


def in_colours(places: NDArray[np.int64], spec: MapSpec) -> NDArray[np.uint8]:
    """Places of a model's classes (H, W) → their colours (H, W, 3); black for −1."""
    table = np.array([*(kind.rgb for kind in spec.classes), NOWHERE], np.uint8)
    return np.asarray(table[places])


def draw_maps(names: Sequence[str], datasets: Sequence[Dataset], protocol: MapProtocol, folder: Path) -> list[Path]:
    """Draw the first pictures of each dataset, at most `MOST`, to PNG files in a folder; returns them.

    A row of panels a picture: itself, its labels in the first model's colours, and every model's answer.
    """
    models = {name: load_map(name, None) for name in names}
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    files = []
    for dataset in datasets:
        for number, picture in enumerate(dataset.pictures[:MOST]):
            view = picture.view()
            spec = models[names[0]].spec
            truth = _truth(picture.classes(), answers_of(spec, dataset.classes, protocol.same, dataset.name))
            panels = [_panel(view.image, picture.id), _panel(in_colours(truth, spec), "labels")]
            for name, model in models.items():
                best = name_picture(model, view, protocol.overlap, protocol.augmentation).argmax(axis=0)
                panels.append(_panel(in_colours(best, model.spec), Path(name).name))
            gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
            row = np.hstack([part for panel in panels for part in (panel, gap)][:-1])
            path = folder / f"{dataset.name}-map-{number + 1:02d}.png"
            done, coded = cv2.imencode(".png", np.ascontiguousarray(row[..., ::-1]))
            assert done
            with replace_whole(path) as part:
                coded.tofile(part)
            files.append(path)
    return files


def _truth(classes: NDArray[np.uint16], numbers: Sequence[int | None]) -> NDArray[np.int64]:
    """Labels (H, W) → places of the model's classes, −1 where none stands for one."""
    table = np.full(65536, -1, np.int64)
    for place, number in enumerate(numbers):
        if number is not None:
            table[number] = place
    return np.asarray(table[classes])


def _panel(image: NDArray[np.uint8], title: str) -> NDArray[np.uint8]:
    """A picture at the panels' width under a title."""
    rows = max(1, round(image.shape[0] * SIDE / image.shape[1]))
    how = cv2.INTER_AREA if image.shape[1] > SIDE else cv2.INTER_NEAREST
    head = np.full((HEAD, SIDE, 3), 255, np.uint8)
    said = title.encode("ascii", "replace").decode()
    cv2.putText(head, said[:56], (4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1, cv2.LINE_AA)
    return np.vstack([head, np.asarray(cv2.resize(image, (SIDE, rows), interpolation=how), np.uint8)])
