"""MATLAB files as SBD and PASCAL-Part publish their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from terraclick.errors import BadData, MissingExtra

__all__ = ["listed", "read_mat"]


def read_mat(path: Path, name: str) -> Any:
    """The structure of a name in a .mat file, fields as attributes. Raises BadData, MissingExtra."""
    try:
        from scipy.io import loadmat
    except ModuleNotFoundError as error:
        raise MissingExtra("scipy is not installed: pip install 'terraclick[datasets]'.") from error
    try:
        return loadmat(path, squeeze_me=True, struct_as_record=False)[name]
    except KeyError as error:
        raise BadData(f"{path} holds no {name}: a file of another dataset lies there, get this one again.") from error
    except Exception as error:  # scipy raises whatever a cut-off file leads it to
        raise BadData(f"{path} is damaged or missing ({type(error).__name__}): get this file again.") from error


def listed(value: Any) -> list[Any]:
    """The elements of a MATLAB array, also where it held none or one."""
    if value is None or getattr(value, "size", 1) == 0:
        return []
    return list(value.ravel()) if hasattr(value, "ravel") else [value]
