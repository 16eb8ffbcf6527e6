"""RS-ISRefiner as two graphs, of which the second runs twice with the modulation between."""

from __future__ import annotations

from typing import Any

from terraclick.errors import BadConfig
from terraclick.networks.graphs import ModulatedGraphs

__all__ = ["EXPORT"]


class IsRefinerGraphs(ModulatedGraphs):
    """The rule of modulation that the config names."""

    def rule(self, network: Any) -> dict[str, Any]:
        """Its settings. Raises BadConfig if the modulation is switched off."""
        if network.config.modulation == "none":
            raise BadConfig("a network with modulation switched off cannot be exported: use torch.")
        return {"rule": network.config.modulation, "max_radius": network.config.max_radius}


EXPORT = IsRefinerGraphs()
