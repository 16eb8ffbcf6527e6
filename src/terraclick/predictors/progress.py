"""How far the slow work of a predictor is: a listener that a copy of the predictor carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

__all__ = ["Progress", "with_progress"]

Progress = Callable[[int, int], None]
"""Called with (done, total) patches of a view: once with (0, total), then after every patch."""

AnyPredictor = TypeVar("AnyPredictor")


def with_progress(predictor: AnyPredictor, progress: Progress | None) -> AnyPredictor:
    """The same predictor with another listener; None listens no longer. The original is not changed.

    A predictor that reports is a dataclass with a field `progress`; one that holds others passes the listener on.
    Both copies share their caches, give the same answers, and read each other's encodings.
    """
    if not is_dataclass(predictor) or isinstance(predictor, type):
        return predictor
    changes: dict[str, Any] = {}
    for part in fields(predictor):
        value = getattr(predictor, part.name)
        told = progress if part.name == "progress" else _passed_on(value, progress)
        if part.init and told is not value:
            changes[part.name] = told
    return replace(predictor, **changes) if changes else predictor


def _passed_on(value: Any, progress: Progress | None) -> Any:
    """A field's value with the listener in every predictor it holds; the value itself if it holds none that reports."""
    if hasattr(value, "encode") and hasattr(value, "predict"):
        return with_progress(value, progress)
    if isinstance(value, tuple):
        parts = tuple(_passed_on(part, progress) for part in value)
        return parts if any(new is not old for new, old in zip(parts, value, strict=True)) else value
    if isinstance(value, Mapping):
        held = {key: _passed_on(part, progress) for key, part in value.items()}
        return held if any(held[key] is not value[key] for key in value) else value
    return value
