"""MFP as two graphs, of which the second runs twice with the modulation between."""

from __future__ import annotations

from typing import Any

from terraclick.networks.graphs import ModulatedGraphs

__all__ = ["EXPORT"]


class MfpGraphs(ModulatedGraphs):
    """MFP's rule of modulation."""

    def rule(self, network: Any) -> dict[str, Any]:
        """Its settings."""
        return {"rule": "mfp", "max_radius": network.settings.max_radius, "switch": network.settings.switch}


EXPORT = MfpGraphs()
