"""Models that a user added by `terraclick models add`: one folder each, which clicks or maps without torch.

They lie in `TERRACLICK_MODELS`, else in `terraclick/models` below the user's data folder (`XDG_DATA_HOME`, by default
`~/.local/share`; `%LOCALAPPDATA%` on Windows). A folder holds what `terraclick export` writes, and `model.json`: the
network, the licence, the file it was made of, and size and checksum of every file. Reading needs no torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from terraclick.errors import BadConfig, BadWeights

__all__ = [
    "CARD",
    "Installed",
    "InstalledFile",
    "checked_name",
    "hash_of",
    "installed",
    "installed_models",
    "models_folder",
]

CARD = "model.json"
"""The file by which an added model's folder is known."""

CARD_BYTES = 2**20
CLICKS, MAP = "clicks", "map"


@dataclass(frozen=True)
class InstalledFile:
    """One file of a model: its name in the folder, bytes, and SHA-256."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Installed:
    """An added model."""

    name: str
    """As in `--model`."""
    network: str
    """The network that it is, as in `terraclick models`."""
    kind: str
    """`clicks` or `map`."""
    licence: str
    """Of its weights, one line for people."""
    source: InstalledFile
    """The published file that it was made of."""
    files: tuple[InstalledFile, ...]
    """What the folder holds besides `model.json`."""
    folder: Path
    """Where it lies."""

    @property
    def nbytes(self) -> int:
        """Bytes on disk."""
        return sum(file.bytes for file in self.files)

    @property
    def hash(self) -> str:
        """Says which weights answer: the start of a checksum over the files' checksums."""
        return hashlib.sha256("".join(file.sha256 for file in self.files).encode()).hexdigest()[:16]

    def damaged(self) -> list[str]:
        """Names of files that are missing or whose checksum differs."""
        return [file.name for file in self.files if not _same(self.folder / file.name, file)]

    def to_json(self) -> dict[str, Any]:
        """What `model.json` keeps."""
        return {key: value for key, value in asdict(self).items() if key != "folder"}


def _same(path: Path, file: InstalledFile) -> bool:
    return path.is_file() and path.stat().st_size == file.bytes and hash_of(path) == file.sha256


def hash_of(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def models_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where added models lie. The folder need not exist."""
    own, data, windows = (environ.get(name, "") for name in ("TERRACLICK_MODELS", "XDG_DATA_HOME", "LOCALAPPDATA"))
    if own:
        return Path(own)
    if data:
        return Path(data) / "terraclick" / "models"
    if windows and os.name == "nt":
        return Path(windows) / "terraclick" / "models"
    return Path(environ.get("HOME") or Path.home()) / ".local" / "share" / "terraclick" / "models"


def checked_name(name: str) -> str:
    """A name fit for a folder and for `--model`. Raises BadConfig."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise BadConfig(f"a model cannot be named {name[:40]!r}: give up to 64 letters, digits, points and hyphens.")
    return name


def installed_models(folder: Path | None = None) -> dict[str, Installed]:
    """Every added model by name, damaged descriptions left out."""
    folder = models_folder() if folder is None else folder
    try:
        names = sorted(path.parent.name for path in folder.glob(f"*/{CARD}"))
    except OSError:
        return {}
    found = {}
    for name in names:
        try:
            found[name] = _read(folder / name)
        except BadWeights:
            continue
    return found


def installed(name: str, folder: Path | None = None) -> Installed | None:
    """An added model; None where none has this name. Raises BadWeights where its description is damaged."""
    folder = models_folder() if folder is None else folder
    try:
        checked_name(name)
    except BadConfig:
        return None
    return _read(folder / name) if (folder / name / CARD).is_file() else None


def _read(folder: Path) -> Installed:
    try:
        if (folder / CARD).stat().st_size > CARD_BYTES:
            raise ValueError
        said = json.loads((folder / CARD).read_text(encoding="utf-8"))
        texts = {key: said[key] for key in ("name", "network", "kind", "licence")}
        source, files = InstalledFile(**said["source"]), tuple(InstalledFile(**file) for file in said["files"])
        plain = all(isinstance(text, str) for text in texts.values()) and said["kind"] in (CLICKS, MAP)
        inside = all(Path(file.name).name == file.name for file in files)
        if not plain or not inside or said["name"] != folder.name:
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise BadWeights(
            f"{folder / CARD} is damaged: remove the model (terraclick models remove {folder.name}) and add it again."
        ) from None
    return Installed(**texts, source=source, files=files, folder=folder)
