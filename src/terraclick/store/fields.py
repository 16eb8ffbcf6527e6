"""The columns of an object, declared once: tables, files, imports and answers of the server are derived from them.

A column is a row of `MapObject` below. Sessions of earlier releases get it when they are opened (`migrations.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any, Literal

from shapely.geometry.base import BaseGeometry

from terraclick.store.rows import count_of, json_object, number_of, text_of

__all__ = [
    "COLUMNS",
    "FIELDS",
    "PART_OF",
    "Column",
    "Kind",
    "MapObject",
    "changed_columns",
    "declared",
    "edited",
    "like",
    "object_of",
    "parts_by_whole",
    "place_of",
    "record",
    "rows_of",
    "values_of",
]

Kind = Literal["text", "number", "count", "time", "json"]
"""What a column holds: a text, a finite number or nothing, a whole number from 0, an ISO time, a JSON object."""

Database = Literal["geopackage", "postgis"]

_TYPES: dict[Database, dict[Kind, str]] = {
    "geopackage": {"text": "TEXT", "number": "DOUBLE", "count": "INTEGER", "time": "DATETIME", "json": "TEXT"},
    "postgis": {"text": "text", "number": "double precision", "count": "integer", "time": "text", "json": "text"},
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of `objects` and of every file.

    name: in databases and files; attribute: in MapObject; short: in a Shapefile, at most 10 letters. editable: a client
    may set it. fallback: what counts where another program left nothing. geopackage, postgis: type and rules in the
    table, where they are not those of the kind. noted: COCO and labelme tell it under this name.
    """

    kind: Kind
    name: str = ""
    attribute: str = ""
    short: str = ""
    editable: bool = False
    fallback: Any = None
    geopackage: str = ""
    postgis: str = ""
    noted: bool = True


def _as(kind: Kind, **told: Any) -> dict[str, Column]:
    """What makes a field of MapObject a column."""
    return {"column": Column(kind=kind, **told)}


@dataclass(frozen=True, kw_only=True)
class MapObject:
    """One accepted outline and what is known about it; geometry is a Polygon or MultiPolygon.

    The store fills empty `uuid`, `created`, `updated` and always `area_m2`, `perimeter_m` (geodesic; None where the
    file has no CRS) and `rev`, which counts the changes. `image` is the path of a StoredImage or "". `attributes` are
    the values of the class's own columns, kept as JSON.
    """

    geometry: BaseGeometry
    uuid: str = field(
        default="",
        metadata=_as(
            "text",
            geopackage="TEXT UNIQUE",
            postgis="text NOT NULL UNIQUE DEFAULT gen_random_uuid()::text",
        ),
    )
    image: str = field(default="", metadata=_as("text", noted=False))
    class_name: str = field(default="", metadata=_as("text", name="class", editable=True, noted=False))
    label: str = field(default="", metadata=_as("text", editable=True))
    target: str = field(default="object", metadata=_as("text", fallback="object", postgis="text DEFAULT 'object'"))
    score: float | None = field(default=None, metadata=_as("number"))
    area_m2: float | None = field(default=None, metadata=_as("number"))
    perimeter_m: float | None = field(default=None, metadata=_as("number", short="perim_m"))
    n_clicks: int = field(default=0, metadata=_as("count", postgis="integer DEFAULT 0"))
    model: str = field(default="", metadata=_as("text"))
    model_hash: str = field(default="", metadata=_as("text"))
    status: str = field(default="accepted", metadata=_as("text", editable=True, postgis="text DEFAULT 'accepted'"))
    author: str = field(default="", metadata=_as("text", postgis="text DEFAULT user"))
    rev: int = field(default=0, metadata=_as("count", postgis="bigint NOT NULL DEFAULT 1"))
    created: str = field(default="", metadata=_as("time"))
    updated: str = field(default="", metadata=_as("time"))
    attributes: dict[str, Any] = field(default_factory=dict, metadata=_as("json", editable=True, noted=False))


def _declared() -> tuple[Column, ...]:
    found = []
    for own in fields(MapObject):
        column = own.metadata.get("column")
        if column is not None:
            name = column.name or own.name
            found.append(replace(column, name=name, attribute=own.name, short=column.short or name))
    return tuple(found)


PART_OF = "part_of"
"""The attribute of a part: the uuid of the object that it is a part of. The part's class is its tag."""
COLUMNS: tuple[Column, ...] = _declared()
"""Every column, in the order of tables and files."""
FIELDS: tuple[str, ...] = tuple(column.name for column in COLUMNS)
"""Their names."""


def declared(column: Column, database: Database) -> str:
    """A column as a table of that database declares it."""
    own = column.geopackage if database == "geopackage" else column.postgis
    return f"{column.name} {own or _TYPES[database][column.kind]}"


def place_of(name: str) -> int:
    """Where a column stands among the fields of a row."""
    return FIELDS.index(name)


def like(item: MapObject, **values: Any) -> MapObject:
    """`dataclasses.replace` for objects, ten times as fast: thousands are changed at once."""
    found: MapObject = object.__new__(MapObject)
    found.__dict__.update(item.__dict__)
    found.__dict__.update(values)
    return found


def edited(item: MapObject, given: Mapping[str, Any], **also: Any) -> MapObject:
    """An object with what a client gave of the columns that it may set, by their names."""
    values = {c.attribute: given[c.name] for c in COLUMNS if c.editable and given.get(c.name) is not None}
    return like(item, **values, **also)


def parts_by_whole(items: Sequence[MapObject]) -> tuple[dict[str, list[MapObject]], int]:
    """The parts of each object by its uuid, in their order; and how many parts name an object that is not there."""
    there = {item.uuid: item for item in items}
    found: dict[str, list[MapObject]] = {}
    lost = 0
    for item in items:
        whole = item.attributes.get(PART_OF)
        if not isinstance(whole, str) or not whole:
            continue
        if whole in there and whole != item.uuid and there[whole].image == item.image and item.class_name:
            found.setdefault(whole, []).append(item)
        else:
            lost += 1
    return found, lost


# --- rows of a database -----------------------------------------------------------------------------------------------

_ATTRIBUTES = attrgetter(*(column.attribute for column in COLUMNS))
_JSON = tuple(place for place, column in enumerate(COLUMNS) if column.kind == "json")


def values_of(item: MapObject) -> tuple[Any, ...]:
    """An object's fields as a row of the table, in the order of FIELDS."""
    found = list(_ATTRIBUTES(item))
    for place in _JSON:
        found[place] = json.dumps(found[place]) if found[place] else "{}"
    return tuple(found)


def changed_columns(pairs: Iterable[tuple[MapObject, MapObject]]) -> tuple[str, ...]:
    """The names of the columns in which any object differs from what it was; the revision is always one."""
    places = {place_of("rev")}
    for old, new in pairs:
        for place, (then, now) in enumerate(zip(_ATTRIBUTES(old), _ATTRIBUTES(new), strict=True)):
            if then is not now and then != now:
                places.add(place)
    return tuple(FIELDS[place] for place in sorted(places))


def rows_of(items: Sequence[MapObject], names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Some fields of objects as rows of the table."""
    chosen = [(COLUMNS[place_of(name)].attribute, COLUMNS[place_of(name)].kind == "json") for name in names]
    return [
        tuple(
            (json.dumps(value) if value else "{}") if nested else value
            for value, nested in ((getattr(item, attribute), nested) for attribute, nested in chosen)
        )
        for item in items
    ]


def _number(value: Any, column: str) -> float | None:
    return number_of(value)


_READ: dict[Kind, Callable[[Any, str], Any]] = {
    "text": text_of,
    "number": _number,
    "count": count_of,
    "time": text_of,
    "json": json_object,
}
_READERS = tuple((c.attribute, _READ[c.kind], c.name, c.fallback) for c in COLUMNS)


def object_of(row: Sequence[Any], geometry: BaseGeometry) -> MapObject:
    """The object of a row in the order of FIELDS. Raises BadRow for what another program left in it."""
    values: dict[str, Any] = {"geometry": geometry}
    for (attribute, read, name, fallback), value in zip(_READERS, row, strict=True):
        found = read(value, name)
        values[attribute] = fallback if fallback is not None and found == "" else found
    item: MapObject = object.__new__(MapObject)
    item.__dict__.update(values)
    return item


# --- rows of a file ---------------------------------------------------------------------------------------------------


def record(item: MapObject) -> dict[str, Any]:
    """The fields of an object by name, JSON as text ("" without any)."""
    values = dict(zip(FIELDS, _ATTRIBUTES(item), strict=True))
    for place in _JSON:
        value = values[FIELDS[place]]
        values[FIELDS[place]] = json.dumps(value, ensure_ascii=False) if value else ""
    return values
