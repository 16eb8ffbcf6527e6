"""CrossCut as two graphs: its divisions are fixed, every patch is computed at every click."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from terraclick.networks.graphs import ClickGraphs

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["EXPORT"]

PARTS = ("tokens", "features")
"""What is kept of a division's patches."""


class CrossCutGraphs(ClickGraphs):
    """What is kept of a picture lies in its divisions."""

    def prepared(self, network: Any) -> Any:
        """Without the memory of earlier answers: a graph has none."""
        network.settings = replace(network.settings, dirty=None)
        return network

    def kept(self, encoded: Any) -> dict[str, Tensor]:
        """Tokens and features of every division."""
        return {f"{part}_{n}": getattr(patches, part) for n, patches in encoded.patches.items() for part in PARTS}

    def filled(self, encoded: Any, kept: Mapping[str, Tensor]) -> Any:
        """The divisions with other tokens and features."""
        patches = {
            n: replace(one, **{part: kept[f"{part}_{n}"] for part in PARTS}) for n, one in encoded.patches.items()
        }
        return replace(encoded, patches=patches)


EXPORT = CrossCutGraphs()
