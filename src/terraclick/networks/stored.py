"""Checkpoint files of PyTorch, Jittor and NumPy pickles, opened without running anything of them.

| who writes | what the file is |
|---|---|
| PyTorch from 1.6, Jittor's `.pth` | an archive: `data.pkl`, and a member `data/KEY` for each storage |
| PyTorch before 1.6 | a magic number, then the pickle, then the storages |
| Jittor's `.pkl` | a pickle of arrays, with a checksum behind it |
| anybody | a pickle of NumPy arrays or tensors |

Tensors stay on disk until `StoredTensor.read`; everything that is neither data nor a tensor becomes a `Stub`.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from terraclick.networks.plain_pickle import Damaged, Unpickled, read_pickle
from terraclick.networks.stored_values import Storage, makers_of, storage_of

__all__ = ["open_stored"]

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
JITTOR_MAGIC = b"HCAJSLHD"
PICKLE_BYTES = 256 * 2**20
"""A `data.pkl` larger than this describes no network."""

PACKED = 64
"""An archive's member that is so many times larger than the archive holds no trained numbers."""

NESTED = 2
"""How deep files inside files may go: a tensor pickled alone is a file of its own."""

_KNOWN = re.compile(
    r"numpy\.ndarray|torch\.(?:cuda\.)?\w+Storage|torch\.storage\.\w+Storage|torch\.\w*(?:float|int|bool)\w*"
)
"""Names that say how numbers are kept: reporting them would tell nobody anything."""


def _reported(stubs: Counter[str]) -> Counter[str]:
    return Counter({name: count for name, count in stubs.items() if count or not _KNOWN.fullmatch(name)})


def open_stored(path: Path) -> Unpickled:
    """What a checkpoint holds: `StoredTensor` and `StoredArray` for numbers, stubs for objects. Raises Damaged.

    The file must stay where it is until its tensors are read.
    """
    with path.open("rb") as file:
        return _open(file, path.stat().st_size, 0)


def _nested(data: Any, depth: int) -> Any:
    """A tensor's storage, pickled as a file of its own."""
    if depth >= NESTED or not isinstance(data, bytes):
        raise Damaged("it holds files within files")
    return _open(io.BytesIO(data), len(data), depth + 1).value


def _open(file: BinaryIO, size: int, depth: int) -> Unpickled:
    head = file.read(4)
    file.seek(0)
    found = _archive(file, size, depth) if head == b"PK\3\4" else _stream(file, size, depth)
    return Unpickled(found.value, _reported(found.stubs))


def _reader(file: BinaryIO) -> Callable[[int, int], bytearray]:
    """(place, length) → bytes; the file may be closed by then, and is opened again by its name."""
    name = getattr(file, "name", None)
    kept = None if isinstance(name, str | Path) else file

    def read(place: int, length: int) -> bytearray:
        source: BinaryIO = kept if kept is not None else open(str(name), "rb")
        try:
            source.seek(place)
            found = bytearray(source.read(length))
        finally:
            if kept is None:
                source.close()
        if len(found) != length:
            raise Damaged("it ends before its numbers do")
        return found

    return read


def _archive(file: BinaryIO, size: int, depth: int) -> Unpickled:
    try:
        with zipfile.ZipFile(file) as archive:
            members = {info.filename: info for info in archive.infolist()}
            described = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
            if not described:
                raise Damaged("it is an archive without a data.pkl")
            root = described[0].removesuffix("data.pkl")
            if f"{root}constants.pkl" in members or any(name.startswith(f"{root}code/") for name in members):
                raise Damaged("it is a TorchScript program, not weights: save the state dict of the network instead")
            if members[described[0]].file_size > min(PICKLE_BYTES, size):
                raise Damaged("its data.pkl is too large")
            if f"{root}byteorder" in members and archive.read(f"{root}byteorder")[:8] == b"big":
                raise Damaged("its numbers are in the other byte order")
            content = archive.read(described[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, struct.error) as error:
        raise Damaged(f"it is not a whole archive ({error})") from None
    read = _reader(file)

    def numbers(storage: Storage) -> bytearray:
        info = members.get(f"{root}data/{storage.key}")
        length = (storage.start + storage.count) * storage.dtype.itemsize
        if info is None or length > info.file_size:
            raise Damaged(f"numbers are missing in {root}data/{storage.key[:40]}")
        if info.file_size > PACKED * size or info.flag_bits & 1:
            raise Damaged(f"{root}data/{storage.key[:40]} is packed or locked beyond what weights are")
        if info.compress_type != zipfile.ZIP_STORED:
            return _unpacked(file, info, length)
        header = read(info.header_offset, 30)
        return read(info.header_offset + 30 + sum(struct.unpack("<HH", header[26:30])), length)

    return read_pickle(io.BytesIO(content), makers_of(lambda data: _nested(data, depth)), storage_of(numbers))


def _unpacked(file: BinaryIO, info: zipfile.ZipInfo, length: int) -> bytearray:
    name = getattr(file, "name", file)
    try:
        with zipfile.ZipFile(name) as archive, archive.open(info) as member:
            found = bytearray(member.read(length))
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError, OSError) as error:
        raise Damaged(f"it is not a whole archive ({error})") from None
    if len(found) != length:
        raise Damaged("it ends before its numbers do")
    return found


class _Bounded(io.RawIOBase):
    """A file that is never asked for more than it has, whatever length a pickle claims."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size

    def read(self, length: int = -1) -> bytes:
        left = max(self.size - self.file.tell(), 0)
        return self.file.read(left if length < 0 else min(length, left))

    def readline(self, limit: int | None = -1) -> bytes:
        return self.file.readline(-1 if limit is None else limit)

    def tell(self) -> int:
        return self.file.tell()


def _stream(file: BinaryIO, size: int, depth: int) -> Unpickled:
    """A pickle, or PyTorch's older layout of several."""
    pickles = cast(BinaryIO, _Bounded(file, size))
    file.seek(max(size - 28, 0))
    tail = file.read()
    file.seek(0)
    if tail[20:] == JITTOR_MAGIC:
        digest = hashlib.sha1(usedforsecurity=False)
        for start in range(0, size - 28, 2**20):
            digest.update(file.read(min(2**20, size - 28 - start)))
        if digest.digest() != tail[:20]:
            raise Damaged("its checksum does not fit its content")
        file.seek(0)
    places: dict[str, tuple[int, int]] = {}
    read = _reader(file)

    def numbers(storage: Storage) -> bytearray:
        place, count = places.get(storage.key, (0, 0))
        if storage.start + storage.count > count:
            raise Damaged("there are fewer numbers than it says")
        return read(place, (storage.start + storage.count) * storage.dtype.itemsize)

    seen: dict[str, torch.dtype] = {}
    meaning = storage_of(numbers)

    def noted(said: Any) -> Any:
        found = meaning(said)
        if isinstance(found, Storage):
            seen[found.key] = found.dtype
        return found

    makers = makers_of(lambda data: _nested(data, depth))
    content = read_pickle(pickles, makers, noted)
    if content.value != LEGACY_MAGIC:
        return content
    read_pickle(pickles, {})  # version of the layout
    about = read_pickle(pickles, {}).value
    if isinstance(about, dict) and about.get("little_endian") is False:
        raise Damaged("its numbers are in the other byte order")
    content = read_pickle(pickles, makers, noted)
    keys = read_pickle(pickles, {}).value
    for key in keys if isinstance(keys, list) else []:
        head = file.read(8)
        if len(head) < 8 or str(key) not in seen:
            raise Damaged("it ends before its numbers do")
        count = struct.unpack("<q", head)[0]
        places[str(key)] = (file.tell(), count)
        if count < 0 or file.tell() + count * seen[str(key)].itemsize > size:
            raise Damaged("it ends before its numbers do")
        file.seek(count * seen[str(key)].itemsize, io.SEEK_CUR)
    return content
