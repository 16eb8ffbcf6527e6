"""Pictures that come as bytes (base64 of a request, a column of a session): their size is read before they are decoded.

A file of 3 MB can unpack to gigabytes; nothing is unpacked whose head does not say that it is small enough.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["decoded", "size_of"]


def decoded(data: bytes, kind: int, most: int) -> NDArray[Any] | None:
    """A PNG or JPEG of at most `most` pixels a side as `cv2.imdecode` gives it; None for anything else."""
    size = size_of(data)
    if size is None or not 1 <= min(size) <= max(size) <= most:
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), kind)
    except cv2.error:
        return None


def size_of(data: bytes) -> tuple[int, int] | None:
    """(width, height) from the head of a PNG or JPEG file; None for anything else."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data[:3] != b"\xff\xd8\xff":
        return None
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + length
    return None
