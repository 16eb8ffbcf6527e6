"""Text in files: JSON, cells of tables, names in YAML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["dump_json", "harmless", "join_columns", "read_json", "restored", "spread_columns", "text_in"]

DBF_BYTES = 254
"""The longest text that a field of a Shapefile takes."""
DBF_NAME = 10

_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r", "\n")


def dump_json(value: Any, path: Path) -> None:
    """Write JSON with a line end. Raises OSError."""
    path.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """The content of a JSON file just written. Raises OSError where it is not whole."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OSError(None, f"the written file is not whole ({error})") from None


def harmless(value: Any) -> Any:
    """A cell of a CSV file; text that a spreadsheet would run gets a quote before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in _RUN_BY_SPREADSHEETS else value


def restored(text: str) -> str:
    """The text that `harmless` was given."""
    return text[1:] if text[:1] == "'" and text[1:2] in _RUN_BY_SPREADSHEETS else text


def spread_columns(name: str, column: NDArray[Any]) -> list[tuple[str, NDArray[Any]]]:
    """A column for a Shapefile: text of more than 254 bytes goes on in fields NAME_2, NAME_3 …"""
    if column.dtype != object:
        return [(name, column)]
    pieces = [_pieces(str(value or "")) for value in column]
    count = max((len(parts) for parts in pieces), default=1)
    found = []
    for place in range(count):
        end = "" if place == 0 else f"_{place + 1}"
        values = [parts[place] if place < len(parts) else "" for parts in pieces]
        found.append((name[: DBF_NAME - len(end)] + end, np.array(values, dtype=object)))
    return found


def join_columns(fields: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The fields of a row with texts that `spread_columns` cut joined again, under their names."""
    joined = dict(fields)
    for name in names:
        place = 2
        while (piece := joined.pop(name[: DBF_NAME - len(f"_{place}")] + f"_{place}", None)) is not None:
            joined[name] = str(joined.get(name) or "") + str(piece)
            place += 1
    return joined


def _pieces(text: str) -> list[str]:
    """A text in pieces of at most 254 bytes of UTF-8; no piece ends in a space, which a Shapefile would lose."""
    pieces, rest = [], text
    while len(rest.encode()) > DBF_BYTES:
        piece = rest.encode()[:DBF_BYTES].decode(errors="ignore")
        piece = piece.rstrip() or piece
        pieces.append(piece)
        rest = rest[len(piece) :]
    return [*pieces, rest]


def text_in(value: Any) -> str:
    """A field of a file as text; "" for nothing, not-a-number and nested values."""
    if value is None or (isinstance(value, float) and value != value) or isinstance(value, dict | list):
        return ""
    return str(value)
