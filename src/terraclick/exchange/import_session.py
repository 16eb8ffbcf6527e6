"""Files of other programs, and our own exports, as a session to go on with: uuid, class, attributes and place kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from affine import Affine
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from terraclick.errors import BadData, TerraClickError
from terraclick.exchange.imports import Labels, check_places, read_labels
from terraclick.exchange.registry import readable_endings
from terraclick.geo.affine import through
from terraclick.geo.carrying import notes_on_carrying
from terraclick.geo.grid import Grid
from terraclick.geo.raster import read_info, resolve_image
from terraclick.geo.reading import Reading
from terraclick.geo.reproject import reproject
from terraclick.store.geopackage import GeoPackageStore
from terraclick.store.identity import base_name, image_hash, known_as, portable_name
from terraclick.store.readings import AS_FILES_SAY, Readings, readings_of
from terraclick.store.session_files import check_session_output, replace_session
from terraclick.store.values import StoredImage

__all__ = ["Imported", "import_session"]

MAX_FILES = 10_000
SKIPPED = ("export.json",)


@dataclass(frozen=True)
class Imported:
    """What came in: objects kept, those that were there already (same uuid), images, classes."""

    objects: int
    known: int
    images: int
    classes: int


@dataclass(frozen=True)
class _Image:
    name: str
    path: Path
    grid: Grid
    hash: str
    reading: Reading


def import_session(
    files: Sequence[Path],
    session: Path,
    *,
    images: Sequence[Path] = (),
    crs: CRS | None = None,
    append: bool = False,
    overwrite: bool = False,
    warn: Callable[[str], None] = lambda line: None,
) -> Imported:
    """Read label files (or folders of them) into the session file, a new one unless `append`; whole or not at all.

    `images` are the pictures (files and folders): pixel formats need them, and the session then knows their hashes.
    `crs` is the new session's, by default the images' or else the first file's. An object whose uuid the session holds
    is left as it is there. `warn` hears where places come out metres off. Raises BadData, BadOutput, UnknownName,
    MissingExtra, NotGeoreferenced.
    """
    session = Path(session)
    check_session_output(session, append, overwrite)
    known_images = _opened(images, _known_readings(session if append else None))
    shapes = {image.name: image.grid.shape for image in known_images}
    labels = []
    for path in _label_files(files):
        labels.append(read_labels(path, shapes))
        check_places(labels[-1], path)
    if append and session.exists():
        with GeoPackageStore.open(session) as store, store.transaction():
            _tell_accuracy(labels, store.crs, warn)
            return _kept(store, labels, known_images, session.parent)
    destination = _destination_crs(labels, known_images, crs)
    _tell_accuracy(labels, destination, warn)
    with replace_session(session, overwrite) as part:
        with GeoPackageStore.create(part, destination) as store, store.transaction():
            found = _kept(store, labels, known_images, session.parent)
    return found


def _tell_accuracy(labels: Sequence[Labels], destination: CRS | None, warn: Callable[[str], None]) -> None:
    """Say where a grid is missing that would carry the labels better into the session."""
    if destination is None:
        return
    placed = [label for label in labels if not label.pixels]
    notes = [notes_on_carrying([i.geometry for i in label.items], label.crs, [destination]) for label in placed]
    for note in dict.fromkeys(itertools.chain(*notes)):
        warn(f"Note on the imported labels: {note}.")


def _label_files(files: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in files:
        if path.is_dir():
            inside = [
                file for file in sorted(path.rglob("*")) if file.is_file() and file.suffix.lower() in readable_endings()
            ]
            found += [file for file in inside if not _beside_labels(file)][:MAX_FILES]
        else:
            found.append(path)
    if not found:
        raise BadData(
            f"{files[0] if files else 'nothing'} holds no label file: known endings are "
            f"{', '.join(readable_endings())}."
        )
    return found


def _beside_labels(file: Path) -> bool:
    """Whether a file only tells of others: lists of pictures, names of classes, what lines cannot say."""
    if file.name in SKIPPED or file.name.endswith((".classes.txt", ".objects.csv")) or file.name == "classes.txt":
        return True
    return (file.suffix == ".txt" and (file.with_name("data.yaml")).is_file()) or file.name == "pictures.csv"


def _known_readings(session: Path | None) -> Readings:
    """How a session that is there has its images read."""
    if session is None or not session.exists():
        return AS_FILES_SAY
    with GeoPackageStore.open(session) as store:
        return readings_of(store)


def _opened(places: Sequence[Path], readings: Readings) -> list[_Image]:
    found = []
    for place in places:
        folder = place.is_dir()
        for file in sorted(place.iterdir())[:MAX_FILES] if folder else [place]:
            if folder and not file.is_file():
                continue
            try:
                digest = image_hash(resolve_image(file))
                reading = readings.of_file(resolve_image(file), digest)
                info = read_info(file, reading)
            except TerraClickError:
                if folder:
                    continue
                raise
            found.append(_Image(file.name, info.path, info.grid, digest, reading))
    return found


def _destination_crs(labels: Sequence[Labels], images: Sequence[_Image], crs: CRS | None) -> CRS | None:
    if crs is not None:
        return crs
    placed = [label.crs for label in labels if not label.pixels]
    if placed:
        return placed[0]
    return images[0].grid.crs if images else None


def _kept(store: GeoPackageStore, labels: Sequence[Labels], images: Sequence[_Image], folder: Path) -> Imported:
    used: dict[str, str] = {}
    objects = known = 0
    there = {item.uuid for item in store.objects()}
    for label in labels:
        for kind in label.classes:
            if kind.name not in {held.name for held in store.classes()}:
                store.set_class(kind)
        pictures = _matched(label, images)
        rows = []
        for item in label.items:
            if item.uuid and item.uuid in there:
                known += 1
                continue
            there.add(item.uuid)
            picture = pictures.get(item.image)
            if label.pixels and picture is None and (images or store.crs is not None):
                raise BadData(
                    f"the image {base_name(item.image) or '(no name)'} is not among those given with --image."
                )
            key = _registered(store, item.image, picture, folder, used)
            geometry = _placed(item.geometry, label, picture, store.crs)
            rows.append((replace(item, geometry=geometry, image=key, rev=max(item.rev - 1, 0)), (), None))
        store.add_many(rows, store.crs)
        objects += len(rows)
    return Imported(objects, known, len(set(used.values()) - {""}), len(store.classes()))


def _matched(label: Labels, images: Sequence[_Image]) -> dict[str, _Image]:
    """The pictures by the names that a file gives them: by file name, by stem, or the only one there is."""
    names = {item.image for item in label.items}
    found: dict[str, _Image] = {}
    for name in names:
        wanted = base_name(name)
        same = [image for image in images if image.name == wanted]
        same = same or [image for image in images if Path(image.name).stem == Path(wanted).stem]
        if not same and label.pixels and len(images) == 1 and len(names) == 1:
            same = list(images)
        if len(same) == 1:
            found[name] = same[0]
    return found


def _registered(store: GeoPackageStore, name: str, picture: _Image | None, folder: Path, used: dict[str, str]) -> str:
    """The key of an image in the session; it is added at its first object."""
    if name in used:
        return used[name]
    key = base_name(name)
    if picture is not None:
        own = portable_name(picture.path, folder)
        key = known_as(store.images(), own, picture.hash) or own
        crs = None if store.crs is None else picture.grid.crs
        bounds = None if crs is None else picture.grid.bounds
        if (crs is None) == (store.crs is None):
            store.add_image(StoredImage(key, picture.hash, crs, bounds, picture.reading))
        else:
            key = ""
    elif key and key not in {image.path for image in store.images()}:
        store.add_image(StoredImage(key, "", store.crs))
    used[name] = key
    return key


def _placed(geometry: BaseGeometry, label: Labels, picture: _Image | None, destination: CRS | None) -> BaseGeometry:
    if not label.pixels:
        return reproject(geometry, label.crs, destination)
    if destination is None or picture is None:
        return geometry
    placed = picture.grid.transform if picture.grid.crs is not None else Affine.identity()
    return reproject(through(geometry, placed), picture.grid.crs, destination)
