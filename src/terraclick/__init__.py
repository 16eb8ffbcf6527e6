"""TerraClick: click on a thing in an aerial or satellite image, keep its georeferenced outline.

The names below are loaded when first used, so that `import terraclick` costs nothing and never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from terraclick.offline import stay_silent

if TYPE_CHECKING:  # what type checkers see; `_HOMES` says the same to Python, and a test that both agree
    from terraclick.api import Outline, outline, outlines
    from terraclick.catalogue import load
    from terraclick.core.click_sequence import ClickSequence
    from terraclick.errors import TerraClickError
    from terraclick.geo.grid import Grid
    from terraclick.geo.raster import read_view
    from terraclick.values import Click, Prediction, Target, View

    Session = ClickSequence

__version__ = "0.1.0"

__all__ = [
    "Click",
    "ClickSequence",
    "Grid",
    "Outline",
    "Prediction",
    "Target",
    "TerraClickError",
    "View",
    "load",
    "outline",
    "outlines",
    "read_view",
]

_HOMES = {
    "Click": "terraclick.values",
    "ClickSequence": "terraclick.core.click_sequence",
    "Grid": "terraclick.geo.grid",
    "Outline": "terraclick.api",
    "Prediction": "terraclick.values",
    "Target": "terraclick.values",
    "TerraClickError": "terraclick.errors",
    "View": "terraclick.values",
    "load": "terraclick.catalogue",
    "outline": "terraclick.api",
    "outlines": "terraclick.api",
    "read_view": "terraclick.geo.raster",
}

_FORMER = {"Session": "ClickSequence"}
"""Names of earlier releases, which still work, and what they are called now."""


def __getattr__(name: str) -> Any:
    if name in _FORMER:
        return __getattr__(_FORMER[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'terraclick' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


stay_silent()
