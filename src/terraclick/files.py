"""Files that appear whole or not at all: the one way in which every verb and every format writes.

`replace_whole` gives a place in a hidden folder beside the destination. What was written there is flushed to disk and
checked; only then is it moved into place, together with the files that belong to it. An earlier file stands until its
successor does, links are followed, and files that belonged to the earlier one and would be believed of the new one are
removed.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from terraclick.errors import BadOutput

__all__ = [
    "FULL",
    "check_apart",
    "check_output",
    "copy_file",
    "files_beside",
    "replace_whole",
    "sync",
    "write_bytes",
    "write_text",
    "writing",
]

_RASTER = (".aux.xml", ".ovr", ".ovr.aux.xml", ".msk", ".msk.ovr", ".vat.dbf", ".vat.cpg")
_SHAPEFILE = ".shx .dbf .prj .cpg .qpj .qix .sbn .sbx .fbn .fbx .ain .aih .atx .ixs .mxs .idm .ind .cst".split()

BESIDE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    ".tif": (_RASTER, (".tfw", ".tifw")),
    ".tiff": (_RASTER, (".tfw", ".tiffw")),
    ".png": (_RASTER, (".pgw", ".pngw")),
    ".jpg": (_RASTER, (".jgw", ".jpgw")),
    ".jpeg": (_RASTER, (".jgw", ".jpegw")),
    ".shp": ((".xml",), tuple(_SHAPEFILE)),
    ".gpkg": (("-wal", "-shm", "-journal", ".aux.xml"), ()),
    ".csv": ((), (".csvt",)),
    ".safetensors": ((), (".json",)),
}
"""Ending of a file → what other programs read with it: endings after its whole name, endings after its stem."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PROBE_BYTES = 1 << 20
_OUT = "out"


def files_beside(path: Path, also: Sequence[str] = ()) -> list[Path]:
    """The files that lie there and belong to `path`; `also` names further endings after its stem, in small letters."""
    whole, stem_only = BESIDE.get(path.suffix.lower(), ((), ()))
    endings = {path.name: whole, path.stem: (*stem_only, *also)}
    found = []
    try:
        names = os.listdir(path.parent)
    except OSError:
        return []
    for name in names:
        for start, known in endings.items():
            if name != path.name and name.startswith(start) and name[len(start) :].lower() in known:
                found.append(path.parent / name)
                break
    return sorted(found)


def check_output(path: str | Path, overwrite: bool, also: Sequence[str] = ()) -> Path:
    """The place that a file of this name is written to, links followed.

    Raises BadOutput if a file cannot be made there, or if it or a file that belongs to it lies there and `overwrite` is
    not given. `also` names further endings after the stem of files that are written with it.
    """
    path = Path(path)
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in str(path)):
        raise BadOutput(f"{str(path)!r} holds a control character or a line end: give a name of printable characters.")
    if os.sep != "\\" and "\\" in path.name:
        raise BadOutput(f"{path} holds a backslash, which other systems take for a folder: leave it out of the name.")
    destination = Path(os.path.realpath(path))
    try:
        mode = os.stat(destination).st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        raise BadOutput(f"{path} cannot be written: {error.strerror}: choose another name.") from None
    if mode is not None and stat.S_ISDIR(mode):
        raise BadOutput(f"{path} is a folder: give the name of a file in it.")
    if mode is not None and not stat.S_ISREG(mode):
        raise BadOutput(f"{path} is no plain file and cannot be replaced: give the name of a file.")
    if not destination.parent.is_dir():
        raise BadOutput(f"{path} cannot be written: the folder {destination.parent} does not exist.")
    if not overwrite:
        if mode is not None:
            raise BadOutput(f"{path} already exists: choose another name, or allow overwriting with --overwrite.")
        others = files_beside(destination, also)
        if others:
            raise BadOutput(
                f"{others[0].name} lies beside {path} and would be replaced with it: choose another name, or allow "
                "overwriting with --overwrite."
            )
    if not os.access(destination.parent, os.W_OK) or (mode is not None and not os.access(destination, os.W_OK)):
        raise BadOutput(f"{path} cannot be written: you have no right to write there.")
    return destination


def check_apart(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Raises BadOutput if writing would replace a file that is read, or write one file twice.

    What belongs to an output (`files_beside`) is replaced with it. Folders and inputs that are not there do not count.
    """
    read = [path for path in inputs if path.is_file()]
    for place, output in enumerate(outputs):
        destination = Path(os.path.realpath(output))
        if destination in [Path(os.path.realpath(other)) for other in outputs[:place]] and not destination.is_dir():
            raise BadOutput(f"{output} was given for two outputs: give each a name of its own.")
        for doomed in [destination, *files_beside(destination)]:
            if any(doomed.is_file() and os.path.samefile(doomed, path) for path in read):
                also = "" if doomed == destination else f", as {output} is written"
                raise BadOutput(
                    f"{doomed.name} is read here and would be replaced{also}: give the output another name."
                )


@contextmanager
def replace_whole(
    path: str | Path,
    overwrite: bool = True,
    *,
    check: Callable[[Path], object] | None = None,
    also: Sequence[str] = (),
    errors: tuple[type[Exception], ...] = (),
    may_be_empty: bool = False,
) -> Iterator[Path]:
    """Give a path to write to; at the end that file, and those beside it of the same stem, are put in place of `path`.

    `check` opens the written file again and raises if it is not what it should be. `errors` are what the writing
    library raises besides OSError. If anything fails, what lay there before still lies there, and nothing new does.
    Raises BadOutput, in words that tell a full disk from other reasons.
    """
    destination = check_output(path, overwrite, also)
    with writing(path, errors):
        folder = Path(tempfile.mkdtemp(prefix=".terraclick-", dir=destination.parent))
    try:
        with writing(path, errors, folder):
            part = folder / f"{_OUT}{destination.suffix}"
            yield part
            _flush(folder, part, may_be_empty)
            if check is not None:
                check(part)
            _put(folder, destination, overwrite, also)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def writing(path: str | Path, errors: tuple[type[Exception], ...] = (), folder: Path | None = None) -> Iterator[None]:
    """Translate what goes wrong while `path` is written into a BadOutput that names it.

    `folder` is where it is written: whether there is room left is found out there when a library hides the reason.
    """
    caught: tuple[type[Exception], ...] = (OSError, *errors)
    try:
        yield
    except caught as error:
        number = error.errno if isinstance(error, OSError) else None
        reason = (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())[:200]
        probed = None if number in FULL or folder is None else _no_room(folder)
        if number in FULL or probed is not None:
            said = reason if number in FULL else probed
            raise BadOutput(
                f"{path} cannot be written: the disk is full or a size limit is reached ({said}): free some space, or "
                "choose another place."
            ) from error
        raise BadOutput(f"{path} cannot be written: {reason}: check the folder and its rights.") from error


def _no_room(folder: Path) -> str | None:
    """Why no more can be written in a folder; None if a MiB can."""
    try:
        with (folder / "probe").open("wb") as file:
            file.write(b"\0" * _PROBE_BYTES)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror if error.errno in FULL else None
    finally:
        with suppress(OSError):
            (folder / "probe").unlink(missing_ok=True)
    return None


def sync(path: Path) -> None:
    """Have a file or a folder on the disk before returning; an error that was put off comes out here."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot
            raise
    finally:
        os.close(handle)


def _flush(folder: Path, part: Path, may_be_empty: bool) -> None:
    if not part.is_file():
        raise OSError(None, "the file was not made")
    for file in folder.iterdir():
        sync(file)
    if not may_be_empty and part.stat().st_size == 0:
        raise OSError(None, "the written file is empty")


def _put(folder: Path, destination: Path, overwrite: bool, also: Sequence[str]) -> None:
    """Move everything into place: what belongs to the file first, the file last, then stale files away."""
    stem = destination.name[: len(destination.name) - len(destination.suffix)]
    made = {file: destination.with_name(stem + file.name[len(_OUT) :]) for file in folder.iterdir()}
    order = sorted(made, key=lambda file: made[file] == destination)
    mode = _usual_mode(folder)
    kept = folder / "before"
    kept.mkdir()
    stale = [file for file in files_beside(destination, also) if file not in made.values()]
    if stale and not overwrite:
        raise OSError(None, f"{stale[0].name} came into being beside it")
    backups: dict[Path, Path] = {}
    placed: list[Path] = []
    try:
        for new, place in ((new, made[new]) for new in order):
            real = Path(os.path.realpath(place))
            known = stat.S_IMODE(real.stat().st_mode) if real.exists() else mode
            os.chmod(new, known)
            if overwrite:
                if real.exists():
                    backups[real] = _linked(real, kept)
                os.replace(new, real)
            else:
                _put_new(new, real)
            placed.append(real)
        for file in stale:
            backups[file] = _linked(file, kept)
            file.unlink()
    except OSError:
        for real in placed:
            if real not in backups:
                real.unlink(missing_ok=True)
        for real, backup in backups.items():
            if backup.exists():
                os.replace(backup, real)
        raise
    with suppress(OSError):
        sync(destination.parent)


def _put_new(new: Path, place: Path) -> None:
    """Move a file to where none may be: one that came into being meanwhile is not replaced."""
    try:
        os.link(new, place)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, "a file of this name came into being meanwhile") from None
    except OSError:  # a file system without links
        if place.exists():
            raise FileExistsError(errno.EEXIST, "a file of this name came into being meanwhile") from None
        os.replace(new, place)
    else:
        new.unlink()


def _linked(file: Path, folder: Path) -> Path:
    """A second name for a file, to bring it back by; where there are no links the file has no second name."""
    backup = folder / file.name
    with suppress(OSError):
        os.link(file, backup)
    return backup


def _usual_mode(folder: Path) -> int:
    """The rights that a new file gets here; some libraries give fewer."""
    probe = folder / "mode"
    probe.touch()
    mode = stat.S_IMODE(probe.stat().st_mode)
    probe.unlink()
    return mode


# --- plain content ---------------------------------------------------------------------------------------------------


def write_bytes(path: str | Path, data: bytes, overwrite: bool = True) -> None:
    """Write a file whole, or not at all. Raises BadOutput."""
    with replace_whole(path, overwrite, check=lambda part: _same_size(part, len(data)), may_be_empty=not data) as part:
        part.write_bytes(data)


def write_text(path: str | Path, text: str, overwrite: bool = True) -> None:
    """Write a UTF-8 text file whole, or not at all. Raises BadOutput."""
    write_bytes(path, text.encode(), overwrite)


def copy_file(source: Path, out: str | Path, overwrite: bool = True) -> None:
    """Copy a file whole, or not at all. Raises BadOutput."""
    with replace_whole(out, overwrite, check=lambda part: _same_size(part, source.stat().st_size)) as part:
        shutil.copyfile(source, part)


def _same_size(part: Path, size: int) -> None:
    found = part.stat().st_size
    if found != size:
        raise OSError(None, f"only {found} of {size} bytes were written")
