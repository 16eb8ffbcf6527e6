"""The toy as two graphs."""

from __future__ import annotations

from terraclick.networks.graphs import ClickGraphs

__all__ = ["EXPORT"]

EXPORT = ClickGraphs()
