"""Settings of a recipe changed by text, as `terraclick train --set episodes.scale=[0.5,2]` gives them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from terraclick.errors import BadConfig

__all__ = ["with_settings"]


def with_settings(recipe: Any, texts: Sequence[str]) -> Any:
    """The recipe with settings PATH=VALUE, the value as JSON or plain text; its table is dropped where any is given.

    Raises BadConfig for a path that it does not have, or a value of another kind.
    """
    for text in texts:
        path, equals, value = text.partition("=")
        if not equals or not path:
            raise BadConfig(f"--set {text}: give a setting and a value, such as --set rate=1e-4.")
        recipe = _with(recipe, path.split("."), _read(value), text)
    known = {field.name for field in fields(recipe)}
    return replace(recipe, sources=(), published=False) if texts and "published" in known else recipe


def _read(text: str) -> Any:
    try:
        return _tuples(json.loads(text))
    except ValueError:
        return text


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _with(part: Any, path: list[str], value: Any, text: str) -> Any:
    """A dataclass with one setting below it replaced."""
    name, *below = path
    known = [field.name for field in fields(part) if field.name not in ("name", "sources", "published")]
    if name not in known:
        raise BadConfig(f"--set {text}: {type(part).__name__} has no {name!r}; it has {', '.join(known)}.")
    old = getattr(part, name)
    if below:
        if not is_dataclass(old):
            raise BadConfig(f"--set {text}: {name} has nothing below it; give --set {name}=VALUE.")
        value = _with(old, below, value, text)
    elif is_dataclass(old):
        inner = ", ".join(f"{name}.{field.name}" for field in fields(old))
        raise BadConfig(f"--set {text}: {name} has settings of its own; give one of {inner}.")
    else:
        value = _of_kind(old, value, text)
    try:
        return replace(part, **{name: value})
    except (TypeError, ValueError) as error:
        raise BadConfig(f"--set {text}: the value cannot be used ({error}).") from None


def _of_kind(old: Any, value: Any, text: str) -> Any:
    """The value if it is of the old one's kind: a number for a number, a list for a list. Raises BadConfig."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(old, bool):
        fits = isinstance(value, bool)
    elif isinstance(old, int):
        fits = number and value == int(value)
        value = int(value) if fits else value
    elif isinstance(old, float):
        fits = number
    elif isinstance(old, tuple):
        fits = isinstance(value, tuple)
    elif isinstance(old, str):
        fits = isinstance(value, str)
    else:
        fits = True
    if not fits:
        raise BadConfig(f"--set {text}: it is {old!r}, so a value of the same kind was expected.")
    return value
