"""The few tags of a TIFF, JPEG or PNG that GDAL does not tell: orientation, compression, whether it has a place.

Read straight from the bytes, with a limit on everything, because GDAL hides them: it gives a file without any
georeference the identity as transform, and a photograph its stored rows, not those that viewers show.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["COMPRESSIONS", "Tags", "tags_of"]

MOST_ENTRIES = 1000
HEAD_BYTES = 2**20
"""A photograph's EXIF lies within its first bytes."""

_ORIENTATION, _COMPRESSION, _BITS, _PHOTOMETRIC = 274, 259, 258, 262
_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION = 33550, 33922, 34264
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_SHORTS = {1: "B", 3: "H", 4: "I", 16: "Q"}

COMPRESSIONS = {
    2: "CCITT run lengths", 3: "CCITT fax 3", 4: "CCITT fax 4", 5: "LZW", 6: "old-style JPEG", 7: "JPEG", 8: "deflate",
    32773: "PackBits", 32946: "deflate", 33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000", 34661: "JBIG",
    34676: "SGILOG", 34677: "SGILOG24", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy DNG", 34925: "LZMA",
    34926: "Zstandard (old number)", 34933: "PNG", 34934: "JPEG XR", 50000: "Zstandard", 50001: "WebP",
    50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
"""Names of TIFF compressions by their number."""


@dataclass(frozen=True)
class Tags:
    """orientation 1–8 as EXIF and TIFF count, compression by TIFF's number (1 = none), bits a sample; placed: the
    file has a geotransform or control points of its own."""

    orientation: int = 1
    compression: int = 1
    bits: int = 8
    placed: bool = False


def tags_of(path: Path, driver: str, page_offset: int = 0) -> Tags:
    """The tags of a file that `driver` reads; defaults where they cannot be read. `page_offset`: so many directories
    after the first of a TIFF."""
    try:
        with path.open("rb") as file:
            if driver == "GTiff":
                return _tiff(file, 0, page_offset)
            block = _exif_of_jpeg(file.read(HEAD_BYTES)) if driver == "JPEG" else _exif_of_png(file)
        if block is None:
            return Tags()
        return Tags(orientation=_tiff(io.BytesIO(block), 0, 0).orientation)
    except (OSError, struct.error, ValueError):
        return Tags()


def _tiff(file: BinaryIO, base: int, skip: int) -> Tags:
    """The tags of the directory that is `skip` after the first."""
    file.seek(base)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}[head[:2]] if head[:2] in (b"II", b"MM") else None
    if order is None:
        raise ValueError("no TIFF")
    big = struct.unpack(order + "H", head[2:4])[0] == 43
    count_kind, entry, offset_kind = ("Q", 20, "Q") if big else ("H", 12, "I")
    width = struct.calcsize(order + offset_kind)
    (at,) = struct.unpack_from(order + offset_kind, head, 8 if big else 4)
    for step in range(skip + 1):
        file.seek(base + at)
        (count,) = struct.unpack(order + count_kind, file.read(struct.calcsize(order + count_kind)))
        if count > MOST_ENTRIES:
            raise ValueError("too many entries")
        entries = file.read(count * entry)
        if step < skip:
            (at,) = struct.unpack(order + offset_kind, file.read(width))
            if at == 0:
                raise ValueError("no such page")
    found: dict[int, int] = {}
    for number in range(count):
        tag, kind = struct.unpack_from(order + "HH", entries, number * entry)
        (many,) = struct.unpack_from(order + offset_kind, entries, number * entry + 4)
        value = 0
        if kind in _SHORTS and many >= 1 and _SIZES[kind] * many <= width:
            (value,) = struct.unpack_from(order + _SHORTS[kind], entries, number * entry + 4 + width)
        elif tag == _BITS and kind == 3 and many < 65536:
            (place,) = struct.unpack_from(order + offset_kind, entries, number * entry + 4 + width)
            file.seek(base + place)
            (value,) = struct.unpack(order + "H", file.read(2))
        found[tag] = value
    turned = found.get(_ORIENTATION, 1)
    return Tags(
        turned if 1 <= turned <= 8 else 1,
        found.get(_COMPRESSION, 1),
        found.get(_BITS, 1),
        any(tag in found for tag in (_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION)),
    )


def _exif_of_jpeg(head: bytes) -> bytes | None:
    """The TIFF within a JPEG's APP1 segment."""
    at = 2
    while at + 4 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # filling
            at += 1
            continue
        if marker in (0xD9, 0xDA):
            return None
        (length,) = struct.unpack_from(">H", head, at + 2)
        if marker == 0xE1 and head[at + 4 : at + 10] == b"Exif\0\0":
            return head[at + 10 : at + 2 + length]
        at += 2 + length
    return None


def _exif_of_png(file: BinaryIO) -> bytes | None:
    """The TIFF within a PNG's eXIf chunk."""
    file.seek(8)
    for _ in range(MOST_ENTRIES):
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return None
        (length,) = struct.unpack(">I", head[:4])
        if head[4:] == b"eXIf":
            return file.read(min(length, HEAD_BYTES))
        file.seek(length + 4, 1)
    return None
