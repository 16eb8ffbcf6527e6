"""How a family's networks are built and how the arrays of its published weights are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

__all__ = ["PublishedWeights", "Renames"]

Renames = tuple[tuple[str, str], ...]
"""(pattern, ours): regular expressions matched at the start of a published name; the first that matches renames."""


def _nothing(config: Any) -> tuple[Renames, tuple[str, ...]]:
    return (), ()


@dataclass(frozen=True)
class PublishedWeights:
    """What the file `weights.py` of a family declares as WEIGHTS."""

    network: Callable[[Any], nn.Module]
    """Config → network."""
    config: type
    """Class of the config."""
    presets: Mapping[str, Any]
    """Configs by the names that `spec.py` declares."""
    renames: Renames = ()
    """Published names that differ from ours; others stay as they are."""
    unused: tuple[str, ...] = ()
    """Patterns of published names that its network never uses; they are left out."""
    by_config: Callable[[Any], tuple[Renames, tuple[str, ...]]] = _nothing
    """Further renames and unused names that depend on the config."""
