"""One scene → crops in the dataset layout: pixels kept as they are, labels cut, objects counted."""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from terraclick.data.pictures import read_strips, read_values, strips
from terraclick.datasets.declaration import WHOLE, Labelling, Scene, Settings
from terraclick.datasets.sources import IGNORE, connected_parts, dense, numbers_in
from terraclick.errors import BadData, BadInput
from terraclick.geo.raster import STRIP, read_limits, read_placed
from terraclick.values import Window

__all__ = ["crop_windows", "write_scene"]

MOST_OBJECTS = 65535


def crop_windows(shape: tuple[int, int], settings: Settings) -> list[Window]:
    """The crops of a picture, row by row: the last of a row or column is moved inwards so that it is whole.

    A picture smaller than a crop is its own crop.
    """
    if settings.crop == WHOLE:
        return [Window(0, 0, *shape)]
    lines = []
    for length in shape:
        side, stride = min(settings.crop, length), settings.crop - settings.overlap
        count = math.ceil((length - side) / stride) + 1
        lines.append([(min(place * stride, length - side), side) for place in range(count)])
    return [Window(row, col, height, width) for row, height in lines[0] for col, width in lines[1]]


def write_scene(
    scene: Scene, labelling: Labelling, settings: Settings, asked: Collection[int], folder: Path, ignore: int
) -> list[dict[str, Any]]:
    """Write the crops of a scene; returns their entries of meta.json, with the sizes of the files under "bytes".

    `asked` are the class numbers whose parts or instances become objects; `ignore` (255 or 65535) is the number that
    masks write for pixels that count nowhere, and decides their depth. Raises BadData.
    """
    picture: _Pixels | None = None
    entries = []
    row, strip = -1, np.empty(0)
    for window in crop_windows(labelling.shape, settings):
        planes, objects = _objects(labelling, window, settings, asked)
        if not objects and not settings.keep_empty:
            continue
        if picture is None:
            picture = _Pixels.of(scene, labelling.shape, whole=settings.crop == WHOLE)
        if window.row != row and picture.copied is None:
            row, strip = window.row, picture.strip(window)
        name = scene.name if settings.crop == WHOLE else f"{scene.name}_{window.row}_{window.col}"
        entry: dict[str, Any] = {"image": picture.write(folder, name, window, strip)}
        for key, kind, part in (("mask", "masks", 0), ("instances", "instances", 1)):
            files = [f"{kind}/{name}{f'.{n}' if n else ''}.png" for n in range(len(planes))]
            for file, plane in zip(files, planes, strict=True):
                _write_png(folder / file, plane[1] if part else _as_stored(plane[0], ignore))
            entry[key] = files[0] if len(files) == 1 else files
        entry |= {"height": window.rows, "width": window.cols}
        gsd = picture.gsd if scene.gsd is None else scene.gsd
        entry |= {} if gsd is None else {"gsd": gsd}
        entry |= picture.told | {"objects": objects}
        named = [entry["image"], *_listed(entry["mask"]), *_listed(entry["instances"])]
        entries.append(entry | {"bytes": {file: (folder / file).stat().st_size for file in named}})
    return entries


def _listed(files: str | list[str]) -> list[str]:
    return [files] if isinstance(files, str) else files


def _objects(
    labelling: Labelling, window: Window, settings: Settings, asked: Collection[int]
) -> tuple[list[tuple[NDArray[Any], NDArray[np.uint16]]], list[dict[str, int]]]:
    """(classes, instances) of each plane of a crop, 8-bit where it can be, and its objects."""
    planes, objects, last = [], [], 0
    renamed: dict[int, int] = {}
    for number, (all_classes, all_instances) in enumerate(labelling.planes):
        classes = all_classes[window.slices]
        if all_instances is None:
            ids, old = connected_parts(classes, asked), None
        else:
            part = all_instances[window.slices]
            ids, old = dense(part), [int(value) for value in numbers_in(part) if value]
        areas, places = _measured(ids)
        kept = np.zeros(len(areas), np.uint16)
        for instance in range(1, len(areas)):
            cls = int(classes.ravel()[places[instance]])
            if areas[instance] < settings.min_area or cls not in asked:
                continue
            last += 1
            if last > MOST_OBJECTS:
                raise BadData(f"a crop holds more than {MOST_OBJECTS} objects: give smaller --crop or a --min-area.")
            kept[instance] = last
            entry = {"id": last, "cls": cls, "area": int(areas[instance])} | ({"layer": number} if number else {})
            if old is not None:
                renamed[old[instance - 1]] = last
                whole = labelling.parts_of.get(old[instance - 1], 0)
                entry |= {"of": whole} if whole else {}
            objects.append(entry)
        planes.append((np.ascontiguousarray(classes), kept[ids]))
    for entry in objects:
        if "of" in entry:
            entry["of"] = renamed.get(entry["of"], 0)
            if not entry["of"]:
                del entry["of"]
    return planes, objects


def _measured(ids: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels of each instance of a crop, and where its first one is, counted row by row; strip by strip."""
    most = int(ids.max(initial=0)) + 1
    areas, places = np.zeros(most, np.int64), np.zeros(most, np.int64)
    for rows in reversed(list(strips(len(ids)))):
        flat = ids[rows].ravel()
        first = rows.start * ids.shape[1]
        areas += np.bincount(flat, minlength=most)
        places[flat[::-1]] = np.arange(first + flat.size - 1, first - 1, -1)
    return areas, places


def _as_stored(classes: NDArray[np.uint16], ignore: int) -> NDArray[Any]:
    """Class numbers as a mask file holds them: 8-bit where every number is below 255."""
    if ignore == IGNORE:
        return classes
    return np.where(classes == IGNORE, ignore, classes).astype(np.uint8)


def _write_png(path: Path, array: NDArray[Any]) -> None:
    done, coded = cv2.imencode(".png", array, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise BadData(f"{path} could not be coded as PNG: the picture is too large.")
    coded.tofile(path)


@dataclass(frozen=True, eq=False)
class _Pixels:
    """The pixels of a scene: a file that is copied where nothing is cut, else read in strips as wide as the picture.

    `whole` (H, W, bands) where the file can only be decoded at once, else None. `told` is what meta.json says of how
    they are seen.
    """

    source: Path
    copied: str | None
    """Ending of the copy's name."""
    whole: NDArray[Any] | None
    width: int
    bands: tuple[int, ...]
    profile: dict[str, Any]
    told: dict[str, Any]
    gsd: float | None

    @staticmethod
    def of(scene: Scene, shape: tuple[int, int], whole: bool) -> _Pixels:
        """Open a scene's picture. Raises BadData where it is damaged or another size than its labels."""
        image = scene.image
        try:
            placed = read_placed(image)
            bands = scene.bands or tuple(range(1, placed.bands + 1))
            if max(bands) > placed.bands:
                raise BadData(f"{image} has {placed.bands} bands, band {max(bands)} was asked: get the file anew.")
            if placed.shape != shape:
                raise BadData(f"{image} is {placed.shape} (rows, cols), its labels {shape}: get both files anew.")
            told = {} if placed.dtype == "uint8" else _look(image, bands, placed.alpha)
            if whole and not scene.bands:
                _read_through(image, placed.jpeg)
                return _Pixels(image, image.suffix.lower(), None, shape[1], bands, {}, told, placed.gsd)
            values = _decoded(image, placed.jpeg) if placed.block > STRIP else None
        except BadInput as error:
            raise BadData(str(error)) from error
        plain = placed.dtype == "uint8" and len(bands) in (1, 3) and placed.nodata is None and not placed.alpha
        profile = {} if plain else {"nodata": placed.nodata, "transform": placed.transform, "crs": placed.crs}
        return _Pixels(image, None, values, shape[1], bands, profile, told, placed.gsd)

    def strip(self, window: Window) -> NDArray[Any]:
        """All bands (rows, W, bands) of the rows of a window."""
        if self.whole is not None:
            return self.whole[window.row : window.row + window.rows]
        return read_values(self.source, Window(window.row, 0, window.rows, self.width))

    def write(self, folder: Path, name: str, window: Window, strip: NDArray[Any]) -> str:
        """Write the pixels of a window, which lie in the strip of its rows; returns the file's name in the folder."""
        if self.copied is not None:
            file = f"images/{name}{self.copied}"
            shutil.copyfile(self.source, folder / file)
            return file
        columns = strip[:, window.col : window.col + window.cols]
        part = np.ascontiguousarray(columns[..., [band - 1 for band in self.bands]])
        if not self.profile:
            file = f"images/{name}.png"
            _write_png(folder / file, part[..., ::-1] if part.shape[2] == 3 else part[..., 0])
            return file
        file = f"images/{name}.tif"
        profile = dict(self.profile)
        profile["transform"] = profile["transform"] @ Affine.translation(window.col, window.row)
        sizes = {"height": window.rows, "width": window.cols, "count": part.shape[2], "dtype": str(part.dtype)}
        packed = {"compress": "deflate", "predictor": 3 if part.dtype.kind == "f" else 2, "photometric": "minisblack"}
        with rasterio.open(folder / file, "w", driver="GTiff", **sizes, **profile, **packed) as out:
            out.write(part.transpose(2, 0, 1))
        return file


def _look(image: Path, bands: tuple[int, ...], alpha: bool) -> dict[str, Any]:
    """Bands and limits with which the whole image is seen, so that each crop of it looks like its part."""
    colours = bands[:3] if len(bands) - alpha >= 3 else bands[:1]
    shown, limits = read_limits(image, colours)
    places = [bands.index(band) + 1 for band in shown]
    return {"bands": places, "stretch": [[low, high] for low, high in limits]}


def _decoded(image: Path, jpeg: bool) -> NDArray[Any]:
    """All values (H, W, bands) of a file, JPEG as `data.pictures` decodes it."""
    if not jpeg:
        return read_values(image)
    pixels = cv2.imdecode(np.fromfile(image, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise BadData(f"{image} is damaged: get this file again.")
    return pixels[..., ::-1]


def _read_through(image: Path, jpeg: bool) -> None:
    """Raise BadData where a file that is to be copied is cut off."""
    if not jpeg:
        for _ in read_strips(image):
            pass
    else:
        _decoded(image, jpeg)
        with image.open("rb") as file:
            file.seek(-min(64, image.stat().st_size), 2)
            if b"\xff\xd9" not in file.read():
                raise BadData(f"{image} ends too early: the download was cut off, get this file again.")
