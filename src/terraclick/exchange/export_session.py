"""A whole session for other programs: a folder with every format asked for, of all its images; whole or not at all.

Class numbers are the session's. A folder that an earlier export made is replaced file by file; files that nobody wrote
here are left alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from affine import Affine
from pyproj import CRS

from terraclick.errors import BadConfig, BadData, BadOutput, UnknownName
from terraclick.exchange.export import carried, left_out_note, write_collection
from terraclick.exchange.registry import FORMATS, format_of, installed
from terraclick.files import check_output, sync, write_text, writing
from terraclick.formats.common.collection import Collection, Picture, collected, of_pictures, renamed, stem_of
from terraclick.formats.common.declaration import Format
from terraclick.geo.carrying import notes_on_carrying
from terraclick.geo.grid import Grid
from terraclick.geo.lonlat import WGS84
from terraclick.geo.raster import read_info
from terraclick.geo.reading import PLAIN, Reading
from terraclick.store.identity import base_name, find_image, unique_names
from terraclick.store.readings import Readings
from terraclick.store.sql import Store
from terraclick.store.values import StoredImage

__all__ = ["MANIFEST", "Exported", "export_session", "parse_split", "whole_folder"]

MANIFEST = "export.json"
"""Names every file that an export wrote, so that the next one knows what is its own."""

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Exported:
    """What was written: files (relative to the folder), objects, images, formats left out, objects cut at an edge."""

    folder: Path
    files: tuple[str, ...]
    objects: int
    images: int
    left_out: tuple[str, ...]
    cut: int


def export_session(
    store: Store,
    session: Path | None,
    out: str | Path,
    formats: Sequence[str] = (),
    *,
    images: Sequence[Path] = (),
    class_name: str | None = None,
    status: str | None = None,
    crs: CRS | None = None,
    split: Mapping[str, float] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    reading: Reading = PLAIN,
    warn: Callable[[str], None] = lambda line: None,
) -> Exported:
    """Write objects of a session into the folder `out`, in every format named (default: all that is installed).

    Images are found where the session says (relative to the `session` file), or in `images` (files and folders), by
    their hash. `class_name` and `status` choose objects; numbers stay those of the session. `split` gives shares of
    train, val and test; whole images are dealt out, always the same way for one `seed`. If `out` names a file with the
    ending of a format, that one file is written. Images are read as the session keeps it, otherwise where `reading`
    says so. `warn` hears that, and where places come out metres off. Raises BadData, BadConfig, BadOutput, UnknownName,
    MissingExtra.
    """
    out = Path(out)
    single = _single_format(out, formats)
    names = (single,) if single else formats or tuple(FORMATS)
    for name in names:
        format_of("", name)
    left_out = () if formats or single else tuple(name for name in names if not installed(name))
    names = tuple(name for name in names if name not in left_out)
    items = store.objects(class_name=class_name, status=status)
    if not items:
        raise BadData("no object of the session fits: there is nothing to export.")
    whole = collected(store, items)
    beside = None if session is None else session.parent
    read_as = _read_as(whole.images, Readings(reading, whole.images, beside), warn)
    whole = _with_pictures(whole, images, beside, any(FORMATS[name].pixels for name in names), read_as)
    for note in _accuracy(whole, names, crs):
        warn(f"Note on {out.name}: {note}.")
    names = _told_left_out(whole, names, single is None, out.name, warn)
    if single:
        write_collection(whole, out, single, crs, overwrite)
        return Exported(out.parent, (out.name,), len(items), len(whole.images), (), _cut(whole))
    parts = _dealt(whole.pictures, split, seed)
    with whole_folder(out, overwrite) as scratch:
        for name in names:
            kind = FORMATS[name]
            if kind.pixels:
                _write_pixels(whole, name, kind, scratch / name, parts, out / name)
            else:
                (scratch / name).mkdir()
                write_collection(whole, scratch / name / f"objects{kind.ending}", name, crs)
        files = _listed(scratch)
        told = {"made_by": "terraclick export-session", "objects": len(items), "files": files, "classes": _told(whole)}
        write_text(scratch / MANIFEST, json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    return Exported(out, (*files, MANIFEST), len(items), len(whole.images), left_out, _cut(whole))


def _told_left_out(
    whole: Collection, names: Sequence[str], several: bool, out: str, warn: Callable[[str], None]
) -> tuple[str, ...]:
    """Say how many objects each format leaves out; of several formats, those that would hold none are left out."""
    kept = []
    for name in names:
        held, lacking = carried(whole, FORMATS[name])
        if lacking:
            warn(f"Note on {out}: {left_out_note(name, lacking)}.")
        if held.items or not several:
            kept.append(name)
    return tuple(kept)


def parse_split(text: str) -> dict[str, float]:
    """Shares of train, val and test from a text such as 80,10,10. Raises BadConfig."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not 2 <= len(numbers) <= 3 or not all(0 <= number < float("inf") for number in numbers) or sum(numbers) <= 0:
        raise BadConfig(f"--split {text}: give two or three shares such as 80,20 or 70,20,10.")
    return {name: number / sum(numbers) for name, number in zip(PARTS, numbers, strict=False)}


def _single_format(out: Path, formats: Sequence[str]) -> str | None:
    if len(formats) > 1 or out.is_dir():
        return None
    try:
        found = format_of(out.name)
    except UnknownName:
        return None
    return formats[0] if formats else found


def _told(whole: Collection) -> list[dict[str, Any]]:
    return [{"number": kind.number, "name": kind.name, "colour": kind.colour} for kind in whole.classes]


def _cut(whole: Collection) -> int:
    return sum(sheet.cut for sheet in whole.sheets()) if whole.pictures else 0


# --- pictures ---------------------------------------------------------------------------------------------------------


def _read_as(images: Sequence[StoredImage], readings: Readings, warn: Callable[[str], None]) -> dict[str, StoredImage]:
    """The images by their key, with the reading that they have now."""
    found = {}
    for image in images:
        notes: list[str] = []
        found[image.path] = replace(image, reading=readings.of_image(image, notes.append))
        for note in notes:
            warn(f"Note on {base_name(image.path)}: {note}.")
    return found


def _accuracy(whole: Collection, names: Sequence[str], crs: CRS | None) -> list[str]:
    """What to say where a grid is missing that would carry the objects better to a system that they are written in."""
    if whole.crs is None:
        return []
    maps = [crs or (WGS84 if FORMATS[name].lonlat else whole.crs) for name in names if not FORMATS[name].pixels]
    destinations = [*maps, *(picture.grid.crs for picture in whole.pictures if picture.grid.crs is not None)]
    return notes_on_carrying([item.geometry for item in whole.items], whole.crs, destinations)


def _with_pictures(
    whole: Collection, places: Sequence[Path], beside: Path | None, needed: bool, read_as: Mapping[str, StoredImage]
) -> Collection:
    """The collection with its images under names that travel, and, where pixels are needed, with their grids."""
    whole = replace(whole, images=tuple(read_as.values()))
    found: dict[str, Path] = {}
    for image in whole.images:
        try:
            found[image.path] = find_image(image, places, beside)
        except BadData:
            if needed:
                raise
    names = _names(whole, found)
    unknown = sum(item.image not in names for item in whole.items)
    if needed and unknown and len(found) != 1:
        raise BadData(
            f"{unknown} objects belong to no image of the session: leave the pixel formats out with --format."
        )
    pictures = []
    if needed:
        for image in whole.images:
            info = read_info(found[image.path], image.reading)
            grid = (
                _grid_of(info.grid, image) if whole.crs is not None else Grid(Affine.identity(), None, info.grid.shape)
            )
            pictures.append(Picture(image.path, names[image.path], grid, image.hash, found[image.path]))
    return renamed(replace(whole, pictures=tuple(pictures)), names)


def _grid_of(grid: Grid, image: StoredImage) -> Grid:
    """An image's grid; where the file does not name the coordinate system the session knows what the user said."""
    return Grid(grid.transform, image.crs, grid.shape) if grid.crs is None and image.crs is not None else grid


def _names(whole: Collection, found: Mapping[str, Path]) -> dict[str, str]:
    """Names of the images by their key: file names, no two the same."""
    keys = [image.path for image in whole.images]
    names = unique_names({key: found[key].name if key in found else base_name(key) for key in keys})
    for item in whole.items:
        if item.image and item.image not in names:
            names[item.image] = base_name(item.image)
    return names


def _dealt(pictures: Sequence[Picture], split: Mapping[str, float] | None, seed: int) -> dict[str, list[Picture]]:
    """Pictures by part; each part that has a share gets one at least. Raises BadConfig for too few."""
    if split is None:
        return {"": list(pictures)}

    def place(picture: Picture) -> str:
        return hashlib.sha256(f"{seed} {picture.hash or picture.name}".encode()).hexdigest()

    order = sorted(pictures, key=place)
    wanted = [name for name, share in split.items() if share > 0]
    if len(order) < len(wanted):
        raise BadConfig(
            f"--split deals images into {len(wanted)} parts, but the session has {len(order)}: "
            "add images, give fewer shares, or leave --split out."
        )
    counts = dict.fromkeys(wanted, 1)
    for _ in range(len(order) - sum(counts.values())):
        lacking = max(wanted, key=lambda name: split[name] * len(order) - counts[name])
        counts[lacking] += 1
    dealt: dict[str, list[Picture]] = {}
    for name in wanted:
        dealt[name], order = order[: counts[name]], order[counts[name] :]
    return dealt


# --- pixel formats ----------------------------------------------------------------------------------------------------


def _write_pixels(
    whole: Collection, name: str, kind: Format, folder: Path, parts: Mapping[str, list[Picture]], final: Path
) -> None:
    """A data set, or a file for all pictures where the format can, else one a picture. It will lie in `final`."""
    folder.mkdir()
    if kind.write_set is not None:
        kind.write_set(carried(whole, kind)[0], folder, parts)
        return
    for part, pictures in parts.items():
        if kind.many:
            write_collection(of_pictures(whole, pictures), folder / f"{part or 'objects'}{kind.ending}", name)
            continue
        place = folder / part if part else folder
        place.mkdir(exist_ok=True)
        for picture in pictures:
            stem = PurePosixPath(picture.name).stem
            shown = replace(picture, name=_seen_from(picture, final / part)) if kind.names_pictures else picture
            write_collection(
                of_pictures(whole, [shown]), place / f"{stem_of(stem, picture, pictures)}{kind.ending}", name
            )


def _seen_from(picture: Picture, folder: Path) -> str:
    """The relative path of a picture near the folder of its labels, so that labelme opens it; else its name."""
    if picture.path is None:
        return picture.name
    base = Path(os.path.realpath(folder)).parents[1]
    if base == base.parent or not Path(os.path.realpath(picture.path)).is_relative_to(base):
        return picture.name
    return PurePosixPath(os.path.relpath(os.path.realpath(picture.path), os.path.realpath(folder))).as_posix()


# --- the folder -------------------------------------------------------------------------------------------------------


def _listed(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


class whole_folder:
    """A folder to write into that takes the place of `out` at the end, or not at all. Raises BadOutput."""

    def __init__(self, out: Path, overwrite: bool) -> None:
        self.out = Path(os.path.realpath(out))
        self.overwrite = overwrite
        if self.out.exists() and not self.out.is_dir():
            raise BadOutput(f"{out} is a file: give the name of a folder, or of a file with the ending of a format.")
        if self.out.is_dir() and any(self.out.iterdir()) and not overwrite:
            raise BadOutput(f"{out} is not empty: choose another folder, or allow overwriting with --overwrite.")
        if not self.out.is_dir():
            check_output(self.out, overwrite=True)

    def __enter__(self) -> Path:
        with writing(self.out):
            self.scratch = Path(tempfile.mkdtemp(prefix=".terraclick-", dir=self.out.parent))
        self.place = self.scratch / "new"
        self.place.mkdir()
        return self.place

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            with writing(self.out, folder=self.scratch):
                if error is None:
                    self._put()
                elif isinstance(error, OSError):
                    raise error
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _put(self) -> None:
        for file in _listed(self.place):
            sync(self.place / file)
        if not self.out.exists():
            os.replace(self.place, self.out)
            return
        new = _listed(self.place)
        stale = set(_earlier(self.out)) - set(new)
        for file in new:
            (self.out / file).parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.place / file, self.out / file)
        for file in stale:
            (self.out / file).unlink(missing_ok=True)


def _earlier(folder: Path) -> list[str]:
    """The files that an earlier export wrote there, by its own list; nothing outside the folder."""
    try:
        told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = [str(name) for name in told["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [name for name in files if not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts]
