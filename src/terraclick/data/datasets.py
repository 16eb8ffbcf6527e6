"""Labelled pictures: `images/*.jpg`, `masks/*.png` (class ids, 255 = ignore), `instances/*.png`, `meta.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.core.click import Target
from terraclick.data.sample import Task
from terraclick.errors import BadData

__all__ = ["NO_TASK", "Dataset", "Picture", "Thing", "class_tasks", "object_tasks", "open_dataset", "open_datasets"]

NO_TASK = frozenset({"ground", "land", "clutter", "background"})
"""Classes nobody outlines: what is left over when everything else is named."""

LAYOUT = "images/, masks/, instances/ and meta.json"


@dataclass(frozen=True)
class Thing:
    """One labelled instance: id in the instance mask, class id, area in pixels."""

    id: int
    cls: int
    area: int


@dataclass(frozen=True)
class Picture:
    """One labelled picture of a dataset; files are read when asked for. shape is (rows, cols)."""

    folder: Path
    image_file: str
    mask_file: str
    instances_file: str
    shape: tuple[int, int]
    objects: tuple[Thing, ...]
    gsd: float | None = None

    @property
    def id(self) -> str:
        """The image file's name without its ending."""
        return Path(self.image_file).stem

    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB. Raises BadData where the file is missing, damaged or of another size."""
        pixels = self._read(self.image_file, cv2.IMREAD_COLOR)
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def classes(self) -> NDArray[np.uint8]:
        """Class id of every pixel (H, W) uint8, 255 = ignore. Raises BadData."""
        return np.asarray(self._flat(self.mask_file), dtype=np.uint8)

    def instances(self) -> NDArray[np.uint16]:
        """Instance id of every pixel (H, W) uint16, 0 = none. Raises BadData."""
        return np.asarray(self._flat(self.instances_file), dtype=np.uint16)

    def _flat(self, name: str) -> NDArray[Any]:
        pixels = self._read(name, cv2.IMREAD_UNCHANGED)
        if pixels.ndim != 2:
            raise BadData(f"{self.folder / name} has {pixels.shape[2]} channels: masks are single-channel PNG of ids.")
        return pixels

    def _read(self, name: str, flags: int) -> NDArray[Any]:
        path = self.folder / name
        coded = np.fromfile(path, dtype=np.uint8) if path.is_file() else np.empty(0, dtype=np.uint8)
        pixels = cv2.imdecode(coded, flags) if coded.size else None
        if pixels is None:
            raise BadData(f"{path} is missing or no picture: restore the file, or take it out of meta.json.")
        if pixels.shape[:2] != self.shape:
            size = f"{pixels.shape[:2]} (rows, cols)"
            raise BadData(f"{path} is {size}, meta.json says {self.shape}: correct one of them.")
        return np.asarray(pixels)


@dataclass(frozen=True)
class Dataset:
    """A folder of labelled pictures. `classes` maps ids to names; instances not true are connected components."""

    name: str
    folder: Path
    classes: dict[int, str]
    true_instances: bool
    pictures: tuple[Picture, ...]

    @property
    def task_classes(self) -> tuple[int, ...]:
        """Ids of the classes that may be asked for (ground, land, clutter and background are not)."""
        return tuple(number for number, name in self.classes.items() if name not in NO_TASK)


def open_dataset(folder: Path | str) -> Dataset:
    """Open one dataset folder; pixels are not read yet. Raises BadData, naming the way out, where it is none."""
    folder = Path(folder)
    path = folder / "meta.json"
    if not path.is_file():
        below = sorted(p.parent.name for p in folder.glob("*/meta.json"))
        way_out = f"name one of its datasets ({', '.join(below)})" if below else f"give a folder with {LAYOUT}"
        raise BadData(f"{folder} is no dataset, it has no meta.json: {way_out}, or correct the path.")
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        classes = {int(number): str(name) for number, name in meta["classes"].items()}
        pictures = tuple(_picture(folder, entry) for entry in meta["images"])
        return Dataset(str(meta.get("dataset", folder.name)), folder, classes, bool(meta["true_instances"]), pictures)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(
            f"{path} does not describe a dataset ({type(error).__name__}: {error}): it must hold classes, "
            "true_instances and images; write it anew or restore it."
        ) from error


def _picture(folder: Path, entry: dict[str, Any]) -> Picture:
    objects = tuple(Thing(int(o["id"]), int(o["cls"]), int(o["area"])) for o in entry["objects"])
    shape = int(entry["height"]), int(entry["width"])
    gsd = float(entry["gsd"]) if entry.get("gsd") else None
    return Picture(folder, entry["image"], entry["mask"], entry["instances"], shape, objects, gsd)


def open_datasets(root: Path | str) -> list[Dataset]:
    """Open a dataset folder, or every dataset below `root`, by name. Raises BadData if there is none."""
    root = Path(root)
    if (root / "meta.json").is_file():
        return [open_dataset(root)]
    folders = sorted(path.parent for path in root.rglob("meta.json"))
    if not folders:
        raise BadData(f"{root} holds no dataset: give a folder with {LAYOUT}, or a folder of such folders.")
    return [open_dataset(folder) for folder in folders]


def object_tasks(dataset: Dataset, min_area: int = 256, max_area: int | None = None) -> list[Task]:
    """Every instance of a task class with at least `min_area` (and less than `max_area`) pixels, in file order."""
    return [
        Task(dataset.name, picture.id, dataset.classes[thing.cls], thing.cls, thing.id, Target.OBJECT, picture)
        for picture in dataset.pictures
        for thing in picture.objects
        if thing.cls in dataset.task_classes and thing.area >= min_area and (max_area is None or thing.area < max_area)
    ]


def class_tasks(dataset: Dataset, fill: tuple[float, float] = (0.005, 0.8)) -> list[Task]:
    """Every class of a picture that fills between `fill[0]` and `fill[1]` of it; reads the masks. Raises BadData."""
    tasks = []
    for picture in dataset.pictures:
        areas = np.bincount(picture.classes().ravel(), minlength=256)
        for number in dataset.task_classes:
            if fill[0] <= areas[number] / (picture.shape[0] * picture.shape[1]) <= fill[1]:
                tasks.append(Task(dataset.name, picture.id, dataset.classes[number], number, 0, Target.CLASS, picture))
    return tasks
