"""What an image is called in files that travel, and how it is found again: by its hash, not by the path it once had."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from terraclick.errors import BadData, BadImage, TerraClickError
from terraclick.geo.raster import read_info, resolve_image
from terraclick.store.values import StoredImage
from terraclick.values import Bounds

__all__ = [
    "base_name",
    "files_hash",
    "find_image",
    "image_hash",
    "known_as",
    "portable_name",
    "same_hash",
    "session_key",
    "unique_names",
]

_LEAST_HASH = 16
"""Letters of a hash that are enough to tell files apart; some places keep no more."""
_MAX_FILES = 10_000


def base_name(path: str) -> str:
    """The last part of a path of this or another system."""
    return PureWindowsPath(PurePosixPath(path).name).name


def image_hash(path: str | Path) -> str:
    """SHA-256 of the size and the first and last MiB of a file: cheap on any size. Raises BadData if unreadable."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            digest = hashlib.sha256(str(size).encode())
            for start in (0, max(0, size - (1 << 20))):
                file.seek(start)
                digest.update(file.read(1 << 20))
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error.strerror}): check the path.") from None
    return digest.hexdigest()


def files_hash(paths: Sequence[str | Path]) -> str:
    """Says which files these are: the start of a hash over their `image_hash`es; "" without any. Raises BadData."""
    return hashlib.sha256("".join(image_hash(path) for path in paths).encode()).hexdigest()[:16] if paths else ""


def same_hash(first: str, second: str) -> bool:
    """Whether two hashes, of which one may be cut short, are those of one file; an empty one is nobody's."""
    length = min(len(first), len(second))
    return length >= _LEAST_HASH and first[:length] == second[:length]


def portable_name(image: str | Path, folder: str | Path) -> str:
    """The name by which a file in `folder` tells of an image: relative, with slashes, without the path to it.

    An image in the folder, or beside it in the same parent, is named so that it is found from there; any other by its
    file name alone.
    """
    path, base = Path(os.path.realpath(image)), Path(os.path.realpath(folder))
    if path.is_relative_to(base):
        return path.relative_to(base).as_posix()
    if base.parent != base.parent.parent and path.is_relative_to(base.parent):
        return f"../{path.relative_to(base.parent).as_posix()}"
    return path.name


def known_as(images: Iterable[StoredImage], path: str, digest: str) -> str | None:
    """The name under which a session knows an image file: by its hash, else by the same path where no hash is kept.

    None if the session does not know it.
    """
    images = list(images)
    same = [image.path for image in images if same_hash(image.hash, digest)]
    if same:
        return path if path in same else same[0]
    unknown = [image.path for image in images if len(image.hash) < _LEAST_HASH]
    if path in unknown:
        return path
    named = [name for name in unknown if base_name(name) == base_name(path)]
    return named[0] if len(named) == 1 else None


def _same_place(path: Path, image: StoredImage) -> bool:
    """Whether a file that changed still covers exactly the ground that the session noted for it."""
    try:
        return image.bounds is not None and image.bounds == read_info(path, image.reading).grid.bounds
    except TerraClickError:
        return False


def session_key(
    images: Iterable[StoredImage], path: Path, digest: str, bounds: Bounds | None, folder: Path | None
) -> str:
    """The name under which a session keeps an image file: the one it knows it by, else one that travels.

    A file that changed in its place keeps its name; another one of the same name elsewhere gets a name with its hash.
    `folder` is that of the session file, None for a database, which keeps paths.
    """
    images = list(images)
    own = str(path) if folder is None else portable_name(path, folder)
    known = {image.path: image for image in images}
    found = known_as(images, own, digest)
    if found is not None:
        return found
    if str(path) in known:
        return str(path)
    if own not in known or own != path.name or folder is None or path.parent == Path(os.path.realpath(folder)):
        return own
    return own if bounds is not None and known[own].bounds == bounds else f"{own}#{digest[:8]}"


def unique_names(names: Mapping[str, str]) -> dict[str, str]:
    """File names by key, those that occur twice told apart by a number."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for key, name in names.items():
        stem, ending = PurePosixPath(name).stem, PurePosixPath(name).suffix
        number = 1
        while name.lower() in taken:
            number += 1
            name = f"{stem}-{number}{ending}"
        taken.add(name.lower())
        found[key] = name
    return found


def find_image(image: StoredImage, places: Sequence[Path], beside: Path | None = None) -> Path:
    """The file of a session's image: in `places` (files and folders), else where its name says.

    A file of another hash is not taken, unless it has the name and covers the same ground. `beside` is the folder that
    a relative name starts from. Raises BadData with what was looked for.
    """
    name = base_name(image.path).split("#")[0]
    if not places:
        path = Path(image.path)
        packaged = resolve_image("sample")
        candidates = [packaged] if image.path in ("sample", packaged.name) else []
        candidates += [path] if path.is_absolute() or beside is None else [beside / path, beside / name, path]
    else:
        named, others = [], []
        for place in places:
            inside = sorted(place.iterdir())[:_MAX_FILES] if place.is_dir() else [place]
            files = [file for file in inside if file.is_file()]
            named += [file for file in files if file.name == name]
            others += [file for file in files if file.name != name]
        candidates = named + (others if len(image.hash) >= _LEAST_HASH else [])
    found_other = None
    for candidate in candidates:
        if not candidate.is_file():
            continue
        same = len(image.hash) < _LEAST_HASH or same_hash(image_hash(candidate), image.hash)
        if same or (candidate.name == name and _same_place(candidate, image)):
            try:
                return resolve_image(candidate)
            except BadImage:
                continue
        found_other = candidate if candidate.name == name else found_other
    if found_other is not None:
        raise BadData(f"{found_other} is not the image that the session knows as {name}: its content is another one.")
    raise BadData(f"the image {name} was not found: say with --images in which folder it lies.")
