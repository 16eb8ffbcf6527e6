"""Finding and reading the files of a published dataset, and one sentence for what is missing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terraclick.data.pictures import LARGEST_NUMBER, read_numbers, read_strips, read_values, strips
from terraclick.errors import BadData

__all__ = [
    "IGNORE",
    "IMAGES",
    "by_stem",
    "colour_codes",
    "colours_to_numbers",
    "connected_parts",
    "dense",
    "files_below",
    "in_folder",
    "nothing_found",
    "numbers_in",
    "pairs",
    "read_colour_classes",
    "read_colours",
    "read_flags",
    "read_ids",
    "stacked",
]

IGNORE = LARGEST_NUMBER

IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".part", ".crdownload")
UNFINISHED = (".part", ".crdownload")


def files_below(folder: Path, endings: tuple[str, ...] = IMAGES) -> list[Path]:
    """All files of some endings below a folder, in the order of their names. Raises BadData for an empty file.

    Files that begin with a point, such as the `._` files of macOS archives, are left out.
    """
    found = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        found += [Path(parent, name) for name in names if name.lower().endswith(endings) and not name.startswith(".")]
    for path in found:
        if path.stat().st_size == 0:
            raise BadData(f"{path} is empty: the download was cut off, get this file again.")
    return sorted(found)


def in_folder(source: Path, *names: str) -> Path | None:
    """The first folder below a source that bears one of some names (in small letters, spaces as _), or None."""
    wanted = {name.lower() for name in names}
    if source.name.lower().replace(" ", "_") in wanted:
        return source
    for parent, folders, _ in os.walk(source, followlinks=True):
        folders.sort()
        for folder in folders:
            if folder.lower().replace(" ", "_") in wanted:
                return Path(parent, folder)
    return None


def nothing_found(source: Path, layout: str, what: str = "pictures with labels") -> BadData:
    """The error of a source that does not hold what its layout promises; archives not yet unpacked are named."""
    if not source.exists():
        return BadData(f"{source} does not exist: give the folder of the downloaded dataset ({layout}).")
    packed = [name for name in sorted(os.listdir(source)) if name.lower().endswith(ARCHIVES)] if source.is_dir() else []
    half = [name for name in packed if name.lower().endswith(UNFINISHED)]
    if half:
        return BadData(f"{source / half[0]} is an unfinished download: finish it and unpack it ({layout}).")
    if packed:
        return BadData(f"{source} holds no {what}, but {packed[0]}: unpack it there ({layout}).")
    return BadData(f"{source} holds no {what}: {layout} was expected; get what is missing, or correct the path.")


def pairs(
    images: Mapping[str, Path], labels: Mapping[str, Path], source: Path, layout: str
) -> list[tuple[str, Path, Path]]:
    """(name, image, label) of every name, in order. Raises BadData, naming the first file without its counterpart."""
    if not images and not labels:
        raise nothing_found(source, layout)
    for some, others, what in ((images, labels, "label"), (labels, images, "image")):
        alone = sorted(set(some) - set(others))
        if alone:
            more = f" (and {len(alone) - 1} others)" if len(alone) > 1 else ""
            raise BadData(f"{some[alone[0]]}{more} has no {what}: the download is not complete ({layout}).")
    return [(name, images[name], labels[name]) for name in sorted(images)]


def by_stem(paths: Iterable[Path], ending: str = "") -> dict[str, Path]:
    """Stem, without an ending of its own, → file."""
    return {path.stem.removesuffix(ending): path for path in paths if path.stem.endswith(ending)}


# --- labels ----------------------------------------------------------------------------------------------------------


def read_colours(path: Path) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """A label picture of colours, exactly as stored, strip by strip: (rows, (rows, W, 3) uint8 RGB). Raises BadData."""
    if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
        coded = np.fromfile(path, dtype=np.uint8) if path.is_file() else np.empty(0, np.uint8)
        pixels = cv2.imdecode(coded, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if coded.size else None
        if pixels is None:
            raise BadData(f"{path} is missing or damaged: get this file again.")
        for rows in strips(pixels.shape[0]):
            yield rows, np.ascontiguousarray(pixels[rows, :, ::-1], np.uint8)
        return
    for rows, values in read_strips(path):
        yield rows, np.asarray(values.repeat(3, axis=2) if values.shape[2] == 1 else values[..., :3], np.uint8)


def read_colour_classes(
    path: Path, table: Mapping[tuple[int, int, int], int], other: int = IGNORE, *, clean: bool = True
) -> NDArray[np.uint16]:
    """Class numbers (H, W) of a label picture of colours; a colour that the table does not hold becomes `other`.

    Not `clean`: a channel counts as 255 from 128 on, else as 0. Raises BadData.
    """
    found = [
        colours_to_numbers(colours if clean else (colours > 127).astype(np.uint8) * np.uint8(255), table, other)
        for _, colours in read_colours(path)
    ]
    return np.concatenate(found)


def colours_to_numbers(
    colours: NDArray[np.uint8], table: Mapping[tuple[int, int, int], int], other: int = IGNORE
) -> NDArray[np.uint16]:
    """Colours (H, W, 3) → class numbers (H, W); a colour that the table does not hold becomes `other`."""
    codes = colour_codes(colours)
    numbers = np.full(codes.shape, other, np.uint16)
    for (red, green, blue), number in table.items():
        numbers[codes == red << 16 | green << 8 | blue] = number
    return numbers


def colour_codes(colours: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Each colour (H, W, 3) as one number: red × 65536 + green × 256 + blue."""
    return np.asarray(
        colours[..., 0].astype(np.int32) << 16 | colours[..., 1].astype(np.int32) << 8 | colours[..., 2], np.int32
    )


def read_flags(path: Path, above: int = 127) -> NDArray[np.uint16]:
    """A mask of one class (H, W), 1 where its first band is above a level; 0 and 1 alone are taken as they are."""
    if path.suffix.lower() == ".png":
        coded = np.fromfile(path, dtype=np.uint8) if path.is_file() else np.empty(0, np.uint8)
        pixels = cv2.imdecode(coded, cv2.IMREAD_UNCHANGED) if coded.size else None
        if pixels is None:
            raise BadData(f"{path} is missing or damaged: get this file again.")
        flat = pixels if pixels.ndim == 2 else pixels[..., :3].max(axis=2)
    else:
        flat = read_values(path)[..., 0]
    return np.asarray(flat > (0 if flat.max(initial=0) == 1 else above), np.uint16)


def read_ids(path: Path) -> NDArray[np.uint16]:
    """A mask of class numbers (H, W). Raises BadData."""
    return read_numbers(path) if path.suffix.lower() == ".png" else np.asarray(read_values(path)[..., 0], np.uint16)


def connected_parts(classes: NDArray[np.uint16], asked: Iterable[int]) -> NDArray[np.int32]:
    """Instances (H, W): the parts of each asked class whose pixels touch, corners included, numbered from 1."""
    instances = np.zeros(classes.shape, np.int32)
    shown = np.flatnonzero(np.bincount(classes.ravel(), minlength=IGNORE + 1))
    last = 0
    for number in sorted(set(asked) & set(shown.tolist())):
        count, labels = cv2.connectedComponents((classes == number).astype(np.uint8), connectivity=8)
        np.copyto(instances, labels + last, where=labels > 0)
        last += count - 1
    return instances


def numbers_in(ids: NDArray[Any]) -> NDArray[Any]:
    """The different numbers of a map (H, W), in order."""
    found = [np.unique(ids[rows]) for rows in strips(len(ids))]
    return np.asarray(np.unique(np.concatenate(found)))


def dense(ids: NDArray[np.int64] | NDArray[np.int32]) -> NDArray[np.int32]:
    """The same instances numbered from 1 in the order of their old numbers; 0 stays none."""
    known = numbers_in(ids)
    start = 0 if known.size and known[0] == 0 else 1
    found = np.empty(ids.shape, np.int32)
    for rows in strips(len(ids)):
        found[rows] = np.searchsorted(known, ids[rows]) + start
    return found


def stacked(
    shape: tuple[int, int], things: Sequence[tuple[int, NDArray[np.bool_]]], background: int = 0
) -> list[tuple[NDArray[np.uint16], NDArray[np.int32]]]:
    """Masks (class, (H, W) bool) that may overlap → as few planes as the order allows, instances numbered from 1.

    Each goes into the first plane where its pixels are free. Every plane labels the whole picture: where it holds
    nothing of its own it shows the first plane's class.
    """
    planes: list[tuple[NDArray[np.uint16], NDArray[np.int32]]] = []
    for number, (cls, mask) in enumerate(things, start=1):
        free = next((plane for plane in planes if not plane[1][mask].any()), None)
        if free is None:
            free = np.full(shape, background, np.uint16), np.zeros(shape, np.int32)
            planes.append(free)
        free[0][mask], free[1][mask] = cls, number
    if not planes:
        planes = [(np.full(shape, background, np.uint16), np.zeros(shape, np.int32))]
    for classes, instances in planes[1:]:
        np.copyto(classes, planes[0][0], where=instances == 0)
    return planes
