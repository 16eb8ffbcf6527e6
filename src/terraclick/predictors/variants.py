"""A predictor with settings of its own, as one name: `crosscut-b+divisions=2,3,4`, `simpleclick-b+cfr=adaptive`.

Every verb takes such a name where it takes a model, and a session keeps it, so that a replay asks the same again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from terraclick.core.predictor import Predictor
from terraclick.errors import BadConfig
from terraclick.predictors.spec import PredictorSpec
from terraclick.predictors.wrappers import Refined

__all__ = ["SETTINGS", "base_name", "composed", "split_name", "varied"]

ADAPTIVE_STEPS = 20
"""Adaptive refinement stops at the latest after so many answers more (the paper's largest number)."""


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _divisions(text: str) -> tuple[int, ...]:
    return tuple(_whole(part) for part in text.split(","))


def _yes(text: str) -> bool:
    return {"yes": True, "no": False}[text]


def _cfr(text: str) -> int | str:
    return text if text == "adaptive" else _whole(text)


@dataclass(frozen=True)
class Setting:
    """One setting that a name can carry: how its text is read, and what it is."""

    read: Callable[[str], Any]
    what: str


SETTINGS: dict[str, Setting] = {
    "cfr": Setting(_cfr, "answer every click N times more, each reading the answer before; or adaptive"),
    "cfr-clicks": Setting(_whole, "refine so for the first N clicks alone (published script: 1)"),
    "divisions": Setting(_divisions, "CrossCut's divisions, such as 2 or 2,3,4 (their fusion)"),
    "device": Setting(str, "where a paper's network runs: cpu or cuda"),
    "precision": Setting(str, "float32, float16 or bfloat16"),
    "level": Setting(str, "SAM's first mask: best, part, whole or group"),
    "flip": Setting(_yes, "yes or no: whether the mirrored picture is asked too"),
}
"""Settings by their names."""

_OURS = ("cfr", "cfr-clicks")


def split_name(text: str) -> tuple[str, dict[str, Any]]:
    """(name of the predictor, its settings) of such a name. Raises BadConfig, saying what is known."""
    name, *parts = text.split("+")
    settings = {}
    for part in parts:
        key, _, value = part.partition("=")
        if key not in SETTINGS:
            raise BadConfig(f"{text!r} asks for a setting {key!r}: give some of {', '.join(SETTINGS)}.")
        try:
            settings[key] = SETTINGS[key].read(value)
        except (ValueError, KeyError):
            raise BadConfig(f"{part!r} of {text!r} cannot be read: {key} is {SETTINGS[key].what}.") from None
    if "cfr-clicks" in settings and "cfr" not in settings:
        raise BadConfig(f"{text!r} has cfr-clicks without cfr: give +cfr=N too.")
    return name, settings


def base_name(text: str) -> str:
    """The name without its settings."""
    return text.split("+", 1)[0]


def composed(text: str, settings: Mapping[str, str | None]) -> str:
    """A name with further settings; those that it carries already hold."""
    carried = {part.partition("=")[0] for part in text.split("+")[1:]}
    more = [f"+{key}={value}" for key, value in settings.items() if value is not None and key not in carried]
    return text + "".join(more)


def varied(spec: PredictorSpec, text: str) -> PredictorSpec:
    """A spec whose predictor has the settings that its name carries. Raises BadConfig for one that it cannot have."""
    name, settings = split_name(text)
    if not settings:
        return spec
    own = {key: value for key, value in settings.items() if key not in _OURS}
    known = inspect.signature(spec.build).parameters
    for key in own:
        if key not in known:
            raise BadConfig(f"{name} has no setting {key}: leave it out, or choose another model.")
    cfr, clicks = settings.get("cfr"), settings.get("cfr-clicks")

    def build(**options: Any) -> Predictor:
        predictor = spec.build(**{**own, **options})
        if cfr is None:
            return predictor
        if cfr == "adaptive":
            return Refined(predictor, ADAPTIVE_STEPS, True, clicks)
        return Refined(predictor, cfr, False, clicks)

    return replace(spec, name=text, build=build)
