"""The formats that there are: every file of `formats/`, by its name and by the endings of files."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from pkgutil import iter_modules

from terraclick import formats
from terraclick.errors import UnknownName
from terraclick.formats.common.declaration import Format

__all__ = ["FORMATS", "format_of", "installed", "readable_endings"]


def _found() -> dict[str, Format]:
    names = sorted(entry.name for entry in iter_modules(formats.__path__) if not entry.ispkg)
    found = [import_module(f"{formats.__name__}.{name}").FORMAT for name in names]
    return {format.name: format for format in sorted(found, key=lambda format: (format.pixels, format.name))}


FORMATS: dict[str, Format] = _found()
"""Every format by its name, those of maps before those of pictures."""


def format_of(file_name: str, name: str | None = None) -> str:
    """The format of a file: as given, else the one with the longest ending that fits. Raises UnknownName."""
    if name is None:
        endings = {ending: known for known, format in FORMATS.items() for ending in format.endings}
        fitting = [ending for ending in endings if file_name.lower().endswith(ending)]
        if not fitting:
            raise UnknownName(f"no format for the ending of {file_name}. Known: {', '.join(FORMATS)}.")
        return endings[max(fitting, key=len)]
    if name not in FORMATS:
        raise UnknownName(f"no format {name!r}. Known: {', '.join(FORMATS)}.")
    return name


def installed(name: str) -> bool:
    """Whether the package that a format needs is there."""
    needs = FORMATS[name].needs
    return not needs or importlib.util.find_spec(needs) is not None


def readable_endings() -> tuple[str, ...]:
    """Last endings of files that can be imported, such as .json."""
    found = [
        f".{ending.rsplit('.', 1)[-1]}" for known in FORMATS.values() if known.readable for ending in known.endings
    ]
    return tuple(dict.fromkeys(found))
