"""RITM's published arrays have our names."""

from __future__ import annotations

from terraclick.networks.ritm.network import RITM, Ritm, RitmConfig
from terraclick.networks.weights import PublishedWeights

__all__ = ["WEIGHTS"]

WEIGHTS = PublishedWeights(Ritm, RitmConfig, RITM)
