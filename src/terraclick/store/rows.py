"""Values that another program may have written into a session, judged one by one.

A session is a file that QGIS, ogr2ogr and scripts may edit. Whatever they leave in a column is either taken, or the row
is set aside with a reason; it never makes the rest unreadable.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "BadRow",
    "SetAside",
    "box_of",
    "colour_of",
    "columns_of",
    "count_of",
    "json_object",
    "name_of",
    "number_of",
    "text_of",
    "usable_columns",
]

MAX_JSON = 1 << 20
MAX_DEPTH = 16
COLUMN_TYPES = ("string", "number", "boolean")


class BadRow(Exception):
    """A row cannot be used; `str(error)` says why."""


@dataclass(frozen=True)
class SetAside:
    """A row that is left out, or taken with a default in place of a value: its table, its name, and why."""

    table: str
    row: str
    reason: str


def text_of(value: Any, column: str) -> str:
    """A text; "" for nothing. Raises BadRow for bytes."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview):
        raise BadRow(f"{column} holds bytes where text is expected")
    return str(value)


def name_of(value: Any, column: str) -> str:
    """A text of 1 to 200 letters on one line, without a slash. Raises BadRow."""
    text = text_of(value, column)
    if not re.fullmatch(r"[^\x00-\x1f\x7f/]{1,200}", text) or not text.strip():
        raise BadRow(f"{column} is no name")
    return text


def number_of(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if usable and math.isfinite(value) else None


def box_of(value: Any) -> tuple[float, float, float, float]:
    """Four finite numbers. Raises ValueError."""
    numbers = [number_of(part) for part in value]
    x1, y1, x2, y2 = (number for number in numbers if number is not None)
    if len(numbers) != 4:
        raise ValueError
    return x1, y1, x2, y2


def count_of(value: Any, column: str) -> int:
    """A whole number from 0; 0 for nothing. Raises BadRow."""
    if value is None:
        return 0
    if type(value) is int and 0 <= value < 2**53:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53 or value != int(value):
        raise BadRow(f"{column} is no count")
    return int(value)


def json_object(value: Any, column: str) -> dict[str, Any]:
    """The JSON object in a text column; empty for nothing. Raises BadRow for anything JSON cannot carry on."""
    text = text_of(value, column)
    if text == "{}" or not text.strip():
        return {}
    if len(text) > MAX_JSON:
        raise BadRow(f"{column} holds more than {MAX_JSON >> 20} MiB")
    try:
        found = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        raise BadRow(f"{column} is not JSON") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadRow(f"{column} is no JSON object")
    if _depth(found) > MAX_DEPTH:
        raise BadRow(f"{column} is nested more than {MAX_DEPTH} deep")
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadRow(f"{column} holds half a letter") from None
    return found


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _depth(value: Any) -> int:
    """How deep objects and lists are nested, looked at level by level."""
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH:
        level = [
            child
            for part in level
            if isinstance(part, dict | list)
            for child in (part.values() if isinstance(part, dict) else part)
        ]
        depth += 1
    return depth


def colour_of(value: Any, default: str) -> str:
    """#rrggbb in small letters, or the default."""
    return value.lower() if isinstance(value, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", value) else default


def columns_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a class, name → {"type", "values"}. Raises BadRow for the first that is none."""
    for name, column in schema.items():
        if column in COLUMN_TYPES or column == "integer":
            continue
        if not isinstance(column, dict) or column.get("type", "string") not in COLUMN_TYPES:
            raise BadRow(f"the column {name[:40]!r} of its schema is none of {', '.join(COLUMN_TYPES)}")
        values = column.get("values")
        if values is not None and not (
            isinstance(values, list) and not any(isinstance(v, dict | list) for v in values)
        ):
            raise BadRow(f"the values of the column {name[:40]!r} of its schema are no list")
    return dict(schema)


def usable_columns(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """The same as the map takes them, without those that cannot be used."""
    found: dict[str, Any] = {}
    for name, column in (schema or {}).items():
        try:
            columns_of({name: column})
        except BadRow:
            continue
        kind = column if isinstance(column, str) else column.get("type", "string")
        values = None if isinstance(column, str) else column.get("values")
        found[name] = {"type": "number" if kind == "integer" else kind} | ({} if values is None else {"values": values})
    return found
