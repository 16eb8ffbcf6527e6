"""Labelled pictures in folders: `images/`, `masks/` (class numbers), `instances/` (object numbers) and `meta.json`.

Pictures may have any bit depth and band count. Masks are 8- or 16-bit: 255 is ignored, or 65535 where a class has a
number from 255 on. A pixel may bear several labels: `mask` and `instances` are then lists of files of equal length, one
a plane. Each plane is a labelling of the whole picture; an object names the `plane` it lies in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraclick.data.pictures import LARGEST_NUMBER, read_deep, read_numbers, read_picture, read_values
from terraclick.data.sample import Task
from terraclick.errors import BadData
from terraclick.values import Target, View

__all__ = [
    "IGNORE",
    "NO_TASK",
    "Dataset",
    "Picture",
    "Thing",
    "class_tasks",
    "object_tasks",
    "open_dataset",
    "open_datasets",
]

IGNORE = LARGEST_NUMBER
"""Class number, in memory, of pixels that count nowhere; files write 255 for it where no class is numbered so high."""

NO_TASK = frozenset({"ground", "land", "clutter", "background"})
"""Classes nobody outlines: what is left over when everything else is named."""

LAYOUT = "images/, masks/, instances/ and meta.json"


@dataclass(frozen=True)
class Thing:
    """One labelled instance: id in the instance masks, class id, area in pixels, plane, and the object it is a part of.

    `of` is that object's id, 0 where it is a whole.
    """

    id: int
    cls: int
    area: int
    plane: int = 0
    of: int = 0


@dataclass(frozen=True)
class Picture:
    """One labelled picture of a dataset; files are read when asked for. shape is (rows, cols).

    mask_files and instances_files have one file a plane. bands and stretch say how `view` shows the picture, as in
    `geo.raster.read_view`; ignore is the number that its mask files use for pixels that count nowhere.
    """

    folder: Path
    image_file: str
    mask_files: tuple[str, ...]
    instances_files: tuple[str, ...]
    shape: tuple[int, int]
    objects: tuple[Thing, ...]
    gsd: float | None = None
    bands: tuple[int, ...] | None = None
    stretch: str | tuple[tuple[float, float], ...] = "auto"
    ignore: int = 255

    @property
    def id(self) -> str:
        """The image file's name without its ending."""
        return Path(self.image_file).stem

    @property
    def planes(self) -> int:
        """How many labels a pixel can bear."""
        return len(self.mask_files)

    def view(self) -> View:
        """The picture as `segment` sees it, with its gsd. Raises BadData where the file is damaged or another size."""
        view = read_picture(self.folder / self.image_file, self.bands, self.stretch)
        self._check(self.image_file, view.shape)
        return View(view.image, view.valid, view.gsd if self.gsd is None else self.gsd)

    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB: the pixels of `view`. Raises BadData."""
        return self.view().image

    def deep(self, count: int) -> NDArray[np.uint8]:
        """The pixels of `view` and further bands of the file, (H, W, count) uint8. Raises BadData."""
        image = read_deep(self.folder / self.image_file, count, self.bands, self.stretch)
        self._check(self.image_file, (image.shape[0], image.shape[1]))
        return image

    def values(self) -> NDArray[Any]:
        """Every band as stored, (H, W, bands) in the file's own type. Raises BadData."""
        values = read_values(self.folder / self.image_file)
        self._check(self.image_file, (values.shape[0], values.shape[1]))
        return values

    def classes(self, plane: int = 0) -> NDArray[np.uint16]:
        """Class id of every pixel in a plane (H, W) uint16, `IGNORE` = counts nowhere. Raises BadData."""
        name = self.mask_files[plane]
        classes = read_numbers(self.folder / name)
        self._check(name, (classes.shape[0], classes.shape[1]))
        if self.ignore != IGNORE:
            classes[classes == self.ignore] = IGNORE
        return classes

    def instances(self, plane: int = 0) -> NDArray[np.uint16]:
        """Instance id of every pixel in a plane (H, W) uint16, 0 = none. Raises BadData."""
        name = self.instances_files[plane]
        instances = read_numbers(self.folder / name)
        self._check(name, (instances.shape[0], instances.shape[1]))
        return instances

    def showing(self, *numbers: int) -> NDArray[np.bool_]:
        """Where any plane shows one of some classes, (H, W) bool. Raises BadData."""
        shown = np.isin(self.classes(), numbers)
        for plane in range(1, self.planes):
            shown |= np.isin(self.classes(plane), numbers)
        return shown

    def thing(self, instance: int) -> Thing:
        """The object of an id. Raises BadData."""
        for thing in self.objects:
            if thing.id == instance:
                return thing
        raise BadData(f"{self.folder / self.image_file} has no object {instance}: correct meta.json.")

    def labels_for(self, cls: int, plane: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """(classes, instances) of a plane, in which every pixel that bears a class in any plane shows it."""
        classes = self.classes(plane)
        if self.planes > 1:
            classes[self.showing(cls)] = cls
        return classes, self.instances(plane)

    def _check(self, name: str, shape: tuple[int, int]) -> None:
        if shape != self.shape:
            size = f"{shape} (rows, cols)"
            raise BadData(f"{self.folder / name} is {size}, meta.json says {self.shape}: correct one of them.")


@dataclass(frozen=True)
class Dataset:
    """A folder of labelled pictures. `classes` maps ids to names; instances not true are connected components."""

    name: str
    folder: Path
    classes: dict[int, str]
    true_instances: bool
    pictures: tuple[Picture, ...]
    no_task: frozenset[str] = NO_TASK
    """Names of the classes that are never asked for."""

    @property
    def task_classes(self) -> tuple[int, ...]:
        """Ids of the classes that may be asked for."""
        return tuple(number for number, name in self.classes.items() if name not in self.no_task)


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
        ignore = int(meta.get("ignore", 255 if max(classes, default=0) < 255 else IGNORE))
        pictures = tuple(_picture(folder, entry, ignore) for entry in meta["images"])
        return Dataset(str(meta.get("dataset", folder.name)), folder, classes, bool(meta["true_instances"]), pictures)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(
            f"{path} does not describe a dataset ({type(error).__name__}: {error}): it must hold classes, "
            "true_instances and images; write it anew or restore it."
        ) from error


def _picture(folder: Path, entry: dict[str, Any], ignore: int) -> Picture:
    objects = tuple(
        Thing(int(o["id"]), int(o["cls"]), int(o["area"]), int(o.get("layer", 0)), int(o.get("of", 0)))
        for o in entry["objects"]
    )
    masks, instances = (_planes(entry[key]) for key in ("mask", "instances"))
    if len(masks) != len(instances) or any(not 0 <= thing.plane < len(masks) for thing in objects):
        raise ValueError(f"{entry['image']} has {len(masks)} masks, {len(instances)} instances, or a plane beyond them")
    shape = int(entry["height"]), int(entry["width"])
    gsd = float(entry["gsd"]) if entry.get("gsd") else None
    bands = tuple(int(band) for band in entry["bands"]) if entry.get("bands") else None
    stretch = entry.get("stretch") or "auto"
    if not isinstance(stretch, str):
        stretch = tuple((float(low), float(high)) for low, high in stretch)
    return Picture(folder, str(entry["image"]), masks, instances, shape, objects, gsd, bands, stretch, ignore)


def _planes(files: str | list[str]) -> tuple[str, ...]:
    return (files,) if isinstance(files, str) else tuple(str(name) for name in files)


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
        size = picture.shape[0] * picture.shape[1]
        counts = np.bincount(picture.classes().ravel(), minlength=LARGEST_NUMBER + 1)
        upper = {int(k) for plane in range(1, picture.planes) for k in np.unique(picture.classes(plane))}
        for number in dataset.task_classes:
            area = np.count_nonzero(picture.showing(number)) if number in upper else counts[number]
            if fill[0] <= area / size <= fill[1]:
                tasks.append(Task(dataset.name, picture.id, dataset.classes[number], number, 0, Target.CLASS, picture))
    return tasks
