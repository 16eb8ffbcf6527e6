"""TerraClick: click on a thing in an aerial or satellite image, keep its georeferenced outline.

The names below are loaded when first used, so that `import terraclick` costs nothing and never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from terraclick.offline import stay_silent

if TYPE_CHECKING:  # what type checkers see; `_HOMES` says the same to Python, and a test that both agree
    from terraclick.api import Outline, OutlineOptions, outline, outlines
    from terraclick.catalogue import load
    from terraclick.core.session import Session
    from terraclick.errors import TerraClickError
    from terraclick.geo.grid import Grid
    from terraclick.geo.raster import read_view
    from terraclick.values import Click, Prediction, Target, View

__version__ = "0.1.0"

__all__ = [
    "Click",
    "Grid",
    "Outline",
    "OutlineOptions",
    "Prediction",
    "Session",
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
    "Grid": "terraclick.geo.grid",
    "Outline": "terraclick.api",
    "OutlineOptions": "terraclick.api",
    "Prediction": "terraclick.values",
    "Session": "terraclick.core.session",
    "Target": "terraclick.values",
    "TerraClickError": "terraclick.errors",
    "View": "terraclick.values",
    "load": "terraclick.catalogue",
    "outline": "terraclick.api",
    "outlines": "terraclick.api",
    "read_view": "terraclick.geo.raster",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'terraclick' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


stay_silent()
