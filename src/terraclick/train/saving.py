"""What a training run writes: checkpoints and settings, whole or not at all, read again before they count."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from terraclick.files import replace_whole, write_text

__all__ = ["save_checkpoint", "save_json"]


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Save what `torch.load` reads; a kill or a full disk leaves the earlier file. Raises BadOutput."""
    with replace_whole(path, errors=(RuntimeError,), check=_check) as part:
        with part.open("wb") as file:
            torch.save(dict(content), file)


def save_json(path: Path, content: Any) -> None:
    """Save JSON, whole or not at all. Raises BadOutput."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def _check(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except zipfile.BadZipFile as error:
        raise OSError(None, f"the written file is not whole ({error})") from None
    if damaged is not None:
        raise OSError(None, f"the written file is not whole ({damaged})")
