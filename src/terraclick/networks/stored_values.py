"""What becomes of the names in a checkpoint's pickle: plain values, and numbers that stay in their file.

`stored.py` opens the files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraclick.networks.plain_pickle import Damaged, Name, Stub

__all__ = ["ReadStorage", "Storage", "StoredArray", "StoredTensor", "makers_of", "storage_of"]

DTYPES = {
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}
"""Storage classes, without the word Storage → the type of their elements."""

NUMPY = re.compile(r"[<>=|]?[biufc](?:1|2|4|8|16)")
"""Types of arrays that hold numbers and nothing else."""

ReadStorage = Callable[["Storage"], bytearray]


@dataclass(frozen=True, eq=False)
class Storage:
    """A row of numbers in a file."""

    dtype: torch.dtype
    key: str
    count: int
    read: ReadStorage
    start: int = 0
    """First of its elements within the stored row."""

    @property
    def nbytes(self) -> int:
        """Of its elements."""
        return self.count * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor that is still in its file."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def read(self) -> Tensor:
        """The tensor. Raises Damaged if its storage is not as large as it says."""
        storage = self.storage
        first = storage.start + self.offset
        reach = sum((side - 1) * step for side, step in zip(self.shape, self.stride, strict=True))
        if 0 in self.shape:
            return torch.zeros(self.shape, dtype=storage.dtype)
        if first + reach >= storage.start + storage.count:
            raise Damaged(f"a tensor of shape {self.shape} is larger than what is stored of it")
        row = torch.frombuffer(storage.read(storage), dtype=storage.dtype)
        try:
            return row.as_strided(self.shape, self.stride, first)
        except RuntimeError:  # a shape beyond what a tensor can count
            raise Damaged(f"a tensor has the shape {self.shape}") from None

    def build(self, state: Any) -> None:
        """Attributes of a tensor or parameter; none of them matters."""


class StoredArray:
    """A NumPy array of a pickle."""

    def __init__(self) -> None:
        self.array: NDArray[Any] | None = None

    def build(self, state: Any) -> None:
        """state: ([version,] shape, dtype, whether in Fortran's order, bytes)."""
        shape, dtype, fortran, data = state[-4:]
        if isinstance(data, str):  # Python 2
            data = data.encode("latin-1")
        if _holds_numbers(data, dtype):
            self.array = _array(data, dtype, shape, "F" if fortran else "C")

    def read(self) -> Tensor:
        """The same as a tensor. Raises Damaged for an array without numbers."""
        if self.array is None:
            raise Damaged("an array holds no numbers")
        return torch.from_numpy(self.array.astype(self.array.dtype.newbyteorder("="), copy=True))


class _Dtype:
    """A NumPy type by its letters; the byte order comes later."""

    def __init__(self, text: Any, *_: Any) -> None:
        self.text = text if isinstance(text, str) else "object"
        self.order = ""

    def build(self, state: Any) -> None:
        """state: (version, byte order, …)."""
        if state[1] in ("<", ">"):
            self.order = state[1]

    @property
    def known(self) -> np.dtype[Any] | None:
        """The type, if it is a number's."""
        text = self.order + self.text.lstrip("<>=|")
        return np.dtype(text) if NUMPY.fullmatch(text) else None


def _holds_numbers(data: Any, dtype: Any) -> bool:
    return isinstance(dtype, _Dtype) and dtype.known is not None and isinstance(data, bytes | bytearray)


def _array(data: Any, dtype: Any, shape: Any, order: str = "C") -> NDArray[Any]:
    sides, kind = tuple(int(side) for side in shape), dtype.known
    if min(sides, default=0) < 0 or math.prod(sides) * kind.itemsize != len(data):
        raise Damaged(f"an array of shape {sides} has {len(data)} bytes")
    return np.frombuffer(bytes(data), kind).reshape(sides, order="F" if order == "F" else "C")


def _filled(data: Any, dtype: Any, shape: Any, order: Any = "C") -> Any:
    """An array that was pickled by its memory."""
    if not _holds_numbers(data, dtype):
        return Stub("numpy.ndarray")
    made = StoredArray()
    made.array = _array(data, dtype, shape, order)
    return made


def _scalar(dtype: Any, data: Any = b"") -> Any:
    if isinstance(data, str):
        data = data.encode("latin-1")
    return _array(data, dtype, (1,))[0].item() if _holds_numbers(data, dtype) else Stub("numpy.generic")


def _pairs(items: Any = ()) -> dict[Any, Any]:
    if isinstance(items, dict):
        return dict(items)
    if not isinstance(items, list | tuple) or not all(isinstance(i, list | tuple) and len(i) == 2 for i in items):
        raise Damaged("a dict is made of what are no pairs")
    return {_plain_key(key): value for key, value in items}


def _plain_key(key: Any) -> Any:
    if not isinstance(key, str | int | float | bytes | None):
        raise Damaged("a dict has a key that is no text or number")
    return key


def _items(items: Any = ()) -> list[Any]:
    if not isinstance(items, list | tuple):
        raise Damaged("a set is made of what is no list")
    return list(items)


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8", "ascii"):
        raise Damaged("bytes are made of what is no text")
    return text.encode(encoding)


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> StoredTensor:
    numbers = (offset, *shape, *stride)
    if not isinstance(storage, Storage) or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise Damaged("a tensor has no storage, or a shape of something else than numbers")
    if len(shape) != len(stride) or len(shape) > 16:
        raise Damaged("a tensor's shape and strides differ")
    return StoredTensor(storage, offset, tuple(shape), tuple(stride))


def _same(value: Any, *_: Any) -> Any:
    return value


def _of_type(maker: Any, kind: Any, arguments: Any, *_: Any) -> Any:
    """A subclass of tensors: the tensor it was made of."""
    if isinstance(maker, Name) and maker.text == "torch._utils._rebuild_tensor_v2":
        return _tensor(*arguments)
    return Stub(kind.text if isinstance(kind, Name) else "a kind of tensor", (arguments,))


def _reconstructed(kind: Any, *rest: Any) -> Any:
    return Stub(kind.text if isinstance(kind, Name) else "an object", rest)


def makers_of(nested: Callable[[Any], Any]) -> Mapping[str, Callable[..., Any]]:
    """What may become of a name: plain values, arrays, tensors."""
    made: dict[str, Callable[..., Any]] = {
        "collections.OrderedDict": _pairs,
        "collections.defaultdict": lambda *arguments: _pairs(*arguments[1:]),
        "torch.Size": lambda *sides: tuple(_items(*sides)),
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _same,
        "torch._utils._rebuild_parameter_with_state": _same,
        "torch._utils._rebuild_device_tensor_from_numpy": _same,
        "torch._tensor._rebuild_from_type": _of_type,
        "torch._tensor._rebuild_from_type_v2": _of_type,
        "torch.storage._load_from_bytes": nested,
        "jittor.Var": _same,
        "jittor_core.Var": _same,
        "jittor.jittor_core.Var": _same,
        "numpy.dtype": _Dtype,
        "_codecs.encode": _encode,
        "copyreg._reconstructor": _reconstructed,
        "copy_reg._reconstructor": _reconstructed,
    }
    for module in ("builtins", "__builtin__"):
        made |= {
            f"{module}.set": lambda items=(): _items(items),
            f"{module}.frozenset": lambda items=(): tuple(_items(items)),
            f"{module}.list": lambda items=(): _items(items),
            f"{module}.tuple": lambda items=(): tuple(_items(items)),
            f"{module}.dict": _pairs,
            f"{module}.bytearray": lambda data=b"", *_: bytes(data) if isinstance(data, bytes | bytearray) else b"",
            f"{module}.complex": lambda real=0.0, imaginary=0.0: complex(float(real), float(imaginary)),
        }
    for core in ("numpy.core", "numpy._core"):
        made[f"{core}.multiarray._reconstruct"] = lambda *_: StoredArray()
        made[f"{core}.multiarray.scalar"] = _scalar
        made[f"{core}.numeric._frombuffer"] = _filled
    return made


def storage_of(read: ReadStorage) -> Callable[[Any], Any]:
    """What PyTorch's persistent ids mean: a storage, or (before 1.6) the class of a module with its source text."""

    def meaning(said: Any) -> Any:
        if not isinstance(said, tuple) or not said:
            raise Damaged("it refers to something outside of it")
        if said[0] in ("module", b"module") and len(said) == 4:
            return said[1]
        if said[0] not in ("storage", b"storage") or len(said) not in (5, 6) or not isinstance(said[1], Name):
            raise Damaged("it refers to something outside of it")
        kind = re.fullmatch(r"torch\.(?:cuda\.)?(\w+)Storage", said[1].text)
        dtype = torch.uint8 if said[1].text.endswith("UntypedStorage") else DTYPES.get(kind[1] if kind else "")
        key, count, view = str(said[2]), said[4], said[5] if len(said) == 6 else None
        if dtype is None:
            raise Damaged(f"it stores numbers as {said[1].text[:60]}, which is not known here")
        if not isinstance(count, int) or count < 0:
            raise Damaged("a storage has no size")
        if view is None:
            return Storage(dtype, key, count, read)
        _, start, length = view
        if not all(isinstance(n, int) and n >= 0 for n in (start, length)) or start + length > count:
            raise Damaged("a part of a storage lies outside of it")
        return Storage(dtype, key, length, read, start)

    return meaning
